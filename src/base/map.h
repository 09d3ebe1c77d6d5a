/* A hash map from byte strings to 32-bit numbers.
 *
 * Keys are views: the caller keeps their bytes alive as long as the map. The hash is seeded per
 * process, so that input cannot choose collisions.
 */
#ifndef MAYFLY_BASE_MAP_H
#define MAYFLY_BASE_MAP_H

#include "base/str.h"

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t count, capacity;
};

/* A zeroed struct is an empty map. False when out of memory. An existing key is overwritten. */
bool map_put(struct map *map, struct str key, uint32_t value);
/* True and *ret_value (may be NULL) when present. */
bool map_get(const struct map *map, struct str key, uint32_t *ret_value);
void map_free(struct map *map);

#endif
