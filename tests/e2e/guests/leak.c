/* The leak hunter: every request first looks for what an earlier one left, then leaves as much as it
 * can itself.
 *
 * It searches its whole memory, a global, a table and the numbers of its handles for traces of an
 * earlier instance. Then it writes a tag to the places that the path names:
 *
 *     /PLACES/NUMBER    s stack  d data  b bss  h heap  g grown memory  v global  t table  k handles
 *                       x trap afterwards
 *
 * NUMBER decides which pages of a place are written. The answer is `clean pages=P handle=H wrote=W`
 * or `leak ...`; P and H must be the same for every request, W is the number of tags that the same
 * search finds after writing, so that a search that finds nothing ever would be noticed.
 *
 * The tag is computed from a seed, so it stands nowhere in the component itself.
 */
#include "answer.h"

#include <stdlib.h>

enum { PAGE = 4096, WASM_PAGE = 65536 };

static volatile uint64_t seed = 0x6d61796d61796d61ull;
static uint8_t bss[40 * PAGE];
static uint8_t data[12 * PAGE] = {1};

/* A mutable global of the module: C has none, the assembler does. */
__asm__(".globaltype secret_global, i64\n"
        ".globl secret_global\n"
        "secret_global:\n");

static __externref_t table[0];

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

static uint64_t make_tag(void)
{
    return (seed ^ 0x5ec2e75ec2e75ec2ull) * 0x9e3779b97f4a7c15ull | 1;
}

/* Number of words that hold the tag; the address of the last one. */
static uint32_t search(uint64_t tag, uint32_t *ret_address)
{
    uint32_t found = 0;
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    for (uint32_t address = 0; address < end; address += sizeof tag) {
        const volatile uint64_t *word = (const volatile uint64_t *)(uintptr_t)address;
        if (*word != tag)
            continue;
        found++;
        *ret_address = address;
    }
    return found;
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

__attribute__((noinline)) static void litter_stack(uint64_t tag, uint32_t number)
{
    uint8_t area[8 * PAGE];
    litter(area, sizeof area, tag, number);
    __asm__ volatile("" : : "r"(area) : "memory");
}

static void litter_heap(uint64_t tag, uint32_t number)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t length = (1 + (number + i) % 4) * 24 * PAGE;
        uint8_t *block = malloc(length);
        if (block)
            litter(block, length, tag, number + i);
    }
}

static void litter_grown(uint64_t tag, uint32_t number)
{
    uint32_t pages = 1 + number % 5;
    uint32_t old = (uint32_t)__builtin_wasm_memory_grow(0, pages);
    if (old != (uint32_t)-1)
        litter((uint8_t *)(uintptr_t)(old * WASM_PAGE), pages * WASM_PAGE, tag, number);
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
    *ret_number = number;
    return (guest_string_t){path.ptr + 1, path.len > 0 ? end - 1 : 0};
}

/* What an earlier instance left, in words; the empty string if nothing. */
static void describe_leaks(char *text, uint64_t tag)
{
    uint32_t address = 0;
    uint32_t found = search(tag, &address);
    if (found > 0)
        text = put_field(put_field(text, "leak words=", found), " at=", address);
    if (global_get() != 0)
        text = put_text(text, "leak global");
    if (__builtin_wasm_table_size(table) != 0)
        text = put_text(text, "leak table");
    *text = '\0';
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    char text[256];
    uint64_t tag = make_tag();
    uint32_t pages = (uint32_t)__builtin_wasm_memory_size(0);
    describe_leaks(text, tag);

    uint32_t number;
    guest_string_t path = request_path(request);
    guest_string_t places = parse(path, &number);
    leave_traces(places, tag, number);
    if (memchr(places.ptr, 'x', places.len))
        __builtin_trap();
    if (text[0] == '\0') {
        uint32_t address;
        char *at = put_field(put_text(text, "clean"), " pages=", pages);
        at = put_field(at, " handle=", (uint32_t)request.__handle);
        at = put_field(at, " wrote=", search(tag, &address));
        *put_text(at, "\n") = '\0';
    }
    answer(out, text[0] == 'c' ? 200 : 500, text);
}
