/* Worlds as text: what is written for small components, and that the text of real ones, read again, means the same. */
#include "component/load.h"

#include "component/check.h"
#include "component/world.h"
#include "wit/wit.h"

#define TEXT_MAX ((size_t)16 << 20)

struct loaded {
    struct input input;
    struct arena arena;
    struct component *component;
    struct world *world;
    struct buf text;
};

static void load(struct loaded *ret, struct input input)
{
    struct err err = {0};
    ret->input = input;
    arena_init(&ret->arena, ARENA_MAX);
    buf_init(&ret->text, TEXT_MAX);
    if (!component_decode(input.bytes, input.size, &ret->arena, &ret->component, &err) ||
        !(ret->world = world_new(ret->component, &ret->arena, &err)) || !world_put_wit(ret->world, &ret->text))
        fail_msg("%s", err.message);
}

static void unload(struct loaded *loaded)
{
    buf_free(&loaded->text);
    arena_free(&loaded->arena);
    input_free(&loaded->input);
}

static void expect_text(const char *fixture, const char *expected)
{
    struct loaded loaded;
    load(&loaded, input_fixture(fixture));
    assert_str((struct str){(const char *)loaded.text.data, loaded.text.size}, expected);
    unload(&loaded);
}

static void written(void **state)
{
    (void)state;
    expect_text("plain.wasm", "package root:component;\n\nworld root {\n"
                              "  import log: func(text: string);\n"
                              "  import parse: func(text: list<u8>) -> result<u32, string>;\n"
                              "  export run: func(text: string) -> string;\n}\n");
    expect_text("async.wasm", "package root:component;\n\nworld root {\n"
                              "  import work: async func(n: u32) -> u32;\n"
                              "  export run: async func() -> u32;\n}\n");
    expect_text("resource.wasm", "package root:component;\n\nworld root {\n"
                                 "  export test:count/counters;\n}\n\n"
                                 "package test:count {\n  interface counters {\n    resource counter {\n"
                                 "      constructor(start: u32);\n      value: func() -> u32;\n    }\n  }\n}\n");
    expect_text("shim.wasm", "package root:component;\n\nworld root {\n"
                             "  import test:http/types@0.2.3;\n  export test:http/handler@0.2.3;\n}\n\n"
                             "package test:http@0.2.3 {\n  interface handler {\n"
                             "    use types.{request, outcome};\n"
                             "    handle: func(request: request, path: string) -> outcome;\n  }\n"
                             "  interface types {\n    resource request;\n    variant outcome {\n"
                             "      fine,\n      failed(string),\n    }\n  }\n}\n");
    expect_text("types.wasm",
                "package root:component;\n\nworld root {\n"
                "  record r {\n    a: u8,\n    b: s64,\n  }\n"
                "  variant v {\n    none,\n    num(f32),\n    text(string),\n  }\n"
                "  enum e {\n    red,\n    green,\n  }\n  flags f {\n    x,\n    y,\n    z,\n  }\n  resource h;\n"
                "  import all: func(a: bool, b: s8, c: u16, d: s32, e: f64, f: char, g: list<r>, h: v, i: tuple<e, f>, "
                "j: option<h>, k: result<_, string>, l: borrow<h>, m: map<string, u32>, n: list<u16, 4>, "
                "o: stream<u8>, p: future) -> result<u64, e>;\n}\n");
}

