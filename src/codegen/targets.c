/* See targets.h. */
#include "codegen/targets.h"

#include "wasm/limits.h"

/* A file must not become an image many times its size: there are targets for the first few tables of a module, and
 * those of one table are no more words than the module has bytes, nor than this. */
#define TABLES_MAX 4u
#define WORDS_MAX (1u << 17)
#define SPARSE_MAX 8u    /* entries for each that is set */
#define OFFSET_BYTES 16u /* of the expression that says where a segment begins: it is evaluated for each type */

_Static_assert(WASM_MAX_TYPES <= 1u << TARGETS_TYPE_BITS && TABLES_MAX <= 1u << (32 - TARGETS_TYPE_BITS),
               "a type and a table make one number");

/* Words for every type, called or not; each asks all segments. */
static bool fit(const struct wasm_module *module, uint64_t length)
{
    if (length > WORDS_MAX)
        return false;
    uint64_t words = (length + 1 + module->elem_count) * module->type_count;
    return words <= WORDS_MAX && words <= module->size;
}

/* Where its functions begin; false: that is not known, or it does not fit, so that instantiation traps. */
static bool place_of(const struct wasm_module *module, const struct wasm_elem *elem, uint64_t *ret_first)
{
    if (elem->offset.end - elem->offset.start > OFFSET_BYTES)
        return false;
    const struct wasm_const offset = wasm_const_eval(module, elem->offset);
    const struct wasm_limits *limits = &module->tables[elem->table].limits;
    *ret_first = limits->is_64 ? offset.v[0] : (uint32_t)offset.v[0];
    return offset.kind == WASM_CONST_BITS && elem->count <= limits->min && *ret_first <= limits->min - elem->count;
}

static bool fills(const struct wasm_elem *elem, uint32_t table)
{
    return elem->mode == WASM_ACTIVE && elem->table == table;
}

bool targets_known(const struct unit *unit, uint32_t table)
{
    const struct wasm_module *module = unit->module;
    const struct wasm_limits *limits = &module->tables[table].limits;
    uint64_t set = 0, first;
    if (table >= TABLES_MAX || module->tables[table].import != WASM_NO_INDEX || module->tables[table].has_init ||
        limits->is_64 || !fit(module, limits->min))
        return false;
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct wasm_elem *elem = &module->elems[i];
        if (!fills(elem, table))
            continue;
        if (unit->late.elems[i] || (elem->count && !elem->funcs) || !place_of(module, elem, &first))
            return false;
        set += elem->count;
    }
    return set * SPARSE_MAX >= limits->min;
}

struct piece_symbol targets_symbol(const struct unit *unit, uint32_t table, uint32_t type)
{
    uint32_t canonical = unit->module->types[type].canonical;
    return (struct piece_symbol){PIECE_TARGETS, unit->index, table << TARGETS_TYPE_BITS | canonical};
}

bool targets_of_symbol(const struct unit *unit, const struct piece_symbol *symbol, uint32_t *ret_table,
                       uint32_t *ret_type)
{
    const struct wasm_module *module = unit->module;
    uint32_t table = symbol->func >> TARGETS_TYPE_BITS, type = symbol->func & ((1u << TARGETS_TYPE_BITS) - 1);
    if (table >= module->table_count || type >= module->type_count || !targets_known(unit, table))
        return false;
    *ret_table = table;
    *ret_type = type;
    return true;
}

static bool may_call(const struct wasm_module *module, uint32_t func, uint32_t type)
{
    uint32_t own = module->funcs[func].type;
    return module->types[own].canonical == module->types[type].canonical ||
           wasm_subtype(module, WASM_REF | own, WASM_REF | type);
}

void targets_list(const struct unit *unit, uint32_t table, uint32_t type, int64_t *ret_targets)
{
    const struct wasm_module *module = unit->module;
    uint64_t first;
    for (uint64_t i = 0; i < module->tables[table].limits.min; i++)
        ret_targets[i] = TARGET_NULL;
    for (uint32_t i = 0; i < module->elem_count; i++) {
        const struct wasm_elem *elem = &module->elems[i];
        if (!fills(elem, table) || !place_of(module, elem, &first))
            continue;
        for (uint32_t k = 0; k < elem->count; k++)
            ret_targets[first + k] = may_call(module, elem->funcs[k], type) ? (int64_t)elem->funcs[k] : TARGET_MISMATCH;
    }
}
