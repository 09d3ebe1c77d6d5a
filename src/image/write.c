/* See write.h. Sections are collected in buffers of their own, then laid out one after the other; the
 * code offset must be known before the template can be built, because references hold code offsets, so
 * everything of known size comes before the code and template pages come last. */
#include "image/write.h"

#include "base/alloc.h"
#include "base/checksum.h"
#include "image/extern.h"
#include "image/template.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    const struct plan *plan;
    const struct geometry *geometry;
    const struct code_parts *parts;
    struct buf sections[IMAGE_SECTION_COUNT];
    struct image_header header;
    uint64_t *func_index; /* code_off by unit's first function + func: see locate */
    uint64_t *unit_first;
    uint64_t *inits; /* code_off of each unit's function of late initializers, 0: none */
    struct template_code code;
    struct template template;
    uint32_t mem_first, table_first;
};

static const uint32_t element_sizes[IMAGE_SECTION_COUNT] = {
#define SECTION(name, type) [IMAGE_##name] = sizeof(type),
    IMAGE_SECTIONS(SECTION)
#undef SECTION
};

#define ADD(w, section, ...) buf_append(&(w)->sections[IMAGE_##section], &(__VA_ARGS__), sizeof(__VA_ARGS__))

static uint64_t count_of(const struct writer *w, enum image_section section)
{
    return w->sections[section].size / element_sizes[section];
}

static struct image_string add_string(struct writer *w, struct str s)
{
    struct buf *strings = &w->sections[IMAGE_strings];
    struct image_string at = {(uint32_t)strings->size, (uint32_t)s.len};
    buf_append(strings, s.ptr, s.len);
    return at;
}

/* Code offsets by (kind, unit, func): one array of functions and one of thunks per unit. */
static uint64_t locate(void *arg, uint32_t unit, uint32_t func, uint32_t kind)
{
    struct writer *w = arg;
    uint64_t at = w->unit_first[unit] + (uint64_t)kind * w->plan->units[unit].module->func_count + func;
    return w->func_index[at];
}

static void index_function(struct writer *w, const struct image_func *func)
{
    uint64_t code_off = w->header.code_offset + func->code_off;
    if (func->unit >= w->plan->unit_count)
        return;
    uint32_t count = w->plan->units[func->unit].module->func_count;
    if (func->kind == IMAGE_FUNC_INIT)
        w->inits[func->unit] = code_off;
    else if (func->kind <= IMAGE_FUNC_THUNK && func->func < count)
        w->func_index[w->unit_first[func->unit] + (uint64_t)func->kind * count + func->func] = code_off;
}

static bool index_functions(struct writer *w, struct err *err)
{
    uint64_t total = 0;
    w->unit_first = mem_alloc(w->plan->unit_count, sizeof *w->unit_first);
    for (uint32_t i = 0; w->unit_first && i < w->plan->unit_count; i++) {
        w->unit_first[i] = total;
        total += 2 * (uint64_t)w->plan->units[i].module->func_count;
    }
    w->func_index = mem_alloc(total, sizeof *w->func_index);
    w->inits = mem_alloc(w->plan->unit_count, sizeof *w->inits);
    if (!w->unit_first || !w->func_index || !w->inits)
        return err_memory(err);
    for (uint64_t i = 0; i < w->parts->func_count; i++)
        index_function(w, &w->parts->funcs[i]);
    w->code = (struct template_code){locate, w};
    return true;
}

static uint64_t slot_off(const struct unit *unit, struct place place)
{
    return place.kind == PLACE_HERE ? (uint64_t)((int64_t)unit->context + place.off) : UINT64_MAX;
}

/* Where the words of something linked at run time lie, 0 for what is here. */
static uint64_t words_off(const struct unit *unit, struct place place)
{
    return place.kind == PLACE_THERE ? (uint64_t)((int64_t)unit->context + place.off) : 0;
}