/* Bytes of a component: a preamble and the sections in `sections`. */
static struct input make(const uint8_t *sections, size_t size)
{
    static const uint8_t preamble[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
    struct input input = {mem_alloc(sizeof preamble + size, 1), sizeof preamble + size};
    assert_non_null(input.bytes);
    memcpy(input.bytes, preamble, sizeof preamble);
    memcpy(input.bytes + sizeof preamble, sections, size);
    return input;
}

#define MAKE(...) make((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Imports a:list/c with a type t = u8, that type as u, and a function `type` from one to the other. */
static void names_that_need_care(void **state)
{
    static const char expected[] = "package root:component;\n\nworld root {\n"
                                   "  use a:%list/c.{t as u, t};\n"
                                   "  import a:%list/c;\n"
                                   "  import %type: func(%record: t) -> u;\n}\n\n"
                                   "package a:%list {\n  interface c {\n    type t = u8;\n  }\n}\n";
    struct loaded loaded;
    (void)state;
    load(&loaded,
         MAKE(
                      /* type 0: instance with a type t = u8 */
             7, 12, 1, 0x42, 2, 1, 0x7d, 4, 0, 1, 't', 3, 0, 0,
                      /* import it */
             10, 13, 1, 0, 8, 'a', ':', 'l', 'i', 's', 't', '/', 'c', 5, 0,
                      /* alias its t: type 1; import u = t: type 2 */
             6, 6, 1, 3, 0, 0, 1, 't', 10, 7, 1, 0, 1, 'u', 3, 0, 1,
                      /* type 3: func(record: type 1) -> type 2; import it */
             7, 13, 1, 0x40, 1, 6, 'r', 'e', 'c', 'o', 'r', 'd', 1, 0, 2, 10, 9, 1, 0, 4, 't', 'y', 'p', 'e', 1, 3));
    assert_str((struct str){(const char *)loaded.text.data, loaded.text.size}, expected);
    unload(&loaded);
}

/* --- read again --- */

/* The resolver's names for resources: by the interface that has them first. */
static void name_resources(const struct externs *externs)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        const struct extern_decl *decl = &externs->items[i];
        const struct externs *inner = decl->type.sort == SORT_INSTANCE ? &decl->type.instance->exports : NULL;
        for (uint32_t j = 0; inner && j < inner->count; j++) {
            const struct entity *type = &inner->items[j].type;
            if (type->sort != SORT_TYPE || type->def != DEF_RESOURCE || type->resource->abstract->resource.name.len)
                continue;
            struct resource *resource = &type->resource->abstract->resource;
            resource->interface = str_slice(decl->name, 0, str_find(decl->name, '@'));
            resource->name = inner->items[j].name;
        }
    }
}

static const struct wit_interface *find_interface(const struct wit *wit, struct str name)
{
    size_t at = str_find(name, '@');
    struct str id = str_slice(name, 0, at), version = str_slice(name, at < name.len ? at + 1 : at, name.len);
    for (uint32_t i = 0; i < wit->package_count; i++)
        for (uint32_t j = 0; j < wit->packages[i]->interface_count; j++)
            if (str_eq(wit->packages[i]->interfaces[j]->id, id) && str_eq(wit->packages[i]->version, version))
                return wit->packages[i]->interfaces[j];
    fail_msg("no interface %.*s in the text", STR_ARG(name));
    return NULL;
}

static void same_function(struct str name, const struct func_type *a, const struct func_type *b)
{
    struct buf left, right;
    buf_init(&left, TEXT_MAX);
    buf_init(&right, TEXT_MAX);
    assert_true(type_func_text(a, &left) && type_func_text(b, &right) && buf_append(&right, "", 1));
    assert_int_equal(a->param_count, b->param_count);
    for (uint32_t i = 0; i < a->param_count; i++)
        assert_true(str_eq(a->params[i].name, b->params[i].name));
    if (!str_eq((struct str){(const char *)left.data, left.size}, str_of((const char *)right.data)))
        fail_msg("%.*s: `%.*s` and `%s`", STR_ARG(name), (int)left.size, left.data, right.data);
    buf_free(&left);
    buf_free(&right);
}

static unsigned compared;

static void same_interface(const struct externs *externs, const struct wit_interface *interface)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        const struct extern_decl *decl = &externs->items[i];
        const struct wit_func *found = NULL;
        if (decl->type.sort != SORT_FUNC)
            continue;
        for (uint32_t j = 0; j < interface->func_count; j++)
            if (str_eq(interface->funcs[j].name, decl->name))
                found = &interface->funcs[j];
        if (!found)
            fail_msg("no %.*s in the text", STR_ARG(decl->name));
        same_function(decl->name, &decl->type.func->type, &found->type);
        compared++;
    }
}

