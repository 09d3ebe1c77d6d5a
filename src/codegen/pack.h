/* Compiled functions kept from one compile of a module to the next, each under the key that survey.h makes.
 *
 *     struct pack_head, struct pack_row[count] sorted by key, pieces aligned to eight
 *
 * In a piece of a pack, functions are named by the order in which the body mentions them first (PIECE_REFERENCE), since
 * their numbers may be others in the next module. A pack that is damaged is one that lacks what is damaged. Whoever
 * wrote a pack decides what code a module gets that uses it: it is for modules of one origin only.
 */
#ifndef MAYFLY_CODEGEN_PACK_H
#define MAYFLY_CODEGEN_PACK_H

#include "codegen/survey.h"

#define PIECE_REFERENCE 0x100u

struct pack_row;

/* A view. Zeroed: empty. */
struct pack {
    const uint8_t *bytes;
    size_t size;
    const struct pack_row *rows;
    uint32_t count;
};

/* An empty one when the bytes (aligned to eight) are no pack. */
struct pack pack_open(const uint8_t *bytes, size_t size);
/* Append the function's piece, its symbols named as in this module; false when the pack lacks it, or without memory. */
bool pack_take(const struct pack *pack, const struct survey_func *func, struct buf *ret_piece);

/* Append a pack of all functions; `pieces[i]`: that of the survey's function i. One that refers to what its body does
 * not mention is left out. */
bool pack_write(const struct survey *survey, const struct buf *const *pieces, struct buf *ret_pack, struct err *err);

#endif