/* The unit and index that define what `index` of `unit` is, through chains of imports. */
static const struct unit *owner_of(const struct writer *w, const struct unit *unit, enum wasm_extern_kind kind,
                                   uint32_t *index)
{
    for (;;) {
        const struct wasm_module *module = unit->module;
        uint32_t import = kind == WASM_MEMORY ? module->memories[*index].import : module->tables[*index].import;
        if (import == WASM_NO_INDEX || unit->imports[import].from != IMPORT_UNIT)
            return unit;
        *index = unit->imports[import].index;
        unit = &w->plan->units[unit->imports[import].unit];
    }
}

static void add_memory(struct writer *w, const struct unit *unit, uint32_t index)
{
    uint32_t owned = index;
    const struct unit *owner = owner_of(w, unit, WASM_MEMORY, &owned);
    const struct wasm_memory *memory = &owner->module->memories[owned];
    uint64_t reserve = w->geometry->memory_reserve[owner->index][owned];
    uint64_t pages_max =
        memory->limits.is_64 ? (uint64_t)1 << (64 - memory->page_log2 - 1) : (uint64_t)1 << (32 - memory->page_log2);
    uint64_t max = memory->limits.has_max && memory->limits.max < pages_max ? memory->limits.max : pages_max;
    uint64_t max_bytes = max << memory->page_log2;
    struct image_memory row = {
        .words_off = words_off(unit, unit->memories[index].base),
        .base_off = slot_off(unit, unit->memories[index].base),
        .size_off = slot_off(unit, unit->memories[index].size),
        .min_bytes = memory->limits.min << memory->page_log2,
        .max_bytes = max_bytes < reserve ? max_bytes : reserve,
        .reserve_bytes = reserve,
        .page_log2 = memory->page_log2,
        .owner = index >= unit->module->imported_memories,
    };
    ADD(w, memories, row);
}

static void add_table(struct writer *w, const struct unit *unit, uint32_t index)
{
    uint32_t owned = index;
    const struct unit *owner = owner_of(w, unit, WASM_TABLE, &owned);
    const struct wasm_table *table = &owner->module->tables[owned];
    struct image_table row = {
        .words_off = words_off(unit, unit->tables[index].entries),
        .entries_off = slot_off(unit, unit->tables[index].entries),
        .length_off = slot_off(unit, unit->tables[index].length),
        .min = table->limits.min,
        .max = w->geometry->table_capacity[owner->index][owned],
        .is_func = wasm_subtype(owner->module, table->type, WASM_FUNCREF),
        .ref = heap_ref_of(owner->module, table->type),
        .owner = index >= unit->module->imported_tables,
    };
    ADD(w, tables, row);
}

static void add_data(struct writer *w, const struct unit *unit, uint32_t index)
{
    const struct wasm_data *data = &unit->module->datas[index];
    bool used = data->mode == WASM_PASSIVE || unit->late.datas[index];
    struct image_segment row = {.first = w->sections[IMAGE_bytes].size,
                                .count = used ? data->size : 0,
                                .flag_off = w->geometry->segment_flags[unit->index] + index};
    buf_append(&w->sections[IMAGE_bytes], unit->module->bytes + data->start, row.count);
    ADD(w, segments, row);
}

static void add_root(struct writer *w, wasm_valtype type, const struct unit *unit, uint64_t slot_off, uint64_t count,
                     uint64_t flag_off)
{
    struct image_root row = {slot_off, count, flag_off, heap_ref_of(unit->module, type), 0};
    if (row.ref != HEAP_REF_NONE)
        ADD(w, roots, row);
}

static void add_globals(struct writer *w, const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_globals; i < module->global_count; i++)
        add_root(w, module->globals[i].type, unit, slot_off(unit, unit->globals[i]), 1, 0);
}

static bool add_elem(struct writer *w, const struct unit *unit, uint32_t index, struct err *err)
{
    const struct wasm_elem *elem = &unit->module->elems[index];
    bool used = elem->mode == WASM_PASSIVE || unit->late.elems[index], late = unit->late.items[index];
    struct image_segment row = {.first = late ? slot_off(unit, unit->elems[index]) : count_of(w, IMAGE_entries),
                                .count = used ? elem->count : 0,
                                .flag_off = w->geometry->segment_flags[unit->index] + unit->module->data_count + index,
                                .late = late ? IMAGE_LATE_REFS : IMAGE_LATE_NO};
    if (late && wasm_subtype(unit->module, elem->type, WASM_FUNCREF))
        row.late = IMAGE_LATE_FUNCS;
    ADD(w, segments, row);
    if (late)
        add_root(w, elem->type, unit, row.first, row.count, row.flag_off);
    if (!used || late || elem->count == 0)
        return true;
    struct table_entry *entries = buf_extend(&w->sections[IMAGE_entries], elem->count * sizeof *entries);
    if (!entries)
        return err_memory(err);
    template_entries(&w->template, w->plan, &w->code, unit->index, index, entries);
    return true;
}

