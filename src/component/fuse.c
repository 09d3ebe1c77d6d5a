/* Making an adapter: see fuse.h. The order of things is that of canon_lower and canon_lift in CanonicalABI.md.
 *
 * A synchronous function is called by one adapter that does all of it. An asynchronous one is called by the host
 * (async_call.c), which decides when the callee may begin; it has two parts: `run` moves the parameters and calls the
 * callee, `ret` moves what the callee gave to task.return.
 */
#include "component/fuse_op.h"

/* The values of a call in one direction, on one side: flat, or behind one pointer. */
struct passing {
    const struct type *tuple; /* of all of them, or the result; NULL: none */
    bool indirect;
    wasm_valtype types[TYPE_MAX_FLAT_PARAMS]; /* flat */
    uint32_t count;
};

struct call {
    struct fuse *f;
    struct fuse_side caller, callee;
    const struct func_type *type;
    const struct wasm_functype *own; /* of the core import */
    struct passing params, result;
    bool async_lower, async_lift;
    uint32_t pointer; /* parameter that says where the result goes, where there is one */
    uint32_t func;    /* the callee in the adapter */
};

/* ---- the two sides ---- */

bool fuse_set_side(struct fuse *f, struct instance *in, const struct options *opts, struct fuse_side *side)
{
    *side = (struct fuse_side){.in = in, .opts = opts, .memory = WASM_NO_INDEX};
    if (!planner_options(f->p, in, opts, &side->options) || !planner_handle_table(f->p, in, &side->table))
        return false;
    if (side->options.memory == WASM_NO_INDEX)
        return true;
    const struct wasm_module *module = f->p->units.items[side->options.memory_unit].module;
    const struct wasm_memory *memory = &module->memories[side->options.memory];
    if (memory->limits.is_64)
        return checker_fail(&f->p->check, ERR_UNSUPPORTED, "core import `%.*s` passes values through a 64-bit memory",
                            STR_ARG(f->name));
    side->page_log2 = memory->page_log2;
    side->memory = fuse_memory(f, side->options.memory_unit, side->options.memory);
    return !f->failed;
}

/* Is one of the two an ancestor of the other, or both the same? */
static bool is_donut(const struct instance *a, const struct instance *b)
{
    for (const struct instance *at = a; at; at = at->outer)
        if (at == b)
            return true;
    for (const struct instance *at = b; at; at = at->outer)
        if (at == a)
            return true;
    return false;
}

/* ---- how values travel ---- */

static void set_flat_types(struct passing *passing, const struct type *type)
{
    for (uint32_t i = 0; i < type->flat_count && passing->count < TYPE_MAX_FLAT_PARAMS; i++)
        passing->types[passing->count++] = type->flat[i];
}

bool fuse_tuple(struct fuse *f, const struct func_type *func, const struct type **ret_tuple)
{
    struct checker *check = &f->p->check;
    struct type *tuple = ARENA_NEW(check->arena, struct type);
    struct type_item *items = ARENA_ARRAY(check->arena, struct type_item, func->param_count);
    if (!tuple || !items)
        return checker_memory(check);
    if (func->param_count == 0) {
        *ret_tuple = NULL;
        return true;
    }
    for (uint32_t i = 0; i < func->param_count; i++)
        items[i].type = func->params[i].type;
    *tuple = (struct type){.kind = TYPE_TUPLE, .items = items, .count = func->param_count};
    if (!type_finish(tuple, check->err))
        return false;
    *ret_tuple = tuple;
    return true;
}

static bool make_params(struct call *call)
{
    const struct type *tuple;
    if (!fuse_tuple(call->f, call->type, &tuple))
        return false;
    call->params.tuple = tuple;
    call->params.indirect = tuple && tuple->flat_count > TYPE_MAX_FLAT_PARAMS;
    if (tuple && !call->params.indirect)
        set_flat_types(&call->params, tuple);
    return true;
}

/* Do the parameters come in the caller's memory? */
static bool caller_indirect(const struct call *call)
{
    uint32_t most = call->async_lower ? ASYNC_MAX_FLAT_PARAMS : TYPE_MAX_FLAT_PARAMS;
    return call->params.tuple && call->params.tuple->flat_count > most;
}

/* Does the result go to the caller's memory? */
static bool result_pointed(const struct call *call)
{
    return call->result.tuple && (call->async_lower || call->result.tuple->flat_count > TYPE_MAX_FLAT_RESULTS);
}

