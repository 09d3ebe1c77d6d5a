/* Canonical definitions (Binary.md, "Canonical Definitions"; CanonicalABI.md for their validation).
 *
 * builtins.def says which immediates each one has and which core function results; what more must hold
 * is one rule function for those that have more.
 */
#include "component/decoder.h"

/* Options. */

static bool once(struct decoder *d, bool seen, const char *what)
{
    return !seen || checker_fail(&d->check, ERR_INVALID, "canonical option `%s` is specified more than once", what);
}

static bool option_encoding(struct decoder *d, uint8_t code, struct options *ret)
{
    static const char *const words[] = {"utf8", "utf16", "latin1-utf16"};
    if (ret->has_encoding)
        return checker_fail(&d->check, ERR_INVALID, "canonical encoding option `%s` conflicts with option `%s`",
                            words[ret->encoding], words[code]);
    ret->has_encoding = true;
    ret->encoding = (enum string_encoding)code;
    return true;
}

/* The index of a memory that is a subtype of `(memory 0)`. */
static bool decode_memory(struct decoder *d, struct reader *in, uint32_t *ret)
{
    if (!decode_index(d, in, SORT_CORE_MEMORY, ret))
        return false;
    const struct core_extern *memory = &scope_entity(d, SORT_CORE_MEMORY, *ret)->core;
    const struct wasm_memory *type = &memory->module->memories[memory->index];
    if (type->limits.is_64)
        return checker_fail(&d->check, ERR_UNSUPPORTED, "64-bit memories in canonical options");
    return (!type->limits.shared && type->page_log2 == 16) ||
           checker_fail(&d->check, ERR_INVALID, "canonical option `memory` needs an unshared 32-bit memory");
}

static bool option_memory(struct decoder *d, struct reader *in, struct options *ret)
{
    return once(d, ret->memory != WASM_NO_INDEX, "memory") && decode_memory(d, in, &ret->memory);
}

static bool option_func(struct decoder *d, struct reader *in, const char *what, uint32_t *ret)
{
    return once(d, *ret != WASM_NO_INDEX, what) && decode_index(d, in, SORT_CORE_FUNC, ret);
}

static bool option_async(struct decoder *d, struct options *ret)
{
    if (!once(d, ret->async_, "async"))
        return false;
    ret->async_ = true;
    return true;
}

static bool decode_option(struct decoder *d, struct reader *in, struct options *ret)
{
    uint8_t code;
    d->check.offset = reader_offset(in);
    if (!reader_u8(in, &code))
        return false;
    switch (code) {
    case 0x00:
    case 0x01:
    case 0x02: return option_encoding(d, code, ret);
    case 0x03: return option_memory(d, in, ret);
    case 0x04: return option_func(d, in, "realloc", &ret->realloc);
    case 0x05: return option_func(d, in, "post-return", &ret->post_return);
    case 0x06: return option_async(d, ret);
    case 0x07: return option_func(d, in, "callback", &ret->callback);
    default: return decode_bad_byte(d, in, code, "canonical option");
    }
}

static bool check_signature(struct decoder *d, uint32_t func, const char *what, const wasm_valtype *params,
                            uint32_t param_count, uint32_t result_count)
{
    static const wasm_valtype results[] = {WASM_I32};
    struct wasm_functype type = {param_count, result_count, params, results};
    if (func == WASM_NO_INDEX || core_func_is(&scope_entity(d, SORT_CORE_FUNC, func)->core, &type))
        return true;
    return checker_fail(&d->check, ERR_INVALID,
                        "canonical option `%s` uses a core function with an incorrect signature", what);
}

static bool check_options(struct decoder *d, const struct options *options)
{
    static const wasm_valtype words[] = {WASM_I32, WASM_I32, WASM_I32, WASM_I32};
    if (options->realloc != WASM_NO_INDEX && options->memory == WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID,
                            "canonical option `realloc` requires `memory` to also be specified");
    if (options->callback != WASM_NO_INDEX && !options->async_)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `callback` requires `async`");
    if (options->post_return != WASM_NO_INDEX && options->async_)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `post-return` conflicts with `async`");
    return check_signature(d, options->realloc, "realloc", words, 4, 1) &&
           check_signature(d, options->callback, "callback", words, 3, 1);
}

