/* Calls: direct, to other units, to imports, through tables and references; and their tail forms. */
#include "codegen/llvm/emit.h"

#include "base/alloc.h"
#include "codegen/targets.h"

struct callee {
    LLVMValueRef code, context;
    bool keeps; /* `context` is lent: the callee has this function's, and brings it back */
};

/* Whom index `func` of this unit's function space denotes. */
static struct callee callee_of(struct gen *g, uint32_t func, enum symbol_form form)
{
    const struct func_place *place = &g->unit->funcs[func];
    bool keeps = form == SYMBOL_KEPT;
    LLVMValueRef own = keeps ? lend_context(g) : current_context(g);
    if (place->link == FUNC_DEFINED)
        return (struct callee){gen_unit_function(g, CODE_FUNC, place->unit, place->func, form), own, keeps};
    if (place->link == FUNC_HOST)
        return (struct callee){gen_unit_function(g, CODE_THUNK, g->unit->index, func, form), own, keeps};
    own = current_context(g);
    if (place->link == FUNC_DIRECT)
        return (struct callee){gen_unit_function(g, CODE_FUNC, place->unit, place->func, keeps ? SYMBOL_PLAIN : form),
                               at_offset(g, own, place->context_delta), false};
    LLVMValueRef words = at_offset(g, own, place->off);
    return (struct callee){
        load_fixed(g, g->ptr, at_offset(g, words, offsetof(struct import_words, code))),
        load_fixed(g, g->ptr, at_offset(g, words, offsetof(struct import_words, context))),
        false,
    };
}

static enum symbol_form form_to_call(const struct gen *g)
{
    return g->rereads ? SYMBOL_KEPT : SYMBOL_PLAIN;
}

/* A reference names code and context relative to their bases: see image/context.h. */
static struct callee callee_of_reference(struct gen *g, LLVMValueRef reference)
{
    LLVMValueRef units = LLVMBuildLShr(g->builder, reference, const_i64(g, 32), "");
    LLVMValueRef offset = LLVMBuildShl(g->builder, units, const_i64(g, CONTEXT_SHIFT), "");
    LLVMValueRef context = LLVMBuildGEP2(g->builder, g->i8, store_base(g), &offset, 1, "");
    LLVMValueRef low = LLVMBuildTrunc(g->builder, reference, g->i32, "");
    LLVMValueRef code = LLVMBuildAdd(g->builder, code_base(g, context), widen(g, low), "");
    return (struct callee){LLVMBuildIntToPtr(g->builder, code, g->ptr, ""), context, false};
}

/* Of a reference to a function of this unit. */
static struct callee callee_here(struct gen *g, LLVMValueRef reference)
{
    LLVMValueRef low = LLVMBuildTrunc(g->builder, reference, g->i32, ""), own = current_context(g);
    LLVMValueRef code = LLVMBuildAdd(g->builder, code_base(g, own), widen(g, low), "");
    LLVMValueRef context = g->rereads ? lend_context(g) : own;
    return (struct callee){LLVMBuildIntToPtr(g->builder, code, g->ptr, ""), context, g->rereads};
}

LLVMValueRef reference_hash(struct gen *g, LLVMValueRef reference)
{
    return load(g, g->i64, at_offset(g, callee_of_reference(g, reference).code, -8), 8, ACCESS_FIXED);
}

static bool push_results(struct gen *g, const struct wasm_functype *type, LLVMValueRef result)
{
    LLVMValueRef *values = mem_alloc(type->result_count + 1, sizeof *values);
    if (!values)
        return err_memory(g->err);
    unpack_results(g, type, result, values);
    bool pushed = true;
    for (uint32_t i = 0; i < type->result_count && pushed; i++)
        pushed = push(g, values[i]);
    mem_free(values);
    return pushed;
}

static unsigned pop_params(struct gen *g, const struct wasm_functype *type, bool wide, LLVMValueRef context,
                           LLVMValueRef *ret_args)
{
    g->stack.count -= type->param_count;
    unsigned count = pack_params(g, type, wide, g->stack.items + g->stack.count, ret_args);
    ret_args[0] = context;
    return count;
}

