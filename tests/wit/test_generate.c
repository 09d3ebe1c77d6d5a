/* The bindings generator: its output for a small package that has everything is the golden one, and its output
 * for the interfaces under wit/ is what the tree holds. */
#include "wit/support.h"

#include "base/alloc.h"
#include "wit/bindings.h"

#include <dirent.h>

#define INPUTS_MAX 64
#define FILE_MAX (1 << 20)

struct inputs {
    char *names[INPUTS_MAX], *texts[INPUTS_MAX];
    int count;
};

static char *slurp(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char *text = test_malloc(FILE_MAX);
    *ret_size = fread(text, 1, FILE_MAX - 1, file);
    text[*ret_size] = '\0';
    fclose(file);
    return text;
}

static char *join(const char *folder, const char *name)
{
    char *path = test_malloc(4096);
    snprintf(path, 4096, "%s/%s", folder, name);
    return path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The WIT files of a folder, in order of their names, as the shell gives them to the program. */
static void list_inputs(const char *folder, struct inputs *inputs)
{
    int before = inputs->count;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".wit") == 0 && inputs->count < INPUTS_MAX)
            inputs->names[inputs->count++] = join(folder, entry->d_name);
    }
    closedir(dir);
    qsort(inputs->names + before, (size_t)(inputs->count - before), sizeof *inputs->names, by_name);
}

/* `more`: of another folder, or NULL. */
static void read_inputs(const char *folder, const char *more, struct inputs *inputs, struct wit *wit)
{
    struct err err = {0};
    size_t size;
    wit_init(wit);
    list_inputs(folder, inputs);
    if (more)
        list_inputs(more, inputs);
    for (int i = 0; i < inputs->count; i++) {
        inputs->texts[i] = slurp(inputs->names[i], &size);
        if (!wit_add(wit, str_of(inputs->names[i]), (struct str){inputs->texts[i], size}, &err))
            fail_msg("%s", err.message);
    }
    if (!wit_resolve(wit, &err))
        fail_msg("%s", err.message);
}

static void free_inputs(struct inputs *inputs)
{
    for (int i = 0; i < inputs->count; i++) {
        test_free(inputs->names[i]);
        test_free(inputs->texts[i]);
    }
}

static void compare_file(const char *folder, const struct bindings_file *file)
{
    size_t size;
    char *path = join(folder, file->name), *text = slurp(path, &size);
    if (size != file->text.size || memcmp(text, file->text.data, size) != 0)
        fail_msg("%s is not what wit-bindings writes: run `make bindings` and look at the difference", path);
    test_free(path);
    test_free(text);
}

/* Nothing else is in the output folder. */
static void compare_count(const char *folder, size_t count)
{
    size_t found = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        found += size > 2 && entry->d_name[size - 2] == '.' && strchr("ch", entry->d_name[size - 1]) != NULL;
    }
    closedir(dir);
    assert_int_equal(found, count);
}

