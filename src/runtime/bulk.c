/* See bulk.h. */
#include "runtime/bulk.h"

static uint64_t chunk(uint64_t left)
{
    return left < BULK_CHUNK ? left : BULK_CHUNK;
}

/* From the end that is not overwritten before it is read. */
bool bulk_move_long(struct store *store, uint8_t *to, const uint8_t *from, uint64_t size)
{
    bool up = (uint64_t)to <= (uint64_t)from || (uint64_t)to - (uint64_t)from >= size;
    for (uint64_t done = 0, part; done < size; done += part) {
        part = chunk(size - done);
        uint64_t at = up ? done : size - done - part;
        if (!guest_goes_on(store))
            return false;
        memmove(to + at, from + at, part);
    }
    return guest_goes_on(store);
}

bool bulk_fill_long(struct store *store, uint8_t *to, uint8_t byte, uint64_t size)
{
    for (uint64_t done = 0, part; done < size; done += part) {
        part = chunk(size - done);
        if (!guest_goes_on(store))
            return false;
        memset(to + done, byte, part);
    }
    return guest_goes_on(store);
}
