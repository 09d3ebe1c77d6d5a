/* The canonical ABI at the host's border: the glue that wit-bindings writes for tests/wit/golden/demo.wit, called
 * as guest code would call it, over a store made by hand. The implementations below record what they were given.
 *
 * What a hostile guest may hand over is tried on every kind of parameter: pointers and lengths at and behind the
 * end of memory, misaligned ones, discriminants and characters out of range, bytes that are not UTF-8, handles of
 * another type, unknown, lent or borrowed.
 */
#include "base/alloc.h"
#include "component/canon.h"
#include "runtime/trap.h"
#include "support/alone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wit/golden/interfaces.c"
#include "wit/golden/test_demo.c"

#define MEMORY_SIZE 65536u
#define GROWN_SIZE (2 * MEMORY_SIZE)

struct host {
    struct arena scratch;
    struct activity activity;
    uint32_t dropped;
};

struct test_demo_thing {
    int number;
};

/* --- a store by hand --- */

/* Handles, the size word and memory behind the store, as a slot has them. */
static struct world {
    struct store store __attribute__((aligned(64)));
    struct handles handles;
    uint64_t size;
    uint8_t memory[GROWN_SIZE] __attribute__((aligned(4096)));
} *world;

static struct host host;
static struct canon_env env;
static union cell v[20];
static uint32_t heap;               /* the guest allocator: a bump pointer */
static bool grow, misalign, beyond; /* how realloc misbehaves */
static uint32_t reallocs;
static uint64_t last_realloc[4];
static uint64_t destroyed;

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

#define REALLOC_REF 0x100000001ull
#define DTOR_REF 0x100000002ull

static uint64_t guest_realloc(const uint64_t *params)
{
    reallocs++;
    memcpy(last_realloc, params, sizeof last_realloc);
    uint32_t at = (heap + (uint32_t)params[2] - 1) & ~((uint32_t)params[2] - 1);
    if (params[0])
        memmove(world->memory + at, world->memory + params[0], params[1] < params[3] ? params[1] : params[3]);
    heap = at + (uint32_t)params[3];
    if (grow)
        world->size = GROWN_SIZE;
    return beyond ? world->size : at + misalign;
}

bool guest_call_ints(struct store *store, uint64_t funcref, const uint64_t *params, uint32_t count,
                     uint64_t *ret_result)
{
    assert_ptr_equal(store, &world->store);
    if (funcref == DTOR_REF) {
        assert_int_equal(count, 1);
        destroyed = params[0];
        return true;
    }
    assert_int_equal(funcref, REALLOC_REF);
    assert_int_equal(count, 4);
    assert_int_equal(world->handles.no_leave.u32, 1);
    *ret_result = guest_realloc(params);
    return true;
}

static int setup(void **state)
{
    world = aligned_alloc(4096, (sizeof *world + 4095) / 4096 * 4096);
    memset(world, 0, sizeof *world);
    world->store.host = &host;
    world->size = MEMORY_SIZE;
    heap = 1024;
    grow = misalign = beyond = false;
    reallocs = 0;
    memset(v, 0xee, sizeof v); /* upper bits are undefined */
    host = (struct host){0};
    arena_init(&host.scratch, 1 << 20);
    env = (struct canon_env){.interface = STR("test:demo/calls"), .name = STR("f")};
    env.canon = (struct image_canon){.memory_off = offsetof(struct world, memory),
                                     .memory_size_off = offsetof(struct world, size),
                                     .realloc_ref = REALLOC_REF,
                                     .handles_off = offsetof(struct world, handles)};
    return 0;
}

static int teardown(void **state)
{
    arena_free(&host.scratch);
    free(world);
    return 0;
}

static void must(bool ok)
{
    if (!ok)
        fail_msg("trapped: %s", world->store.trap_message);
}

static void traps(bool ok, const char *message)
{
    assert_false(ok);
    assert_int_equal(world->store.trap, TRAP_HOST);
    if (!strstr(world->store.trap_message, message))
        fail_msg("trapped with: %s", world->store.trap_message);
    world->store.trap = TRAP_NONE;
}

static void put32(uint32_t at, uint32_t value)
{
    memcpy(world->memory + at, &value, 4);
}

static uint32_t get32(uint32_t at)
{
    uint32_t value;
    memcpy(&value, world->memory + at, 4);
    return value;
}

static uint32_t new_thing(struct test_demo_thing *thing)
{
    return handle_add(&world->handles, HANDLE_OWN, RESOURCE_TEST_DEMO_THING, (uintptr_t)thing);
}

