/* See exception.h. */
#include "runtime/exception.h"

#include "runtime/backtrace.h"
#include "runtime/task.h"

#include <string.h>

/* The pad for a call that returns to `code_off`, or 0. */
static uint32_t find_pad(const struct image *image, uint32_t code_off)
{
    const struct image_pad *pads = image_pads(image);
    uint64_t low = 0, high = image_pads_count(image);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (pads[middle].return_off < code_off)
            low = middle + 1;
        else
            high = middle;
    }
    return low < image_pads_count(image) && pads[low].return_off == code_off ? pads[low].pad_off : 0;
}

/* Continue in the frame of `at` if its call has a handler. */
static void land_in(const struct frame *at, uint64_t exception)
{
    const struct program *program = program_of(at->pc);
    uint64_t base = (uint64_t)program->image.base;
    uint32_t code_off = (uint32_t)(at->pc - base), pad = find_pad(&program->image, code_off);
    const struct image_func *func = pad ? image_find_func(&program->image, code_off - 1) : NULL;
    if (func)
        guest_land(base + pad, at->fp, at->fp - func->frame_size, exception);
}

static __attribute__((noreturn)) void unwind(struct store *store, uint64_t exception, uint64_t return_address)
{
    struct frame frame = {return_address, store->guest_fp};
    const struct stack *stack = task_current->stack;
    if (!guest_goes_on(store)) /* deep stacks make this long */
        trap_leave(store, TRAP_PENDING, return_address);
    do
        land_in(&frame, exception);
    while (frame_outer(stack, &frame));
    trap_leave(store, TRAP_UNCAUGHT_EXCEPTION, return_address);
}

static struct exception *keep(struct slot *slot, uint64_t tag, const union cell *values, uint32_t count)
{
    struct thrown *thrown = NULL;
    if (count <= CONTEXT_SPILL)
        thrown = arena_alloc(&slot->exceptions, sizeof *thrown + count * sizeof *values);
    if (!thrown)
        return NULL;
    thrown->next = slot->thrown;
    thrown->count = count;
    thrown->exception.tag = tag;
    memcpy(thrown->exception.values, values, count * sizeof *values);
    slot->thrown = thrown;
    return &thrown->exception;
}

void exception_throw(struct store *store, uint64_t tag, const union cell *values, uint32_t count,
                     uint64_t return_address)
{
    struct exception *exception = keep(task_current->slot, tag, values, count);
    if (!exception)
        trap_leave(store, TRAP_OUT_OF_MEMORY, return_address);
    unwind(store, (uint64_t)exception, return_address);
}

void exception_rethrow(struct store *store, uint64_t exception, uint64_t return_address)
{
    unwind(store, exception, return_address);
}
