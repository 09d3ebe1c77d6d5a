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

static struct thrown *take_spare(struct slot *slot, unsigned size_class)
{
    for (unsigned i = size_class; i < SLOT_EXCEPTION_CLASSES; i++) {
        struct thrown *thrown = slot->spare[i];
        if (!thrown)
            continue;
        slot->spare[i] = thrown->next;
        return thrown;
    }
    return NULL;
}

static struct thrown *room_for(struct slot *slot, unsigned size_class)
{
    struct thrown *thrown = take_spare(slot, size_class);
    size_t bytes = sizeof *thrown + exception_capacity(size_class) * sizeof(union cell);
    if (!thrown && (thrown = arena_alloc(&slot->exceptions, bytes)))
        thrown->size_class = (uint16_t)size_class;
    return thrown;
}

static struct exception *keep(struct slot *slot, uint64_t tag, const union cell *values, uint32_t count)
{
    unsigned size_class = exception_class(count);
    struct thrown *thrown = count <= CONTEXT_SPILL ? room_for(slot, size_class) : NULL;
    if (!thrown && count <= CONTEXT_SPILL && exceptions_sweep(slot))
        thrown = room_for(slot, size_class);
    if (!thrown)
        return NULL;
    thrown->next = slot->thrown;
    thrown->count = count;
    thrown->marked = 0;
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
        trap_leave(store, guest_goes_on(store) ? TRAP_OUT_OF_MEMORY : TRAP_PENDING, return_address);
    unwind(store, (uint64_t)exception, return_address);
}

void exception_rethrow(struct store *store, uint64_t exception, uint64_t return_address)
{
    unwind(store, exception, return_address);
}
