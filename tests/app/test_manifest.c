/* The manifest: every rule with what it takes and what it says (manifest_rows.def), what comes out of one that has
 * everything, profiles, the caps, files, and memory that runs out. */
#include "app/manifest.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct str no_profile = {"", 0};

/* ---- rules ---- */

#define HEAD "spin_manifest_version = 2\n"
#define APPLICATION_TABLE "[application]\nname = \"a\"\n"
#define VARIABLES_TABLE                                                                                                \
    "[variables]\nv = { default = \"h.x\" }\nneeded = { required = true }\nempty = { default = \"\" }\n"               \
    "bad_host = { default = \"no host\" }\n"
#define COMPONENT_TABLE "[component.c]\nsource = \"c.wasm\"\n"
#define TRIGGER_TABLE "[[trigger.http]]\nid = \"first\"\nroute = \"/first\"\ncomponent = \"c\"\n"

/* What stands before and behind a row's piece. */
enum place { WHOLE, APPLICATION, NAMELESS, VARIABLES, BARE, COMPONENT, TRIGGER };
static const struct {
    const char *before, *behind;
} places[] = {
    [WHOLE] = {"", ""},
    [APPLICATION] = {HEAD VARIABLES_TABLE COMPONENT_TABLE TRIGGER_TABLE APPLICATION_TABLE, ""},
    [NAMELESS] = {HEAD COMPONENT_TABLE TRIGGER_TABLE "[application]\n", ""},
    [VARIABLES] = {HEAD APPLICATION_TABLE COMPONENT_TABLE TRIGGER_TABLE "[variables]\n", ""},
    [BARE] = {HEAD, "\n" APPLICATION_TABLE VARIABLES_TABLE},
    [COMPONENT] = {HEAD APPLICATION_TABLE VARIABLES_TABLE TRIGGER_TABLE COMPONENT_TABLE, ""},
    [TRIGGER] = {HEAD APPLICATION_TABLE VARIABLES_TABLE COMPONENT_TABLE TRIGGER_TABLE "[[trigger.http]]\n", ""},
};

static const struct row {
    enum place place;
    const char *text, *problems;
} rows[] = {
#define ROW(place, text, problems) {place, text, problems},
#include "app/manifest_rows.def"
#undef ROW
};

static uint32_t lines(const char *text)
{
    uint32_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* A manifest needs triggers; pieces that bring none get an empty table of them. */
static void build(struct buf *out, const struct row *row)
{
    buf_init(out, 65536);
    buf_printf(out, "%s%s%s", places[row->place].before, row->text, places[row->place].behind);
    if (row->place == BARE && !strstr(row->text, "trigger"))
        buf_printf(out, "[trigger]\n");
}

static void say(struct buf *out, const struct manifest_problems *problems, uint32_t before)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct manifest_problem *problem = &problems->items[i];
        buf_printf(out, "%s%s%d: %s", i ? "; " : "", problem->warning ? "warning " : "",
                   problem->at.line ? (int)problem->at.line - (int)before : -1, problem->err.message);
    }
    buf_append(out, "", 1);
}

static bool read_row(const struct row *row, struct buf *said)
{
    struct manifest manifest;
    struct manifest_problems problems = {0};
    struct err err = {0};
    struct buf text;
    build(&text, row);
    bool done = manifest_read(&manifest, (struct str){(char *)text.data, text.size}, no_profile, &problems, &err);
    say(said, &problems, lines(places[row->place].before));
    assert_int_equal(done, problems.error_count == 0);
    assert_int_equal(done, err.kind == ERR_NONE);
    if (done)
        manifest_free(&manifest);
    manifest_problems_free(&problems);
    buf_free(&text);
    return done;
}

/* MANIFEST_BLESS=FILE writes what is said, for whoever changes messages. */
static void test_rows(void **state)
{
    const char *bless = getenv("MANIFEST_BLESS");
    FILE *blessed = bless ? fopen(bless, "w") : NULL;
    unsigned wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf said;
        buf_init(&said, 65536);
        read_row(&rows[i], &said);
        if (blessed)
            fprintf(blessed, "%s%c", (char *)said.data, 0);
        else if (strcmp((char *)said.data, rows[i].problems) != 0) {
            print_error("%s\n  says   %s\n  wanted %s\n", rows[i].text, (char *)said.data, rows[i].problems);
            wrong++;
        }
        buf_free(&said);
    }
    if (blessed)
        fclose(blessed);
    assert_int_equal(wrong, 0);
}

