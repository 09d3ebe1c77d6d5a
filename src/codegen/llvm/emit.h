/* What the files of this generator share: the state of one LLVM module under construction, the operand and
 * control stacks of the function being translated, and the table from instruction to emitter.
 *
 * A function is translated in one pass over its validated body. Locals are allocas until the first pass over
 * the finished module turns them into values; operands are LLVM values; block results are phis. A v128 is
 * always a <2 x i64> on the operand stack and cast where it is used. References are i64.
 *
 * Nothing in here runs on a host that serves requests: only the compiler child links it.
 */
#ifndef MAYFLY_CODEGEN_LLVM_EMIT_H
#define MAYFLY_CODEGEN_LLVM_EMIT_H

#include "base/vec.h"
#include "codegen/survey.h"
#include "wasm/body.h"

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/TargetMachine.h>

/* KIND(name, lanes, element): what values emitters work on; lanes 0 is a scalar. */
#define KINDS(KIND)                                                                                                    \
    KIND(I8, 0, i8)                                                                                                    \
    KIND(I16, 0, i16)                                                                                                  \
    KIND(I32, 0, i32)                                                                                                  \
    KIND(I64, 0, i64)                                                                                                  \
    KIND(F32, 0, f32)                                                                                                  \
    KIND(F64, 0, f64)                                                                                                  \
    KIND(I8X16, 16, i8)                                                                                                \
    KIND(I16X8, 8, i16)                                                                                                \
    KIND(I32X4, 4, i32)                                                                                                \
    KIND(I64X2, 2, i64)                                                                                                \
    KIND(F32X4, 4, f32)                                                                                                \
    KIND(F64X2, 2, f64)                                                                                                \
    KIND(I8X8, 8, i8)                                                                                                  \
    KIND(I16X4, 4, i16)                                                                                                \
    KIND(I32X2, 2, i32)                                                                                                \
    KIND(F32X2, 2, f32)

enum kind {
#define KIND(name, lanes, element) K_##name,
    KINDS(KIND)
#undef KIND
        KIND_COUNT
};

/* What an access may alias with: one TBAA type each. */
enum access {
    ACCESS_MEMORY,
    ACCESS_GLOBAL,
    ACCESS_TABLE,
    ACCESS_SIZE,
    ACCESS_FIXED,
    ACCESS_STORE,
    ACCESS_HEADER,  /* an object's descriptor and length */
    ACCESS_FIELD,   /* of a structure */
    ACCESS_ELEMENT, /* of an array */
    ACCESS_HEAP,    /* struct heap_words */
    ACCESS_CONTEXT, /* the context's register */
    ACCESS_COUNT
};

/* A block, loop, if, try_table or the function itself. */
struct control {
    enum wasm_frame_kind kind;
    bool dead;                  /* in code that cannot be reached: nothing is emitted */
    bool used;                  /* something branches to `end` */
    struct wasm_functype type;
    uint32_t height;            /* operands below the parameters */
    uint32_t pool;              /* g->pool.count at its start */
    uint32_t phis;              /* in g->pool: phis of `target`, then for an if its parameters */
    LLVMBasicBlockRef target;   /* of branches: the loop's head, or `end` */
    LLVMBasicBlockRef end;
    LLVMBasicBlockRef otherwise; /* if: where a false condition goes, until its else */
    LLVMBasicBlockRef pad;      /* where calls inside unwind to: of the innermost try_table; or NULL */
    LLVMBasicBlockRef dispatch; /* tests the exception against that try_table's clauses */
    LLVMValueRef exception;     /* phi in `dispatch` */
};

/* A module holds one function. */
struct gen {
    LLVMContextRef llvm;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMDIBuilderRef debug;
    LLVMMetadataRef debug_file, debug_func_type, scope;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none;
    LLVMTypeRef type[KIND_COUNT];
    LLVMTypeRef results, proto;  /* of every guest function, as the machine sees it: "wide" */
    LLVMTypeRef landing;         /* {ptr, i32} */
    LLVMValueRef tbaa[ACCESS_COUNT], empty_node, rare_node, usual_node; /* the latter two: branch weights */
    unsigned md_tbaa, md_invariant, md_prof;
    LLVMAttributeRef attributes[10];
    unsigned attribute_count;

