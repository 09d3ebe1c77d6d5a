/* The bindings generator: its output for a small package that has everything is the golden one, and its output
 * for the interfaces under wit/ is what the tree holds. */
#include "wit/support.h"

#include "base/alloc.h"
#include "wit/bindings.h"

#include <dirent.h>

#define INPUTS_MAX 16
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
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".wit") == 0 && inputs->count < INPUTS_MAX)
            inputs->names[inputs->count++] = join(folder, entry->d_name);
    }
    closedir(dir);
    qsort(inputs->names, (size_t)inputs->count, sizeof *inputs->names, by_name);
}

static void read_inputs(const char *folder, struct inputs *inputs, struct wit *wit)
{
    struct err err = {0};
    size_t size;
    wit_init(wit);
    list_inputs(folder, inputs);
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

static void regenerate(const char *wits, const char *out, const char *include)
{
    struct inputs inputs = {0};
    struct wit wit;
    struct bindings bindings = {0};
    struct err err = {0};
    size_t size;
    char *path = join(wits, "implemented.txt"), *implemented = slurp(path, &size);
    read_inputs(wits, &inputs, &wit);
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
    regenerate(SOURCE_DIR "/tests/wit/golden", SOURCE_DIR "/tests/wit/golden", "wit/golden");
}

static void tree(void **state)
{
    regenerate(SOURCE_DIR "/wit", SOURCE_DIR "/src/wasi/gen", "wasi/gen");
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
    assert_non_null(strstr((char *)last->text.data, "{\"a:b/i\", \"r\", RESOURCE_A_B_R, drop_a_b_r},"));
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
        cmocka_unit_test(golden),  cmocka_unit_test(tree),      cmocka_unit_test(unimplemented),
        cmocka_unit_test(refused), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
