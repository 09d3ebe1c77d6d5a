/* See template.h. Pages live in chunks of 4096 pointers, so that a slot of a terabyte costs little. */
#include "image/template.h"

#include "base/alloc.h"

#include <string.h>

#define CHUNK_PAGES 4096u
#define CHUNK_BYTES ((uint64_t)CHUNK_PAGES * TEMPLATE_PAGE)
#define PAGES_MAX ((uint64_t)1 << 18) /* 1 GiB of initialised state */

struct template_chunk {
    uint8_t *pages[CHUNK_PAGES];
};

struct building {
    struct template *template;
    const struct plan *plan;
    const struct geometry *geometry;
    const struct template_code *code;
};

static uint8_t *page_for_write(struct template *template, uint64_t slot_off)
{
    struct template_chunk **chunk = &template->chunks[slot_off / CHUNK_BYTES];
    if (!*chunk)
        *chunk = mem_alloc(1, sizeof **chunk);
    if (!*chunk)
        return NULL;
    uint8_t **page = &(*chunk)->pages[slot_off % CHUNK_BYTES / TEMPLATE_PAGE];
    if (!*page && template->pages < PAGES_MAX) {
        *page = mem_alloc(1, TEMPLATE_PAGE);
        template->pages += *page != NULL;
    }
    return *page;
}

static bool put(struct template *template, uint64_t slot_off, const void *bytes, uint64_t size, struct err *err)
{
    const uint8_t *from = bytes;
    while (size) {
        uint64_t at = slot_off % TEMPLATE_PAGE, part = TEMPLATE_PAGE - at < size ? TEMPLATE_PAGE - at : size;
        uint8_t *page = page_for_write(template, slot_off);
        if (!page)
            return template->pages >= PAGES_MAX ? err_set(err, ERR_LIMIT, "more than 1 GiB of initialised memory")
                                                : err_memory(err);
        memcpy(page + at, from, part);
        slot_off += part;
        from += part;
        size -= part;
    }
    return true;
}

static void get(const struct template *template, uint64_t slot_off, void *bytes, uint64_t size)
{
    const uint8_t *page = template_page(template, slot_off & ~(uint64_t)(TEMPLATE_PAGE - 1));
    if (page) /* cells and words never straddle pages */
        memcpy(bytes, page + slot_off % TEMPLATE_PAGE, size);
    else
        memset(bytes, 0, size);
}

const uint8_t *template_page(const struct template *template, uint64_t slot_off)
{
    const struct template_chunk *chunk = template->chunks[slot_off / CHUNK_BYTES];
    return chunk ? chunk->pages[slot_off % CHUNK_BYTES / TEMPLATE_PAGE] : NULL;
}

uint64_t template_next(const struct template *template, uint64_t slot_off)
{
    for (uint64_t c = slot_off / CHUNK_BYTES; c < template->chunk_count; c++) {
        uint64_t first = c == slot_off / CHUNK_BYTES ? slot_off % CHUNK_BYTES / TEMPLATE_PAGE : 0;
        for (uint64_t p = first; template->chunks[c] && p < CHUNK_PAGES; p++)
            if (template->chunks[c]->pages[p])
                return c * CHUNK_BYTES + p * TEMPLATE_PAGE;
    }
    return UINT64_MAX;
}

void template_free(struct template *template)
{
    for (uint64_t c = 0; template->chunks && c < template->chunk_count; c++) {
        for (uint32_t p = 0; template->chunks[c] && p < CHUNK_PAGES; p++)
            mem_free(template->chunks[c]->pages[p]);
        mem_free(template->chunks[c]);
    }
    mem_free(template->chunks);
    template->chunks = NULL;
}

static uint64_t slot_off(const struct unit *unit, struct place place)
{
    return (uint64_t)((int64_t)unit->context + place.off);
}

uint64_t template_funcref(const struct plan *plan, const struct template_code *code, uint32_t unit_index, uint32_t func)
{
    const struct unit *unit = &plan->units[unit_index];
    const struct func_place *place = &unit->funcs[func];
    if (place->link == FUNC_GUEST)
        return 0;
    if (place->link == FUNC_HOST)
        return FUNCREF_MAKE(code->code_off(code->arg, unit_index, func, 1), unit->context);
    const struct unit *owner = &plan->units[place->unit];
    return FUNCREF_MAKE(code->code_off(code->arg, place->unit, place->func, 0), owner->context);
}

