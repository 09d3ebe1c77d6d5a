/* Core modules that say what they are as components: what their plans have, and what is refused, with the message. The
 * module is the guest `module` of the end-to-end tests; what is wrong with others differs from it in a name. */
#include "component/load.h"

#include "component/embed.h"

static const char path[] = SOURCE_DIR "/tests/e2e/guests/module.wasm";
static struct arena arena;

static struct input read_module(void)
{
    struct input input = input_read(path);
    assert_non_null(input.bytes);
    return input;
}

static uint8_t *find(const struct input *input, const char *text)
{
    uint8_t *found = memmem(input->bytes, input->size, text, strlen(text));
    assert_non_null(found);
    return found;
}

static bool plan(struct input input, struct plan **ret, struct err *err)
{
    struct wasm_module *module;
    arena_init(&arena, ARENA_MAX);
    assert_true(wasm_load(input.bytes, input.size, &arena, &module, err));
    assert_true(component_is_embedded(module));
    return component_plan_embedded(module, &arena, ret, err);
}

static void release(struct input input)
{
    arena_free(&arena);
    input_free(&input);
}

static const struct host_import *row_of(const struct plan *plan, const char *interface, const char *name)
{
    for (uint32_t i = 0; i < plan->import_count; i++)
        if (str_eq(plan->imports[i].interface, str_of(interface)) && str_eq(plan->imports[i].name, str_of(name)))
            return &plan->imports[i];
    fail_msg("no row for %s %s", interface, name);
    return NULL;
}

static void assert_plan(const struct plan *made)
{
    const struct wasm_module *module = made->units[0].module;
    assert_true(made->component);
    assert_int_equal(made->unit_count, 1);
    assert_int_equal(made->handle_tables, 1);
    assert_int_equal(made->import_count, module->import_count);
    assert_int_equal(row_of(made, "wasi_snapshot_preview1", "fd_read")->kind, HOST_CORE);
    const struct host_import *get = row_of(made, "fermyon:spin/variables@2.0.0", "get");
    assert_int_equal(get->kind, HOST_LOWERED);
    assert_str(get->signature, "func(string) -> result<string, variant{invalid-name(string), undefined(string), "
                               "provider(string), other(string)}>");
    assert_int_equal(get->options.memory_unit, 0);
    assert_int_equal(get->options.realloc_unit, 0);
    assert_int_equal(get->options.encoding, ENCODING_UTF8);
    const struct host_import *drop = row_of(made, "wasi:io/streams@0.2.12", "output-stream");
    assert_int_equal(drop->kind, HOST_RESOURCE_DROP);
    assert_int_equal(drop->resource_type, WASM_NO_INDEX);
    assert_int_equal(made->export_count, 1);
    assert_str(made->exports[0].interface, "wasi:http/incoming-handler@0.2.12");
    assert_str(made->exports[0].name, "handle");
    assert_str(made->exports[0].signature,
               "func(own<wasi:http/types.incoming-request>, own<wasi:http/types.response-outparam>)");
}

static bool is_export(const struct wasm_module *module, uint32_t func, const char *name)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_FUNC && module->exports[i].index == func &&
            str_eq(module->exports[i].name, str_of(name)))
            return true;
    return false;
}

static void test_accepted(void **state)
{
    struct input input = read_module();
    struct plan *made;
    struct err err = {0};
    if (!plan(input, &made, &err))
        fail_msg("%s", err.message);
    assert_plan(made);
    assert_true(is_export(made->units[0].module, made->units[0].module->start, "_initialize"));
    release(input);
}

/* A name in the module's own sections becomes another one of the same length. */
static struct input renamed(const char *from, const char *to)
{
    struct input input = read_module();
    assert_int_equal(strlen(from), strlen(to));
    memcpy(find(&input, from), to, strlen(to));
    return input;
}

