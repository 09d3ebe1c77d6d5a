/* See script.h. */
#include "script.h"

#include "component.h"
#include "typed.h"
#include "value.h"
#include "world.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct script {
    const char *path; /* of the JSON; binaries lie beside it */
    const struct script_options *options;
    struct tally *tally;
    struct world world;
    struct components components;
    bool component; /* the current instance is one of a component */
    json_t *command;
    struct err why; /* of a failure */
};

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool is_assertion(json_t *command)
{
    const char *type = text_of(command, "type");
    return type && strncmp(type, "assert_", 7) == 0;
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *script = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!script)
        fprintf(stderr, "error: %s: line %d: %s\n", path, error.line, error.text);
    return script;
}

int script_count(const char *path)
{
    int count = 0;
    size_t i;
    json_t *command, *script = load(path);
    if (!script)
        return -1;
    json_array_foreach(json_object_get(script, "commands"), i, command) count += is_assertion(command);
    json_decref(script);
    return count;
}

/* The path of the command's module. */
static void module_path(const struct script *script, char path[512])
{
    const char *slash = strrchr(script->path, '/');
    int folder = slash ? (int)(slash - script->path + 1) : 0;
    const char *name = text_of(script->command, "filename");
    snprintf(path, 512, "%.*s%s", folder, script->path, name ? name : "");
}

/* ---- actions ---- */

static struct str field_of(json_t *action)
{
    json_t *field = json_object_get(action, "field");
    return (struct str){json_string_value(field), json_string_length(field)};
}

static bool get_global(struct script *script, json_t *action, struct world_call *call)
{
    struct link_extern global;
    if (!world_find(&script->world, text_of(action, "module"), field_of(action), WASM_GLOBAL, &global, &script->why))
        return false;
    memcpy(&call->values[0], link_address(&global), sizeof call->values[0]);
    call->func = global;
    call->result_count = 1;
    return true;
}

static bool invoke(struct script *script, json_t *action, struct world_call *call)
{
    size_t i;
    json_t *arg, *args = json_object_get(action, "args");
    if (!world_find(&script->world, text_of(action, "module"), field_of(action), WASM_FUNC, &call->func, &script->why))
        return false;
    if (json_array_size(args) > WORLD_VALUES_MAX)
        return err_set(&script->why, ERR_LIMIT, "too many arguments");
    json_array_foreach(args, i, arg)
    {
        call->values[i] = value_of(arg);
        call->host_any[i] = value_is_host_any(arg);
    }
    return world_invoke(&script->world, call, &script->why);
}

static bool act(struct script *script, struct world_call *call)
{
    json_t *action = json_object_get(script->command, "action");
    const char *type = text_of(action, "type");
    memset(call, 0, sizeof *call);
    return type && strcmp(type, "get") == 0 ? get_global(script, action, call) : invoke(script, action, call);
}

/* Call a component's function; its result is compared where one is expected. */
static bool act_typed(struct script *script, struct component_call *call)
{
    size_t i;
    json_t *arg, *action = json_object_get(script->command, "action"), *args = json_object_get(action, "args");
    memset(call, 0, sizeof *call);
    if (!component_find(&script->components, text_of(action, "module"), field_of(action), call, &script->why))
        return false;
    if (json_array_size(args) != call->func.type.param_count || json_array_size(args) > COMPONENT_ARGS_MAX)
        return err_set(&script->why, ERR_USAGE, "%zu arguments, the function takes %u", json_array_size(args),
                       call->func.type.param_count);
    json_array_foreach(args, i, arg) if (!typed_value(arg, call->func.type.params[i].type, &call->arena,
                                                      &call->args[i])) return err_set(&script->why, ERR_USAGE,
                                                                                      "argument %zu is of another type",
                                                                                      i);
    return component_invoke(call, &script->why);
}

/* ---- traps ---- */

/* The trap that a message means: the reference interpreter adds details to some, and has more words for null. */
static enum trap trap_of(const char *text)
{
    static const char *const nulls[] = {"null structure reference", "null array reference", "null i31 reference"};
    for (size_t i = 0; text && i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(text, nulls[i]) == 0)
            return TRAP_NULL_REFERENCE;
    enum trap found = TRAP_NONE;
    size_t longest = 0;
    for (int trap = TRAP_NONE + 1; text && trap < TRAP_COUNT; trap++) {
        size_t length = strlen(trap_text((enum trap)trap));
        if (length > longest && strncmp(text, trap_text((enum trap)trap), length) == 0) {
            found = (enum trap)trap;
            longest = length;
        }
    }
    return found;
}

/* How this engine says what the component suite expects in other words, which are another engine's. The specification
 * only says "trap": where a synchronous task would block, that engine says so before it looks at the operands, or
 * before it calls a callee that traps; this one goes by the specification's order. */
