/* The runtime configuration: what comes out of one that has everything, what is said of mistakes and never of values,
 * the caps, and memory that runs out. */
#include "app/runtime_config.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char everything[] =
    "state_dir = \"state\"\nlog_dir = \"\"\nmax_instance_memory = 1048576\n"
    "[[variables_provider]]\ntype = \"vault\"\nurl = \"https://vault:8200\"\ntoken = \"t\"\nmount = \"m\"\nprefix = "
    "\"p\"\n"
    "[[variables_provider]]\ntype = \"static\"\nvalues = { a = \"1\", b = \"\" }\n"
    "[[variables_provider]]\ntype = \"env\"\nprefix = \"APP\"\ndotenv_path = \"x.env\"\n"
    "[[variables_provider]]\ntype = \"env\"\n"
    "[key_value_store.default]\ntype = \"spin\"\npath = \"kv\"\n[key_value_store.more-one]\ntype = \"spin\"\npath = "
    "\"/kv\"\n"
    "[sqlite_database.default]\ntype = \"spin\"\npath = \"db\"\nallow_attach_file = false\n"
    "[outbound_networking]\nblock_networks = [\"10.1.2.3/8\", \"private\", \"2001:db8::/32\", \"192.0.2.1\"]\n";

static void equal(struct manifest_text text, const char *wanted)
{
    assert_non_null(text.text.ptr);
    if (!str_eq(text.text, str_of(wanted)))
        fail_msg("%s, not %.*s", wanted, STR_ARG(text.text));
}

static struct runtime_config read(const char *text)
{
    struct runtime_config config;
    struct err err = {0};
    if (!runtime_config_read(&config, str_of(text), NULL, &err))
        fail_msg("%s", err.message);
    return config;
}

static void test_everything(void **state)
{
    struct runtime_config config = read(everything);
    const struct runtime_provider *providers = config.providers;
    equal(config.state_dir, "state");
    equal(config.log_dir, "");
    assert_int_equal(config.max_instance_memory.value, 1048576);
    assert_int_equal(config.provider_count, 4);
    assert_int_equal(providers[0].type, RUNTIME_VAULT);
    assert_int_equal(providers[0].at.line, 4);
    equal(providers[0].url, "https://vault:8200");
    equal(providers[0].token, "t");
    equal(providers[0].mount, "m");
    equal(providers[0].prefix, "p");
    assert_int_equal(providers[1].type, RUNTIME_STATIC);
    assert_int_equal(providers[1].values.count, 2);
    equal(providers[1].values.items[0].value, "1");
    assert_int_equal(providers[2].type, RUNTIME_ENVIRONMENT);
    equal(providers[2].prefix, "APP");
    equal(providers[2].dotenv_path, "x.env");
    assert_null(providers[3].prefix.text.ptr);
    assert_int_equal(config.key_value_stores.count, 2);
    equal(config.key_value_stores.items[1].label, "more-one");
    equal(config.key_value_stores.items[1].path, "/kv");
    assert_int_equal(config.sqlite_databases.count, 1);
    equal(config.sqlite_databases.items[0].path, "db");
    assert_true(config.block_private);
    assert_int_equal(config.blocked_count, 3);
    assert_int_equal(config.blocked[0].bits, 8);
    assert_int_equal(config.blocked[0].base.bytes[1], 0); /* behind the prefix nothing counts */
    assert_int_equal(config.blocked[2].bits, 32);
    runtime_config_free(&config);
    assert_null(config.providers);
    runtime_config_free(&config);
}

static void test_nothing(void **state)
{
    struct runtime_config config = read("");
    assert_int_equal(config.provider_count + config.blocked_count + config.key_value_stores.count, 0);
    assert_null(config.state_dir.text.ptr);
    runtime_config_free(&config);
    config = read("[[config_provider]]\ntype = \"static\"\nvalues = {}\n"); /* its old name */
    assert_int_equal(config.provider_count, 1);
    runtime_config_free(&config);
}

