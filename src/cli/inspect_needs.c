/* mayfly inspect: whether a file will run, with which command, and what must be granted for it.
 *
 * Answers come from where linking takes them: the tables of the host, the planner and the layout. So what is said to
 * run is refused only where the compiler or the machine refuses it. */
#include "cli/inspect.h"

#include "base/text.h"
#include "component/plan.h"
#include "image/format.h"
#include "runtime/trap.h"

/* Modules that only the host can offer: see cli/preload.c. */
#define HOST_MODULES "wasi_snapshot_preview1,wasi_unstable"

/* What components export to be run: the command that takes such a file, where there is one, and the triggers of a
 * manifest that call it. */
static const struct {
    struct str interface, name;
    const char *command;
    struct str triggers[2];
} entries[] = {
    {STR("wasi:http/incoming-handler@0.2"), STR("handle"), "up", {STR("http")}},
    {STR("fermyon:spin/inbound-http"), STR("handle-request"), "up", {STR("http")}},
    {STR("wasi:cli/run@0.2"), STR("run"), "run", {STR("http with the executor wagi"), STR("command")}},
    {STR("fermyon:spin/inbound-redis"), STR("handle-message"), NULL, {STR("redis")}},
    {STR(""), STR("handle-cron-event"), NULL, {STR("cron")}},
    {STR(""), STR("_start"), "run", {STR("http with the executor wagi")}}, /* of a core module */
};
#define ENTRY_COUNT (sizeof entries / sizeof *entries)

/* Interfaces that tell a guest something, and so what all instances behind a snapshot have in common (node/freeze.h),
 * if start functions ask. Which of their imports they reach is not known before they run. */
static const struct str asked[] = {
    STR("fermyon:spin/config"),         STR("fermyon:spin/variables"), STR("wasi:cli/environment"),
    STR("wasi:clocks/monotonic-clock"), STR("wasi:clocks/wall-clock"), STR("wasi:config/store"),
    STR("wasi:filesystem/types"),       STR("wasi:random/insecure"),   STR("wasi:random/insecure-seed"),
    STR("wasi:random/random"),
};
#define ASKED_COUNT (sizeof asked / sizeof *asked)

static const char *const no_start = "it exports no function _start without parameters and results";
static const char *const no_start_library = "it exports no function _start without parameters and results; 'mayfly run "
                                            "--preload NAME=FILE' links it to another";
static const char *const no_entry = "it exports neither wasi:http/incoming-handler@0.2 (handle) nor wasi:cli/run@0.2 "
                                    "(run), nor what a trigger redis or cron calls";

/* --- collecting --- */

static bool add_missing(struct inspect *inspect, struct needs *needs, struct str module, struct str name,
                        const char *problem)
{
    struct needs_list *list = &needs->missing;
    if ((list->count & (list->count - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        struct need *items = ARENA_ARRAY(&inspect->arena, struct need, list->count ? 2 * (size_t)list->count : 1);
        if (!items)
            return err_memory(inspect->err);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count++] = (struct need){module, name, problem};
    return true;
}

static void add_group(struct needs *needs, struct str module, struct str name)
{
    const struct wasi_group *group = wasi_group_of(module, name);
    for (uint32_t i = 0; i < needs->group_count; i++)
        if (needs->groups[i] == group)
            return;
    if (group && needs->group_count < NEEDS_GROUPS_MAX)
        needs->groups[needs->group_count++] = group;
}

static void add_asked(struct needs *needs, struct str interface)
{
    struct str name = str_slice(interface, 0, str_find(interface, '@'));
    for (size_t i = 0; i < ASKED_COUNT; i++)
        if (str_eq(asked[i], name))
            needs->asked |= 1u << i;
}

/* A function from one of WASI's modules. */
static bool add_function(struct inspect *inspect, struct needs *needs, struct str module, struct str name,
                         const struct wasm_functype *type)
{
    switch (preview1_offer(module, name, type)) {
    case OFFER_HERE: add_group(needs, module, name); return true;
    case OFFER_OTHER_TYPE: return add_missing(inspect, needs, module, name, "has another type");
    default: return add_missing(inspect, needs, module, name, "is not offered");
    }
}

static void no(struct needs *needs, const char *why)
{
    if (!needs->obstacle.len)
        needs->obstacle = str_of(why);
}

static void count_missing(struct inspect *inspect, struct needs *needs)
{
    if (needs->missing.count && !needs->obstacle.len)
        needs->obstacle = needs->missing.count == 1
                              ? STR("an import is not offered: see below")
                              : inspect_text(inspect, "%u imports are not offered: see below", needs->missing.count);
}

/* What planner and layout say against it; memory is a failure of our own. */
static bool take_refusal(struct inspect *inspect, struct needs *needs, bool done, const struct err *why)
{
    if (done)
        return true;
    if (why->kind == ERR_MEMORY)
        return err_memory(inspect->err);
    if (!needs->obstacle.len)
        needs->obstacle = inspect_text(inspect, "%s", why->message);
    return true;
}

static void add_entry(struct needs *needs, struct str interface, struct str name)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        bool whole = entries[i].interface.len == 0;
        if (str_eq(name, entries[i].name) && (whole ? interface.len == 0 : str_starts(interface, entries[i].interface)))
            needs->entries |= 1u << i;
    }
}

