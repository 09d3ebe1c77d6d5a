/* The handle table of a component instance: small indices for the resources that guest code holds.
 *
 * It lies in the mutable part of the slot, CONTEXT_HANDLE_TABLE_BYTES long, and all zero bytes are an empty
 * table, so that a restore empties it. Entries fill up from the low end and freed ones are used again last
 * in, first out (CanonicalABI.md, "Table State"): a guest with few handles touches the first page only, and the rest
 * costs addresses. It is there for guests that drop late: JavaScript's engine makes a pollable for every 8 KiB that it
 * reads, and leaves it to its collector. Index 0 is never valid. Guest code cannot reach the table; its indices are
 * checked on every use.
 *
 * An entry that is own or borrow is a resource handle; HANDLE_OTHER is for what else shares the index space.
 */
#ifndef MAYFLY_COMPONENT_HANDLES_H
#define MAYFLY_COMPONENT_HANDLES_H

#include "image/context.h"

#include <stdbool.h>

enum handle_kind { HANDLE_FREE, HANDLE_OWN, HANDLE_BORROW, HANDLE_OTHER };

struct handle {
    uint64_t rep;  /* the host's pointer or the guest's representation; free entries: the next free index */
    uint32_t what; /* type id << 2 | enum handle_kind */
    uint16_t lends; /* calls in progress that have borrowed it */
    uint16_t scope; /* HANDLE_BORROW: which call it was lent to */
};

#define HANDLE_TYPE_MAX ((1u << 30) - 1)
#define HANDLE_LENDS_MAX UINT16_MAX
#define HANDLE_CAPACITY 65529u /* entries, with the unused entry 0 */

/* The words in front of the entries that adapters reach as globals (image/unit.h, IMPORT_WORD) are cells of their
 * own, because generated code counts on the alignment of globals. */
struct handles {
    uint32_t high; /* highest index used so far */
    uint32_t free; /* the index freed last, or 0 */
    uint32_t live; /* handles in the table */
    uint32_t entered; /* not 0: a call of the host is in the component, or one trapped there ("may_enter") */
    union cell no_leave;   /* u32, not 0: the instance must not call out (CanonicalABI.md, "may_leave") */
    union cell context[2]; /* of the thread that runs in the instance: "context.get" */
    uint64_t instance;     /* the host's struct inst (async.h), or 0 */
    uint32_t backpressure; /* "backpressure.inc" */
    uint32_t reserved[9];
    struct handle entries[HANDLE_CAPACITY];
};

_Static_assert(sizeof(struct handle) == 16, "four entries per cache line");
_Static_assert(sizeof(struct handles) == CONTEXT_HANDLE_TABLE_BYTES, "the slot's layout has room for this");
_Static_assert(offsetof(struct handles, no_leave) % sizeof(union cell) == 0, "a global");
_Static_assert(offsetof(struct handles, context) % sizeof(union cell) == 0, "globals");

static inline uint32_t handle_what(enum handle_kind kind, uint32_t type)
{
    return type << 2 | (uint32_t)kind;
}

static inline enum handle_kind handle_kind(const struct handle *handle)
{
    return (enum handle_kind)(handle->what & 3);
}

static inline uint32_t handle_type(const struct handle *handle)
{
    return handle->what >> 2;
}

/* The entry at `index`, or NULL when there is none. */
static inline struct handle *handle_get(struct handles *handles, uint32_t index)
{
    if (index >= HANDLE_CAPACITY || (handles->entries[index].what & 3) == HANDLE_FREE)
        return NULL;
    return &handles->entries[index];
}

/* Handles that a table may hold at once: HANDLE_CAPACITY - 1, or less for all instances of the process. */
extern uint32_t handle_max;

/* The new handle's index, or 0 when the table is full. */
static inline uint32_t handle_add(struct handles *handles, enum handle_kind kind, uint32_t type, uint64_t rep)
{
    uint32_t index = handles->free;
    if (index != 0)
        handles->free = (uint32_t)handles->entries[index].rep;
    else if (handles->high < handle_max)
        index = ++handles->high;
    else
        return 0;
    handles->entries[index] = (struct handle){.rep = rep, .what = handle_what(kind, type)};
    handles->live++;
    return index;
}

/* `index` must be that of a handle. */
static inline void handle_remove(struct handles *handles, uint32_t index)
{
    handles->entries[index] = (struct handle){.rep = handles->free};
    handles->free = index;
    handles->live--;
}

/* Take every handle out of the table, in order of index, calling `visit` with a copy of each: what a host does
 * when the instance ends, to release the resources it still holds. Lends are ignored. */
void handles_drain(struct handles *handles, void (*visit)(void *arg, const struct handle *handle), void *arg);

#endif
