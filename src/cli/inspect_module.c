/* mayfly inspect: core modules. */
#include "cli/inspect.h"

#include "wasm/feature.h"
#include "wasm/text.h"

uint64_t module_code_size(const struct wasm_module *module)
{
    uint64_t size = 0;
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++)
        size += module->funcs[i].size;
    return size;
}

uint64_t module_data_size(const struct wasm_module *module)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < module->data_count; i++)
        size += module->datas[i].size;
    return size;
}

/* Its kind and type, as cells. */
static void type_cells(struct inspect *inspect, const struct wasm_module *module, enum wasm_extern_kind kind,
                       uint32_t index)
{
    struct report *report = &inspect->report;
    struct buf text;
    buf_init(&text, INSPECT_TEXT_MAX);
    wasm_put_extern(&text, module, kind, index);
    if (report->programs)
        report_cell(report, "kind", str_of(wasm_kind_words[kind]));
    inspect_type(inspect, &text);
}

static void imports(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_list(report, "imports", "imports", module->import_count);
    for (uint32_t i = 0; i < module->import_count && !report->out->failed; i++) {
        const struct wasm_import *import = &module->imports[i];
        report_row(report);
        report_name(report, "module", import->module);
        report_name(report, "name", import->name);
        type_cells(inspect, module, import->kind, import->index);
        report_row_end(report);
    }
    report_list_end(report);
}

static void exports(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_list(report, "exports", "exports", module->export_count);
    for (uint32_t i = 0; i < module->export_count && !report->out->failed; i++) {
        const struct wasm_export *export = &module->exports[i];
        report_row(report);
        report_name(report, "name", export->name);
        type_cells(inspect, module, export->kind, export->index);
        report_row_end(report);
    }
    report_list_end(report);
}

static void limits_members(struct report *report, const struct wasm_limits *limits, bool imported)
{
    if (!report->programs)
        return;
    report_number(report, "min", NULL, limits->min, NULL);
    if (limits->has_max)
        report_number(report, "max", NULL, limits->max, NULL);
    else
        report_null(report, "max");
    report_bool(report, "address64", limits->is_64);
    report_bool(report, "shared", limits->shared);
    report_bool(report, "imported", imported);
}

static void memories(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_list(report, "memories", "memories", module->memory_count);
    for (uint32_t i = 0; i < module->memory_count && !report->out->failed; i++) {
        report_row(report);
        type_cells(inspect, module, WASM_MEMORY, i);
        limits_members(report, &module->memories[i].limits, i < module->imported_memories);
        report_row_end(report);
    }
    report_list_end(report);
}

static void tables(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_list(report, "tables", "tables", module->table_count);
    for (uint32_t i = 0; i < module->table_count && !report->out->failed; i++) {
        report_row(report);
        type_cells(inspect, module, WASM_TABLE, i);
        limits_members(report, &module->tables[i].limits, i < module->imported_tables);
        report_row_end(report);
    }
    report_list_end(report);
}

static void customs(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_list(report, "custom", "custom sections", module->custom_count);
    for (uint32_t i = 0; i < module->custom_count && !report->out->failed; i++) {
        report_row(report);
        report_name(report, "name", module->customs[i].name);
        report_count(report, "size", module->customs[i].size, "bytes");
        report_row_end(report);
    }
    report_list_end(report);
}

static void counts(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    const struct {
        const char *key, *words;
        uint32_t count;
    } rows[] = {
        {"types", "types", module->type_count},
        {"functions", "functions", module->func_count - module->imported_funcs},
        {"globals", "globals", module->global_count - module->imported_globals},
        {"tags", "tags", module->tag_count - module->imported_tags},
        {"elements", "element segments", module->elem_count},
        {"data", "data segments", module->data_count},
    };
    struct str words[sizeof rows / sizeof *rows];
    report_object(report, "counts");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        report_number(report, rows[i].key, NULL, rows[i].count, NULL);
        words[i] = inspect_text(inspect, "%s: %u", rows[i].words, rows[i].count);
    }
    report_end(report);
    report_words(report, NULL, "defines", words, sizeof words / sizeof *words);
}

static void sizes(struct inspect *inspect, const struct wasm_module *module)
{
    struct report *report = &inspect->report;
    report_number(report, "code_size", "code", module_code_size(module), "bytes");
    report_number(report, "data_size", "data", module_data_size(module), "bytes");
    counts(inspect, module);
    if (module->start == WASM_NO_INDEX)
        report_null(report, "start");
    else
        report_number(report, "start", "start", module->start, "is the function that instantiation calls");
}

static void body(struct inspect *inspect, const struct wasm_module *module, const struct needs *needs,
                 uint32_t features, const struct makers *makers)
{
    inspect_head(inspect, "module", "core module");
    inspect_optional(inspect, "name", "name", module->name);
    needs_report(inspect, needs);
    makers_report(inspect, makers);
    inspect_features(inspect, features);
    sizes(inspect, module);
    memories(inspect, module);
    tables(inspect, module);
    imports(inspect, module);
    exports(inspect, module);
    customs(inspect, module);
    needs_report_missing(inspect, needs);
}

bool inspect_module(struct inspect *inspect)
{
    struct wasm_module *module;
    struct makers makers = {0};
    struct needs needs = {0};
    uint32_t features;
    bool done = wasm_load(inspect->bytes, inspect->size, &inspect->arena, &module, inspect->err) &&
                wasm_features(module, &features, inspect->err) && needs_of_module(inspect, module, &needs) &&
                makers_add_module(inspect, &makers, module);
    if (done)
        body(inspect, module, &needs, features, &makers);
    map_free(&makers.seen);
    return done;
}
