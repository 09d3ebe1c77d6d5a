/* Lua runs a script that calls, sorts, joins and matches strings, n times, with an allocator of size classes. */
#include "bench.h"

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#include <string.h>

enum { CLASSES = 28, POOL = 48 << 20 };
static char pool[POOL] __attribute__((aligned(16)));
static size_t used;
static void *free_lists[CLASSES];

static unsigned class_of(size_t size)
{
    return size <= 16 ? 4 : 64 - (unsigned)__builtin_clzll(size - 1);
}

static void *take(unsigned class)
{
    void *chunk = free_lists[class];
    if (chunk) {
        memcpy(&free_lists[class], chunk, sizeof chunk);
        return chunk;
    }
    if (class >= CLASSES || used + ((size_t)1 << class) > POOL)
        return NULL;
    chunk = pool + used;
    used += (size_t)1 << class;
    return chunk;
}

static void give(void *chunk, unsigned class)
{
    memcpy(chunk, &free_lists[class], sizeof chunk);
    free_lists[class] = chunk;
}

static void *allocate(void *arg, void *old, size_t old_size, size_t size)
{
    (void)arg;
    if (old && size && class_of(old_size) == class_of(size))
        return old;
    void *made = size ? take(class_of(size)) : NULL;
    if (old && made)
        memcpy(made, old, old_size < size ? old_size : size);
    if (old && (made || !size))
        give(old, class_of(old_size));
    return made;
}

static const char script[] =
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
    "local sum, round = fib(21), ...\n"
    "local words, seed = {}, 42 + round\n"
    "for i = 1, 2000 do\n"
    "  seed = (seed * 1103515245 + 12345) % 2147483648\n"
    "  words[i] = string.format('%x-%d', seed, i)\n"
    "end\n"
    "table.sort(words)\n"
    "local text = table.concat(words, ' ')\n"
    "for hex, number in text:gmatch('(%x+)-(%d+)') do sum = (sum * 31 + #hex * number) % 1000000007 end\n"
    "local grid = setmetatable({}, {__index = function(t, k) local v = k * k % 97; t[k] = v; return v end})\n"
    "for i = 1, 40000 do sum = sum + grid[i % 500] end\n"
    "local x = 0.5\n"
    "for i = 1, 60000 do x = 3.75 * x * (1 - x) end\n"
    "return (sum + math.floor(x * 1000000)) % 1000000007\n";

uint64_t bench(uint32_t n)
{
    static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math}};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        lua_State *state = lua_newstate(allocate, NULL);
        for (size_t k = 0; k < LENGTH(libraries); k++) {
            luaL_requiref(state, libraries[k].name, libraries[k].func, 1);
            lua_pop(state, 1);
        }
        if (luaL_loadstring(state, script) != LUA_OK)
            __builtin_trap();
        lua_pushinteger(state, i);
        lua_call(state, 1, 1);
        sum = mix(sum, (uint64_t)lua_tointeger(state, -1));
        lua_close(state);
    }
    return sum;
}