    const struct unit *units;
    uint32_t unit_count;
    bool *const *closed_tables; /* per unit and table: struct survey */
    bool *const *known_tables;
    const bool *keeps_context;  /* per unit: likewise; NULL: no function that LLVM makes does, see context.c */
    /* The function being translated. */
    const struct unit *unit;
    const struct wasm_functype *func_type;
    bool wide;                   /* it has the one prototype, because it makes tail calls */
    bool kept;                   /* it returns with its context in the register; and so ... */
    bool rereads;                /* ... do those that it calls in this unit: context.c */
    LLVMValueRef function;
    LLVMValueRef context;        /* as it was read last; `current_context` is what emitters want */
    LLVMBasicBlockRef context_block; /* where that was; NULL: it must be read again */
    LLVMBasicBlockRef entry;
    const struct wasm_body_state *state;
    wasm_valtype top; /* static type of the topmost operand before the instruction; WASM_BOT: not known */
    uint32_t offset;  /* of the instruction, for traps and backtraces */
    VEC(LLVMValueRef) locals;
    VEC(LLVMValueRef) stack;
    VEC(LLVMValueRef) pool;
    VEC(struct control) controls;
    bool unsound; /* LLVM found something in the module that it cannot compile */
    struct err *err;
};

struct row;
typedef bool emit_fn(struct gen *g, const struct wasm_op *op, const struct row *row);

/* How an instruction is translated; see emitters.def. */
struct row {
    emit_fn *emit;
    enum kind kind;
    int arg;
    const char *name;
};
/* row->arg of instructions that extend half a vector: which half, and how. */
enum { HALF_HIGH = 1, HALF_SIGNED = 2 };

extern const struct row emit_rows[OP_COUNT];

#define PRESERVE_NONE 21 /* llvm::CallingConv::PreserveNone */
#define GUEST_PARAMS (1 + CONTEXT_INT_REGS + CONTEXT_VEC_REGS)
#define GUEST_RESULTS (CONTEXT_RESULT_INT_REGS + CONTEXT_RESULT_VEC_REGS)

/* gen.c: a module under construction. */
bool gen_init(struct gen *g, const struct unit *units, uint32_t unit_count, struct err *err);
void gen_free(struct gen *g);
/* A function of the guest convention: declared hidden under `name`, found again if it exists. */
LLVMValueRef gen_function(struct gen *g, const char *name, LLVMTypeRef type);
/* The same for function `func` of unit `unit` (kind CODE_FUNC), or the thunk of import `func`. */
LLVMValueRef gen_unit_function(struct gen *g, enum code_func_kind kind, uint32_t unit, uint32_t func,
                               enum symbol_form form);
/* Make it the definition of this module: attributes, debug scope; the builder stands in a new entry block. */
void gen_define(struct gen *g, LLVMValueRef function);
LLVMValueRef gen_intrinsic(struct gen *g, const char *name, LLVMTypeRef overload, LLVMTypeRef *ret_type);
LLVMBasicBlockRef gen_block(struct gen *g);

/* function.c: a body. */
bool gen_body(struct gen *g, const struct unit *unit, const struct survey_func *func, struct wasm_body_scratch *scratch,
              struct err *err);

/* context.c: the context of the function at hand, and calls that bring it back. */
void keep_context(struct gen *g); /* at the definition of a function */
void promise_context(struct gen *g, LLVMValueRef function); /* of a declaration in the form SYMBOL_KEPT */
LLVMValueRef current_context(struct gen *g);
/* Make the function's own context an argument of a call that brings it back ... */
LLVMValueRef lend_context(struct gen *g);
/* ... and of the call made with it, tell so. */
void context_returned(struct gen *g, LLVMValueRef call);

/* init.c: what the template leaves to instantiation. */
bool gen_init_function(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct err *err);

/* glue.c: the thunk of a host import, and the routine that calls a helper. */
bool gen_thunk(struct gen *g, const struct unit *unit, uint32_t func);
bool gen_routine(struct gen *g, enum helper helper);
/* short.c: begin the routine of HELPER_move or HELPER_fill with what short blocks need. */
void gen_short(struct gen *g, enum helper helper);
/* Call helper `helper` with up to six integers (i32 or i64); gives its result as an i64. A failing helper
 * traps inside. */