/* ---- what to do about it ---- */

static void test_remedies(void **state)
{
    static const struct {
        enum place place;
        const char *text, *remedy;
    } wanted[] = {
#define REMEDY(place, text, remedy) {place, text, remedy},
#include "app/manifest_remedies.def"
#undef REMEDY
    };
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct row row = {wanted[i].place, wanted[i].text, NULL};
        struct manifest manifest;
        struct manifest_problems problems = {0};
        struct err err = {0};
        struct buf text;
        build(&text, &row);
        bool done = manifest_read(&manifest, (struct str){(char *)text.data, text.size}, no_profile, &problems, &err);
        assert_true(problems.count > 0);
        assert_string_equal(problems.items[0].err.remedy, wanted[i].remedy);
        assert_int_equal(done, problems.items[0].warning);
        if (done)
            manifest_free(&manifest);
        else
            assert_true(strncmp(err.message, "line ", 5) == 0 && strcmp(err.remedy, wanted[i].remedy) == 0);
        manifest_problems_free(&problems);
        buf_free(&text);
    }
}

/* ---- values ---- */

static const char everything[] =
    "spin_manifest_version = 2\n"
    "[application]\n"
    "name = \"all\"\n"
    "version = \"1.2.3\"\n"
    "description = \"d\"\n"
    "authors = [\"a\", \"b\"]\n"
    "targets = [\"spin-up:3.3\", { url = \"https://t\" }, { path = \"t.toml\" }]\n"
    "[application.trigger.redis]\n"
    "address = \"redis://x\"\n"
    "[application.tool.mayfly]\n"
    "timeout = \"2s\"\n"
    "max_body = \"1M\"\n"
    "snapshot = true\n"
    "[variables]\n"
    "host = { default = \"h.x\", description = \"where\" }\n"
    "token = { required = true, secret = true }\n"
    "[[trigger.http]]\n"
    "route = \"/a/:b/...\"\n"
    "component = \"one\"\n"
    "dependencies.middleware = [{ path = \"m.wasm\" }, { component = \"lib\", inherit_configuration = true }]\n"
    "[[trigger.http]]\n"
    "id = \"inner\"\n"
    "route = { private = true }\n"
    "component = { source = \"i.wasm\" }\n"
    "executor = { type = \"wagi\", argv = \"a b\" }\n"
    "[[trigger.http]]\n"
    "route = \"/gone\"\n"
    "static_response = { status_code = 410, headers = { A = \"b\", C = \"d\" }, body = \"gone\" }\n"
    "[[trigger.redis]]\n"
    "component = \"one\"\n"
    "channel = \"c\"\n"
    "[[trigger.cron]]\n"
    "component = \"one\"\n"
    "cron_expression = \"0 * * * * *\"\n"
    "[[trigger.command]]\n"
    "component = { source = \"j.wasm\" }\n"
    "components = { k = { source = \"k.wasm\" }, o = [\"one\", { source = \"l.wasm\" }] }\n"
    "[component.one]\n"
    "source = \"one.wasm\"\n"
    "description = \"first\"\n"
    "variables = { where = \"https://{{ host }}/\", key = \"{{token}}\" }\n"
    "environment = { A = \"1\", B = \"2\" }\n"
    "files = [\"x/*\", { source = \"y\", destination = \"/z\" }]\n"
    "exclude_files = [\"**/s\"]\n"
    "allowed_outbound_hosts = [\"https://{{ host }}\"]\n"
    "allowed_http_hosts = [\"o.x\", \"self\"]\n"
    "key_value_stores = [\"default\"]\n"
    "sqlite_databases = [\"db\"]\n"
    "ai_models = [\"m\"]\n"
    "targets = [\"t\"]\n"
    "build = { command = [\"p\", \"q\"], workdir = \"w\", watch = [\"v\"] }\n"
    "tool.mayfly = { timeout = \"500ms\", cpu_time = \"1m\", max_memory = 65536, max_instances = 7, snapshot = false "
    "}\n"
    "[component.one.dependencies]\n"
    "\"a:b\" = \"1.0\"\n"
    "\"c:d/e@1.0.0\" = { url = \"https://u\", digest = "
    "\"sha256:abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234\", export = \"f\" }\n"
    "plain = { component = \"lib\", inherit_configuration = [\"files\", \"ai_models\"] }\n"
    "[component.one.profile.debug]\n"
    "source = { package = \"x:y\", version = \"1.0.0\", registry = \"r.io\" }\n"
    "environment = { B = \"3\", C = \"4\" }\n"
    "build.command = \"d\"\n"
    "dependencies = { \"a:b\" = { path = \"local\" }, \"n:m\" = \"2\" }\n"
    "[component.lib]\n"
    "source = { url = \"https://l\", digest = "
    "\"sha256:abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234abcd1234\" }\n"
    "profile.debug.build.command = \"e\"\n";

