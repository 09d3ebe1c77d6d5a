/* Checking images before they are trusted, and looking things up in them. See format.h.
 *
 * The digest guards against damage, the engine identity against images of another build; the structural
 * checks make later readers safe from a compiler child that a hostile module took over, as far as tables
 * go: the code itself is native and must be trusted, which is why images are never accepted from outside. */
#include "image/format.h"

#include "base/checksum.h"
#include "base/sha256.h"
#include "image/sites.h"
#include "wasm/limits.h"

#include <inttypes.h>
#include <string.h>

static const uint32_t element_sizes[IMAGE_SECTION_COUNT] = {
#define SECTION(name, type) [IMAGE_##name] = sizeof(type),
    IMAGE_SECTIONS(SECTION)
#undef SECTION
};

void image_engine_id(uint8_t ret_id[32])
{
    static const char identity[] = "mayfly " MAYFLY_VERSION " "
#define TRAP(name, message) #name ","
#include "image/traps.def"
#undef TRAP
#define HELPER(name, signature) #name "(" signature "),"
#include "image/helpers.def"
#undef HELPER
        ;
    const uint32_t sizes[] = {
        IMAGE_FORMAT,  sizeof(struct image_header), sizeof(struct store), sizeof(struct context), CONTEXT_SPILL,
        CONTEXT_ALIGN, CONTEXT_HANDLE_TABLE_BYTES};
    struct sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, identity, sizeof identity);
    sha256_add(&hash, sizes, sizeof sizes);
    sha256_add(&hash, element_sizes, sizeof element_sizes);
    sha256_finish(&hash, ret_id);
}

static bool damaged(struct err *err, const char *what)
{
    err_set(err, ERR_MALFORMED, "damaged image: %s", what);
    return err_remedy(err, "remove the file and compile it again");
}

bool image_check_header(const struct image_header *header, uint64_t size, struct err *err)
{
    uint8_t engine[32];
    image_engine_id(engine);
    if (size < sizeof *header || header->magic != IMAGE_MAGIC)
        return err_set(err, ERR_MALFORMED, "not a mayfly image");
    if (header->format != IMAGE_FORMAT || header->header_size != sizeof *header ||
        memcmp(header->engine, engine, sizeof engine) != 0) {
        err_set(err, ERR_MALFORMED, "the image was made by another version of mayfly");
        return err_remedy(err, "compile it again with this one (" MAYFLY_VERSION ")");
    }
    if (header->file_size != size || size > IMAGE_SIZE_MAX)
        return damaged(err, "its size is not what the header says");
    return true;
}

/* [offset, offset + count * each) inside [0, limit)? */
static bool inside(uint64_t offset, uint64_t count, uint64_t each, uint64_t limit)
{
    return offset <= limit && count <= (limit - offset) / each;
}

static bool page_multiple(uint64_t n)
{
    return n % IMAGE_PAGE == 0;
}

static bool check_geometry(const struct image_header *h)
{
    bool aligned = page_multiple(h->code_offset) && page_multiple(h->exec_size) && page_multiple(h->fixed_size) &&
                   page_multiple(h->mutable_size) && page_multiple(h->slot_size) && h->code_offset != 0;
    bool ordered = h->fixed_size >= sizeof(struct store) && h->slot_size <= (uint64_t)1 << 41 &&
                   h->fixed_size <= h->slot_size && h->mutable_size <= h->slot_size - h->fixed_size;
    return aligned && ordered && h->exec_size <= h->code_size &&
           inside(h->code_offset, h->code_size, 1, h->file_size) && h->handles_off >= h->fixed_size &&
           h->handles_off % 8 == 0 &&
           inside(h->handles_off, h->handle_tables, CONTEXT_HANDLE_TABLE_BYTES, h->fixed_size + h->mutable_size) &&
           h->init_trap < TRAP_COUNT;
}

static bool check_heap(const struct image_header *h)
{
    uint64_t tracked_end = h->fixed_size + h->mutable_size;
    if (h->heap_off == 0)
        return true;
    return page_multiple(h->heap_off) && h->heap_off >= tracked_end &&
           inside(h->heap_off, HEAP_RESERVE, 1, h->slot_size) && page_multiple(h->heap_objects) &&
           h->heap_objects > HEAP_NULL_BYTES && h->heap_objects <= HEAP_TYPES_MAX + IMAGE_PAGE &&
           h->heap_words >= h->fixed_size && h->heap_words % 8 == 0 &&
           inside(h->heap_words, 1, sizeof(struct heap_words), tracked_end);
}