LLVMValueRef emit_helper(struct gen *g, enum helper helper, unsigned count, LLVMValueRef *args);

/* object.c: optimize the module and turn it into a relocatable object, appended to `ret_object`. The module is
 * used up. */
/* Once per process, before there are threads. */
void object_prepare(void);
bool object_machine(LLVMTargetMachineRef *ret_machine, const struct codegen_options *options, struct err *err);
bool object_make(struct gen *g, LLVMTargetMachineRef machine, const struct codegen_options *options,
                 struct buf *ret_object, struct err *err);

/* values.c: operands and addresses. */
bool push(struct gen *g, LLVMValueRef value);
LLVMValueRef pop(struct gen *g);
LLVMValueRef pop_as(struct gen *g, enum kind kind);
LLVMTypeRef type_of(struct gen *g, wasm_valtype type);
LLVMValueRef as_type(struct gen *g, LLVMValueRef value, LLVMTypeRef type); /* a bit cast of equal size */
LLVMValueRef const_i32(struct gen *g, uint32_t value);
LLVMValueRef const_i64(struct gen *g, uint64_t value);
LLVMValueRef splat(struct gen *g, enum kind kind, LLVMValueRef scalar);
LLVMValueRef to_bool(struct gen *g, LLVMValueRef i32);
LLVMValueRef from_bool(struct gen *g, LLVMValueRef i1);
LLVMValueRef widen(struct gen *g, LLVMValueRef integer); /* zero extension to i64 */
LLVMValueRef at_offset(struct gen *g, LLVMValueRef pointer, int64_t offset);
LLVMValueRef place_address(struct gen *g, struct place place);
LLVMValueRef load(struct gen *g, LLVMTypeRef type, LLVMValueRef address, unsigned align, enum access access);
LLVMValueRef load_fixed(struct gen *g, LLVMTypeRef type, LLVMValueRef address); /* never changes */
void store(struct gen *g, LLVMValueRef value, LLVMValueRef address, unsigned align, enum access access);
LLVMValueRef store_base(struct gen *g);
LLVMValueRef code_base(struct gen *g, LLVMValueRef context);
LLVMValueRef call_intrinsic(struct gen *g, const char *name, LLVMTypeRef overload, LLVMValueRef *args, unsigned count);
LLVMValueRef opaque(struct gen *g, LLVMValueRef value); /* the same value, unknown to the optimizer */
/* All ones if `index` is below `bound` (i64 both), else 0, computed without a branch (Spectre v1). */
LLVMValueRef mask_below(struct gen *g, LLVMValueRef index, LLVMValueRef bound);
/* `index` if it is below `bound`, else 0, likewise. */
LLVMValueRef mask_index(struct gen *g, LLVMValueRef index, LLVMValueRef bound);
/* The lesser of `index` and `bound` (i64, but only their low halves count), likewise. */
LLVMValueRef least_index(struct gen *g, LLVMValueRef index, LLVMValueRef bound);

/* trap.c */
void locate(struct gen *g); /* what is built next belongs to the current instruction */
void trap_now(struct gen *g, enum trap trap);
void trap_if(struct gen *g, LLVMValueRef condition, enum trap trap);
void branch_rarely(struct gen *g, LLVMValueRef condition, LLVMBasicBlockRef rare, LLVMBasicBlockRef usual);

/* convention.c */
/* LLVM's type of a function of this Wasm type that is not wide. */
LLVMTypeRef guest_type(struct gen *g, const struct wasm_functype *type);
void read_params(struct gen *g, const struct wasm_functype *type, LLVMValueRef *ret_values);
/* Write what does not fit in registers, fill args[GUEST_PARAMS] but for the context; the number of arguments. */
unsigned pack_params(struct gen *g, const struct wasm_functype *type, bool wide, LLVMValueRef *values,
                     LLVMValueRef *ret_args);
void return_values(struct gen *g, const struct wasm_functype *type, LLVMValueRef *values);
/* Of a call that is not wide. */
void unpack_results(struct gen *g, const struct wasm_functype *type, LLVMValueRef result, LLVMValueRef *ret_values);
/* A call; the first form unwinds to the enclosing try_table. */
LLVMValueRef call_guest(struct gen *g, LLVMTypeRef type, LLVMValueRef code, LLVMValueRef *args, unsigned count);
LLVMValueRef call_plain(struct gen *g, LLVMTypeRef type, LLVMValueRef code, LLVMValueRef *args, unsigned count);