static const struct {
    const char *text, *said, *remedy;
} rows[] = {
    {"nothing = 1", "1: unknown key \"nothing\" in the runtime configuration", "it may have state_dir, "},
    {"stat_dir = \"x\"", "1: unknown key \"stat_dir\" in the runtime configuration", "did you mean \"state_dir\"?"},
    {"state_dir = 1", "1: \"state_dir\" in the runtime configuration must be a string, not an integer", ""},
    {"state_dir = \"\"", "1: mayfly keeps no stores in memory: an empty \"state_dir\"", "write a folder"},
    {"max_instance_memory = 0", "1: \"max_instance_memory\" must be a number of bytes", ""},
    {"max_instance_memory = \"1M\"",
     "1: \"max_instance_memory\" in the runtime configuration must be an integer, not a string", ""},
    {"variables_provider = 1", "1: \"variables_provider\" in the runtime configuration must be a list, not an integer",
     ""},
    {"variables_provider = [1]", "1: an entry of variables_provider must be a table, not an integer", ""},
    {"[[variables_provider]]", "1: variables_provider lacks \"type\"", ""},
    {"[[variables_provider]]\ntype = 1", "2: \"type\" in variables_provider must be a string, not an integer", ""},
    {"[[variables_provider]]\ntype = \"x\"", "2: unknown type \"x\" of variables_provider",
     "it may be \"static\", \"env\", \"vault\""},
    {"[[variables_provider]]\ntype = \"valt\"", "2: unknown type \"valt\" of variables_provider",
     "did you mean \"vault\"?"},
    {"[[variables_provider]]\ntype = \"azure_key_vault\"\nvault_url = \"x\"",
     "2: mayfly does not have the type \"azure_key_vault\" of variables_provider yet", "take that out"},
    {"[[variables_provider]]\ntype = \"static\"", "1: variables_provider lacks \"values\"", ""},
    {"[[variables_provider]]\ntype = \"static\"\nvalues = { a = 5 }",
     "3: \"a\" in variables_provider.values must be a string, not an integer", ""},
    {"[[variables_provider]]\ntype = \"env\"\nprefix = \"\"", "3: an empty prefix", "leave it out"},
    {"[[variables_provider]]\ntype = \"env\"\nprefx = \"A\"", "3: unknown key \"prefx\" in variables_provider",
     "did you mean \"prefix\"?"},
    {"[[variables_provider]]\ntype = \"vault\"\nurl = \"vault\"\ntoken = \"SECRET\"\nmount = \"m\"",
     "3: \"url\" in variables_provider: not a URL", ""},
    {"[[variables_provider]]\ntype = \"vault\"\nurl = \"https://SECRET@v\"\ntoken = \"SECRET\"\nmount = \"m\"",
     "3: a name or password in \"url\" of variables_provider", "write https://HOST[:PORT]"},
    {"[[variables_provider]]\ntype = \"vault\"\nurl = \"https://v\"\ntoken = [\"SECRET\"]\nmount = \"m\"",
     "4: \"token\" in variables_provider must be a string, not a list", ""},
    {"[[config_provider]]\n[[variables_provider]]", "1: both \"config_provider\" and \"variables_provider\"",
     "write variables_provider"},
    {"[key_value_store]\ndefault = 1", "2: \"default\" in key_value_store must be a table, not an integer", ""},
    {"[key_value_store.x]\ntype = \"spin\"", "1: key_value_store.x lacks \"path\"", ""},
    {"[key_value_store.x]\ntype = \"spin\"\npath = \"\"", "3: an empty path", ""},
    {"[key_value_store.\"a b\"]\ntype = \"spin\"\npath = \"p\"", "1: label \"a b\": ", ""},
    {"[key_value_store.x]\ntype = \"aws_dynamo\"",
     "2: mayfly does not have the type \"aws_dynamo\" of key_value_store.x yet", ""},
    {"[sqlite_database.x]\ntype = \"libsql\"\nurl = \"u\"\ntoken = \"SECRET\"",
     "2: mayfly does not have the type \"libsql\" of sqlite_database.x yet", ""},
    {"[sqlite_database.x]\ntype = \"spin\"\npath = \"p\"\nallow_attach_file = true",
     "4: mayfly does not have \"allow_attach_file\"", ""},
    {"[outbound_networking]\nblock_networks = \"private\"",
     "2: \"block_networks\" in outbound_networking must be a list, not a string", ""},
    {"[outbound_networking]\nblock_networks = [\"privat\", 1]",
     "2: \"privat\" is no network; 2: an entry of outbound_networking.block_networks must be a string, not an integer",
     "write \"10.0.0.0/8\""},
    {"[outbound_networking]\nmax_socket_connections = 1", "2: mayfly does not have \"max_socket_connections\" yet", ""},
    {"[[client_tls]]", "1: mayfly does not have \"client_tls\" yet", ""},
    {"[outbound_http]\n[outbound_redis]\n[outbound_pg]\n[outbound_mysql]\n[outbound_mqtt]\n[llm_compute]",
     "1: mayfly does not have \"outbound_http\" yet; 2: mayfly does not have \"outbound_redis\" yet; "
     "3: mayfly does not have \"outbound_pg\" yet; 4: mayfly does not have \"outbound_mysql\" yet; "
     "5: mayfly does not have \"outbound_mqtt\" yet; 6: mayfly does not have \"llm_compute\" yet",
     ""},
    {"a = [", "1: this is no TOML", ""},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct runtime_config config;
        struct manifest_problems problems = {0};
        struct err err = {0};
        struct buf said;
        if (runtime_config_read(&config, str_of(rows[i].text), &problems, &err))
            fail_msg("%s is taken", rows[i].text);
        buf_init(&said, 65536);
        for (size_t k = 0; k < problems.count; k++)
            buf_printf(&said, "%s%u: %s", k ? "; " : "", problems.items[k].at.line, problems.items[k].err.message);
        buf_append(&said, "", 1);
        if (strncmp((char *)said.data, rows[i].said, strlen(rows[i].said)) != 0 || strstr((char *)said.data, "SECRET"))
            fail_msg("%s\n  says   %s\n  wanted %s", rows[i].text, (char *)said.data, rows[i].said);
        if (!strstr(problems.items[0].err.remedy, rows[i].remedy))
            fail_msg("%s: %s", rows[i].text, problems.items[0].err.remedy);
        assert_int_not_equal(err.kind, ERR_NONE);
        buf_free(&said);
        manifest_problems_free(&problems);
    }
}