/* `module`: the type's; NULL where a reference's kind does not matter. */
static uint8_t type_code(const struct wasm_module *module, wasm_valtype type)
{
    static const uint8_t codes[] = {[WASM_COMP_FUNC] = (uint8_t)HEAP_FUNC,
                                    [WASM_COMP_STRUCT] = (uint8_t)HEAP_STRUCT,
                                    [WASM_COMP_ARRAY] = (uint8_t)HEAP_ARRAY};
    wasm_heaptype heap = wasm_heap(type);
    if (!wasm_is_ref(type))
        return (uint8_t)type;
    uint8_t code =
        !wasm_heap_is_index(heap) ? (uint8_t)heap : codes[module ? module->types[heap].kind : WASM_COMP_FUNC];
    return type & WASM_NULLABLE ? code : code | IMAGE_TYPE_NEVER_NULL;
}

/* A core signature as type codes. */
static uint32_t add_signature(struct writer *w, const struct wasm_module *module, const struct wasm_functype *type)
{
    uint32_t first = (uint32_t)w->sections[IMAGE_bytes].size;
    for (uint32_t i = 0; i < type->param_count + type->result_count; i++) {
        wasm_valtype value = i < type->param_count ? type->params[i] : type->results[i - type->param_count];
        uint8_t code = type_code(module, value);
        buf_append(&w->sections[IMAGE_bytes], &code, 1);
    }
    return first;
}

static void add_types(struct writer *w)
{
    for (uint32_t i = 0; i < w->geometry->types.count; i++) {
        const struct type_row *type = &w->geometry->types.rows[i];
        struct image_type row = {
            .hash = type->hash, .super = type->super, .kind = type->module->types[type->index].kind};
        ADD(w, types, row);
    }
}

/* What a joinable image's types are; its one unit defines them all. Members of a recursion group share its
 * encoding, which is written with the first one. */
static void describe_types(struct writer *w)
{
    const struct unit *unit = &w->plan->units[0];
    const struct wasm_module *module = unit->module;
    struct image_type *rows = (struct image_type *)w->sections[IMAGE_types].data;
    struct buf *bytes = &w->sections[IMAGE_bytes];
    if (w->sections[IMAGE_types].failed)
        return;
    for (uint32_t i = 0; i < module->type_count; i++) {
        const struct wasm_type *type = &module->types[i];
        struct image_type *row = &rows[unit->types[i]], *lead = &rows[unit->types[type->group_start]];
        if (type->canonical != i)
            continue;
        if (row == lead) {
            row->encoding_first = (uint32_t)bytes->size;
            wasm_type_hash(module, i, bytes);
        }
        row->encoding_first = lead->encoding_first;
        row->encoding_size = row == lead ? (uint32_t)bytes->size - row->encoding_first : lead->encoding_size;
        row->member = i - type->group_start;
        row->param_count = type->func.param_count;
        row->result_count = type->func.result_count;
        row->types_first = add_signature(w, module, &type->func);
    }
}

/* Words of the fixed part: the context itself, and one per import that the host satisfies. */
static void add_words(struct writer *w, const struct unit *unit)
{
    struct image_word context = {unit->context, unit->index, WORD_CONTEXT, 0};
    ADD(w, words, context);
    for (uint32_t i = 0; i < unit->module->imported_funcs; i++) {
        const struct unit_import *import = &unit->imports[unit->module->funcs[i].import];
        if (import->from != IMPORT_HOST)
            continue;
        struct image_word word = {(uint64_t)((int64_t)unit->context + unit->funcs[i].off), import->host, WORD_HOST, 0};
        ADD(w, words, word);
    }
}

