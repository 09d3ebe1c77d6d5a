/* The line between modules and code generators: units in, position-independent code out.
 *
 * Every generator keeps the contract of docs/architecture.md ("Calling convention"), so that functions
 * of different generators call each other. Code offsets in the result are relative to its first byte;
 * the blob goes into the image unchanged: executable part first, read-only constants behind it
 * (page-aligned), all references between them resolved.
 */
#ifndef MAYFLY_CODEGEN_CODEGEN_H
#define MAYFLY_CODEGEN_CODEGEN_H

#include "base/buf.h"
#include "base/vec.h"
#include "image/part.h"
#include "image/unit.h"

/* A function in the blob: a defined function, the thunk of host import `func`, other (library routines), or the
 * late initializers of a unit (image/late.h), without parameters and results, for units that have some. The eight
 * bytes before code_off hold the type hash (0 for the last two kinds). Entry points are aligned to 16. */
enum code_func_kind { CODE_FUNC, CODE_THUNK, CODE_ROUTINE, CODE_INIT };
struct code_func {
    uint32_t code_off, code_size;
    uint32_t unit, func;
    enum code_func_kind kind;
    uint32_t frame_size; /* bytes between the stack pointer in the body and the saved frame pointer */
    uint32_t sites_first, sites_size; /* in code->site_bytes */
};

/* Code offsets from here to the next site belong to the Wasm instruction at wasm_off (0: unknown). */
struct code_site {
    uint32_t code_off, wasm_off;
};

/* A call at whose return address `return_off` an exception may be caught at `pad_off`. The pad expects
 * the frame pointer of its function, the stack pointer as at the call, and the exnref in rax. */
struct code_pad {
    uint32_t return_off, pad_off;
};

/* The text is one buffer, or several parts that their owner keeps until `close`. Sites are one array, or encoded per
 * function already (image/sites.h). */
struct code {
    struct buf text;      /* executable part, then constants */
    VEC(struct code_part) parts;
    uint64_t exec_size;   /* bytes of the executable part, a multiple of 4096 */
    VEC(struct code_func) funcs; /* sorted by code_off */
    VEC(struct code_site) sites; /* sorted by code_off */
    struct buf site_bytes;
    VEC(struct code_pad) pads;   /* sorted by return_off */
    void *owner; /* of the parts, or NULL */
    void (*close)(void *owner);
};

void code_init(struct code *code);
void code_free(struct code *code);
/* Encode the array of sites, if there is one. */
bool code_encode_sites(struct code *code, struct err *err);

/* Functions whose code was made, and those that came out of the old pack. */
struct codegen_counts {
    uint32_t made, kept;
};

/* Which generator makes the code. */
enum codegen_tier {
    TIER_BEST,  /* LLVM */
    TIER_FAST,  /* copy-and-patch */
    TIER_MIXED, /* both: LLVM for chosen functions, or by chance, to test what they promise each other */
};

/* A defined function. */
struct codegen_name {
    uint32_t unit, func;
};

/* How far it is: functions, and bytes of their bodies, which tell more about the time left. */
struct codegen_progress {
    uint32_t done, total;
    uint64_t bytes_done, bytes_total;
};

/* What does not change the result unless it says so. */
struct codegen_options {
    int opt_level;     /* 0..3; changes it */
    uint32_t mix_seed; /* not 0: some functions, chosen by it, are the fast generator's; changes it */
    /* Not NULL: LLVM makes these, and what the old pack has stays; the others are the fast generator's; changes it.
     * Names of no function count for nothing. */
    const struct codegen_name *chosen;
    uint32_t chosen_count;
    const char *dump; /* NULL, or a stage to print to stderr: "ir", "opt", "asm" */
    unsigned threads; /* at most so many; 0: one per processor that this process may use */
    struct str old_pack; /* functions of an earlier compile (pack.h), aligned to eight; may be empty */
    struct buf *ret_pack; /* where LLVM's functions of this one are appended as a pack, or NULL */
    struct codegen_counts *ret_counts; /* or NULL */
    void (*progress)(void *arg, const struct codegen_progress *progress); /* now and then; or NULL */
    void *progress_arg;
};

/* LLVM (codegen/llvm/): the optimizing generator; linked into the compiler child only. */
bool codegen_llvm(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err);

/* Copy-and-patch (codegen/fast/): a pass over the bytes, no optimization, no LLVM. */
bool codegen_fast(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err);

#endif