static bool check_ranges(const struct image *image)
{
    for (int i = 0; i < IMAGE_SECTION_COUNT; i++) {
        struct image_range range = image->header->sections[i];
        if (range.offset % 8 || !inside(range.offset, range.count, element_sizes[i], image->header->file_size))
            return false;
    }
    return true;
}

static bool string_ok(const struct image *image, struct image_string s)
{
    return inside(s.offset, s.size, 1, image_strings_count(image));
}

/* A function reference into this image: its code executable, its context one of the units'. */
static bool funcref_ok(const struct image *image, uint64_t ref)
{
    const struct image_header *h = image->header;
    uint64_t code = FUNCREF_CODE(ref);
    return ref == 0 || (code >= h->code_offset + 8 && code < h->code_offset + h->exec_size &&
                        FUNCREF_CONTEXT(ref) + sizeof(struct context) <= h->fixed_size);
}

/* [off, off + size) in the mutable part, or `none` allowed as UINT64_MAX. */
static bool mutable_ok(const struct image *image, uint64_t off, uint64_t size)
{
    const struct image_header *h = image->header;
    return off >= h->fixed_size && inside(off, size, 1, h->fixed_size + h->mutable_size);
}

/* The same for words and cells, which are read as such. */
static bool mutable_words_ok(const struct image *image, uint64_t off, uint64_t size)
{
    return off % 8 == 0 && mutable_ok(image, off, size);
}

static bool units_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_units_count(image); i++) {
        const struct image_unit *u = &image_units(image)[i];
        if (u->context % CONTEXT_ALIGN || u->context < sizeof(struct store) ||
            !inside(u->context, 1, sizeof(struct context), image->header->fixed_size) || !string_ok(image, u->name) ||
            !inside(u->memory_first, u->memory_count, 1, image_memories_count(image)) ||
            !inside(u->table_first, u->table_count, 1, image_tables_count(image)) ||
            !inside(u->data_first, u->data_count, 1, image_segments_count(image)) ||
            !inside(u->elem_first, u->elem_count, 1, image_segments_count(image)))
            return false;
    }
    return true;
}

static bool types_ok(const struct image *image)
{
    uint64_t count = image_types_count(image);
    for (uint64_t i = 0; i < count; i++) {
        const struct image_type *type = &image_types(image)[i];
        if ((i && type->hash <= type[-1].hash) || (type->super >= count && type->super != WASM_NO_INDEX) ||
            !inside(type->encoding_first, type->encoding_size, 1, image_bytes_count(image)) ||
            !inside(type->types_first, (uint64_t)type->param_count + type->result_count, 1, image_bytes_count(image)))
            return false;
    }
    return count < WASM_HEAP_ABSTRACT;
}

/* `size` bytes of words in the fixed part. */
static bool words_at(const struct image *image, uint64_t slot_off, uint64_t size)
{
    return slot_off % 8 == 0 && slot_off >= sizeof(struct store) &&
           inside(slot_off, 1, size, image->header->fixed_size);
}

static bool memories_ok(const struct image *image)
{
    const struct image_header *h = image->header;
    for (uint64_t i = 0; i < image_memories_count(image); i++) {
        const struct image_memory *m = &image_memories(image)[i];
        if (m->words_off) {
            if (m->owner || !words_at(image, m->words_off, sizeof(struct link_words)))
                return false;
            continue;
        }
        bool sizes = m->min_bytes <= m->max_bytes && m->max_bytes <= m->reserve_bytes && m->page_log2 <= 16;
        if (!sizes || !page_multiple(m->base_off) || m->base_off < h->fixed_size + h->mutable_size ||
            !inside(m->base_off, m->reserve_bytes, 1, h->slot_size) || !mutable_words_ok(image, m->size_off, 8))
            return false;
    }
    return true;
}

static bool tables_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_tables_count(image); i++) {
        const struct image_table *t = &image_tables(image)[i];
        if (t->words_off) {
            if (t->owner || !words_at(image, t->words_off, sizeof(struct link_words)))
                return false;
            continue;
        }
        if (t->min > t->max || t->max > IMAGE_SIZE_MAX || !mutable_words_ok(image, t->length_off, 8) ||
            !mutable_words_ok(image, t->entries_off, t->max * sizeof(struct table_entry)))
            return false;
    }
    return true;
}

