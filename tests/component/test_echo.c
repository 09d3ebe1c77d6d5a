/* Random values of random types through a chain of two components and back: the host lowers a value into one component,
 * an adapter moves it to the other, which gives it back, an adapter moves it back, and the host lifts it. What comes
 * out must be what went in, in any pair of string encodings.
 *
 * The core code is the same for all types: enough parameters make the value travel in memory, where a function that
 * returns its address is an echo. The components' bytes are written here. */
#include "component/load.h"

#include "codegen/codegen.h"
#include "compile/build.h"
#include "component/datum_text.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "support/datum_equal.h"
#include "wasi/host.h"
#include "wasi/link.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DUMMIES 17u /* parameters in front of the value: more than are passed flat */
#define TYPES_MAX 200u
#define RESULT_AT 1024u
#define HEAP_AT 65536u

static uint64_t seed;
static struct arena arena;
static struct wasi_link linked;
static struct host_pool *pool;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % sides;
}

/* ---- types, as text and as bytes ---- */

static struct {
    struct buf text, bytes; /* bytes: definitions, in order */
    uint32_t count;
} made;

static void byte(struct buf *to, unsigned value)
{
    uint8_t small = (uint8_t)value;
    assert_true(buf_append(to, &small, 1));
}

static void number(struct buf *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        byte(to, 0x80 | (value & 0x7f));
    byte(to, value);
}

/* A reference to a type: a primitive's code, or an index as a signed number. */
static void reference(struct buf *to, uint32_t type)
{
    if (type >= 0x10000) {
        byte(to, type & 0xff);
        return;
    }
    for (; type >= 0x40; type >>= 7)
        byte(to, 0x80 | (type & 0x7f));
    byte(to, type);
}

static void text(const char *words)
{
    assert_true(buf_append(&made.text, words, strlen(words)));
}

static uint32_t make_type(uint32_t depth);

static uint32_t primitive(void)
{
    static const char *const words[] = {"bool", "s8",  "u8",  "s16", "u16",  "s32",   "u32",
                                        "s64",  "u64", "f32", "f64", "char", "string"};
    uint32_t which = dice(16);
    which = which > 12 ? 12 : which;
    text(words[which]);
    return 0x10000 | (0x7f - which);
}

static uint32_t define(struct buf *definition)
{
    assert_true(buf_append(&made.bytes, definition->data, definition->size));
    buf_free(definition);
    return made.count++;
}

static struct buf begin(unsigned code)
{
    struct buf definition;
    buf_init(&definition, 4096);
    byte(&definition, code);
    return definition;
}

static uint32_t list_type(uint32_t depth)
{
    text("list<");
    uint32_t element = make_type(depth - 1), length = dice(3) ? 0 : 1 + dice(12);
    struct buf definition = begin(length ? 0x67 : 0x70);
    reference(&definition, element);
    if (length) {
        number(&definition, length);
        buf_printf(&made.text, ", %u", length);
    }
    text(">");
    return define(&definition);
}

static uint32_t tuple_type(uint32_t depth)
{
    uint32_t parts[5], count = 1 + dice(5);
    text("tuple<");
    for (uint32_t i = 0; i < count; i++) {
        text(i ? ", " : "");
        parts[i] = make_type(depth - 1);
    }
    text(">");
    struct buf definition = begin(0x6f);
    number(&definition, count);
    for (uint32_t i = 0; i < count; i++)
        reference(&definition, parts[i]);
    return define(&definition);
}

static uint32_t option_type(uint32_t depth)
{
    text("option<");
    uint32_t some = make_type(depth - 1);
    text(">");
    struct buf definition = begin(0x6b);
    reference(&definition, some);
    return define(&definition);
}

static uint32_t result_type(uint32_t depth)
{
    uint32_t sides = dice(4), types[2] = {0, 0};
    text("result");
    text(sides ? "<" : "");
    for (uint32_t i = 0; i < 2; i++) {
        bool there = sides >> i & 1;
        if (sides && i == 1 && there)
            text(", ");
        if (there)
            types[i] = make_type(depth - 1);
        else if (sides && i == 0)
            text("_");
    }
    text(sides ? ">" : "");
    struct buf definition = begin(0x6a);
    for (uint32_t i = 0; i < 2; i++) {
        byte(&definition, sides >> i & 1);
        if (sides >> i & 1)
            reference(&definition, types[i]);
    }
    return define(&definition);
}