static void regenerate(const char *wits, const char *more, const char *out, const char *include)
{
    struct inputs inputs = {0};
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    size_t size;
    char *path = join(wits, "implemented.txt"), *implemented = slurp(path, &size);
    read_inputs(wits, more, &inputs, &wit);
    if (!bindings_generate(&wit, str_of(include), (struct str){implemented, size}, &bindings, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < bindings.files.count; i++)
        compare_file(out, &bindings.files.items[i]);
    compare_count(out, bindings.files.count);
    bindings_free(&bindings);
    wit_free(&wit);
    free_inputs(&inputs);
    test_free(path);
    test_free(implemented);
}

static void golden(void **state)
{
    regenerate(SOURCE_DIR "/tests/wit/golden", NULL, SOURCE_DIR "/tests/wit/golden", "wit/golden");
}

static void tree(void **state)
{
    regenerate(SOURCE_DIR "/wit", SOURCE_DIR "/wit/drafts", SOURCE_DIR "/src/wasi/gen", "wasi/gen");
}

/* What is not implemented has a row with its type, and no glue. */
static void unimplemented(void **state)
{
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    wit_good(&wit, "package a:b@1.0.0; interface i { resource r; f: func(x: borrow<r>) -> u8; }");
    assert_true(bindings_generate(&wit, STR("x"), STR("# a:b/i *\na:b/i  [resource-drop]r # yes\n"), &bindings, &err));
    const struct bindings_file *last = &bindings.files.items[bindings.files.count - 1];
    assert_string_equal(last->name, "interfaces.c");
    buf_append((struct buf *)&last->text, "", 1);
    assert_non_null(strstr((char *)last->text.data,
                           "{\"a:b/i\", \"1.0.0\", \"f\",\n     \"func(borrow<a:b/i.r>) -> u8\",\n     NULL},"));
    assert_non_null(strstr((char *)last->text.data, "{\"a:b/i\", \"1.0.0\", \"r\", RESOURCE_A_B_R, drop_a_b_r},"));
    bindings_free(&bindings);
    wit_free(&wit);
}

/* Of several versions of one package the lowest has the plain name, in whatever order they come; a line of what is
 * implemented means all of them, or the one that it names. */
static void versions(void **state)
{
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    wit_good(&wit, "package a:b@2.1.0 { interface i { resource r; f: func(x: borrow<r>); } }"
                   "package a:b@0.3.1-rc { interface i { resource r; f: func(x: borrow<r>); } }"
                   "package a:b { interface i { f: func(); g: func(); } }");
    assert_true(bindings_generate(&wit, STR("x"), STR("a:b/i f\na:b/i@2.1.0 [resource-drop]r\n"), &bindings, &err));
    const struct bindings_file *last = &bindings.files.items[bindings.files.count - 1];
    buf_append((struct buf *)&last->text, "", 1);
    const char *text = (const char *)last->text.data;
    static const char *const rows[] = {
        "{\"a:b/i\", \"\", \"f\",\n     \"func()\",\n     glue_a_b_i_f},",
        "{\"a:b/i\", \"2.1.0\", \"f\",\n     \"func(borrow<a:b/i.r>)\",\n     glue_a_b_2_i_f},",
        "{\"a:b/i\", \"0.3.1-rc\", \"f\",\n     \"func(borrow<a:b/i.r>)\",\n     glue_a_b_0_3_1_rc_i_f},",
        "{\"a:b/i\", \"\", \"g\",\n     \"func()\",\n     NULL},",
        "{\"a:b/i\", \"2.1.0\", \"r\", RESOURCE_A_B_2_R, drop_a_b_2_r},",
        "{\"a:b/i\", \"0.3.1-rc\", \"r\", RESOURCE_A_B_0_3_1_RC_R, NULL},",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *found = strstr(text, rows[i]);
        if (!found)
            fail_msg("no row %s, or not behind the one before it", rows[i]);
        text = found;
    }
    bindings_free(&bindings);
    wit_free(&wit);
}

static const char *text_of(struct bindings *bindings, const char *name)
{
    for (size_t i = 0; i < bindings->files.count; i++)
        if (strcmp(bindings->files.items[i].name, name) == 0) {
            buf_append(&bindings->files.items[i].text, "", 1);
            return (const char *)bindings->files.items[i].text.data;
        }
    return NULL;
}

static void assert_all(const char *text, const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strstr(text, wanted[i]))
            fail_msg("no %s in %s", wanted[i], text);
}
#define ASSERT_ALL(text, ...)                                                                                          \
    assert_all(text, (const char *const[]){__VA_ARGS__},                                                               \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* A draft has in C what it has otherwise: its resources, types and functions of the same shape are the final ones, also
 * where a resource stands elsewhere. One that has nothing otherwise has no files. */
static void drafts(void **state)
{
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    wit_good(
        &wit,
        "package a:b@0.2.0-rc-1 { interface i { variant v { one(q) } resource q; resource r; resource old; enum e { x }"
        " f: func(x: borrow<r>) -> v; g: func(a: u8); k: func(e: e) -> v; } }"
        "package a:b@0.2.7 { interface i { use j.{q}; variant v { one(q) } resource r; enum e { x, y }"
        " f: func(x: borrow<r>) -> v; g: func(); h: func(); } interface j { resource q; } }"
        "package a:b@0.3.0-rc-1 { interface i { resource r; h: func(); } }"
        "package c:d@1.0.0-rc-9 { interface i { resource r; f: func(x: r); } }"
        "package c:d@1.0.0 { interface i { resource r; f: func(x: r); } }");
    assert_true(bindings_generate(&wit, STR("x"), STR("a:b/i *\na:b/j *\nc:d/i *\n"), &bindings, &err));
    ASSERT_ALL(text_of(&bindings, "interfaces.c"),
               "{\"a:b/i\", \"0.2.0-rc-1\", \"f\",\n     \"func(borrow<a:b/i.r>) -> variant{one(own<a:b/i.q>)}\",\n"
               "     glue_a_b_i_f},",
               "glue_a_b_0_2_0_rc_1_i_g},", "glue_a_b_0_2_0_rc_1_i_k},", "glue_a_b_0_3_0_rc_1_i_h},",
               "{\"a:b/i\", \"0.2.0-rc-1\", \"q\", RESOURCE_A_B_Q, drop_a_b_q},",
               "{\"a:b/i\", \"0.2.0-rc-1\", \"r\", RESOURCE_A_B_R, drop_a_b_r},",
               "{\"a:b/i\", \"0.2.0-rc-1\", \"old\", RESOURCE_A_B_0_2_0_RC_1_OLD, drop_a_b_0_2_0_rc_1_old},",
               "{\"a:b/i\", \"0.3.0-rc-1\", \"r\", RESOURCE_A_B_0_3_0_RC_1_R, drop_a_b_0_3_0_rc_1_r},",
               "{\"c:d/i\", \"1.0.0-rc-9\", \"f\",\n     \"func(own<c:d/i.r>)\",\n     glue_c_d_i_f},");
    const char *header = text_of(&bindings, "a_b_0_2_0_rc_1.h");
    ASSERT_ALL(header, "#include \"x/a_b.h\"", "enum a_b_0_2_0_rc_1_i_e {",
               "bool a_b_0_2_0_rc_1_i_k(struct host *h, enum a_b_0_2_0_rc_1_i_e e, struct a_b_i_v *ret);");
    assert_null(strstr(header, "i_f("));
    assert_null(strstr(header, "i_v {"));
    ASSERT_ALL(text_of(&bindings, "common.h"), "RESOURCE_A_B_R = 1,", "RESOURCE_A_B_Q = 2,",
               "RESOURCE_A_B_0_2_0_RC_1_OLD = 3,");
    assert_non_null(text_of(&bindings, "c_d.h"));
    assert_null(text_of(&bindings, "c_d_1_0_0_rc_9.h"));
    assert_null(text_of(&bindings, "c_d_1_0_0_rc_9.c"));
    bindings_free(&bindings);
    wit_free(&wit);
}

static void refused(void **state)
{
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    wit_good(&wit, "package a:b; interface i { f: async func(); }");
    assert_false(bindings_generate(&wit, STR("x"), STR(""), &bindings, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    wit_free(&wit);
}

static void no_memory(void **state)
{
    struct wit wit;
    wit_good(&wit, "package a:b; interface i { resource r; record p { x: u8 } f: func(x: list<p>, y: r) -> string; }");
    for (uint64_t nth = 1;; nth++) {
        struct bindings bindings = {0};
        struct err err = {0};
        mem_fail_at(nth);
        bool ok = bindings_generate(&wit, STR("x"), STR("a:b/i *\n"), &bindings, &err);
        mem_fail_at(0);
        bindings_free(&bindings);
        if (ok)
            break;
        assert_int_equal(err.kind, ERR_MEMORY);
    }
    wit_free(&wit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),    cmocka_unit_test(tree),   cmocka_unit_test(unimplemented),
        cmocka_unit_test(versions),  cmocka_unit_test(drafts), cmocka_unit_test(refused),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