static bool same_trap(const char *got, const char *expected)
{
    static const char *const words[][2] = {
        {"wasm `unreachable` instruction executed", "unreachable"},
        {"string content out-of-bounds", "out of bounds of memory"},
        {"string pointer/length out of bounds of memory", "out of bounds of memory"},
        {"string pointer/length out of bounds of memory", "string or list too long"},
        {"list content out-of-bounds", "realloc return: beyond end of memory"},
        {"unaligned pointer", "realloc return: result not aligned"},
        {"cannot block a synchronous task before returning", "unreachable"},
        {"cannot block a synchronous task before returning", "unknown handle index"},
        {"deadlock detected", "cannot block a synchronous task before returning"},
        {"cannot remove busy stream", "cannot drop busy stream"},
        {"invalid utf-8", "string is not UTF-8"},
        {"incomplete utf-8 byte sequence", "string is not UTF-8"},
        {"cannot remove owned resource while borrowed", " is lent"},
        {"handle index 1 used with the wrong type", "handle index 1 is of another resource type"},
    };
    static const char prefix[] = "wasm trap: ";
    if (strncmp(expected, prefix, sizeof prefix - 1) == 0)
        expected += sizeof prefix - 1;
    bool same = strncmp(got, expected, strlen(expected)) == 0;
    for (size_t i = 0; !same && i < sizeof words / sizeof *words; i++)
        same = strncmp(expected, words[i][0], strlen(words[i][0])) == 0 && strstr(got, words[i][1]);
    return same;
}

/* script->why must be the trap that `expected` means. */
static bool trapped(struct script *script, bool returned, const char *expected)
{
    if (returned)
        return err_set(&script->why, ERR_TRAP, "expected \"%s\", but nothing trapped", expected);
    if (script->why.kind != ERR_TRAP)
        return false;
    if (script->component ? same_trap(script->why.message, expected)
                          : trap_of(script->why.message) == trap_of(expected) && trap_of(expected) != TRAP_NONE)
        return true;
    char got[sizeof script->why.message];
    memcpy(got, script->why.message, sizeof got);
    return err_set(&script->why, ERR_TRAP, "expected \"%s\", got \"%.200s\"", expected, got);
}

/* ---- commands: true when all was as it must be, else script->why says what was not ---- */

static bool run_action(struct script *script)
{
    static struct world_call call;
    static struct component_call typed;
    return script->component ? act_typed(script, &typed) : act(script, &call);
}

static bool expect_typed(struct script *script)
{
    static struct component_call call;
    json_t *all = json_object_get(script->command, "expected");
    size_t results;
    if (!act_typed(script, &call))
        return false;
    results = call.func.type.result != NULL;
    if (json_array_size(all) != results)
        return err_set(&script->why, ERR_INVALID, "%zu results, expected %zu", results, json_array_size(all));
    return !results || typed_matches(json_array_get(all, 0), call.func.type.result, &call.result) ||
           err_set(&script->why, ERR_INVALID, "another result (bits 0x%llx, text `%.*s`, %u items)",
                   (unsigned long long)call.result.bits, STR_ARG(call.result.text), call.result.count);
}

static bool expect_values(struct script *script)
{
    static struct world_call call;
    json_t *expected, *all = json_object_get(script->command, "expected");
    size_t i;
    if (script->component)
        return expect_typed(script);
    if (!act(script, &call))
        return false;
    if (json_array_size(all) != call.result_count)
        return err_set(&script->why, ERR_INVALID, "%u results, expected %zu", call.result_count, json_array_size(all));
    json_array_foreach(
        all, i,
        expected) if (!value_matches(expected, &call.values[i],
                                     &call.func.slot->gc)) return err_set(&script->why, ERR_INVALID,
                                                                          "result %zu is 0x%llx %016llx", i,
                                                                          (unsigned long long)call.values[i].lanes[1],
                                                                          (unsigned long long)call.values[i].lanes[0]);
    return true;
}

static bool expect_trap(struct script *script)
{
    return trapped(script, run_action(script), text_of(script->command, "text"));
}

static bool expect_exhaustion(struct script *script)
{
    static struct world_call call;
    return trapped(script, act(script, &call), trap_text(TRAP_STACK_OVERFLOW));
}

static bool expect_exception(struct script *script)
{
    static struct world_call call;
    return trapped(script, act(script, &call), trap_text(TRAP_UNCAUGHT_EXCEPTION));
}

static bool make_instance(struct script *script)
{
    char path[512];
    module_path(script, path);
    script->component = component_file(path);
    if (script->component)
        return component_instantiate(&script->components, path, text_of(script->command, "name"), &script->why);
    return world_instantiate(&script->world, path, text_of(script->command, "name"), &script->why);
}

