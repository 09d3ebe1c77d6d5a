/* The WIT reader: what it accepts, what it makes of it, and where it says an error is. */
#include "wit/support.h"

#include "wit/ast.h"

static const struct {
    const char *text, *message;
} errors[] = {
    {"interface i {}", "test.wit:1: file without a package declaration"},
    {"package a:b;\ninterface i {\n  type t = u9;\n}", "test.wit:3: no type `u9`"},
    {"package a:b;\ninterface i {", "test.wit:2: expected a name, found `end of file`"},
    {"package a:b; interface i { f: func(; }", "test.wit:1: expected a name, found `;`"},
    {"package a:b; interface i { f: func(); f: func(); }", "test.wit:1: function `f` is defined twice"},
    {"package a:b; interface i { type f = u8; f: func(); }", "test.wit:1: `f` is defined twice"},
    {"package a:b; interface i { type t = u8; type t = u8; }", "test.wit:1: `t` is defined twice"},
    {"package a:b; interface i {} interface i {}", "test.wit:1: `i` is defined twice"},
    {"package a:b; interface i {} world i {}", "test.wit:1: `i` is defined twice"},
    {"package a:b; interface i { type t = t; }", "test.wit:1: `t` is defined by itself"},
    {"package a:b; interface i { record r { x: list<s> }\n record s { x: r } }",
     "test.wit:1: `r` is defined by itself"},
    {"package a:b; interface i { record r { x: u8, x: u8 } }", "test.wit:1: `x` stands twice"},
    {"package a:b; interface i { f: func(x: u8, x: u8); }", "test.wit:1: `x` stands twice"},
    {"package a:b; interface i { record r {} }", "test.wit:1: record without members"},
    {"package a:b; interface i { use j.{t}; }", "test.wit:1: no interface `j`"},
    {"package a:b; interface i { use c:d/j@1.0.0.{t}; }", "test.wit:1: no interface `c:d/j@1.0.0`"},
    {"package a:b; interface i { use j.{t}; } interface j {}", "test.wit:1: no type `t` in `j`"},
    {"package a:b; interface i { use j.{t}; } interface j { use i.{t}; }", "test.wit:1: interface `i` uses itself"},
    {"package a:b; interface i { type t = borrow<u>; type u = u8; }", "test.wit:1: `u` is not a resource"},
    {"package a:b; interface i { resource r; f: func() -> option<borrow<r>>; }",
     "test.wit:1: a result cannot contain a borrow"},
    {"package a:b; interface i { resource r { constructor() -> u8; } }",
     "test.wit:1: a constructor returns its resource, or a result with it"},
    {"package a:b; interface i { type t = map<f32, u8>; }", "test.wit:1: type cannot be the key of a map"},
    {"package a:b; interface i { type t = list<u8, 0>; }", "test.wit:1: length of a list must be from 1 to 4294967295"},
    {"package a:b; interface i { type t = list; }", "test.wit:1: expected `<`, found `;`"},
    {"package a:b; interface i { type t = list<u8; }", "test.wit:1: expected `,` or `>`, found `;`"},
    {"package a:b; interface i { type t = option<_>; }", "test.wit:1: `_` stands only for the ok part of a result"},
    {"package a:b; interface i { type list = u8; }", "test.wit:1: expected a name, found `list`"},
    {"package a:b; interface i { type aB = u8; }", "test.wit:1: identifier is not kebab-case"},
    {"package a:b; interface i { type a-- = u8; }", "test.wit:1: identifier is not kebab-case"},
    {"package a:b; /* /* */", "test.wit:1: comment without end"},
    {"package a:b; interface i { \x01 }", "test.wit:1: forbidden control character"},
    {"package a:b; // \xe2\x80\xae\n", "test.wit:1: forbidden control character"},
    {"package a:b; // \xff\n", "test.wit:1: not UTF-8"},
    {"package a:b; ?", "test.wit:1: unexpected character"},
    {"package a:b@x;", "test.wit:1: expected a version"},
    {"package a; interface i {}", "test.wit:1: expected `:`, found `;`"},
    {"package a:b; package c:d;", "test.wit:1: expected `{`, found `;`"},
    {"package a:b; world w { include w; }", "test.wit:1: world `w` includes itself"},
    {"package a:b; world w { include v; }", "test.wit:1: no world `v`"},
    {"package a:b; world w { import f: func(); import f: func(); }", "test.wit:1: `f` stands twice in the world"},
    {"package a:b; world w { import a:b; }", "test.wit:1: expected `/`, found `;`"},
    {"package a:b; @sinc(version = 1.0.0) interface i {}",
     "test.wit:1: expected `since`, `unstable`, `deprecated` or `external-id`, found `sinc`"},
};

