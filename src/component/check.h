/* What decoding and type checking share: the arena, the error, numbers for types and the bound on work.
 *
 * A function that fails has set the error, with the offset of the definition that is being checked.
 */
#ifndef MAYFLY_COMPONENT_CHECK_H
#define MAYFLY_COMPONENT_CHECK_H

#include "component/component.h"

struct checker {
    struct arena *arena;
    struct err *err;
    uint64_t offset; /* of the definition at hand */
    uint32_t next_number;
    uint64_t work; /* steps left */
    bool no_memory; /* an allocation failed: no verdict about types counts */
    const struct node *prims[TYPE_STRING + 1], *error_context;
};

bool checker_fail(struct checker *c, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
bool checker_limit(struct checker *c, enum component_limit limit) __attribute__((cold));
bool checker_memory(struct checker *c) __attribute__((cold));
/* One more step of type checking; false when the budget is spent. */
static inline bool checker_step(struct checker *c)
{
    return c->work-- > 0 || (c->work = 0, checker_limit(c, COMPONENT_LIMIT_WORK));
}

/* A zeroed element appended to a growing array of the arena, or NULL with the error set. */
void *list_push(struct checker *c, void **items, uint32_t *count, uint32_t *capacity, size_t size,
                enum component_limit limit);
#define LIST_PUSH(c, list, limit)                                                                                      \
    ((__typeof__((list)->items))list_push((c), (void **)&(list)->items, &(list)->count, &(list)->capacity,             \
                                          sizeof *(list)->items, COMPONENT_LIMIT_##limit))

/* A map from numbers of shapes to what stands for them. Presence with NULL means a variable that is not
 * bound yet. A zeroed struct is an empty map. */
struct remap_entry {
    uint32_t number; /* 0 is free */
    const void *value;
};
struct remap {
    struct remap_entry *entries;
    uint32_t count, capacity;
};
bool remap_put(struct checker *c, struct remap *map, uint32_t number, const void *value);
/* The entry's value, to read or bind; NULL when absent. */
const void **remap_get(const struct remap *map, uint32_t number);

bool number_set_add(struct checker *c, struct number_set *set, uint32_t number);
bool number_set_has(const struct number_set *set, uint32_t number);

/* An index over `count` names, for binary search; `name_at` gives the i-th. NULL when out of memory. */
typedef struct str (*name_at_fn)(const void *items, uint32_t index);
uint32_t *names_sort(struct checker *c, const void *items, uint32_t count, name_at_fn name_at);
/* Index of the item, or WASM_NO_INDEX. */
uint32_t names_find(const void *items, const uint32_t *by_name, uint32_t count, name_at_fn name_at, struct str name);
int str_order(struct str a, struct str b);

bool externs_sort(struct checker *c, struct externs *externs);
const struct extern_decl *externs_find(const struct externs *externs, struct str name);

#endif
