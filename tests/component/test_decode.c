/* Decoding and validation: what known components contain, and which bytes are refused where. */
#include "component/load.h"

#include "component/names.h"

static struct arena arena;

static struct component *decode(struct input input)
{
    struct component *component = NULL;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    if (!component_decode(input.bytes, input.size, &arena, &component, &err))
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    return component;
}

static void release(struct input input)
{
    arena_free(&arena);
    input_free(&input);
}

static uint32_t space(const struct component *component, enum sort sort)
{
    return component->scope.spaces[sort].count;
}

static void shared_components(void **state)
{
    static const struct {
        const char *file, *export;
        uint32_t modules, core_instances, core_funcs, funcs, types, components, instances, imports;
    } rows[] = {
        {"hello-rust.wasm", "wasi:http/incoming-handler@0.2.12", 3, 20, 47, 21, 43, 1, 16, 14},
        {"hello-c.wasm", "wasi:http/incoming-handler@0.2.10", 3, 6, 16, 8, 12, 1, 5, 3},
        {"hello-go.wasm", "wasi:http/incoming-handler@0.2.10", 4, 29, 109, 37, 54, 1, 21, 19},
        {"chain-rust-go.wasm", "wasi:http/incoming-handler@0.2.10", 0, 0, 0, 0, 34, 2, 24, 19},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct input input = input_shared(rows[i].file);
        if (!input.bytes)
            continue;
        struct component *c = decode(input);
        assert_int_equal(space(c, SORT_CORE_MODULE), rows[i].modules);
        assert_int_equal(space(c, SORT_CORE_INSTANCE), rows[i].core_instances);
        assert_int_equal(space(c, SORT_CORE_FUNC), rows[i].core_funcs);
        assert_int_equal(space(c, SORT_FUNC), rows[i].funcs);
        assert_int_equal(space(c, SORT_TYPE), rows[i].types);
        assert_int_equal(space(c, SORT_COMPONENT), rows[i].components);
        assert_int_equal(space(c, SORT_INSTANCE), rows[i].instances);
        assert_int_equal(c->type.imports.count, rows[i].imports);
        assert_int_equal(c->type.exports.count, 1);
        assert_str(c->type.exports.items[0].name, rows[i].export);
        release(input);
    }
}

/* Every kind of value type, through the text that functions are linked by. */
static void value_types(void **state)
{
    struct input input = input_fixture("types.wasm");
    struct component *c = decode(input);
    struct buf text;
    (void)state;
    const struct extern_decl *all = externs_find(&c->type.imports, STR("all"));
    assert_non_null(all);
    buf_init(&text, 4096);
    assert_true(type_func_text(&all->type.func->type, &text));
    struct str actual = {(const char *)text.data, text.size};
    assert_str(actual,
               "func(bool, s8, u16, s32, f64, char, list<record{a: u8, b: s64}>, variant{none, num(f32), "
               "text(string)}, tuple<enum{red, green}, flags{x, y, z}>, option<own<>>, result<_, string>, "
               "borrow<>, map<string, u32>, list<u16, 4>, stream<u8>, future) -> result<u64, enum{red, green}>");
    buf_free(&text);
    release(input);
}

static void builtins(void **state)
{
    static const enum builtin kinds[] = {BUILTIN_LOWER,       BUILTIN_TASK_RETURN, BUILTIN_WAITABLE_SET_NEW,
                                         BUILTIN_CONTEXT_GET, BUILTIN_STREAM_READ, BUILTIN_THREAD_YIELD,
                                         BUILTIN_LIFT};
    struct input input = input_fixture("async.wasm");
    struct component *c = decode(input);
    size_t found = 0;
    (void)state;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->definitions[i].kind == DEFINE_CANON) {
            assert_true(found < sizeof kinds / sizeof *kinds);
            assert_int_equal(c->definitions[i].canon->kind, kinds[found++]);
        }
    assert_int_equal(found, sizeof kinds / sizeof *kinds);
    release(input);
}