/* --- implementations --- */

static struct test_demo_thing things[4];
static struct test_demo_types_trouble seen_trouble, give_trouble;
static struct str seen_text, give_text;
static struct test_demo_types_point points[3];
static struct list_u32 seen_numbers;
static uint32_t seen_count;
static bool host_traps;

void test_demo_thing_drop(struct host *h, struct test_demo_thing *self)
{
    h->dropped++;
    assert_in_range(self->number, 0, 100);
}

bool test_demo_types_thing_constructor(struct host *h, struct str name, struct test_demo_thing **ret)
{
    seen_text = name;
    *ret = &things[3];
    return true;
}

bool test_demo_types_thing_touch(struct host *h, struct test_demo_thing *self, uint8_t by, int8_t *ret)
{
    assert_int_equal(world->handles.entries[1].lends, 1);
    self->number += by;
    *ret = -1;
    return true;
}

bool test_demo_types_thing_merge(struct host *h, struct test_demo_thing *a, struct test_demo_thing *b,
                                 struct result_test_demo_thing_test_demo_types_trouble *ret)
{
    assert_ptr_equal(b, &things[1]);
    ret->err = host_traps;
    if (ret->err)
        ret->error = give_trouble;
    else
        ret->ok = a;
    return true;
}

bool test_demo_types_thing_maybe(struct host *h, struct test_demo_thing *self,
                                 const struct option_borrow_test_demo_thing *other, bool *ret)
{
    *ret = other->some && other->value == self;
    return true;
}

bool test_demo_calls_scalars(struct host *h, bool a, int8_t b, uint16_t c_, int64_t d, float e, double f, uint32_t g,
                             uint64_t *ret)
{
    assert_true(a);
    assert_int_equal(b, -2);
    assert_int_equal(c_, 0xfffe);
    assert_true(d == -4);
    assert_true(e != e && f == 1.5);
    uint32_t bits;
    memcpy(&bits, &e, 4);
    assert_int_equal(bits, 0x7fc00000); /* the canonical NaN */
    assert_int_equal(g, 0x10ffff);
    *ret = UINT64_MAX - 1;
    return !host_traps;
}

bool test_demo_calls_named(struct host *h, enum test_demo_types_color color, uint8_t access,
                           const struct test_demo_types_one *one, struct test_demo_types_one *ret)
{
    assert_int_equal(color, TEST_DEMO_TYPES_COLOR_BLUE);
    assert_int_equal(access, TEST_DEMO_TYPES_ACCESS_READ | TEST_DEMO_TYPES_ACCESS_EXECUTE);
    ret->only = (int16_t)(one->only - 1);
    return true;
}

bool test_demo_calls_text(struct host *h, struct str s, struct str *ret)
{
    seen_text = s;
    *ret = give_text;
    return true;
}

bool test_demo_calls_numbers(struct host *h, struct list_u32 values, struct list_u16 *ret)
{
    static const uint16_t answer[] = {7, 8, 9};
    seen_numbers = values;
    *ret = (struct list_u16){answer, 3};
    return true;
}

bool test_demo_calls_points(struct host *h, struct list_test_demo_types_point values,
                            struct list_test_demo_types_point *ret)
{
    seen_count = (uint32_t)values.len;
    for (size_t i = 0; i < values.len && i < 3; i++)
        points[i] = values.ptr[i];
    *ret = values;
    return true;
}

bool test_demo_calls_lift_variant(struct host *h, const struct test_demo_types_trouble *t,
                                  struct test_demo_types_trouble *ret)
{
    seen_trouble = *t;
    *ret = give_trouble;
    return true;
}

bool test_demo_calls_many(struct host *h, uint64_t a, uint64_t b, uint64_t c_, uint64_t d, uint64_t e, uint64_t f,
                          uint64_t g, uint64_t h_, struct str i_, const struct test_demo_types_point *j, uint64_t k,
                          uint64_t l, uint64_t m, struct test_demo_thing *who, uint32_t *ret)
{
    assert_true(a == 1 && b == 2 && c_ == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h_ == 8);
    assert_true(k == 9 && l == 10 && m == 11);
    assert_int_equal(j->x, -5);
    seen_text = i_;
    *ret = (uint32_t)who->number;
    return true;
}

bool test_demo_calls_all(struct host *h, struct list_borrow_test_demo_thing borrowed, struct test_demo_thing *give,
                         struct list_test_demo_thing *ret)
{
    static struct test_demo_thing *answer[] = {&things[2], &things[3]};
    seen_count = (uint32_t)borrowed.len;
    for (size_t i = 0; i < borrowed.len; i++)
        borrowed.ptr[i]->number++;
    give->number = 50;
    *ret = (struct list_test_demo_thing){answer, 2};
    return true;
}

