/* TOML to a tree: kinds, places, order, what is refused and where, the caps, and memory that runs out. */
#include "app/toml.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static bool read_text(struct str text, struct toml_node *root, struct toml_mistake *mistake, struct err *err)
{
    arena_free(&arena);
    arena_init(&arena, (size_t)64 << 20);
    return toml_read(&arena, text, root, mistake, err);
}

/* ---- trees ---- */

static void print(struct buf *out, const struct toml_node *node)
{
    if (node->key_line)
        buf_printf(out, "%.*s@%u:%u=", STR_ARG(node->key), node->key_line, node->key_column);
    switch (node->kind) {
    case TOML_TEXT: buf_printf(out, "'%.*s'", STR_ARG(node->text)); break;
    case TOML_DATE: buf_printf(out, "%.*s", STR_ARG(node->text)); break;
    case TOML_INTEGER: buf_printf(out, "%" PRId64, node->integer); break;
    case TOML_FLOAT: buf_printf(out, "%g", node->number); break;
    case TOML_BOOLEAN: buf_printf(out, node->truth ? "true" : "false"); break;
    default:
        buf_printf(out, node->kind == TOML_TABLE ? "{" : node->listed ? "[[" : "[");
        for (uint32_t i = 0; i < node->count; i++) {
            buf_printf(out, i ? " " : "");
            print(out, &node->items[i]);
        }
        buf_printf(out, node->kind == TOML_TABLE ? "}" : "]");
    }
    if (node->line && node->kind != TOML_TABLE)
        buf_printf(out, "@%u:%u", node->line, node->column);
}