static void error_messages(void **state)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct wit wit;
        struct err err = {0};
        if (wit_read(&wit, errors[i].text, &err))
            fail_msg("accepted: %s", errors[i].text);
        if (strcmp(err.message, errors[i].message) != 0)
            fail_msg("%s\n  says  %s\n  not   %s", errors[i].text, err.message, errors[i].message);
        assert_int_not_equal(err.kind, ERR_NONE);
        wit_free(&wit);
    }
}

static const char whole[] = "// a comment, /* another */\n"
                            "package a:b@1.2.3-rc.1;\n"
                            "/* one /* inside */ another */\n"
                            "use c:d/types@0.1.0 as other;\n"
                            "/// documentation\n"
                            "@since(version = 0.2.0)\n"
                            "interface i {\n"
                            "    use other.{thing, num as number};\n"
                            "    @unstable(feature = not-yet) hidden: func(x: nothing);\n"
                            "    @since(version = 1.0.0) @deprecated(version = 1.1.0) old: func();\n"
                            "    record r { %list: number, b: later, }\n"
                            "    type later = option<thing>;\n"
                            "    resource local {\n"
                            "        constructor(n: u32) -> result<local, string>;\n"
                            "        get: func() -> r;\n"
                            "        @unstable(feature = x) gone: func();\n"
                            "        make: static async func(t: borrow<thing>) -> local;\n"
                            "    }\n"
                            "    f: func(x: stream<u8>, y: future, z: error-context) -> tuple<u8, f32,>;\n"
                            "}\n"
                            "@unstable(feature = x) interface hidden {}\n"
                            "world w {\n"
                            "    include c:d/base with { run as walk }\n"
                            "    import i;\n"
                            "    import c:d/types@0.1.0;\n"
                            "    export other2: interface { g: func(); }\n"
                            "    @external-id(\"x \\\" y\") export go: async func() -> u8;\n"
                            "    use i.{r};\n"
                            "    import h: func(x: r);\n"
                            "}\n"
                            "package c:d@0.1.0 {\n"
                            "    interface types { resource thing; type num = s16; }\n"
                            "    world base { import types; export run: func(); }\n"
                            "}\n";

static void packages(void **state)
{
    struct wit wit;
    wit_good(&wit, whole);
    assert_int_equal(wit.package_count, 2);
    assert_true(str_eq(wit.packages[0]->id, STR("a:b")));
    assert_true(str_eq(wit.packages[0]->version, STR("1.2.3-rc.1")));
    assert_true(str_eq(wit.packages[1]->id, STR("c:d")));
    assert_int_equal(wit.packages[0]->interface_count, 1);
    assert_int_equal(wit.packages[0]->world_count, 1);
    assert_ptr_equal(wit_find(&wit, STR("c:d/types")), wit.packages[1]->interfaces[0]);
    assert_null(wit_find(&wit, STR("a:b/hidden")));
    wit_free(&wit);
}

static void interfaces(void **state)
{
    struct wit wit;
    wit_good(&wit, whole);
    const struct wit_interface *i = wit_find(&wit, STR("a:b/i"));
    assert_int_equal(i->def_count, 5);
    assert_true(i->defs[0].foreign && i->defs[0].resource);
    assert_true(str_eq(i->defs[0].resource->interface, STR("c:d/types")));
    assert_int_equal(i->defs[1].type->kind, TYPE_S16);
    const struct type *r = wit_type(&wit, "r");
    assert_true(str_eq(r->items[0].name, STR("list")));
    assert_ptr_equal(r->items[1].type, wit_type(&wit, "later"));
    assert_int_equal(i->func_count, 5);
    assert_true(str_eq(i->funcs[0].name, STR("old")));
    const struct wit_func *get = wit_func(&wit, "[method]local.get");
    assert_int_equal(get->type.param_count, 1);
    assert_int_equal(get->type.params[0].type->kind, TYPE_BORROW);
    assert_true(wit_func(&wit, "[static]local.make")->type.async_);
    assert_int_equal(wit_func(&wit, "[constructor]local")->type.result->kind, TYPE_RESULT);
    wit_free(&wit);
}

