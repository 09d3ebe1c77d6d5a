/* See heap.h. Fields lie in order, each aligned to its size (at most 8), so that a subtype's begin like its
 * supertype's. */
#include "image/heap.h"

#include "wasm/body.h"
#include "wasm/limits.h"

#include <string.h>

static bool is_below(const struct wasm_module *module, wasm_valtype type, wasm_heaptype top)
{
    return wasm_subtype(module, type, WASM_REF | WASM_NULLABLE | top);
}

enum heap_ref heap_ref_of(const struct wasm_module *module, wasm_valtype storage)
{
    if (!wasm_is_ref(storage))
        return HEAP_REF_NONE;
    if (is_below(module, storage, HEAP_ANY))
        return HEAP_REF_ANY;
    return is_below(module, storage, HEAP_EXTERN) ? HEAP_REF_EXTERN : HEAP_REF_NONE;
}

uint32_t heap_storage_size(const struct wasm_module *module, wasm_valtype storage)
{
    switch (storage) {
    case WASM_I8: return 1;
    case WASM_I16: return 2;
    case WASM_I32:
    case WASM_F32: return 4;
    case WASM_V128: return 16;
    default: return heap_ref_of(module, storage) == HEAP_REF_ANY ? 4 : 8;
    }
}

static uint32_t round_up(uint32_t n, uint32_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

_Static_assert(HEAP_FIELDS_OFF + WASM_MAX_FIELDS * 16 + HEAP_ALIGN < HEAP_NULL_BYTES, "null faults at every field");

static bool lay_out_struct(struct type_row *row, const struct wasm_type *type, struct arena *arena, struct err *err)
{
    uint32_t *offsets = ARENA_ARRAY(arena, uint32_t, type->field_count), at = HEAP_FIELDS_OFF;
    if (!offsets)
        return err_memory(err);
    for (uint32_t i = 0; i < type->field_count; i++) {
        uint32_t size = heap_storage_size(row->module, type->fields[i].storage);
        offsets[i] = round_up(at, size < HEAP_ALIGN ? size : HEAP_ALIGN);
        at = offsets[i] + size;
        row->ref_count += heap_ref_of(row->module, type->fields[i].storage) != HEAP_REF_NONE;
    }
    row->offsets = offsets;
    row->size = round_up(at, HEAP_ALIGN);
    return true;
}

static void lay_out_array(struct type_row *row, const struct wasm_type *type)
{
    row->size = heap_storage_size(row->module, type->fields[0].storage);
    row->ref_count = heap_ref_of(row->module, type->fields[0].storage) != HEAP_REF_NONE;
}

static const struct wasm_type *type_of(const struct type_row *row)
{
    return &row->module->types[row->index];
}

static uint32_t depth_of(const struct type_table *table, const struct type_row *row)
{
    uint32_t depth = 0;
    for (; row->super != WASM_NO_INDEX; row = &table->rows[row->super])
        depth++;
    return depth;
}

static bool lay_out_objects(struct type_table *table, struct arena *arena, uint32_t *ret_deepest, struct err *err)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct type_row *row = &table->rows[i];
        const struct wasm_type *type = type_of(row);
        row->depth = depth_of(table, row);
        if (type->kind == WASM_COMP_FUNC)
            continue;
        if (row->depth + 1 > *ret_deepest)
            *ret_deepest = row->depth + 1;
        if (type->kind == WASM_COMP_ARRAY)
            lay_out_array(row, type);
        else if (!lay_out_struct(row, type, arena, err))
            return false;
    }
    return true;
}

bool heap_lay_out(struct type_table *table, bool wanted, uint32_t display, struct arena *arena, struct err *err)
{
    uint32_t deepest = 0;
    if (!lay_out_objects(table, arena, &deepest, err))
        return false;
    if (deepest == 0 && !wanted)
        return true;
    table->display = display ? display : deepest + 1;
    uint64_t at = HEAP_NULL_BYTES + (uint64_t)heap_descriptor_words(table, WASM_NO_INDEX) * 4;
    for (uint32_t i = 0; i < table->count; i++) {
        if (type_of(&table->rows[i])->kind == WASM_COMP_FUNC)
            continue;
        at = (at + HEAP_ALIGN - 1) & ~(uint64_t)(HEAP_ALIGN - 1);
        table->rows[i].descriptor = (uint32_t)at;
        at += (uint64_t)heap_descriptor_words(table, i) * 4;
        if (at > HEAP_TYPES_MAX)
            return err_set(err, ERR_LIMIT, "the types of structures and arrays need descriptors of more than 64 MiB");
    }
    table->types_end = (uint32_t)at;
    return true;
}