/* --- core modules --- */

static bool is_action(const struct wasm_functype *type)
{
    return type->param_count == 0 && type->result_count == 0;
}

static bool has_start(const struct wasm_module *module)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_FUNC && str_eq(module->exports[i].name, STR("_start")))
            return is_action(wasm_func_type(module, module->exports[i].index));
    return false;
}

/* A name that --preload NAME=FILE can give. */
static bool can_preload(struct str name)
{
    return name.len && str_find(name, '=') == name.len && str_find(name, '\0') == name.len;
}

static bool module_import(struct inspect *inspect, struct needs *needs, struct map *seen,
                          const struct wasm_module *module, const struct wasm_import *import)
{
    if (preview1_is_module(import->module) && import->kind == WASM_FUNC)
        return add_function(inspect, needs, import->module, import->name, wasm_func_type(module, import->index));
    if (preview1_is_module(import->module))
        return add_missing(inspect, needs, import->module, import->name, "is not offered");
    if (!can_preload(import->module))
        return add_missing(inspect, needs, import->module, import->name, "is of a module that no --preload can name");
    if (map_get(seen, import->module, NULL))
        return true;
    needs->preload[needs->preload_count++] = import->module;
    return map_put(seen, import->module, 0) || err_memory(inspect->err);
}

static bool module_imports(struct inspect *inspect, struct needs *needs, const struct wasm_module *module)
{
    struct map seen = {0};
    bool done = true;
    needs->preload = ARENA_ARRAY(&inspect->arena, struct str, module->import_count);
    if (!needs->preload)
        return err_memory(inspect->err);
    for (uint32_t i = 0; done && i < module->import_count; i++)
        done = module_import(inspect, needs, &seen, module, &module->imports[i]);
    map_free(&seen);
    return done;
}

static bool can_lay_out(struct inspect *inspect, struct plan *plan, struct err *err)
{
    struct geometry geometry;
    return layout_compute(plan->units, plan->unit_count, plan->handle_tables, &inspect->arena, &geometry, err);
}

bool needs_of_module(struct inspect *inspect, const struct wasm_module *module, struct needs *ret_needs)
{
    struct needs needs = {.command = "run"};
    struct plan *plan;
    struct err why = {0};
    if (!module_imports(inspect, &needs, module))
        return false;
    if (!has_start(module))
        no(&needs, no_start_library);
    else if (!needs.preload_count && !needs.missing.count)
        add_entry(&needs, STR(""), STR("_start"));
    count_missing(inspect, &needs);
    const struct plan_options options = {needs.preload_count != 0, STR(HOST_MODULES)};
    bool done = needs.missing.count ||
                (plan_module(module, &options, &inspect->arena, &plan, &why) && can_lay_out(inspect, plan, &why));
    if (!take_refusal(inspect, &needs, done, &why))
        return false;
    *ret_needs = needs;
    return true;
}

