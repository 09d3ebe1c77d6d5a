/* Where an indirect call may go, as a table in the image: for a table of functions that nothing changes, and a type of
 * calls, one word per entry, the distance from the table to the code to call. Entries that such a call must not reach
 * lead to routines that trap, and so does a last one more, for all indices beyond the table. A call then needs neither
 * a comparison of types nor a branch that the processor could run ahead of.
 *
 * Code refers to it by a symbol like to a function; the linker makes those that are referred to (link.c).
 */
#ifndef MAYFLY_CODEGEN_TARGETS_H
#define MAYFLY_CODEGEN_TARGETS_H

#include "codegen/piece.h"

#define TARGETS_TYPE_BITS 20u

/* What an entry is to a call of a type, when it is not the number of a function. */
enum { TARGET_NULL = -1, TARGET_MISMATCH = -2 };

/* Are the entries of table `table` (of a unit) known and few enough, if nothing changes them? */
bool targets_known(const struct unit *unit, uint32_t table);
/* The symbol of the targets of calls of type `type` (or one that is the same) through table `table`, which is known. */
struct piece_symbol targets_symbol(const struct unit *unit, uint32_t table, uint32_t type);
/* False when it is the symbol of no known table. Types and tables are the unit's. */
bool targets_of_symbol(const struct unit *unit, const struct piece_symbol *symbol, uint32_t *ret_table,
                       uint32_t *ret_type);
/* For each of the table's entries at instantiation: a function of the unit that may be called as `type`, or one of the
 * above. */
void targets_list(const struct unit *unit, uint32_t table, uint32_t type, int64_t *ret_targets);

#endif