bool test_demo_calls_look(struct host *h, struct list_tuple_str_test_demo_types_pair table,
                          const struct array4_u8 *four, struct option_test_demo_types_pair *ret)
{
    seen_count = (uint32_t)table.len;
    ret->some = table.len > 0;
    if (ret->some)
        ret->value = table.ptr[0].f1;
    ret->value.f0 = (uint16_t)(ret->value.f0 + four->items[3]);
    return true;
}

bool test_demo_calls_bare(struct host *h, struct result_void_void *ret)
{
    ret->err = true;
    return true;
}

/* --- scalars --- */

static void set_scalars(void)
{
    v[0].u64 = 0x123400000100; /* true: any bit of the low half */
    v[1].u64 = 0xffffffff000001fe;
    v[2].u32 = 0xabcdfffe;
    v[3].i64 = -4;
    v[4].u32 = 0x7fc12345;
    v[5].f64 = 1.5;
    v[6].u32 = 0x10ffff;
}

static void scalars(void **state)
{
    set_scalars();
    must(glue_test_demo_calls_scalars(&world->store, &env, v));
    assert_true(v[0].u64 == UINT64_MAX - 1);
    static const uint32_t bad[] = {0x110000, 0xd800, 0xdfff, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        set_scalars();
        v[6].u32 = bad[i];
        traps(glue_test_demo_calls_scalars(&world->store, &env, v), "is not a character");
    }
    set_scalars();
    host_traps = true;
    assert_false(glue_test_demo_calls_scalars(&world->store, &env, v));
    host_traps = false;
    set_scalars();
    world->handles.no_leave.u32 = 1;
    traps(glue_test_demo_calls_scalars(&world->store, &env, v), "cannot leave component instance");
}

static void named(void **state)
{
    v[0].u32 = 2;
    v[1].u32 = 0xfffffffd; /* unknown flags are dropped */
    v[2].u32 = 0x18000;    /* -32768 */
    must(glue_test_demo_calls_named(&world->store, &env, v));
    assert_int_equal(v[0].i32, 32767);
    v[0].u32 = 3;
    traps(glue_test_demo_calls_named(&world->store, &env, v), "invalid variant discriminant 3");
    must(glue_test_demo_calls_bare(&world->store, &env, v));
    assert_int_equal(v[0].u32, 1);
}

/* --- strings --- */

static bool call_text(uint32_t at, uint32_t units, uint32_t ret)
{
    v[0].u32 = at;
    v[1].u32 = units;
    v[2].u32 = ret;
    return glue_test_demo_calls_text(&world->store, &env, v);
}

static void strings(void **state)
{
    memcpy(world->memory + 100, "h\xc3\xa9llo", 6);
    give_text = STR("w\xc3\xb6rld");
    must(call_text(100, 6, 200));
    assert_ptr_equal(seen_text.ptr, world->memory + 100); /* a view */
    assert_int_equal(get32(204), 6);
    assert_memory_equal(world->memory + get32(200), "w\xc3\xb6rld", 6);
    must(call_text(MEMORY_SIZE, 0, MEMORY_SIZE - 8)); /* empty at the very end */
    assert_int_equal(seen_text.len, 0);
    give_text = STR("");
    reallocs = 0;
    must(call_text(0, 0, 200));
    assert_int_equal(reallocs, 1); /* even of nothing */
}

static void hostile_strings(void **state)
{
    static const char *const bad[] = {"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ab\xff"};
    give_text = STR("x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(world->memory + 100, bad[i], strlen(bad[i]));
        traps(call_text(100, (uint32_t)strlen(bad[i]), 200), "string is not UTF-8");
    }
    traps(call_text(MEMORY_SIZE - 1, 2, 200), "out of bounds");
    traps(call_text(MEMORY_SIZE + 1, 0, 200), "out of bounds");
    traps(call_text(UINT32_MAX, UINT32_MAX, 200), "too long");
    traps(call_text(1, 1u << 28, 200), "too long");
    traps(call_text(UINT32_MAX, (1u << 28) - 1, 200), "out of bounds");
    traps(call_text(0, 1, MEMORY_SIZE - 4), "out of bounds");
    traps(call_text(0, 1, UINT32_MAX - 3), "out of bounds");
    traps(call_text(0, 1, 202), "unaligned pointer 0xca");
}