static void equal(struct manifest_text text, const char *wanted, uint32_t line)
{
    assert_non_null(text.text.ptr);
    if (!str_eq(text.text, str_of(wanted)) || text.at.line != line)
        fail_msg("'%.*s' in line %u, not '%s' in line %u", STR_ARG(text.text), text.at.line, wanted, line);
}

static struct manifest read_all(const char *profile)
{
    struct manifest manifest;
    struct manifest_problems problems = {0};
    struct err err = {0};
    if (!manifest_read(&manifest, str_of(everything), str_of(profile), &problems, &err))
        fail_msg("%s", err.message);
    assert_int_equal(problems.error_count, 0);
    assert_int_equal(problems.count, 2); /* allowed_http_hosts, ai_models */
    assert_true(problems.items[0].warning && problems.items[1].warning);
    assert_int_equal(problems.items[0].at.line, 46);
    assert_int_equal(problems.items[1].at.line, 49);
    manifest_problems_free(&problems);
    return manifest;
}

static void test_application(void **state)
{
    struct manifest manifest = read_all("");
    const struct manifest_application *a = &manifest.application;
    (void)state;
    equal(a->name, "all", 3);
    equal(a->version, "1.2.3", 4);
    equal(a->description, "d", 5);
    assert_int_equal(a->authors.count, 2);
    equal(a->authors.items[1], "b", 6);
    assert_int_equal(a->targets.count, 3);
    equal(a->targets.items[0].name, "spin-up:3.3", 7);
    equal(a->targets.items[1].url, "https://t", 7);
    equal(a->targets.items[2].path, "t.toml", 7);
    equal(a->redis_address, "redis://x", 9);
    assert_non_null(toml_member(a->triggers, STR("redis")));
    assert_non_null(toml_member(a->tools, STR("mayfly")));
    assert_int_equal(manifest.variable_count, 2);
    const struct manifest_variable *host = manifest_find_variable(&manifest, STR("host"));
    equal(host->fallback, "h.x", 15);
    equal(host->description, "where", 15);
    assert_false(host->required.value || host->secret.value);
    const struct manifest_variable *token = manifest_find_variable(&manifest, STR("token"));
    assert_true(token->required.value && token->secret.value && !token->fallback.text.ptr);
    assert_null(manifest_find_variable(&manifest, STR("tok")));
    manifest_free(&manifest);
}

