/* Calling guest functions from host code that runs inside a task (realloc, destructors, exports). */
#ifndef MAYFLY_RUNTIME_CALL_H
#define MAYFLY_RUNTIME_CALL_H

#include "image/context.h"

#include <stdbool.h>

/* Call the function `funcref` of this store with up to 6 integer parameters and up to one integer
 * result, on the current stack. False when the guest trapped: store->trap says why, and the caller
 * returns false in turn. */
bool guest_call_ints(struct store *store, uint64_t funcref, const uint64_t *params, uint32_t count,
                     uint64_t *ret_result);

#endif
