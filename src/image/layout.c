/* Gives every part of every unit its place in the slot, before code is generated.
 *
 * Order matters for speed: what every request writes (memory sizes, globals, the first handles) comes
 * first in the mutable part and shares a page; tables follow; tables that may grow get whole pages of
 * reserved address space. The heap follows, then memories, each with its guard region.
 */
#include "image/unit.h"

#include "base/arena.h"

#include <inttypes.h>

#define PAGE 4096u
#define TABLE_CAPACITY_MAX ((uint64_t)10000000) /* entries a growable table may reach */
#define TABLE_INLINE_MAX ((uint64_t)1024)       /* entries up to which a fixed table shares pages */
#define MEMORY_RESERVE_64 ((uint64_t)16 << 30)
#define MEMORY_GUARD_64 ((uint64_t)1 << 16)
#define SLOT_SIZE_MAX ((uint64_t)1 << 40)

struct layout {
    struct unit *units;
    uint32_t count;
    struct arena *arena;
    struct geometry *geometry;
    uint64_t at; /* next free offset from the slot base */
};

#define EACH_UNIT(layout, call)                                                                                        \
    for (uint32_t i = 0; i < (layout)->count; i++) {                                                                   \
        struct unit *unit = &(layout)->units[i];                                                                       \
        call;                                                                                                          \
    }

static uint64_t take(struct layout *layout, uint64_t size, uint64_t alignment)
{
    uint64_t start = (layout->at + alignment - 1) & ~(alignment - 1);
    layout->at = start + size;
    return start;
}

static struct place here(const struct unit *unit, uint64_t slot_off)
{
    return (struct place){PLACE_HERE, (int64_t)slot_off - (int64_t)unit->context};
}

static bool make_arrays(struct layout *layout, struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    struct arena *arena = layout->arena;
    unit->funcs = ARENA_ARRAY(arena, struct func_place, module->func_count);
    unit->memories = ARENA_ARRAY(arena, struct memory_place, module->memory_count);
    unit->tables = ARENA_ARRAY(arena, struct table_place, module->table_count);
    unit->globals = ARENA_ARRAY(arena, struct place, module->global_count);
    unit->tags = ARENA_ARRAY(arena, struct place, module->tag_count);
    unit->elems = ARENA_ARRAY(arena, struct place, module->elem_count);
    struct geometry *geometry = layout->geometry;
    geometry->memory_reserve[unit->index] = ARENA_ARRAY(arena, uint64_t, module->memory_count);
    geometry->table_capacity[unit->index] = ARENA_ARRAY(arena, uint64_t, module->table_count);
    bool made = unit->funcs && unit->memories && unit->tables && unit->globals && unit->tags && unit->elems &&
                geometry->memory_reserve[unit->index] && geometry->table_capacity[unit->index];
    return made || err_memory(err);
}

/* The fixed part: context, import words, tags. Functions are resolved here too. */
static void place_context(struct layout *layout, struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    unit->context = (uint32_t)take(layout, sizeof(struct context), CONTEXT_ALIGN);
    for (uint32_t i = 0; i < module->func_count; i++) {
        struct func_place *place = &unit->funcs[i];
        *place = (struct func_place){.link = FUNC_DEFINED, .unit = unit->index, .func = i};
        if (i >= module->imported_funcs)
            continue;
        const struct unit_import *import = &unit->imports[module->funcs[i].import];
        place->link = import->from == IMPORT_HOST ? FUNC_HOST : FUNC_GUEST;
        if (import->from != IMPORT_UNIT)
            place->off = here(unit, take(layout, sizeof(struct import_words), 16)).off;
    }
    for (uint32_t i = module->imported_tags; i < module->tag_count; i++)
        unit->tags[i] = here(unit, take(layout, 16, 16));
}

/* An import satisfied at run time: its words lie in the fixed part. */
static struct place open_place(struct layout *layout, struct unit *unit)
{
    struct place place = here(unit, take(layout, sizeof(struct link_words), 8));
    place.kind = PLACE_THERE;
    return place;
}

