/* Strings from one component instance to another, in all pairs of encodings: over two memories made by hand, with a
 * realloc that keeps to the rules, and with ones that do not. What is written is compared with an encoder of this
 * file's own, and so is the order of allocations. Bytes around what realloc gave must stay as they were. */
#include "component/canon.h"
#include "component/transcode.h"
#include "runtime/trap.h"
#include "support/alone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define MEMORY_SIZE 65536u
#define TAG 0x80000000u
#define UNTOUCHED 0xa5
#define POINTS_MAX 64u
#define REALLOC_REF 0x100000001ull

static struct world {
    struct store store __attribute__((aligned(64)));
    struct handles from, to;
    uint64_t from_size, to_size;
    uint8_t source[MEMORY_SIZE + 8] __attribute__((aligned(4096)));
    uint8_t target[MEMORY_SIZE] __attribute__((aligned(4096)));
} *world;

static struct canon_env env, peer;
static struct {
    uint32_t heap, calls;
    uint32_t block, size; /* the last one, and how large */
    uint64_t params[8][4];
    int64_t answer; /* instead of a block; -1: none */
    void (*mischief)(void);
} guest;
static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

/* ---- the runtime, as far as it is needed ---- */

struct host {
    struct arena scratch;
    struct activity activity;
};

struct arena *host_scratch(struct host *h)
{
    return &h->scratch;
}

struct arena *host_arena(struct host *h)
{
    return &h->scratch;
}

struct activity *host_activity(struct host *h)
{
    return &h->activity;
}

/* Blocks from below, each moved to a new place, as realloc may do. */
bool guest_call_ints(struct store *store, uint64_t funcref, const uint64_t *params, uint32_t count,
                     uint64_t *ret_result)
{
    assert_int_equal(funcref, REALLOC_REF);
    assert_int_equal(count, 4);
    assert_int_equal(world->to.no_leave.u32, 1);
    assert_true(guest.calls < 8);
    memcpy(guest.params[guest.calls++], params, sizeof guest.params[0]);
    uint32_t align = (uint32_t)params[2], size = (uint32_t)params[3], old = (uint32_t)params[1];
    if (guest.mischief)
        guest.mischief();
    if (guest.answer >= 0) {
        *ret_result = (uint64_t)guest.answer;
        return true;
    }
    uint32_t at = (guest.heap + 16 + align - 1) & ~(align - 1);
    guest.heap = at + size;
    assert_true(guest.heap + 16 <= MEMORY_SIZE);
    memmove(world->target + at, world->target + params[0], old < size ? old : size);
    guest.block = at;
    guest.size = size;
    *ret_result = at;
    return true;
}

/* ---- a transcoding ---- */

static void begin(enum string_encoding from, enum string_encoding to)
{
    static struct host host;
    memset(world, 0, offsetof(struct world, source));
    memset(world->source, 0, 1024);
    memset(world->target, UNTOUCHED, sizeof world->target);
    memset(&guest, 0, sizeof guest);
    guest.answer = -1;
    guest.heap = 64;
    world->store.host = &host;
    world->from_size = world->to_size = MEMORY_SIZE;
    env = (struct canon_env){.name = STR("f"), .peer = &peer};
    env.canon = (struct image_canon){.memory_off = offsetof(struct world, source),
                                     .memory_size_off = offsetof(struct world, from_size),
                                     .handles_off = offsetof(struct world, from),
                                     .encoding = from};
    peer = env;
    peer.canon = (struct image_canon){.memory_off = offsetof(struct world, target),
                                      .memory_size_off = offsetof(struct world, to_size),
                                      .handles_off = offsetof(struct world, to),
                                      .realloc_ref = REALLOC_REF,
                                      .encoding = to};
}

static bool run(uint32_t at, uint32_t units, union cell v[2])
{
    v[0].u64 = at;
    v[1].u64 = units;
    return fuse_string(&world->store, &env, v);
}

/* ---- an encoder to compare with ---- */

