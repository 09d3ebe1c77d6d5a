/* See map.h. Open addressing, linear probing, at most three quarters full. */
#include "base/map.h"

#include "base/alloc.h"

#include <sys/random.h>

struct map_entry {
    struct str key; /* ptr NULL: free */
    uint64_t hash;
    uint32_t value;
};

static uint64_t map_seed(void)
{
    static uint64_t seed;
    if (seed == 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uintptr_t)&seed; /* no randomness: address layout is the next best */
    return seed | 1;
}

/* Multiply-fold over eight bytes at a time, keyed by the seed. */
static uint64_t hash_of(struct str key)
{
    uint64_t h = map_seed() ^ key.len;
    for (size_t i = 0; i < key.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, key.ptr + i, key.len - i < 8 ? key.len - i : 8);
        __uint128_t product = (__uint128_t)(h ^ word) * 0x9e3779b97f4a7c15ull;
        h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ map_seed();
    }
    return h;
}

static struct map_entry *find(const struct map *map, struct str key, uint64_t hash)
{
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct map_entry *entry = &map->entries[i];
        if (!entry->key.ptr || (entry->hash == hash && str_eq(entry->key, key)))
            return entry;
    }
}

static bool grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? map->capacity * 2 : 16, .count = map->count};
    bigger.entries = mem_alloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key.ptr)
            *find(&bigger, map->entries[i].key, map->entries[i].hash) = map->entries[i];
    mem_free(map->entries);
    *map = bigger;
    return true;
}

bool map_put(struct map *map, struct str key, uint32_t value)
{
    if (map->count + 1 > map->capacity / 4 * 3 && !grow(map))
        return false;
    if (!key.ptr)
        key.ptr = "";
    uint64_t hash = hash_of(key);
    struct map_entry *entry = find(map, key, hash);
    map->count += !entry->key.ptr;
    *entry = (struct map_entry){key, hash, value};
    return true;
}

bool map_get(const struct map *map, struct str key, uint32_t *ret_value)
{
    if (map->capacity == 0)
        return false;
    const struct map_entry *entry = find(map, key, hash_of(key));
    if (!entry->key.ptr)
        return false;
    if (ret_value)
        *ret_value = entry->value;
    return true;
}

void map_free(struct map *map)
{
    mem_free(map->entries);
    memset(map, 0, sizeof *map);
}
