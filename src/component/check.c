/* See check.h. */
#include "component/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct component_limit_info component_limit_infos[COMPONENT_LIMIT_COUNT] = {
#define LIMIT(name, value, words) [COMPONENT_LIMIT_##name] = {value, words},
    COMPONENT_LIMITS(LIMIT)
#undef LIMIT
};

const struct sort_info sort_infos[SORT_COUNT] = {
#define SORT(name, core, code, words) [SORT_##name] = {core, code, words},
#include "component/sorts.def"
#undef SORT
};

const struct builtin_info builtin_infos[BUILTIN_COUNT] = {
#define BUILTIN(name, code, words, immediates, signature) [BUILTIN_##name] = {code, words, immediates, signature},
#include "component/builtins.def"
#undef BUILTIN
};

bool checker_fail(struct checker *c, enum err_kind kind, const char *format, ...)
{
    char message[sizeof c->err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return err_at(c->err, kind, c->offset, "%s", message);
}

bool checker_limit(struct checker *c, enum component_limit limit)
{
    const struct component_limit_info *info = &component_limit_infos[limit];
    return checker_fail(c, ERR_LIMIT, "more than %u %s", info->value, info->words);
}

bool checker_memory(struct checker *c)
{
    c->no_memory = true;
    return err_memory(c->err);
}

/* The old array stays in the arena until it is freed: twice the size in all, and no item ever moves
 * while a pointer to the list's final array is kept. */
static bool list_grow(struct checker *c, void **items, uint32_t count, uint32_t *capacity, size_t size)
{
    uint32_t grown = *capacity ? *capacity * 2 : 8;
    void *block = arena_array(c->arena, grown, size);
    if (!block)
        return checker_memory(c);
    if (count)
        memcpy(block, *items, count * size);
    *items = block;
    *capacity = grown;
    return true;
}

void *list_push(struct checker *c, void **items, uint32_t *count, uint32_t *capacity, size_t size,
                enum component_limit limit)
{
    if (*count >= component_limit_infos[limit].value) {
        checker_limit(c, limit);
        return NULL;
    }
    if (*count == *capacity && !list_grow(c, items, *count, capacity, size))
        return NULL;
    return (char *)*items + (*count)++ * size;
}

/* Numbers are ours and dense, so multiplying spreads them and input cannot choose collisions. */
static uint32_t spread(uint32_t number)
{
    return number * 2654435761u;
}

static struct remap_entry *remap_slot(struct remap_entry *entries, uint32_t capacity, uint32_t number)
{
    uint32_t at = spread(number) & (capacity - 1);
    while (entries[at].number != 0 && entries[at].number != number)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static bool remap_grow(struct checker *c, struct remap *map)
{
    uint32_t capacity = map->capacity ? map->capacity * 2 : 16;
    struct remap_entry *entries = ARENA_ARRAY(c->arena, struct remap_entry, capacity);
    if (!entries)
        return checker_memory(c);
    for (uint32_t i = 0; i < map->capacity; i++)
        if (map->entries[i].number != 0)
            *remap_slot(entries, capacity, map->entries[i].number) = map->entries[i];
    map->entries = entries;
    map->capacity = capacity;
    return true;
}

bool remap_put(struct checker *c, struct remap *map, uint32_t number, const void *value)
{
    if (map->count * 2 >= map->capacity && !remap_grow(c, map))
        return false;
    struct remap_entry *entry = remap_slot(map->entries, map->capacity, number);
    map->count += entry->number == 0;
    *entry = (struct remap_entry){number, value};
    return true;
}

const void **remap_get(const struct remap *map, uint32_t number)
{
    if (map->capacity == 0)
        return NULL;
    struct remap_entry *entry = remap_slot(map->entries, map->capacity, number);
    return entry->number == number ? &entry->value : NULL;
}

static uint32_t *set_slot(uint32_t *slots, uint32_t capacity, uint32_t number)
{
    uint32_t at = spread(number) & (capacity - 1);
    while (slots[at] != 0 && slots[at] != number)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool set_grow(struct checker *c, struct number_set *set)
{
    uint32_t capacity = set->capacity ? set->capacity * 2 : 16;
    uint32_t *slots = ARENA_ARRAY(c->arena, uint32_t, capacity);
    if (!slots)
        return checker_memory(c);
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->slots[i] != 0)
            *set_slot(slots, capacity, set->slots[i]) = set->slots[i];
    set->slots = slots;
    set->capacity = capacity;
    return true;
}

bool number_set_add(struct checker *c, struct number_set *set, uint32_t number)
{
    if (set->count * 2 >= set->capacity && !set_grow(c, set))
        return false;
    uint32_t *slot = set_slot(set->slots, set->capacity, number);
    set->count += *slot == 0;
    *slot = number;
    return true;
}

bool number_set_has(const struct number_set *set, uint32_t number)
{
    return set->capacity != 0 && *set_slot(set->slots, set->capacity, number) == number;
}

int str_order(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct sorting {
    const void *items;
    name_at_fn name_at;
};

/* Equal names keep their order, so that the later one is the duplicate. */
static int sort_order(const void *a, const void *b, void *context)
{
    const struct sorting *sorting = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    int order = str_order(sorting->name_at(sorting->items, left), sorting->name_at(sorting->items, right));
    return order ? order : (left > right) - (left < right);
}

/* Heap sort: no allocation, and no input makes it slow. */
static void sift(uint32_t *heap, uint32_t root, uint32_t count, struct sorting *sorting)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && sort_order(&heap[child], &heap[child + 1], sorting) < 0)
            child++;
        if (sort_order(&heap[root], &heap[child], sorting) >= 0)
            return;
        uint32_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

uint32_t *names_sort(struct checker *c, const void *items, uint32_t count, name_at_fn name_at)
{
    uint32_t *order = ARENA_ARRAY(c->arena, uint32_t, count);
    if (!order) {
        checker_memory(c);
        return NULL;
    }
    struct sorting sorting = {items, name_at};
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count / 2; i-- > 0;)
        sift(order, i, count, &sorting);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift(order, 0, end, &sorting);
    }
    return order;
}

uint32_t names_find(const void *items, const uint32_t *by_name, uint32_t count, name_at_fn name_at, struct str name)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = str_order(name_at(items, by_name[middle]), name);
        if (order == 0)
            return by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return WASM_NO_INDEX;
}

static struct str extern_name(const void *items, uint32_t index)
{
    return ((const struct extern_decl *)items)[index].name;
}

bool externs_sort(struct checker *c, struct externs *externs)
{
    externs->by_name = names_sort(c, externs->items, externs->count, extern_name);
    return externs->by_name != NULL;
}

const struct extern_decl *externs_find(const struct externs *externs, struct str name)
{
    uint32_t index = names_find(externs->items, externs->by_name, externs->count, extern_name, name);
    return index == WASM_NO_INDEX ? NULL : &externs->items[index];
}