static size_t put(uint8_t *to, const uint32_t *points, uint32_t count, int width)
{
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = points[i];
        if (width == 0) { /* UTF-8 */
            uint32_t more = p < 0x80 ? 0 : p < 0x800 ? 1 : p < 0x10000 ? 2 : 3;
            static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
            to[n++] = (uint8_t)(leads[more] | p >> (6 * more));
            while (more--)
                to[n++] = (uint8_t)(0x80 | (p >> (6 * more) & 0x3f));
        } else if (width == 1) {
            to[n++] = (uint8_t)p;
        } else {
            uint32_t units[2] = {p, 0}, used = 1;
            if (p >= 0x10000) {
                units[0] = 0xd800 + ((p - 0x10000) >> 10);
                units[1] = 0xdc00 + (p & 0x3ff);
                used = 2;
            }
            for (uint32_t u = 0; u < used; u++) {
                to[n++] = (uint8_t)units[u];
                to[n++] = (uint8_t)(units[u] >> 8);
            }
        }
    }
    return n;
}

static bool is_latin1(const uint32_t *points, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (points[i] > 0xff)
            return false;
    return true;
}

static uint32_t any_point(uint32_t kind)
{
    uint32_t point;
    switch (kind) {
    case 0: return dice(0x80);
    case 1: return dice(0x100);
    case 2: return dice(0x800);
    case 3: point = dice(0x10000); break;
    default: point = dice(0x110000);
    }
    return point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
}

/* In the encoding, at `at`; with the length's tag. */
static uint32_t place(const uint32_t *points, uint32_t count, enum string_encoding encoding, bool wide, uint8_t *to)
{
    if (encoding == ENCODING_UTF8)
        return (uint32_t)put(to, points, count, 0);
    if (encoding == ENCODING_LATIN1_UTF16 && !wide)
        return (uint32_t)put(to, points, count, 1);
    return (uint32_t)put(to, points, count, 2) / 2 | (encoding == ENCODING_LATIN1_UTF16 ? TAG : 0);
}

static void try_one(enum string_encoding from, enum string_encoding to)
{
    uint32_t points[POINTS_MAX], count = dice(POINTS_MAX), kind = dice(5);
    union cell v[2];
    uint8_t expected[4 * POINTS_MAX];
    for (uint32_t i = 0; i < count; i++)
        points[i] = any_point(dice(4) ? dice(kind + 1) : kind);
    begin(from, to);
    bool wide = !is_latin1(points, count) || dice(2);
    uint32_t units = place(points, count, from, wide, world->source + 256);
    if (!run(256, units, v))
        fail_msg("%u to %u: %s", from, to, world->store.trap_message);
    uint32_t size = place(points, count, to, !is_latin1(points, count), expected), bytes = size;
    if (to == ENCODING_UTF16 || (size & TAG))
        bytes = 2 * (size & ~TAG);
    assert_int_equal(v[1].u32, size);
    assert_memory_equal(world->target + v[0].u32, expected, bytes);
    assert_int_equal(guest.block, v[0].u32);
    assert_int_equal(guest.size, bytes); /* nothing is kept that is not needed */
    for (uint32_t i = 1; i <= 16; i++)
        assert_int_equal(world->target[guest.heap + i - 1], UNTOUCHED);
    assert_int_equal(world->to.no_leave.u32, 0);
    /* Each reallocation names the block before it. */
    for (uint32_t i = 0; i < guest.calls; i++)
        assert_int_equal(guest.params[i][1], i ? guest.params[i - 1][3] : 0);
}

static void all_pairs(void **state)
{
    (void)state;
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++)
            for (int i = 0; i < 3000; i++)
                try_one((enum string_encoding)from, (enum string_encoding)to);
}

/* ---- allocations, as the specification orders them ---- */

static void expect_calls(enum string_encoding from, const char *bytes, uint32_t size, uint32_t units,
                         enum string_encoding to, const uint32_t *aligns_and_sizes, uint32_t calls)
{
    union cell v[2];
    begin(from, to);
    memcpy(world->source + 256, bytes, size);
    assert_true(run(256, units, v));
    assert_int_equal(guest.calls, calls);
    for (uint32_t i = 0; i < calls; i++) {
        assert_int_equal(guest.params[i][2], aligns_and_sizes[2 * i]);
        assert_int_equal(guest.params[i][3], aligns_and_sizes[2 * i + 1]);
    }
}

