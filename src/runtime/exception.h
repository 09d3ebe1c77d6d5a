/* Exceptions: from a throw to the innermost handler, by the chain of frame pointers and the image's pads.
 *
 * Nothing is callee-saved in the guest convention, so a handler needs only its frame: the frame pointer, and
 * the stack pointer, which is a constant distance below it (image_func.frame_size).
 */
#ifndef MAYFLY_RUNTIME_EXCEPTION_H
#define MAYFLY_RUNTIME_EXCEPTION_H

#include "image/context.h"

/* What an exnref points at; guest code reads it. Lives until the instance ends. */
struct exception {
    uint64_t tag; /* address that identifies the tag */
    union cell values[];
};

/* An exception as the slot keeps it, so that the collector finds the references in it. */
struct thrown {
    struct thrown *next; /* thrown before it */
    uint64_t count;      /* of values */
    struct exception exception;
};

/* Throw from guest code: `return_address` is the helper's, in the throwing function, whose frame pointer is
 * store->guest_fp. Ends the activation as a trap (UNCAUGHT_EXCEPTION) when nobody catches it. */
void exception_throw(struct store *store, uint64_t tag, const union cell *values, uint32_t count,
                     uint64_t return_address) __attribute__((noreturn));
void exception_rethrow(struct store *store, uint64_t exception, uint64_t return_address) __attribute__((noreturn));

#endif
