/* Adapters in front of functions of the host: see fuse.h.
 *
 * The host's functions take and give what a synchronous `canon lower` passes. Two other ways to call one are made of
 * that here, each as a unit with one function:
 *
 * canon lower ... async: up to four flat parameters or a pointer to all of them, and where the result goes; the
 * function runs to its end, so the answer is always RETURNED.
 *
 * An export that is a function of the host: it has what `canon lift` has, so a pointer to the result is returned, not
 * taken. Values that pass through memory need one, and a realloc: those are the *shelf's*, a unit of its own.
 *
 * Values stay where they are: strings, lists and handles belong to one instance here, so their words are moved as they
 * are, and the host's function checks what it is given.
 */
#include "component/async.h"
#include "component/fuse_op.h"

/* ---- the host's function ---- */

/* As a synchronous lower has it: from the arena, because rows keep their types. */
static const struct wasm_functype *lowered_type(struct fuse *f, const struct func_type *func)
{
    struct checker *check = &f->p->check;
    struct wasm_functype *type = ARENA_NEW(check->arena, struct wasm_functype);
    struct flat_func *flat = ARENA_NEW(check->arena, struct flat_func);
    if (!type || !flat) {
        checker_memory(check);
        return NULL;
    }
    type_flatten_func(func, true, flat);
    *type = (struct wasm_functype){flat->param_count, flat->result_count, flat->params, flat->results};
    return type;
}

/* Its row, for an instance with these options and handles; the index of the function in the adapter. */
static bool import_host(struct fuse *f, const struct func_value *callee, const struct canon_options *options,
                        uint32_t handle_table, const struct wasm_functype *type, uint32_t *ret_index)
{
    struct host_import row = plan_no_row;
    row.kind = HOST_LOWERED;
    row.interface = callee->interface;
    row.name = callee->name;
    row.type = type;
    row.options = *options;
    row.handle_table = handle_table;
    if (!planner_signature(f->p, callee->in, callee->type, &row.signature))
        return false;
    *ret_index = fuse_row(f, &row);
    return !f->failed;
}

static void push(struct fuse *f, const uint32_t *locals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        fuse_op_index(f, OP_LOCAL_GET, locals[i]);
}

/* ---- canon lower ... async ---- */

/* Pushes what the host's function takes before the pointer to its result. */
static void push_params(struct fuse *f, const struct fuse_side *side, const struct type *tuple,
                        const struct wasm_functype *type)
{
    static const uint32_t own[] = {0, 1, 2, 3};
    uint32_t locals[TYPE_MAX_FLAT_PARAMS];
    struct fuse_spot source = {.base = 0}, target = {.locals = locals, .types = type->params};
    if (!tuple)
        return;
    if (tuple->flat_count <= ASYNC_MAX_FLAT_PARAMS) {
        push(f, own, tuple->flat_count);
        return;
    }
    if (tuple->flat_count > TYPE_MAX_FLAT_PARAMS) {
        push(f, own, 1);
        return;
    }
    fuse_check_pointer(f, side, tuple, 0);
    for (uint32_t i = 0; i < tuple->flat_count; i++)
        locals[i] = fuse_local(f, type->params[i]);
    fuse_value(f, side, side, tuple, &source, &target);
    push(f, locals, tuple->flat_count);
}

/* The flat result on the stack goes to the pointer. */
static void store_result(struct fuse *f, const struct fuse_side *side, const struct type *result,
                         const struct wasm_functype *type, uint32_t pointer)
{
    uint32_t flat = fuse_local(f, type->results[0]);
    struct fuse_spot source = {.locals = &flat, .types = type->results}, target = {.base = pointer};
    fuse_op_index(f, OP_LOCAL_SET, flat);
    fuse_check_pointer(f, side, result, pointer);
    fuse_value(f, side, side, result, &source, &target);
}

bool fuse_make_async_host(struct fuse *f, const struct canon_value *canon, struct plan_func *ret)
{
    const struct func_type *func = fuse_type_of(canon);
    struct fuse_side side;
    const struct type *tuple;
    const struct wasm_functype *type = lowered_type(f, func);
    uint32_t index, pointer = canon->type->param_count - 1;
    f->param_count = canon->type->param_count;
    f->in = canon->in;
    if (!type || !fuse_set_side(f, canon->in, &canon->canon->opts, &side) || !fuse_tuple(f, func, &tuple) ||
        !import_host(f, canon->callee, &side.options, side.table, type, &index))
        return false;
    push_params(f, &side, tuple, type);
    if (func->result && func->result->flat_count > TYPE_MAX_FLAT_RESULTS)
        push(f, &pointer, 1);
    fuse_op_index(f, OP_CALL, index);
    if (type->result_count)
        store_result(f, &side, func->result, type, pointer);
    fuse_i32(f, SUBTASK_RETURNED);
    fuse_op(f, OP_END);
    return !f->failed && fuse_finish(f, canon->type, &ret->unit, &ret->func);
}

/* ---- exports ---- */

/* A memory for what a call passes, from its beginning for each call: `realloc` takes the next place, `clear` makes all
 * of them free. What they held is there until the next call. Less than 4 GiB, so that no address wraps.
 *
 *     (memory 1 65535)   (global $top (mut i32) (i32.const 8))
 */
