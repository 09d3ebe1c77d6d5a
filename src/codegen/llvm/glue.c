/* What stands between guest code and the host: a thunk for each host import, and a routine for each helper
 * of the runtime. Both keep the guest convention, so that calls to them look like any other call.
 *
 * Before host code runs, the stack must have its reserve, and store->guest_fp says where backtraces begin. */
#include "codegen/llvm/emit.h"

#include "base/alloc.h"

static const char *const signatures[HELPER_COUNT] = {
#define HELPER(name, signature) signature,
#include "image/helpers.def"
#undef HELPER
};

/* A routine takes the helper's parameters without the context as words, and returns one if the helper returns
 * something but success. */
static LLVMTypeRef routine_type(struct gen *g, enum helper helper)
{
    LLVMTypeRef params[GUEST_PARAMS] = {g->ptr};
    unsigned count = (unsigned)strlen(signatures[helper]) - 2;
    for (unsigned i = 1; i < count; i++)
        params[i] = g->i64;
    return LLVMFunctionType(strchr("lr", signatures[helper][0]) ? g->i64 : g->none, params, count, false);
}

static LLVMValueRef routine_of(struct gen *g, enum helper helper, LLVMTypeRef type, enum symbol_form form)
{
    char name[48];
    symbol_name(name, (struct piece_symbol){CODE_ROUTINE, 0, helper}, form);
    LLVMValueRef routine = gen_function(g, name, type);
    if (form == SYMBOL_KEPT)
        promise_context(g, routine);
    return routine;
}

/* Routines keep the context, whoever calls them. */
LLVMValueRef emit_helper(struct gen *g, enum helper helper, unsigned count, LLVMValueRef *args)
{
    LLVMValueRef all[GUEST_PARAMS] = {g->rereads ? lend_context(g) : current_context(g)};
    for (unsigned i = 0; i < count; i++)
        all[1 + i] = widen(g, args[i]);
    LLVMTypeRef type = routine_type(g, helper);
    LLVMValueRef routine = routine_of(g, helper, type, g->rereads ? SYMBOL_KEPT : SYMBOL_PLAIN);
    bool throws = helper == HELPER_throw_exception || helper == HELPER_rethrow_exception;
    LLVMValueRef call =
        throws ? call_guest(g, type, routine, all, count + 1) : call_plain(g, type, routine, all, count + 1);
    if (g->rereads)
        context_returned(g, call);
    return call;
}

static LLVMValueRef store_field(struct gen *g, size_t offset)
{
    return at_offset(g, store_base(g), (int64_t)offset);
}

static LLVMValueRef stack_pointer(struct gen *g)
{
    LLVMMetadataRef name = LLVMMDStringInContext2(g->llvm, "rsp", 3);
    LLVMValueRef arg = LLVMMetadataAsValue(g->llvm, LLVMMDNodeInContext2(g->llvm, &name, 1));
    return call_intrinsic(g, "llvm.read_register", g->i64, &arg, 1);
}

/* Leave the guest: trap if the stack lacks room for the host, say where backtraces begin. */
static void leave(struct gen *g)
{
    LLVMValueRef limit = load(g, g->i64, store_field(g, offsetof(struct store, stack_limit)), 8, ACCESS_STORE);
    trap_if(g, LLVMBuildICmp(g->builder, LLVMIntULT, stack_pointer(g), limit, ""), TRAP_STACK_OVERFLOW);
    LLVMValueRef level = const_i32(g, 0);
    LLVMValueRef frame = call_intrinsic(g, "llvm.frameaddress", g->ptr, &level, 1);
    store(g, frame, store_field(g, offsetof(struct store, guest_fp)), 8, ACCESS_STORE);
    locate(g);
}

static LLVMTypeRef c_type(struct gen *g, char letter)
{
    return letter == 'v' ? g->none : letter == 'p' ? g->ptr : letter == 'l' || letter == 'r' ? g->i64 : g->i32;
}

/* The guest's integer `index` as the C parameter `letter`. */
static LLVMValueRef c_arg(struct gen *g, char letter, unsigned index)
{
    LLVMValueRef word = LLVMGetParam(g->function, 1 + index);
    if (letter == 'p')
        return LLVMBuildIntToPtr(g->builder, word, g->ptr, "");
    return letter == 'l' ? word : LLVMBuildTrunc(g->builder, word, g->i32, "");
}

