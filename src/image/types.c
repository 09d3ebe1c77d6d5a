/* See types.h. Recursion groups are compared as encodings, in which types of other groups are hashes; those were
 * compared when their groups were, so that equal encodings are equal types. */
#include "image/types.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "image/unit.h"

#include <stdlib.h>
#include <string.h>

#define ENCODINGS_MAX ((size_t)1 << 30)

struct collector {
    struct type_table table; /* in order of appearance until the end */
    uint32_t capacity;
    struct map groups; /* encoding -> row of the first member */
    struct map hashes; /* a row's hash, in place -> the row */
    struct arena keys;
    struct buf scratch;
};

static bool collide(const struct wasm_module *module, uint32_t type, struct err *err)
{
    return err_at(err, ERR_INVALID, module->origin + module->types[type].at, "two different types have the same hash");
}

static bool add_row(struct collector *c, const struct wasm_module *module, uint32_t type, struct err *err)
{
    struct type_row *row = &c->table.rows[c->table.count];
    *row = (struct type_row){.hash = module->types[type].hash, .module = module, .index = type, .super = WASM_NO_INDEX};
    struct str key = {(const char *)&row->hash, sizeof row->hash};
    if (map_get(&c->hashes, key, NULL))
        return collide(module, type, err);
    return map_put(&c->hashes, key, c->table.count++) || err_memory(err);
}

static bool add_group(struct collector *c, const struct wasm_module *module, uint32_t start, struct err *err)
{
    uint32_t known;
    c->scratch.size = 0;
    wasm_type_hash(module, start, &c->scratch);
    struct str key = {(const char *)c->scratch.data, c->scratch.size};
    if (c->scratch.failed)
        return err_memory(err);
    if (map_get(&c->groups, key, &known))
        return c->table.rows[known].hash == module->types[start].hash || collide(module, start, err);
    key.ptr = arena_copy(&c->keys, key.ptr, key.len);
    if (!key.ptr || !map_put(&c->groups, key, c->table.count))
        return err_memory(err);
    for (uint32_t i = 0; i < module->types[start].group_size; i++)
        if (!add_row(c, module, start + i, err))
            return false;
    return true;
}

static bool add_unit(struct collector *c, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->type_count; i += module->types[i].group_size)
        if (module->types[i].canonical == i && !add_group(c, module, i, err))
            return false;
    return true;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t left = ((const struct type_row *)a)->hash, right = ((const struct type_row *)b)->hash;
    return (left > right) - (left < right);
}

static uint32_t row_of(const struct type_table *table, uint64_t hash)
{
    struct type_row key = {.hash = hash};
    const struct type_row *found = bsearch(&key, table->rows, table->count, sizeof key, by_hash);
    return (uint32_t)(found - table->rows);
}

/* Rows are in place: fill in what refers to them. */
static bool refer(struct collector *c, struct unit *units, uint32_t count, struct arena *arena, struct err *err)
{
    for (uint32_t i = 0; i < c->table.count; i++) {
        struct type_row *row = &c->table.rows[i];
        uint32_t super = row->module->types[row->index].supertype;
        if (super != WASM_NO_INDEX)
            row->super = row_of(&c->table, row->module->types[super].hash);
    }
    for (uint32_t u = 0; u < count; u++) {
        const struct wasm_module *module = units[u].module;
        units[u].types = ARENA_ARRAY(arena, uint32_t, module->type_count);
        if (!units[u].types)
            return err_memory(err);
        for (uint32_t i = 0; i < module->type_count; i++)
            units[u].types[i] = row_of(&c->table, module->types[i].hash);
    }
    return true;
}

static bool collect(struct collector *c, struct unit *units, uint32_t count, struct arena *arena, struct err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += units[i].module->type_count;
    c->table.rows = ARENA_ARRAY(arena, struct type_row, total);
    if (!c->table.rows)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++)
        if (!add_unit(c, &units[i], err))
            return false;
    if (c->table.count)
        qsort(c->table.rows, c->table.count, sizeof *c->table.rows, by_hash);
    return refer(c, units, count, arena, err);
}

bool types_collect(struct unit *units, uint32_t count, struct arena *arena, struct type_table *ret_table,
                   struct err *err)
{
    struct collector c = {0};
    arena_init(&c.keys, ENCODINGS_MAX);
    buf_init(&c.scratch, ENCODINGS_MAX);
    bool done = collect(&c, units, count, arena, err);
    if (done)
        *ret_table = c.table;
    map_free(&c.groups);
    map_free(&c.hashes);
    arena_free(&c.keys);
    buf_free(&c.scratch);
    return done;
}
