/* A component and what it depends on, made one: what comes out is a component with the imports that are left, and what
 * does not fit, or is damaged, is an error that says where. The parts are guests of tests/e2e. */
#include "compose/compose.h"

#include "base/alloc.h"
#include "component/check.h"
#include "component/decode.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GUEST(name) SOURCE_DIR "/tests/e2e/guests/" name ".wasm"
#define WORDS(name_, inherit_) {.name = STR(name_), .path = GUEST("words"), .place = "spin.toml:7", .inherit = inherit_}

static struct arena arena;
static struct buf bytes;

static const struct component *decode(void)
{
    struct component *component;
    struct err err = {0};
    if (!component_decode(bytes.data, bytes.size, &arena, &component, &err))
        fail_msg("%s", err.message);
    return component;
}

static bool make(const struct compose_dependency *items, uint32_t count, struct err *err)
{
    const struct composition composition = {items, count};
    bytes.size = 0;
    bytes.failed = bytes.full = false;
    return compose_bytes(GUEST("wordy"), &composition, &bytes, err);
}

static const struct component *made(const struct compose_dependency *items, uint32_t count)
{
    struct err err = {0};
    if (!make(items, count, &err))
        fail_msg("%s", err.message);
    return decode();
}

static void assert_import(const struct component *component, const char *name, bool there)
{
    if ((externs_find(&component->type.imports, str_of(name)) != NULL) != there)
        fail_msg("%s is %s", name, there ? "missing" : "there");
}

static void test_denied(void **state)
{
    const struct compose_dependency items[] = {WORDS("test:words", 0), WORDS("greet", 0)};
    const struct component *whole = made(items, 2);
    (void)state;
    assert_import(whole, "wasi:cli/environment@0.2.12", true); /* the main component's */
    assert_import(whole, "mayfly:denied/wasi-cli-environment@0.2.12", true);
    assert_import(whole, "mayfly:denied/wasi-filesystem-preopens@0.2.12", true);
    assert_import(whole, "mayfly:denied/wasi-http-outgoing-handler@0.2.12", true);
    assert_import(whole, "mayfly:denied/fermyon-spin-key-value@2.0.0", true);
    assert_import(whole, "fermyon:spin/key-value@2.0.0", false);
    assert_import(whole, "wasi:http/outgoing-handler@0.2.12", false);
    assert_import(whole, "test:words/count@1.2.0", false);
    assert_import(whole, "greet", false);
    assert_non_null(externs_find(&whole->type.exports, STR("wasi:http/incoming-handler@0.2.12")));
    assert_int_equal(whole->type.exports.count, 1);
}

static void test_inherited(void **state)
{
    const unsigned some = COMPOSE_ENVIRONMENT | COMPOSE_KEY_VALUE;
    const struct compose_dependency items[] = {WORDS("test:words/count", some), WORDS("test:words/probe@1.2.9", some),
                                               WORDS("greet", some)};
    const struct component *whole = made(items, 3);
    (void)state;
    assert_import(whole, "wasi:cli/environment@0.2.12", true);
    assert_import(whole, "mayfly:denied/wasi-cli-environment@0.2.12", false);
    assert_import(whole, "fermyon:spin/key-value@2.0.0", true);
    assert_import(whole, "mayfly:denied/wasi-filesystem-preopens@0.2.12", true);
}

/* What is joined of an interface has all that the parts need of it. */
static void test_joined(void **state)
{
    const struct compose_dependency items[] = {WORDS("test:words", 127), WORDS("greet", 127)};
    const struct component *whole = made(items, 2);
    const struct extern_decl *types = externs_find(&whole->type.imports, STR("wasi:http/types@0.2.12"));
    const struct externs *exports = &types->type.instance->exports;
    (void)state;
    assert_non_null(externs_find(exports, STR("[constructor]outgoing-response"))); /* of the handler */
    assert_non_null(externs_find(exports, STR("[constructor]outgoing-request")));  /* of the library */
    for (uint32_t i = 0; i < whole->type.imports.count; i++)
        assert_false(str_starts(whole->type.imports.items[i].name, STR("mayfly:denied/")));
}