static void test_triggers(void **state)
{
    struct manifest manifest = read_all("");
    const struct manifest_trigger *t = manifest.triggers;
    (void)state;
    assert_int_equal(manifest.trigger_count, 6);
    equal(t[0].id, "one-http-trigger", 17);
    equal(t[0].http.route, "/a/:b/...", 18);
    assert_int_equal(t[0].component, manifest_find_component(&manifest, STR("one")));
    assert_int_equal(t[0].dependencies.count, 1);
    const struct manifest_dependencies *chain = &t[0].dependencies.items[0].dependencies;
    assert_int_equal(chain->count, 2);
    equal(chain->items[0].path, "m.wasm", 20);
    assert_int_equal(chain->items[0].inherit, 0);
    assert_int_equal(chain->items[1].component_index, manifest_find_component(&manifest, STR("lib")));
    assert_int_equal(chain->items[1].inherit, MANIFEST_INHERIT_ALL);
    equal(t[1].id, "inner", 22);
    assert_true(t[1].id_given && t[1].http.is_private && !t[1].http.route.text.ptr);
    assert_int_equal(t[1].http.executor, MANIFEST_EXECUTOR_WAGI);
    equal(t[1].http.argv, "a b", 25);
    equal(manifest.components[t[1].component].id, "inner-component", 24);
    assert_true(manifest.components[t[1].component].is_inline);
    assert_int_equal(t[2].component, MANIFEST_NONE);
    equal(t[2].id, "http-trigger1", 26);
    assert_int_equal(t[2].http.answer.status, 410);
    assert_int_equal(t[2].http.answer.headers.count, 2);
    equal(t[2].http.answer.headers.items[1].value, "d", 28);
    equal(t[2].http.answer.body, "gone", 28);
    assert_int_equal(t[3].type, MANIFEST_TRIGGER_REDIS);
    equal(t[3].id, "one-redis-trigger", 29);
    equal(t[3].redis.channel, "c", 31);
    equal(t[4].cron_expression, "0 * * * * *", 34);
    assert_int_equal(t[5].type, MANIFEST_TRIGGER_COMMAND);
    equal(t[5].id, "command-trigger1", 35);
    equal(manifest.components[t[5].component].id, "inline-component1", 36);
    assert_int_equal(t[5].components.count, 2);
    equal(manifest.components[t[5].components.items[0].components[0]].id, "inline-component2", 37);
    equal(manifest.components[t[5].components.items[1].components[0]].id, "one", 38);
    equal(manifest.components[t[5].components.items[1].components[1]].id, "inline-component3", 37);
    assert_int_equal(manifest.component_count, 6);
    assert_int_equal(manifest_find_component(&manifest, STR("two")), MANIFEST_NONE);
    manifest_free(&manifest);
}

static void expect_first(const struct manifest_component *c)
{
    equal(c->id, "one", 38);
    equal(c->source.path, "one.wasm", 39);
    equal(c->description, "first", 40);
    equal(c->variables.items[0].name, "where", 41);
    equal(c->variables.items[0].value, "https://{{ host }}/", 41);
    assert_int_equal(c->environment.count, 2);
    equal(c->environment.items[1].value, "2", 42);
    assert_int_equal(c->files.count, 2);
    equal(c->files.items[0].pattern, "x/*", 43);
    equal(c->files.items[1].source, "y", 43);
    equal(c->files.items[1].destination, "/z", 43);
    equal(c->exclude_files.items[0], "**/s", 44);
    assert_int_equal(c->allowed_outbound_hosts.count, 4);
    equal(c->allowed_outbound_hosts.items[0], "https://{{ host }}", 45);
    equal(c->allowed_outbound_hosts.items[1], "http://o.x", 46);
    equal(c->allowed_outbound_hosts.items[2], "https://o.x", 46);
    equal(c->allowed_outbound_hosts.items[3], "http://self", 46);
    equal(c->key_value_stores.items[0], "default", 47);
    equal(c->sqlite_databases.items[0], "db", 48);
    equal(c->ai_models.items[0], "m", 49);
    equal(c->targets.items[0].name, "t", 50);
    assert_int_equal(c->build.commands.count, 2);
    equal(c->build.commands.items[1], "q", 51);
    equal(c->build.workdir, "w", 51);
    equal(c->build.watch.items[0], "v", 51);
}