uint32_t heap_descriptor_words(const struct type_table *table, uint32_t row)
{
    bool lists = row != WASM_NO_INDEX && type_of(&table->rows[row])->kind == WASM_COMP_STRUCT;
    return (uint32_t)sizeof(struct heap_type) / 4 + table->display + (lists ? table->rows[row].ref_count : 0);
}

static void describe_struct(const struct type_table *table, const struct type_row *row, struct heap_type *type,
                            uint32_t *list)
{
    const struct wasm_type *of = type_of(row);
    type->display[0] = HEAP_ROOT_STRUCT;
    type->ref_first = (uint32_t)sizeof *type / 4 + table->display;
    for (uint32_t i = 0; i < of->field_count; i++) {
        enum heap_ref ref = heap_ref_of(row->module, of->fields[i].storage);
        if (ref != HEAP_REF_NONE)
            list[type->ref_count++] = row->offsets[i] | ref;
    }
}

static void describe_array(const struct type_row *row, struct heap_type *type)
{
    type->display[0] = HEAP_ROOT_ARRAY;
    type->ref = heap_ref_of(row->module, type_of(row)->fields[0].storage);
}

void heap_descriptor(const struct type_table *table, uint32_t row_number, uint32_t *ret_words)
{
    struct heap_type *type = (struct heap_type *)ret_words;
    for (uint32_t i = 0; i < heap_descriptor_words(table, row_number); i++)
        ret_words[i] = 0;
    if (row_number == WASM_NO_INDEX) {
        type->size = HEAP_BOX_BYTES;
        type->display[0] = HEAP_ROOT_BOX;
        return;
    }
    const struct type_row *row = &table->rows[row_number];
    type->size = row->size;
    if (type_of(row)->kind == WASM_COMP_ARRAY)
        describe_array(row, type);
    else
        describe_struct(table, row, type, type->display + table->display);
    for (const struct type_row *r = row;; r = &table->rows[r->super]) {
        type->display[1 + r->depth] = r->descriptor;
        if (r->super == WASM_NO_INDEX)
            break;
    }
}

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    return true;
}

static bool look_for_box(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    *(bool *)arg |= op->code == OP_ANY_CONVERT_EXTERN;
    return true;
}

/* May [at, at + size) hold the instruction? Its second byte may be a longer LEB128. */
static bool suspect(const uint8_t *at, size_t size)
{
    for (const uint8_t *end = at + size; at < end && (at = memchr(at, 0xfb, (size_t)(end - at))) != NULL; at++)
        if (end - at > 1 && (at[1] & 0x7f) == 0x1a)
            return true;
    return false;
}

static bool bodies_make_boxes(const struct wasm_module *module, bool *ret_boxes, struct err *err)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = look_for_box};
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    if (!scratch)
        return false;
    bool done = true;
    for (uint32_t i = module->imported_funcs; done && !*ret_boxes && i < module->func_count; i++)
        if (suspect(module->bytes + module->funcs[i].body, module->funcs[i].size))
            done = wasm_body_read(module, i, scratch, &visitor, ret_boxes, err);
    wasm_body_scratch_free(scratch);
    return done;
}

bool heap_makes_boxes(const struct wasm_module *module, bool *ret_boxes, struct err *err)
{
    bool boxes = false;
    for (uint32_t i = 0; i < module->type_count; i++)
        if (module->types[i].kind != WASM_COMP_FUNC)
            return true; /* there is a heap anyway */
    for (uint32_t i = module->imported_globals; i < module->global_count; i++)
        boxes |= module->globals[i].value.kind == WASM_CONST_EXPR;
    for (uint32_t i = 0; i < module->table_count; i++)
        boxes |= module->tables[i].has_init && heap_ref_of(module, module->tables[i].type) == HEAP_REF_ANY;
    for (uint32_t i = 0; i < module->elem_count; i++)
        boxes |= heap_ref_of(module, module->elems[i].type) == HEAP_REF_ANY;
    if (!boxes && !bodies_make_boxes(module, &boxes, err))
        return false;
    *ret_boxes = boxes;
    return true;
}