static bool add_unit(struct writer *w, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    struct image_unit row = {.context = unit->context,
                             .name = add_string(w, module->name),
                             .memory_first = (uint32_t)count_of(w, IMAGE_memories),
                             .memory_count = module->memory_count,
                             .table_first = (uint32_t)count_of(w, IMAGE_tables),
                             .table_count = module->table_count,
                             .data_first = (uint32_t)count_of(w, IMAGE_segments),
                             .data_count = module->data_count,
                             .elem_first = (uint32_t)count_of(w, IMAGE_segments) + module->data_count,
                             .elem_count = module->elem_count};
    ADD(w, units, row);
    for (uint32_t i = 0; i < module->memory_count; i++)
        add_memory(w, unit, i);
    for (uint32_t i = 0; i < module->table_count; i++)
        add_table(w, unit, i);
    add_globals(w, unit);
    for (uint32_t i = 0; i < module->data_count; i++)
        add_data(w, unit, i);
    for (uint32_t i = 0; i < module->elem_count; i++)
        if (!add_elem(w, unit, i, err))
            return false;
    add_words(w, unit);
    if (unit->late.any) {
        struct image_start init = {FUNCREF_MAKE(w->inits[unit->index], unit->context)};
        ADD(w, starts, init);
    }
    if (module->start != WASM_NO_INDEX && !unit->late.start) {
        struct image_start start = {template_funcref(w->plan, &w->code, unit->index, module->start)};
        ADD(w, starts, start);
    }
    return true;
}

static uint64_t offer_place(struct writer *w, const struct unit *unit, enum wasm_extern_kind kind, uint32_t index)
{
    switch (kind) {
    case WASM_FUNC: return template_funcref(w->plan, &w->code, unit->index, index);
    case WASM_GLOBAL: return slot_off(unit, unit->globals[index]);
    case WASM_TAG: return slot_off(unit, unit->tags[index]);
    default: return index; /* rows of a single unit start at 0 */
    }
}

/* Imports and exports of a joinable image. Host functions that it imports are its own to offer. */
static bool add_externs(struct writer *w, const struct unit *unit, struct err *err)
{
    const struct wasm_module *module = unit->module;
    uint32_t import, *opens = mem_alloc(module->import_count, sizeof *opens);
    if (!opens && module->import_count)
        return err_memory(err);
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct wasm_import *from = &module->imports[i];
        opens[i] = WASM_NO_INDEX;
        if (unit->imports[i].from != IMPORT_OPEN)
            continue;
        struct image_extern row = extern_describe(unit, from->kind, from->index, &import);
        row.module = add_string(w, from->module);
        row.name = add_string(w, from->name);
        row.place = extern_words(unit, from->kind, from->index);
        opens[i] = (uint32_t)count_of(w, IMAGE_opens);
        ADD(w, opens, row);
    }
    for (uint32_t i = 0; i < module->export_count; i++) {
        const struct wasm_export *to = &module->exports[i];
        struct image_extern row = extern_describe(unit, to->kind, to->index, &import);
        row.name = add_string(w, to->name);
        row.open = import == WASM_NO_INDEX ? WASM_NO_INDEX : opens[import];
        row.place = row.open == WASM_NO_INDEX ? offer_place(w, unit, to->kind, to->index) : 0;
        ADD(w, offers, row);
    }
    mem_free(opens);
    return true;
}

static uint64_t ref_or_none(struct writer *w, uint32_t unit, uint32_t func)
{
    return unit == WASM_NO_INDEX || func == WASM_NO_INDEX ? 0 : template_funcref(w->plan, &w->code, unit, func);
}

static struct image_canon canon_of(struct writer *w, const struct canon_options *options, uint32_t handle_table)
{
    struct image_canon canon = {.memory_off = UINT64_MAX, .memory_size_off = UINT64_MAX, .encoding = options->encoding};
    if (options->memory_unit != WASM_NO_INDEX && options->memory != WASM_NO_INDEX) {
        const struct unit *unit = &w->plan->units[options->memory_unit];
        canon.memory_off = slot_off(unit, unit->memories[options->memory].base);
        canon.memory_size_off = slot_off(unit, unit->memories[options->memory].size);
    }
    canon.realloc_ref = ref_or_none(w, options->realloc_unit, options->realloc);
    canon.post_return_ref = ref_or_none(w, options->post_return_unit, options->post_return);
    canon.handles_off = w->geometry->handles_off + (uint64_t)handle_table * CONTEXT_HANDLE_TABLE_BYTES;
    return canon;
}