static void test_components(void **state)
{
    struct manifest manifest = read_all("");
    const struct manifest_component *c = &manifest.components[manifest_find_component(&manifest, STR("one"))];
    const struct manifest_dependency *d = c->dependencies.items;
    (void)state;
    expect_first(c);
    assert_int_equal(c->dependencies.count, 3);
    assert_int_equal(d[0].kind, MANIFEST_DEPENDENCY_PACKAGE);
    equal(d[0].name, "a:b", 54);
    equal(d[0].version, "1.0", 54);
    assert_int_equal(d[1].kind, MANIFEST_DEPENDENCY_URL);
    equal(d[1].url, "https://u", 55);
    equal(d[1].export_name, "f", 55);
    assert_int_equal(d[2].kind, MANIFEST_DEPENDENCY_COMPONENT);
    assert_int_equal(d[2].component_index, manifest_find_component(&manifest, STR("lib")));
    assert_int_equal(d[2].inherit, MANIFEST_INHERIT_FILES | MANIFEST_INHERIT_AI_MODELS);
    manifest_free(&manifest);
}

static void test_limits(void **state)
{
    struct manifest manifest = read_all("");
    (void)state;
    struct manifest_limits one = manifest_limits_of(&manifest, &manifest.components[0]);
    assert_int_equal(one.timeout_ns.value, 500000000);
    assert_int_equal(one.cpu_ns.value, 60000000000);
    assert_int_equal(one.memory_bytes.value, 65536);
    assert_int_equal(one.body_bytes.value, 1 << 20);
    assert_int_equal(one.instances.value, 7);
    assert_true(one.snapshot.given && !one.snapshot.value);
    struct manifest_limits lib = manifest_limits_of(&manifest, &manifest.components[1]);
    assert_int_equal(lib.timeout_ns.value, 2000000000);
    assert_false(lib.cpu_ns.given || lib.memory_bytes.given || lib.instances.given);
    assert_true(lib.snapshot.given && lib.snapshot.value);
    manifest_free(&manifest);
}

/* ---- profiles ---- */

static void test_profile(void **state)
{
    struct manifest manifest = read_all("debug");
    const struct manifest_component *c = &manifest.components[0], *lib = &manifest.components[1];
    (void)state;
    assert_int_equal(c->source.kind, MANIFEST_SOURCE_PACKAGE);
    equal(c->source.package, "x:y", 58);
    assert_int_equal(c->environment.count, 3);
    equal(c->environment.items[0].value, "1", 42);
    equal(c->environment.items[1].value, "3", 59);
    equal(c->environment.items[2].value, "4", 59);
    assert_int_equal(c->build.commands.count, 1);
    equal(c->build.commands.items[0], "d", 60);
    equal(c->build.workdir, "w", 51);
    assert_int_equal(c->dependencies.count, 4);
    equal(c->dependencies.items[0].path, "local", 61);
    equal(c->dependencies.items[3].name, "n:m", 61);
    assert_int_equal(lib->source.kind, MANIFEST_SOURCE_URL);
    equal(lib->build.commands.items[0], "e", 64);
    manifest_free(&manifest);
}

static void test_unknown_profile(void **state)
{
    struct manifest manifest;
    struct err err = {0};
    (void)state;
    assert_false(manifest_read(&manifest, str_of(everything), STR("debgu"), NULL, &err));
    assert_string_equal(err.message, "no component has a profile \"debgu\"");
    assert_string_equal(err.remedy, "did you mean \"debug\"?");
    assert_false(manifest_read(&manifest, STR(HEAD APPLICATION_TABLE "[trigger]"), STR("x"), NULL, &err));
    assert_string_equal(err.remedy, "this application has no profiles");
}

/* What a profile brings is checked with the rest. */
static void test_profile_checked(void **state)
{
    static const char text[] =
        HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE "dependencies = { \"a:b\" = \"1\" }\n"
                               "profile.p.dependencies = { \"a:b/c\" = \"1\" }\n";
    struct manifest manifest;
    struct err err = {0};
    (void)state;
    assert_true(manifest_read(&manifest, str_of(text), no_profile, NULL, &err));
    manifest_free(&manifest);
    assert_false(manifest_read(&manifest, str_of(text), STR("p"), NULL, &err));
    assert_string_equal(err.message, "line 8: dependencies \"a:b/c\" and \"a:b\" overlap");
}

/* ---- caps ---- */

