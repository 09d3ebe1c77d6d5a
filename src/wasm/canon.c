/* When are two types the same (core specification, section 3.1.4)? A recursion group is written
 * down with references into the group as positions and references out of it as the identity of
 * their target; equal bytes are equal groups.
 *
 * Within a module the identity is the canonical index, so that nothing rests on a hash. Across
 * modules it is a hash of such an encoding, in which outer references are hashes again.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/sha256.h"
#include "wasm/type.h"

#define CANON_MEMORY_MAX ((size_t)1 << 31)

struct canon {
    struct map groups;  /* encoding -> first type index */
    struct arena arena; /* of the keys */
    struct buf scratch;
};

struct canon *canon_new(void)
{
    struct canon *canon = mem_alloc(1, sizeof *canon);
    if (!canon)
        return NULL;
    arena_init(&canon->arena, CANON_MEMORY_MAX);
    buf_init(&canon->scratch, CANON_MEMORY_MAX);
    return canon;
}

void canon_free(struct canon *canon)
{
    if (!canon)
        return;
    map_free(&canon->groups);
    arena_free(&canon->arena);
    buf_free(&canon->scratch);
    mem_free(canon);
}

struct encoder {
    const struct wasm_module *module;
    const struct wasm_type *group; /* its first type */
    uint32_t start;
    bool hashes; /* outer types by hash, not by canonical index */
    struct buf *out;
};

static void put(struct encoder *e, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    buf_append(e->out, bytes, size);
}

enum { REF_NONE, REF_INNER, REF_OUTER };

static void put_index(struct encoder *e, uint32_t index)
{
    if (index == WASM_NO_INDEX) {
        put(e, REF_NONE, 1);
    } else if (index >= e->start && index - e->start < e->group->group_size) {
        put(e, REF_INNER, 1);
        put(e, index - e->start, 4);
    } else {
        const struct wasm_type *target = &e->module->types[index];
        put(e, REF_OUTER, 1);
        put(e, e->hashes ? target->hash : target->canonical, 8);
    }
}

/* Reference types keep their flags apart from the heap type when that is an index. */
static void put_type(struct encoder *e, wasm_valtype type)
{
    if (wasm_is_ref(type) && wasm_heap_is_index(wasm_heap(type))) {
        put(e, type & ~WASM_HEAP_MASK, 4);
        put_index(e, wasm_heap(type));
    } else {
        put(e, type, 4);
    }
}

static void put_types(struct encoder *e, const wasm_valtype *types, uint32_t count)
{
    put(e, count, 4);
    for (uint32_t i = 0; i < count; i++)
        put_type(e, types[i]);
}

static void put_member(struct encoder *e, const struct wasm_type *type)
{
    put(e, type->kind, 1);
    put(e, type->final, 1);
    put_index(e, type->supertype);
    if (type->kind == WASM_COMP_FUNC) {
        put_types(e, type->func.params, type->func.param_count);
        put_types(e, type->func.results, type->func.result_count);
        return;
    }
    put(e, type->field_count, 4);
    for (uint32_t i = 0; i < type->field_count; i++) {
        put_type(e, type->fields[i].storage);
        put(e, type->fields[i].mutable_, 1);
    }
}

static bool encode(const struct wasm_module *module, uint32_t start, bool hashes, struct buf *out)
{
    struct encoder e = {module, &module->types[start], start, hashes, out};
    put(&e, e.group->group_size, 4);
    for (uint32_t i = 0; i < e.group->group_size; i++)
        put_member(&e, &e.group[i]);
    return !out->failed;
}

/* `group` has taken in the group's encoding. */
static uint64_t member_hash(const struct sha256 *group, uint32_t position)
{
    struct sha256 hash = *group;
    uint8_t word[4], digest[32];
    uint64_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        word[i] = (uint8_t)(position >> (8 * i));
    sha256_add(&hash, word, sizeof word);
    sha256_finish(&hash, digest);
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)digest[i] << (8 * i);
    return value ? value : 1;
}

static bool hash_group(struct canon *canon, struct wasm_module *module, uint32_t start)
{
    struct sha256 hash;
    canon->scratch.size = 0;
    if (!encode(module, start, true, &canon->scratch))
        return false;
    sha256_init(&hash);
    sha256_add(&hash, canon->scratch.data, canon->scratch.size);
    for (uint32_t i = 0; i < module->types[start].group_size; i++)
        module->types[start + i].hash = member_hash(&hash, i);
    return true;
}

static bool remember(struct canon *canon, uint32_t start)
{
    const char *key = arena_copy(&canon->arena, canon->scratch.data, canon->scratch.size);
    return key && map_put(&canon->groups, (struct str){key, canon->scratch.size}, start);
}

bool canon_group(struct canon *canon, struct wasm_module *module, uint32_t start)
{
    uint32_t first = start, size = module->types[start].group_size;
    canon->scratch.size = 0;
    if (!encode(module, start, false, &canon->scratch))
        return false;
    struct str key = {(const char *)canon->scratch.data, canon->scratch.size};
    bool known = map_get(&canon->groups, key, &first);
    if (!known && (!remember(canon, start) || !hash_group(canon, module, start)))
        return false;
    for (uint32_t i = 0; i < size; i++) {
        module->types[start + i].canonical = first + i;
        module->types[start + i].hash = module->types[first + i].hash;
    }
    return true;
}

uint64_t wasm_type_hash(const struct wasm_module *module, uint32_t type, struct buf *ret_encoding)
{
    uint32_t start = module->types[type].group_start;
    if (!ret_encoding)
        return module->types[type].hash;
    struct encoder e = {module, &module->types[start], start, true, ret_encoding};
    encode(module, start, true, ret_encoding);
    put(&e, type - start, 4);
    return module->types[type].hash;
}