static void allocations(void **state)
{
    (void)state;
    static const char umlaut[] = "a\xc3\xa9", euro[] = "a\xe2\x82\xac", wide_umlaut[] = "a\0\xe9\0", wide_a[] = "a\0";
    expect_calls(ENCODING_UTF8, umlaut, 3, 3, ENCODING_UTF8, (uint32_t[]){1, 3}, 1);
    expect_calls(ENCODING_UTF8, umlaut, 3, 3, ENCODING_UTF16, (uint32_t[]){2, 6, 2, 4}, 2);
    expect_calls(ENCODING_UTF8, umlaut, 3, 3, ENCODING_LATIN1_UTF16, (uint32_t[]){2, 3, 2, 2}, 2);
    expect_calls(ENCODING_UTF8, euro, 4, 4, ENCODING_LATIN1_UTF16, (uint32_t[]){2, 4, 2, 8, 2, 4}, 3);
    expect_calls(ENCODING_UTF16, wide_umlaut, 4, 2, ENCODING_UTF8, (uint32_t[]){1, 2, 1, 6, 1, 3}, 3);
    expect_calls(ENCODING_UTF16, wide_a, 2, 1, ENCODING_UTF8, (uint32_t[]){1, 1}, 1);
    expect_calls(ENCODING_UTF16, wide_umlaut, 4, 2, ENCODING_LATIN1_UTF16, (uint32_t[]){2, 2}, 1);
    expect_calls(ENCODING_LATIN1_UTF16, "a\xe9", 2, 2, ENCODING_UTF8, (uint32_t[]){1, 2, 1, 4, 1, 3}, 3);
    expect_calls(ENCODING_LATIN1_UTF16, "a\xe9", 2, 2, ENCODING_UTF16, (uint32_t[]){2, 4}, 1);
    expect_calls(ENCODING_LATIN1_UTF16, wide_umlaut, 4, 2 | TAG, ENCODING_LATIN1_UTF16, (uint32_t[]){2, 4, 1, 2}, 2);
    expect_calls(ENCODING_UTF8, "", 0, 0, ENCODING_UTF8, (uint32_t[]){1, 0}, 1);
}

/* ---- sources that are none ---- */

static void expect_trap(enum string_encoding from, uint32_t at, uint32_t units, const char *message)
{
    union cell v[2];
    if (run(at, units, v))
        fail_msg("encoding %u, %u units at 0x%x: taken", from, units, at);
    if (strncmp(world->store.trap_message, message, strlen(message)) != 0)
        fail_msg("trapped with \"%s\" and not \"%s\"", world->store.trap_message, message);
    assert_int_equal(guest.calls, 0);
}

static void bad_sources(void **state)
{
    static const struct {
        enum string_encoding encoding;
        uint32_t at, units;
        const char *message;
    } cases[] = {
        {ENCODING_UTF8, MEMORY_SIZE, 1, "pointer 0x10000"},
        {ENCODING_UTF8, MEMORY_SIZE + 1, 0, "pointer 0x10001"},
        {ENCODING_UTF8, MEMORY_SIZE - 1, 2, "pointer 0xffff"},
        {ENCODING_UTF8, UINT32_MAX, UINT32_MAX, "4294967295 bytes"},
        {ENCODING_UTF8, 256, 1u << 28, "268435456 bytes"},
        {ENCODING_UTF16, 257, 1, "unaligned pointer"},
        {ENCODING_UTF16, MEMORY_SIZE - 2, 2, "pointer 0xfffe"},
        {ENCODING_UTF16, 256, 1u << 27, "268435456 bytes"},
        {ENCODING_UTF16, 256, UINT32_MAX, "8589934590 bytes"},
        {ENCODING_LATIN1_UTF16, 257, 1, "unaligned pointer"},
        {ENCODING_LATIN1_UTF16, 257, 0, "unaligned pointer"},
        {ENCODING_LATIN1_UTF16, 256, 1u << 28, "268435456 bytes"},
        {ENCODING_LATIN1_UTF16, 256, TAG | 1u << 27, "268435456 bytes"},
        {ENCODING_LATIN1_UTF16, MEMORY_SIZE - 2, TAG | 2, "pointer 0xfffe"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].encoding, ENCODING_UTF8);
        expect_trap(cases[i].encoding, cases[i].at, cases[i].units, cases[i].message);
    }
}