static bool roots_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_roots_count(image); i++) {
        const struct image_root *root = &image_roots(image)[i];
        if (root->count > IMAGE_SIZE_MAX ||
            !mutable_words_ok(image, root->slot_off, root->count * sizeof(union cell)) ||
            (root->flag_off && !mutable_ok(image, root->flag_off, 1)))
            return false;
    }
    return true;
}

/* Segments of either kind: `first` and `count` fit the pool that the owner reads them from. */
static bool segments_ok(const struct image *image)
{
    for (uint64_t u = 0; u < image_units_count(image); u++) {
        const struct image_unit *unit = &image_units(image)[u];
        for (uint32_t i = 0; i < unit->data_count; i++) {
            const struct image_segment *s = &image_segments(image)[unit->data_first + i];
            if (!inside(s->first, s->count, 1, image_bytes_count(image)) || !mutable_ok(image, s->flag_off, 1))
                return false;
        }
        for (uint32_t i = 0; i < unit->elem_count; i++) {
            const struct image_segment *s = &image_segments(image)[unit->elem_first + i];
            bool there = s->late ? mutable_words_ok(image, s->first, s->count * sizeof(struct table_entry))
                                 : inside(s->first, s->count, 1, image_entries_count(image));
            if (!there || s->count > IMAGE_SIZE_MAX || !mutable_ok(image, s->flag_off, 1))
                return false;
        }
    }
    return true;
}

static bool words_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_words_count(image); i++) {
        const struct image_word *w = &image_words(image)[i];
        uint64_t size = w->kind == WORD_CONTEXT ? sizeof(struct context) : sizeof(struct import_words);
        bool value = w->kind == WORD_CONTEXT ? w->value < image_units_count(image)
                     : w->kind == WORD_HOST  ? w->value < image_imports_count(image)
                                             : w->kind == WORD_SLOT && w->value < image->header->slot_size;
        if (!value || !words_at(image, w->slot_off, size))
            return false;
    }
    return true;
}

/* What the host reads and writes through is a memory of the image. */
static bool canon_memory_ok(const struct image *image, const struct image_canon *canon)
{
    bool found = canon->memory_off == UINT64_MAX;
    for (uint64_t i = 0; !found && i < image_memories_count(image); i++) {
        const struct image_memory *m = &image_memories(image)[i];
        found = !m->words_off && m->base_off == canon->memory_off && m->size_off == canon->memory_size_off;
    }
    return found;
}

static bool canon_ok(const struct image *image, const struct image_canon *canon)
{
    bool handles =
        image->header->handle_tables == 0 || mutable_words_ok(image, canon->handles_off, CONTEXT_HANDLE_TABLE_BYTES);
    return canon_memory_ok(image, canon) && handles && funcref_ok(image, canon->realloc_ref) &&
           funcref_ok(image, canon->post_return_ref) && canon->encoding <= ENCODING_LATIN1_UTF16;
}

/* Of the component's own resources the guest chooses the representation; of the host's it is a pointer. */
static bool resource_ok(const struct image_import *row)
{
    bool own = row->resource_type >= RESOURCE_COMPONENT_BASE && row->resource_type != WASM_NO_INDEX;
    bool makes = row->kind == HOST_RESOURCE_NEW || row->kind == HOST_RESOURCE_REP;
    return own || (row->resource_type == WASM_NO_INDEX && !makes);
}

static bool imports_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_imports_count(image); i++) {
        const struct image_import *row = &image_imports(image)[i];
        if (row->kind >= HOST_KIND_COUNT || !resource_ok(row) || !string_ok(image, row->interface) ||
            !string_ok(image, row->name) || !string_ok(image, row->signature) || !canon_ok(image, &row->canon) ||
            !canon_ok(image, &row->peer) || !funcref_ok(image, row->dtor_ref) || !funcref_ok(image, row->run_ref) ||
            !funcref_ok(image, row->ret_ref) || !funcref_ok(image, row->callback_ref) ||
            !inside(row->types_first, (uint64_t)row->param_count + row->result_count, 1, image_bytes_count(image)))
            return false;
    }
    return true;
}