static void test_trees(void **state)
{
    static const struct {
        const char *text, *tree;
    } rows[] = {
        {"", "{}"},
        {"b = 1\na = 2", "{b@1:1=1@1:5 a@2:1=2@2:5}"},
        {"a = 'x'\n\n  bc = \"y\\n\\u00e9\"", "{a@1:1='x'@1:5 bc@3:3='y\n\xc3\xa9'@3:8}"},
        {"a = [1, 2.5, true,\n false]", "{a@1:1=[1@1:6 2.5@1:9 true@1:14 false@2:2]@1:5}"},
        {"[t.u]\nx.y = -5\n[t]\nz = 0xff", "{t@1:2={u@1:4={x@2:1={y@2:3=-5@2:7}} z@4:1=255@4:5}}"},
        {"[[l]]\na=1\n[[l]]\nb=2", "{l@1:3=[[{a@2:1=1@2:3} {b@4:1=2@4:3}]@1:1}"},
        {"a = {q = 1, p = 2}", "{a@1:1={q@1:6=1@1:10 p@1:13=2@1:17}}"},
        {"d = 1979-05-27T07:32:00-08:00", "{d@1:1=1979-05-27T07:32:00.000000000-08:00@1:5}"},
        {"d = 1979-05-27", "{d@1:1=1979-05-27@1:5}"},
        {"d = 07:32:00.5", "{d@1:1=07:32:00.500000000@1:5}"},
        {"a = \"\"\"\nx\"\"y\"\"\"\" # c.c.c\n'k.k' = 1", "{a@1:1='x\"\"y\"'@1:5 k.k@3:1=1@3:9}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct toml_node root;
        struct toml_mistake mistake;
        struct err err = {0};
        struct buf out;
        if (!read_text(str_of(rows[i].text), &root, &mistake, &err))
            fail_msg("%s: %s", rows[i].text, err.message);
        buf_init(&out, 4096);
        print(&out, &root);
        buf_append(&out, "", 1);
        assert_string_equal((char *)out.data, rows[i].tree);
        buf_free(&out);
    }
}

static void test_members(void **state)
{
    struct toml_node root;
    struct toml_mistake mistake;
    (void)state;
    assert_true(read_text(STR("a = 1\nb = 2"), &root, &mistake, NULL));
    assert_int_equal(toml_member(&root, STR("b"))->integer, 2);
    assert_null(toml_member(&root, STR("c")));
    assert_null(toml_member(&root.items[0], STR("c")));
    assert_string_equal(toml_kind_name(TOML_ARRAY), "a list");
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t line, column;
        const char *message;
    } rows[] = {
        {"a = 1\nb 2", 2, 3, "this is no TOML: key-value pair: expected '=', saw '2'"},
        {"a = 1\na = 2", 2, 5, NULL},
        {"[a]\n[a]", 2, 1, NULL},
        {"a = \"x", 1, 7, NULL},
        {"a = \"x\ny\"", 1, 7, NULL},
        {"a = tru", 1, 8, NULL},
        {"a = 08", 1, 7, NULL},
        {"a = \"\\q\"", 1, 7, NULL},
        {"a = [1, 2", 1, 10, NULL},
        {"a = \"\xff\"", 1, 5, NULL},
        {"x = \"a\\u0000b\"", 1, 5, "this is no TOML: a NUL character in a string or a name"},
        {"a = 1\n\tb\x01 = 2", 2, 3, "this is no TOML: a control character"},
        {"a = \"x\x7f\"", 1, 7, "this is no TOML: a control character"},
        {"\"a\\u0000b\" = 1", 1, 1, "this is no TOML: a NUL character in a string or a name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct toml_node root = {.integer = 17};
        struct toml_mistake mistake;
        struct err err = {0};
        if (read_text(str_of(rows[i].text), &root, &mistake, &err))
            fail_msg("%s is taken", rows[i].text);
        assert_int_equal(err.kind, ERR_MALFORMED);
        if (mistake.line != rows[i].line || mistake.column != rows[i].column)
            fail_msg("%s: %u:%u %s", rows[i].text, mistake.line, mistake.column, err.message);
        if (rows[i].message)
            assert_string_equal(err.message, rows[i].message);
        assert_true(strlen(err.message) > strlen("this is no TOML: ") && err.remedy[0]);
        assert_int_equal(root.integer, 17);
    }
}

/* NUL is no end, wherever it stands. */
static void test_nul(void **state)
{
    static const char text[] = "[\0a]\n";
    struct toml_node root;
    struct toml_mistake mistake;
    struct err err = {0};
    (void)state;
    for (size_t size = 2; size < sizeof text; size++) {
        assert_false(read_text((struct str){text, size}, &root, &mistake, &err));
        assert_string_equal(err.message, "this is no TOML: a control character");
        assert_true(mistake.line == 1 && mistake.column == 2);
    }
}

/* Every character, in a name, behind a value, in a string and where white space is passed over: nothing that a
 * sanitizer would stop, and strings have all of them. */
static void test_characters(void **state)
{
    static const char *const texts[] = {"[%s]", "%s = 1", "a%s = 1", "a = 1 %s", "a = %s", "%s", "[a%s]", "a = [%s]"};
    static const char *const strings[] = {"a = '%s'", "a = \"%s\"", "a = \"\"\"\\\n%s\"\"\"", "a = 1 # %s", "'%s' = 1"};
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c += c < 0x3000 ? 1 : c < 0x10000 ? 97 : 1009) {
        char shown[8], text[64];
        struct toml_node root;
        struct toml_mistake mistake;
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n; i > 1; i--)
            shown[i - 1] = (char)(0x80 | ((c >> 6 * (n - i)) & 0x3f));
        shown[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c >> 6 * (n - 1));
        shown[n] = '\0';
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            snprintf(text, sizeof text, texts[i], shown);
            if (c != 0xfeff) /* a byte order mark */
                assert_false(read_text(str_of(text), &root, &mistake, NULL));
        }
        for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
            snprintf(text, sizeof text, strings[i], shown);
            assert_int_equal(read_text(str_of(text), &root, &mistake, NULL), utf8_valid(shown, n));
        }
    }
}

/* ---- caps ---- */

