/* What is deployed, as a table: values of variables on their way from sources to components, a component that comes
 * from elsewhere, and memory that runs out anywhere on it. The rest is in tests/e2e/app.py, sources.py and
 * variables.py.
 */
#include "deploy/deploy.h"

#include "base/alloc.h"
#include "support/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A file that was fetched before; its server is not there. */
#define HELLO_NAME "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_FILE "{ url = \"http://127.0.0.1:1/one.wasm\", digest = \"sha256:" HELLO_NAME "\" }"

static char folder[] = "/tmp/mayfly-deploy-XXXXXX";

static const struct {
    const char *name, *text;
} files[] = {
    {"spin.toml",
     "spin_manifest_version = 2\n[application]\nname = \"a\"\n"
     "[variables]\nline = { default = \"0\" }\nstatic = { required = true }\nhost = { default = \"h.test\" }\n"
     "dotenv = { required = true }\nusual = { default = \"d\" }\n"
     "[[trigger.http]]\nroute = \"/\"\ncomponent = \"one\"\n[component.one]\nsource = " HELLO_FILE "\n"
     "allowed_outbound_hosts = [\"https://{{ host }}\"]\nkey_value_stores = [\"default\", \"more\"]\n"
     "files = [{ source = \".\", destination = \"/files\" }]\n"
     "[component.one.dependencies]\nhello = " HELLO_FILE "\n"
     "[component.one.variables]\nall = \"{{line}}-{{ static }}-{{dotenv}}-{{ usual }}\"\nempty = \"\"\n"
     "[[trigger.http]]\nroute = \"/2\"\ncomponent = \"two\"\n[component.two]\nsource = " HELLO_FILE "\n"
     "[[trigger.http]]\nroute = \"/3\"\ncomponent = \"three\"\n[component.three]\nsource = \"other.wasm\"\n"
     "[[trigger.http]]\nroute = \"/4\"\ncomponent = \"four\"\n[component.four]\nsource = " HELLO_FILE "\n"},
    {"other.wasm", "other"},
    {"runtime.toml", "state_dir = \"/state\"\nmax_instance_memory = 1234\n[[variables_provider]]\ntype = \"static\"\n"
                     "values = { static = \"s\", line = \"not this\" }\n[key_value_store.more]\ntype = \"spin\"\n"
                     "path = \"kept\"\n[outbound_networking]\nblock_networks = [\"192.0.2.0/24\"]\n"},
    {".env", "SPIN_VARIABLE_DOTENV='e e'\n"},
    {"more.json", "{\"line\": \"l\"}"},
    {"mayfly/" HELLO_NAME ".wasm", "hello"},
};

static const char *path_of(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int begin(void **state)
{
    umask(022); /* the cache is private */
    if (!mkdtemp(folder) || mkdir(path_of("mayfly"), 0700) != 0 || setenv("XDG_CACHE_HOME", folder, 1) != 0)
        return 1;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *file = fopen(path_of(files[i].name), "w");
        if (!file || fputs(files[i].text, file) < 0 || fclose(file) != 0)
            return 1;
    }
    return 0;
}

static int end(void **state)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(path_of(files[i].name));
    return rmdir(path_of("mayfly")) || rmdir(folder);
}

static bool open_all(struct deploy *deploy, struct err *err)
{
    static char variable[160], runtime[160];
    static const char *const variables[] = {variable};
    snprintf(variable, sizeof variable, "@%s/more.json", folder);
    snprintf(runtime, sizeof runtime, "%s/runtime.toml", folder);
    const struct deploy_options options = {.given = {.file = folder, .variable = {variables, 1}},
                                           .runtime_config = runtime,
                                           .limits = function_limits_default};
    return deploy_open(deploy, &options, err);
}

static void test_values(void **state)
{
    struct deploy deploy;
    struct err err = {0};
    if (!open_all(&deploy, &err))
        fail_msg("%s", err.message);
    const struct deployed *function = &deploy.deployment.functions[0];
    assert_int_equal(deploy.deployment.function_count, 4);
    assert_int_equal(function->config.variable_count, 2);
    assert_string_equal(function->path, path_of("mayfly/" HELLO_NAME ".wasm"));
    assert_string_equal(function->composition->items[0].path, function->path);
    assert_false(deploy_changed(&deploy));
    assert_int_equal(rename(function->path, path_of("kept")), 0); /* the cache loses it */
    assert_true(deploy_changed(&deploy));
    assert_int_equal(rename(path_of("kept"), function->path), 0);
    assert_true(str_eq(function->config.variables[0].value, STR("l-s-e e-d")));
    assert_true(str_eq(function->config.variables[1].value, STR("")));
    assert_int_equal(function->limits.memory_bytes, 1234);
    assert_true(grants_origin(function->config.grants, true, STR("h.test"), 443));
    assert_int_equal(function->config.grants->blocked.count, 1);
    assert_string_equal(deploy.given.storage.folder, "/state");
    assert_string_equal(deploy.given.storage.places[STORAGE_STORE][1], path_of("kept"));
    assert_null(deploy.given.storage.places[STORAGE_STORE][0]);
    assert_null(deploy.runtime.providers); /* there might be a token in it */
    deploy_close(&deploy);
}

/* Of those made of one file alone the first has it made: the one with dependencies is another whole. */
static void test_images(void **state)
{
    static const uint32_t images[] = {0, 1, 2, 1};
    struct deploy deploy;
    struct err err = {0};
    if (!open_all(&deploy, &err))
        fail_msg("%s", err.message);
    assert_string_equal(deploy.deployment.functions[3].path, deploy.deployment.functions[0].path);
    for (uint32_t i = 0; i < deploy.deployment.function_count; i++)
        assert_int_equal(deploy.deployment.functions[i].image_of, images[i]);
    deploy_close(&deploy);
}

static void test_no_memory(void **state)
{
    unsigned open = open_descriptors();
    uint64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct deploy deploy;
        struct err err = {0};
        mem_fail_once(nth);
        bool done = open_all(&deploy, &err);
        mem_fail_once(0);
        deploy_close(&deploy);
        assert_int_equal(mem_live(), live);
        assert_int_equal(open_descriptors(), open);
        if (done)
            return;
        if (err.kind != ERR_MEMORY && err.kind != ERR_LIMIT)
            fail_msg("%llu: %s", (unsigned long long)nth, err.message);
        assert_true(nth < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_images),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, begin, end);
}
