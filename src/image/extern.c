/* See extern.h. */
#include "image/extern.h"

/* A value type whose type index is a row of the image. */
static uint32_t extern_type(const struct unit *unit, wasm_valtype type)
{
    bool defined = wasm_is_ref(type) && wasm_heap_is_index(wasm_heap(type));
    return defined ? (type & ~WASM_HEAP_MASK) | unit->types[wasm_heap(type)] : type;
}

static void extern_limits(struct image_extern *row, const struct wasm_limits *limits)
{
    row->min = limits->min;
    row->max = limits->max;
    row->flags =
        (limits->is_64 ? EXTERN_64 : 0) | (limits->shared ? EXTERN_SHARED : 0) | (limits->has_max ? EXTERN_HAS_MAX : 0);
}

struct image_extern extern_describe(const struct unit *unit, enum wasm_extern_kind kind, uint32_t index,
                                    uint32_t *ret_import)
{
    const struct wasm_module *module = unit->module;
    struct image_extern row = {.kind = kind, .open = WASM_NO_INDEX};
    switch (kind) {
    case WASM_FUNC:
        row.type = unit->types[module->funcs[index].type];
        *ret_import = module->funcs[index].import;
        break;
    case WASM_TABLE:
        row.type = extern_type(unit, module->tables[index].type);
        extern_limits(&row, &module->tables[index].limits);
        *ret_import = module->tables[index].import;
        break;
    case WASM_MEMORY:
        row.page_log2 = module->memories[index].page_log2;
        extern_limits(&row, &module->memories[index].limits);
        *ret_import = module->memories[index].import;
        break;
    case WASM_GLOBAL:
        row.type = extern_type(unit, module->globals[index].type);
        row.flags = module->globals[index].mutable_ ? EXTERN_MUTABLE : 0;
        *ret_import = module->globals[index].import;
        break;
    case WASM_TAG:
        row.type = unit->types[module->tags[index].type];
        *ret_import = module->tags[index].import;
        break;
    }
    return row;
}

static uint64_t words_off(const struct unit *unit, struct place place)
{
    return (uint64_t)((int64_t)unit->context + place.off);
}

uint64_t extern_words(const struct unit *unit, enum wasm_extern_kind kind, uint32_t index)
{
    switch (kind) {
    case WASM_FUNC: return (uint64_t)((int64_t)unit->context + unit->funcs[index].off);
    case WASM_TABLE: return words_off(unit, unit->tables[index].entries);
    case WASM_MEMORY: return words_off(unit, unit->memories[index].base);
    case WASM_GLOBAL: return words_off(unit, unit->globals[index]);
    default: return words_off(unit, unit->tags[index]);
    }
}