enum { SHELF_REALLOC, SHELF_CLEAR };
static const uint8_t shelf[] = {
    0, 'a', 's', 'm', 1, 0, 0, 0,
    /* types, functions, the memory, the global, code */
    1, 12, 2, WASM_COMP_FUNC, 4, WASM_I32, WASM_I32, WASM_I32, WASM_I32, 1, WASM_I32, WASM_COMP_FUNC, 0, 0, 3, 3, 2, 0,
    1, 5, 6, 1, 1, 1, 0xff, 0xff, 3, 6, 6, 1, WASM_I32, 1, OP_I32_CONST, 8, OP_END, 10, 101, 2,
    /* realloc (old, old size, align, size) */
    92, 2, 1, WASM_I32, 1, WASM_I64,
    /* if size <= old size: old */
    OP_LOCAL_GET, 3, OP_LOCAL_GET, 1, OP_I32_LE_U, OP_IF, BLOCK_EMPTY, OP_LOCAL_GET, 0, OP_RETURN, OP_END,
    /* at = top + align - 1 & 0 - align */
    OP_GLOBAL_GET, 0, OP_LOCAL_GET, 2, OP_I32_ADD, OP_I32_CONST, 1, OP_I32_SUB, OP_I32_CONST, 0, OP_LOCAL_GET, 2,
    OP_I32_SUB, OP_I32_AND, OP_LOCAL_SET, 4,
    /* end = at + size, in 64 bits */
    OP_LOCAL_GET, 4, OP_I64_EXTEND_U, OP_LOCAL_GET, 3, OP_I64_EXTEND_U, OP_I64_ADD, OP_LOCAL_SET, 5,
    /* if end > memory.size << 16 and memory.grow((end >> 16) + 1 - memory.size) == -1: unreachable */
    OP_LOCAL_GET, 5, OP_MEMORY_SIZE, 0, OP_I64_EXTEND_U, OP_I64_CONST, 16, OP_I64_SHL, OP_I64_GT_U, OP_IF, BLOCK_EMPTY,
    OP_LOCAL_GET, 5, OP_I64_CONST, 16, OP_I64_SHR_U, OP_I32_WRAP, OP_I32_CONST, 1, OP_I32_ADD, OP_MEMORY_SIZE, 0,
    OP_I32_SUB, OP_MEMORY_GROW, 0, OP_I32_CONST, 0x7f, OP_I32_EQ, OP_IF, BLOCK_EMPTY, OP_UNREACHABLE, OP_END, OP_END,
    /* top = end; memory.copy(at, old, old size); at */
    OP_LOCAL_GET, 5, OP_I32_WRAP, OP_GLOBAL_SET, 0, OP_LOCAL_GET, 4, OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_PREFIX_FC, 10,
    0, 0, OP_LOCAL_GET, 4, OP_END,
    /* clear (): top = 8 */
    6, 0, OP_I32_CONST, 8, OP_GLOBAL_SET, 0, OP_END};

static bool make_shelf(struct planner *p, uint32_t *ret_unit)
{
    struct wasm_module *module;
    if (p->shelf.unit != WASM_NO_INDEX) {
        *ret_unit = p->shelf.unit;
        return true;
    }
    if (!wasm_load(shelf, sizeof shelf, p->check.arena, &module, p->check.err))
        return false;
    struct unit *unit = LIST_PUSH(&p->check, &p->units, INSTANCES);
    if (!unit)
        return false;
    *unit = (struct unit){.module = module, .index = p->units.count - 1};
    p->shelf.unit = *ret_unit = unit->index;
    p->shelf.handle_table = p->handle_tables++;
    return true;
}

/* A place on the shelf for the result; the local that has its address. */
static uint32_t place_result(struct fuse *f, uint32_t unit, const struct type *result)
{
    uint32_t at = fuse_local(f, WASM_I32);
    const uint32_t arguments[] = {0, 0, result->align, result->size};
    for (int i = 0; i < 4; i++)
        fuse_i32(f, arguments[i]);
    fuse_op_index(f, OP_CALL, fuse_func(f, unit, SHELF_REALLOC));
    fuse_op_index(f, OP_LOCAL_SET, at);
    return at;
}

static bool make_export(struct fuse *f, const struct func_value *callee, struct plan_export *row)
{
    static const uint32_t own[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const struct func_type *func = &callee->type->type;
    const struct wasm_functype *lowered = lowered_type(f, func);
    struct flat_func flat;
    uint32_t index, at = 0;
    type_flatten_func(func, false, &flat);
    const struct wasm_functype type = {flat.param_count, flat.result_count, flat.params, flat.results};
    f->param_count = flat.param_count;
    if (!lowered || !import_host(f, callee, &row->options, row->handle_table, lowered, &index))
        return false;
    if (flat.result_indirect)
        at = place_result(f, row->options.memory_unit, func->result);
    push(f, own, flat.param_count);
    if (flat.result_indirect)
        push(f, &at, 1);
    fuse_op_index(f, OP_CALL, index);
    if (flat.result_indirect)
        push(f, &at, 1);
    fuse_op_index(f, OP_CALL, fuse_func(f, row->options.memory_unit, SHELF_CLEAR));
    fuse_op(f, OP_END);
    return !f->failed && fuse_finish(f, &type, &row->unit, &row->func);
}

bool planner_export_host(struct planner *p, const struct func_value *callee, struct plan_export *row)
{
    struct fuse f = {.p = p, .name = row->name, .in = callee->in};
    uint32_t unit;
    if (!make_shelf(p, &unit) || !planner_signature(p, callee->in, callee->type, &row->signature))
        return false;
    row->flags = callee->type->type.async_ ? CANON_ASYNC_TYPE : 0;
    row->options = plan_no_row.options;
    row->options.memory_unit = row->options.realloc_unit = unit;
    row->options.memory = 0;
    row->options.realloc = SHELF_REALLOC;
    row->handle_table = p->shelf.handle_table;
    buf_init(&f.code, 1024);
    bool done = make_export(&f, callee, row);
    buf_free(&f.code);
    return done;
}
