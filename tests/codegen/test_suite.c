/* The official core suite, executed: every module becomes an image through LLVM, every assertion runs in the
 * real runtime. A module is linked with the modules it imports from as units of one image, instantiated afresh,
 * so files that watch one instance through another are left out; they are named here. */
#include "base/alloc.h"
#include "codegen/codegen.h"
#include "image/write.h"
#include "runtime/task.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SUITE SOURCE_DIR "/../shared/conformance/core"
#define THREADS SOURCE_DIR "/../shared/conformance/threads"
#define UNITS_MAX 24
#define VALUES_MAX 64

/* Commands (lines of a file) whose instances share state that another instance wrote. */
static const struct {
    const char *name;
    int first, last;
} left_out[] = {
    {"linking", 1, 10000}, {"linking0", 1, 10000}, {"linking1", 1, 10000},  {"linking3", 1, 10000},
    {"load1", 20, 10000},  {"elem", 944, 1031},    {"imports4", 28, 10000}, {"table_grow", 118, 10000},
};

struct instance {
    char name[64], registered[64];
    struct wasm_module *module;
    struct unit units[UNITS_MAX];
    struct instance *from[UNITS_MAX]; /* whose module each unit is; NULL: spectest */
    uint32_t unit_count;              /* the last one is the instance itself */
    struct program *program;
    struct slot *slot;
    struct arena arena;
    uint8_t *bytes;
};

static struct {
    const char *dir;
    char file[128];
    VEC(struct instance *) instances;
    struct instance *current, *called;
    struct wasm_module *spectest;
    int opt_level;
    unsigned passed, failed, skipped, unsupported;
} suite;

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
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

/* ---- instances ---- */

static bool print_nothing(struct store *store, const void *env, union cell *v)
{
    (void)store, (void)env, (void)v;
    return true;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    (void)arg, (void)image, (void)import, (void)err;
    *ret_fn = print_nothing;
    *ret_env = NULL;
    return true;
}

static struct instance *registered(struct str name)
{
    for (size_t i = suite.instances.count; i-- > 0;)
        if (str_eq(str_of(suite.instances.items[i]->registered), name))
            return suite.instances.items[i];
    return NULL;
}

/* The number of the unit that stands for `from` in `into`, adding it and what it needs; -1: too many. */
static int unit_for(struct instance *into, struct instance *from);

static const struct wasm_export *find_export(const struct wasm_module *module, struct str name)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (str_eq(module->exports[i].name, name))
            return &module->exports[i];
    return NULL;
}

static bool link_import(struct instance *into, const struct wasm_import *import, struct unit_import *ret_by)
{
    bool is_spectest = str_eq(import->module, STR("spectest"));
    struct instance *from = is_spectest ? NULL : registered(import->module);
    if (!is_spectest && !from)
        return false;
    const struct wasm_export *export = find_export(from ? from->module : suite.spectest, import->name);
    int unit = unit_for(into, from);
    if (!export || unit < 0)
        return false;
    *ret_by = (struct unit_import){.from = IMPORT_UNIT, .unit = (uint32_t)unit, .index = export->index};
    return true;
}

static bool add_unit(struct instance *into, struct instance *from, const struct wasm_module *module)
{
    struct unit_import *imports = ARENA_ARRAY(&into->arena, struct unit_import, module->import_count);
    for (uint32_t i = 0; i < module->import_count; i++) {
        if (module == suite.spectest)
            imports[i] = (struct unit_import){.from = IMPORT_HOST, .host = i};
        else if (!link_import(into, &module->imports[i], &imports[i]))
            return false;
    }
    if (into->unit_count == UNITS_MAX)
        return false;
    into->from[into->unit_count] = from;
    into->units[into->unit_count++] = (struct unit){.module = module, .imports = imports};
    return true;
}

static int unit_for(struct instance *into, struct instance *from)
{
    for (uint32_t i = 0; i < into->unit_count; i++)
        if (into->from[i] == from)
            return (int)i;
    return add_unit(into, from, from->module) ? (int)into->unit_count - 1 : -1;
}