static void not_well_formed(void **state)
{
    static const char *const utf8[] = {"\x80",
                                       "\xc3",
                                       "\xc0\x80",
                                       "\xe0\x80\x80",
                                       "\xed\xa0\x80",
                                       "\xf0\x80\x80\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xff",
                                       "a\xe2\x82",
                                       "\xf8\x88\x80\x80\x80"};
    static const uint16_t utf16[][2] = {
        {0xd800, 'a'}, {0xdc00, 'a'}, {'a', 0xd800}, {0xd800, 0xd800}, {0xdfff, 0xd800}};
    (void)state;
    for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++) {
        begin(ENCODING_UTF8, ENCODING_UTF16);
        memcpy(world->source + 256, utf8[i], strlen(utf8[i]));
        expect_trap(ENCODING_UTF8, 256, (uint32_t)strlen(utf8[i]), "string is not UTF-8");
    }
    for (size_t i = 0; i < sizeof utf16 / sizeof *utf16; i++)
        for (int tagged = 0; tagged < 2; tagged++) {
            begin(tagged ? ENCODING_LATIN1_UTF16 : ENCODING_UTF16, ENCODING_UTF8);
            memcpy(world->source + 256, utf16[i], 4);
            expect_trap(ENCODING_UTF16, 256, tagged ? 2 | TAG : 2, "string is not UTF-16");
        }
}

/* ---- reallocs that break the rules ---- */

static void bad_reallocs(void **state)
{
    union cell v[2];
    (void)state;
    for (int to = 0; to < 3; to++) {
        begin(ENCODING_UTF8, (enum string_encoding)to);
        world->source[256] = 'a';
        guest.answer = MEMORY_SIZE;
        assert_false(run(256, 1, v));
        assert_non_null(strstr(world->store.trap_message, "realloc return: beyond end of memory"));
        begin(ENCODING_UTF8, (enum string_encoding)to);
        guest.answer = UINT32_MAX;
        assert_false(run(256, 2, v));
        assert_non_null(strstr(world->store.trap_message, "realloc return: "));
        if (to == ENCODING_UTF8)
            continue;
        begin(ENCODING_UTF8, (enum string_encoding)to);
        guest.answer = 257;
        assert_false(run(256, 1, v));
        assert_non_null(strstr(world->store.trap_message, "realloc return: result not aligned"));
    }
    begin(ENCODING_UTF8, ENCODING_UTF8);
    peer.canon.realloc_ref = 0;
    assert_false(run(256, 1, v));
    assert_non_null(strstr(world->store.trap_message, "no realloc or memory"));
}

static void scribble(void)
{
    for (uint32_t i = 0; i < 256; i++)
        world->source[256 + i] = (uint8_t)dice(256);
}

/* The source changes while realloc runs, as where both sides share a memory: whatever comes of it, it is written where
 * realloc said, and nowhere else. */
static void changing_sources(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        enum string_encoding from = (enum string_encoding)dice(3), to = (enum string_encoding)dice(3);
        uint32_t points[POINTS_MAX], count = dice(POINTS_MAX), kind = dice(5);
        union cell v[2];
        for (uint32_t p = 0; p < count; p++)
            points[p] = any_point(kind);
        begin(from, to);
        uint32_t units = place(points, count, from, !is_latin1(points, count) || dice(2), world->source + 256);
        guest.mischief = scribble;
        if (run(256, units, v)) {
            uint32_t bytes = (to == ENCODING_UTF16 || (v[1].u32 & TAG)) ? 2 * (v[1].u32 & ~TAG) : v[1].u32;
            assert_true(v[0].u32 == guest.block && bytes <= guest.size);
        }
        for (uint32_t b = 0; b < 16; b++)
            assert_int_equal(world->target[guest.heap + b], UNTOUCHED);
    }
}

int main(void)
{
    const char *text = getenv("TRANSCODE_SEED");
    seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("TRANSCODE_SEED=%llu\n", (unsigned long long)seed);
    world = aligned_alloc(4096, (sizeof *world + 4095) & ~(size_t)4095);
    if (!world)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs),       cmocka_unit_test(allocations),  cmocka_unit_test(bad_sources),
        cmocka_unit_test(not_well_formed), cmocka_unit_test(bad_reallocs), cmocka_unit_test(changing_sources),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(world);
    return failed;
}
