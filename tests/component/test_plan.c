/* Plans: what units there are, where each import ends, what is exported, and what is refused by name. */
#include "component/load.h"

static struct arena arena;

static const struct plan *plan_of(struct input input)
{
    struct plan *plan = NULL;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    if (!component_plan(input.bytes, input.size, &arena, &plan, &err))
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    assert_true(plan->component);
    for (uint32_t i = 0; i < plan->unit_count; i++)
        assert_int_equal(plan->units[i].index, i);
    return plan;
}

static void release(struct input input)
{
    arena_free(&arena);
    input_free(&input);
}

static const struct wasm_import *import_of(const struct plan *plan, uint32_t unit, uint32_t import)
{
    assert_true(import < plan->units[unit].module->import_count);
    return &plan->units[unit].module->imports[import];
}

/* The import with these names, found in the module. */
static const struct unit_import *find_import(const struct plan *plan, uint32_t unit, const char *module,
                                             const char *name)
{
    for (uint32_t i = 0; i < plan->units[unit].module->import_count; i++)
        if (str_eq(import_of(plan, unit, i)->module, str_of(module)) &&
            str_eq(import_of(plan, unit, i)->name, str_of(name)))
            return &plan->units[unit].imports[i];
    fail_msg("unit %u does not import %s.%s", unit, module, name);
    return NULL;
}

static uint32_t export_index(const struct plan *plan, uint32_t unit, const char *name)
{
    const struct wasm_module *module = plan->units[unit].module;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (str_eq(module->exports[i].name, str_of(name)))
            return module->exports[i].index;
    return WASM_NO_INDEX;
}

static const struct host_import *host_of(const struct plan *plan, const struct unit_import *import)
{
    assert_int_equal(import->from, IMPORT_HOST);
    assert_true(import->host < plan->import_count);
    return &plan->imports[import->host];
}

static void assert_from_unit(const struct unit_import *import, uint32_t unit, uint32_t index)
{
    assert_int_equal(import->from, IMPORT_UNIT);
    assert_int_equal(import->unit, unit);
    assert_int_equal(import->index, index);
}

static void assert_no_options(const struct canon_options *options)
{
    assert_int_equal(options->memory, WASM_NO_INDEX);
    assert_int_equal(options->memory_unit, WASM_NO_INDEX);
    assert_int_equal(options->realloc, WASM_NO_INDEX);
    assert_int_equal(options->post_return, WASM_NO_INDEX);
}

static void assert_memory(const struct plan *plan, const struct canon_options *options, uint32_t unit,
                          const char *realloc)
{
    assert_int_equal(options->memory_unit, unit);
    assert_int_equal(options->memory, export_index(plan, unit, "memory"));
    assert_int_equal(options->realloc_unit, realloc ? unit : WASM_NO_INDEX);
    assert_int_equal(options->realloc, realloc ? export_index(plan, unit, realloc) : WASM_NO_INDEX);
    assert_int_equal(options->encoding, ENCODING_UTF8);
}

static void assert_handler(const struct plan *plan, uint32_t unit, const char *interface, const char *core_name)
{
    assert_int_equal(plan->export_count, 1);
    const struct plan_export *handle = &plan->exports[0];
    assert_str(handle->interface, interface);
    assert_str(handle->name, "handle");
    assert_str(handle->signature,
               "func(own<wasi:http/types.incoming-request>, own<wasi:http/types.response-outparam>)");
    assert_int_equal(handle->unit, unit);
    assert_int_equal(handle->func, export_index(plan, unit, core_name));
    assert_int_equal(handle->handle_table, 0);
    assert_no_options(&handle->options);
    assert_int_equal(plan->handle_tables, 1);
}