static void add_import(struct writer *w, const struct host_import *import)
{
    struct image_import row = {.kind = import->kind,
                               .param_count = import->type->param_count,
                               .result_count = import->type->result_count,
                               .types_first = add_signature(w, NULL, import->type),
                               .interface = add_string(w, import->interface),
                               .name = add_string(w, import->name),
                               .signature = add_string(w, import->signature),
                               .canon = canon_of(w, &import->options, import->handle_table),
                               .resource_type = import->resource_type,
                               .dtor_ref = ref_or_none(w, import->dtor_unit, import->dtor),
                               .flags = import->flags,
                               .builtin = import->builtin,
                               .number = import->number};
    if (import->kind >= HOST_FUSE_TRAP || row.dtor_ref != 0)
        row.peer = canon_of(w, &import->peer, import->peer_table);
    else
        row.peer = row.canon;
    if (import->kind == HOST_CALL) {
        row.run_ref = ref_or_none(w, import->run.unit, import->run.func);
        row.ret_ref = ref_or_none(w, import->ret.unit, import->ret.func);
        row.callback_ref = ref_or_none(w, import->callback.unit, import->callback.func);
    }
    ADD(w, imports, row);
}

static void add_export(struct writer *w, const struct plan_export *export)
{
    const struct wasm_module *module = w->plan->units[export->unit].module;
    const struct wasm_functype *type = wasm_func_type(module, export->func);
    struct image_export row = {.interface = add_string(w, export->interface),
                               .name = add_string(w, export->name),
                               .signature = add_string(w, export->signature),
                               .funcref = template_funcref(w->plan, &w->code, export->unit, export->func),
                               .param_count = type->param_count,
                               .result_count = type->result_count,
                               .types_first = add_signature(w, module, type),
                               .canon = canon_of(w, &export->options, export->handle_table),
                               .flags = export->flags,
                               .callback_ref = export->flags & CANON_CALLBACK
                                                   ? ref_or_none(w, export->callback.unit, export->callback.func)
                                                   : 0,
                               .result = add_string(w, export->result)};
    ADD(w, exports, row);
}

static void add_code_tables(struct writer *w)
{
    const struct code_parts *parts = w->parts;
    uint32_t base = (uint32_t)w->header.code_offset;
    for (uint64_t i = 0; i < parts->func_count; i++) {
        struct image_func row = parts->funcs[i];
        row.code_off += base;
        struct str name = {"", 0};
        if (row.kind == 0 && row.unit < w->plan->unit_count && w->plan->units[row.unit].module->func_names)
            name = w->plan->units[row.unit].module->func_names[row.func];
        row.name = add_string(w, name);
        ADD(w, funcs, row);
    }
    buf_append(&w->sections[IMAGE_sites], parts->sites.ptr, parts->sites.len);
    for (uint64_t i = 0; i < parts->pad_count; i++) {
        struct image_pad row = {parts->pads[i].return_off + base, parts->pads[i].pad_off + base};
        ADD(w, pads, row);
    }
}

/* Why nothing more can be appended. */
static bool no_room(const struct buf *buf, const char *limit, struct err *err)
{
    return buf->full ? err_set(err, ERR_LIMIT, "%s", limit) : err_memory(err);
}

