/* Functions of the fast generator among LLVM's (TIER_MIXED).
 *
 * A file of its own, because both generators have a `struct gen`. */
#ifndef MAYFLY_CODEGEN_LLVM_MIXED_H
#define MAYFLY_CODEGEN_LLVM_MIXED_H

#include "codegen/piece.h"
#include "wasm/body.h"

struct mixed;

/* Whether the fast generator makes the function; never without a seed. */
bool mixed_chooses(uint32_t seed, const struct piece_symbol *symbol);

/* The fast generator's state; one per thread. NULL: no memory. */
struct mixed *mixed_open(const struct unit *units, uint32_t count, struct err *err);
void mixed_close(struct mixed *mixed);

/* Append the function's piece. */
bool mixed_make(struct mixed *mixed, const struct piece_symbol *symbol, struct wasm_body_scratch *scratch,
                struct buf *ret_piece, struct err *err);

#endif