static void hostile_realloc(void **state)
{
    give_text = STR("x");
    beyond = true;
    traps(call_text(0, 1, 200), "beyond end of memory");
    beyond = false;
    misalign = true;
    must(call_text(0, 1, 200)); /* bytes need no alignment */
    v[0].u32 = v[1].u32 = 0;
    v[2].u32 = 200;
    traps(glue_test_demo_calls_numbers(&world->store, &env, v), "result not aligned");
    misalign = false;
    grow = true; /* the result may lie in memory that was not there before */
    heap = MEMORY_SIZE + 100;
    must(call_text(0, 1, 200));
    assert_int_equal(get32(200), MEMORY_SIZE + 100);
    env.canon.realloc_ref = 0;
    traps(call_text(0, 1, 200), "no realloc");
    env.canon.memory_off = env.canon.memory_size_off = UINT64_MAX;
    traps(call_text(0, 1, 200), "out of bounds");
}

static void utf16_in(void **state)
{
    static const uint16_t units[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde00};
    env.canon.encoding = ENCODING_UTF16;
    give_text = STR("");
    memcpy(world->memory + 100, units, sizeof units);
    world->memory[90] = 'x';
    must(call_text(100, 5, 200));
    assert_int_equal(seen_text.len, 10);
    traps(call_text(100, 4, 200), "not UTF-16"); /* half a pair */
    traps(call_text(108, 1, 200), "not UTF-16"); /* its other half */
    traps(call_text(101, 1, 200), "unaligned");
    traps(call_text(0, 1u << 27, 200), "too long");
    traps(call_text(MEMORY_SIZE - 2, 2, 200), "out of bounds");
}

static void latin1_in(void **state)
{
    env.canon.encoding = ENCODING_LATIN1_UTF16;
    give_text = STR("");
    memcpy(world->memory + 100, "a\xe9z", 4);
    must(call_text(100, 3, 200));
    assert_int_equal(seen_text.len, 4);
    put32(100, 0x20ac0061);
    must(call_text(100, 2 | 0x80000000u, 200));
    assert_int_equal(seen_text.len, 4);
    traps(call_text(101, 1, 200), "unaligned");
    traps(call_text(100, UINT32_MAX, 200), "too long");
}

/* The text that arrives in the guest, in code units of `size` bytes. */
static void check_out(const char *text, uint32_t units, const void *bytes, uint32_t size, uint32_t calls)
{
    reallocs = 0;
    give_text = str_of(text);
    must(call_text(0, 0, 200));
    assert_int_equal(get32(204), units);
    if (size)
        assert_memory_equal(world->memory + get32(200), bytes, size);
    assert_int_equal(reallocs, calls);
}

