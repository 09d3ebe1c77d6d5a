/* mayfly inspect: native images.
 *
 * An image of this engine is checked whole before anything in it is read; of another engine's only what stands in the
 * same place in all of them is told. */
#include "cli/inspect.h"

#include "codegen/cpu.h"
#include "cli/value.h"
#include "image/format.h"
#include "wasm/text.h"

#include <stdio.h>

#define HEX_DIGITS 64

static void put(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void hash_fact(struct report *report, const char *key, const char *label, const uint8_t hash[32])
{
    char text[HEX_DIGITS + 1];
    for (int i = 0; i < 32; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", hash[i]);
    report_text(report, key, label, (struct str){text, HEX_DIGITS});
}

static void put_codes(struct buf *out, const char *word, const uint8_t *codes, uint32_t count)
{
    if (count)
        buf_printf(out, " (%s", word);
    for (uint32_t i = 0; i < count && !out->failed; i++) {
        put(out, " ");
        char type[VALUE_TYPE_BYTES];
        value_type_name(codes[i], type);
        put(out, type);
    }
    if (count)
        put(out, ")");
}

static void put_signature(struct buf *out, const struct image *image, uint32_t first, uint32_t params, uint32_t results)
{
    const uint8_t *codes = image_bytes(image) + first;
    put_codes(out, "param", codes, params);
    put_codes(out, "result", codes + params, results);
}

/* "(memory 1 2)" */
static void put_extern(struct buf *out, const struct image *image, const struct image_extern *row)
{
    const struct wasm_limits limits = {row->min, row->max, row->flags & EXTERN_HAS_MAX, row->flags & EXTERN_64,
                                       row->flags & EXTERN_SHARED};
    bool typed = row->kind == WASM_FUNC || row->kind == WASM_TAG,
         limited = row->kind == WASM_TABLE || row->kind == WASM_MEMORY;
    buf_printf(out, "(%s", wasm_kind_words[row->kind]);
    if (typed) {
        const struct image_type *type = &image_types(image)[row->type];
        put_signature(out, image, type->types_first, type->param_count, type->result_count);
    }
    if (limited) {
        put(out, " ");
        wasm_put_limits(out, &limits);
    }
    if (row->kind == WASM_TABLE || row->kind == WASM_GLOBAL) {
        put(out, row->flags & EXTERN_MUTABLE ? " (mut " : " ");
        wasm_put_valtype(out, row->type);
        put(out, row->flags & EXTERN_MUTABLE ? ")" : "");
    }
    put(out, ")");
}

/* The names of a row; what is not of a module has one. */
static void names(struct report *report, const struct image *image, struct image_string module, struct str name)
{
    report_row(report);
    if (report->programs || module.size)
        report_name(report, "module", image_str(image, module));
    report_name(report, "name", name);
}

/* A function's canonical text, or its core signature: first code, parameters, results. */
static void func_row(struct inspect *inspect, const struct image *image, struct image_string signature,
                     const uint32_t codes[3])
{
    struct report *report = &inspect->report;
    struct buf text;
    buf_init(&text, INSPECT_TEXT_MAX);
    if (report->programs)
        report_cell(report, "kind", STR("func"));
    if (signature.size) {
        struct str words = image_str(image, signature);
        buf_append(&text, words.ptr, words.len);
    } else {
        put(&text, "(func");
        put_signature(&text, image, codes[0], codes[1], codes[2]);
        put(&text, ")");
    }
    inspect_type(inspect, &text);
    report_row_end(report);
}

static void extern_row(struct inspect *inspect, const struct image *image, const struct image_extern *row)
{
    struct report *report = &inspect->report;
    struct buf text;
    buf_init(&text, INSPECT_TEXT_MAX);
    names(report, image, row->module, image_str(image, row->name));
    if (report->programs)
        report_cell(report, "kind", str_of(wasm_kind_words[row->kind]));
    put_extern(&text, image, row);
    inspect_type(inspect, &text);
    report_row_end(report);
}

/* Built-in functions on resources are named by the resource. */
static struct str import_name(struct inspect *inspect, const struct image *image, const struct image_import *row)
{
    static const char *const prefixes[] = {[HOST_RESOURCE_DROP] = "[resource-drop]",
                                           [HOST_RESOURCE_NEW] = "[resource-new]",
                                           [HOST_RESOURCE_REP] = "[resource-rep]"};
    struct str name = image_str(image, row->name);
    bool built_in = row->kind >= HOST_RESOURCE_DROP && row->kind <= HOST_RESOURCE_REP;
    return built_in ? inspect_text(inspect, "%s%.*s", prefixes[row->kind], STR_ARG(name)) : name;
}

static void imports(struct inspect *inspect, const struct image *image)
{
    struct report *report = &inspect->report;
    uint64_t count = image_imports_count(image), opens = image_opens_count(image);
    report_list(report, "imports", "imports", (uint32_t)(count + opens));
    for (uint64_t i = 0; i < count && !report->out->failed; i++) {
        const struct image_import *row = &image_imports(image)[i];
        const uint32_t codes[] = {row->types_first, row->param_count, row->result_count};
        names(report, image, row->interface, import_name(inspect, image, row));
        func_row(inspect, image, row->signature, codes);
    }
    for (uint64_t i = 0; i < opens && !report->out->failed; i++)
        extern_row(inspect, image, &image_opens(image)[i]);
    report_list_end(report);
}

/* A joinable image lists its functions twice; its offers say more. */
static void exports(struct inspect *inspect, const struct image *image)
{
    struct report *report = &inspect->report;
    uint64_t count = image->header->joinable ? 0 : image_exports_count(image), offers = image_offers_count(image);
    report_list(report, "exports", "exports", (uint32_t)(count + offers));
    for (uint64_t i = 0; i < count && !report->out->failed; i++) {
        const struct image_export *row = &image_exports(image)[i];
        const uint32_t codes[] = {row->types_first, row->param_count, row->result_count};
        names(report, image, row->interface, image_str(image, row->name));
        func_row(inspect, image, row->signature, codes);
    }
    for (uint64_t i = 0; i < offers && !report->out->failed; i++)
        extern_row(inspect, image, &image_offers(image)[i]);
    report_list_end(report);
}

static void imported(struct report *report, bool is)
{
    if (report->programs)
        report_bool(report, "imported", is);
    else if (is)
        report_cell(report, NULL, STR("(another instance's)"));
}

static void memories(struct report *report, const struct image *image)
{
    report_list(report, "memories", "memories", (uint32_t)image_memories_count(image));
    for (uint64_t i = 0; i < image_memories_count(image) && !report->out->failed; i++) {
        const struct image_memory *row = &image_memories(image)[i];
        report_row(report);
        report_count(report, "min_bytes", row->min_bytes, "bytes at first,");
        report_count(report, "max_bytes", row->max_bytes, "at most,");
        report_count(report, "reserved_bytes", row->reserve_bytes, "reserved");
        imported(report, !row->owner);
        report_row_end(report);
    }
    report_list_end(report);
}

static void tables(struct report *report, const struct image *image)
{
    report_list(report, "tables", "tables", (uint32_t)image_tables_count(image));
    for (uint64_t i = 0; i < image_tables_count(image) && !report->out->failed; i++) {
        const struct image_table *row = &image_tables(image)[i];
        report_row(report);
        report_count(report, "min", row->min, "entries at first,");
        report_count(report, "max", row->max, "at most");
        imported(report, !row->owner);
        report_row_end(report);
    }
    report_list_end(report);
}

static uint64_t template_size(const struct image *image)
{
    uint64_t size = 0;
    for (uint64_t i = 0; i < image_runs_count(image); i++)
        size += image_runs(image)[i].size;
    return size;
}

/* Functions of the guest, without what the compiler added. */
static uint64_t guest_functions(const struct image *image)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < image_funcs_count(image); i++)
        count += image_funcs(image)[i].kind == IMAGE_FUNC;
    return count;
}