/* memory.c: where `size` bytes at the popped index and op->mem lie. */
LLVMValueRef memory_address(struct gen *g, const struct wasm_op *op, uint32_t size);
/* The address of `index` (i64), unchecked, and the current size in bytes. */
LLVMValueRef memory_element(struct gen *g, uint32_t memory, LLVMValueRef index, uint64_t offset);
LLVMValueRef memory_size(struct gen *g, uint32_t memory);
bool push_index(struct gen *g, LLVMValueRef value, bool wide);
void range_helper(struct gen *g, enum helper helper, uint32_t first, uint32_t second);

/* table.c: the index, checked against the table's length and masked. */
LLVMValueRef table_index(struct gen *g, uint32_t table, LLVMValueRef index, enum trap trap);
LLVMValueRef table_entry(struct gen *g, uint32_t table, LLVMValueRef index);

/* dispatch.c: at the end of optimization; whether there are switches with many targets. */
bool settle_dispatches(struct gen *g);

/* function.c */
bool emit_op(struct gen *g, const struct wasm_op *op);
bool note_top(struct gen *g, const struct wasm_body_state *state); /* after each instruction; true */
bool gen_reset(struct gen *g, struct err *err); /* for a new function */

/* call.c: the type hash of the function that a reference, not null, names. */
LLVMValueRef reference_hash(struct gen *g, LLVMValueRef reference);

/* heap.c: objects; references are never null here, or the access faults. */
LLVMValueRef heap_address(struct gen *g, LLVMValueRef reference);
LLVMValueRef heap_field(struct gen *g, LLVMValueRef reference, uint32_t offset);
LLVMValueRef heap_element(struct gen *g, LLVMValueRef reference, LLVMValueRef index, uint32_t size); /* not checked */
LLVMValueRef heap_type_of(struct gen *g, LLVMValueRef reference); /* its descriptor, i32 */
LLVMValueRef heap_length(struct gen *g, LLVMValueRef reference);  /* of an array, i32 */
/* Room for `size` bytes (i64, a multiple of HEAP_ALIGN); header and contents are to be stored before the next call. */
LLVMValueRef heap_allocate(struct gen *g, LLVMValueRef size);
const struct type_row *type_row(struct gen *g, uint32_t type);
LLVMValueRef type_value(struct gen *g, uint32_t type); /* the descriptor of a type, i32 */
/* Fields and elements: as an operand, as stored, and zero or null as stored. */
LLVMValueRef storage_load(struct gen *g, wasm_valtype storage, bool sign, LLVMValueRef address, enum access access);
void storage_store(struct gen *g, wasm_valtype storage, LLVMValueRef value, LLVMValueRef address, enum access access);
LLVMValueRef storage_value(struct gen *g, wasm_valtype storage, LLVMValueRef value);
LLVMValueRef storage_zero(struct gen *g, wasm_valtype storage);

/* control.c */
void branch_if(struct gen *g, const struct wasm_op *op, struct control *to, LLVMValueRef condition);
bool control_push(struct gen *g, enum wasm_frame_kind kind, const struct wasm_functype *type, uint32_t params);
bool control_push_dead(struct gen *g, enum wasm_frame_kind kind);
void branch_values(struct gen *g, struct control *to, LLVMValueRef *values);
struct control *control_at(struct gen *g, uint32_t depth);
uint32_t branch_arity(const struct control *control);
LLVMBasicBlockRef unwind_block(struct gen *g);

#define EMITTER(name) bool emit_##name(struct gen *g, const struct wasm_op *op, const struct row *row)
#define EMIT(opcode, emitter, kind, arg, name) EMITTER(emitter);
#include "codegen/llvm/emitters.def"
#undef EMIT

/* keep.c: loads from linear memory that trap although nobody needs their values. */
/* All loads keep their traps and their width, at a price in speed unless machine code is what is made next. */
void keep_all_loads(struct gen *g);
/* Between these two no pass deletes a load or moves it to where it is needed, unless another access stands for it. */
void keep_loads(struct gen *g);
void release_loads(struct gen *g);

#endif