static bool call(struct gen *g, struct callee callee, const struct wasm_functype *type)
{
    LLVMValueRef args[GUEST_PARAMS];
    unsigned count = pop_params(g, type, false, callee.context, args);
    LLVMValueRef result = call_guest(g, guest_type(g, type), callee.code, args, count);
    if (callee.keeps)
        context_returned(g, result);
    return push_results(g, type, result);
}

/* Every wide prototype is the same, so that any function may follow any other in its frame. */
static bool tail_call(struct gen *g, struct callee callee, const struct wasm_functype *type)
{
    LLVMValueRef args[GUEST_PARAMS];
    pop_params(g, type, true, callee.context, args);
    LLVMValueRef result = call_plain(g, g->proto, callee.code, args, GUEST_PARAMS);
    LLVMSetTailCallKind(result, LLVMTailCallKindMustTail);
    LLVMBuildRet(g->builder, result);
    return true;
}

EMITTER(call)
{
    return call(g, callee_of(g, op->a, form_to_call(g)), wasm_func_type(g->unit->module, op->a));
}

EMITTER(return_call)
{
    return tail_call(g, callee_of(g, op->a, SYMBOL_WIDE), wasm_func_type(g->unit->module, op->a));
}

#define SUBTYPES_MAX 8 /* compared in place; the runtime knows the rest */

/* Is this the hash of a type of this module below `type`? Branches to `match` when it is. */
static void try_subtypes(struct gen *g, LLVMValueRef hash, uint32_t type, LLVMBasicBlockRef match)
{
    const struct wasm_module *module = g->unit->module;
    wasm_valtype super = WASM_REF | type;
    unsigned tried = 0;
    for (uint32_t i = 0; i < module->type_count && tried < SUBTYPES_MAX; i++) {
        if (module->types[i].hash == module->types[type].hash || !wasm_subtype(module, WASM_REF | i, super))
            continue;
        LLVMBasicBlockRef next = gen_block(g);
        LLVMValueRef same = LLVMBuildICmp(g->builder, LLVMIntEQ, hash, const_i64(g, module->types[i].hash), "");
        LLVMBuildCondBr(g->builder, same, match, next);
        LLVMPositionBuilderAtEnd(g->builder, next);
        tried++;
    }
}

/* The entry's type is not `type`, which has none below it. */
static void trap_mismatch(struct gen *g, LLVMValueRef reference)
{
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntEQ, reference, const_i64(g, 0), ""), TRAP_UNINITIALIZED_ELEMENT);
    trap_now(g, TRAP_INDIRECT_TYPE);
}

/* The entry's type is not `type` itself: continue at `match` if it lies below, else trap. */
static void search_subtypes(struct gen *g, LLVMValueRef hash, uint32_t table, LLVMValueRef index, uint32_t type,
                            LLVMBasicBlockRef match)
{
    try_subtypes(g, hash, type, match);
    LLVMValueRef args[] = {const_i32(g, table), index, const_i64(g, g->unit->module->types[type].hash)};
    emit_helper(g, HELPER_indirect_slow, 3, args);
    LLVMBuildBr(g->builder, match);
}

/* The entry's reference, once its type is right. */
static LLVMValueRef checked_entry(struct gen *g, uint32_t table, uint32_t type)
{
    LLVMValueRef index = table_index(g, table, pop(g), TRAP_UNDEFINED_ELEMENT);
    LLVMValueRef entry = table_entry(g, table, index);
    LLVMValueRef reference = load(g, g->i64, entry, 8, ACCESS_TABLE);
    LLVMValueRef hash = load(g, g->i64, at_offset(g, entry, offsetof(struct table_entry, type_hash)), 8, ACCESS_TABLE);
    LLVMBasicBlockRef slow = gen_block(g), match = gen_block(g);
    LLVMValueRef expected = const_i64(g, g->unit->module->types[type].hash);
    branch_rarely(g, LLVMBuildICmp(g->builder, LLVMIntNE, hash, expected, ""), slow, match);
    LLVMPositionBuilderAtEnd(g->builder, slow);
    if (g->unit->module->types[type].final)
        trap_mismatch(g, reference);
    else
        search_subtypes(g, hash, table, index, type, match);
    LLVMPositionBuilderAtEnd(g->builder, match);
    return reference;
}