static void options(struct report *report, const struct image_header *header)
{
    char text[64];
    bool open = header->options >> 8 & 1;
    snprintf(text, sizeof text, "-O %u%s", (unsigned)(header->options & 0xff), open ? ", linked at run time" : "");
    report_text(report, NULL, "options", str_of(text));
    report_number(report, "opt", NULL, header->options & 0xff, NULL);
    report_bool(report, "open", open);
    report_bool(report, "component", header->component);
}

static void parts(struct report *report, const struct image *image)
{
    const struct image_header *header = image->header;
    const struct {
        const char *key, *label;
        uint64_t value;
        const char *unit;
    } rows[] = {
        {"text_size", "text", header->exec_size, "bytes"},
        {"constants_size", "constants", header->code_size - header->exec_size, "bytes"},
        {"template_size", "template", template_size(image), "bytes"},
        {"functions", "functions", guest_functions(image), NULL},
        {"units", "instances", image_units_count(image), NULL},
        {"slot_size", "slot", header->slot_size, "bytes of address space"},
        {"slot_fixed_size", "  fixed", header->fixed_size, "bytes"},
        {"slot_mutable_size", "  mutable", header->mutable_size, "bytes"},
    };
    report_object(report, "image");
    options(report, header);
    hash_fact(report, "source", "source", header->source);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        report_number(report, rows[i].key, rows[i].label, rows[i].value, rows[i].unit);
    report_end(report);
}