/* --- components --- */

/* The types of the plan's rows are the canonical texts that linking compares. */
static bool host_row(struct inspect *inspect, struct needs *needs, enum host_import_kind kind, struct str interface,
                     struct str name, struct str signature, bool own_resource)
{
    static const char *const absent = "is not offered";
    switch (kind) {
    case HOST_LOWERED:
        add_group(needs, interface, name);
        add_asked(needs, interface);
        switch (wasi_offer(interface, name, signature)) {
        case OFFER_HERE: return true;
        case OFFER_OTHER_TYPE:
            no(needs, "a function of the host is imported with another type: see below");
            return add_missing(inspect, needs, interface, name, "has another type");
        default: return add_missing(inspect, needs, interface, name, absent);
        }
    case HOST_RESOURCE_DROP:
        return own_resource || wasi_offer_drop(interface, name) == OFFER_HERE ||
               add_missing(inspect, needs, interface, inspect_text(inspect, "[resource-drop]%.*s", STR_ARG(name)),
                           absent);
    case HOST_RESOURCE_NEW:
    case HOST_RESOURCE_REP: return true;
    default: return true; /* between components in the file */
    case HOST_CORE:
    case HOST_KIND_COUNT: return add_missing(inspect, needs, interface, name, absent);
    }
}

/* Of a component that is both, serving comes first. NULL: only a manifest leads to it. */
static const char *command_of(const struct needs *needs)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        if (needs->entries >> i & 1 && entries[i].command)
            return entries[i].command;
    return NULL;
}

/* What is served has the network granted and nothing else: files and variables are for commands. */
static void keep_network(struct needs *needs)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < needs->group_count; i++)
        if (needs->groups[i]->option && str_starts(str_of(needs->groups[i]->option), STR("--allow-")))
            needs->groups[kept++] = needs->groups[i];
    needs->group_count = kept;
}

static void end_component(struct needs *needs, bool starts)
{
    const char *command = command_of(needs);
    needs->command = command ? command : "up";
    bool served = str_eq(str_of(needs->command), STR("up"));
    if (!starts || !needs->entries || !served)
        needs->asked = 0;
    if (!needs->entries)
        no(needs, no_entry);
    if (!command) /* what a manifest grants is no option */
        needs->group_count = 0;
    else if (served)
        keep_network(needs);
}

static bool plan_starts(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->unit_count; i++)
        if (plan->units[i].module->start != WASM_NO_INDEX)
            return true;
    return false;
}

bool needs_of_component(struct inspect *inspect, struct needs *ret_needs)
{
    struct needs needs = {.command = "up"};
    struct plan *plan = NULL;
    struct err why = {0};
    bool done = component_plan(inspect->bytes, inspect->size, &inspect->arena, &plan, &why);
    if (!take_refusal(inspect, &needs, done && can_lay_out(inspect, plan, &why), &why))
        return false;
    for (uint32_t i = 0; done && i < plan->export_count; i++)
        add_entry(&needs, plan->exports[i].interface, plan->exports[i].name);
    for (uint32_t i = 0; done && i < plan->import_count; i++) {
        const struct host_import *row = &plan->imports[i];
        if (!host_row(inspect, &needs, row->kind, row->interface, row->name, row->signature,
                      row->resource_type != WASM_NO_INDEX))
            return false;
    }
    if (done)
        end_component(&needs, plan_starts(plan));
    *ret_needs = needs;
    return true;
}

/* --- images --- */

static bool core_row(struct inspect *inspect, struct needs *needs, const struct image *image,
                     const struct image_import *row)
{
    const uint8_t *codes = image_bytes(image) + row->types_first;
    uint64_t count = (uint64_t)row->param_count + row->result_count;
    wasm_valtype *types = ARENA_ARRAY(&inspect->arena, wasm_valtype, count);
    if (!types)
        return err_memory(inspect->err);
    for (uint64_t i = 0; i < count; i++)
        types[i] = codes[i];
    const struct wasm_functype type = {row->param_count, row->result_count, types, types + row->param_count};
    return add_function(inspect, needs, image_str(image, row->interface), image_str(image, row->name), &type);
}