/* The value of a constant expression of `unit` that is not late. */
static union cell const_value(struct building *b, const struct unit *unit, struct wasm_expr expr)
{
    struct wasm_const value = wasm_const_eval(unit->module, expr);
    union cell cell = {.lanes = {0, 0}};
    if (value.kind == WASM_CONST_BITS)
        cell = (union cell){.lanes = {value.v[0], value.v[1]}};
    else if (value.kind == WASM_CONST_FUNC)
        cell.u64 = template_funcref(b->plan, b->code, unit->index, value.index);
    else if (value.kind == WASM_CONST_GLOBAL)
        get(b->template, slot_off(unit, unit->globals[value.index]), &cell, sizeof cell);
    return cell;
}

static bool build_globals(struct building *b, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_globals; i < module->global_count; i++) {
        if (unit->late.globals[i])
            continue;
        union cell cell = const_value(b, unit, module->globals[i].init);
        if (!put(b->template, slot_off(unit, unit->globals[i]), &cell, sizeof cell, err))
            return false;
    }
    return true;
}

static uint64_t func_hash(const struct unit *unit, uint32_t func)
{
    return unit->module->types[unit->module->funcs[func].type].hash;
}

/* One table entry from a constant expression. */
static struct table_entry expr_entry(struct building *b, const struct unit *unit, struct wasm_expr expr)
{
    struct wasm_const value = wasm_const_eval(unit->module, expr);
    uint64_t hash = value.kind == WASM_CONST_FUNC ? func_hash(unit, value.index) : 0;
    return (struct table_entry){const_value(b, unit, expr).u64, hash};
}

static void entries_of(struct building *b, const struct unit *unit, uint32_t elem_index, struct table_entry *entries)
{
    const struct wasm_elem *elem = &unit->module->elems[elem_index];
    for (uint32_t i = 0; i < elem->count; i++)
        entries[i] = elem->funcs ? (struct table_entry){template_funcref(b->plan, b->code, unit->index, elem->funcs[i]),
                                                        func_hash(unit, elem->funcs[i])}
                                 : expr_entry(b, unit, elem->exprs[i]);
}

void template_entries(struct template *template, const struct plan *plan, const struct template_code *code,
                      uint32_t unit, uint32_t elem, struct table_entry *ret_entries)
{
    struct building b = {template, plan, NULL, code};
    entries_of(&b, &plan->units[unit], elem, ret_entries);
}

static bool build_table(struct building *b, const struct unit *unit, uint32_t index, struct err *err)
{
    const struct wasm_table *table = &unit->module->tables[index];
    uint64_t length = table->limits.min, at = slot_off(unit, unit->tables[index].entries);
    if (!put(b->template, slot_off(unit, unit->tables[index].length), &length, sizeof length, err))
        return false;
    if (!table->has_init || unit->late.tables[index])
        return true;
    struct table_entry entry = expr_entry(b, unit, table->init);
    for (uint64_t i = 0; entry.reference && i < length; i++)
        if (!put(b->template, at + i * sizeof entry, &entry, sizeof entry, err))
            return false;
    return true;
}

static bool drop_segment(struct building *b, const struct unit *unit, uint32_t number, struct err *err)
{
    const uint8_t dropped = 1;
    return put(b->template, b->geometry->segment_flags[unit->index] + number, &dropped, 1, err);
}

static bool build_elem(struct building *b, const struct unit *unit, uint32_t index, struct err *err)
{
    const struct wasm_elem *elem = &unit->module->elems[index];
    union cell offset = const_value(b, unit, elem->offset);
    uint64_t length;
    if (!unit->module->tables[elem->table].limits.is_64)
        offset.u64 = offset.u32;
    get(b->template, slot_off(unit, unit->tables[elem->table].length), &length, sizeof length);
    if (elem->count > length || offset.u64 > length - elem->count) {
        b->template->trap = TRAP_TABLE_BOUNDS;
        return true;
    }
    struct table_entry *entries = mem_alloc(elem->count, sizeof *entries);
    if (!entries && elem->count)
        return err_memory(err);
    uint64_t at = slot_off(unit, unit->tables[elem->table].entries) + offset.u64 * sizeof *entries;
    entries_of(b, unit, index, entries);
    bool done = put(b->template, at, entries, elem->count * sizeof *entries, err);
    mem_free(entries);
    return done && drop_segment(b, unit, unit->module->data_count + index, err);
}

