/* Joins pieces into one position-independent blob.
 *
 * Order in the blob: the code of the pieces as they come, each sixteen-aligned with its type hash before it; library
 * routines that somebody asked for; then, from a new page, the constants, and the targets of indirect calls
 * (targets.h). Everything is in one blob, so that no call goes through a table and no relocation is left. Pieces are
 * not trusted (piece.h). */
#ifndef MAYFLY_CODEGEN_LINK_H
#define MAYFLY_CODEGEN_LINK_H

#include "codegen/piece.h"

struct link_piece {
    struct piece_symbol symbol; /* who it is */
    struct piece piece;
};

/* `ret_code` is initialized and empty; on failure it is still to be freed. */
bool link_pieces(const struct link_piece *pieces, size_t count, const struct unit *units, uint32_t unit_count,
                 struct code *ret_code, struct err *err);

#endif
