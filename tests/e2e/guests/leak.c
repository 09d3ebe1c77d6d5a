/* The leak hunter: every request first looks for what another one left, then leaves as much as it can
 * itself.
 *
 * It searches its whole memory, a global, two tables and the numbers of its handles for traces of
 * another instance. Then it writes a tag to the places that the path names:
 *
 *     /PLACES/NUMBER    s stack  d data  b bss  h heap  g grown memory  v global
 *                       t a table's size  f entries of tables of functions  k handles
 *                       p first uses a handle that it does not have: a trap
 *     afterwards        w waits for a moment  z waits for an hour  l writes without end  x traps
 *
 * NUMBER, of up to seven digits and no other request's, decides which pages of a place are written,
 * and is part of the tag: one that waited must find its own traces as they were, and nobody else's.
 * The answer is `clean pages=P handle=H stack=S wrote=W` or `leak ...`; P, H and S must be the same
 * for every request, W is the number of tags that the same search finds after writing, so that a
 * search that finds nothing ever would be noticed.
 *
 * The tag is computed from a seed, so it stands nowhere in the component itself.
 */
#include "answer.h"

#include <stdlib.h>

enum { PAGE = 4096, WASM_PAGE = 65536, FUNCTIONS = 24, NUMBER_BITS = 24 };

static volatile uint64_t seed = 0x6d61796d61796d61ull;
static uint8_t bss[40 * PAGE];
static uint8_t data[12 * PAGE] = {1};

/* C has no globals of a module and no tables with entries; the assembler does. */
__asm__(".globaltype secret_global, i64\n"
        ".globl secret_global\n"
        "secret_global:\n"
        ".tabletype secret_functions, funcref, 24, 64\n"
        ".globl secret_functions\n"
        "secret_functions:\n"
        ".tabletype __indirect_function_table, funcref\n");

static __externref_t table[0];

/* All that can be seen of what was left; no tag itself, for this lies in the memory that is searched. */
struct traces {
    uint32_t own, foreign; /* words of memory with a tag */
    uint32_t table, functions, entries, called;
    uint32_t global; /* 0 as in the beginning, 1 own */
};

static const struct traces fresh = {.functions = FUNCTIONS, .called = 1};

/* The table through which C calls has an entry for each of them. */
static uint32_t honest(void)
{
    return 1;
}

static uint32_t stranger(void)
{
    return 2;
}

static uint32_t (*volatile callee)(void) = honest;
static uint32_t (*volatile other)(void) = stranger;

static uint64_t global_get(void)
{
    uint64_t value;
    __asm__ volatile("global.get secret_global\nlocal.set %0" : "=r"(value));
    return value;
}

static void global_set(uint64_t value)
{
    __asm__ volatile("local.get %0\nglobal.set secret_global" : : "r"(value));
}

static uint32_t functions_size(void)
{
    uint32_t size;
    __asm__ volatile("table.size secret_functions\nlocal.set %0" : "=r"(size));
    return size;
}

static void functions_grow(uint32_t count)
{
    uint32_t old;
    __asm__ volatile("ref.null_func\nlocal.get %1\ntable.grow secret_functions\nlocal.set %0" : "=r"(old) : "r"(count));
}

static bool function_is_null(uint32_t index)
{
    uint32_t null;
    __asm__ volatile("local.get %1\ntable.get secret_functions\nref.is_null\nlocal.set %0" : "=r"(null) : "r"(index));
    return null;
}

static void function_set(uint32_t index, uint32_t from)
{
    __asm__ volatile("local.get %0\nlocal.get %1\ntable.get __indirect_function_table\ntable.set secret_functions"
                     :
                     : "r"(index), "r"(from));
}

/* From now on who calls the one calls the other. */
static void function_replace(uint32_t index, uint32_t from)
{
    __asm__ volatile(
        "local.get %0\nlocal.get %1\ntable.get __indirect_function_table\ntable.set __indirect_function_table"
        :
        : "r"(index), "r"(from));
}

