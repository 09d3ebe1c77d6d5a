/* Hostile bytes: truncated and mutated modules, and allocations that fail. Whatever comes out, it must
 * be an answer with a complete error, and nothing may be read or written out of bounds (run under
 * AddressSanitizer to see that). The seed is printed; MUTATE_SEED repeats a run, MUTATE_ROUNDS
 * lengthens it. */
#include "wasm/build.h"

#include "base/alloc.h"

#include <sys/mman.h>
#include <time.h>

/* Something of everything: types, imports, tables, memories, tags, segments, blocks, vectors, GC. */
static struct buf rich_module(void)
{
    struct buf b = build_module(), body = build_new();
    SECTION(&b, 1, 4, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0, 0x4e, 2, 0x50, 0, 0x5f, 2, 0x7f, 1, 0x63, 3, 0, 0x5e, 0x78, 1,
            0x60, 1, 0x7f, 0);
    SECTION(&b, 2, 2, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 'g', 3, 0x7f, 0);
    SECTION(&b, 3, 1, 0);
    SECTION(&b, 4, 2, 0x70, 1, 2, 9, 0x40, 0, 0x64, 0x70, 0, 1, 0xd2, 0, 0x0b);
    SECTION(&b, 5, 2, 1, 1, 2, 5, 1, 2);
    SECTION(&b, 13, 1, 0, 4);
    SECTION(&b, 6, 2, 0x7f, 1, 0x41, 1, 0x41, 2, 0x6a, 0x0b, 0x63, 2, 0, 0xfb, 1, 2, 0x0b);
    SECTION(&b, 7, 2, 1, 'a', 0, 1, 1, 'b', 2, 0);
    SECTION(&b, 9, 2, 0, 0x41, 0, 0x0b, 1, 0, 5, 0x70, 1, 0xd0, 0x70, 0x0b);
    SECTION(&b, 12, 1);
    BYTES(&body, 2, 1, 0x7e, 1, 0x64, 2);
    BYTES(&body, 0x20, 0, 0x04, 0x40, 0x41, 4, 0x41, 0, 0x28, 2, 0, 0x6a, 0x1a, 0x05, 0x42, 1, 0x21, 1, 0x0b);
    BYTES(&body, 0x41, 1, 0xd0, 3, 0xfb, 0, 2, 0x21, 2, 0x20, 2, 0xfb, 2, 2, 0, 0x1a);
    BYTES(&body, 0x02, 0x40, 0x1f, 0x40, 1, 2, 0, 0x41, 1, 0x08, 0, 0x0b, 0x0b);
    BYTES(&body, 0x41, 0, 0xfd, 15, 0xfd, 22, 3, 0x1a, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0);
    BYTES(&body, 0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x0e, 2, 0, 1, 0, 0x0b, 0x0b);
    BYTES(&body, 0x42, 0, 0x41, 1, 0x36, 0x42, 1, 8, 0x20, 0, 0x10, 0, 0x41, 0, 0x11, 0, 0, 0x0b);
    build_code(&b, body);
    SECTION(&b, 11, 1, 0, 0x41, 0, 0x0b, 3, 'a', 'b', 'c');
    SECTION(&b, 0, 4, 'n', 'a', 'm', 'e', 1, 4, 1, 0, 1, 'f');
    return b;
}

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

static unsigned valid, refused;

#define ROOM ((size_t)1 << 16)

/* A copy that ends where memory ends, so that reading past it faults. */
static const uint8_t *at_the_edge(const uint8_t *bytes, size_t size)
{
    static uint8_t *room;
    if (!room) {
        room = mmap(NULL, ROOM * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(room, MAP_FAILED);
        assert_int_equal(mprotect(room + ROOM, ROOM, PROT_NONE), 0);
    }
    assert_true(size <= ROOM);
    return memcpy(room + ROOM - size, bytes, size);
}

static void feed(const uint8_t *bytes, size_t size)
{
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, BUILD_MAX);
    bool loaded =
        wasm_load(at_the_edge(bytes, size), size, &arena, &module, &err) && build_bodies(module, NULL, NULL, &err);
    arena_free(&arena);
    valid += loaded;
    refused += !loaded;
    if (loaded)
        return;
    assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    assert_true(err.message[0] != '\0');
    assert_true(err.offset <= size);
}

static void whole(void **state)
{
    ASSERT_VALID(rich_module());
}

static void truncated(void **state)
{
    struct buf b = rich_module();
    for (size_t size = 0; size < b.size; size++)
        feed(b.data, size);
    buf_free(&b);
}

static void mutate(struct buf *b)
{
    static const uint8_t interesting[] = {0x00, 0x01, 0x0b, 0x40, 0x60, 0x63, 0x64, 0x70, 0x7f, 0x80, 0xfb, 0xfd, 0xff};
    for (uint32_t i = 0; i <= dice(3); i++) {
        uint8_t *byte = &b->data[8 + dice((uint32_t)b->size - 8)];
        switch (dice(3)) {
        case 0: *byte ^= (uint8_t)(1u << dice(8)); break;
        case 1: *byte = interesting[dice(sizeof interesting)]; break;
        default: *byte = b->data[8 + dice((uint32_t)b->size - 8)]; break;
        }
    }
}

static void mutated(void **state)
{
    const char *given = getenv("MUTATE_SEED"), *rounds = getenv("MUTATE_ROUNDS");
    uint64_t first = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) | 1;
    unsigned long count = rounds ? strtoul(rounds, NULL, 0) : 30000;
    print_message("MUTATE_SEED=%llu\n", (unsigned long long)first);
    seed = first;
    struct buf original = rich_module();
    valid = refused = 0;
    for (unsigned long i = 0; i < count; i++) {
        struct buf copy = build_new();
        buf_append(&copy, original.data, original.size);
        mutate(&copy);
        feed(copy.data, copy.size);
        buf_free(&copy);
    }
    print_message("%u valid, %u refused\n", valid, refused);
    buf_free(&original);
}

/* The Nth allocation fails, for every N until none does. */
static void out_of_memory(void **state)
{
    struct buf b = rich_module();
    bool loaded = false;
    for (uint64_t nth = 1; !loaded; nth++) {
        struct err err = {0};
        struct arena arena;
        struct wasm_module *module;
        arena_init(&arena, BUILD_MAX);
        mem_fail_at(nth);
        loaded = wasm_load(b.data, b.size, &arena, &module, &err) && build_bodies(module, NULL, NULL, &err);
        mem_fail_at(0);
        arena_free(&arena);
        assert_true(loaded || err.kind == ERR_MEMORY);
        assert_true(nth < 1000);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(truncated),
        cmocka_unit_test(mutated),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
