/* mayfly inspect: components, their interfaces and the core modules inside. */
#include "cli/inspect.h"

#include "component/decode.h"
#include "component/world.h"
#include "wasm/feature.h"
#include "wasm/reader.h"

/* The component's own custom sections: decoding left them out. */
struct customs {
    struct wasm_custom *items;
    uint32_t count;
};

struct inspected {
    const struct component *component;
    struct world *world;
    const struct wasm_module **modules; /* in the order of the file, also those of nested components */
    uint32_t module_count, components;
    struct customs customs;
    uint32_t features;
    struct makers makers;
};

/* --- what is inside --- */

/* `ret` may be NULL, to count. */
static uint32_t find_customs(const struct inspect *inspect, struct wasm_custom *ret)
{
    struct reader in = {inspect->bytes, inspect->bytes + 8, inspect->bytes + inspect->size, NULL}, body;
    uint32_t size, count = 0;
    uint8_t id;
    while (reader_u8(&in, &id) && reader_u32(&in, &size) && reader_window(&in, size, &body)) {
        struct wasm_custom custom;
        if (id != 0 || !reader_name(&body, &custom.name))
            continue;
        custom.start = reader_offset(&body);
        custom.size = (uint32_t)reader_left(&body);
        if (ret)
            ret[count] = custom;
        count++;
    }
    return count;
}

static void walk_modules(struct inspected *all, const struct component *component)
{
    all->components++;
    for (uint32_t i = 0; i < component->count; i++) {
        const struct definition *definition = &component->definitions[i];
        if (definition->kind == DEFINE_COMPONENT)
            walk_modules(all, definition->component);
        else if (definition->kind == DEFINE_CORE_MODULE)
            all->modules[all->module_count++] =
                component->scope.spaces[SORT_CORE_MODULE].items[definition->result].core_module->module;
    }
}

static bool module_features(struct inspect *inspect, struct inspected *all, const struct wasm_module *module)
{
    uint32_t set;
    if (!wasm_features(module, &set, inspect->err))
        return false;
    all->features |= set;
    return true;
}

static bool look_inside(struct inspect *inspect, struct inspected *all)
{
    uint32_t count = find_customs(inspect, NULL);
    all->modules = ARENA_ARRAY(&inspect->arena, const struct wasm_module *, COMPONENT_MAX_MODULES);
    all->customs.items = ARENA_ARRAY(&inspect->arena, struct wasm_custom, count);
    if (!all->modules || !all->customs.items)
        return err_memory(inspect->err);
    all->customs.count = find_customs(inspect, all->customs.items);
    walk_modules(all, all->component);
    for (uint32_t i = 0; i < all->customs.count; i++) {
        const struct wasm_custom *custom = &all->customs.items[i];
        struct str contents = {(const char *)inspect->bytes + custom->start, custom->size};
        if (str_eq(custom->name, STR("producers")) && !makers_add(inspect, &all->makers, contents))
            return false;
    }
    for (uint32_t i = 0; i < all->module_count; i++)
        if (!module_features(inspect, all, all->modules[i]) ||
            !makers_add_module(inspect, &all->makers, all->modules[i]))
            return false;
    return true;
}

/* --- imports and exports --- */

typedef bool put_fn(struct world *world, const struct extern_decl *home, const struct extern_decl *decl,
                    struct buf *out);

static bool put_func(struct world *world, const struct extern_decl *home, const struct extern_decl *decl,
                     struct buf *out)
{
    return world_put_func(world, home, decl->type.func, out);
}

static bool put_kind(struct world *world, const struct extern_decl *home, const struct extern_decl *decl,
                     struct buf *out)
{
    const char *words = world_kind(&decl->type);
    return buf_append(out, words, strlen(words));
}

static put_fn *put_of(const struct extern_decl *decl)
{
    return decl->type.sort == SORT_FUNC ? put_func : decl->type.sort == SORT_TYPE ? world_put_type : put_kind;
}

/* "name: type" */
static bool put_row(struct inspect *inspect, const struct inspected *all, const struct extern_decl *home,
                    const struct extern_decl *decl)
{
    struct report *report = &inspect->report;
    struct buf text;
    buf_init(&text, INSPECT_TEXT_MAX);
    if (!report->programs)
        buf_printf(&text, "%.*s: ", STR_ARG(decl->name));
    bool done = put_of(decl)(all->world, home, decl, &text) || text.failed;
    report_row(report);
    if (report->programs) {
        report_cell(report, "name", decl->name);
        report_cell(report, "kind", str_of(world_kind(&decl->type)));
    }
    inspect_type(inspect, &text);
    report_row_end(report);
    return done;
}