static void same_externs(const struct externs *externs, const struct wit *wit, const struct wit_extern *rows,
                         uint32_t count)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        const struct extern_decl *decl = &externs->items[i];
        const struct wit_extern *found = NULL;
        struct str id = str_slice(decl->name, 0, str_find(decl->name, '@'));
        for (uint32_t j = 0; j < count; j++)
            if (str_eq(rows[j].name, id))
                found = &rows[j];
        if (!found && decl->type.sort != SORT_TYPE)
            fail_msg("no %.*s in the world", STR_ARG(decl->name));
        if (decl->type.sort == SORT_INSTANCE)
            same_interface(&decl->type.instance->exports, find_interface(wit, decl->name));
    }
}

static void read_again(struct input input)
{
    struct loaded loaded;
    struct wit wit;
    struct err err = {0};
    if (!input.bytes)
        return;
    load(&loaded, input);
    wit_init(&wit);
    struct str text = {(const char *)loaded.text.data, loaded.text.size};
    if (!wit_add(&wit, STR("text"), text, &err) || !wit_resolve(&wit, &err))
        fail_msg("%s in\n%.*s", err.message, STR_ARG(text));
    const struct component_type *type = &loaded.component->type;
    name_resources(&type->imports);
    name_resources(&type->exports);
    const struct wit_world *world = NULL;
    for (uint32_t i = 0; i < wit.package_count; i++)
        if (wit.packages[i]->world_count)
            world = wit.packages[i]->worlds[0];
    assert_non_null(world);
    same_externs(&type->imports, &wit, world->imports, world->import_count);
    same_externs(&type->exports, &wit, world->exports, world->export_count);
    wit_free(&wit);
    unload(&loaded);
}

static void read_again_all(void **state)
{
    static const char *const shared[] = {"hello-c.wasm", "hello-rust.wasm", "hello-go.wasm", "chain-rust-go.wasm"};
    static const char *const own[] = {
        "examples/hello-c/hello.wasm", "examples/hello-rust/hello.wasm",         "tests/e2e/guests/echo.wasm",
        "tests/e2e/guests/leak.wasm",  "tests/component/fixtures/resource.wasm", "tests/component/fixtures/shim.wasm"};
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, own[i]);
        struct input input = input_read(path);
        assert_non_null(input.bytes);
        read_again(input);
    }
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        read_again(input_shared(shared[i]));
    print_message("%u functions compared\n", compared);
    assert_true(compared > 50);
}

/* --- what others import --- */

static const struct extern_decl *exported(const struct loaded *loaded, const char *name)
{
    const struct extern_decl *found = externs_find(&loaded->component->type.exports, str_of(name));
    if (!found)
        fail_msg("no export %s", name);
    return found;
}

static void load_own(struct loaded *ret, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, name);
    struct input input = input_read(path);
    assert_non_null(input.bytes);
    load(ret, input);
}

static void expect_imports(const struct world_import *imports, uint32_t count, const char *expected)
{
    struct buf text;
    struct wit wit;
    struct err err = {0};
    buf_init(&text, TEXT_MAX);
    wit_init(&wit);
    if (!world_put_imports(imports, count, &text, &err))
        fail_msg("%s", err.message);
    struct str written = {(const char *)text.data, text.size};
    assert_str(written, expected);
    if (!wit_add(&wit, STR("text"), written, &err) || !wit_resolve(&wit, &err))
        fail_msg("%s in\n%.*s", err.message, STR_ARG(written));
    wit_free(&wit);
    buf_free(&text);
}

/* Interfaces, also under other names, with those that they use and no others; functions with the types of their
 * component. */