static void make_result(struct call *call)
{
    call->result.tuple = call->type->result;
    if (!call->type->result)
        return;
    call->result.indirect = call->type->result->flat_count > TYPE_MAX_FLAT_RESULTS;
    if (!call->result.indirect)
        set_flat_types(&call->result, call->type->result);
}

/* ---- code ---- */

void fuse_check_pointer(struct fuse *f, const struct fuse_side *side, const struct type *type, uint32_t at)
{
    uint32_t size = fuse_local(f, WASM_I64);
    fuse_check_align(f, at, type->align, FUSE_ALIGN);
    fuse_i64(f, type->size);
    fuse_op_index(f, OP_LOCAL_SET, size);
    fuse_check_range(f, side, at, size, FUSE_BOUNDS);
    fuse_local_free(f, size);
}

static uint32_t allocate_value(struct fuse *f, const struct fuse_side *side, const struct type *type)
{
    uint32_t at = fuse_local(f, WASM_I32), size = fuse_local(f, WASM_I32), size_64 = fuse_local(f, WASM_I64);
    fuse_i32(f, type->size);
    fuse_op_index(f, OP_LOCAL_SET, size);
    fuse_i64(f, type->size);
    fuse_op_index(f, OP_LOCAL_SET, size_64);
    fuse_allocate(f, side, type->align, size, size_64, at);
    fuse_local_free(f, size);
    fuse_local_free(f, size_64);
    return at;
}

static void leave_check(struct call *call)
{
    fuse_op_index(call->f, OP_GLOBAL_GET, fuse_word(call->f, call->caller.table, offsetof(struct handles, no_leave)));
    fuse_trap_if(call->f, FUSE_LEAVE);
}