/* The word behind the address. */
static struct place open_size(struct place place)
{
    place.off += offsetof(struct link_words, size);
    return place;
}

static void place_open_imports(struct layout *layout, struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct wasm_import *import = &module->imports[i];
        if (unit->imports[i].from == IMPORT_UNIT || unit->imports[i].from == IMPORT_WORD)
            continue;
        if (import->kind == WASM_FUNC)
            continue;
        struct place place = open_place(layout, unit);
        if (import->kind == WASM_MEMORY)
            unit->memories[import->index] = (struct memory_place){place, open_size(place)};
        else if (import->kind == WASM_TABLE)
            unit->tables[import->index] = (struct table_place){place, open_size(place)};
        else if (import->kind == WASM_GLOBAL)
            unit->globals[import->index] = place;
        else
            unit->tags[import->index] = place;
    }
}

/* The hot beginning of the mutable part. */
static void place_small(struct layout *layout, struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_memories; i < module->memory_count; i++)
        unit->memories[i].size = here(unit, take(layout, 8, 8));
    for (uint32_t i = module->imported_tables; i < module->table_count; i++)
        unit->tables[i].length = here(unit, take(layout, 8, 8));
    for (uint32_t i = module->imported_globals; i < module->global_count; i++)
        unit->globals[i] = here(unit, take(layout, sizeof(union cell), 16));
    layout->geometry->segment_flags[unit->index] = take(layout, (uint64_t)module->data_count + module->elem_count, 1);
}

static bool table_is_inline(const struct wasm_table *table)
{
    return table->limits.has_max && table->limits.max == table->limits.min && table->limits.min <= TABLE_INLINE_MAX;
}

static bool place_table(struct layout *layout, struct unit *unit, uint32_t index, struct err *err)
{
    const struct wasm_table *table = &unit->module->tables[index];
    uint64_t capacity =
        table->limits.has_max && table->limits.max < TABLE_CAPACITY_MAX ? table->limits.max : TABLE_CAPACITY_MAX;
    if (capacity < table->limits.min)
        return err_at(err, ERR_LIMIT, unit->module->origin + table->at,
                      "a table of %" PRIu64 " entries; the most is %" PRIu64, table->limits.min, TABLE_CAPACITY_MAX);
    layout->geometry->table_capacity[unit->index][index] = capacity;
    uint64_t alignment = table_is_inline(table) ? 16 : PAGE;
    unit->tables[index].entries = here(unit, take(layout, capacity * sizeof(struct table_entry), alignment));
    return true;
}

static bool place_tables(struct layout *layout, bool inline_, struct err *err)
{
    for (uint32_t u = 0; u < layout->count; u++) {
        struct unit *unit = &layout->units[u];
        for (uint32_t i = unit->module->imported_tables; i < unit->module->table_count; i++)
            if (table_is_inline(&unit->module->tables[i]) == inline_ && !place_table(layout, unit, i, err))
                return false;
    }
    return true;
}

/* Element segments whose entries the instance makes. */
static void place_items(struct layout *layout, struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->elem_count; i++)
        if (unit->late.items[i])
            unit->elems[i] = here(unit, take(layout, module->elems[i].count * sizeof(struct table_entry), 16));
}

/* The words of the heap are written by every request that makes an object: they stand with the globals. */
static void place_heap_words(struct layout *layout)
{
    if (layout->geometry->types.types_end)
        layout->geometry->heap_words = take(layout, sizeof(struct heap_words), 8);
    EACH_UNIT(layout, unit->heap.words = here(unit, layout->geometry->heap_words))
}