static bool image_imports_needed(struct inspect *inspect, struct needs *needs, const struct image *image)
{
    for (uint64_t i = 0; i < image_imports_count(image); i++) {
        const struct image_import *row = &image_imports(image)[i];
        bool done = image->header->component ? host_row(inspect, needs, row->kind, image_str(image, row->interface),
                                                        image_str(image, row->name), image_str(image, row->signature),
                                                        row->resource_type != WASM_NO_INDEX)
                                             : core_row(inspect, needs, image, row);
        if (!done)
            return false;
    }
    return true;
}

static bool image_opens_needed(struct inspect *inspect, struct needs *needs, const struct image *image)
{
    struct map seen = {0};
    bool done = true;
    needs->preload = ARENA_ARRAY(&inspect->arena, struct str, image_opens_count(image));
    if (!needs->preload)
        return err_memory(inspect->err);
    for (uint64_t i = 0; done && i < image_opens_count(image); i++) {
        struct str module = image_str(image, image_opens(image)[i].module);
        if (map_get(&seen, module, NULL))
            continue;
        needs->preload[needs->preload_count++] = module;
        done = map_put(&seen, module, 0) || err_memory(inspect->err);
    }
    map_free(&seen);
    return done;
}

static void image_entry(struct needs *needs, const struct image *image)
{
    for (uint64_t i = 0; i < image_exports_count(image); i++)
        add_entry(needs, image_str(image, image_exports(image)[i].interface),
                  image_str(image, image_exports(image)[i].name));
    end_component(needs, image_starts_count(image) != 0);
}

static bool image_has_start(const struct image *image)
{
    for (uint64_t i = 0; i < image_exports_count(image); i++) {
        const struct image_export *row = &image_exports(image)[i];
        if (str_eq(image_str(image, row->name), STR("_start")) && row->param_count + row->result_count == 0)
            return true;
    }
    for (uint64_t i = 0; i < image_offers_count(image); i++) {
        const struct image_extern *row = &image_offers(image)[i];
        if (row->kind == WASM_FUNC && str_eq(image_str(image, row->name), STR("_start")))
            return image_types(image)[row->type].param_count + image_types(image)[row->type].result_count == 0;
    }
    return false;
}

bool needs_of_image(struct inspect *inspect, const struct image *image, struct needs *ret_needs)
{
    struct needs needs = {.command = image->header->component ? "up" : "run"};
    if (!image_imports_needed(inspect, &needs, image) || !image_opens_needed(inspect, &needs, image))
        return false;
    if (image->header->component)
        image_entry(&needs, image);
    else if (!image_has_start(image))
        no(&needs, no_start);
    else if (!needs.preload_count && !needs.missing.count)
        add_entry(&needs, STR(""), STR("_start"));
    if (!image->header->component)
        count_missing(inspect, &needs);
    if (image->header->init_trap)
        no(&needs, trap_text(image->header->init_trap));
    *ret_needs = needs;
    return true;
}

/* --- telling --- */

static void report_command(struct inspect *inspect, const struct needs *needs)
{
    struct report *report = &inspect->report;
    if (needs->obstacle.len)
        report_text(report, NULL, "runs", inspect_text(inspect, "no: %.*s", STR_ARG(needs->obstacle)));
    else if (needs->entries && !command_of(needs))
        report_text(report, NULL, "runs", STR("mayfly up, in an application with a trigger for it"));
    else
        report_text(report, NULL, "runs",
                    inspect_text(inspect, "mayfly %s %s%s", needs->command,
                                 needs->preload_count ? "--preload NAME=FILE " : "", inspect->file));
    report_text(report, "command", NULL, str_of(needs->command));
    report_bool(report, "possible", needs->obstacle.len == 0);
    inspect_optional(inspect, "obstacle", NULL, needs->obstacle);
}