static uint64_t make_tag(uint32_t number)
{
    uint64_t mixed = (seed ^ 0x5ec2e75ec2e75ec2ull) * 0x9e3779b97f4a7c15ull;
    return mixed >> NUMBER_BITS << NUMBER_BITS | number;
}

static void search(uint64_t tag, struct traces *ret)
{
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    for (uint32_t address = 0; address < end; address += sizeof tag) {
        uint64_t away = *(const volatile uint64_t *)(uintptr_t)address ^ tag;
        if (away >> NUMBER_BITS)
            continue;
        ret->own += away == 0;
        ret->foreign += away != 0;
    }
}

static struct traces look(uint64_t tag)
{
    struct traces traces = {.table = __builtin_wasm_table_size(table), .functions = functions_size()};
    search(tag, &traces);
    for (uint32_t i = 0; i < traces.functions; i++)
        traces.entries += !function_is_null(i);
    traces.called = callee();
    traces.global = global_get() == 0 ? 0 : global_get() == tag ? 1 : 2;
    return traces;
}

/* Writes the tag into about half of the pages from `start`, chosen by `number`. */
static void litter(uint8_t *start, uint32_t length, uint64_t tag, uint32_t number)
{
    uint32_t pages = length / PAGE;
    for (uint32_t page = 0; page < pages; page++) {
        uint32_t mix = (number * 31 + page) * 2654435761u;
        if ((mix >> 28 & 1) == 0 && page != number % pages)
            continue;
        uintptr_t place = (uintptr_t)start + page * PAGE + (mix >> 8) % (PAGE - 16);
        *(volatile uint64_t *)((place + 7) & ~(uintptr_t)7) = tag;
    }
}

/* Not the last page: what is called later has its frames there. */
__attribute__((noinline)) static void litter_stack(uint64_t tag, uint32_t number)
{
    uint8_t area[8 * PAGE];
    litter(area, sizeof area - PAGE, tag, number);
    __asm__ volatile("" : : "r"(area) : "memory");
}

static void litter_heap(uint64_t tag, uint32_t number)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t length = (1 + (number + i) % 4) * 8 * PAGE;
        uint8_t *block = malloc(length);
        if (block)
            litter(block, length, tag, number + i);
    }
}

static void litter_grown(uint64_t tag, uint32_t number)
{
    uint32_t pages = 1 + number % 3;
    uint32_t old = (uint32_t)__builtin_wasm_memory_grow(0, pages);
    if (old != (uint32_t)-1)
        litter((uint8_t *)(uintptr_t)(old * WASM_PAGE), pages * WASM_PAGE, tag, number);
}

static void litter_functions(uint32_t number)
{
    for (uint32_t i = number % 3; i < FUNCTIONS; i += 1 + number % 5)
        function_set(i, (uint32_t)other);
    function_replace((uint32_t)callee, (uint32_t)other);
    functions_grow(number % 4);
}

static void litter_handles(uint32_t number)
{
    for (uint32_t i = 0; i < 20 + number % 50; i++)
        wasi_http_types_constructor_fields(); /* never dropped, on purpose */
}

static void leave_traces(guest_string_t places, uint64_t tag, uint32_t number)
{
    for (size_t i = 0; i < places.len; i++) {
        switch (places.ptr[i]) {
        case 's': litter_stack(tag, number); break;
        case 'd': litter(data, sizeof data, tag, number); break;
        case 'b': litter(bss, sizeof bss, tag, number); break;
        case 'h': litter_heap(tag, number); break;
        case 'g': litter_grown(tag, number); break;
        case 'v': global_set(tag); break;
        case 't': __builtin_wasm_table_grow(table, __builtin_wasm_ref_null_extern(), 3); break;
        case 'f': litter_functions(number); break;
        case 'k': litter_handles(number); break;
        default: break;
        }
    }
}