/* Instantiation must fail; the current instance stays. */
static bool make_none(struct script *script)
{
    struct instance *current = script->world.current;
    struct component_instance *component = script->components.current;
    bool made = make_instance(script);
    script->world.current = current;
    script->components.current = component;
    return made;
}

static bool expect_uninstantiable(struct script *script)
{
    return trapped(script, make_none(script), text_of(script->command, "text"));
}

static bool expect_unlinkable(struct script *script)
{
    const char *text = text_of(script->command, "text");
    if (make_none(script))
        return err_set(&script->why, ERR_LINK, "it was linked");
    return script->why.kind == ERR_LINK && text && strncmp(script->why.message, text, strlen(text)) == 0;
}

/* The threads suite was written before modules could have several memories and tables. Its assertions that they
 * cannot are checked by the rule of that time. */
static bool is_outdated(const char *text)
{
    return text && (strcmp(text, "multiple memories") == 0 || strcmp(text, "multiple tables") == 0);
}

static bool validate(struct script *script, const char *path)
{
    return component_file(path) ? component_validate_file(path, &script->why) : world_validate(path, &script->why);
}

static bool expect_refusal(struct script *script, enum err_kind kind)
{
    char path[512];
    bool outdated = is_outdated(text_of(script->command, "text"));
    module_path(script, path);
    if (outdated ? world_validate_single(path, &script->why) : validate(script, path))
        return err_set(&script->why, kind, "it was accepted");
    return script->why.kind == kind;
}

static bool expect_malformed(struct script *script)
{
    return expect_refusal(script, ERR_MALFORMED);
}

static bool expect_invalid(struct script *script)
{
    return expect_refusal(script, ERR_INVALID);
}

static bool define(struct script *script)
{
    char path[512];
    module_path(script, path);
    return validate(script, path) &&
           (world_define(&script->world, path, text_of(script->command, "name")) || err_memory(&script->why));
}

static bool make_defined_instance(struct script *script)
{
    const char *instance = text_of(script->command, "instance"), *path;
    if (!world_definition(&script->world, text_of(script->command, "module"), &path, &script->why))
        return false;
    script->component = component_file(path);
    if (script->component)
        return component_instantiate(&script->components, path, instance, &script->why);
    return world_instantiate(&script->world, path, instance, &script->why);
}

static bool register_instance(struct script *script)
{
    return world_register(&script->world, text_of(script->command, "name"), text_of(script->command, "as")) ||
           err_set(&script->why, ERR_USAGE, "no such instance");
}

static const struct {
    const char *type;
    bool (*run)(struct script *script);
} commands[] = {
    {"module", make_instance},
    {"module_definition", define},
    {"module_instance", make_defined_instance},
    {"register", register_instance},
    {"action", run_action},
    {"assert_return", expect_values},
    {"assert_trap", expect_trap},
    {"assert_exhaustion", expect_exhaustion},
    {"assert_exception", expect_exception},
    {"assert_uninstantiable", expect_uninstantiable},
    {"assert_unlinkable", expect_unlinkable},
    {"assert_malformed", expect_malformed},
    {"assert_invalid", expect_invalid},
};

static bool run_command(struct script *script)
{
    const char *type = text_of(script->command, "type");
    for (size_t i = 0; type && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].type, type) == 0)
            return commands[i].run(script);
    return err_set(&script->why, ERR_UNSUPPORTED, "unknown command");
}

static void tell(const struct script *script, bool passed)
{
    json_t *field = json_object_get(json_object_get(script->command, "action"), "field");
    const char *type = text_of(script->command, "type"), *base = strrchr(script->path, '/');
    printf("%s%s:%lld: %s%s%s%s%s\n", passed ? "  ok " : "", base ? base + 1 : script->path,
           (long long)json_integer_value(json_object_get(script->command, "line")), type ? type : "?", field ? " " : "",
           field ? json_string_value(field) : "", passed ? "" : ": ", passed ? "" : script->why.message);
}

static void run_all(struct script *script, json_t *all)
{
    size_t i;
    json_array_foreach(all, i, script->command)
    {
        memset(&script->why, 0, sizeof script->why);
        bool passed = run_command(script);
        if (!passed || script->options->verbose)
            tell(script, passed);
        script->tally->failed += !passed;
        script->tally->passed += passed && is_assertion(script->command);
    }
}

void script_run(const char *path, const struct script_options *options, struct tally *tally)
{
    static struct script script;
    script = (struct script){.path = path, .options = options, .tally = tally};
    json_t *file = load(path);
    if (file && world_open(&script.world, options, &script.why)) {
        script.components.compiler = &script.world.compiler;
        script.components.options = script.world.options;
        run_all(&script, json_object_get(file, "commands"));
    } else {
        if (file)
            printf("%s: %s\n", path, script.why.message);
        tally->failed += tally->assertions;
    }
    compiler_stop(&script.world.compiler);
    json_decref(file);
}