static void names(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        enum name_kind kind;
    } rows[] = {
        {"a", true, NAME_PLAIN},
        {"a11-w0rds", true, NAME_PLAIN},
        {"m1x3d-4CR0NYMS", true, NAME_PLAIN},
        {"is-XML", true, NAME_PLAIN},
        {"1-2", false, 0},
        {"a--b", false, 0},
        {"aB", false, 0},
        {"", false, 0},
        {"[constructor]r", true, NAME_CONSTRUCTOR},
        {"[method]r.m", true, NAME_METHOD},
        {"[static]r.m", true, NAME_STATIC},
        {"[method]r", false, 0},
        {"[other]r", false, 0},
        {"wasi:http/types", true, NAME_INTERFACE},
        {"wasi:http/types@0.2.12", true, NAME_INTERFACE},
        {"wasi:http/types@0.3.0-rc-2026-03-15", true, NAME_INTERFACE},
        {"a:b/c@1.2.3-x.1+y.01", true, NAME_INTERFACE},
        {"a:b/c@1.2", false, 0},
        {"a:b/c@01.2.3", false, 0},
        {"a:b/c@1.2.3-01", false, 0},
        {"A:b/c", false, 0},
        {"a:b", false, 0},
        {"a/b:c", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct extern_name name;
        bool valid = name_parse(str_of(rows[i].text), &name);
        if (valid != rows[i].valid || (valid && name.kind != rows[i].kind))
            fail_msg("name `%s`", rows[i].text);
    }
    assert_str(name_unversioned(STR("wasi:io/poll@0.2.1")), "wasi:io/poll");
}

#define BYTES(...) {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void refused(void **state)
{
    static const struct {
        uint8_t bytes[16]; /* after the preamble */
        size_t size;
        enum err_kind kind;
        uint64_t offset;
    } rows[] = {
        {BYTES(0x0d, 0), ERR_MALFORMED, 8},                        /* section id */
        {BYTES(0x07, 0x02, 0x01), ERR_MALFORMED, 10},              /* section longer than the file */
        {BYTES(0x07, 0x02, 0x00, 0x00), ERR_MALFORMED, 11},        /* bytes left over */
        {BYTES(0x07, 0x02, 0x01, 0x62), ERR_MALFORMED, 11},        /* unknown type */
        {BYTES(0x07, 0x03, 0x01, 0x70, 0x00), ERR_INVALID, 12},    /* type index */
        {BYTES(0x07, 0x03, 0x01, 0x69, 0x00), ERR_INVALID, 12},    /* own of nothing */
        {BYTES(0x07, 0x03, 0x01, 0x72, 0x00), ERR_INVALID, 12},    /* empty record */
        {BYTES(0x06, 0x05, 0x01, 0x03, 0x02, 0x01, 0x00), ERR_INVALID, 13}, /* outer alias count */
        {BYTES(0x08, 0x02, 0x01, 0x07), ERR_MALFORMED, 11},        /* canonical function */
        {BYTES(0x08, 0x05, 0x01, 0x01, 0x00, 0x00, 0x00), ERR_INVALID, 13}, /* lower of nothing */
        {BYTES(0x09, 0x03, 0x00, 0x00, 0x00), ERR_UNSUPPORTED, 10}, /* start */
        {BYTES(0x0b, 0x07, 0x01, 0x00, 0x01, 'a', 0x05, 0x00, 0x00), ERR_INVALID, 15}, /* export of nothing */
    };
    static const uint8_t preamble[] = {0x00, 'a', 's', 'm', 0x0d, 0x00, 0x01, 0x00};
    uint8_t bytes[64];
    (void)state;
    memcpy(bytes, preamble, sizeof preamble);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct component *untouched = (struct component *)(uintptr_t)1, *component = untouched;
        struct err err = {0};
        memcpy(bytes + sizeof preamble, rows[i].bytes, rows[i].size);
        arena_init(&arena, ARENA_MAX);
        assert_false(component_decode(bytes, sizeof preamble + rows[i].size, &arena, &component, &err));
        arena_free(&arena);
        assert_ptr_equal(component, untouched);
        if (err.kind != rows[i].kind || err.offset != rows[i].offset)
            fail_msg("row %zu: kind %d at %llu: %s", i, err.kind, (unsigned long long)err.offset, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_components), cmocka_unit_test(value_types),
        cmocka_unit_test(builtins),          cmocka_unit_test(names),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