static void test_refused(void **state)
{
    static const struct {
        struct compose_dependency items[2];
        uint32_t count;
        const char *said;
    } rows[] = {
        {{WORDS("test:words", 0)}, 1, "imports greet, which nothing satisfies"},
        {{WORDS("test:words", 0), WORDS("other", 0)}, 2, "spin.toml:7: dependency \"other\" is no import of"},
        {{WORDS("test:words@1.1.0", 0), WORDS("test:words/probe@1.2.0", 0)}, 2, "is satisfied by two dependencies"},
        {{{.name = STR("test:words"), .path = GUEST("other"), .place = "spin.toml:9"}},
         1,
         "spin.toml:9: "}, /* it has the one, which does not fit, and not the other */
        {{WORDS("test:words", 0), {.name = STR("greet"), .path = GUEST("stray"), .place = "here"}},
         2,
         "stray.wasm imports test:more/thing@1.0.0, which is in no set that a dependency can inherit"},
        {{{.name = STR("test:words"), .path = GUEST("process"), .place = "here"}}, 1, "process.wasm is no component"},
        {{{.name = STR("test:words"), .path = "/nowhere", .place = "here"}}, 1, "here: /nowhere: cannot open"},
        {{{.name = STR("test:words"), .path = "/dev/null", .place = "here"}}, 1, "here: /dev/null: not a regular file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        if (make(rows[i].items, rows[i].count, &err) || !strstr(err.message, rows[i].said))
            fail_msg("%s, not %s", rows[i].said, err.message);
    }
}

/* Damaged parts are errors, or parts: never anything else. */
static void test_damaged(void **state)
{
    static uint8_t part[65536];
    int from = open(GUEST("words"), O_RDONLY), to = memfd_create("part", 0);
    ssize_t size = read(from, part, sizeof part);
    char path[64];
    unsigned seed = 1;
    (void)state;
    assert_in_range(size, 100, sizeof part - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", to);
    const struct compose_dependency items[] = {
        {.name = STR("test:words"), .path = path, .place = "here"},
        {.name = STR("greet"), .path = path, .place = "here"},
    };
    for (int round = 0; round < 400; round++) {
        struct err err = {0};
        seed = seed * 1103515245u + 12345u;
        size_t at = (seed >> 8) % (size_t)size, cut = round % 4 == 3 ? at : (size_t)size;
        uint8_t kept = part[at];
        part[at] ^= (uint8_t)(1u << (seed & 7));
        assert_int_equal(ftruncate(to, 0), 0);
        assert_int_equal(pwrite(to, part, cut, 0), cut);
        part[at] = kept;
        if (make(items, 2, &err))
            decode();
        else
            assert_int_not_equal(err.kind, ERR_NONE);
        arena_reset(&arena);
    }
    close(from);
    close(to);
}

static void test_no_memory(void **state)
{
    const struct compose_dependency items[] = {WORDS("test:words", 0), WORDS("greet", 0)};
    (void)state;
    buf_free(&bytes);
    buf_init(&bytes, COMPOSE_BYTES_MAX);
    uint64_t live = mem_live();
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        struct err err = {0};
        mem_fail_once(nth);
        done = make(items, 2, &err);
        mem_fail_once(0);
        assert_true(done || err.kind == ERR_MEMORY || err.kind == ERR_LIMIT);
        buf_free(&bytes);
        buf_init(&bytes, COMPOSE_BYTES_MAX);
        assert_int_equal(mem_live(), live);
    }
}

static int open_all(void **state)
{
    (void)state;
    arena_init(&arena, (size_t)256 << 20);
    buf_init(&bytes, COMPOSE_BYTES_MAX);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    buf_free(&bytes);
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),  cmocka_unit_test(test_inherited), cmocka_unit_test(test_joined),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_damaged),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