static uint32_t make_type(uint32_t depth)
{
    if (depth == 0 || made.count > TYPES_MAX)
        return primitive();
    switch (dice(6)) {
    case 0: return list_type(depth);
    case 1: return tuple_type(depth);
    case 2: return option_type(depth);
    case 3: return result_type(depth);
    default: return primitive();
    }
}

/* ---- values ---- */

static uint32_t any_point(void)
{
    static const uint32_t tops[] = {0x80, 0x100, 0x800, 0x10000, 0x110000};
    uint32_t point = dice(tops[dice(5)]);
    return point >= 0xd800 && point <= 0xdfff ? 0x20ac : point;
}

static void any_string(struct datum *ret)
{
    uint32_t count = dice(3) ? dice(10) : dice(60);
    bool plain = dice(2);
    char *bytes = arena_alloc(&arena, 4 * count + 1);
    size_t n = 0;
    assert_non_null(bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t point = plain ? dice(0x100) : any_point(), more = point < 0x80      ? 0
                                                                   : point < 0x800   ? 1
                                                                   : point < 0x10000 ? 2
                                                                                     : 3;
        static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
        bytes[n++] = (char)(leads[more] | point >> (6 * more));
        while (more--)
            bytes[n++] = (char)(0x80 | (point >> (6 * more) & 0x3f));
    }
    ret->text = (struct str){bytes, n};
}

static void any_value(const struct type *type, struct datum *ret);

static void any_items(const struct type *type, uint32_t count, struct datum *ret)
{
    ret->count = count;
    ret->items = ARENA_ARRAY(&arena, struct datum, count);
    assert_non_null(ret->items);
    for (uint32_t i = 0; i < count; i++)
        any_value(type->element ? type->element : type->items[i].type, &ret->items[i]);
}

static void any_case(const struct type *type, struct datum *ret)
{
    ret->bits = dice(2);
    const struct type *payload = type->items[ret->bits].type;
    if (!payload)
        return;
    ret->count = 1;
    ret->items = ARENA_NEW(&arena, struct datum);
    assert_non_null(ret->items);
    any_value(payload, ret->items);
}

static uint64_t any_scalar(const struct type *type)
{
    uint64_t bits = (uint64_t)dice(UINT32_MAX) << 33 ^ (uint64_t)dice(UINT32_MAX) << 16 ^ dice(UINT32_MAX);
    union cell value = {.u64 = bits};
    switch (type->kind) {
    case TYPE_BOOL: return bits & 1;
    case TYPE_S8: return (uint64_t)(int64_t)(int8_t)bits;
    case TYPE_U8: return (uint8_t)bits;
    case TYPE_S16: return (uint64_t)(int64_t)(int16_t)bits;
    case TYPE_U16: return (uint16_t)bits;
    case TYPE_S32: return (uint64_t)(int64_t)(int32_t)bits;
    case TYPE_U32: return (uint32_t)bits;
    case TYPE_F32: return value.f32 == value.f32 ? value.u32 : 0x7fc00000; /* the NaN that lifting makes */
    case TYPE_F64: return value.f64 == value.f64 ? bits : 0x7ff8000000000000;
    case TYPE_CHAR: return any_point();
    default: return bits;
    }
}

static void any_value(const struct type *type, struct datum *ret)
{
    *ret = (struct datum){0};
    switch (type->kind) {
    case TYPE_STRING: any_string(ret); break;
    case TYPE_LIST: any_items(type, dice(5), ret); break;
    case TYPE_FIXED_LIST:
    case TYPE_TUPLE: any_items(type, type->count, ret); break;
    case TYPE_OPTION:
    case TYPE_RESULT: any_case(type, ret); break;
    default: ret->bits = any_scalar(type);
    }
}

/* ---- the component's bytes ---- */

static void put(struct buf *to, const void *bytes, size_t size)
{
    assert_true(buf_append(to, bytes, size));
}