static bool fill_sections(struct writer *w, struct err *err)
{
    add_types(w);
    for (uint32_t i = 0; i < w->plan->unit_count; i++)
        if (!add_unit(w, &w->plan->units[i], err))
            return false;
    for (uint32_t i = 0; i < w->plan->import_count; i++)
        add_import(w, &w->plan->imports[i]);
    for (uint32_t i = 0; i < w->plan->export_count; i++)
        add_export(w, &w->plan->exports[i]);
    for (uint32_t i = 0; i < w->plan->resource_count; i++) {
        const struct plan_resource *resource = &w->plan->resources[i];
        struct image_resource row = {add_string(w, resource->interface), add_string(w, resource->name), resource->id,
                                     0};
        ADD(w, resources, row);
    }
    if (w->header.joinable) {
        describe_types(w);
        if (!add_externs(w, &w->plan->units[0], err))
            return false;
    }
    add_code_tables(w);
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++)
        if (w->sections[i].failed)
            return no_room(&w->sections[i], "the image's tables are over the limit of 1 GiB", err);
    return true;
}

/* Template pages as runs; their file offsets start at `file_off` and end at *ret_end. */
static void add_runs(struct writer *w, uint64_t file_off, uint64_t *ret_end)
{
    uint64_t at = template_next(&w->template, 0);
    while (at != UINT64_MAX) {
        struct image_run run = {at, file_off, 0};
        while (at < w->template.size && template_page(&w->template, at)) {
            run.size += IMAGE_PAGE;
            at += IMAGE_PAGE;
        }
        file_off += run.size;
        ADD(w, runs, run);
        at = at < w->template.size ? template_next(&w->template, at) : UINT64_MAX;
    }
    *ret_end = file_off;
}

static uint64_t page_up(uint64_t n)
{
    return (n + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
}

/* Sections stand behind the pages, each at a multiple of eight. */
static void place_sections(struct writer *w, uint64_t at)
{
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++) {
        at = (at + 7) & ~(uint64_t)7;
        w->header.sections[i] = (struct image_range){at, count_of(w, (enum image_section)i)};
        at += w->sections[i].size;
    }
    w->header.file_size = page_up(at);
}

/* The bytes of the file in their order; `at` is where they have come to. */
struct output {
    const struct image_sink *sink;
    struct checksum digest;
    uint64_t at;
    struct err *err;
};

static bool put(struct output *out, const void *bytes, uint64_t size)
{
    if (size == 0) /* then there may be no bytes to point at */
        return true;
    if (out->sink->digest)
        checksum_add(&out->digest, bytes, size);
    uint64_t at = out->at;
    out->at += size;
    return out->sink->put(out->sink->arg, at, bytes, size, out->err);
}

static bool put_zeros(struct output *out, uint64_t end)
{
    static const uint8_t zeros[IMAGE_PAGE];
    while (out->at < end)
        if (!put(out, zeros, end - out->at < sizeof zeros ? end - out->at : sizeof zeros))
            return false;
    return true;
}

static bool put_pages(struct writer *w, struct output *out)
{
    for (uint64_t at = template_next(&w->template, 0); at != UINT64_MAX;
         at = at + IMAGE_PAGE < w->template.size ? template_next(&w->template, at + IMAGE_PAGE) : UINT64_MAX)
        if (!put(out, template_page(&w->template, at), IMAGE_PAGE))
            return false;
    return true;
}

static bool put_sections(struct writer *w, struct output *out)
{
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++)
        if (!put_zeros(out, w->header.sections[i].offset) || !put(out, w->sections[i].data, w->sections[i].size))
            return false;
    return true;
}

/* ---- code beside the rest ----
 *
 * Code is most of a large image and there when the rest begins to be made, so another thread puts it meanwhile; where
 * there is a digest, that wants the bytes in their order. */

#define BESIDE_MIN ((uint64_t)1 << 20) /* for less a thread takes longer than it saves */

struct beside {
    const struct image_sink *sink;
    uint64_t at;
    const struct code_parts *parts;
    bool started, done;
    struct err err;
    pthread_t thread;
};

static void *put_code(void *arg)
{
    struct beside *beside = arg;
    beside->done = beside->sink->put_beside(beside->sink->arg, beside->at, beside->parts->text,
                                            beside->parts->text_count, &beside->err);
    return NULL;
}

static void beside_begin(struct beside *beside, const struct writer *w, const struct image_sink *sink)
{
    *beside = (struct beside){.sink = sink, .at = w->header.code_offset, .parts = w->parts};
    beside->started = sink->put_beside && !sink->digest && w->parts->size >= BESIDE_MIN &&
                      pthread_create(&beside->thread, NULL, put_code, beside) == 0;
}