/* Units: the shim of indirect functions, the program, and the module that fills the shim's table. */
static void hello_rust(void **state)
{
    struct input input = input_shared("hello-rust.wasm");
    (void)state;
    if (!input.bytes)
        return;
    const struct plan *plan = plan_of(input);
    assert_int_equal(plan->unit_count, 3);
    assert_int_equal(plan->import_count, 33);
    assert_handler(plan, 1, "wasi:http/incoming-handler@0.2.12", "wasi:http/incoming-handler@0.2.12#handle");
    const struct host_import *row = host_of(plan, find_import(plan, 1, "wasi:io/error@0.2.0", "[resource-drop]error"));
    assert_int_equal(row->kind, HOST_RESOURCE_DROP);
    assert_str(row->interface, "wasi:io/error@0.2.12");
    assert_str(row->name, "error");
    assert_int_equal(row->resource_type, WASM_NO_INDEX);
    assert_int_equal(row->type->param_count, 1);
    row = host_of(plan, find_import(plan, 1, "wasi:cli/stdout@0.2.0", "get-stdout"));
    assert_int_equal(row->kind, HOST_LOWERED);
    assert_str(row->interface, "wasi:cli/stdout@0.2.12");
    assert_str(row->signature, "func() -> own<wasi:io/streams.output-stream>");
    assert_no_options(&row->options);
    assert_from_unit(find_import(plan, 1, "wasi:http/types@0.2.12", "[method]outgoing-response.body"), 0,
                     export_index(plan, 0, "0"));
    assert_from_unit(find_import(plan, 2, "", "$imports"), 0, export_index(plan, 0, "$imports"));
    row = host_of(plan, find_import(plan, 2, "", "8"));
    assert_str(row->interface, "wasi:cli/environment@0.2.12");
    assert_str(row->name, "get-environment");
    assert_str(row->signature, "func() -> list<tuple<string, string>>");
    assert_memory(plan, &row->options, 1, "cabi_realloc");
    row = host_of(plan, find_import(plan, 2, "", "5"));
    assert_str(row->name, "[method]output-stream.check-write");
    assert_memory(plan, &row->options, 1, NULL);
    release(input);
}

static void hello_c(void **state)
{
    struct input input = input_shared("hello-c.wasm");
    (void)state;
    if (!input.bytes)
        return;
    const struct plan *plan = plan_of(input);
    assert_int_equal(plan->unit_count, 3);
    assert_int_equal(plan->import_count, 9);
    assert_handler(plan, 1, "wasi:http/incoming-handler@0.2.10", "wasi:http/incoming-handler@0.2.10#handle");
    const struct host_import *row =
        host_of(plan, find_import(plan, 1, "wasi:http/types@0.2.10", "[constructor]fields"));
    assert_str(row->interface, "wasi:http/types@0.2.10");
    assert_str(row->signature, "func() -> own<wasi:http/types.fields>");
    assert_int_equal(row->type->result_count, 1);
    row = host_of(plan, find_import(plan, 2, "actual", "4"));
    assert_str(row->name, "[static]outgoing-body.finish");
    assert_memory(plan, &row->options, 1, "cabi_realloc");
    assert_from_unit(find_import(plan, 2, "main", "_initialize"), 1, export_index(plan, 1, "_initialize"));
    assert_from_unit(find_import(plan, 2, "shim", "$imports"), 0, export_index(plan, 0, "$imports"));
    release(input);
}

static void hello_go(void **state)
{
    struct input input = input_shared("hello-go.wasm");
    (void)state;
    if (!input.bytes)
        return;
    const struct plan *plan = plan_of(input);
    assert_int_equal(plan->unit_count, 4);
    assert_int_equal(plan->import_count, 51);
    assert_handler(plan, 1, "wasi:http/incoming-handler@0.2.10", "wasi:http/incoming-handler@0.2.10#handle");
    /* the adapter uses the program's memory and its own allocator */
    assert_from_unit(find_import(plan, 2, "env", "memory"), 1, export_index(plan, 1, "memory"));
    const struct host_import *row = host_of(plan, find_import(plan, 3, "actual", "35"));
    assert_int_equal(row->options.memory_unit, 1);
    assert_int_equal(row->options.realloc_unit, 2);
    release(input);
}

static void expect_unsupported(struct input input, const char *words)
{
    struct plan *untouched = (struct plan *)(uintptr_t)1, *plan = untouched;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    assert_false(component_plan(input.bytes, input.size, &arena, &plan, &err));
    assert_ptr_equal(plan, untouched);
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    if (!strstr(err.message, words))
        fail_msg("`%s` does not say `%s`", err.message, words);
    assert_true(err.offset != ERR_NO_OFFSET);
    release(input);
}