static void report_triggers(struct inspect *inspect, const struct needs *needs)
{
    struct str words[2 * ENTRY_COUNT];
    uint32_t count = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        for (size_t k = 0; k < 2; k++) {
            bool there = needs->entries >> i & 1 && entries[i].triggers[k].len;
            if (there && !(count && str_eq(words[count - 1], entries[i].triggers[k])))
                words[count++] = entries[i].triggers[k];
        }
    report_words(&inspect->report, "triggers", "triggers", words, count);
}

static void report_groups(struct inspect *inspect, const struct needs *needs)
{
    struct report *report = &inspect->report;
    struct str grants[NEEDS_GROUPS_MAX], uses[NEEDS_GROUPS_MAX];
    uint32_t grant_count = 0, use_count = 0;
    for (uint32_t i = 0; i < needs->group_count; i++) {
        const struct wasi_group *group = needs->groups[i];
        if (group->option)
            grants[grant_count++] = inspect_text(inspect, "%s (%s)", group->name, group->option);
        else
            uses[use_count++] = str_of(group->name);
    }
    report_words(report, NULL, "to grant", grants, grant_count);
    report_words(report, NULL, "gets", uses, use_count);
    if (!report->programs)
        return;
    report_list(report, "groups", NULL, needs->group_count);
    for (uint32_t i = 0; i < needs->group_count; i++) {
        report_row(report);
        report_cell(report, "name", str_of(needs->groups[i]->name));
        inspect_optional(inspect, "option", NULL, str_of(needs->groups[i]->option ? needs->groups[i]->option : ""));
        report_row_end(report);
    }
    report_list_end(report);
}

/* For programs as they are, for people in quotes. */
static void report_preload(struct inspect *inspect, const struct needs *needs)
{
    struct report *report = &inspect->report;
    report_words(report, "preload", NULL, needs->preload, needs->preload_count);
    struct str *words = ARENA_ARRAY(&inspect->arena, struct str, needs->preload_count);
    report->out->failed |= !words;
    for (uint32_t i = 0; words && i < needs->preload_count; i++) {
        struct buf text;
        buf_init(&text, INSPECT_TEXT_MAX);
        text_quote(&text, needs->preload[i]);
        words[i] = inspect_text(inspect, "%.*s", STR_ARG(buf_str(&text)));
        buf_free(&text);
    }
    report_words(report, NULL, "preload", words, words ? needs->preload_count : 0);
}

static void report_asked(struct inspect *inspect, const struct needs *needs)
{
    struct str names[ASKED_COUNT], words[ASKED_COUNT];
    uint32_t count = 0;
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        if (!(needs->asked >> i & 1))
            continue;
        names[count] = asked[i];
        words[count] = inspect_text(inspect, "%s%.*s", count ? "" : "would freeze ", STR_ARG(asked[i]));
        count++;
    }
    report_words(&inspect->report, "snapshot", NULL, names, count);
    report_words(&inspect->report, NULL, "--snapshot", words, count);
}

void needs_report(struct inspect *inspect, const struct needs *needs)
{
    report_object(&inspect->report, "run");
    report_command(inspect, needs);
    report_triggers(inspect, needs);
    report_preload(inspect, needs);
    report_groups(inspect, needs);
    report_asked(inspect, needs);
    report_end(&inspect->report);
}

void needs_report_missing(struct inspect *inspect, const struct needs *needs)
{
    struct report *report = &inspect->report;
    report_list(report, "missing", "missing", needs->missing.count);
    for (uint32_t i = 0; i < needs->missing.count && !report->out->failed; i++) {
        report_row(report);
        report_name(report, "module", needs->missing.items[i].module);
        report_name(report, "name", needs->missing.items[i].name);
        report_cell(report, "problem", str_of(needs->missing.items[i].problem));
        report_row_end(report);
    }
    report_list_end(report);
}
