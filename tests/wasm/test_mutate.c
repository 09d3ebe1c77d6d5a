/* Hostile bytes: truncated and mutated modules, and allocations that fail. Whatever comes out, it must
 * be an answer with a complete error, and nothing may be read or written out of bounds (run under
 * AddressSanitizer to see that). The seed is printed; MUTATE_SEED repeats a run, MUTATE_COUNT lengthens it;
 * input N of a run has the seed MUTATE_SEED + N. */
#include "wasm/rich.h"

#include "base/alloc.h"
#include "support/mutate.h"

#include <sys/mman.h>
#include <time.h>

static unsigned valid, refused;

#define ROOM ((size_t)4 << 20)
#define MEMORY_MAX ((size_t)256 << 20) /* of one input */

static size_t most_memory;

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
    arena_init(&arena, MEMORY_MAX);
    bool loaded =
        wasm_load(at_the_edge(bytes, size), size, &arena, &module, &err) && build_bodies(module, NULL, NULL, &err);
    most_memory = arena.used > most_memory ? arena.used : most_memory;
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
    ASSERT_VALID(build_rich());
}

static void truncated(void **state)
{
    struct buf b = build_rich();
    for (size_t size = 0; size < b.size; size++)
        feed(b.data, size);
    buf_free(&b);
}

/* Small modules at every byte; of larger ones the head, then a stride that differs from run to run. */
static void truncated_real(void **state)
{
    struct corpus corpus = {0};
    struct dice dice = dice_of(mutate_seed());
    uint32_t whole_below = mutate_count(512, 65536), stride = mutate_count(20011, 1009);
    corpus_fill(&corpus, SOURCE_DIR, ROOM / 2);
    for (uint32_t i = 0; i < corpus.count; i++) {
        const struct corpus_entry *entry = &corpus.entries[i];
        for (size_t size = 0; size < entry->size; size += size < whole_below ? 1 : 1 + dice_roll(&dice, stride))
            feed(entry->bytes, size);
    }
    corpus_free(&corpus);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void mutated(void **state)
{
    struct corpus corpus = {0};
    struct buf rich = build_rich();
    uint64_t first = mutate_seed(), slowest_seed = 0;
    double slowest = 0;
    uint32_t count = mutate_count(12000, 100000);
    for (int i = 0; i < 16; i++)
        corpus_add(&corpus, rich.data, rich.size, ROOM);
    corpus_fill(&corpus, SOURCE_DIR, (size_t)512 << 10);
    valid = refused = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct timespec start;
        struct dice dice = dice_of(first + i);
        size_t size;
        uint8_t *bytes = mutate_any(&corpus, &dice, &size);
        assert_non_null(bytes);
        clock_gettime(CLOCK_MONOTONIC, &start);
        feed(bytes, size);
        double took = seconds_since(&start);
        if (took > slowest)
            slowest = took, slowest_seed = first + i;
        free(bytes);
    }
    print_message("%u valid, %u refused; slowest %.1f ms (MUTATE_SEED=%llu MUTATE_COUNT=1), most memory %zu KiB\n",
                  valid, refused, slowest * 1e3, (unsigned long long)slowest_seed, most_memory >> 10);
    assert_true(most_memory <= MEMORY_MAX);
    corpus_free(&corpus);
    buf_free(&rich);
}

/* The Nth allocation fails, for every N until none does. */
static void out_of_memory(void **state)
{
    struct buf b = build_rich();
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
        cmocka_unit_test(whole),   cmocka_unit_test(truncated),     cmocka_unit_test(truncated_real),
        cmocka_unit_test(mutated), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