static bool exports_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_exports_count(image); i++) {
        const struct image_export *row = &image_exports(image)[i];
        if (!string_ok(image, row->interface) || !string_ok(image, row->name) || !string_ok(image, row->signature) ||
            !canon_ok(image, &row->canon) || !funcref_ok(image, row->funcref) ||
            !funcref_ok(image, row->callback_ref) || !string_ok(image, row->result) ||
            !inside(row->types_first, (uint64_t)row->param_count + row->result_count, 1, image_bytes_count(image)))
            return false;
    }
    for (uint64_t i = 0; i < image_resources_count(image); i++)
        if (!string_ok(image, image_resources(image)[i].interface) || !string_ok(image, image_resources(image)[i].name))
            return false;
    for (uint64_t i = 0; i < image_starts_count(image); i++)
        if (!image_starts(image)[i].funcref || !funcref_ok(image, image_starts(image)[i].funcref))
            return false;
    for (uint64_t i = 0; i < image_entries_count(image); i++)
        if (!funcref_ok(image, image_entries(image)[i].reference))
            return false;
    return true;
}

static bool value_type_ok(const struct image *image, uint32_t type)
{
    uint32_t heap = wasm_heap(type);
    if (!wasm_is_ref(type))
        return type >= WASM_V128 && type <= WASM_I32;
    return heap < image_types_count(image) || (heap >= HEAP_EXN && heap <= HEAP_NOEXN);
}

static bool func_type_ok(const struct image *image, uint32_t type)
{
    return type < image_types_count(image) && image_types(image)[type].kind == WASM_COMP_FUNC;
}

static bool extern_ok(const struct image *image, const struct image_extern *row)
{
    bool by_row = row->kind == WASM_FUNC || row->kind == WASM_TAG;
    bool type = by_row                     ? func_type_ok(image, row->type)
                : row->kind == WASM_MEMORY ? row->type == 0
                                           : value_type_ok(image, row->type);
    return row->kind <= WASM_TAG && type && row->page_log2 <= 16 && string_ok(image, row->module) &&
           string_ok(image, row->name);
}

/* An offered thing that the image itself makes. */
static bool offer_place_ok(const struct image *image, const struct image_extern *row)
{
    switch (row->kind) {
    case WASM_FUNC: return row->place && funcref_ok(image, row->place);
    case WASM_MEMORY: return row->place < image_memories_count(image) && !image_memories(image)[row->place].words_off;
    case WASM_TABLE: return row->place < image_tables_count(image) && !image_tables(image)[row->place].words_off;
    case WASM_GLOBAL: return mutable_words_ok(image, row->place, sizeof(union cell));
    default: return words_at(image, row->place, 8);
    }
}

static bool externs_ok(const struct image *image)
{
    for (uint64_t i = 0; i < image_opens_count(image); i++) {
        const struct image_extern *row = &image_opens(image)[i];
        uint64_t size = row->kind == WASM_FUNC ? sizeof(struct import_words) : sizeof(struct link_words);
        if (!extern_ok(image, row) || !words_at(image, row->place, size))
            return false;
    }
    for (uint64_t i = 0; i < image_offers_count(image); i++) {
        const struct image_extern *row = &image_offers(image)[i];
        bool again = row->open < image_opens_count(image) && image_opens(image)[row->open].kind == row->kind;
        if (!extern_ok(image, row) || !(again || (row->open == WASM_NO_INDEX && offer_place_ok(image, row))))
            return false;
    }
    bool any = image_opens_count(image) || image_offers_count(image);
    return image->header->joinable <= 1 && (image->header->joinable || !any) &&
           (!image->header->joinable || image_units_count(image) == 1);
}

static struct sites sites_of(const struct image *image, const struct image_func *func)
{
    const uint8_t *at = image_sites(image) + func->sites_first;
    return (struct sites){at, at + func->sites_size, func->code_off, 0};
}

static bool code_tables_ok(const struct image *image)
{
    const struct image_header *h = image->header;
    uint64_t end = h->code_offset + h->exec_size;
    for (uint64_t i = 0, last = 0; i < image_funcs_count(image); i++) {
        const struct image_func *f = &image_funcs(image)[i];
        if (f->code_off < last || f->code_off < h->code_offset || !inside(f->code_off, f->code_size, 1, end) ||
            !string_ok(image, f->name) || !inside(f->sites_first, f->sites_size, 1, image_sites_count(image)) ||
            !sites_ok(sites_of(image, f), f->code_off + f->code_size))
            return false;
        last = f->code_off;
    }
    for (uint64_t i = 0, last = 0; i < image_pads_count(image); i++) {
        const struct image_pad *p = &image_pads(image)[i];
        if (p->return_off < last || p->pad_off < h->code_offset || p->pad_off >= end)
            return false;
        last = p->return_off;
    }
    return true;
}