static LLVMValueRef call_helper(struct gen *g, enum helper helper)
{
    const char *signature = signatures[helper], *params = signature + 2;
    unsigned count = (unsigned)strlen(params);
    LLVMTypeRef types[GUEST_PARAMS] = {g->ptr};
    LLVMValueRef args[GUEST_PARAMS] = {current_context(g)};
    for (unsigned i = 1; i < count; i++) {
        types[i] = c_type(g, params[i]);
        args[i] = c_arg(g, params[i], i - 1);
    }
    LLVMValueRef table = load_fixed(g, g->ptr, at_offset(g, args[0], offsetof(struct context, helpers)));
    LLVMValueRef code = load_fixed(g, g->ptr, at_offset(g, table, helper * 8));
    LLVMTypeRef type = LLVMFunctionType(c_type(g, *signature), types, count, false);
    return LLVMBuildCall2(g->builder, type, code, args, count, "");
}

static LLVMValueRef is_zero(struct gen *g, LLVMValueRef value)
{
    return LLVMBuildICmp(g->builder, LLVMIntEQ, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

bool gen_routine(struct gen *g, enum helper helper)
{
    g->offset = 0;
    g->kept = g->keeps_context;
    gen_define(g, routine_of(g, helper, routine_type(g, helper), g->kept ? SYMBOL_KEPT : SYMBOL_PLAIN));
    if (helper == HELPER_move || helper == HELPER_fill)
        gen_short(g, helper);
    leave(g);
    LLVMValueRef result = call_helper(g, helper);
    char kind = signatures[helper][0];
    if (helper == HELPER_throw_exception || helper == HELPER_rethrow_exception) {
        trap_now(g, TRAP_PENDING); /* does not return */
        return true;
    }
    if (kind == 't' || kind == 'r')
        trap_if(g, is_zero(g, result), TRAP_PENDING);
    if (kind == 'l' || kind == 'r')
        LLVMBuildRet(g->builder, result);
    else
        LLVMBuildRetVoid(g->builder);
    return true;
}

static LLVMValueRef cell_address(struct gen *g, LLVMValueRef cells, uint32_t index)
{
    return at_offset(g, cells, (int64_t)(index * sizeof(union cell)));
}

/* Call the import's host function with an array of cells: struct import_words, host_fn. */
static void call_host(struct gen *g, int64_t words_off, LLVMValueRef cells)
{
    LLVMValueRef words = at_offset(g, current_context(g), words_off);
    LLVMValueRef code = load_fixed(g, g->ptr, at_offset(g, words, offsetof(struct import_words, code)));
    LLVMValueRef args[] = {store_base(g),
                           load_fixed(g, g->ptr, at_offset(g, words, offsetof(struct import_words, context))), cells};
    LLVMTypeRef types[] = {g->ptr, g->ptr, g->ptr};
    LLVMTypeRef type = LLVMFunctionType(g->i8, types, 3, false);
    /* A C bool is the low eight bits of the result; the others are undefined. */
    LLVMValueRef done = LLVMBuildCall2(g->builder, type, code, args, 3, "");
    trap_if(g, is_zero(g, done), TRAP_PENDING);
}

static void make_thunk(struct gen *g, uint32_t func, LLVMValueRef *values)
{
    const struct wasm_functype *type = wasm_func_type(g->unit->module, func);
    g->kept = g->keeps_context;
    gen_define(g, gen_unit_function(g, CODE_THUNK, g->unit->index, func, g->kept ? SYMBOL_KEPT : SYMBOL_PLAIN));
    uint32_t count = type->param_count > type->result_count ? type->param_count : type->result_count;
    LLVMValueRef cells = LLVMBuildAlloca(g->builder, LLVMArrayType2(g->type[K_I64X2], count + !count), "");
    read_params(g, type, values);
    leave(g);
    for (uint32_t i = 0; i < type->param_count; i++)
        store(g, values[i], cell_address(g, cells, i), 8, ACCESS_STORE);
    call_host(g, g->unit->funcs[func].off, cells);
    for (uint32_t i = 0; i < type->result_count; i++)
        values[i] = load(g, type_of(g, type->results[i]), cell_address(g, cells, i), 8, ACCESS_STORE);
    return_values(g, type, values);
}

bool gen_thunk(struct gen *g, const struct unit *unit, uint32_t func)
{
    LLVMValueRef *values = mem_alloc(CONTEXT_SPILL + CONTEXT_INT_REGS + CONTEXT_VEC_REGS, sizeof *values);
    if (!values)
        return err_memory(g->err);
    g->offset = 0;
    g->unit = unit;
    make_thunk(g, func, values);
    mem_free(values);
    return true;
}