static void test_caps(void **state)
{
    struct runtime_config config;
    struct err err = {0};
    struct buf text;
    for (unsigned more = 0; more < 2; more++) {
        buf_init(&text, 1 << 20);
        for (unsigned i = 0; i < RUNTIME_PROVIDERS_MAX + more; i++)
            buf_printf(&text, "[[variables_provider]]\ntype = \"env\"\n");
        bool done = runtime_config_read(&config, (struct str){(char *)text.data, text.size}, NULL, &err);
        assert_int_equal(done, more == 0);
        if (done)
            runtime_config_free(&config);
        buf_free(&text);
    }
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_load(void **state)
{
    struct runtime_config config;
    struct err err = {0};
    assert_false(runtime_config_load(&config, "/nonexistent/runtime.toml", NULL, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);
    err = (struct err){0};
    assert_false(runtime_config_load(&config, "/", NULL, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);
}

static void test_no_memory(void **state)
{
    struct runtime_config config = read(everything); /* the library is loaded once */
    runtime_config_free(&config);
    uint64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct manifest_problems problems = {0};
        struct err err = {0};
        mem_fail_once(nth);
        bool done = runtime_config_read(&config, str_of(everything), &problems, &err);
        mem_fail_once(0);
        if (done)
            runtime_config_free(&config);
        else if (err.kind != ERR_MEMORY)
            fail_msg("%llu: %s", (unsigned long long)nth, err.message);
        manifest_problems_free(&problems);
        assert_int_equal(mem_live(), live);
        if (done)
            return;
        assert_true(nth < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_nothing), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_caps),       cmocka_unit_test(test_load),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