static char *put_text(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, uint32_t number)
{
    char digits[10];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *put_field(char *at, const char *name, uint32_t number)
{
    return put_number(put_text(at, name), number);
}

/* Splits `/PLACES/NUMBER`. */
static guest_string_t parse(guest_string_t path, uint32_t *ret_number)
{
    size_t end = 1;
    while (end < path.len && path.ptr[end] != '/')
        end++;
    uint32_t number = 0;
    for (size_t i = end + 1; i < path.len && path.ptr[i] >= '0' && path.ptr[i] <= '9'; i++)
        number = number * 10 + (uint32_t)(path.ptr[i] - '0');
    *ret_number = number & ((1u << NUMBER_BITS) - 1);
    return (guest_string_t){path.ptr + 1, path.len > 0 ? end - 1 : 0};
}

/* What is not as it should be, in words; the empty string if nothing. Returns where the text ends. */
static char *compare(char *text, const char *when, const struct traces *is, const struct traces *should)
{
    *text = '\0';
    if (memcmp(is, should, sizeof *is) == 0)
        return text;
    text = put_text(put_text(text, "leak "), when);
    if (is->own != should->own || is->foreign != should->foreign)
        text = put_field(put_field(text, " words=", is->own), " of others=", is->foreign);
    if (is->global != should->global)
        text = put_text(text, " global");
    if (is->table != should->table || is->functions != should->functions)
        text = put_field(put_field(text, " table size=", is->table), " functions=", is->functions);
    if (is->entries != should->entries || is->called != should->called)
        text = put_field(put_field(text, " table entries=", is->entries), " called=", is->called);
    *put_text(text, "\n") = '\0';
    return text;
}

/* Nothing of this number was made yet: the host ends the instance. */
static void use_foreign_handle(uint32_t number)
{
    wasi_http_types_list_tuple2_field_name_field_value_t entries;
    wasi_http_types_borrow_fields_t fields = {(int32_t)(10 + number % 10)};
    wasi_http_types_method_fields_entries(fields, &entries);
}

static void wait(uint64_t milliseconds)
{
    wasi_io_poll_own_pollable_t moment = wasi_clocks_monotonic_clock_subscribe_duration(milliseconds * 1000000);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(moment));
}

static void write_without_end(uint64_t tag, uint32_t number)
{
    for (;; number++) {
        litter(data, sizeof data, tag, number);
        litter(bss, sizeof bss, tag, number);
        litter_functions(number);
        global_set(tag + number);
    }
}

static bool names(guest_string_t places, char place)
{
    return memchr(places.ptr, place, places.len) != NULL;
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    char text[512];
    uint32_t number, pages = (uint32_t)__builtin_wasm_memory_size(0);
    guest_string_t path = request_path(request);
    guest_string_t places = parse(path, &number);
    uint64_t tag = make_tag(number);
    struct traces found = look(tag);
    bool clean = compare(text, "before", &found, &fresh) == text;

    if (clean && names(places, 'p')) {
        use_foreign_handle(number);
        *put_text(text, "leak handle\n") = '\0';
        clean = false;
    }
    leave_traces(places, tag, number);
    struct traces left = look(tag), own = left;
    own.foreign = 0;
    clean = clean && compare(text, "in what it grew", &left, &own) == text;
    if (clean && names(places, 'w')) {
        wait(20 + number % 80);
        found = look(tag);
        clean = compare(text, "after", &found, &left) == text;
    }
    if (clean && names(places, 'z'))
        wait(3600000);
    if (clean && names(places, 'l'))
        write_without_end(tag, number);
    if (clean && names(places, 'x'))
        __builtin_trap();
    if (clean) {
        char *at = put_field(put_text(text, "clean"), " pages=", pages);
        at = put_field(at, " handle=", (uint32_t)request.__handle);
        at = put_field(at, " stack=", (uint32_t)(uintptr_t)text);
        at = put_field(at, " wrote=", left.own);
        *put_text(at, "\n") = '\0';
    }
    answer(out, clean ? 200 : 500, text);
}
