/* Fused adapters: a call from one component instance into another without a copy in between.
 *
 * For each pair of a lowered import and the lifted function that it means, the planner gets one more unit: a small
 * core module that is written here. It imports both memories, the reallocs, the post-return and the callee, and its
 * one function does what `canon lower` of `canon lift` means (CanonicalABI.md): it reads each value from where the
 * caller has it, checks it, and writes it to where the callee wants it. Because it is a unit like others, both code
 * generators, backtraces, traps and preemption know nothing of it.
 *
 * What is trusted and what is not: the adapter is made of types that the decoder validated, and every number that
 * comes from a guest at run time (pointers, lengths, discriminants, characters, handles, what realloc returns) is
 * checked in it before use, each read once. Strings, handles and the trap itself are functions of the host
 * (canon_fuse.c), which check on both sides again.
 *
 * `may_leave` is a word of the instance (IMPORT_WORD). `may_enter` needs none here: an instance can be reached again
 * only through its parent's core code or its child's, and such calls (donut wrapping) always trap, as the official
 * tests want it for now.
 */
#ifndef MAYFLY_COMPONENT_FUSE_H
#define MAYFLY_COMPONENT_FUSE_H

#include "base/buf.h"
#include "component/planner.h"

enum fuse_trap {
#define FUSE_TRAP(name, message) FUSE_##name,
#include "component/fuse_traps.def"
#undef FUSE_TRAP
    FUSE_TRAP_COUNT
};

/* One of the two instances of a call. */
struct fuse_side {
    struct instance *in;
    const struct options *opts;
    struct canon_options options;
    uint32_t table;     /* of handles */
    uint32_t memory;    /* in the adapter, or WASM_NO_INDEX */
    uint32_t page_log2; /* of that memory */
};

/* What the adapter imports. */
struct fuse_import {
    struct unit_import by;
    enum host_import_kind kind; /* of the host's: these three tell equal ones */
    const struct fuse_side *from;
    const struct concrete *resource;
    const struct type *value; /* of streams */
    const struct wasm_functype *type; /* functions */
    const struct wasm_memory *memory;
    bool is_64; /* tables */
};
struct fuse_imports {
    struct fuse_import *items;
    uint32_t count, capacity;
};

struct fuse_locals {
    struct fuse_local {
        uint8_t type;
        bool busy;
    } *items;
    uint32_t count, capacity;
};

struct fuse {
    struct planner *p;
    struct str name; /* of the core import that calls, for messages */
    struct buf code; /* of the one function, without its locals */
    struct instance *in; /* whose types are meant: the caller */
    struct fuse_imports funcs, tables, memories, globals;
    struct fuse_locals locals; /* behind the parameters */
    uint32_t param_count;
    bool failed;     /* the checker has the error */
    bool exceptions; /* some module of the file may throw */
};

/* Where a value lies: in locals, as flat values that may be joined with those of other cases, or in a memory. */
struct fuse_spot {
    const uint32_t *locals; /* NULL: in memory */
    const wasm_valtype *types;
    uint32_t next;         /* of locals */
    uint32_t base, offset; /* local with the address, and what is added */
};

/* The unit and function that a lowered function of another instance becomes; made on first use. */
bool planner_fuse(struct planner *p, struct canon_value *canon, struct str import, uint32_t *ret_unit,
                  uint32_t *ret_func);
/* fuse_host.c: an export that is a function of the host; `row` has its name, and gets the rest. */
bool planner_export_host(struct planner *p, const struct func_value *callee, struct plan_export *row);
/* The row of the host's function that calls an asynchronous function of another instance. */
bool planner_call_row(struct planner *p, struct canon_value *canon, struct str import, struct host_import *row);
/* The unit of `thread.new-indirect`, which takes the function from its table. */
bool planner_thread_unit(struct planner *p, struct canon_value *canon, struct str import);
/* A unit that exports the function of a row of host imports as its own. */
bool planner_unit_of_row(struct planner *p, const struct wasm_functype *type, uint32_t row, uint32_t *ret_unit,
                         uint32_t *ret_func);

/* fuse_code.c: writing code. Errors are kept in the struct: whoever is done asks fuse->failed. */
void fuse_op(struct fuse *f, uint8_t op);
void fuse_op_index(struct fuse *f, uint8_t op, uint32_t index);
void fuse_i32(struct fuse *f, uint32_t value);
void fuse_i64(struct fuse *f, uint64_t value);
void fuse_access(struct fuse *f, uint8_t op, uint32_t align_log2, uint32_t memory, uint32_t offset);
void fuse_copy(struct fuse *f, const struct fuse_side *to, const struct fuse_side *from);
uint32_t fuse_local(struct fuse *f, wasm_valtype type);
void fuse_local_free(struct fuse *f, uint32_t local);
/* Takes a condition from the stack. */
void fuse_trap_if(struct fuse *f, enum fuse_trap trap);
void fuse_trap(struct fuse *f, enum fuse_trap trap);
/* Traps unless `align` (a power of two) divides the address in the local. */
void fuse_check_align(struct fuse *f, uint32_t at, uint32_t align, enum fuse_trap trap);
/* Traps unless `size` bytes (an i64 local) at the address in the local lie in the side's memory. */
void fuse_check_range(struct fuse *f, const struct fuse_side *side, uint32_t at, uint32_t size, enum fuse_trap trap);
/* A call of guest code, around the code that pushes the arguments and calls: an exception that it throws traps. */
void fuse_guard(struct fuse *f, wasm_valtype result);
/* Ends it; the result, if there is one, goes to the local. */
void fuse_guard_end(struct fuse *f, wasm_valtype result, uint32_t local);
/* Room for `size` bytes (an i32 local) in the side's memory; `size_64` has the same number. Fills the local `at`. */
void fuse_allocate(struct fuse *f, const struct fuse_side *side, uint32_t align, uint32_t size, uint32_t size_64,
                   uint32_t at);
/* A thread that begins in the side's instance has zeros in its storage ("context.get"). */
void fuse_storage_clear(struct fuse *f, const struct fuse_side *side);
/* The side's instance may leave, or not. */
void fuse_leave(struct fuse *f, const struct fuse_side *side, bool may);

/* fuse_import.c: what the adapter imports; index in its index space. */
uint32_t fuse_func(struct fuse *f, uint32_t unit, uint32_t func);
uint32_t fuse_host(struct fuse *f, enum host_import_kind kind, const struct fuse_side *from, const struct fuse_side *to,
                   const struct concrete *resource, const struct type *value);
uint32_t fuse_memory(struct fuse *f, uint32_t unit, uint32_t memory);
uint32_t fuse_word(struct fuse *f, uint32_t table, uint32_t offset);
/* The finished module as a unit of the plan. */
bool fuse_finish(struct fuse *f, const struct wasm_functype *type, uint32_t *ret_unit, uint32_t *ret_func);

/* fuse_value.c: code that moves a value of this type. Spots advance in their locals. */
void fuse_value(struct fuse *f, const struct fuse_side *from, const struct fuse_side *to, const struct type *type,
                struct fuse_spot *source, struct fuse_spot *target);

#endif
