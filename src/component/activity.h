/* What the canonical ABI keeps of one activity of a store (a request, a command) outside the guest's reach: which calls
 * between component instances have borrowed handles.
 *
 * It is part of the host's object and all zero bytes when an activity begins; what it points to lies in the host's
 * arena and dies with the activity, so that a trap in the middle of anything leaves nothing behind.
 */
#ifndef MAYFLY_COMPONENT_ACTIVITY_H
#define MAYFLY_COMPONENT_ACTIVITY_H

#include "base/arena.h"
#include "component/handles.h"

/* A handle of the caller that is lent to a call. */
struct lend {
    struct handle *handle;
    struct lend *next;
};

/* A call in progress that was lent something: what the specification keeps in Task.num_borrows and Subtask.lenders. */
struct scope_record {
    struct scope_record *outer; /* the call around it; or the next free one */
    struct lend *lends;
    uint32_t borrows; /* handles that the callee has not dropped */
    uint16_t number;  /* as in handle.scope: its place in `scopes`, counted from 1 */
};

#define ACTIVITY_SCOPES_MAX 4096u

struct activity {
    struct scope_record *scope, *free_scopes;
    struct lend *free_lends;
    struct scope_record **scopes; /* scope_count of ACTIVITY_SCOPES_MAX, made on first use */
    uint32_t scope_count;
};

#endif
