/* What slot.c and park.c share. Private to them. */
#ifndef MAYFLY_RUNTIME_SLOT_INNER_H
#define MAYFLY_RUNTIME_SLOT_INNER_H

#include "runtime/slot.h"

/* Make a tracked page writable and remember it. False: no room in the set, or the kernel refuses. */
bool slot_add_hot(struct slot *slot, uint64_t slot_off);
bool slot_is_hot(const struct slot *slot, const uint8_t *page);
/* Take it out of the pool; false: it is not there. */
bool slot_take(struct slot *slot);

#endif
