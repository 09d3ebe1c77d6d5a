/* See snapshot.h. */
#include "runtime/snapshot.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_HEAP_MAX ((uint64_t)16 << 20)

/* Stands in for every host import while start functions run for the first time. */
static bool refuse_at_start(struct store *store, const void *env, union cell *v)
{
    ((struct program *)store->program)->start_each_time = true;
    return trap_raise(store, TRAP_HOST, "asks the host during instantiation");
}

bool program_start(struct slot *slot)
{
    static const uint8_t no_types[1];
    const struct image *image = &slot->program->image;
    bool done = true;
    for (uint64_t i = 0; done && i < image_starts_count(image); i++)
        done = guest_call(slot->store, image_starts(image)[i].funcref, no_types, 0, 0, NULL);
    return done;
}

static int by_offset(const void *a, const void *b)
{
    const struct program_page *left = a, *right = b;
    return left->slot_off < right->slot_off ? -1 : left->slot_off > right->slot_off;
}

/* What start functions left in the heap beyond the part that is open from the start becomes part of it; behind it
 * there is room for the instance's own objects. The number of pages. */
static uint64_t adopt_heap(struct program *program, struct slot *slot)
{
    struct gc *gc = &slot->gc;
    uint64_t grown = gc->base ? gc->open - program->heap_open : 0;
    if (gc->touched) {
        gc_leave_hole(gc);
        *gc->words = (struct heap_words){(uint32_t)gc->open, (uint32_t)(gc->open + HEAP_FIRST)};
        program->heap_open = gc->open + HEAP_FIRST;
    }
    return grown / IMAGE_PAGE;
}

static void keep_page(struct program *program, const struct slot *slot, struct program_page *pages, const uint8_t *page)
{
    uint8_t *copy = program->snapshot_bytes + program->snapshot_count * IMAGE_PAGE;
    memcpy(copy, page, IMAGE_PAGE);
    pages[program->snapshot_count++] = (struct program_page){(uint64_t)(page - (uint8_t *)slot->store), copy};
}

/* Keep what start functions wrote: from now on it is the template. */
static bool take_snapshot(struct program *program, struct slot *slot, struct err *err)
{
    const uint8_t *grown = slot->gc.base + program->heap_open;
    uint64_t heap_pages = adopt_heap(program, slot), count = slot->hot_count + heap_pages;
    if (count == 0)
        return true;
    struct program_page *pages = mem_alloc(count, sizeof *pages);
    program->snapshot_bytes = mem_alloc(count, IMAGE_PAGE);
    if (!pages || !program->snapshot_bytes) {
        mem_free(pages);
        return err_memory(err);
    }
    for (uint32_t i = 0; i < slot->hot_count; i++)
        keep_page(program, slot, pages, slot->hot[i].page);
    for (uint64_t i = 0; i < heap_pages; i++)
        keep_page(program, slot, pages, grown + i * IMAGE_PAGE);
    qsort(pages, count, sizeof *pages, by_offset);
    program->snapshot = pages;
    return true;
}

/* Has the slot what no template can hold: grown memories, exceptions, which hold addresses, or too much? */
static bool beyond_snapshot(const struct slot *slot)
{
    const struct gc *gc = &slot->gc;
    bool memory = slot->overflowed || slot->exceptions.used;
    for (uint32_t i = 0; i < slot->grown_count; i++)
        memory |= slot->grown[i].low - (uint64_t)gc->base >= HEAP_RESERVE;
    return memory || (gc->base && gc->open > gc->first + SNAPSHOT_HEAP_MAX);
}

/* ---- freezing ---- */

/* Pages that differ from the template; with `pages` NULL it only counts. */
struct survey {
    struct program *program;
    const struct slot *slot;
    struct program_page *pages;
    uint64_t count;
};

