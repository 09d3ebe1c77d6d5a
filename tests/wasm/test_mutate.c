/* Hostile bytes: truncated and mutated modules. Whatever comes out, it must be an answer with a complete error, within
 * a second of processor time and 256 MiB, without a leak, and nothing may be read or written out of bounds (run under
 * AddressSanitizer to see that). The seed is printed; MUTATE_SEED repeats a run, MUTATE_COUNT lengthens it; input N of
 * a run has the seed MUTATE_SEED + N. Several processes share the work by MUTATE_PART. Allocations that fail:
 * tests/faults. */
#include "wasm/rich.h"

#include "base/alloc.h"
#include "support/mutate.h"
#include "support/ways.h"

#include <sys/mman.h>
#include <time.h>

static unsigned valid, refused;

#define ROOM ((size_t)4 << 20) /* of the largest module */
#define COMPARED_MAX 16384u /* larger ones take too long three times */
#define MEMORY_MAX ((size_t)256 << 20) /* of one input */
#define SECONDS_MAX 1.0                /* of processor time, of one input */

/* The worst of what was fed. */
static struct {
    uint64_t memory;
    double seconds;
    uint64_t seed; /* of the slowest, or its size */
} worst;

/* AddressSanitizer sees reads of what is poisoned. */
extern void __asan_poison_memory_region(const volatile void *at, size_t size) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *at, size_t size) __attribute__((weak));

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A copy that ends where memory ends, so that reading past it faults. */
static uint8_t *at_the_edge(const uint8_t *bytes, size_t size)
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

static bool load(const uint8_t *bytes, size_t size, struct err *err)
{
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, MEMORY_MAX);
    bool loaded = wasm_load(bytes, size, &arena, &module, err) && build_bodies(module, NULL, NULL, err);
    arena_free(&arena);
    return loaded;
}

/* The other ways to read bodies say the same. */
static void compare(const uint8_t *bytes, size_t size, uint64_t seed)
{
    bool valid;
    struct err err;
    const char *difference;
    if (size <= COMPARED_MAX && !ways_agree(bytes, size, &valid, &err, &difference))
        fail_msg("seed or size %llu, %zu bytes: %s", (unsigned long long)seed, size, difference);
}

/* `seed`: what to print of an input that is too slow or too large; of a truncated one, its size. */
static void feed(const uint8_t *bytes, size_t size, uint64_t seed)
{
    struct err err = {0};
    uint64_t live = mem_live();
    mem_peak();
    double start = seconds_now();
    bool loaded = load(bytes, size, &err);
    double took = seconds_now() - start;
    uint64_t memory = mem_peak();
    valid += loaded;
    refused += !loaded;
    if (took > worst.seconds)
        worst.seconds = took, worst.seed = seed;
    worst.memory = memory > worst.memory ? memory : worst.memory;
    if (memory > MEMORY_MAX || took > SECONDS_MAX || mem_live() != live)
        fail_msg("seed or size %llu, %zu bytes: %.3f s, %llu bytes of memory, %llu blocks left",
                 (unsigned long long)seed, size, took, (unsigned long long)memory,
                 (unsigned long long)(mem_live() - live));
    compare(bytes, size, seed);
    if (loaded)
        return;
    assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    assert_true(err.message[0] != '\0');
    assert_true(err.offset <= size);
}

static void begin(void)
{
    valid = refused = 0;
    memset(&worst, 0, sizeof worst);
}

static void report(const char *what)
{
    char memory[64] = "not measured in this build";
    if (worst.memory)
        snprintf(memory, sizeof memory, "%llu KiB", (unsigned long long)(worst.memory >> 10));
    print_message("%u valid, %u refused; slowest %.1f ms (%s %llu), most memory %s\n", valid, refused,
                  worst.seconds * 1e3, what, (unsigned long long)worst.seed, memory);
}

static void whole(void **state)
{
    ASSERT_VALID(build_rich());
}

/* From the end, so that each step hides one more byte; without a sanitizer a small module is copied to the edge of
 * memory each time. Of every `part.of` steps, one is this process's. */
static void cut(const struct corpus_entry *entry, struct dice *dice, uint32_t stride, struct mutate_part part)
{
    uint8_t *copy = at_the_edge(entry->bytes, entry->size);
    bool poison = __asan_poison_memory_region != NULL;
    uint32_t turn = 0;
    for (size_t size = entry->size, next; size > 0; size = next) {
        uint32_t step = 1 + dice_roll(dice, stride);
        next = size > step ? size - step : 0;
        if (poison)
            __asan_poison_memory_region(copy + next, size - next);
        if (turn++ % part.of == part.number - 1)
            feed(poison || entry->size > 65536 ? copy : at_the_edge(entry->bytes, next), next, next);
    }
    if (poison)
        __asan_unpoison_memory_region(copy, entry->size);
}

static void truncated(void **state)
{
    struct buf rich = build_rich();
    struct dice dice = dice_of(1);
    cut(&(struct corpus_entry){rich.data, rich.size}, &dice, 1, mutate_part());
    buf_free(&rich);
}

/* At every byte; of what is larger than what is in the tree only with MAYFLY_TEST_FULL, else in random strides. */
static void truncated_real(void **state)
{
    struct corpus corpus = {0};
    struct dice dice = dice_of(mutate_seed());
    struct mutate_part part = mutate_part();
    uint32_t stride = mutate_count(2 * 4999, 1);
    begin();
    corpus_fill(&corpus, SOURCE_DIR, ROOM);
    for (uint32_t i = 0; i < corpus.count; i++)
        cut(&corpus.entries[i], &dice, corpus.entries[i].size > ((size_t)128 << 10) ? stride : 1, part);
    report("cut at");
    corpus_free(&corpus);
}

static void mutated(void **state)
{
    struct corpus corpus = {0};
    struct buf rich = build_rich();
    uint64_t first = mutate_seed();
    struct mutate_part part = mutate_part();
    uint32_t count = mutate_count(12000, 100000);
    begin();
    for (int i = 0; i < 8; i++)
        corpus_add(&corpus, rich.data, rich.size, ROOM);
    corpus_fill(&corpus, SOURCE_DIR, ROOM - 65536);
    for (uint32_t i = part.number - 1; i < count; i += part.of) {
        struct dice dice = dice_of(first + i);
        size_t size;
        uint8_t *bytes = mutate_any(&corpus, &dice, &size);
        assert_non_null(bytes);
        feed(at_the_edge(bytes, size), size, first + i);
        free(bytes);
    }
    report("MUTATE_COUNT=1 MUTATE_SEED");
    corpus_free(&corpus);
    buf_free(&rich);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(truncated),
        cmocka_unit_test(truncated_real),
        cmocka_unit_test(mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
