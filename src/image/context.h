/* What guest code sees of its store: one contiguous block of memory, laid out at compile time.
 *
 *     slot base = store          struct store            host-owned, never restored
 *       + ...                    struct context, one per core instance, aligned to CONTEXT_ALIGN,
 *                                with its import words behind it; written once when the slot is made
 *       + fixed_size   (page)    mutable part: memory sizes, globals, tables, segment flags, handle
 *                                tables; no absolute address in it, so a restore is a plain copy
 *       + ...          (page)    linear memories, each with its guard region
 *       + slot_size
 *
 * Guest functions get the address of their core instance's `struct context` in the context register.
 * Whatever belongs to the same store lies at a constant distance from it.
 *
 * A function reference is 64 bits and holds no absolute address either:
 *
 *     bits 0..31   code offset from the image base of the callee (never 0 for a function)
 *     bits 32..63  callee's context, in units of CONTEXT_ALIGN bytes from the store base
 *     0            null
 *
 * A table of function references holds {reference, type hash} per entry, other tables {reference, 0}.
 */
#ifndef MAYFLY_IMAGE_CONTEXT_H
#define MAYFLY_IMAGE_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

/* One value as it lies in a buffer: arguments, results, globals. Scalars use the low bytes; the
 * others are undefined. */
union cell {
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    float f32;
    double f64;
    uint8_t v128[16];
    uint64_t lanes[2];
};

/* Parameters beyond six integers and eight vectors, and results beyond two and two, travel in
 * store->spill, in order, one cell each; a function type has at most CONTEXT_SPILL of either. */
#define CONTEXT_SPILL 1000
#define CONTEXT_SHIFT 10 /* of contexts, and how far references count in: 32 bits reach 4 TiB of a store */
#define CONTEXT_ALIGN (1u << CONTEXT_SHIFT)
#define CONTEXT_INT_REGS 6
#define CONTEXT_VEC_REGS 8
#define CONTEXT_RESULT_INT_REGS 2
#define CONTEXT_RESULT_VEC_REGS 2

struct store {
    uint64_t stack_limit;  /* a host call below this stack pointer traps: STACK_OVERFLOW */
    uint64_t stack_low;    /* lowest address of the stack proper, its guard below */
    uint64_t stack_high;   /* one past its highest address */
    uint64_t guest_fp;     /* frame pointer of the guest at its last host call: where backtraces begin */
    uint32_t trap;         /* enum trap, for TRAP_PENDING */
    uint32_t interrupt;    /* enum trap that host code which runs long must raise: guest_goes_on of runtime/trap.h */
    void *task;            /* struct task of runtime/, the current activity of this store */
    void *host;            /* the host's object for the current activity (a request, a process) */
    void *program;         /* struct program of runtime/, what this slot is an instance of */
    char trap_message[120];
    union cell spill[CONTEXT_SPILL];
};

struct context {
    uint64_t code_base;               /* where the image is mapped */
    struct store *store;              /* the store base */
    const void *const *helpers;       /* table of helpers.def, in its order */
    uint64_t unit;                    /* unit number in the image */
    /* import words follow: see struct func_place and struct place in unit.h */
};

/* Import words of a function: what a call needs. FUNC_GUEST: code address and context; FUNC_HOST: the
 * host function and its environment. */
struct import_words {
    uint64_t code, context;
};

/* Words of another imported thing: address of the memory, table entries, global or tag; of a memory's size or a table's
 * length, which only those have; and its row in the owner's image. */
struct link_words {
    uint64_t address, size, row;
};

/* A host function as guest code calls it, with the C convention, on the guest's stack. `v` holds the
 * arguments, one cell each, and takes the results. Returns false to trap: store->trap is then set
 * (trap_raise in runtime/trap.h). It may suspend the task. */
typedef _Bool host_fn(struct store *store, const void *env, union cell *v);

/* A component instance's handle table lies in the mutable part: this many bytes of addresses, all zero when empty. Only
 * pages that are written become memory and are restored. component/handles.h gives it its shape. */
#define CONTEXT_HANDLE_TABLE_BYTES (1u << 20)

struct table_entry {
    uint64_t reference, type_hash;
};

#define FUNCREF_MAKE(code_off, context_off)                                                                            \
    ((uint64_t)(uint32_t)(code_off) | ((uint64_t)(context_off) / CONTEXT_ALIGN) << 32)
#define FUNCREF_CODE(ref) ((uint32_t)(ref))
#define FUNCREF_CONTEXT(ref) (((ref) >> 32) * CONTEXT_ALIGN)

enum trap {
#define TRAP(name, message) TRAP_##name,
#include "image/traps.def"
#undef TRAP
    TRAP_COUNT
};

enum helper {
#define HELPER(name, signature) HELPER_##name,
#include "image/helpers.def"
#undef HELPER
    HELPER_COUNT
};

_Static_assert(sizeof(struct context) == 32, "import words start at a constant");
_Static_assert(sizeof(union cell) == 16, "cells are sixteen bytes");

#endif