static void worlds(void **state)
{
    struct wit wit;
    wit_good(&wit, whole);
    const struct wit_world *w = wit.packages[0]->worlds[0];
    static const char *const imports[] = {"c:d/types", "a:b/i", "h"}, *const exports[] = {"walk", "other2", "go"};
    assert_int_equal(w->import_count, 3);
    assert_int_equal(w->export_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(str_eq(w->imports[i].name, str_of(imports[i])));
        assert_true(str_eq(w->exports[i].name, str_of(exports[i])));
    }
    assert_true(w->exports[2].func->type.async_);
    wit_free(&wit);
}

/* Every prefix of a good text is refused or read, and never read past its end (the sanitizers watch). */
static void truncated(void **state)
{
    for (size_t size = 0; size < sizeof whole; size++) {
        char *text = test_malloc(size ? size : 1);
        struct wit wit;
        struct err err = {0};
        memcpy(text, whole, size);
        wit_init(&wit);
        if (!wit_add(&wit, STR("t"), (struct str){text, size}, &err) || !wit_resolve(&wit, &err))
            assert_int_not_equal(err.kind, ERR_NONE);
        wit_free(&wit);
        test_free(text);
    }
}

/* Nesting and chains at their caps. */
static void depth(void **state)
{
    for (uint32_t over = 0; over < 2; over++) {
        struct buf text;
        struct wit wit;
        struct err err = {0};
        buf_init(&text, 4096);
        buf_printf(&text, "package a:b; interface i { type t = ");
        for (uint32_t i = 0; i + 1 < WIT_MAX_DEPTH + over; i++)
            buf_printf(&text, "option<");
        buf_printf(&text, "u8");
        for (uint32_t i = 0; i + 1 < WIT_MAX_DEPTH + over; i++)
            buf_printf(&text, ">");
        buf_append(&text, "; }", 4);
        assert_int_equal(wit_read(&wit, (char *)text.data, &err), over == 0);
        wit_free(&wit);
        buf_free(&text);
    }
}

static void chain(void **state)
{
    for (uint32_t over = 0; over < 2; over++) {
        struct buf text;
        struct wit wit;
        struct err err = {0};
        buf_init(&text, 1 << 20);
        buf_printf(&text, "package a:b; interface i { ");
        for (uint32_t i = 0; i + 2 < WIT_MAX_CHAIN + over; i++) /* the interface itself is one link */
            buf_printf(&text, "type t%u = t%u; ", i, i + 1);
        buf_printf(&text, "type t%u = u8; }", WIT_MAX_CHAIN - 2 + over);
        buf_append(&text, "", 1);
        assert_int_equal(wit_read(&wit, (char *)text.data, &err), over == 0);
        wit_free(&wit);
        buf_free(&text);
    }
}

/* The interfaces under wit/ are readable one by one only together: they use each other. */
static void own_interfaces(void **state)
{
    static const char *const names[] = {"io", "cli", "clocks", "random", "filesystem", "sockets", "http"};
    static char texts[7][32768];
    struct wit wit;
    struct err err = {0};
    wit_init(&wit);
    for (int i = 0; i < 7; i++) {
        char path[4096];
        snprintf(path, sizeof path, SOURCE_DIR "/wit/wasi-%s.wit", names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(texts[i], 1, sizeof texts[i], file);
        fclose(file);
        assert_true(wit_add(&wit, str_of(names[i]), (struct str){texts[i], size}, &err));
    }
    if (!wit_resolve(&wit, &err))
        fail_msg("%s", err.message);
    assert_non_null(wit_find(&wit, STR("wasi:http/types")));
    assert_non_null(wit_find(&wit, STR("wasi:clocks/timezone")));
    const struct wit_package *cli = wit.packages[1];
    assert_true(str_eq(cli->worlds[0]->name, STR("command")));
    assert_true(cli->worlds[0]->import_count > 25);
    wit_free(&wit);
}

/* Each allocation may fail. */
static void no_memory(void **state)
{
    for (uint64_t nth = 1;; nth++) {
        struct wit wit;
        struct err err = {0};
        mem_fail_at(nth);
        bool ok = wit_read(&wit, whole, &err);
        mem_fail_at(0);
        wit_free(&wit);
        if (ok)
            break;
        assert_int_equal(err.kind, ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_messages), cmocka_unit_test(packages),       cmocka_unit_test(interfaces),
        cmocka_unit_test(worlds),         cmocka_unit_test(truncated),      cmocka_unit_test(depth),
        cmocka_unit_test(chain),          cmocka_unit_test(own_interfaces), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