static bool put_items(struct inspect *inspect, const struct inspected *all, const struct extern_decl *home)
{
    struct report *report = &inspect->report;
    const struct externs *externs = &home->type.instance->exports;
    bool done = true;
    report_list(report, "items", NULL, externs->count);
    for (uint32_t i = 0; done && i < externs->count && !report->out->failed; i++)
        done = put_row(inspect, all, home, &externs->items[i]);
    report_list_end(report);
    return done;
}

/* An interface with what is in it, or a function or type of the component's own. */
static bool put_extern(struct inspect *inspect, const struct inspected *all, const struct extern_decl *decl)
{
    struct report *report = &inspect->report;
    if (decl->type.sort != SORT_INSTANCE)
        return put_row(inspect, all, NULL, decl);
    report_row(report);
    report_cell(report, "name", decl->name);
    if (report->programs)
        report_cell(report, "kind", str_of(world_kind(&decl->type)));
    bool done = put_items(inspect, all, decl);
    report_row_end(report);
    return done;
}

static bool put_externs(struct inspect *inspect, const struct inspected *all, const char *word,
                        const struct externs *externs)
{
    bool done = true;
    report_list(&inspect->report, word, word, externs->count);
    for (uint32_t i = 0; done && i < externs->count && !inspect->report.out->failed; i++)
        done = put_extern(inspect, all, &externs->items[i]);
    report_list_end(&inspect->report);
    return done;
}

/* --- the report --- */

static void put_modules(struct inspect *inspect, const struct inspected *all)
{
    struct report *report = &inspect->report;
    report_list(report, "modules", "core modules", all->module_count);
    for (uint32_t i = 0; i < all->module_count && !report->out->failed; i++) {
        const struct wasm_module *module = all->modules[i];
        report_row(report);
        report_count(report, "offset", (uint64_t)(module->bytes - inspect->bytes), NULL);
        report_count(report, "size", module->size, "bytes:");
        report_count(report, "functions", module->func_count - module->imported_funcs, "functions,");
        report_count(report, "code_size", module_code_size(module), "bytes of code,");
        report_count(report, "data_size", module_data_size(module), "bytes of data");
        report_count(report, "memories", module->memory_count, NULL);
        report_count(report, "imports", module->import_count, NULL);
        report_count(report, "exports", module->export_count, NULL);
        if (module->name.len)
            report_name(report, "name", module->name);
        else
            report_null(report, "name");
        report_row_end(report);
    }
    report_list_end(report);
}

static void put_customs(struct inspect *inspect, const struct customs *customs)
{
    struct report *report = &inspect->report;
    report_list(report, "custom", "custom sections", customs->count);
    for (uint32_t i = 0; i < customs->count && !report->out->failed; i++) {
        report_row(report);
        report_name(report, "name", customs->items[i].name);
        report_count(report, "size", customs->items[i].size, "bytes");
        report_row_end(report);
    }
    report_list_end(report);
}

static bool body(struct inspect *inspect, const struct inspected *all, const struct needs *needs)
{
    const struct component_type *type = &all->component->type;
    inspect_head(inspect, "component", "component");
    needs_report(inspect, needs);
    makers_report(inspect, &all->makers);
    inspect_features(inspect, all->features);
    report_number(&inspect->report, "components", all->components > 1 ? "components" : NULL, all->components - 1,
                  "inside");
    if (!put_externs(inspect, all, "imports", &type->imports) || !put_externs(inspect, all, "exports", &type->exports))
        return false;
    put_modules(inspect, all);
    put_customs(inspect, &all->customs);
    needs_report_missing(inspect, needs);
    return true;
}

bool inspect_component(struct inspect *inspect)
{
    struct component *component;
    struct inspected all = {0};
    struct needs needs = {0};
    if (!component_decode(inspect->bytes, inspect->size, &inspect->arena, &component, inspect->err))
        return false;
    all.component = component;
    all.world = world_new(component, &inspect->arena, inspect->err);
    bool done =
        all.world && look_inside(inspect, &all) && needs_of_component(inspect, &needs) && body(inspect, &all, &needs);
    map_free(&all.makers.seen);
    return done;
}