static struct str fill(struct buf *out, const char *before, const char *part, size_t count, const char *after)
{
    buf_init(out, (size_t)1 << 22);
    buf_printf(out, "%s", before);
    for (size_t i = 0; i < count; i++)
        buf_append(out, part, strlen(part));
    buf_printf(out, "%s", after);
    assert_false(out->failed);
    return (struct str){(char *)out->data, out->size};
}

static void expect_cap(const char *before, const char *part, size_t most, const char *after, const char *message)
{
    struct toml_node root;
    struct toml_mistake mistake;
    for (size_t more = 0; more < 2; more++) {
        struct buf text;
        struct err err = {0};
        bool taken = read_text(fill(&text, before, part, most + more, after), &root, &mistake, &err);
        buf_free(&text);
        if (taken != !more)
            fail_msg("%s: %zu more: %s", message, more, err.message);
        if (more) {
            assert_int_equal(err.kind, ERR_LIMIT);
            assert_string_equal(err.message, message);
        }
    }
}

static void test_caps(void **state)
{
    (void)state;
    expect_cap("a = 1 #", "x", TOML_SIZE_MAX - 7, "", "the file is larger than 1048576 bytes");
    expect_cap("a", ".b", TOML_KEY_PARTS_MAX - 1, " = 1", "the file has a key of more than 32 parts");
    expect_cap("[a", " . \"b\"", 31, "]", "the file has a key of more than 32 parts");
    expect_cap("a = [", "1,", TOML_NODES_MAX - 2, "]", "the file has more than 65536 values, tables and arrays");
    expect_cap("a.b.c.d.e.f.g.h.i.j.k = {a.b.c.d.e.f.g.h.i.j", ".k", TOML_DEPTH_MAX - 21, "=1}",
               "the file has tables and arrays in each other more than 32 levels deep");
}

/* Far more than the parser would like: an error, and nothing worse. */
static void test_deep(void **state)
{
    static const char *const parts[] = {"[",   "{a=",      "a.",      "a=[",    "[[",    "\"",
                                        "'''", "a=\"\"\"", "a={b.c=", "\"a\".", "# a.\n"};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (size_t count = 1; count < 200000; count = count * 3 + 1) {
            struct toml_node root;
            struct toml_mistake mistake;
            struct err err = {0};
            struct buf text;
            struct str deep = fill(&text, "a = 1\nb=", parts[i], count, "");
            if (!read_text(deep, &root, &mistake, &err))
                assert_true(err.message[0]);
            buf_free(&text);
        }
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    static const char text[] =
        "[t]\nx = [1, {a = 'long enough to be allocated'}]\n[[l]]\nd = 1979-05-27\n[t.u]\ny = 2.5";
    struct toml_node root;
    struct toml_mistake mistake;
    struct err err = {0};
    (void)state;
    assert_true(read_text(str_of(text), &root, &mistake, NULL));
    arena_free(&arena);
    uint64_t live = mem_live(), count = mem_count();
    for (uint64_t nth = 1;; nth++) {
        mem_fail_once(nth);
        bool done = read_text(str_of(text), &root, &mistake, &err);
        mem_fail_once(0);
        if (!done && err.kind != ERR_MEMORY)
            fail_msg("%llu: %s", (unsigned long long)nth, err.message);
        arena_free(&arena);
        assert_int_equal(mem_live(), live);
        if (done)
            break;
        assert_true(nth < 10000);
    }
    assert_true(mem_count() > count + 10);
}

/* Little text can take much: a small arena for the tree is enough to see that it is refused. */
static void test_small_arena(void **state)
{
    struct toml_node root;
    struct toml_mistake mistake;
    struct err err = {0};
    struct buf text;
    (void)state;
    arena_free(&arena);
    arena_init(&arena, 100000);
    assert_false(toml_read(&arena, fill(&text, "a = [", "1,", 10000, "]"), &root, &mistake, &err));
    assert_int_equal(err.kind, ERR_MEMORY);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees), cmocka_unit_test(test_members),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul),   cmocka_unit_test(test_characters), cmocka_unit_test(test_caps),
        cmocka_unit_test(test_deep),  cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_small_arena),
    };
    arena_init(&arena, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