/* Moves the parameters; `locals` get what the callee is called with. */
static void move_params(struct call *call, uint32_t locals[TYPE_MAX_FLAT_PARAMS])
{
    struct fuse *f = call->f;
    const struct passing *params = &call->params;
    static const uint32_t own[TYPE_MAX_FLAT_PARAMS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct fuse_spot source = {.locals = own, .types = params->types},
                     target = {.locals = locals, .types = params->types};
    if (!params->tuple)
        return;
    if (caller_indirect(call)) {
        fuse_check_pointer(f, &call->caller, params->tuple, 0);
        source = (struct fuse_spot){.base = 0};
    }
    if (params->indirect) {
        locals[0] = allocate_value(f, &call->callee, params->tuple);
        target = (struct fuse_spot){.base = locals[0]};
    }
    for (uint32_t i = 0; i < params->count; i++)
        locals[i] = fuse_local(f, params->types[i]);
    fuse_value(f, &call->caller, &call->callee, params->tuple, &source, &target);
}

/* What the callee's core function returns. */
static wasm_valtype core_result(const struct call *call)
{
    if (call->async_lift)
        return call->callee.opts->callback != WASM_NO_INDEX ? WASM_I32 : 0;
    return !call->result.tuple ? 0 : call->result.indirect ? WASM_I32 : call->result.types[0];
}

static void call_callee(struct call *call, const uint32_t *locals, uint32_t result)
{
    struct fuse *f = call->f;
    uint32_t count = call->params.indirect ? 1 : call->params.count;
    fuse_guard(f, core_result(call));
    for (uint32_t i = 0; i < count; i++)
        fuse_op_index(f, OP_LOCAL_GET, locals[i]);
    fuse_op_index(f, OP_CALL, call->func);
    fuse_guard_end(f, core_result(call), result);
}

/* From `result`, which the callee gave, to where the caller wants it; `flat` is then the adapter's own result. */
static void move_result(struct call *call, const uint32_t *result, const uint32_t *flat)
{
    struct fuse *f = call->f;
    const struct passing *passing = &call->result;
    struct fuse_spot source = {.locals = result, .types = passing->types},
                     target = {.locals = flat, .types = passing->types};
    if (!passing->tuple)
        return;
    if (passing->indirect) {
        fuse_check_pointer(f, &call->callee, passing->tuple, *result);
        source = (struct fuse_spot){.base = *result};
    }
    if (result_pointed(call)) {
        fuse_check_pointer(f, &call->caller, passing->tuple, call->pointer);
        target = (struct fuse_spot){.base = call->pointer};
    }
    fuse_value(f, &call->callee, &call->caller, passing->tuple, &source, &target);
}

static void post_return(struct call *call, uint32_t result)
{
    struct fuse *f = call->f;
    const struct canon_options *options = &call->callee.options;
    if (options->post_return == WASM_NO_INDEX)
        return;
    fuse_leave(f, &call->callee, false);
    fuse_guard(f, 0);
    if (core_result(call))
        fuse_op_index(f, OP_LOCAL_GET, result);
    fuse_op_index(f, OP_CALL, fuse_func(f, options->post_return_unit, options->post_return));
    fuse_guard_end(f, 0, 0);
    fuse_leave(f, &call->callee, true);
}

static void call_host(struct call *call, enum host_import_kind kind)
{
    fuse_op_index(call->f, OP_CALL, fuse_host(call->f, kind, &call->caller, &call->callee, NULL, NULL));
}

/* May code of the instance ask which task it is in? */
static bool asks_for_task(struct instance *in)
{
    const struct component *component = in->component;
    for (uint32_t i = 0; !in->asked && !in->asks && i < component->count; i++)
        in->asks = component->definitions[i].kind == DEFINE_CANON &&
                   component->definitions[i].canon->kind >= BUILTIN_TASK_CANCEL;
    in->asked = true;
    return in->asks;
}

/* Parameters, the callee, and of a synchronously lifted one its result; `synchronous`: with what the host does
 * otherwise. */
static void write_body(struct call *call, bool synchronous)
{
    struct fuse *f = call->f;
    uint32_t locals[TYPE_MAX_FLAT_PARAMS] = {0}, result = 0, flat = 0;
    bool borrows = call->params.tuple && call->params.tuple->has_borrow;
    bool begins = synchronous && (borrows || asks_for_task(call->callee.in));
    bool has_flat = call->result.tuple && !call->async_lift && !result_pointed(call);
    if (begins)
        call_host(call, HOST_FUSE_BEGIN);
    move_params(call, locals);
    if (core_result(call))
        result = fuse_local(f, core_result(call));
    if (synchronous)
        fuse_storage_clear(f, &call->callee);
    call_callee(call, locals, result);
    if (has_flat)
        flat = fuse_local(f, call->result.types[0]);
    if (!call->async_lift)
        move_result(call, &result, &flat);
    if (begins)
        call_host(call, HOST_FUSE_END);
    post_return(call, result);
    if (has_flat)
        fuse_op_index(f, OP_LOCAL_GET, flat);
    else if (call->async_lift && core_result(call)) /* what the callback's loop goes on with */
        fuse_op_index(f, OP_LOCAL_GET, result);
    fuse_op(f, OP_END);
}

static void write_synchronous(struct call *call)
{
    leave_check(call);
    if (is_donut(call->caller.in, call->callee.in)) {
        fuse_trap(call->f, FUSE_ENTER);
        fuse_op(call->f, OP_END);
        return;
    }
    write_body(call, true);
}

/* From the parameters of task.return to the caller. */
static void write_ret(struct call *call)
{
    struct fuse *f = call->f;
    static const uint32_t own[TYPE_MAX_FLAT_PARAMS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    bool has_flat = call->result.tuple && !result_pointed(call);
    uint32_t flat = has_flat ? fuse_local(f, call->result.types[0]) : 0;
    move_result(call, own, &flat);
    if (has_flat)
        fuse_op_index(f, OP_LOCAL_GET, flat);
    fuse_op(f, OP_END);
}

/* ---- the adapter ---- */

const struct func_type *fuse_type_of(const struct canon_value *canon)
{
    return &canon->in->component->scope.spaces[SORT_FUNC].items[canon->canon->target].func->type;
}

static bool open_call(struct call *call, struct fuse *f, const struct canon_value *canon)
{
    const struct func_value *callee = canon->callee;
    *call = (struct call){.f = f,
                          .type = fuse_type_of(canon),
                          .own = canon->type,
                          .async_lower = canon->canon->opts.async_,
                          .async_lift = callee->canon->opts.async_,
                          .pointer = canon->type->param_count - 1};
    f->param_count = canon->type->param_count;
    f->in = canon->in;
    if (!fuse_set_side(f, canon->in, &canon->canon->opts, &call->caller) ||
        !fuse_set_side(f, callee->in, &callee->canon->opts, &call->callee) || !make_params(call))
        return false;
    make_result(call);
    return true;
}

static bool find_callee(struct call *call, const struct canon_value *canon)
{
    uint32_t unit = 0, func = 0;
    if (!planner_core_func(call->f->p, canon->callee->in, canon->callee->canon->target, &unit, &func))
        return false;
    call->func = fuse_func(call->f, unit, func);
    return true;
}

static bool make_synchronous(struct fuse *f, const struct canon_value *canon, struct plan_func *ret)
{
    struct call call;
    if (!open_call(&call, f, canon) || !find_callee(&call, canon))
        return false;
    write_synchronous(&call);
    return !f->failed && fuse_finish(f, canon->type, &ret->unit, &ret->func);
}

static bool make_run(struct fuse *f, const struct canon_value *canon, struct plan_func *ret)
{
    struct call call;
    if (!open_call(&call, f, canon) || !find_callee(&call, canon))
        return false;
    wasm_valtype result = call.async_lift         ? core_result(&call)
                          : result_pointed(&call) ? 0
                          : call.result.tuple     ? call.result.types[0]
                                                  : 0;
    struct wasm_functype type = *canon->type;
    type.results = &result;
    type.result_count = result != 0;
    write_body(&call, false);
    return !f->failed && fuse_finish(f, &type, &ret->unit, &ret->func);
}

/* Its parameters are those of task.return, and the pointer. */
static bool make_ret(struct fuse *f, const struct canon_value *canon, struct plan_func *ret)
{
    struct call call;
    wasm_valtype params[TYPE_MAX_FLAT_PARAMS + 1], result = 0;
    struct wasm_functype type = {.params = params, .results = &result};
    if (!open_call(&call, f, canon))
        return false;
    const struct type *value = call.result.tuple;
    call.result.indirect = value && value->flat_count > TYPE_MAX_FLAT_PARAMS;
    call.result.count = 0;
    if (value && !call.result.indirect)
        set_flat_types(&call.result, value);
    for (uint32_t i = 0; i < call.result.count; i++)
        params[type.param_count++] = call.result.types[i];
    if (call.result.indirect)
        params[type.param_count++] = WASM_I32;
    call.pointer = type.param_count;
    if (result_pointed(&call))
        params[type.param_count++] = WASM_I32;
    else if (value)
        result = call.result.types[0];
    type.result_count = result != 0;
    f->param_count = type.param_count;
    write_ret(&call);
    return !f->failed && fuse_finish(f, &type, &ret->unit, &ret->func);
}

typedef bool make_fn(struct fuse *f, const struct canon_value *canon, struct plan_func *ret);

static bool make(struct planner *p, const struct canon_value *canon, struct str import, make_fn *made,
                 struct plan_func *ret)
{
    struct fuse f = {.p = p, .name = import, .exceptions = p->exceptions};
    buf_init(&f.code, COMPONENT_MAX_ADAPTER);
    bool done = made(&f, canon, ret);
    buf_free(&f.code);
    return done;
}

bool planner_fuse(struct planner *p, struct canon_value *canon, struct str import, uint32_t *ret_unit,
                  uint32_t *ret_func)
{
    struct plan_func func = {canon->unit, canon->func};
    make_fn *made = canon_is_lifted(canon) ? make_synchronous : fuse_make_async_host;
    if (func.unit == WASM_NO_INDEX && !make(p, canon, import, made, &func))
        return false;
    *ret_unit = canon->unit = func.unit;
    *ret_func = canon->func = func.func;
    return true;
}

/* The row of an asynchronous call. */
bool planner_call_row(struct planner *p, struct canon_value *canon, struct str import, struct host_import *row)
{
    const struct func_value *callee = canon->callee;
    const struct options *lift = &callee->canon->opts, *lower = &canon->canon->opts;
    const struct func_type *type = fuse_type_of(canon);
    bool pointer = type->result && (lower->async_ || type->result->flat_count > TYPE_MAX_FLAT_RESULTS);
    row->kind = HOST_CALL;
    row->name = import;
    row->flags = CANON_ASYNC_TYPE | (lower->async_ ? CANON_ASYNC : 0) | (lift->async_ ? CANON_ASYNC_LIFT : 0) |
                 (lift->callback != WASM_NO_INDEX ? CANON_CALLBACK : 0) |
                 (is_donut(canon->in, callee->in) ? CANON_DONUT : 0) | (pointer ? CANON_POINTER : 0);
    if (!planner_options(p, canon->in, lower, &row->options) || !planner_options(p, callee->in, lift, &row->peer) ||
        !planner_handle_table(p, callee->in, &row->peer_table) ||
        !planner_core_func(p, callee->in, lift->callback, &row->callback.unit, &row->callback.func) ||
        !planner_text(p, callee->in, callee->type->type.result, &row->signature))
        return false;
    return make(p, canon, import, make_run, &row->run) &&
           (!lift->async_ || make(p, canon, import, make_ret, &row->ret));
}