static bool decode_options(struct decoder *d, struct reader *in, struct options *ret)
{
    uint32_t count, offset = reader_offset(in);
    *ret = (struct options){
        .memory = WASM_NO_INDEX, .realloc = WASM_NO_INDEX, .post_return = WASM_NO_INDEX, .callback = WASM_NO_INDEX};
    if (!decode_count(d, in, COMPONENT_LIMIT_OPTIONS, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!decode_option(d, in, ret))
            return false;
    d->check.offset = offset;
    return check_options(d, ret);
}

/* Signatures. */

#define ASYNC_MAX_FLAT_PARAMS 4

static const struct wasm_functype *make_functype(struct decoder *d, const wasm_valtype *params, uint32_t param_count,
                                                 const wasm_valtype *results, uint32_t result_count)
{
    struct wasm_functype *type = ARENA_NEW(d->check.arena, struct wasm_functype);
    wasm_valtype *copy = ARENA_ARRAY(d->check.arena, wasm_valtype, param_count + result_count);
    if (!type || !copy) {
        checker_memory(&d->check);
        return NULL;
    }
    for (uint32_t i = 0; i < param_count + result_count; i++)
        copy[i] = i < param_count ? params[i] : results[i - param_count];
    *type = (struct wasm_functype){param_count, result_count, copy, copy + param_count};
    return type;
}

/* What a function needs of its options, beside its core signature. */
struct needs {
    bool memory, realloc;
};

/* Flattening for asynchronous calls ("flatten_functype"): parameters as for synchronous ones with
 * another maximum; the result goes through memory, or through task.return. */
static void flatten_async(const struct func_type *func, bool lower, bool callback, struct flat_func *ret)
{
    struct func_type params = *func;
    params.result = NULL;
    type_flatten_func(&params, lower, ret);
    if (lower && ret->param_count > ASYNC_MAX_FLAT_PARAMS) {
        ret->param_count = 1;
        ret->params[0] = WASM_I32;
        ret->params_indirect = true;
    }
    if (lower && func->result) {
        ret->params[ret->param_count++] = WASM_I32;
        ret->result_indirect = true;
    }
    ret->result_count = lower || callback;
    ret->results[0] = WASM_I32;
}

static void flatten(const struct func_type *func, bool lower, const struct options *options, struct flat_func *ret)
{
    if (options->async_)
        flatten_async(func, lower, options->callback != WASM_NO_INDEX, ret);
    else
        type_flatten_func(func, lower, ret);
}

static bool params_point(const struct func_type *func)
{
    for (uint32_t i = 0; i < func->param_count; i++)
        if (node_of(func->params[i].type)->shape.strings)
            return true;
    return false;
}

static bool check_needs(struct decoder *d, const struct options *options, struct needs needs)
{
    if ((needs.memory || needs.realloc) && options->memory == WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `memory` is required");
    if (needs.realloc && options->realloc == WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `realloc` is required");
    return true;
}

static bool check_async(struct decoder *d, const struct func_type *func, const struct options *options)
{
    return !options->async_ || func->async_ ||
           checker_fail(&d->check, ERR_INVALID, "the `async` canonical option requires an async function type");
}

/* canon lift: arguments are written into the component's memory, results are read from it (for asynchronous ones where
 * task.return has them). */
static bool rule_lift(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    const struct func_type *func = &canon->type.func->type;
    const struct options *options = &canon->opts;
    const struct core_extern *core = &scope_entity(d, SORT_CORE_FUNC, canon->target)->core;
    struct flat_func flat;
    flatten(func, false, options, &flat);
    struct wasm_functype expected = {flat.param_count, flat.result_count, flat.params, flat.results};
    bool result_points = func->result && node_of(func->result)->shape.strings;
    bool result_indirect =
        options->async_ ? func->result && func->result->flat_count > TYPE_MAX_FLAT_PARAMS : flat.result_indirect;
    struct needs needs = {.memory = result_points || result_indirect,
                          .realloc = params_point(func) || flat.params_indirect};
    *ret = NULL;
    if (!check_async(d, func, options) || !check_needs(d, options, needs))
        return false;
    if (!core_func_is(core, &expected))
        return checker_fail(&d->check, ERR_INVALID,
                            "core function does not have the signature of the lifted type: lowered parameter types "
                            "do not match parameter types, or lowered result types do not match result types");
    return check_signature(d, options->post_return, "post-return", flat.results, flat.result_count, 0);
}

/* canon lower: arguments are read from the component's memory, results are written into it. The text wants a memory of
 * every asynchronous one; the official suite has some without, whose functions need none. */
static bool rule_lower(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    const struct func_type *func = &canon->type.func->type;
    const struct options *options = &canon->opts;
    struct flat_func flat;
    if (options->post_return != WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `post-return` cannot be specified for lowerings");
    if (options->callback != WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "canonical option `callback` cannot be specified for lowerings");
    flatten(func, true, options, &flat);
    bool result_points = func->result && node_of(func->result)->shape.strings;
    struct needs needs = {.memory = params_point(func) || flat.params_indirect || flat.result_indirect,
                          .realloc = result_points};
    if (!check_async(d, func, options) || !check_needs(d, options, needs))
        return false;
    *ret = make_functype(d, flat.params, flat.param_count, flat.results, flat.result_count);
    return *ret != NULL;
}

static bool rule_task_return(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    const struct options *options = &canon->opts;
    struct func_param param = {STR("result"), canon->result};
    struct func_type func = {.params = &param, .param_count = canon->result != NULL};
    struct flat_func flat;
    if (options->realloc != WASM_NO_INDEX || options->post_return != WASM_NO_INDEX || options->async_ ||
        options->callback != WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "task.return takes no option but `memory` and the encoding");
    if (canon->result && node_of(canon->result)->shape.borrows)
        return checker_fail(&d->check, ERR_INVALID, "function result cannot contain a `borrow` type");
    type_flatten_func(&func, true, &flat);
    if (!check_needs(d, options, (struct needs){.memory = params_point(&func) || flat.params_indirect}))
        return false;
    *ret = make_functype(d, flat.params, flat.param_count, flat.results, flat.result_count);
    return *ret != NULL;
}

/* Reading or writing the elements of streams and futures. */
static bool rule_copy(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    const struct type *element = canon->type.value->type.element;
    bool read = canon->kind == BUILTIN_STREAM_READ || canon->kind == BUILTIN_FUTURE_READ;
    bool points = element && node_of(element)->shape.strings;
    (void)ret;
    if (canon->opts.post_return != WASM_NO_INDEX || canon->opts.callback != WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "%s takes neither `post-return` nor `callback`",
                            builtin_infos[canon->kind].words);
    return check_needs(d, &canon->opts, (struct needs){.memory = element != NULL, .realloc = points && read});
}

static bool rule_error_context(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    bool message = canon->kind == BUILTIN_ERROR_CONTEXT_DEBUG_MESSAGE;
    const struct options *options = &canon->opts;
    (void)ret;
    if (options->async_ || options->post_return != WASM_NO_INDEX || options->callback != WASM_NO_INDEX)
        return checker_fail(&d->check, ERR_INVALID, "%s takes neither `async`, `post-return` nor `callback`",
                            builtin_infos[canon->kind].words);
    return check_needs(d, &canon->opts, (struct needs){.memory = true, .realloc = message});
}

static bool rule_context(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    (void)ret;
    if (canon->valtype != WASM_I32)
        return checker_fail(&d->check, ERR_INVALID, "%s must be of type `i32`", builtin_infos[canon->kind].words);
    return canon->number < 2 ||
           checker_fail(&d->check, ERR_INVALID, "immediate of %s must be below 2", builtin_infos[canon->kind].words);
}

static bool is_thread_start(const struct core_type *type)
{
    static const wasm_valtype params[] = {WASM_I32};
    const struct wasm_functype start = {1, 0, params, NULL};
    if (type->module_type || type->module->types[type->index].kind != WASM_COMP_FUNC)
        return false;
    const struct wasm_functype *func = &type->module->types[type->index].func;
    return func->param_count == start.param_count && func->result_count == 0 && func->params[0] == params[0];
}

static bool rule_thread(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret)
{
    const struct core_type *type = scope_entity(d, SORT_CORE_TYPE, canon->core_type)->core_type;
    if (!is_thread_start(type))
        return checker_fail(&d->check, ERR_INVALID, "start function must take a single `i32` argument");
    if (canon->kind == BUILTIN_THREAD_SPAWN_REF)
        return checker_fail(&d->check, ERR_UNSUPPORTED, "canonical built-in thread.spawn-ref");
    const struct core_extern *table = &scope_entity(d, SORT_CORE_TABLE, canon->table)->core;
    const struct wasm_table *shape = &table->module->tables[table->index];
    (void)ret;
    if (shape->type != WASM_FUNCREF)
        return checker_fail(&d->check, ERR_INVALID, "start function table must be of `funcref`");
    return !shape->limits.is_64 || checker_fail(&d->check, ERR_UNSUPPORTED, "64-bit tables of start functions");
}

typedef bool (*rule_fn)(struct decoder *d, struct canonical *canon, const struct wasm_functype **ret);

static const rule_fn rules[BUILTIN_COUNT] = {
    [BUILTIN_LIFT] = rule_lift,
    [BUILTIN_LOWER] = rule_lower,
    [BUILTIN_TASK_RETURN] = rule_task_return,
    [BUILTIN_STREAM_READ] = rule_copy,
    [BUILTIN_STREAM_WRITE] = rule_copy,
    [BUILTIN_FUTURE_READ] = rule_copy,
    [BUILTIN_FUTURE_WRITE] = rule_copy,
    [BUILTIN_ERROR_CONTEXT_NEW] = rule_error_context,
    [BUILTIN_ERROR_CONTEXT_DEBUG_MESSAGE] = rule_error_context,
    [BUILTIN_CONTEXT_GET] = rule_context,
    [BUILTIN_CONTEXT_SET] = rule_context,
    [BUILTIN_THREAD_NEW_INDIRECT] = rule_thread,
    [BUILTIN_THREAD_SPAWN_REF] = rule_thread,
    [BUILTIN_THREAD_SPAWN_INDIRECT] = rule_thread,
};

/* Immediates. */

static bool immediate_zero(struct decoder *d, struct reader *in, struct canonical *canon)
{
    uint8_t byte;
    if (!reader_u8(in, &byte))
        return false;
    return byte == 0 ||
           decode_bad_byte(d, in, byte,
                           canon->kind == BUILTIN_LIFT ? "canonical function lift" : "canonical function lower");
}

static bool immediate_type(struct decoder *d, struct reader *in, struct canonical *canon, enum def_type_kind def,
                           const char *what)
{
    uint32_t index;
    if (!decode_index(d, in, SORT_TYPE, &index))
        return false;
    canon->type = *scope_entity(d, SORT_TYPE, index);
    return canon->type.def == def || checker_fail(&d->check, ERR_INVALID, "type index %u is not %s", index, what);
}

static bool immediate_local_resource(struct decoder *d, struct reader *in, struct canonical *canon)
{
    if (!immediate_type(d, in, canon, DEF_RESOURCE, "a resource type"))
        return false;
    return canon->type.resource->abstract->definer == d->component ||
           checker_fail(&d->check, ERR_INVALID, "not a local resource");
}

static bool immediate_value(struct decoder *d, struct reader *in, struct canonical *canon, enum type_kind kind)
{
    if (!immediate_type(d, in, canon, DEF_VALUE, types_words(kind)))
        return false;
    return canon->type.value->type.kind == kind || checker_fail(&d->check, ERR_INVALID, "%s requires a %s type",
                                                                builtin_infos[canon->kind].words, types_words(kind));
}

static bool immediate_component_func(struct decoder *d, struct reader *in, struct canonical *canon)
{
    if (!decode_index(d, in, SORT_FUNC, &canon->target))
        return false;
    canon->type = *scope_entity(d, SORT_FUNC, canon->target);
    return true;
}

static bool read_immediate(struct decoder *d, struct reader *in, struct canonical *canon, char code)
{
    switch (code) {
    case 'z': return immediate_zero(d, in, canon);
    case 'f': return decode_index(d, in, SORT_CORE_FUNC, &canon->target);
    case 'F': return immediate_component_func(d, in, canon);
    case 't': return immediate_type(d, in, canon, DEF_FUNC, "a function type: not a function type");
    case 'R': return immediate_type(d, in, canon, DEF_RESOURCE, "a resource type");
    case 'L': return immediate_local_resource(d, in, canon);
    case 'S': return immediate_value(d, in, canon, TYPE_STREAM);
    case 'U': return immediate_value(d, in, canon, TYPE_FUTURE);
    case 'r': return decode_result(d, in, &canon->result);
    case 'o': return decode_options(d, in, &canon->opts);
    case 'a': return decode_flag(d, in, &canon->async_);
    case 'c': return decode_flag(d, in, &canon->cancellable);
    case 'h': return decode_flag(d, in, &canon->shared);
    case 'm': return decode_memory(d, in, &canon->memory);
    case 'T': return decode_index(d, in, SORT_CORE_TABLE, &canon->table);
    case 'y': return decode_index(d, in, SORT_CORE_TYPE, &canon->core_type);
    case 'v': return reader_valtype(in, &canon->valtype);
    case 'i': return reader_u32(in, &canon->number);
    }
    return false;
}

/* The signature in builtins.def. */
static const struct wasm_functype *written_signature(struct decoder *d, const struct canonical *canon)
{
    wasm_valtype types[2][4];
    uint32_t counts[2] = {0, 0}, side = 0;
    for (const char *at = builtin_infos[canon->kind].signature; *at; at++) {
        wasm_valtype type = *at == 'l' ? WASM_I64 : *at == 'x' ? canon->valtype : WASM_I32;
        if (*at == 'p')
            type = canon->type.resource->abstract->rep;
        if (*at == ':')
            side = 1;
        else
            types[side][counts[side]++] = type;
    }
    return make_functype(d, types[0], counts[0], types[1], counts[1]);
}

static bool find_builtin(uint8_t code, enum builtin *ret)
{
    for (int kind = 0; kind < BUILTIN_COUNT; kind++)
        if (builtin_infos[kind].code == code) {
            *ret = (enum builtin)kind;
            return true;
        }
    return false;
}

bool decode_canonical(struct decoder *d, struct reader *in, struct canonical *ret, struct entity *ret_entity)
{
    struct canonical canon = {0};
    const struct wasm_functype *signature = NULL;
    uint32_t offset = reader_offset(in);
    uint8_t code;
    if (!reader_u8(in, &code))
        return false;
    if (!find_builtin(code, &canon.kind))
        return decode_bad_byte(d, in, code, "canonical function");
    for (const char *at = builtin_infos[canon.kind].immediates; *at; at++)
        if (!read_immediate(d, in, &canon, *at))
            return false;
    d->check.offset = offset;
    if (rules[canon.kind] && !rules[canon.kind](d, &canon, &signature))
        return false;
    *ret_entity = canon.type;
    ret_entity->sort = SORT_FUNC;
    if (canon.kind != BUILTIN_LIFT) {
        if (!signature && !(signature = written_signature(d, &canon)))
            return false;
        *ret_entity = (struct entity){.sort = SORT_CORE_FUNC, .core = {WASM_FUNC, NULL, 0, signature}};
    }
    *ret = canon;
    return true;
}
