/* The official suites: every module must load and all its bodies validate, every module that is
 * asserted to be malformed or invalid must be refused as that. What is left out is named here. */
#include "base/alloc.h"
#include "support/ways.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUITES SOURCE_DIR "/../shared/conformance"

/* The threads suite was written before several memories and tables were allowed. */
static const char *const outdated[] = {"multiple memories", "multiple tables"};

static unsigned passed, failed, skipped;

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = mem_alloc(size + 1, 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    *ret_size = size;
    return bytes;
}

static enum err_kind outcome(const char *path, struct err *err)
{
    size_t size = 0;
    bool valid;
    const char *difference;
    uint8_t *bytes = read_file(path, &size);
    if (!bytes) {
        err_set(err, ERR_SYSTEM, "cannot read");
        return ERR_SYSTEM;
    }
    if (!ways_agree(bytes, size, &valid, err, &difference))
        fail_msg("%s: %s", path, difference);
    mem_free(bytes);
    return valid ? ERR_NONE : err->kind;
}

static void expect(const char *folder, const char *suite, json_t *command, enum err_kind expected)
{
    char path[1024];
    struct err err = {0};
    const char *name = json_string_value(json_object_get(command, "filename"));
    const char *text = json_string_value(json_object_get(command, "text"));
    snprintf(path, sizeof path, "%s/%s/%s", SUITES, folder, name);
    enum err_kind got = outcome(path, &err);
    if (got == expected) {
        passed++;
        return;
    }
    failed++;
    print_message("%s/%s:%lld %s: expected %d (%s), got %d: offset 0x%llx: %s\n", folder, suite,
                  (long long)json_integer_value(json_object_get(command, "line")), name, expected,
                  text ? text : "valid", got, (unsigned long long)err.offset, err.message);
}

static bool is_outdated(const char *folder, json_t *command)
{
    const char *text = json_string_value(json_object_get(command, "text"));
    for (size_t i = 0; text && i < sizeof outdated / sizeof *outdated; i++)
        if (strcmp(folder, "threads") == 0 && strcmp(text, outdated[i]) == 0)
            return true;
    return false;
}

static void run_command(const char *folder, const char *suite, json_t *command)
{
    static const struct {
        const char *type;
        enum err_kind expected;
    } commands[] = {
        {"module", ERR_NONE},
        {"module_definition", ERR_NONE},
        {"assert_unlinkable", ERR_NONE},
        {"assert_uninstantiable", ERR_NONE},
        {"assert_invalid", ERR_INVALID},
        {"assert_malformed", ERR_MALFORMED},
    };
    const char *type = json_string_value(json_object_get(command, "type"));
    if (!json_object_get(command, "filename"))
        return;
    if (is_outdated(folder, command)) {
        skipped++;
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(type, commands[i].type) == 0)
            expect(folder, suite, command, commands[i].expected);
}

static void run_file(const char *folder, const char *name)
{
    char path[1024];
    size_t index;
    json_t *command;
    snprintf(path, sizeof path, "%s/%s/%s", SUITES, folder, name);
    json_t *suite = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(suite);
    json_array_foreach(json_object_get(suite, "commands"), index, command) run_command(folder, name, command);
    json_decref(suite);
}

static void run_folder(const char *folder)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", SUITES, folder);
    DIR *dir = opendir(path);
    if (!dir) {
        print_message("skipped: no official suite at ../shared/conformance/%s\n", folder);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".json") == 0)
            run_file(folder, entry->d_name);
    }
    closedir(dir);
}

static void official_suites(void **state)
{
    run_folder("core");
    run_folder("threads");
    print_message("%u passed, %u failed, %u skipped (threads: several memories or tables are valid by now)\n", passed,
                  failed, skipped);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_suites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