#define BYTES(to, ...)                                                                                                 \
    do {                                                                                                               \
        static const uint8_t bytes_[] = {__VA_ARGS__};                                                                 \
        put(to, bytes_, sizeof bytes_);                                                                                \
    } while (0)

static void name(struct buf *to, const char *words)
{
    number(to, (uint32_t)strlen(words));
    put(to, words, strlen(words));
}

/* Takes the body over. */
static void section(struct buf *to, unsigned id, struct buf *body)
{
    byte(to, id);
    number(to, (uint32_t)body->size);
    put(to, body->data, body->size);
    buf_free(body);
}

static struct buf fresh(void)
{
    struct buf buf;
    buf_init(&buf, (size_t)16 << 20);
    return buf;
}

/* A section whose body is known. */
#define SECTION(to, id, ...)                                                                                           \
    do {                                                                                                               \
        struct buf body_ = fresh();                                                                                    \
        BYTES(&body_, __VA_ARGS__);                                                                                    \
        section(to, id, &body_);                                                                                       \
    } while (0)

static void put_s32(struct buf *to, uint32_t value)
{
    for (; value >= 0x40; value >>= 7)
        byte(to, 0x80 | (value & 0x7f));
    byte(to, value);
}

static void function(struct buf *to, struct buf *body)
{
    number(to, (uint32_t)body->size);
    put(to, body->data, body->size);
    buf_free(body);
}

/* A memory, an allocator that moves blocks (and aligns all to 8: the specification asks for less for some strings than
 * it wants when they are passed on), and "f", which adds a constant to its parameter. */
static void memory_module(struct buf *to, uint32_t offset)
{
    struct buf module = fresh(), code = fresh(), f = fresh(), realloc = fresh();
    BYTES(&module, 0, 'a', 's', 'm', 1, 0, 0, 0);
    SECTION(&module, 1, 2, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f);
    SECTION(&module, 3, 2, 0, 1); /* functions */
    SECTION(&module, 5, 1, 0, 0x80, 1); /* memory of 128 pages */
    SECTION(&module, 6, 1, 0x7f, 1, 0x41, 0x80, 0x80, 4, 0x0b); /* the heap begins at 65536 */
    SECTION(&module, 7, 3, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0, 7, 'r', 'e', 'a', 'l', 'l', 'o', 'c', 0, 0, 1, 'f', 0,
            1);
    BYTES(&realloc, 1, 1, 0x7f);
    BYTES(&realloc, 0x23, 0, 0x41, 7, 0x6a, 0x41, 0x78, 0x71, 0x22, 4, 0x20, 3, 0x6a, 0x24, 0);
    BYTES(&realloc, 0x20, 4, 0x20, 0, 0x20, 1, 0x20, 3, 0x20, 1, 0x20, 3, 0x49, 0x1b, 0xfc, 10, 0, 0, 0x20, 4, 0x0b);
    BYTES(&f, 0, 0x20, 0, 0x41);
    put_s32(&f, offset);
    BYTES(&f, 0x6a, 0x0b);
    number(&code, 2);
    function(&code, &realloc);
    function(&code, &f);
    section(&module, 10, &code);
    section(to, 1, &module);
}

/* "g": calls the import with its parameter and a place for the result, and returns that place. */
static void calling_module(struct buf *to)
{
    struct buf module = fresh();
    BYTES(&module, 0, 'a', 's', 'm', 1, 0, 0, 0);
    SECTION(&module, 1, 2, 0x60, 2, 0x7f, 0x7f, 0, 0x60, 1, 0x7f, 1, 0x7f);
    SECTION(&module, 2, 1, 0, 1, 'f', 0, 0);
    SECTION(&module, 3, 1, 1);
    SECTION(&module, 7, 1, 1, 'g', 0, 0 + 1);
    SECTION(&module, 10, 1, 12, 0, 0x20, 0, 0x41, 0x80, 8, 0x10, 0, 0x41, 0x80, 8, 0x0b);
    section(to, 1, &module);
}

