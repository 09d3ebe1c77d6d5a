/* Manifests of version 1: what becomes of each key, what is refused, and that the result is a manifest. */
#include "develop/upgrade.h"

#include "app/manifest.h"
#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "spin_manifest_version = \"1\"\nname = \"app\"\n"
#define HTTP "trigger = { type = \"http\", base = \"/\" }\n"

static const char whole[] =
    HEAD "version = \"1.2.3\"\ndescription = \"a \\\"b\\\"\\n\"\nauthors = [\"Ada\", \"Grace\"]\n" HTTP
         "[variables]\none = { default = \"1\" }\ntwo = { required = true, secret = true }\n"
         "[[component]]\nid = \"plain\"\nsource = \"a.wasm\"\n[component.trigger]\nroute = \"/...\"\n"
         "[[component]]\nid = \"My_Other\"\ndescription = \"all\"\nenvironment = { A = \"1\", \"b.c\" = \"2\" }\n"
         "source = { url = \"https://example.com/a.wasm\", digest = "
         "\"sha256:abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234\" }\n"
         "files = [\"a/*\", { source = \"b\", destination = \"/\" }]\nexclude_files = [\"**/x\"]\n"
         "allowed_http_hosts = [\"example.com\", \"http://self\"]\nallowed_outbound_hosts = [\"redis://r:6379\"]\n"
         "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\nai_models = [\"m\"]\nconfig = { a = \"{{ "
         "one }}\" }\n"
         "[component.trigger]\nroute = \"/other\"\n"
         "[component.build]\ncommand = \"make\"\nworkdir = \"other\"\nwatch = [\"*.c\"]\n";

static bool upgraded(const char *text, struct buf *out, struct err *err)
{
    buf_init(out, 1 << 20);
    bool done = upgrade_text(str_of(text), out, err);
    if (done)
        buf_append(out, "", 1);
    return done;
}

static void test_whole(void **state)
{
    struct buf out;
    struct err err = {0};
    struct manifest manifest;
    (void)state;
    if (!upgraded(whole, &out, &err))
        fail_msg("%s", err.message);
    const char *text = (const char *)out.data;
    if (!manifest_read(&manifest, str_of(text), STR(""), NULL, &err))
        fail_msg("%s\n%s", err.message, text);
    assert_int_equal(manifest.component_count, 2);
    assert_int_equal(manifest.trigger_count, 2);
    assert_int_equal(manifest.variable_count, 2);
    const struct manifest_component *plain = &manifest.components[0], *other = &manifest.components[1];
    assert_true(str_eq(manifest.application.description.text, STR("a \"b\"\n")));
    assert_true(str_eq(manifest.triggers[0].id.text, STR("trigger-plain")));
    assert_true(str_eq(manifest.triggers[1].http.route.text, STR("/other")));
    assert_true(str_eq(other->id.text, STR("my-other")));
    assert_int_equal(plain->allowed_outbound_hosts.count, 3);
    assert_true(str_eq(plain->allowed_outbound_hosts.items[2].text, STR("postgres://*:*")));
    assert_int_equal(other->allowed_outbound_hosts.count, 4); /* redis, http and https of the old list, self */
    assert_true(str_eq(other->allowed_outbound_hosts.items[3].text, STR("http://self")));
    assert_false(other->allowed_http_hosts.given);
    assert_true(str_eq(other->build.workdir.text, STR("other")));
    assert_int_equal(other->variables.count, 1);
    assert_int_equal(other->environment.count, 2);
    assert_int_equal(other->files.count, 2);
    assert_false(upgrade_needed(str_of(text)));
    manifest_free(&manifest);
    buf_free(&out);
}

static void test_all_hosts(void **state)
{
    struct buf out;
    struct err err = {0};
    (void)state;
    assert_true(upgraded(HEAD HTTP "[[component]]\nid = \"a\"\nsource = \"a.wasm\"\nallowed_outbound_hosts = []\n"
                                   "allowed_http_hosts = [\"insecure:allow-all\"]\ntrigger = { route = \"/\" }\n",
                         &out, &err));
    assert_non_null(strstr((const char *)out.data,
                           "allowed_outbound_hosts = [\"http://*:*\", \"https://*:*\", \"http://self\"]\n"));
    buf_free(&out);
}

static void test_refused(void **state)
{
    static const char *const rows[][2] = {
        {HEAD, "lacks the type of its trigger"},
        {HEAD "trigger = { type = 1 }\n", "lacks the type of its trigger"},
        {HEAD HTTP "nonsense = 1\n", "line 4: version 1 has no \"nonsense\""},
        {HEAD HTTP "[component.a]\nsource = \"a\"\n", "[[component]]"},
        {HEAD HTTP "[[component]]\nsource = \"a\"\n", "without \"id\""},
        {HEAD HTTP "[[component]]\nid = \"1x\"\nsource = \"a\"\n", "component \"1x\""},
        {HEAD HTTP "[[component]]\nid = \"a\"\nroute = \"/\"\n", "version 1 has no \"route\""},
        {"not TOML", "line 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        struct buf out;
        assert_false(upgraded(rows[i][0], &out, &err));
        if (!strstr(err.message, rows[i][1]))
            fail_msg("%s, not %s", err.message, rows[i][1]);
        buf_free(&out);
    }
}

static void test_needed(void **state)
{
    (void)state;
    assert_true(upgrade_needed(STR("spin_manifest_version = \"1\"")));
    assert_true(upgrade_needed(STR("spin_version = \"1\"")));
    assert_false(upgrade_needed(STR("spin_manifest_version = 2")));
    assert_false(upgrade_needed(STR("nothing = 1")));
    assert_false(upgrade_needed(STR("= not TOML")));
}

/* Every allocation fails once, with all behind it. */
static void test_no_memory(void **state)
{
    uint64_t live = mem_live();
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct buf out;
        struct err err = {0};
        mem_fail_at(nth);
        bool done = upgraded(whole, &out, &err);
        mem_fail_at(0);
        buf_free(&out);
        assert_int_equal(mem_live(), live);
        if (done)
            break;
        assert_int_equal(err.kind, ERR_MEMORY);
        assert_true(nth < 10000);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_all_hosts), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_needed), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