static struct plan *make_plan(struct instance *instance)
{
    struct plan *plan = ARENA_NEW(&instance->arena, struct plan);
    const struct canon_options none = {
        WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, 0};
    uint32_t last = instance->unit_count - 1;
    *plan = (struct plan){
        .units = instance->units, .unit_count = instance->unit_count, .import_count = suite.spectest->import_count};
    plan->imports = ARENA_ARRAY(&instance->arena, struct host_import, plan->import_count);
    for (uint32_t i = 0; i < plan->import_count; i++)
        plan->imports[i] = (struct host_import){.kind = HOST_CORE,
                                                .name = suite.spectest->imports[i].name,
                                                .options = none,
                                                .resource_type = WASM_NO_INDEX,
                                                .dtor_unit = WASM_NO_INDEX,
                                                .dtor = WASM_NO_INDEX,
                                                .type = wasm_func_type(suite.spectest, i)};
    plan->exports = ARENA_ARRAY(&instance->arena, struct plan_export, instance->module->export_count);
    for (uint32_t i = 0; i < instance->module->export_count; i++)
        if (instance->module->exports[i].kind == WASM_FUNC)
            plan->exports[plan->export_count++] = (struct plan_export){.name = instance->module->exports[i].name,
                                                                       .unit = last,
                                                                       .func = instance->module->exports[i].index,
                                                                       .options = none};
    return plan;
}

static bool write_image(const struct plan *plan, const struct geometry *geometry, const struct code *code,
                        struct buf *ret_image, struct err *err)
{
    const uint8_t source[32] = {0};
    struct image_func *funcs = mem_alloc(code->funcs.count + 1, sizeof *funcs);
    for (size_t i = 0; i < code->funcs.count; i++) {
        const struct code_func *f = &code->funcs.items[i];
        funcs[i] = (struct image_func){.code_off = f->code_off,
                                       .code_size = f->code_size,
                                       .unit = f->unit,
                                       .func = f->func,
                                       .kind = f->kind,
                                       .frame_size = f->frame_size};
    }
    struct code_parts parts = {code->text.data,   code->text.size,
                               code->exec_size,   funcs,
                               code->funcs.count, (const void *)code->sites.items,
                               code->sites.count, (const void *)code->pads.items,
                               code->pads.count};
    bool done = image_write(plan, geometry, &parts, source, 0, ret_image, err) &&
                image_check(ret_image->data, ret_image->size, err);
    mem_free(funcs);
    return done;
}

static struct program *load(const struct buf *image, struct err *err)
{
    int fd = memfd_create("suite", MFD_CLOEXEC);
    assert_int_equal(write(fd, image->data, image->size), (ssize_t)image->size);
    struct program *program = program_load(fd, "suite", resolve, NULL, err);
    close(fd);
    return program;
}

static bool build(struct instance *instance, struct err *err)
{
    struct geometry geometry;
    struct code code;
    struct buf image;
    struct codegen_options options = {.opt_level = suite.opt_level, .dump = getenv("DUMP")};
    struct plan *plan = make_plan(instance);
    code_init(&code);
    buf_init(&image, (size_t)1 << 30);
    bool done = layout_compute(plan->units, plan->unit_count, 0, &instance->arena, &geometry, err) &&
                codegen_llvm(plan->units, plan->unit_count, &options, &code, err) &&
                write_image(plan, &geometry, &code, &image, err) && (instance->program = load(&image, err)) != NULL;
    code_free(&code);
    buf_free(&image);
    return done;
}

static void start(struct task *task)
{
    *(bool *)task->arg = program_start(task->slot);
}

static bool instantiate(struct instance *instance, struct err *err)
{
    static struct task task;
    bool started = true;
    if (!build(instance, err) || !(instance->slot = slot_acquire(instance->program, err)))
        return false;
    if (!instance->program->start_each_time)
        return true;
    if (!task_start(&task, instance->slot, start, &started, NULL, err))
        return false;
    return started || err_set(err, ERR_TRAP, "%s", trap_text(task.report.trap));
}