static bool runs_ok(const struct image *image)
{
    const struct image_header *h = image->header;
    for (uint64_t i = 0, last = h->fixed_size; i < image_runs_count(image); i++) {
        const struct image_run *r = &image_runs(image)[i];
        if (!page_multiple(r->slot_off) || !page_multiple(r->file_off) || !page_multiple(r->size) || r->size == 0 ||
            r->slot_off < last || !inside(r->slot_off, r->size, 1, h->slot_size) ||
            !inside(r->file_off, r->size, 1, h->file_size))
            return false;
        last = r->slot_off + r->size;
    }
    return true;
}

static const struct {
    bool (*ok)(const struct image *image);
    const char *what;
} checks[] = {
    {units_ok, "core instances"},    {types_ok, "types"},         {memories_ok, "memories"},
    {tables_ok, "tables"},           {roots_ok, "roots"},         {segments_ok, "segments"},
    {words_ok, "import words"},      {imports_ok, "imports"},     {exports_ok, "exports"},
    {code_tables_ok, "code tables"}, {runs_ok, "template pages"}, {externs_ok, "imports and exports for linking"},
};

void image_digest(const uint8_t *bytes, uint64_t size, uint8_t ret_digest[32])
{
    struct image_header blank = *(const struct image_header *)bytes;
    struct checksum sum;
    memset(blank.digest, 0, sizeof blank.digest);
    checksum_init(&sum);
    checksum_add(&sum, &blank, sizeof blank);
    checksum_add(&sum, bytes + sizeof blank, size - sizeof blank);
    checksum_finish(&sum, ret_digest);
}

static bool check_header(const uint8_t *bytes, uint64_t size, struct err *err)
{
    if (size < sizeof(struct image_header))
        return err_set(err, ERR_MALFORMED, "not a mayfly image");
    return image_check_header((const struct image_header *)bytes, size, err);
}

bool image_check_digest(const uint8_t *bytes, uint64_t size, struct err *err)
{
    const struct image_header *header = (const struct image_header *)bytes;
    uint8_t digest[32];
    if (!check_header(bytes, size, err))
        return false;
    image_digest(bytes, size, digest);
    return memcmp(digest, header->digest, sizeof digest) == 0 || damaged(err, "its digest does not match");
}

bool image_check(const uint8_t *bytes, uint64_t size, struct err *err)
{
    return image_check_digest(bytes, size, err) && image_check_tables(bytes, size, err);
}

bool image_check_tables(const uint8_t *bytes, uint64_t size, struct err *err)
{
    const struct image image = {bytes, (const struct image_header *)bytes};
    if (!check_header(bytes, size, err))
        return false;
    if (!check_geometry(image.header) || !check_heap(image.header) || !check_ranges(&image))
        return damaged(err, "its header is out of range");
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].ok(&image))
            return damaged(err, checks[i].what);
    return true;
}

uint32_t image_find_type(const struct image *image, uint64_t hash)
{
    const struct image_type *types = image_types(image);
    uint64_t low = 0, high = image_types_count(image);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (types[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < image_types_count(image) && types[low].hash == hash ? (uint32_t)low : WASM_NO_INDEX;
}

bool image_subtype(const struct image *image, uint64_t sub, uint64_t super)
{
    uint32_t row = image_find_type(image, sub);
    for (unsigned depth = 0; row != WASM_NO_INDEX && depth <= WASM_MAX_SUBTYPE_DEPTH; depth++) {
        if (image_types(image)[row].hash == super)
            return true;
        row = image_types(image)[row].super;
    }
    return sub == super;
}

const struct image_func *image_find_func(const struct image *image, uint32_t code_off)
{
    const struct image_func *funcs = image_funcs(image);
    uint64_t low = 0, high = image_funcs_count(image);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (funcs[middle].code_off <= code_off)
            low = middle + 1;
        else
            high = middle;
    }
    return low && code_off - funcs[low - 1].code_off < funcs[low - 1].code_size ? &funcs[low - 1] : NULL;
}

uint32_t image_find_site(const struct image *image, uint32_t code_off)
{
    const struct image_func *func = image_find_func(image, code_off);
    uint32_t found = 0;
    if (!func)
        return 0;
    for (struct sites sites = sites_of(image, func); sites_next(&sites) && sites.code_off <= code_off;)
        found = sites.wasm_off;
    return found;
}