static bool read_many(const char *before, const char *each, size_t count, const char *behind, struct err *err)
{
    struct manifest manifest;
    struct buf text;
    buf_init(&text, TOML_SIZE_MAX);
    buf_printf(&text, "%s", before);
    for (size_t i = 0; i < count; i++) {
        for (const char *at = each; *at; at++)
            if (*at == '#')
                buf_printf(&text, "%zu", i);
            else
                buf_append(&text, at, 1);
    }
    buf_printf(&text, "%s", behind);
    assert_false(text.failed);
    bool done = manifest_read(&manifest, (struct str){(char *)text.data, text.size}, no_profile, NULL, err);
    if (done)
        manifest_free(&manifest);
    buf_free(&text);
    return done;
}

static void test_caps(void **state)
{
    static const struct {
        const char *before, *each;
        size_t most;
        const char *behind, *message;
    } caps[] = {
        {HEAD APPLICATION_TABLE "[trigger]\n", "[component.c#]\nsource=\"x\"\n", MANIFEST_COMPONENTS_MAX, "",
         "line 5: \"component\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE COMPONENT_TABLE, "[[trigger.http]]\nroute=\"/#\"\ncomponent=\"c\"\n",
         MANIFEST_TRIGGERS_MAX, "", "line 12294: more than 4096 triggers"},
        {HEAD APPLICATION_TABLE, "[[trigger.http]]\nroute=\"/#\"\ncomponent={source=\"x\"}\n", MANIFEST_COMPONENTS_MAX,
         "", "line 3078: more than 1024 components"},
        {HEAD APPLICATION_TABLE "[trigger]\n[variables]\n", "x#={default=\"\"}\n", MANIFEST_VARIABLES_MAX, "",
         "line 5: \"variables\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE "ai_models=[", "\"m#\",", MANIFEST_LIST_MAX, "]",
         "line 7: \"ai_models\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE "files=[", "\"m#\",", MANIFEST_LIST_MAX, "]",
         "line 7: \"files\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE "[component.c.environment]\n", "m#=\"\"\n",
         MANIFEST_LIST_MAX, "", "line 7: \"environment\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE "[component.c.dependencies]\n", "\"a:m#\"=\"1\"\n",
         MANIFEST_DEPENDENCIES_MAX, "", "line 7: \"dependencies\" has more than 128 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE, "[component.c.profile.p#]\n", MANIFEST_PROFILES_MAX, "",
         "line 7: \"profile\" has more than 32 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE, "[component.c.tool.t#]\n", MANIFEST_LIST_MAX, "",
         "line 7: \"tool\" has more than 1024 entries"},
        {HEAD APPLICATION_TABLE "[trigger]\n[component.c", "c", 255, "]\nsource = \"x\"\n",
         "line 5: component \"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc...\": more than 256 "
         "bytes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        struct err err = {0};
        if (!read_many(caps[i].before, caps[i].each, caps[i].most, caps[i].behind, &err))
            fail_msg("%s: %s", caps[i].each, err.message);
        assert_false(read_many(caps[i].before, caps[i].each, caps[i].most + 1, caps[i].behind, &err));
        assert_string_equal(err.message, caps[i].message);
    }
}

/* A host with its variables is as long as that, and one byte more. */
static void test_expanded_cap(void **state)
{
    struct err err = {0};
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        bool done = read_many(HEAD APPLICATION_TABLE "[trigger]\n" COMPONENT_TABLE
                                                     "allowed_outbound_hosts = [\"{{ v }}\"]\n[variables]\nv.default = "
                                                     "\"http://a.b",
                              " ", 4096 - 10 + more, "\"", &err);
        assert_int_equal(done, !more);
    }
    assert_true(strstr(err.message, "the text is longer than 4096 bytes with its variables"));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* As many problems as are kept, and one more. */
static void test_problem_cap(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct manifest manifest;
        struct manifest_problems problems = {0};
        struct err err = {0};
        struct buf text;
        buf_init(&text, 65536);
        buf_printf(&text, "%s", HEAD APPLICATION_TABLE);
        for (size_t i = 0; i < MANIFEST_PROBLEMS_MAX + more; i++)
            buf_printf(&text, "x%zu = 1\n", i);
        buf_printf(&text, "[trigger]");
        assert_false(manifest_read(&manifest, (struct str){(char *)text.data, text.size}, no_profile, &problems, &err));
        assert_int_equal(problems.count, MANIFEST_PROBLEMS_MAX);
        assert_int_equal(problems.left_out, more);
        assert_int_equal(problems.error_count, MANIFEST_PROBLEMS_MAX + more);
        assert_string_equal(err.message, "line 4: unknown key \"x0\" in application");
        manifest_problems_free(&problems);
        buf_free(&text);
    }
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_load(void **state)
{
    char path[] = "/tmp/mayfly-manifest-XXXXXX";
    struct manifest manifest;
    struct err err = {0};
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    write_file(path, everything);
    assert_true(manifest_load(&manifest, path, no_profile, NULL, &err));
    equal(manifest.application.name, "all", 3);
    manifest_free(&manifest);
    write_file(path, "spin_manifest_version = 2\nx = 1\n");
    assert_false(manifest_load(&manifest, path, no_profile, NULL, &err));
    assert_string_equal(err.message, "line 1: the manifest lacks \"trigger\"");
    assert_int_equal(ftruncate(fd, (off_t)TOML_SIZE_MAX + 1), 0);
    assert_false(manifest_load(&manifest, path, no_profile, NULL, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    unlink(path);
    assert_false(manifest_load(&manifest, path, no_profile, NULL, &err));
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not wait */
    assert_false(manifest_load(&manifest, path, no_profile, NULL, &err));
    assert_string_equal(err.message, "the manifest is not a regular file");
    unlink(path);
    assert_false(manifest_load(&manifest, "/", no_profile, NULL, &err));
    close(fd);
}

/* What is printed cannot drive a terminal. */
static void test_print(void **state)
{
    char shown[1024] = "", path[] = "/tmp/mayfly-manifest-XXXXXX";
    struct manifest manifest;
    struct manifest_problems problems = {0};
    int saved = dup(2), fd = mkstemp(path);
    (void)state;
    assert_false(manifest_read(
        &manifest,
        STR("spin_manifest_version = 2\n\"\\u001b[2J\" = 1\n[application]\nname = \"a\"\nversion = \"1\"\n[trigger]"),
        no_profile, &problems, NULL));
    fflush(stderr);
    dup2(fd, 2);
    manifest_problems_print(&problems, "dir/spin.toml");
    dup2(saved, 2);
    assert_true(pread(fd, shown, sizeof shown - 1, 0) > 0);
    assert_string_equal(shown, "error: dir/spin.toml:2:1: unknown key \"\\x1b[2J\" in the manifest\n"
                               "it may have spin_manifest_version, application, variables, component, trigger\n"
                               "warning: dir/spin.toml:5:11: version \"1\" is not a semantic version\n"
                               "write MAJOR.MINOR.PATCH: 1.0.0\n");
    manifest_problems_free(&problems);
    unlink(path);
    close(saved);
    close(fd);
}

/* ---- memory ---- */

static void sweep(struct str text, void (*arm)(uint64_t nth))
{
    uint64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct manifest manifest;
        struct manifest_problems problems = {0};
        struct err err = {0};
        arm(nth);
        bool done = manifest_read(&manifest, text, STR("debug"), &problems, &err);
        arm(0);
        if (done)
            manifest_free(&manifest);
        else if (err.kind != ERR_MEMORY)
            fail_msg("%llu: %s", (unsigned long long)nth, err.message);
        manifest_problems_free(&problems);
        assert_int_equal(mem_live(), live);
        if (done)
            return;
        assert_true(nth < 100000);
    }
}

static void test_no_memory(void **state)
{
    struct manifest manifest = read_all(""); /* the library is loaded once */
    (void)state;
    manifest_free(&manifest);
    sweep(str_of(everything), mem_fail_once);
    sweep(str_of(everything), mem_fail_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_remedies),        cmocka_unit_test(test_application),
        cmocka_unit_test(test_triggers), cmocka_unit_test(test_components),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_profile),  cmocka_unit_test(test_unknown_profile), cmocka_unit_test(test_profile_checked),
        cmocka_unit_test(test_caps),     cmocka_unit_test(test_expanded_cap),    cmocka_unit_test(test_problem_cap),
        cmocka_unit_test(test_load),     cmocka_unit_test(test_print),           cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
