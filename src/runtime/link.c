/* See link.h. */
#include "runtime/link.h"

#include "base/alloc.h"
#include "runtime/match.h"
#include "runtime/task.h"

#include <string.h>

static char *slot_at(const struct slot *slot, uint64_t slot_off)
{
    return (char *)slot->store + slot_off;
}

static const struct image_memory *memory_row(const struct link_extern *memory)
{
    return &image_memories(&memory->slot->program->image)[memory->row->place];
}

static const struct image_table *table_row(const struct link_extern *table)
{
    return &image_tables(&table->slot->program->image)[table->row->place];
}

void *link_address(const struct link_extern *object)
{
    switch (object->row->kind) {
    case WASM_MEMORY: return slot_at(object->slot, memory_row(object)->base_off);
    case WASM_TABLE: return slot_at(object->slot, table_row(object)->entries_off);
    default: return slot_at(object->slot, object->row->place);
    }
}

/* The words that an importer gets of anything but a function. */
static struct link_words words_of(const struct link_extern *object)
{
    struct link_words words = {.address = (uint64_t)link_address(object)};
    if (object->row->kind == WASM_MEMORY) {
        words.size = (uint64_t)slot_at(object->slot, memory_row(object)->size_off);
        words.row = (uint64_t)memory_row(object);
    } else if (object->row->kind == WASM_TABLE) {
        words.size = (uint64_t)slot_at(object->slot, table_row(object)->length_off);
        words.row = (uint64_t)table_row(object);
    }
    return words;
}

const uint64_t *link_size(const struct link_extern *object)
{
    return (const uint64_t *)words_of(object).size;
}

/* In pages or entries. */
static uint64_t size_of(const struct link_extern *object)
{
    bool sized = object->row->kind == WASM_MEMORY || object->row->kind == WASM_TABLE;
    uint64_t size = sized ? *(const uint64_t *)words_of(object).size : 0;
    return object->row->kind == WASM_MEMORY ? size >> object->row->page_log2 : size;
}

bool instance_export(struct slot *slot, struct str name, struct link_extern *ret_extern)
{
    const struct image *image = &slot->program->image;
    for (uint64_t i = 0; i < image_offers_count(image); i++) {
        const struct image_extern *row = &image_offers(image)[i];
        if (!str_eq(image_str(image, row->name), name))
            continue;
        *ret_extern = row->open == WASM_NO_INDEX ? (struct link_extern){slot, row} : slot->externs[row->open];
        return true;
    }
    return false;
}

uint64_t link_funcref(const struct link_extern *func, const struct slot *first)
{
    return slot_reference(func->slot, first, func->row->place);
}

const uint8_t *link_signature(const struct link_extern *func, uint32_t *ret_params, uint32_t *ret_results)
{
    const struct image *image = &func->slot->program->image;
    const struct image_type *type = &image_types(image)[func->row->type];
    *ret_params = type->param_count;
    *ret_results = type->result_count;
    return image_bytes(image) + type->types_first;
}

static bool in_store(const struct slot *first, const struct slot *slot)
{
    while (first && first != slot)
        first = first->joined;
    return first != NULL;
}

static bool resolve_one(const struct slot *first, const struct image *image, const struct image_extern *want,
                        link_resolver *resolve, void *arg, struct link_extern *ret_extern, struct err *err)
{
    struct str module = image_str(image, want->module), name = image_str(image, want->name);
    if (!resolve(arg, module, name, ret_extern) || !in_store(first, ret_extern->slot))
        return err_set(err, ERR_LINK, "unknown import %.*s.%.*s", STR_ARG(module), STR_ARG(name));
    const struct image *have = &ret_extern->slot->program->image;
    return match_extern(have, ret_extern->row, size_of(ret_extern), image, want) ||
           err_set(err, ERR_LINK, "incompatible import type for %.*s.%.*s", STR_ARG(module), STR_ARG(name));
}

static bool check_types(struct slot *first, const struct image *image, struct err *err)
{
    for (const struct slot *slot = first; slot; slot = slot->joined)
        if (!match_types(image, &slot->program->image))
            return err_set(err, ERR_LINK, "two different types of linked modules have the same hash");
    return true;
}

/* All imports, in an array of their own, or NULL. */
static struct link_extern *resolve_all(struct slot *first, const struct image *image, link_resolver *resolve, void *arg,
                                       struct err *err)
{
    uint64_t count = image_opens_count(image);
    struct link_extern *externs = mem_alloc(count + 1, sizeof *externs);
    if (!externs)
        err_memory(err);
    for (uint64_t i = 0; externs && i < count; i++)
        if (!resolve_one(first, image, &image_opens(image)[i], resolve, arg, &externs[i], err)) {
            mem_free(externs);
            return NULL;
        }
    return externs;
}

static void write_words(struct slot *slot, const struct slot *first)
{
    const struct image *image = &slot->program->image;
    for (uint64_t i = 0; i < image_opens_count(image); i++) {
        uint64_t at = image_opens(image)[i].place;
        const struct link_extern *by = &slot->externs[i];
        struct link_words words = words_of(by);
        if (by->row->kind == WASM_FUNC)
            slot_link_func(slot, first, at, link_funcref(by, first));
        else
            memcpy(slot_at(slot, at), &words, sizeof words);
    }
}

struct starting {
    struct slot *slot;
    bool begun, done;
};

static void run_starts(struct task *task)
{
    static const uint8_t no_types[1];
    struct starting *starting = task->arg;
    const struct image *image = &starting->slot->program->image;
    starting->begun = starting->done = true;
    for (uint64_t i = 0; starting->done && i < image_starts_count(image); i++) {
        uint64_t funcref = slot_reference(starting->slot, task->slot, image_starts(image)[i].funcref);
        starting->done = guest_call(task->slot->store, funcref, no_types, 0, 0, NULL);
    }
}

static bool start(struct starting *starting, struct slot *first, void *host, struct trap_report *ret_report,
                  struct err *err)
{
    struct task task = {0};
    uint32_t trap = starting->slot->program->image.header->init_trap;
    if (trap)
        return err_set(err, ERR_TRAP, "%s", trap_text((enum trap)trap));
    if (!task_start(&task, first, run_starts, starting, host, err))
        return false;
    if (task.state != TASK_DONE) {
        task_abandon(&task);
        return err_set(err, ERR_UNSUPPORTED, "instantiation waits for the host");
    }
    if (starting->done)
        return true;
    if (ret_report)
        *ret_report = task.report;
    return err_set(err, ERR_TRAP, "%s", trap_text(task.report.trap));
}

bool instance_link(struct slot *first, struct program *program, link_resolver *resolve, void *arg, void *host,
                   struct slot **ret_slot, struct trap_report *ret_report, struct err *err)
{
    const struct image *image = &program->image;
    if (!image->header->joinable)
        return err_set(err, ERR_LINK, "the image was not compiled to be linked at run time");
    struct link_extern *externs = check_types(first, image, err) ? resolve_all(first, image, resolve, arg, err) : NULL;
    struct slot *slot = !externs ? NULL : first ? slot_join(first, program, err) : slot_open(program, err);
    if (!slot) {
        mem_free(externs);
        return false;
    }
    slot->externs = externs;
    write_words(slot, first ? first : slot);
    struct starting starting = {.slot = slot};
    *ret_slot = slot;
    bool done = start(&starting, first ? first : slot, host, ret_report, err);
    if (done)
        return true;
    *ret_slot = NULL;
    if (!first)
        slot_destroy(slot);
    else if (!starting.begun)
        slot_leave(first);
    return false;
}