static void place_heap(struct layout *layout)
{
    struct geometry *geometry = layout->geometry;
    if (!geometry->types.types_end)
        return;
    geometry->heap_objects = ((uint64_t)geometry->types.types_end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    geometry->heap_off = take(layout, HEAP_RESERVE, PAGE);
    EACH_UNIT(layout, unit->heap.base = here(unit, geometry->heap_off))
}

/* Bytes that a memory may grow to. All of the index range for 32 bits, whose accesses are not checked; up to the
 * declared maximum for 64 bits. */
static uint64_t memory_capacity(const struct wasm_memory *memory)
{
    if (!memory->limits.is_64)
        return (uint64_t)1 << 32;
    uint64_t pages = MEMORY_RESERVE_64 >> memory->page_log2;
    if (memory->limits.has_max && memory->limits.max < pages)
        pages = memory->limits.max;
    return pages << memory->page_log2;
}

static bool place_memories(struct layout *layout, struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_memories; i < module->memory_count; i++) {
        const struct wasm_memory *memory = &module->memories[i];
        uint64_t capacity = memory_capacity(memory);
        uint64_t guard = memory->limits.is_64 ? MEMORY_GUARD_64 : MEMORY_RESERVE_32 - capacity;
        if (memory->limits.min > capacity >> memory->page_log2)
            return err_set(err, ERR_LIMIT, "memory of %" PRIu64 " pages is more than this engine reserves",
                           memory->limits.min);
        layout->geometry->memory_reserve[unit->index][i] = capacity;
        unit->memories[i].base = here(unit, take(layout, capacity + guard, PAGE));
        if (layout->at > SLOT_SIZE_MAX)
            return err_set(err, ERR_LIMIT, "the memories of one instance reserve more than 2^40 bytes of addresses");
    }
    return true;
}

/* A place of unit `from`, seen from unit `to`. */
static struct place moved(const struct unit *to, const struct unit *from, struct place place)
{
    place.off += (int64_t)from->context - (int64_t)to->context;
    return place;
}

static void resolve_func(struct layout *layout, struct unit *unit, uint32_t index, const struct unit_import *import)
{
    const struct unit *from = &layout->units[import->unit];
    struct func_place place = from->funcs[import->index]; /* resolved before: it precedes this unit */
    int64_t delta = (int64_t)from->context - (int64_t)unit->context;
    if (place.link == FUNC_DEFINED)
        place.link = FUNC_DIRECT;
    if (place.link == FUNC_DIRECT)
        place.context_delta += delta;
    else
        place.off += delta;
    unit->funcs[index] = place;
}

static void resolve_import(struct layout *layout, struct unit *unit, const struct wasm_import *import,
                           const struct unit_import *by)
{
    const struct unit *from = &layout->units[by->unit];
    switch (import->kind) {
    case WASM_FUNC: resolve_func(layout, unit, import->index, by); break;
    case WASM_MEMORY:
        unit->memories[import->index] = (struct memory_place){moved(unit, from, from->memories[by->index].base),
                                                              moved(unit, from, from->memories[by->index].size)};
        break;
    case WASM_TABLE:
        unit->tables[import->index] = (struct table_place){moved(unit, from, from->tables[by->index].entries),
                                                           moved(unit, from, from->tables[by->index].length)};
        break;
    case WASM_GLOBAL: unit->globals[import->index] = moved(unit, from, from->globals[by->index]); break;
    case WASM_TAG: unit->tags[import->index] = moved(unit, from, from->tags[by->index]); break;
    }
}

static uint32_t space_size(const struct wasm_module *module, enum wasm_extern_kind kind)
{
    const uint32_t sizes[] = {[WASM_FUNC] = module->func_count,
                              [WASM_TABLE] = module->table_count,
                              [WASM_MEMORY] = module->memory_count,
                              [WASM_GLOBAL] = module->global_count,
                              [WASM_TAG] = module->tag_count};
    return sizes[kind];
}

/* A global that is a word of a component instance. */
static bool resolve_word(struct layout *layout, struct unit *unit, uint32_t index, struct err *err)
{
    const struct unit_import *by = &unit->imports[index];
    const struct wasm_import *import = &unit->module->imports[index];
    if (import->kind != WASM_GLOBAL || by->unit >= layout->geometry->handle_tables ||
        by->index > CONTEXT_HANDLE_TABLE_BYTES - sizeof(union cell))
        return err_set(err, ERR_LINK, "import %u of core instance %u is no word of an instance", index, unit->index);
    uint64_t table = layout->geometry->handles_off + (uint64_t)by->unit * CONTEXT_HANDLE_TABLE_BYTES;
    unit->globals[import->index] = here(unit, table + by->index);
    return true;
}