static void survey_range(struct survey *survey, uint64_t low, uint64_t size)
{
    static const uint8_t zeros[IMAGE_PAGE];
    for (uint64_t off = low; off < low + size; off += IMAGE_PAGE) {
        const uint8_t *page = (const uint8_t *)survey->slot->store + off;
        const uint8_t *source = program_page_source(survey->program, off);
        if (memcmp(page, source ? source : zeros, IMAGE_PAGE) == 0)
            continue;
        if (survey->pages) {
            uint8_t *copy = survey->program->snapshot_bytes + survey->count * IMAGE_PAGE;
            memcpy(copy, page, IMAGE_PAGE);
            survey->pages[survey->count] = (struct program_page){off, copy};
        }
        survey->count++;
    }
}

static uint64_t memory_bytes(const struct slot *slot, const struct image_memory *memory)
{
    uint64_t bytes;
    memcpy(&bytes, (const char *)slot->store + memory->size_off, sizeof bytes);
    return bytes;
}

/* All that can be written, whether its pages were followed or there were too many of them. */
static void survey_slot(struct survey *survey)
{
    const struct image *image = &survey->program->image;
    const struct image_header *header = image->header;
    const struct gc *gc = &survey->slot->gc;
    survey_range(survey, header->fixed_size, header->mutable_size);
    if (gc->base)
        survey_range(survey, header->heap_off + gc->first, gc->open - gc->first);
    for (uint64_t i = 0; i < image_memories_count(image); i++)
        if (image_memories(image)[i].owner)
            survey_range(survey, image_memories(image)[i].base_off,
                         memory_bytes(survey->slot, &image_memories(image)[i]));
}

static uint64_t grown_bytes(const struct program *program, const struct slot *slot)
{
    const struct image *image = &program->image;
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < image_memories_count(image); i++)
        if (image_memories(image)[i].owner)
            bytes += memory_bytes(slot, &image_memories(image)[i]) - image_memories(image)[i].min_bytes;
    return bytes;
}

/* What no template can hold. */
static bool can_freeze(const struct program *program, const struct slot *slot, struct err *err)
{
    const struct gc *gc = &slot->gc;
    if (slot->exceptions.used)
        return err_set(err, ERR_UNSUPPORTED, "they threw exceptions, which may still be used");
    if (gc->base && gc->open > gc->first + SNAPSHOT_HEAP_MAX)
        return err_set(err, ERR_LIMIT, "they made more than %u MiB of objects", (unsigned)(SNAPSHOT_HEAP_MAX >> 20));
    if (grown_bytes(program, slot) > PROGRAM_FREEZE_MAX)
        return err_set(err, ERR_LIMIT, "they made memories grow by more than %u MiB",
                       (unsigned)(PROGRAM_FREEZE_MAX >> 20));
    return true;
}

static bool keep_sizes(struct program *program, const struct slot *slot, struct err *err)
{
    const struct image *image = &program->image;
    uint64_t count = image_memories_count(image);
    if (grown_bytes(program, slot) == 0)
        return true;
    uint64_t *opened = mem_alloc(count, sizeof *opened);
    if (!opened)
        return err_memory(err);
    for (uint64_t i = 0; i < count; i++)
        opened[i] = image_memories(image)[i].owner ? memory_bytes(slot, &image_memories(image)[i]) : 0;
    program->opened = opened;
    return true;
}

static bool keep_pages(struct program *program, const struct slot *slot, struct err *err)
{
    struct survey survey = {.program = program, .slot = slot};
    survey_slot(&survey);
    uint64_t count = survey.count;
    if (count * IMAGE_PAGE > PROGRAM_FREEZE_MAX)
        return err_set(err, ERR_LIMIT, "they wrote more than %u MiB", (unsigned)(PROGRAM_FREEZE_MAX >> 20));
    struct program_page *pages = mem_alloc(count + 1, sizeof *pages);
    program->snapshot_bytes = mem_alloc(count + 1, IMAGE_PAGE);
    if (!pages || !program->snapshot_bytes) {
        mem_free(pages);
        return err_memory(err);
    }
    survey.count = 0;
    survey.pages = pages;
    survey_slot(&survey);
    qsort(pages, count, sizeof *pages, by_offset);
    program->snapshot = pages;
    program->snapshot_count = count;
    return true;
}