/* It has ended in any case; true also where it never began. */
static bool beside_end(struct beside *beside, struct err *err)
{
    if (!beside->started)
        return true;
    pthread_join(beside->thread, NULL);
    if (!beside->done)
        *err = beside->err;
    return beside->done;
}

/* ---- all of it ---- */

static bool put_text(const struct writer *w, struct output *out)
{
    for (size_t i = 0; i < w->parts->text_count; i++)
        if (!put(out, w->parts->text[i].bytes, w->parts->text[i].size))
            return false;
    return true;
}

/* Everything but the header, of which a digest sees the state without one, and code that is put beside. */
static bool put_all(struct writer *w, struct output *out, bool text)
{
    if (out->sink->digest) {
        checksum_init(&out->digest);
        checksum_add(&out->digest, &w->header, sizeof w->header);
    }
    out->at = sizeof w->header;
    if (!put_zeros(out, w->header.code_offset) || (text && !put_text(w, out)))
        return false;
    out->at = w->header.code_offset + w->parts->size;
    return put_zeros(out, page_up(out->at)) && put_pages(w, out) && put_sections(w, out) &&
           put_zeros(out, w->header.file_size);
}

/* The file: header page(s), code, pages, sections. Code comes first so that its offset is a constant. */
static bool assemble(struct writer *w, struct output *out, bool text)
{
    uint64_t pages_off = page_up(w->header.code_offset + w->parts->size), pages_end = pages_off;
    if (!template_build(&w->template, w->plan, w->geometry, &w->code, out->err))
        return false;
    w->header.init_trap = w->template.trap;
    add_runs(w, pages_off, &pages_end);
    if (!fill_sections(w, out->err))
        return false;
    place_sections(w, pages_end);
    if (w->header.file_size > IMAGE_SIZE_MAX)
        return err_set(out->err, ERR_LIMIT, "the image is over 4 GiB");
    return put_all(w, out, text);
}

/* The header comes when all else is there. */
static bool write_all(struct writer *w, const struct image_sink *sink, struct err *err)
{
    struct output out = {.sink = sink, .err = err};
    struct beside beside;
    beside_begin(&beside, w, sink);
    bool done = assemble(w, &out, !beside.started);
    done = beside_end(&beside, err) && done;
    if (done && sink->digest)
        checksum_finish(&out.digest, w->header.digest);
    return done && sink->put(sink->arg, 0, &w->header, sizeof w->header, err);
}

static void fill_header(struct writer *w, const uint8_t source[32], uint64_t options)
{
    struct image_header *header = &w->header;
    header->magic = IMAGE_MAGIC;
    header->format = IMAGE_FORMAT;
    header->header_size = sizeof *header;
    image_engine_id(header->engine);
    memcpy(header->source, source, 32);
    header->options = options;
    header->code_offset = page_up(sizeof *header);
    header->exec_size = w->parts->exec_size;
    header->code_size = w->parts->size;
    header->fixed_size = w->geometry->fixed_size;
    header->mutable_size = w->geometry->mutable_size;
    header->slot_size = w->geometry->slot_size;
    header->handles_off = w->geometry->handles_off;
    header->heap_off = w->geometry->heap_off;
    header->heap_objects = w->geometry->heap_objects;
    header->heap_words = w->geometry->heap_words;
    header->handle_tables = w->geometry->handle_tables;
    header->component = w->plan->component;
    header->joinable = w->plan->unit_count == 1 && w->plan->units[0].joinable;
}

bool image_write(const struct plan *plan, const struct geometry *geometry, const struct code_parts *code,
                 const uint8_t source[32], uint64_t options, const struct image_sink *sink, struct err *err)
{
    struct writer w = {.plan = plan, .geometry = geometry, .parts = code};
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++)
        buf_init(&w.sections[i], (size_t)1 << 30);
    fill_header(&w, source, options);
    bool done = index_functions(&w, err) && write_all(&w, sink, err);
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++)
        buf_free(&w.sections[i]);
    template_free(&w.template);
    mem_free(w.func_index);
    mem_free(w.unit_first);
    mem_free(w.inits);
    return done;
}
