/* Exceptions: from a throw to the innermost handler, by the chain of frame pointers and the image's pads.
 *
 * Nothing is callee-saved in the guest convention, so a handler needs only its frame: the frame pointer, and
 * the stack pointer, which is a constant distance below it (image_func.frame_size).
 */
#ifndef MAYFLY_RUNTIME_EXCEPTION_H
#define MAYFLY_RUNTIME_EXCEPTION_H

#include "runtime/slot.h"

/* What an exnref points at; guest code reads it. Lives as long as something may refer to it. */
struct exception {
    uint64_t tag; /* address that identifies the tag */
    union cell values[];
};

/* An exception as the slot keeps it, so that the collector finds the references in it. */
struct thrown {
    struct thrown *next; /* thrown before it; or the next spare one of its size */
    uint32_t count;      /* of values */
    uint16_t size_class; /* exception_class of the count that it has room for */
    uint16_t marked;     /* in a sweep: something may refer to it */
    struct exception exception;
};

/* Room for so many values, in steps: each class holds all smaller counts. */
static inline unsigned exception_class(uint32_t count)
{
    return count <= 4 ? count : 34 - (unsigned)__builtin_clz(count - 1);
}
static inline uint32_t exception_capacity(unsigned size_class)
{
    return size_class <= 4 ? size_class : 1u << (size_class - 2);
}

/* Make spare what nothing refers to any more: no word of the stacks of the store's tasks, of their spilled values, of
 * globals, tables, objects and of exceptions that stay is an address in it. In a task of the store. False: less than an
 * eighth became spare, there is too little memory to find out, or the guest must end. */
bool exceptions_sweep(struct slot *first);

/* Throw from guest code: `return_address` is the helper's, in the throwing function, whose frame pointer is
 * store->guest_fp. Ends the activation as a trap (UNCAUGHT_EXCEPTION) when nobody catches it. */
void exception_throw(struct store *store, uint64_t tag, const union cell *values, uint32_t count,
                     uint64_t return_address) __attribute__((noreturn));
void exception_rethrow(struct store *store, uint64_t exception, uint64_t return_address) __attribute__((noreturn));

#endif
