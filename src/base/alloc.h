/* The one place where memory comes from.
 *
 * Release builds forward to the C library. Builds with MAYFLY_ALLOC_CHECK put a canary behind
 * every block and can fail the Nth call, which the fault tests use to show that every allocation
 * may fail. Nothing here aborts; NULL is an answer that every caller handles.
 */
#ifndef MAYFLY_BASE_ALLOC_H
#define MAYFLY_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory of `count * size` bytes, or NULL (also on overflow of the product). */
void *mem_alloc(size_t count, size_t size);
/* As realloc, with the product checked; new bytes are not zeroed; NULL leaves the old block. */
void *mem_resize(void *block, size_t count, size_t size);
void mem_free(void *block);

/* Tests: the Nth allocation from now on (1 is the next) fails, with all behind it or alone; 0 turns it off. */
void mem_fail_at(uint64_t nth);
void mem_fail_once(uint64_t nth);
/* Allocations made by this process so far, and how many of their blocks are not freed. */
uint64_t mem_count(void);
uint64_t mem_live(void);
/* Bytes that were in use at once at the most since the last call; 0 where there are no canaries. */
uint64_t mem_peak(void);

#endif
