/* The heap at run time: what the inline bump of generated code does not do. image/heap.h has the shape of objects.
 *
 * Allocation takes the next bytes of the current hole; when it is full, a helper comes here for another hole, more
 * open memory, or a collection. The collector marks and sweeps; nothing moves.
 *
 * What counts as a reference: table entries, globals, element segments and exceptions by their types; every word of the
 * stacks of the store's tasks, saved registers included, that could be the offset or the address of any byte of an
 * object. That is enough because generated code hides array indices from the optimizer, so that an address which
 * is going to be used always lies within its object (codegen/llvm/heap.c). References that the host keeps elsewhere do
 * not count: it keeps them on the stack of a task, or in a table or global of the guest.
 */
#ifndef MAYFLY_RUNTIME_GC_H
#define MAYFLY_RUNTIME_GC_H

#include "image/heap.h"

#define GC_SIZE_DEFAULT ((uint64_t)1 << 30)  /* bytes of objects that one store may have open */
#define GC_BUDGET_MIN ((uint64_t)8 << 20)    /* open bytes before the first collection */
#define GC_CHUNK_MAX ((uint64_t)16 << 20)    /* opened at once */
#define GC_LARGE 8192u                       /* objects from here on do not come out of the current hole */
#define GC_LIVE_SHARE 64u                    /* a store whose objects leave less than this part of it free is full */
#define GC_BINS 32u

struct slot;

struct collector;

struct gc {
    uint8_t *base;            /* heap base */
    struct heap_words *words; /* the current hole */
    uint32_t first;           /* objects begin here, from the base */
    uint64_t open;            /* end of what is open, from the base */
    uint64_t size_max;        /* the most bytes of objects that may be open */
    uint64_t budget;          /* collect before more than so many are */
    uint64_t live;            /* bytes of objects that the last collection left */
    uint64_t collections;
    struct collector *under_way; /* a collection that was stopped in its middle */
    bool touched;                /* something here is not as in a fresh instance */
    bool stress;              /* collect at every allocation */
    uint32_t bins[GC_BINS];   /* holes by size: the first of 1 << i bytes and more; linked behind their header */
};

/* For a slot whose image has a heap of its own. `open`: end of the part that is open from the start. */
void gc_init(struct gc *gc, uint8_t *base, struct heap_words *words, uint32_t first, uint64_t open);
/* A collection in whose middle the instance ended is over: its working memory goes. */
void gc_abandon(struct gc *gc);
/* Back to a fresh instance; memory is the slot's business. */
void gc_reset(struct gc *gc, uint64_t open);

/* Room for an object of `size` bytes, whose contents the caller sets before anything else is allocated: its offset,
 * or 0 when the store may not have more or the guest must end. Collects if need be. In a task of the store. */
uint32_t gc_allocate(struct gc *gc, uint64_t size);

/* References of the `extern` hierarchy, a host's number below HEAP_EXTERN_INTERNAL included, as `any` and back (core
 * specification, any.convert_extern and extern.convert_any). The first makes a box, on the terms of gc_allocate: 0 for
 * a number when there is no room. */
uint64_t gc_internalize(struct gc *gc, uint64_t reference);
uint64_t gc_externalize(const struct gc *gc, uint64_t reference);

/* Free what is not reachable. In a task of the store, or while none runs. False: too little memory to try, or the guest
 * must end (guest_goes_on of runtime/trap.h); the heap is as sound as before. */
bool gc_collect(struct gc *gc, struct slot *first);

/* Tests: from now on every allocation comes to gc_allocate and collects. */
void gc_stress(struct gc *gc);

/* For the collector: a hole of `size` bytes, put where allocation finds it. */
void gc_add_hole(struct gc *gc, uint32_t at, uint64_t size);
/* The hole that allocation is in becomes a filler like others. */
void gc_leave_hole(struct gc *gc);

static inline struct heap_header *gc_header(const struct gc *gc, uint32_t ref)
{
    return (struct heap_header *)(gc->base + ref);
}

static inline const struct heap_type *gc_type(const struct gc *gc, uint32_t ref)
{
    return (const struct heap_type *)(gc->base + gc_header(gc, ref)->type);
}

#endif