/* All value types, then the function's: DUMMIES times u8, and the value, to the value. */
static void type_section(struct buf *to, uint32_t type)
{
    struct buf types = fresh();
    number(&types, made.count + 1);
    put(&types, made.bytes.data, made.bytes.size);
    byte(&types, 0x40);
    number(&types, DUMMIES + 1);
    for (uint32_t i = 0; i < DUMMIES; i++) {
        char dummy[8];
        snprintf(dummy, sizeof dummy, "d%u", i);
        name(&types, dummy);
        byte(&types, 0x7d);
    }
    name(&types, "x");
    reference(&types, type);
    byte(&types, 0);
    reference(&types, type);
    section(to, 7, &types);
}

static void options(struct buf *to, unsigned encoding)
{
    const uint8_t bytes[] = {3, (uint8_t)encoding, 3, 0, 4, 0}; /* memory 0, realloc: core function 0 */
    put(to, bytes, sizeof bytes);
}

static void open_component(struct buf *to)
{
    BYTES(to, 0, 'a', 's', 'm', 0x0d, 0, 1, 0);
}

static struct buf callee(uint32_t type, uint32_t offset, unsigned encoding)
{
    struct buf all = fresh(), canon = fresh();
    open_component(&all);
    memory_module(&all, offset);
    SECTION(&all, 2, 1, 0, 0, 0);
    SECTION(&all, 6, 3, 0, 2, 1, 0, 6, 'm', 'e', 'm', 'o', 'r', 'y', 0, 0, 1, 0, 7, 'r', 'e', 'a', 'l', 'l', 'o', 'c',
            0, 0, 1, 0, 1, 'f');
    type_section(&all, type);
    BYTES(&canon, 1, 0, 0, 1);
    options(&canon, encoding);
    number(&canon, made.count);
    section(&all, 8, &canon);
    SECTION(&all, 11, 1, 0, 1, 'f', 1, 0, 0);
    return all;
}

static struct buf caller(uint32_t type, unsigned encoding)
{
    struct buf all = fresh(), canon = fresh(), import = fresh();
    open_component(&all);
    type_section(&all, type);
    BYTES(&import, 1, 0, 1, 'f', 1);
    number(&import, made.count);
    section(&all, 10, &import);
    memory_module(&all, 0);
    SECTION(&all, 2, 1, 0, 0, 0);
    SECTION(&all, 6, 2, 0, 2, 1, 0, 6, 'm', 'e', 'm', 'o', 'r', 'y', 0, 0, 1, 0, 7, 'r', 'e', 'a', 'l', 'l', 'o', 'c');
    BYTES(&canon, 1, 1, 0, 0);
    options(&canon, encoding);
    section(&all, 8, &canon);
    calling_module(&all);
    SECTION(&all, 2, 2, 1, 1, 1, 'f', 0, 1, 0, 1, 1, 0, 0x12, 1);
    SECTION(&all, 6, 1, 0, 0, 1, 2, 1, 'g');
    canon = fresh();
    BYTES(&canon, 1, 0, 0, 2);
    options(&canon, encoding);
    number(&canon, made.count);
    section(&all, 8, &canon);
    SECTION(&all, 11, 1, 0, 1, 'g', 1, 1, 0);
    return all;
}

static struct buf component(uint32_t type, uint32_t offset)
{
    struct buf all = fresh(), inner = callee(type, offset, dice(3));
    open_component(&all);
    section(&all, 4, &inner);
    inner = caller(type, dice(3));
    section(&all, 4, &inner);
    SECTION(&all, 5, 1, 0, 0, 0);
    SECTION(&all, 6, 1, 1, 0, 0, 1, 'f');
    SECTION(&all, 5, 1, 0, 1, 1, 1, 'f', 1, 0);
    SECTION(&all, 6, 1, 1, 0, 1, 1, 'g');
    SECTION(&all, 11, 1, 0, 1, 'g', 1, 1, 0);
    return all;
}

/* ---- running it ---- */

struct call {
    struct datum_func func;
    struct datum args[DUMMIES + 1], result;
    bool returned;
};

static void call_body(struct task *task)
{
    struct call *call = task->arg;
    call->returned = datum_call(task->slot->store, &call->func, call->args, &arena, &call->result);
}