static bool build_data(struct building *b, const struct unit *unit, uint32_t index, struct err *err)
{
    const struct wasm_data *data = &unit->module->datas[index];
    const struct memory_place *memory = &unit->memories[data->memory];
    union cell offset = const_value(b, unit, data->offset);
    uint64_t size;
    if (!unit->module->memories[data->memory].limits.is_64)
        offset.u64 = offset.u32;
    get(b->template, slot_off(unit, memory->size), &size, sizeof size);
    if (data->size > size || offset.u64 > size - data->size) {
        b->template->trap = TRAP_MEMORY_BOUNDS;
        return true;
    }
    return put(b->template, slot_off(unit, memory->base) + offset.u64, unit->module->bytes + data->start, data->size,
               err) &&
           drop_segment(b, unit, index, err);
}

static bool build_segments(struct building *b, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->elem_count && !b->template->trap; i++) {
        bool active = module->elems[i].mode == WASM_ACTIVE && !unit->late.elems[i],
             declared = module->elems[i].mode == WASM_DECLARED;
        if (active && !build_elem(b, unit, i, err))
            return false;
        if (declared && !drop_segment(b, unit, module->data_count + i, err))
            return false;
    }
    for (uint32_t i = 0; i < module->data_count && !b->template->trap; i++)
        if (module->datas[i].mode == WASM_ACTIVE && !unit->late.datas[i] && !build_data(b, unit, i, err))
            return false;
    return true;
}

static bool build_memories(struct building *b, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_memories; i < module->memory_count; i++) {
        uint64_t size = module->memories[i].limits.min << module->memories[i].page_log2;
        if (!put(b->template, slot_off(unit, unit->memories[i].size), &size, sizeof size, err))
            return false;
    }
    return true;
}

static bool build_descriptor(struct building *b, uint32_t row, uint32_t offset, struct err *err)
{
    uint32_t count = heap_descriptor_words(&b->geometry->types, row);
    uint32_t *words = mem_alloc(count, sizeof *words);
    if (!words)
        return err_memory(err);
    heap_descriptor(&b->geometry->types, row, words);
    bool done = put(b->template, b->geometry->heap_off + offset, words, count * sizeof *words, err);
    mem_free(words);
    return done;
}

static bool build_heap(struct building *b, struct err *err)
{
    const struct geometry *geometry = b->geometry;
    if (!geometry->heap_off)
        return true;
    struct heap_words words = {(uint32_t)geometry->heap_objects, (uint32_t)(geometry->heap_objects + HEAP_FIRST)};
    if (!put(b->template, geometry->heap_words, &words, sizeof words, err) ||
        !build_descriptor(b, WASM_NO_INDEX, (uint32_t)HEAP_NULL_BYTES, err))
        return false;
    for (uint32_t i = 0; i < geometry->types.count; i++)
        if (geometry->types.rows[i].descriptor && !build_descriptor(b, i, geometry->types.rows[i].descriptor, err))
            return false;
    return true;
}

static bool build_unit(struct building *b, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    if (!build_globals(b, unit, err) || !build_memories(b, unit, err))
        return false;
    for (uint32_t i = module->imported_tables; i < module->table_count; i++)
        if (!build_table(b, unit, i, err))
            return false;
    return build_segments(b, unit, err);
}

bool template_build(struct template *template, const struct plan *plan, const struct geometry *geometry,
                    const struct template_code *code, struct err *err)
{
    memset(template, 0, sizeof *template);
    template->size = geometry->slot_size;
    template->chunk_count = geometry->slot_size / CHUNK_BYTES + 1;
    template->chunks = mem_alloc(template->chunk_count, sizeof *template->chunks);
    if (!template->chunks)
        return err_memory(err);
    struct building b = {template, plan, geometry, code};
    if (!build_heap(&b, err)) {
        template_free(template);
        return false;
    }
    for (uint32_t i = 0; i < plan->unit_count && !template->trap; i++)
        if (!build_unit(&b, &plan->units[i], err)) {
            template_free(template);
            return false;
        }
    return true;
}