/* 1: made; 0: failed with `err`; -1: cannot be linked here. Takes over `bytes`. */
static int instance_of(uint8_t *bytes, size_t size, const char *name, struct err *err)
{
    struct instance *instance = mem_alloc(1, sizeof *instance);
    snprintf(instance->name, sizeof instance->name, "%s", name ? name : "");
    *(struct instance **)VEC_PUSH(&suite.instances, 100000) = instance;
    arena_init(&instance->arena, (size_t)1 << 30);
    instance->bytes = bytes;
    if (!wasm_load(instance->bytes, size, &instance->arena, &instance->module, err))
        return 0;
    if (!add_unit(instance, NULL, suite.spectest) || !add_unit(instance, instance, instance->module))
        return -1;
    if (!instantiate(instance, err))
        return 0;
    suite.current = instance;
    return 1;
}

static int make_instance(json_t *command, struct err *err)
{
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", suite.dir, json_string_value(json_object_get(command, "filename")));
    uint8_t *bytes = read_file(path, &size);
    return instance_of(bytes, size, json_string_value(json_object_get(command, "name")), err);
}

static void drop_instances(void)
{
    for (size_t i = 0; i < suite.instances.count; i++) {
        struct instance *instance = suite.instances.items[i];
        if (instance->slot)
            slot_destroy(instance->slot);
        if (instance->program)
            program_unload(instance->program);
        arena_free(&instance->arena);
        mem_free(instance->bytes);
        mem_free(instance);
    }
    VEC_FREE(&suite.instances);
    suite.current = NULL;
}

/* ---- values ---- */

static uint64_t number(json_t *value)
{
    const char *text = json_string_value(value);
    return text[0] == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}

static unsigned lane_size(const char *lane)
{
    return (unsigned)atoi(lane + 1) / 8;
}

static union cell cell_of(json_t *value)
{
    union cell cell = {.lanes = {0, 0}};
    const char *type = json_string_value(json_object_get(value, "type"));
    json_t *v = json_object_get(value, "value");
    if (strcmp(type, "v128") == 0) {
        unsigned size = lane_size(json_string_value(json_object_get(value, "lane_type")));
        for (unsigned i = 0; i < 16 / size; i++) {
            uint64_t lane = number(json_array_get(v, i));
            memcpy(cell.v128 + i * size, &lane, size);
        }
    } else if (v && strcmp(json_string_value(v), "null") != 0) {
        cell.u64 = number(v) + (strstr(type, "ref") ? 1 : 0);
    }
    return cell;
}

/* Does `bits` of `size` bytes match a number or a class of NaN? */
static bool lane_matches(json_t *expected, const uint8_t *at, unsigned size)
{
    const char *text = json_string_value(expected);
    uint64_t bits = 0, want, quiet = size == 4 ? 0x7fc00000 : 0x7ff8000000000000;
    uint64_t sign = size == 4 ? 0x80000000 : (uint64_t)1 << 63;
    memcpy(&bits, at, size);
    if (strcmp(text, "nan:canonical") == 0)
        return (bits & ~sign) == quiet;
    if (strcmp(text, "nan:arithmetic") == 0)
        return (bits & quiet) == quiet;
    want = number(expected);
    return memcmp(&want, &bits, size) == 0;
}

static bool vector_matches(json_t *expected, const union cell *cell)
{
    unsigned size = lane_size(json_string_value(json_object_get(expected, "lane_type")));
    for (unsigned i = 0; i < 16 / size; i++)
        if (!lane_matches(json_array_get(json_object_get(expected, "value"), i), cell->v128 + i * size, size))
            return false;
    return true;
}

static bool matches(json_t *expected, const union cell *cell)
{
    const char *type = json_string_value(json_object_get(expected, "type"));
    json_t *value = json_object_get(expected, "value");
    if (strcmp(type, "either") == 0) {
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(expected, "values"), i, one) if (matches(one, cell)) return true;
        return false;
    }
    if (strcmp(type, "v128") == 0)
        return vector_matches(expected, cell);
    if (strcmp(type, "refnull") == 0 || strncmp(type, "null", 4) == 0)
        return cell->u64 == 0;
    if (!value)
        return cell->u64 != 0;
    if (strcmp(type, "anyref") == 0)
        return gc_externalize(&suite.called->slot->gc, cell->u64) == cell_of(expected).u64;
    if (strstr(type, "ref"))
        return cell->u64 == cell_of(expected).u64;
    return lane_matches(value, cell->v128, type[1] == '3' ? 4 : 8);
}