void program_drop_snapshot(struct program *program)
{
    mem_free((void *)program->snapshot);
    mem_free(program->snapshot_bytes);
    mem_free(program->opened);
    program->snapshot = NULL;
    program->snapshot_bytes = NULL;
    program->snapshot_count = 0;
    program->opened = NULL;
}

void program_unfreeze(struct program *program)
{
    program_drop_snapshot(program);
    program->heap_open = program->image.header->heap_objects + HEAP_FIRST;
    program->start_each_time = true;
}

bool program_freeze(struct program *program, struct slot *slot, struct err *err)
{
    if (!can_freeze(program, slot, err))
        return false;
    adopt_heap(program, slot);
    if (!keep_sizes(program, slot, err) || !keep_pages(program, slot, err)) {
        program_unfreeze(program);
        return false;
    }
    program->start_each_time = false;
    return true;
}

/* ---- the first start ---- */

static void run_trial(struct task *task)
{
    struct program_trial *trial = task->arg;
    trial->returned = program_start(task->slot);
}

bool program_try(struct program *program, struct program_trial *ret_trial, struct err *err)
{
    *ret_trial = (struct program_trial){.program = program};
    program->start_each_time = false;
    if (program->image.header->joinable) /* linking comes first: runtime/link.h */
        return true;
    if (image_starts_count(&program->image) == 0)
        return true;
    struct import_words *real = program->hosts;
    uint64_t count = image_imports_count(&program->image);
    program->hosts = mem_alloc(count + 1, sizeof *program->hosts);
    for (uint64_t i = 0; program->hosts && i < count; i++)
        program->hosts[i] = (struct import_words){(uint64_t)refuse_at_start, 0};
    if (program->hosts)
        ret_trial->slot = slot_acquire(program, err);
    else
        err_memory(err);
    mem_free(program->hosts);
    program->hosts = real;
    return ret_trial->slot != NULL;
}

static void end_trial(struct program_trial *trial)
{
    if (trial->slot)
        slot_destroy(trial->slot);
    trial->slot = NULL;
}

void program_try_abandon(struct program_trial *trial)
{
    if (trial->slot && trial->task.state != TASK_IDLE && trial->task.state != TASK_DONE)
        task_abandon(&trial->task);
    end_trial(trial);
}

/* Its task is done, or waits, which nobody could end: imports refuse. */
static bool conclude(struct program_trial *trial, struct err *err)
{
    struct program *program = trial->program;
    if (trial->task.state == TASK_SUSPENDED) {
        task_abandon(&trial->task);
        program->start_each_time = true;
    }
    if (!trial->returned && !program->start_each_time)
        return err_set(err, ERR_TRAP, "instantiation traps: %s", trap_text(trial->task.report.trap));
    program->start_each_time |= beyond_snapshot(trial->slot);
    return program->start_each_time || take_snapshot(program, trial->slot, err);
}

enum program_step program_try_step(struct program_trial *trial, struct err *err)
{
    bool done = true;
    if (!trial->slot)
        return PROGRAM_READY;
    if (trial->task.state == TASK_IDLE)
        done = task_start(&trial->task, trial->slot, run_trial, trial, NULL, err);
    else
        task_resume(&trial->task);
    if (done && trial->task.state == TASK_PREEMPTED)
        return PROGRAM_GOES_ON;
    done = done && conclude(trial, err);
    end_trial(trial);
    return done ? PROGRAM_READY : PROGRAM_FAILED;
}

const uint8_t *program_snapshot_page(const struct program *program, uint64_t slot_off)
{
    struct program_page key = {slot_off, NULL};
    const struct program_page *found = NULL;
    if (program->snapshot_count)
        found = bsearch(&key, program->snapshot, program->snapshot_count, sizeof key, by_offset);
    return found ? found->bytes : NULL;
}
