/* Which pages of this process the kernel keeps content for: what Linux tells in /proc/self/pagemap.
 *
 * Of memory that may be megabytes wide and was hardly touched, a slot wants to clear what was touched and nothing else.
 * A page without a row's bits holds zeros when it is looked at; every other one counts, swapped out or not. (mincore
 * says of a swapped page that it is not there, so it will not do.)
 *
 * Invariants: what is asked about is this process, not the one that it was forked from; and while a caller acts on what
 * it was told, no other thread maps, drops or touches the same pages.
 */
#ifndef MAYFLY_RUNTIME_RESIDENT_H
#define MAYFLY_RUNTIME_RESIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESIDENT_PRESENT (UINT64_C(1) << 63)
#define RESIDENT_SWAPPED (UINT64_C(1) << 62)

/* From now on resident_read answers in this process, until resident_close. Before the sandbox; where the kernel does
 * not tell, everything goes without. */
void resident_open(void);
void resident_close(void);

/* A row for each of `count` pages of the system from `low` on. False: nobody knows. */
bool resident_read(uint64_t low, size_t count, uint64_t *ret_rows);

#endif