/* ---- actions ---- */

struct call {
    struct instance *instance;
    const struct image_export *row;
    union cell v[VALUES_MAX];
    uint32_t result_count;
    bool host_any[VALUES_MAX]; /* arguments: numbers of the host as anyref */
    bool returned;
};

static void call_body(struct task *task)
{
    struct call *call = task->arg;
    const struct image *image = &call->instance->program->image;
    for (uint32_t i = 0; i < call->row->param_count; i++)
        if (call->host_any[i])
            call->v[i].u64 = gc_internalize(&call->instance->slot->gc, call->v[i].u64);
    uint64_t reference = slot_funcref(call->instance->slot, call->instance->slot, call->row);
    call->returned = guest_call(call->instance->slot->store, reference, image_bytes(image) + call->row->types_first,
                                call->row->param_count, call->row->result_count, call->v);
}

static struct task task;

static bool invoke(struct call *call, struct str field, json_t *args, struct err *err)
{
    size_t i;
    json_t *arg;
    call->row = program_export(call->instance->program, STR(""), field);
    if (!call->row)
        return err_set(err, ERR_LINK, "no such export");
    suite.called = call->instance;
    json_array_foreach(args, i, arg)
    {
        call->v[i] = cell_of(arg);
        call->host_any[i] = strcmp(json_string_value(json_object_get(arg, "type")), "anyref") == 0;
    }
    call->result_count = call->row->result_count;
    call->instance->slot->store->trap = 0;
    memset(&task, 0, sizeof task);
    if (!task_start(&task, call->instance->slot, call_body, call, NULL, err))
        return false;
    return call->returned || err_set(err, ERR_TRAP, "%s", trap_text(task.report.trap));
}

static bool get_global(struct call *call, struct str field, struct err *err)
{
    const struct instance *instance = call->instance;
    const struct wasm_export *export = find_export(instance->module, field);
    if (!export || export->kind != WASM_GLOBAL)
        return err_set(err, ERR_LINK, "no such global");
    const struct unit *unit = &instance->units[instance->unit_count - 1];
    memcpy(call->v, (char *)instance->slot->store + unit->context + unit->globals[export->index].off,
           sizeof call->v[0]);
    call->result_count = 1;
    return true;
}

static struct instance *named(const char *name)
{
    for (size_t i = suite.instances.count; name && i-- > 0;)
        if (strcmp(suite.instances.items[i]->name, name) == 0)
            return suite.instances.items[i];
    return name ? NULL : suite.current;
}

static bool act(struct call *call, json_t *action, struct err *err)
{
    json_t *field = json_object_get(action, "field");
    struct str name = {json_string_value(field), json_string_length(field)};
    call->instance = named(json_string_value(json_object_get(action, "module")));
    if (!call->instance || !call->instance->slot)
        return err_set(err, ERR_USAGE, "no instance");
    if (strcmp(json_string_value(json_object_get(action, "type")), "get") == 0)
        return get_global(call, name, err);
    return invoke(call, name, json_object_get(action, "args"), err);
}

/* ---- commands ---- */

static void report(json_t *command, bool passed, const char *format, ...)
{
    char text[400];
    va_list args;
    if (passed) {
        suite.passed++;
        return;
    }
    suite.failed++;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *field = json_object_get(json_object_get(command, "action"), "field");
    print_message("%s:%lld %s %s: %s\n", suite.file, (long long)json_integer_value(json_object_get(command, "line")),
                  json_string_value(json_object_get(command, "type")), field ? json_string_value(field) : "", text);
}