/* Through a table that is known, in a call that comes back: a trap is then a call as well (targets.h). */
static struct callee pop_known(struct gen *g, const struct wasm_op *op)
{
    char name[48];
    symbol_name(name, targets_symbol(g->unit, op->b, op->a), SYMBOL_PLAIN);
    uint64_t length = g->unit->module->tables[op->b].limits.min;
    LLVMValueRef targets = LLVMGetNamedGlobal(g->module, name);
    if (!targets) {
        targets = LLVMAddGlobal(g->module, LLVMArrayType2(g->i32, length + 1), name);
        LLVMSetVisibility(targets, LLVMHiddenVisibility);
        LLVMSetGlobalConstant(targets, true);
    }
    LLVMValueRef index = least_index(g, widen(g, pop(g)), const_i64(g, length));
    LLVMValueRef word = LLVMBuildGEP2(g->builder, g->i32, targets, &index, 1, "");
    LLVMValueRef distance = LLVMBuildSExt(g->builder, load(g, g->i32, word, 4, ACCESS_FIXED), g->i64, "");
    LLVMValueRef code = LLVMBuildGEP2(g->builder, g->i8, targets, &distance, 1, "");
    return (struct callee){code, g->rereads ? lend_context(g) : current_context(g), g->rereads};
}

static struct callee pop_indirect(struct gen *g, const struct wasm_op *op)
{
    LLVMValueRef reference = checked_entry(g, op->b, op->a);
    bool here = g->closed_tables[g->unit->index][op->b];
    return here ? callee_here(g, reference) : callee_of_reference(g, reference);
}

EMITTER(call_indirect)
{
    bool known = g->known_tables[g->unit->index][op->b];
    return call(g, known ? pop_known(g, op) : pop_indirect(g, op), &g->unit->module->types[op->a].func);
}

EMITTER(return_call_indirect)
{
    return tail_call(g, pop_indirect(g, op), &g->unit->module->types[op->a].func);
}

static struct callee pop_reference(struct gen *g)
{
    LLVMValueRef reference = pop(g);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntEQ, reference, const_i64(g, 0), ""), TRAP_NULL_FUNCTION);
    return callee_of_reference(g, reference);
}

EMITTER(call_ref)
{
    return call(g, pop_reference(g), &g->unit->module->types[op->a].func);
}

EMITTER(return_call_ref)
{
    return tail_call(g, pop_reference(g), &g->unit->module->types[op->a].func);
}

/* (code - image base) | context number << 32, for code of this image. */
static LLVMValueRef reference_here(struct gen *g, LLVMValueRef function, uint64_t context_off)
{
    LLVMValueRef address = LLVMBuildPtrToInt(g->builder, function, g->i64, "");
    LLVMValueRef offset = LLVMBuildSub(g->builder, address, code_base(g, current_context(g)), "");
    return LLVMBuildOr(g->builder, offset, const_i64(g, context_off / CONTEXT_ALIGN << 32), "");
}

/* The same for a function whose image or slot is known only at run time. */
static LLVMValueRef reference_there(struct gen *g, struct callee callee)
{
    LLVMValueRef code = LLVMBuildPtrToInt(g->builder, callee.code, g->i64, "");
    LLVMValueRef context = LLVMBuildPtrToInt(g->builder, callee.context, g->i64, "");
    LLVMValueRef base = LLVMBuildPtrToInt(g->builder, store_base(g), g->i64, "");
    LLVMValueRef offset = LLVMBuildSub(g->builder, code, code_base(g, callee.context), "");
    LLVMValueRef distance = LLVMBuildSub(g->builder, context, base, "");
    LLVMValueRef high = LLVMBuildShl(g->builder, distance, const_i64(g, 32 - CONTEXT_SHIFT), "");
    return LLVMBuildOr(g->builder, offset, high, "");
}

EMITTER(ref_func)
{
    const struct func_place *place = &g->unit->funcs[op->a];
    if (place->link == FUNC_GUEST || g->unit->joinable)
        return push(g, reference_there(g, callee_of(g, op->a, SYMBOL_PLAIN)));
    if (place->link == FUNC_HOST)
        return push(g, reference_here(g, gen_unit_function(g, CODE_THUNK, g->unit->index, op->a, SYMBOL_PLAIN),
                                      g->unit->context));
    LLVMValueRef function = gen_unit_function(g, CODE_FUNC, place->unit, place->func, SYMBOL_PLAIN);
    return push(g, reference_here(g, function, g->units[place->unit].context));
}
