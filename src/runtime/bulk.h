/* Moving and filling memory, as much as a guest wants: long blocks go in chunks, and between them a guest whose time is
 * over is stopped (guest_goes_on of runtime/trap.h). */
#ifndef MAYFLY_RUNTIME_BULK_H
#define MAYFLY_RUNTIME_BULK_H

#include "runtime/trap.h"

#include <string.h>

#define BULK_SHORT ((uint64_t)64 << 10) /* bytes: a few microseconds, and no test */
#define BULK_CHUNK ((uint64_t)256 << 10) /* bytes between two tests */

bool bulk_move_long(struct store *store, uint8_t *to, const uint8_t *from, uint64_t size);
bool bulk_fill_long(struct store *store, uint8_t *to, uint8_t byte, uint64_t size);

/* As memmove; false: the guest must end, and a part was moved. */
static inline bool bulk_move(struct store *store, void *to, const void *from, uint64_t size)
{
    if (size > BULK_SHORT)
        return bulk_move_long(store, to, from, size);
    memmove(to, from, size);
    return true;
}

static inline bool bulk_fill(struct store *store, void *to, uint8_t byte, uint64_t size)
{
    if (size > BULK_SHORT)
        return bulk_fill_long(store, to, byte, size);
    memset(to, byte, size);
    return true;
}

#endif