static void refusals(void **state)
{
    (void)state;
    expect_unsupported(input_fixture("module.wasm"), "import `m`: a core module cannot come from the host");
}

/* A function of the host that is lowered asynchronously: an adapter calls it as a synchronous lower would. */
static void asynchronous_host(void **state)
{
    static const wasm_valtype words[] = {WASM_I32};
    struct input input = input_fixture("async.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    assert_int_equal(plan->unit_count, 3);
    const struct wasm_module *module = plan->units[1].module;
    assert_from_unit(find_import(plan, 2, "h", "work"), 1, module->imported_funcs);
    const struct host_import *row = NULL;
    for (uint32_t i = 0; i < plan->import_count; i++)
        if (plan->imports[i].kind == HOST_LOWERED)
            row = &plan->imports[i];
    assert_non_null(row);
    assert_str(row->name, "work");
    assert_str(row->signature, "async func(u32) -> u32");
    assert_true(row->type->param_count == 1 && row->type->result_count == 1);
    assert_memory_equal(row->type->params, words, sizeof words);
    assert_int_equal(row->options.memory_unit, 0);
    release(input);
}

/* Functions of the host that are exported again share one memory and one table of handles of their own. */
static void exported_host(void **state)
{
    struct input input = input_fixture("host.wasm");
    const struct plan *plan = plan_of(input);
    uint32_t shelf = WASM_NO_INDEX, count = 0;
    (void)state;
    for (uint32_t i = 0; i < plan->export_count; i++) {
        const struct plan_export *row = &plan->exports[i];
        if (row->options.realloc == WASM_NO_INDEX)
            continue;
        if (shelf == WASM_NO_INDEX)
            shelf = row->options.memory_unit;
        assert_int_equal(row->options.memory_unit, shelf);
        assert_int_equal(row->handle_table, plan->handle_tables - 1);
        count++;
    }
    assert_int_equal(count, 12);
    release(input);
}

/* The adapter stands between the two components, as one more unit that the caller imports from. */
static void adapter(void **state)
{
    struct input input = input_fixture("pair.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    assert_int_equal(plan->unit_count, 3);
    const struct unit_import *twice = find_import(plan, 2, "lib", "twice");
    const struct wasm_module *module = plan->units[1].module;
    assert_from_unit(twice, 1, module->imported_funcs);
    assert_int_equal(module->func_count, module->imported_funcs + 1);
    assert_int_equal(plan->units[1].imports[0].from, IMPORT_UNIT);
    assert_int_equal(plan->units[1].imports[0].unit, 0);
    assert_int_equal(plan->handle_tables, 2);
    release(input);
}

/* A type that one instance named and another uses keeps its name where the latter is opened. */
static void names_of_others(void **state)
{
    struct input input = input_fixture("named.wasm");
    (void)state;
    assert_int_equal(plan_of(input)->unit_count, 0);
    release(input);
}

static void plain_names(void **state)
{
    struct input input = input_fixture("plain.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    assert_int_equal(plan->unit_count, 2);
    const struct host_import *log = host_of(plan, find_import(plan, 1, "host", "log"));
    assert_str(log->interface, "");
    assert_str(log->name, "log");
    assert_str(log->signature, "func(string)");
    assert_int_equal(log->options.encoding, ENCODING_UTF16);
    assert_int_equal(log->options.memory_unit, 0);
    assert_int_equal(log->options.realloc, WASM_NO_INDEX);
    const struct host_import *parse = host_of(plan, find_import(plan, 1, "host", "parse"));
    assert_str(parse->signature, "func(list<u8>) -> result<u32, string>");
    assert_int_equal(parse->options.encoding, ENCODING_LATIN1_UTF16);
    assert_int_equal(parse->options.realloc_unit, 0);
    assert_int_equal(parse->options.realloc, 0);
    assert_int_equal(plan->export_count, 1);
    assert_str(plan->exports[0].interface, "");
    assert_str(plan->exports[0].name, "run");
    assert_str(plan->exports[0].signature, "func(string) -> string");
    assert_int_equal(plan->exports[0].options.post_return_unit, 1);
    assert_int_equal(plan->exports[0].options.post_return, export_index(plan, 1, "run-done"));
    release(input);
}

static void through_a_shim(void **state)
{
    struct input input = input_fixture("shim.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    assert_int_equal(plan->unit_count, 1);
    assert_int_equal(plan->handle_tables, 1);
    assert_int_equal(plan->export_count, 1);
    assert_str(plan->exports[0].interface, "test:http/handler@0.2.3");
    assert_str(plan->exports[0].name, "handle");
    assert_str(plan->exports[0].signature,
               "func(own<test:http/types.request>, string) -> variant{fine, failed(string)}");
    assert_memory(plan, &plan->exports[0].options, 0, "realloc");
    release(input);
}

static void instantiated_twice(void **state)
{
    struct input input = input_fixture("twice.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    assert_int_equal(plan->unit_count, 3);
    assert_ptr_equal(plan->units[0].module, plan->units[1].module);
    assert_from_unit(find_import(plan, 2, "a", "f"), 0, 0);
    assert_from_unit(find_import(plan, 2, "b", "g"), 1, 0);
    assert_from_unit(find_import(plan, 2, "a", "memory"), 0, 0);
    assert_from_unit(find_import(plan, 2, "b", "table"), 1, 0);
    assert_from_unit(find_import(plan, 2, "b", "global"), 1, 0);
    assert_from_unit(find_import(plan, 2, "b", "tag"), 0, 0);
    assert_int_equal(plan->exports[0].unit, 2); /* an import there: the layout follows it */
    assert_int_equal(plan->exports[0].func, 1);
    release(input);
}

static void own_resource(void **state)
{
    struct input input = input_fixture("resource.wasm");
    const struct plan *plan = plan_of(input);
    (void)state;
    const struct host_import *make = host_of(plan, find_import(plan, 1, "r", "new"));
    const struct host_import *rep = host_of(plan, find_import(plan, 1, "r", "rep"));
    const struct host_import *drop = host_of(plan, find_import(plan, 1, "r", "drop"));
    assert_int_equal(make->kind, HOST_RESOURCE_NEW);
    assert_int_equal(rep->kind, HOST_RESOURCE_REP);
    assert_int_equal(drop->kind, HOST_RESOURCE_DROP);
    assert_int_equal(make->resource_type, RESOURCE_COMPONENT_BASE);
    assert_int_equal(drop->resource_type, RESOURCE_COMPONENT_BASE);
    assert_str(drop->interface, "test:count/counters");
    assert_str(drop->name, "counter");
    assert_int_equal(drop->dtor_unit, 0);
    assert_int_equal(drop->dtor, export_index(plan, 0, "dtor"));
    assert_int_equal(make->dtor, WASM_NO_INDEX);
    assert_int_equal(plan->export_count, 2);
    assert_str(plan->exports[0].interface, "test:count/counters");
    assert_str(plan->exports[0].name, "[constructor]counter");
    assert_str(plan->exports[0].signature, "func(u32) -> own<test:count/counters.counter>");
    assert_str(plan->exports[1].signature, "func(borrow<test:count/counters.counter>) -> u32");
    release(input);
}

/* Options that are missing (an adapter would have no memory to read or write), or that cannot be. */
static void options(void **state)
{
    static const struct {
        const char *file, *message;
    } invalid[] = {{"memoryless.wasm", "canonical option `memory` is required"},
                   {"option-result.wasm", "canonical option `memory` is required"},
                   {"option-wait.wasm", "needs an unshared 32-bit memory"},
                   {"option-poll.wasm", "needs an unshared 32-bit memory"},
                   {"option-error.wasm", "error-context.new takes neither `async`"}};
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        struct input input = input_fixture(invalid[i].file);
        struct plan *plan;
        struct err err = {0};
        arena_init(&arena, ARENA_MAX);
        assert_false(component_plan(input.bytes, input.size, &arena, &plan, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.message, invalid[i].message));
        release(input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_rust),        cmocka_unit_test(hello_c),
        cmocka_unit_test(hello_go),          cmocka_unit_test(refusals),
        cmocka_unit_test(asynchronous_host), cmocka_unit_test(exported_host),
        cmocka_unit_test(plain_names),       cmocka_unit_test(through_a_shim),
        cmocka_unit_test(own_resource),      cmocka_unit_test(instantiated_twice),
        cmocka_unit_test(adapter),           cmocka_unit_test(names_of_others),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
