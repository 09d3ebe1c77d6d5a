/* See program.h. */
#include "runtime/program.h"

#include "base/alloc.h"
#include "runtime/helpers.h"
#include "runtime/symbols.h"
#include "runtime/task.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOT_HEAP_MAX ((uint64_t)16 << 20)

static struct program *programs;

const struct program *program_of(uint64_t pc)
{
    for (const struct program *p = programs; p; p = p->next)
        if (pc - p->text_low < p->text_high - p->text_low)
            return p;
    return NULL;
}

/* Mapped executable from the file, never made so: a process that gave up making code of data can do it. */
static bool map_text(struct program *program, int fd, const struct image_header *header, struct err *err)
{
    void *text = (void *)program->text_low;
    int protection = PROT_READ | PROT_EXEC;
    return header->exec_size == 0 ||
           mmap(text, header->exec_size, protection, MAP_PRIVATE | MAP_FIXED, fd, (off_t)header->code_offset) == text ||
           err_errno(err, "cannot make the image executable");
}

static bool map_image(struct program *program, int fd, struct err *err)
{
    struct stat status;
    struct image_header header;
    if (fstat(fd, &status) != 0)
        return err_errno(err, "cannot read the image");
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return err_set(err, ERR_MALFORMED, "not a mayfly image");
    if (!image_check_header(&header, (uint64_t)status.st_size, err))
        return false;
    void *base = mmap(NULL, header.file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        return err_errno(err, "cannot map the image");
    program->image = (struct image){base, base};
    program->map_size = header.file_size;
    program->heap_open = header.heap_objects + HEAP_FIRST;
    program->text_low = (uint64_t)base + header.code_offset;
    program->text_high = program->text_low + header.exec_size;
    return map_text(program, fd, &header, err);
}

static bool resolve_imports(struct program *program, program_resolver *resolve, void *arg, struct err *err)
{
    uint64_t count = image_imports_count(&program->image);
    if (count == 0)
        return true;
    program->hosts = mem_alloc(count, sizeof *program->hosts);
    if (!program->hosts)
        return err_memory(err);
    for (uint64_t i = 0; i < count; i++) {
        host_fn *fn;
        const void *env;
        if (!resolve(arg, &program->image, &image_imports(&program->image)[i], &fn, &env, err))
            return false;
        program->hosts[i] = (struct import_words){(uint64_t)fn, (uint64_t)env};
    }
    return true;
}

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

static void run_starts(struct task *task)
{
    bool *done = task->arg;
    *done = program_start(task->slot);
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

static void drop_snapshot(struct program *program)
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
    drop_snapshot(program);
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

static bool start_failed(struct program *program, const struct task *task, struct err *err)
{
    if (program->start_each_time)
        return true;
    return err_set(err, ERR_TRAP, "instantiation traps: %s", trap_text(task->report.trap));
}

/* Run the start functions once, in a slot whose imports all refuse. */
static bool first_start(struct program *program, struct err *err)
{
    if (program->image.header->joinable) /* linking comes first: runtime/link.h */
        return true;
    if (image_starts_count(&program->image) == 0)
        return true;
    struct import_words *real = program->hosts;
    uint64_t count = image_imports_count(&program->image);
    program->hosts = mem_alloc(count + 1, sizeof *program->hosts);
    for (uint64_t i = 0; program->hosts && i < count; i++)
        program->hosts[i] = (struct import_words){(uint64_t)refuse_at_start, 0};
    struct slot *slot = NULL;
    if (program->hosts)
        slot = slot_acquire(program, err);
    else
        err_memory(err);
    mem_free(program->hosts);
    program->hosts = real;
    if (!slot)
        return false;
    bool returned = false;
    struct task task = {0};
    bool done = task_start(&task, slot, run_starts, &returned, NULL, err);
    if (done && !returned)
        done = start_failed(program, &task, err);
    program->start_each_time |= done && beyond_snapshot(slot);
    if (done && !program->start_each_time)
        done = take_snapshot(program, slot, err);
    slot_destroy(slot);
    return done;
}

static bool check_template(const struct program *program, struct err *err)
{
    const struct image_header *header = program->image.header;
    if (header->joinable || !header->init_trap)
        return true;
    return err_set(err, ERR_TRAP, "instantiation traps: %s", trap_text((enum trap)header->init_trap));
}

struct program *program_open(int fd, const char *name, program_resolver *resolve, void *arg, struct err *err)
{
    struct program *program = mem_alloc(1, sizeof *program);
    if (!program) {
        err_memory(err);
        return NULL;
    }
    snprintf(program->name, sizeof program->name, "%s", name);
    program->helpers = helper_table;
    program->memory_max = UINT64_MAX;
    program->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    bool mapped = program->fd >= 0 || err_errno(err, "cannot keep the image open");
    mapped = mapped && trap_install(err) && map_image(program, fd, err);
    if (mapped) {
        program->next = programs;
        programs = program;
    }
    program->start_each_time = true;
    if (mapped && resolve_imports(program, resolve, arg, err) && check_template(program, err))
        return program;
    program_unload(program);
    return NULL;
}

struct program *program_load(int fd, const char *name, program_resolver *resolve, void *arg, struct err *err)
{
    struct program *program = program_open(fd, name, resolve, arg, err);
    if (!program)
        return NULL;
    program->start_each_time = false;
    if (first_start(program, err))
        return program;
    program_unload(program);
    return NULL;
}

static void unlink_program(const struct program *program)
{
    for (struct program **at = &programs; *at; at = &(*at)->next)
        if (*at == program) {
            *at = program->next;
            return;
        }
}

void program_unload(struct program *program)
{
    while (program->free_slots) {
        struct slot *slot = program->free_slots;
        program->free_slots = slot->next;
        slot_destroy(slot);
    }
    symbols_forget(program);
    unlink_program(program);
    if (program->image.base)
        munmap((void *)program->image.base, program->map_size);
    if (program->fd >= 0)
        close(program->fd);
    drop_snapshot(program);
    mem_free(program->hosts);
    mem_free(program);
}

static bool interface_matches(struct str have, struct str want)
{
    bool prefix = want.len && want.ptr[want.len - 1] == '*';
    return prefix ? str_starts(have, str_slice(want, 0, want.len - 1)) : str_eq(have, want);
}

const struct image_export *program_export(const struct program *program, struct str interface, struct str name)
{
    const struct image *image = &program->image;
    for (uint64_t i = 0; i < image_exports_count(image); i++) {
        const struct image_export *row = &image_exports(image)[i];
        if (str_eq(image_str(image, row->name), name) && interface_matches(image_str(image, row->interface), interface))
            return row;
    }
    return NULL;
}

static const uint8_t *snapshot_page(const struct program *program, uint64_t slot_off)
{
    struct program_page key = {slot_off, NULL};
    const struct program_page *found = NULL;
    if (program->snapshot_count)
        found = bsearch(&key, program->snapshot, program->snapshot_count, sizeof key, by_offset);
    return found ? found->bytes : NULL;
}

const uint8_t *program_page_source(const struct program *program, uint64_t slot_off)
{
    const uint8_t *snapshot = snapshot_page(program, slot_off);
    if (snapshot)
        return snapshot;
    const struct image_run *runs = image_runs(&program->image);
    uint64_t low = 0, high = image_runs_count(&program->image);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (runs[middle].slot_off <= slot_off)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || slot_off - runs[low - 1].slot_off >= runs[low - 1].size)
        return NULL;
    return program->image.base + runs[low - 1].file_off + (slot_off - runs[low - 1].slot_off);
}