static struct program *load(struct buf *bytes, generator_fn *generate)
{
    struct compile_options compile = {.opt_level = 1};
    struct buf image;
    struct err err = {0};
    buf_init(&image, (size_t)1 << 28);
    if (!compile_build(bytes->data, bytes->size, &compile, generate, &image, &err))
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    int fd = memfd_create("echo", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, image.data, image.size) == (ssize_t)image.size);
    struct program *program = program_load(fd, "echo", wasi_resolve, &linked, &err);
    if (!program)
        fail_msg("%s", err.message);
    close(fd);
    buf_free(&image);
    return program;
}

static void echo(struct slot *slot, struct host *host)
{
    struct call call = {0};
    struct task task = {0};
    struct err err = {0};
    const struct program *program = slot->program;
    const struct image_export *row = program_export(program, STR(""), STR("g"));
    assert_non_null(row);
    assert_true(datum_func_open(&program->image, row, NULL, &arena, &call.func, &err));
    const struct type *type = call.func.type.params[DUMMIES].type;
    any_value(type, &call.args[DUMMIES]);
    assert_true(task_start(&task, slot, call_body, &call, host, &err));
    if (!call.returned)
        fail_msg("%s", task.report.message[0] ? task.report.message : trap_text(task.report.trap));
    if (datum_equal(&call.args[DUMMIES], &call.result))
        return;
    struct buf was, is;
    buf_init(&was, 1 << 20);
    buf_init(&is, 1 << 20);
    datum_write(&was, type, &call.args[DUMMIES]);
    datum_write(&is, type, &call.result);
    fail_msg("%.*s\nbecame\n%.*s", (int)was.size, (char *)was.data, (int)is.size, (char *)is.data);
}

/* Where the value lies behind the dummies, and a type that does not fit one flat result. */
static void try_type(generator_fn *generate)
{
    static const struct host_config config = {.name = "echo"};
    struct err err = {0};
    const struct type *type;
    buf_init(&made.text, 1 << 20);
    buf_init(&made.bytes, 1 << 20);
    made.count = 0;
    text("tuple<u8, ");
    uint32_t inner = make_type(4);
    text(">");
    struct buf whole = begin(0x6f);
    number(&whole, 2);
    byte(&whole, 0x7d);
    reference(&whole, inner);
    uint32_t index = define(&whole);
    if (!type_parse((struct str){(char *)made.text.data, made.text.size}, &arena, NULL, NULL, &type, &err))
        fail_msg("%.*s: %s", (int)made.text.size, (char *)made.text.data, err.message);
    uint32_t offset = (DUMMIES + type->align - 1) & ~(type->align - 1);
    if (type->size < HEAP_AT - RESULT_AT) {
        struct buf bytes = component(index, offset);
        struct program *program = load(&bytes, generate);
        for (int i = 0; i < 5; i++) {
            struct slot *slot = slot_acquire(program, &err);
            assert_non_null(slot);
            struct host *host = host_begin(pool, &config, slot->store, NULL);
            assert_non_null(host);
            echo(slot, host);
            host_end(host, false);
            slot_release(slot);
        }
        program_unload(program);
        buf_free(&bytes);
    }
    buf_free(&made.text);
    buf_free(&made.bytes);
    arena_reset(&arena);
}

static unsigned rounds(unsigned usual)
{
    const char *count = getenv("ECHO_ROUNDS");
    return count ? (unsigned)atoi(count) : getenv("MAYFLY_TEST_FULL") ? usual * 20 : usual;
}

static void with_the_fast_generator(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
    for (unsigned i = 0; i < rounds(300); i++)
        try_type(codegen_fast);
}

static void with_llvm(void **state)
{
    struct err err = {0};
    (void)state;
    assert_true(trap_install(&err));
#if MAYFLY_LLVM
    for (unsigned i = 0; i < rounds(100) / 10; i++)
        try_type(codegen_llvm);
#endif
}

int main(void)
{
    const char *number_ = getenv("ECHO_SEED");
    struct err err = {0};
    seed = number_ ? strtoull(number_, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("ECHO_SEED=%llu\n", (unsigned long long)seed);
    arena_init(&arena, ARENA_MAX);
    wasi_link_init(&linked);
    pool = host_pool_new(NULL, NULL, &err);
    if (!pool)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_the_fast_generator), cmocka_unit_test(with_llvm)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    host_pool_free(pool);
    wasi_link_free(&linked);
    arena_free(&arena);
    stack_drain();
    return failed;
}