static void engine(struct report *report, const struct image_header *header, bool ours)
{
    report_object(report, "engine");
    hash_fact(report, "id", NULL, header->engine);
    report_bool(report, "matches", ours);
    report_text(report, NULL, "engine", ours ? STR("this one (" MAYFLY_VERSION ")") : STR("another version of mayfly"));
    if (ours)
        report_text(report, "cpu", "processor", STR(CODEGEN_CPU " or better"));
    report_end(report);
}

static bool body(struct inspect *inspect, const struct image *image)
{
    struct report *report = &inspect->report;
    struct needs needs = {0};
    if (!needs_of_image(inspect, image, &needs))
        return false;
    inspect_head(inspect, "image", "native image");
    engine(report, image->header, true);
    needs_report(inspect, &needs);
    parts(report, image);
    memories(report, image);
    tables(report, image);
    imports(inspect, image);
    exports(inspect, image);
    needs_report_missing(inspect, &needs);
    return true;
}

bool inspect_image(struct inspect *inspect)
{
    const struct image image = {inspect->bytes, (const struct image_header *)inspect->bytes};
    const size_t known = offsetof(struct image_header, engine) + sizeof image.header->engine;
    uint8_t id[32];
    image_engine_id(id);
    if (inspect->size < known)
        return err_at(inspect->err, ERR_MALFORMED, inspect->size, "unexpected end of an image");
    bool ours = image.header->format == IMAGE_FORMAT && image.header->header_size == sizeof *image.header &&
                memcmp(image.header->engine, id, sizeof id) == 0;
    if (ours)
        return image_check(inspect->bytes, inspect->size, inspect->err) && body(inspect, &image);
    inspect_head(inspect, "image", "native image");
    engine(&inspect->report, image.header, false);
    report_object(&inspect->report, "run");
    report_text(&inspect->report, NULL, "runs", STR("no: compile it again with this version (" MAYFLY_VERSION ")"));
    report_null(&inspect->report, "command");
    report_bool(&inspect->report, "possible", false);
    report_text(&inspect->report, "obstacle", NULL, STR("the image was made by another version of mayfly"));
    report_end(&inspect->report);
    return true;
}
