/* The official suite: every component must decode and validate, and everything that is asserted to be
 * malformed or invalid must be refused. Valid ones are also planned: that may end in "unsupported", and
 * the counts say how often. Instances and calls are not run here. */
#include "component/load.h"

#include "wasm/body.h"

#include <dirent.h>
#include <jansson.h>

static struct {
    unsigned valid, refused, wrong, planned, unsupported, other_kind;
} counts;

static bool bodies(const struct wasm_module *module, struct wasm_body_scratch *scratch, struct err *err)
{
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++)
        if (!wasm_body_read(module, i, scratch, NULL, NULL, err))
            return false;
    return true;
}

/* The code generator validates bodies; here they are part of the verdict. */
static bool all_bodies(const struct component *component, struct wasm_body_scratch *scratch, struct err *err)
{
    const struct space *modules = &component->scope.spaces[SORT_CORE_MODULE];
    for (uint32_t i = 0; i < component->count; i++) {
        const struct definition *definition = &component->definitions[i];
        if (definition->kind == DEFINE_CORE_MODULE &&
            !bodies(modules->items[definition->result].core_module->module, scratch, err))
            return false;
        if (definition->kind == DEFINE_COMPONENT && !all_bodies(definition->component, scratch, err))
            return false;
    }
    return true;
}

static bool validates(struct input input, struct err *err)
{
    struct arena arena;
    struct component *component;
    struct wasm_module *module;
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    assert_non_null(scratch);
    arena_init(&arena, ARENA_MAX);
    bool valid;
    if (component_is(input.bytes, input.size) || input.size < 8 || input.bytes[4] != 1)
        valid =
            component_decode(input.bytes, input.size, &arena, &component, err) && all_bodies(component, scratch, err);
    else
        valid = wasm_load(input.bytes, input.size, &arena, &module, err) && bodies(module, scratch, err);
    arena_free(&arena);
    wasm_body_scratch_free(scratch);
    return valid;
}

static void plan(struct input input, const char *suite, const char *name)
{
    struct arena arena;
    struct plan *made;
    struct err err = {0};
    arena_init(&arena, ARENA_MAX);
    if (!component_is(input.bytes, input.size) || component_plan(input.bytes, input.size, &arena, &made, &err))
        counts.planned++;
    else if (err.kind == ERR_UNSUPPORTED)
        counts.unsupported++;
    else {
        counts.wrong++;
        print_message("%s %s: planning: %s\n", suite, name, err.message);
    }
    arena_free(&arena);
}

static void check(const char *folder, const char *suite, json_t *command, bool valid, enum err_kind kind)
{
    char path[512];
    struct err err = {0};
    const char *name = json_string_value(json_object_get(command, "filename"));
    const char *text = json_string_value(json_object_get(command, "text"));
    snprintf(path, sizeof path, "%s%s/%s", SUITES, folder, name);
    struct input input = input_read(path);
    assert_non_null(input.bytes);
    bool found = validates(input, &err);
    counts.valid += valid && found;
    counts.refused += !valid && !found;
    counts.other_kind += !valid && !found && err.kind != kind;
    if (found != valid) {
        counts.wrong++;
        print_message("%s:%lld %s: %s (%s)\n", suite, json_integer_value(json_object_get(command, "line")), name,
                      found ? "accepted" : err.message, text ? text : "");
    }
    if (found && valid)
        plan(input, suite, name);
    input_free(&input);
}

static void run_command(const char *folder, const char *suite, json_t *command)
{
    static const struct {
        const char *type;
        bool valid;
        enum err_kind kind;
    } kinds[] = {
        {"module", true, ERR_NONE},
        {"module_definition", true, ERR_NONE},
        {"assert_uninstantiable", true, ERR_NONE},
        {"assert_invalid", false, ERR_INVALID},
        {"assert_malformed", false, ERR_MALFORMED},
    };
    const char *type = json_string_value(json_object_get(command, "type"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0 && json_object_get(command, "filename"))
            check(folder, suite, command, kinds[i].valid, kinds[i].kind);
}

static void run_file(const char *folder, const char *file)
{
    char path[512];
    size_t index;
    json_t *command;
    snprintf(path, sizeof path, "%s%s/%s", SUITES, folder, file);
    json_t *suite = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(suite);
    json_array_foreach(json_object_get(suite, "commands"), index, command) run_command(folder, file, command);
    json_decref(suite);
}

static void run_folder(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", SUITES, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".json") == 0)
            run_file(folder, entry->d_name);
    }
    closedir(dir);
}

static void official_suite(void **state)
{
    static const char *const folders[] = {"async", "binary", "linking", "resources", "validation", "values"};
    (void)state;
    DIR *dir = opendir(SUITES);
    if (!dir) {
        print_message("skipped: no shared/conformance/component beside the checkout\n");
        return;
    }
    closedir(dir);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        run_folder(folders[i]);
    print_message("%u components valid, %u refused (%u of them as another kind of error), %u wrong\n", counts.valid,
                  counts.refused, counts.other_kind, counts.wrong);
    print_message("%u planned, %u not planned yet: unsupported\n", counts.planned, counts.unsupported);
    assert_int_equal(counts.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(official_suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