static void run_module(json_t *command)
{
    struct err err = {0};
    suite.current = NULL;
    int made = make_instance(command, &err);
    if (made < 0) {
        suite.skipped++;
    } else if (made == 0 && err.kind == ERR_UNSUPPORTED) {
        suite.unsupported++;
    } else {
        report(command, made == 1, "%s", err.message);
    }
}

static void expect_values(json_t *command)
{
    struct call call = {0};
    struct err err = {0};
    size_t i;
    json_t *expected;
    if (!act(&call, json_object_get(command, "action"), &err)) {
        if (err.kind == ERR_USAGE)
            suite.skipped++;
        else
            report(command, false, "%s", err.message);
        return;
    }
    json_array_foreach(json_object_get(command, "expected"), i, expected) if (!matches(expected, &call.v[i]))
    {
        report(command, false, "result %zu is 0x%llx %016llx", i, (unsigned long long)call.v[i].lanes[1],
               (unsigned long long)call.v[i].lanes[0]);
        return;
    }
    report(command, true, "");
}

/* The reference interpreter's message and ours begin alike; it has more words for null. */
static bool alike(const char *a, const char *b)
{
    static const char *const nulls[] = {"null structure reference", "null array reference", "null i31 reference"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(b, nulls[i]) == 0)
            b = "null reference";
    size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, length) == 0;
}

static void expect_trap(json_t *command, const char *text)
{
    struct call call = {0};
    struct err err = {0};
    bool done = act(&call, json_object_get(command, "action"), &err);
    if (!done && err.kind == ERR_USAGE)
        suite.skipped++;
    else
        report(command, !done && alike(err.message, text), "expected \"%s\", got \"%s\"", text,
               done ? "a result" : err.message);
}

static void expect_no_instance(json_t *command)
{
    struct err err = {0};
    struct instance *current = suite.current;
    int made = make_instance(command, &err);
    suite.current = current;
    if (made < 0)
        suite.skipped++;
    else if (made == 0 && err.kind == ERR_UNSUPPORTED)
        suite.unsupported++;
    else
        report(command, made == 0 && err.kind == ERR_TRAP, "%s", made ? "it was made" : err.message);
}

static void register_instance(json_t *command)
{
    struct instance *instance = named(json_string_value(json_object_get(command, "name")));
    if (instance)
        snprintf(instance->registered, sizeof instance->registered, "%s",
                 json_string_value(json_object_get(command, "as")));
}

static bool is_left_out(int line)
{
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (strcmp(left_out[i].name, suite.file) == 0 && line >= left_out[i].first && line <= left_out[i].last)
            return true;
    return false;
}

static void run_command(json_t *command)
{
    if (is_left_out((int)json_integer_value(json_object_get(command, "line")))) {
        suite.skipped++;
        return;
    }
    const char *type = json_string_value(json_object_get(command, "type"));
    const char *text = json_string_value(json_object_get(command, "text"));
    if (strcmp(type, "module") == 0)
        run_module(command);
    else if (strcmp(type, "register") == 0)
        register_instance(command);
    else if (strcmp(type, "assert_return") == 0 || strcmp(type, "action") == 0)
        expect_values(command);
    else if (strcmp(type, "assert_trap") == 0)
        expect_trap(command, text);
    else if (strcmp(type, "assert_exhaustion") == 0)
        expect_trap(command, trap_text(TRAP_STACK_OVERFLOW));
    else if (strcmp(type, "assert_exception") == 0)
        expect_trap(command, trap_text(TRAP_UNCAUGHT_EXCEPTION));
    else if (strcmp(type, "assert_uninstantiable") == 0)
        expect_no_instance(command);
}

static void run_file(const char *name)
{
    char path[512];
    size_t index;
    json_t *command;
    snprintf(path, sizeof path, "%s/%s.json", suite.dir, name);
    snprintf(suite.file, sizeof suite.file, "%s", name);
    json_t *commands = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(commands);
    json_array_foreach(json_object_get(commands, "commands"), index, command) run_command(command);
    json_decref(commands);
    drop_instances();
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void run_all(DIR *dir)
{
    static char *names[1024];
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && count < 1024;) {
        char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        *dot = '\0';
        names[count++] = strdup(entry->d_name);
    }
    qsort(names, count, sizeof *names, compare_names);
    const char *share = getenv("SUITE_SHARE"); /* every Nth file only: sanitizer builds are slow */
    size_t step = share && atoi(share) > 1 ? (size_t)atoi(share) : 1;
    if (step > 1)
        print_message("one file in %zu\n", step);
    for (size_t i = 0; i < count; i++) {
        if (i % step == 0)
            run_file(names[i]);
        free(names[i]);
    }
}

