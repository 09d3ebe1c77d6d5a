/* Slots: address-space reservations whose hot pages stay resident between instances.
 *
 *     base             fixed part: store, contexts, import words   written when the slot is made
 *     + fixed_size     mutable part                                 tracked
 *     + ...            heap                                         the first part of its objects tracked
 *     + ...            linear memories                              tracked up to the size at the start
 *
 * Tracked pages are read-only until first written. The fault handler makes such a page writable and adds it
 * to the slot's hot set; `slot_release` copies the whole set back from the template. So the set is always a
 * superset of what was written since the last restore: isolation rests on that, not on a guess about the
 * guest. In the steady state nothing faults and nothing is mapped: a start is a pop from a list and a
 * restore is a few page copies.
 *
 * Pages that memory.grow or the heap added are not tracked: they are made inaccessible again, and dropped before that,
 * or, where few of them were touched, filled with zeros and kept (resident.h). A set that outgrows SLOT_HOT_MAX is
 * dropped by remapping the slot.
 */
#ifndef MAYFLY_RUNTIME_SLOT_H
#define MAYFLY_RUNTIME_SLOT_H

#include "base/arena.h"
#include "runtime/gc.h"
#include "runtime/program.h"
#include "wasm/limits.h"

#define SLOT_HOT_MAX 1024u
#define SLOT_GROWN_MAX (WASM_MAX_MEMORIES + 1u) /* each memory of a module, and the heap */
#define SLOT_EXCEPTION_BYTES ((size_t)4 << 20) /* exceptions of one instance that may still be used */
#define SLOT_EXCEPTION_CLASSES 13u

/* Addresses for the slots of a store of several images, handed out from below. */
struct slot_region {
    uint64_t low, next, high;
};

/* What the instances of a store have, in bytes: linear memories as large as the guest sees them, entries of tables,
 * open parts of heaps. Counted when it is asked for, whether it was touched or not. */
struct slot_account {
    uint64_t used, max;
    bool refused; /* more than `max` was asked for since the instance began */
};

struct slot_page {
    uint8_t *page;
    const uint8_t *source; /* NULL: zero */
};

/* Addresses. */
struct slot_range {
    uint64_t low, high;
};

struct slot {
    struct store *store; /* = the slot's base address; a joined slot's own, unused store block likewise */
    struct program *program;
    struct slot *next;
    struct slot *joined; /* further slots of the same store, of other images: see slot_join */
    struct slot_region *region; /* of the store, where it takes several images */
    struct link_extern *externs; /* what satisfies the imports of a linked instance, by row of opens; owned */
    uint32_t hot_count, learned; /* hot[0 .. learned) are known to the program */
    bool overflowed;             /* more pages written than hot[] holds: remap at release */
    uint32_t grown_count;
    struct slot_range grown[SLOT_GROWN_MAX]; /* that memory.grow or the heap made accessible */
    struct slot_range kept; /* where such pages of earlier instances, cleared, may still be; high 0: nowhere yet */
    struct stack *stack; /* of the first of its tasks, once there was one; stays while instances are parked */
    bool stack_used;
    uint32_t age;    /* the program's when it was used last */
    bool broken;     /* it could not be made anew; only parked instances keep it */
    uint32_t parked; /* instances that were put aside and belong here: runtime/park.h */
    struct slot_account own, *account; /* the store's is its first slot's */
    uint64_t initial;                  /* bytes that the instance begins with */
    struct task *tasks;      /* of the store: whose stacks hold references */
    struct gc gc;            /* base NULL: there is no heap */
    struct arena exceptions; /* thrown by this instance */
    struct thrown *thrown;   /* the last of them that may still be used */
    void *sweeping;          /* working memory of a sweep of them that was stopped in its middle */
    struct thrown *spare[SLOT_EXCEPTION_CLASSES]; /* others, by exception_class: to be used again */
    struct slot_page hot[SLOT_HOT_MAX];
};

/* A slot holding a fresh instance (start functions that must run per instance have not run). ERR_LIMIT: it would begin
 * with more than program->memory_max; this and slot_join count all slots of the store, by the first one's maximum. */
struct slot *slot_acquire(struct program *program, struct err *err);
/* Set program->memory_max while all slots are free: those that there are end, and one is made to see that it can be.
 * ERR_LIMIT: it would begin with more. */
bool slot_limit(struct program *program, uint64_t bytes, struct err *err);
/* Give back so many bytes of what the instance added to its memories and heap: before slot_release, which would take
 * its time for all of them. The instance has ended, and the slot has no parked ones. True: there is more. */
bool slot_shed(struct slot *slot, uint64_t bytes);
/* End of the instance: everything it wrote is restored, the slot is free for the next one. */
void slot_release(struct slot *slot);
void slot_destroy(struct slot *slot);
/* Destroy the free slots, but those that parked instances belong to. */
void slot_drop_free(struct program *program);
/* Destroy the free slots that were not used since the last call but one. Returns how many free ones are left. */
uint32_t slot_trim(struct program *program);

/* The first slot of a store that takes several images: it stands at the low end of a reservation of its own. It
 * never goes back to its program's pool; slot_destroy ends it and all slots joined to it. */
struct slot *slot_open(struct program *program, struct err *err);
/* A slot for `program` whose contexts belong to the store of `first`, which slot_open made, and which lives and
 * dies with it. Its function references are relative to the store of `first`, so it lies above it, within reach
 * of 32 bits of CONTEXT_ALIGN. */
struct slot *slot_join(struct slot *first, struct program *program, struct err *err);
/* Undo the last slot_join, before any guest code has seen the slot. */
void slot_leave(struct slot *first);

/* Link an import of a joined or first slot at run time: `words` at `slot_off` get function `funcref` (relative
 * to the store of `first`). */
void slot_link_func(struct slot *slot, const struct slot *first, uint64_t slot_off, uint64_t funcref);

/* A reference of the image of `slot`, relative to the store of `first`. */
uint64_t slot_reference(const struct slot *slot, const struct slot *first, uint64_t funcref);
/* The same for an export's function. */
uint64_t slot_funcref(const struct slot *slot, const struct slot *first, const struct image_export *row);

/* For the fault handler: a write to `address`. True when the page was a tracked read-only one and is now
 * writable, so that the write can be repeated. */
bool slot_first_write(struct slot *slot, uint64_t address);
/* The slot among `first` and those joined to it whose reservation holds `address`, or NULL. */
static inline struct slot *slot_of(struct slot *first, uint64_t address)
{
    while (first && address - (uint64_t)first->store >= first->program->image.header->slot_size)
        first = first->joined;
    return first;
}

/* For table.grow: may the store have so many bytes more? Then they are counted until the instance ends. */
bool slot_charge(struct slot *slot, uint64_t bytes);
/* For memory.grow and the heap: make [low, high) accessible until the instance ends. False: no more may be had, or the
 * system has none. */
bool slot_grow(struct slot *slot, uint64_t low, uint64_t high);

#endif