static void imported(void **state)
{
    struct loaded words, shim;
    (void)state;
    load_own(&words, "tests/e2e/guests/words.wasm");
    load(&shim, input_fixture("shim.wasm"));
    const struct world_import probe[] = {
        {words.world, STR("test:words/probe@1.2.3"), exported(&words, "test:words/probe@1.2.3")},
        {words.world, STR("hello"), exported(&words, "greet")},
        {words.world, STR("other"), exported(&words, "hello")},
    };
    expect_imports(probe, 3,
                   "package root:component;\n\nworld root {\n"
                   "  import test:words/probe@1.2.3;\n"
                   "  import hello: func(name: string) -> string;\n"
                   "  import other: func(name: string) -> string;\n}\n\n"
                   "package test:words@1.2.3 {\n  interface probe {\n    report: func() -> string;\n  }\n}\n");
    const struct world_import renamed[] = {{shim.world, STR("my:own/way"), exported(&shim, "test:http/handler@0.2.3")}};
    expect_imports(renamed, 1,
                   "package root:component;\n\nworld root {\n  import my:%own/way;\n}\n\n"
                   "package my:%own {\n  interface way {\n    use test:http/types@0.2.3.{request, outcome};\n"
                   "    handle: func(request: request, path: string) -> outcome;\n  }\n}\n\n"
                   "package test:http@0.2.3 {\n  interface types {\n    resource request;\n    variant outcome {\n"
                   "      fine,\n      failed(string),\n    }\n  }\n}\n");
    unload(&words);
    unload(&shim);
}

static bool str_contains(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Of an interface that two components have, the one with more of it is written, with what that uses. */
static void imported_twice(void **state)
{
    struct loaded words, echo;
    struct buf text;
    struct err err = {0};
    struct wit wit;
    (void)state;
    load_own(&words, "tests/e2e/guests/words.wasm");
    load_own(&echo, "tests/e2e/guests/echo.wasm");
    for (int turn = 0; turn < 2; turn++) {
        const struct world_import count = {words.world, STR("test:words/count@1.2.3"),
                                           exported(&words, "test:words/count@1.2.3")},
                                  handler = {echo.world, STR("wasi:http/incoming-handler@0.2.12"),
                                             exported(&echo, "wasi:http/incoming-handler@0.2.12")};
        const struct world_import both[2] = {turn ? count : handler, turn ? handler : count};
        buf_init(&text, TEXT_MAX);
        wit_init(&wit);
        if (!world_put_imports(both, 2, &text, &err) ||
            !wit_add(&wit, STR("text"), (struct str){(const char *)text.data, text.size}, &err) ||
            !wit_resolve(&wit, &err))
            fail_msg("%s in\n%.*s", err.message, (int)text.size, text.data);
        const struct str written = {(const char *)text.data, text.size};
        assert_non_null(find_interface(&wit, STR("wasi:io/streams@0.2.12")));
        assert_true(str_contains(written, "resource output-stream")); /* echo has them, words does not */
        assert_true(str_contains(written, "resource input-stream"));
        wit_free(&wit);
        buf_free(&text);
    }
    unload(&words);
    unload(&echo);
}

/* A maximum ends the text with an error; so does memory. */
static void bounded(void **state)
{
    struct loaded loaded;
    struct err err = {0};
    (void)state;
    load(&loaded, input_fixture("types.wasm"));
    for (size_t max = 0; max < loaded.text.size; max += 37) {
        struct buf text;
        struct world *world = world_new(loaded.component, &loaded.arena, &err);
        assert_non_null(world);
        buf_init(&text, max);
        err = (struct err){0};
        assert_false(world_put_wit(world, &text));
        assert_int_equal(err.kind, ERR_LIMIT);
        buf_free(&text);
    }
    unload(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written),  cmocka_unit_test(names_that_need_care), cmocka_unit_test(read_again_all),
        cmocka_unit_test(imported), cmocka_unit_test(imported_twice),       cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