static void utf16_out(void **state)
{
    static const uint16_t units[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde00};
    env.canon.encoding = ENCODING_UTF16;
    check_out("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 5, units, 10, 2);
    assert_true(last_realloc[1] == 20 && last_realloc[2] == 2 && last_realloc[3] == 10);
    check_out("aaaa", 4, u"aaaa", 8, 1);
    check_out("", 0, "", 0, 1);
}

static void latin1_out(void **state)
{
    static const uint16_t wide[] = {'a', 0xe9, 0x20ac, 0xe9};
    env.canon.encoding = ENCODING_LATIN1_UTF16;
    check_out("abc", 3, "abc", 3, 1);
    check_out("a\xc3\xa9z", 3, "a\xe9z", 3, 2);
    check_out("a\xc3\xa9\xe2\x82\xac\xc3\xa9", 4 | 0x80000000u, wide, 8, 3);
    check_out("", 0, "", 0, 1);
    env.canon.encoding = 3;
    give_text = STR("x");
    v[0].u32 = v[1].u32 = 0;
    traps(call_text(0, 0, 200), "unknown string encoding");
}

/* --- lists and records --- */

static void lists(void **state)
{
    put32(100, 11);
    put32(104, 12);
    v[0].u32 = 100;
    v[1].u32 = 2;
    v[2].u32 = 200;
    must(glue_test_demo_calls_numbers(&world->store, &env, v));
    assert_int_equal(seen_numbers.len, 2);
    assert_ptr_equal(seen_numbers.ptr, world->memory + 100); /* a view */
    assert_int_equal(get32(204), 3);
    uint16_t back[3];
    memcpy(back, world->memory + get32(200), 6);
    assert_true(back[0] == 7 && back[1] == 8 && back[2] == 9);
    static const uint32_t bad[][3] = {
        {102, 1, 0}, {MEMORY_SIZE - 4, 2, 0}, {0, UINT32_MAX, 0}, {0, 1u << 26, 0}, {UINT32_MAX - 3, 1, 0}};
    for (int i = 0; i < 5; i++) {
        v[0].u32 = bad[i][0];
        v[1].u32 = bad[i][1];
        assert_false(glue_test_demo_calls_numbers(&world->store, &env, v));
    }
}

/* A point is {s32, f64, char, enum}: 4, pad, 8, 4, 1, pad: 24 bytes. */
static void put_point(uint32_t at, int32_t x, double y, uint32_t tag, uint8_t color)
{
    put32(at, (uint32_t)x);
    memcpy(world->memory + at + 8, &y, 8);
    put32(at + 16, tag);
    world->memory[at + 20] = color;
}

static bool call_points(uint32_t at, uint32_t count)
{
    v[0].u32 = at;
    v[1].u32 = count;
    v[2].u32 = 200;
    return glue_test_demo_calls_points(&world->store, &env, v);
}

static void records(void **state)
{
    put_point(400, -1, 2.5, 'x', 1);
    put_point(424, 7, -0.0, 0xd7ff, 2);
    must(call_points(400, 2));
    assert_int_equal(seen_count, 2);
    assert_true(points[0].x == -1 && points[0].y == 2.5 && points[0].tag_ == 'x' && points[0].color == 1);
    assert_true(points[1].x == 7 && points[1].tag_ == 0xd7ff && points[1].color == 2);
    assert_int_equal(get32(204), 2);
    uint32_t at = get32(200);
    assert_int_equal(at % 8, 0);
    assert_memory_equal(world->memory + at + 8, world->memory + 408, 13);
    assert_int_equal(get32(at + 24), 7);
    put_point(424, 0, 0, 0xd800, 0);
    traps(call_points(400, 2), "is not a character");
    put_point(424, 0, 0, 0, 3);
    traps(call_points(400, 2), "invalid variant discriminant 3");
    traps(call_points(404, 1), "unaligned");
    traps(call_points(MEMORY_SIZE - 16, 1), "out of bounds");
    traps(call_points(0, 178956971), "too long"); /* count * 24 wraps 32 bits */
    must(call_points(0, 0));
}

/* Scratch memory ends where it began, however often functions are called. */
static void scratch(void **state)
{
    must(call_points(0, 1000));
    char *before = host.scratch.next;
    size_t used = host.scratch.used;
    for (int i = 0; i < 100; i++) {
        heap = 1024;
        must(call_points(0, 1000));
    }
    assert_ptr_equal(host.scratch.next, before);
    assert_int_equal(host.scratch.used, used);
    arena_free(&host.scratch);
    arena_init(&host.scratch, 1000); /* and it is bounded */
    assert_false(call_points(0, 1000));
    assert_int_equal(world->store.trap, TRAP_OUT_OF_MEMORY);
}

/* --- variants --- */

static bool call_variant(uint32_t tag)
{
    v[0].u32 = tag;
    v[5].u32 = 200;
    return glue_test_demo_calls_lift_variant(&world->store, &env, v);
}

static void variants_in(void **state)
{
    give_trouble.tag = TEST_DEMO_TYPES_TROUBLE_NONE;
    must(call_variant(0));
    v[1].u64 = 0xabcdef0040200000; /* an f32 in what was joined to i64 */
    must(call_variant(1));
    assert_true(seen_trouble.number == 2.5f);
    must(call_variant(2));
    assert_true(seen_trouble.wide == 0xabcdef0040200000);
    v[1].u64 = 0xffffffff00000000 | 100;
    v[2].u64 = 0xffffffff00000000 | 2;
    memcpy(world->memory + 100, "ok", 2);
    must(call_variant(3));
    assert_ptr_equal(seen_trouble.text.ptr, world->memory + 100);
    v[1].i64 = -9;
    v[2].u64 = 0x3ff8000000000000; /* an f64 in an i64 */
    v[3].u32 = 'q';
    v[4].u32 = 1;
    must(call_variant(4));
    assert_true(seen_trouble.where.x == -9 && seen_trouble.where.y == 1.5 && seen_trouble.where.tag_ == 'q');
    traps(call_variant(5), "invalid variant discriminant 5");
    traps(call_variant(UINT32_MAX), "invalid variant discriminant");
    traps(call_variant(257), "invalid variant discriminant 257");
}

/* 32 bytes aligned to 8: the discriminant, and the payload at 8. */
static void variants_out(void **state)
{
    memset(world->memory + 200, 0xee, 32);
    give_trouble = (struct test_demo_types_trouble){.tag = TEST_DEMO_TYPES_TROUBLE_WIDE, .wide = 0x1122334455667788};
    must(call_variant(0));
    assert_int_equal(world->memory[200], 2);
    assert_int_equal(get32(208), 0x55667788);
    give_trouble = (struct test_demo_types_trouble){.tag = TEST_DEMO_TYPES_TROUBLE_TEXT, .text = STR("why")};
    must(call_variant(0));
    assert_int_equal(world->memory[200], 3);
    assert_memory_equal(world->memory + get32(208), "why", 3);
    assert_int_equal(get32(212), 3);
    give_trouble =
        (struct test_demo_types_trouble){.tag = TEST_DEMO_TYPES_TROUBLE_WHERE, .where = {.x = 4, .color = 2}};
    must(call_variant(0));
    assert_int_equal(get32(208), 4);
    assert_int_equal(world->memory[228], 2);
}

static void maps(void **state)
{
    memcpy(world->memory + 100, "key", 3);
    put32(400, 100); /* {string, {u16, bool}}: 12 bytes */
    put32(404, 3);
    put32(408, 0x00050002);
    v[0].u32 = 400;
    v[1].u32 = 1;
    v[2].u32 = v[3].u32 = v[4].u32 = 0;
    v[5].u32 = 0x1ff; /* a byte of a fixed-length list, cut to eight bits */
    v[6].u32 = 200;
    must(glue_test_demo_calls_look(&world->store, &env, v));
    assert_int_equal(seen_count, 1);
    assert_int_equal(world->memory[200], 1);
    assert_int_equal(get32(202) & 0xffffff, 0x010101); /* 2 + 255, true */
    put32(400, MEMORY_SIZE);
    traps(glue_test_demo_calls_look(&world->store, &env, v), "out of bounds");
}

/* --- parameters through memory --- */

static void indirect(void **state)
{
    struct test_demo_thing thing = {42};
    for (uint64_t i = 0; i < 8; i++)
        memcpy(world->memory + 400 + 8 * i, &(uint64_t){i + 1}, 8);
    memcpy(world->memory + 100, "text", 4);
    put32(464, 100);
    put32(468, 4);
    put_point(472, -5, 0, 'a', 0);
    for (uint64_t i = 0; i < 3; i++)
        memcpy(world->memory + 496 + 8 * i, &(uint64_t){i + 9}, 8);
    put32(520, new_thing(&thing));
    v[0].u32 = 400;
    must(glue_test_demo_calls_many(&world->store, &env, v));
    assert_int_equal(v[0].u32, 42);
    assert_int_equal(seen_text.len, 4);
    v[0].u32 = 404;
    traps(glue_test_demo_calls_many(&world->store, &env, v), "unaligned");
    v[0].u32 = MEMORY_SIZE - 120;
    traps(glue_test_demo_calls_many(&world->store, &env, v), "out of bounds");
    put32(520, 9);
    v[0].u32 = 400;
    traps(glue_test_demo_calls_many(&world->store, &env, v), "unknown handle index 9");
}

/* --- handles --- */

static void borrows(void **state)
{
    things[0].number = 1;
    v[0].u32 = new_thing(&things[0]);
    v[1].u32 = 0x105;
    must(glue_test_demo_types_thing_touch(&world->store, &env, v));
    assert_int_equal(things[0].number, 6);
    assert_int_equal(v[0].i32, -1);
    assert_int_equal(world->handles.entries[1].lends, 0);
    static const uint32_t unknown[] = {0, 2, HANDLE_CAPACITY - 1, HANDLE_CAPACITY, UINT32_MAX};
    for (int i = 0; i < 5; i++) {
        v[0].u32 = unknown[i];
        traps(glue_test_demo_types_thing_touch(&world->store, &env, v), "unknown handle index");
    }
    v[0].u32 = handle_add(&world->handles, HANDLE_OWN, RESOURCE_TEST_DEMO_THING + 1, 1234);
    traps(glue_test_demo_types_thing_touch(&world->store, &env, v), "another resource type");
    v[0].u32 = handle_add(&world->handles, HANDLE_OTHER, RESOURCE_TEST_DEMO_THING, 1234);
    traps(glue_test_demo_types_thing_touch(&world->store, &env, v), "is not a resource");
    world->handles.entries[1].lends = HANDLE_LENDS_MAX;
    v[0].u32 = 1;
    traps(glue_test_demo_types_thing_touch(&world->store, &env, v), "is lent");
}

static void borrow_inside(void **state)
{
    uint32_t own = new_thing(&things[0]);
    v[0].u32 = v[2].u32 = own;
    v[1].u32 = 1;
    must(glue_test_demo_types_thing_maybe(&world->store, &env, v));
    assert_int_equal(v[0].u32, 1);
    assert_int_equal(world->handles.entries[own].lends, 0);
    v[0].u32 = own;
    v[1].u32 = 0;
    v[2].u32 = 99; /* not looked at */
    must(glue_test_demo_types_thing_maybe(&world->store, &env, v));
    assert_int_equal(v[0].u32, 0);
}

static void owns(void **state)
{
    uint32_t a = new_thing(&things[0]), b = new_thing(&things[1]);
    v[0].u32 = a;
    v[1].u32 = b;
    v[2].u32 = 400;
    must(glue_test_demo_types_thing_merge(&world->store, &env, v));
    assert_int_equal(world->memory[400], 0);
    assert_int_equal(get32(408), b); /* freed last, used first */
    assert_int_equal(world->handles.live, 1);
    assert_true(world->handles.entries[b].rep == (uintptr_t)&things[0]);
    v[0].u32 = v[1].u32 = b; /* the second time it is gone */
    traps(glue_test_demo_types_thing_merge(&world->store, &env, v), "unknown handle index");
    v[0].u32 = handle_add(&world->handles, HANDLE_BORROW, RESOURCE_TEST_DEMO_THING, 1);
    traps(glue_test_demo_types_thing_merge(&world->store, &env, v), "borrowed, not owned");
}

static void lists_of_handles(void **state)
{
    uint32_t a = new_thing(&things[0]), b = new_thing(&things[1]);
    things[0].number = things[1].number = 0;
    put32(400, a);
    put32(404, a);
    v[0].u32 = 400;
    v[1].u32 = 2;
    v[2].u32 = b;
    v[3].u32 = 200;
    must(glue_test_demo_calls_all(&world->store, &env, v));
    assert_int_equal(things[0].number, 2);
    assert_int_equal(things[1].number, 50);
    assert_int_equal(world->handles.entries[a].lends, 0);
    assert_int_equal(world->handles.live, 3);
    assert_int_equal(get32(get32(200)), b);
    v[1].u32 = 1;
    v[2].u32 = a; /* lent by the first parameter */
    traps(glue_test_demo_calls_all(&world->store, &env, v), "is lent");
}

static void full_table(void **state)
{
    give_text = STR("");
    for (uint32_t i = 1; i < HANDLE_CAPACITY; i++)
        assert_int_equal(new_thing(&things[0]), i);
    v[0].u32 = v[1].u32 = 0;
    traps(glue_test_demo_types_thing_constructor(&world->store, &env, v), "more than 65528 handles");
    handle_remove(&world->handles, 77);
    must(glue_test_demo_types_thing_constructor(&world->store, &env, v));
    assert_int_equal(v[0].u32, 77);
}

/* --- resource built-ins --- */

static void drops(void **state)
{
    env.drop = drop_test_demo_thing;
    env.resource_type = RESOURCE_TEST_DEMO_THING;
    v[0].u32 = new_thing(&things[0]);
    must(canon_resource_drop(&world->store, &env, v));
    assert_int_equal(host.dropped, 1);
    traps(canon_resource_drop(&world->store, &env, v), "unknown handle index 1");
    v[0].u32 = handle_add(&world->handles, HANDLE_BORROW, RESOURCE_TEST_DEMO_THING, (uintptr_t)&things[0]);
    must(canon_resource_drop(&world->store, &env, v));
    assert_int_equal(host.dropped, 1); /* a borrow ends, the resource stays */
    v[0].u32 = handle_add(&world->handles, HANDLE_OWN, RESOURCE_TEST_DEMO_THING + 1, 5);
    traps(canon_resource_drop(&world->store, &env, v), "another resource type");
    v[0].u32 = new_thing(&things[0]);
    world->handles.entries[v[0].u32].lends = 1;
    traps(canon_resource_drop(&world->store, &env, v), "is lent");
}

static void own_resources(void **state)
{
    env.resource_type = RESOURCE_COMPONENT_BASE + 3;
    static struct canon_env definer;
    definer = env;
    env.dtor_ref = DTOR_REF;
    env.peer = &definer;
    v[0].u64 = 0xffffffff00000063;
    must(canon_resource_new(&world->store, &env, v));
    uint32_t index = v[0].u32;
    must(canon_resource_rep(&world->store, &env, v));
    assert_int_equal(v[0].u32, 0x63);
    v[0].u32 = index;
    must(canon_resource_drop(&world->store, &env, v));
    assert_int_equal(destroyed, 0x63);
    v[0].u32 = index;
    traps(canon_resource_rep(&world->store, &env, v), "unknown handle index");
    world->handles.no_leave.u32 = 1;
    traps(canon_resource_new(&world->store, &env, v), "cannot leave");
    traps(canon_resource_drop(&world->store, &env, v), "cannot leave");
}

static void look_up(void **state)
{
    const struct host_function *row;
    for (size_t i = 0; i < HOST_FUNCTION_COUNT; i++) {
        char interface[100];
        snprintf(interface, sizeof interface, "%s@%s", host_functions[i].interface, host_functions[i].version);
        row =
            canon_find_function(host_functions, HOST_FUNCTION_COUNT, str_of(interface), str_of(host_functions[i].name));
        assert_ptr_equal(row, &host_functions[i]);
    }
    row = canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/calls"), STR("text"));
    assert_ptr_equal(row->glue, glue_test_demo_calls_text);
    row = canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/calls@2.7.0"), STR("text"));
    assert_string_equal(row->signature, "func(string) -> u32");
    assert_null(canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/calls@3.0.0"), STR("text")));
    assert_int_equal(
        canon_find_resource(host_resources, HOST_RESOURCE_COUNT, STR("test:demo/calls@2.0.0"), STR("thing"))->id,
        RESOURCE_TEST_DEMO_2_THING);
    row = canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/calls@1.2.9"), STR("text"));
    assert_ptr_equal(row->glue, glue_test_demo_calls_text);
    assert_string_equal(row->signature, "func(string) -> string");
    assert_null(canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/calls"), STR("tex")));
    assert_null(canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR("test:demo/call"), STR("text")));
    assert_null(canon_find_function(host_functions, HOST_FUNCTION_COUNT, STR(""), STR("")));
    assert_int_equal(canon_find_resource(host_resources, HOST_RESOURCE_COUNT, STR("test:demo/types"), STR("thing"))->id,
                     RESOURCE_TEST_DEMO_THING);
}

/* --- the table --- */

static uint64_t drained[8];
static uint32_t drained_count;

static void drain_one(void *arg, const struct handle *handle)
{
    assert_ptr_equal(arg, &drained);
    drained[drained_count++] = handle->rep;
}

static void table(void **state)
{
    struct handles *handles = &world->handles;
    static const struct handles empty;
    for (uint32_t i = 1; i <= 6; i++)
        assert_int_equal(handle_add(handles, HANDLE_OWN, HANDLE_TYPE_MAX, i), i);
    handle_remove(handles, 2);
    handle_remove(handles, 5);
    assert_null(handle_get(handles, 2));
    assert_null(handle_get(handles, 0));
    assert_int_equal(handle_add(handles, HANDLE_BORROW, 7, 55), 5); /* last in, first out */
    assert_int_equal(handle_add(handles, HANDLE_OWN, 7, 22), 2);
    assert_int_equal(handle_add(handles, HANDLE_OWN, 7, 77), 7);
    assert_int_equal(handle_type(handle_get(handles, 1)), HANDLE_TYPE_MAX);
    assert_int_equal(handle_kind(handle_get(handles, 5)), HANDLE_BORROW);
    handle_remove(handles, 3);
    drained_count = 0;
    handles_drain(handles, drain_one, &drained);
    static const uint64_t expected[] = {1, 22, 4, 55, 6, 77};
    assert_int_equal(drained_count, 6);
    assert_memory_equal(drained, expected, sizeof expected);
    assert_int_equal(handles->live, 0);
    memset(handles, 0, sizeof *handles); /* what a restore does: empty again */
    assert_memory_equal(handles, &empty, sizeof empty);
    assert_int_equal(handle_add(handles, HANDLE_OWN, 1, 1), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scalars),         TEST(named),         TEST(strings),       TEST(hostile_strings),
        TEST(hostile_realloc), TEST(utf16_in),      TEST(latin1_in),     TEST(utf16_out),
        TEST(latin1_out),      TEST(lists),         TEST(records),       TEST(scratch),
        TEST(variants_in),     TEST(variants_out),  TEST(maps),          TEST(indirect),
        TEST(borrows),         TEST(borrow_inside), TEST(owns),          TEST(lists_of_handles),
        TEST(full_table),      TEST(drops),         TEST(own_resources), TEST(look_up),
        TEST(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