static void refused(const char *from, const char *to, enum err_kind kind, const char *message)
{
    struct input input = renamed(from, to);
    struct plan *made;
    struct err err = {0};
    assert_false(plan(input, &made, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, kind);
    release(input);
}

static void test_refused(void **state)
{
    refused("handler@0.2.12#handle", "handler@0.2.12#handel", ERR_LINK,
            "wasi:http/incoming-handler@0.2.12 handle is in the module's component type, and not exported");
    refused(
        "cabi_realloc", "cabi_reallok", ERR_INVALID,
        "wasi:http/types@0.2.12 [method]incoming-request.path-with-query needs cabi_realloc, which is not exported");
    refused(
        "[constructor]outgoing-response", "[method]outgoing-response.body", ERR_INVALID,
        "wasi:http/types@0.2.12 [method]outgoing-response.body is imported with another core type than its component "
        "type has");
    refused("[constructor]fields", "[async-lower]fields", ERR_UNSUPPORTED,
            "wasi:http/types@0.2.12 [async-lower]fields is imported: asynchronous functions need a component");
    refused("memory", "memorx", ERR_INVALID,
            "wasi:http/types@0.2.12 [method]incoming-request.path-with-query needs a memory, "
            "and none is exported");
}

/* A command that imports by the names of worlds is still one, and one that does not is no component. */
static void test_commands(void **state)
{
    struct input input = renamed("_initialize", "_start_its_");
    struct wasm_module *module;
    struct plan *made;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    assert_true(wasm_load(input.bytes, input.size, &arena, &module, &err));
    struct wasm_export *exports = module->exports;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (str_starts(exports[i].name, STR("_start")))
            exports[i].name.len = 6;
    assert_true(component_is_embedded(module));
    assert_true(component_plan_embedded(module, &arena, &made, &err));
    assert_int_equal(made->export_count, 2);
    assert_str(made->exports[1].name, "_start");
    for (uint32_t i = 0; i < module->import_count; i++)
        module->imports[i].module = STR("wasi_snapshot_preview1");
    assert_false(component_is_embedded(module));
    release(input);
}

static void test_left_to_linking(void **state)
{
    struct input input = renamed("[constructor]fields", "[constructor]fieldz");
    struct plan *made;
    struct err err = {0};
    assert_true(plan(input, &made, &err));
    assert_int_equal(row_of(made, "wasi:http/types@0.2.12", "[constructor]fieldz")->kind, HOST_CORE);
    release(input);
    input = renamed("_initialize", "_initialise");
    assert_true(plan(input, &made, &err));
    assert_int_equal(made->units[0].module->start, WASM_NO_INDEX);
    release(input);
}

/* ---- sections ---- */

static struct wasm_custom section_of(struct input input)
{
    struct wasm_module *module;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    assert_true(wasm_load(input.bytes, input.size, &arena, &module, &err));
    for (uint32_t i = 0; i < module->custom_count; i++)
        if (str_starts(module->customs[i].name, STR("component-type"))) {
            struct wasm_custom found = module->customs[i];
            arena_free(&arena);
            return found;
        }
    fail_msg("the module has no component type");
    return (struct wasm_custom){0};
}

/* The module with one more section, `before` and the component of the one that it has. */
static struct input with_section(const char *before, size_t before_size, bool whole)
{
    static const char name[] = "component-type:again";
    struct input input = read_module(), grown = {0};
    struct wasm_custom section = section_of(input);
    size_t component = whole ? section.size : section.size / 2;
    size_t body = sizeof name + before_size + component;
    grown.bytes = mem_alloc(input.size + body + 16, 1);
    assert_non_null(grown.bytes);
    memcpy(grown.bytes, input.bytes, input.size);
    uint8_t *at = grown.bytes + input.size;
    *at++ = 0;
    for (size_t left = body; left || at == grown.bytes + input.size + 1; left >>= 7)
        *at++ = (uint8_t)((left & 0x7f) | (left >> 7 ? 0x80 : 0));
    *at++ = sizeof name - 1;
    memcpy(at, name, sizeof name - 1);
    memcpy(at + sizeof name - 1, before, before_size);
    memcpy(at + sizeof name - 1 + before_size, input.bytes + section.start, component);
    grown.size = (size_t)(at - grown.bytes) + sizeof name - 1 + before_size + component;
    input_free(&input);
    return grown;
}

static void test_sections(void **state)
{
    static const struct {
        const char *before;
        size_t size;
        bool whole;
        const char *message; /* NULL: the plan is as without it */
    } rows[] = {
        {"", 0, true, NULL},
        {"\3\0\6module", 9, true, NULL}, /* the format of before */
        {"\3\0\6modula", 9, true, "custom section `component-type:again`: a component type that names no world"},
        {"\3\7\6module", 9, true, "custom section `component-type:again`: a component type that names no world"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct input input = with_section(rows[i].before, rows[i].size, rows[i].whole);
        struct plan *made;
        struct err err = {0};
        bool done = plan(input, &made, &err);
        assert_string_equal(err.message, rows[i].message ? rows[i].message : "");
        assert_int_equal(done, rows[i].message == NULL);
        if (done)
            assert_plan(made);
        release(input);
    }
}

static void test_malformed_sections(void **state)
{
    static const struct {
        const char *before;
        size_t size;
        bool whole;
    } rows[] = {{"", 0, false}, {"\3", 1, false}, {"x", 1, true}, {"\3\0\177", 3, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct input input = with_section(rows[i].before, rows[i].size, rows[i].whole);
        struct plan *made;
        struct err err = {0};
        assert_false(plan(input, &made, &err));
        if (strncmp(err.message, "custom section `component-type:again`: ", 39) != 0)
            fail_msg("row %zu: %s", i, err.message);
        release(input);
    }
    refused("wit-component-encoding\4", "wit-component-encoding\5", ERR_UNSUPPORTED,
            "custom section `component-type`: a component type in format 5");
}

/* Every byte of the section in turn: an error or a plan, never anything else. */
static void test_every_byte(void **state)
{
    struct input input = read_module();
    const struct wasm_custom section = section_of(input);
    for (uint32_t i = 0; i < section.size; i++) {
        struct plan *made;
        struct err err = {0};
        uint8_t *byte = &input.bytes[section.start + i], before = *byte;
        *byte ^= (uint8_t)(1u << i % 8);
        if (!plan(input, &made, &err))
            assert_true(err.kind != ERR_NONE && err.message[0]);
        arena_free(&arena);
        *byte = before;
    }
    input_free(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_commands),   cmocka_unit_test(test_left_to_linking),
        cmocka_unit_test(test_sections),   cmocka_unit_test(test_malformed_sections),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