static void check_suite(const char *dir_name, const char *only)
{
    DIR *dir = opendir(dir_name);
    if (!dir) {
        print_message("skipped: no official suite at %s\n", dir_name);
        return;
    }
    suite.dir = dir_name;
    suite.passed = suite.failed = suite.skipped = suite.unsupported = 0;
    if (only)
        run_file(only);
    else
        run_all(dir);
    closedir(dir);
    print_message("%u passed, %u failed, %u skipped, %u modules use instructions that are not supported yet\n",
                  suite.passed, suite.failed, suite.skipped, suite.unsupported);
    assert_int_equal(suite.failed, 0);
}

static void official_suite(void **state)
{
    (void)state;
    check_suite(SUITE, getenv("SUITE_FILE"));
}

static void official_atomics(void **state)
{
    (void)state;
    check_suite(THREADS, "atomic");
    check_suite(THREADS, "memory");
}

static const uint8_t waits[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,                                     /* module */
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f,                                           /* type 0: () -> i32 */
    0x03, 0x04, 0x03, 0x00, 0x00, 0x00,                                                 /* three functions */
    0x05, 0x04, 0x01, 0x03, 0x01, 0x01,                                                 /* a shared memory */
    0x07, 0x0d, 0x03, 0x01, 'd',  0x00, 0x00, 0x01, 't',  0x00, 0x01, 0x01, 'e',  0x00,
    0x02, 0x0a, 0x29, 0x03, /* memory.atomic.wait32 of 0 */
    0x0c, 0x00, 0x41, 0x00, 0x41, 0x01, 0x42, 0x7f, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 1, for ever */
    0x0d, 0x00, 0x41, 0x00, 0x41, 0x00, 0x42, 0xe8, 0x07, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 0, a microsecond */
    0x0c, 0x00, 0x41, 0x00, 0x41, 0x00, 0x42, 0x7f, 0xfe, 0x01, 0x02, 0x00, 0x0b, /* for 0, for ever */
};

/* What a wait gives where nobody else can run: differs, timed out, and a trap instead of hanging. */
static void waiting(void **state)
{
    (void)state;
    struct err err = {0};
    uint8_t *bytes = mem_alloc(sizeof waits, 1);
    assert_non_null(bytes);
    memcpy(bytes, waits, sizeof waits);
    assert_int_equal(instance_of(bytes, sizeof waits, NULL, &err), 1);
    struct call call = {.instance = suite.current};
    assert_true(invoke(&call, STR("d"), NULL, &err));
    assert_int_equal(call.v[0].u32, 1);
    assert_true(invoke(&call, STR("t"), NULL, &err));
    assert_int_equal(call.v[0].u32, 2);
    assert_false(invoke(&call, STR("e"), NULL, &err));
    assert_int_equal(task.report.trap, TRAP_ENDLESS_WAIT);
    drop_instances();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_suite),
        cmocka_unit_test(official_atomics),
        cmocka_unit_test(waiting),
    };
    struct err err = {0};
    size_t size;
    struct arena arena;
    arena_init(&arena, (size_t)1 << 20);
    uint8_t *bytes = read_file(SOURCE_DIR "/tests/codegen/fixtures/spectest.wasm", &size);
    suite.opt_level = getenv("SUITE_OPT") ? atoi(getenv("SUITE_OPT")) : 2;
    int failed = 1;
    if (wasm_load(bytes, size, &arena, &suite.spectest, &err) && trap_install(&err))
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    else
        print_message("%s\n", err.message);
    mem_free(bytes);
    arena_free(&arena);
    return failed;
}