static bool resolve_unit(struct layout *layout, struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct unit_import *by = &unit->imports[i];
        if (by->from == IMPORT_WORD && !resolve_word(layout, unit, i, err))
            return false;
        if (by->from != IMPORT_UNIT)
            continue;
        if (by->unit >= unit->index || by->index >= space_size(layout->units[by->unit].module, module->imports[i].kind))
            return err_set(err, ERR_LINK, "import %u of core instance %u names what does not precede it", i,
                           unit->index);
        resolve_import(layout, unit, &module->imports[i], by);
    }
    return true;
}

static bool lay_out_types(struct layout *layout, struct err *err)
{
    struct type_table *table = &layout->geometry->types;
    bool boxes = false;
    if (!types_collect(layout->units, layout->count, layout->arena, table, err))
        return false;
    for (uint32_t i = 0; i < layout->count && !boxes; i++)
        if (!heap_makes_boxes(layout->units[i].module, &boxes, err))
            return false;
    if (!heap_lay_out(table, boxes, 0, layout->arena, err))
        return false;
    table = arena_copy(layout->arena, table, sizeof *table);
    EACH_UNIT(layout, unit->table = table)
    return table || err_memory(err);
}

static bool begin(struct layout *layout, struct err *err)
{
    struct geometry *geometry = layout->geometry;
    if (!lay_out_types(layout, err))
        return false;
    geometry->segment_flags = ARENA_ARRAY(layout->arena, uint64_t, layout->count);
    geometry->memory_reserve = ARENA_ARRAY(layout->arena, uint64_t *, layout->count);
    geometry->table_capacity = ARENA_ARRAY(layout->arena, uint64_t *, layout->count);
    if (!geometry->segment_flags || !geometry->memory_reserve || !geometry->table_capacity)
        return err_memory(err);
    for (uint32_t i = 0; i < layout->count; i++) {
        layout->units[i].index = i;
        if (!make_arrays(layout, &layout->units[i], err) ||
            !late_find(layout->units, &layout->units[i], layout->arena, err))
            return false;
    }
    return true;
}

bool layout_compute(struct unit *units, uint32_t count, uint32_t handle_tables, struct arena *arena,
                    struct geometry *ret_geometry, struct err *err)
{
    struct geometry geometry = {.handle_tables = handle_tables};
    struct layout layout = {units, count, arena, &geometry, sizeof(struct store)};
    if (!begin(&layout, err))
        return false;
    EACH_UNIT(&layout, (place_context(&layout, unit), place_open_imports(&layout, unit)))
    layout.at = geometry.fixed_size = take(&layout, 0, PAGE);
    EACH_UNIT(&layout, place_small(&layout, unit))
    place_heap_words(&layout);
    if (!place_tables(&layout, true, err))
        return false;
    EACH_UNIT(&layout, place_items(&layout, unit))
    geometry.handles_off = take(&layout, (uint64_t)handle_tables * CONTEXT_HANDLE_TABLE_BYTES, CONTEXT_ALIGN);
    if (!place_tables(&layout, false, err))
        return false;
    geometry.mutable_size = take(&layout, 0, PAGE) - geometry.fixed_size;
    layout.at = geometry.fixed_size + geometry.mutable_size;
    place_heap(&layout);
    for (uint32_t i = 0; i < count; i++)
        if (!place_memories(&layout, &units[i], err))
            return false;
    geometry.slot_size = take(&layout, 0, PAGE);
    for (uint32_t i = 0; i < count; i++)
        if (!resolve_unit(&layout, &units[i], err))
            return false;
    *ret_geometry = geometry;
    return true;
}
