/* See program.h. */
#include "runtime/program.h"

#include "base/alloc.h"
#include "runtime/helpers.h"
#include "runtime/snapshot.h"
#include "runtime/symbols.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPECTED_MAX 8u /* pages: they are restored after every request, written or not */

static struct program *programs;

const struct program *program_of(uint64_t pc)
{
    for (const struct program *p = programs; p; p = p->next)
        if (pc - p->text_low < p->text_high - p->text_low)
            return p;
    return NULL;
}

static bool take_image(struct program *program, int fd, struct err *err)
{
    program->mapping = mapping_take(fd, err);
    if (!program->mapping)
        return false;
    const struct image_header *header = program->mapping->image.header;
    program->image = program->mapping->image;
    program->heap_open = header->heap_objects + HEAP_FIRST;
    program->text_low = (uint64_t)program->image.base + header->code_offset;
    program->text_high = program->text_low + header->exec_size;
    return true;
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
    mapped = mapped && trap_install(err) && take_image(program, fd, err);
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

/* All at once. */
static bool first_start(struct program *program, struct err *err)
{
    struct program_trial trial;
    enum program_step step = PROGRAM_GOES_ON;
    if (!program_try(program, &trial, err))
        return false;
    while (step == PROGRAM_GOES_ON)
        step = program_try_step(&trial, err);
    return step == PROGRAM_READY;
}

struct program *program_load(int fd, const char *name, program_resolver *resolve, void *arg, struct err *err)
{
    struct program *program = program_open(fd, name, resolve, arg, err);
    if (!program)
        return NULL;
    if (first_start(program, err))
        return program;
    program_unload(program);
    return NULL;
}

static void expect_page(struct program *program, uint64_t slot_off)
{
    slot_off &= ~(uint64_t)(IMAGE_PAGE - 1);
    for (uint32_t i = 0; i < program->hot_count; i++)
        if (program->hot[i] == slot_off)
            return;
    if (program->hot_count < EXPECTED_MAX)
        program->hot[program->hot_count++] = slot_off;
}

/* Where the first data of a memory lies, linkers that put the stack first have it end there and grow down. */
static void expect_stack(struct program *program, const struct image_memory *memory)
{
    const struct image_run *runs = image_runs(&program->image);
    uint64_t i = 0, count = image_runs_count(&program->image);
    while (i < count && runs[i].slot_off < memory->base_off)
        i++;
    if (i < count && runs[i].slot_off > memory->base_off && runs[i].slot_off - memory->base_off < memory->min_bytes)
        expect_page(program, runs[i].slot_off - IMAGE_PAGE);
}

void program_expect(struct program *program, const struct image_export *row)
{
    const struct image *image = &program->image;
    if (image->header->handle_tables)
        expect_page(program, row->canon.handles_off);
    for (uint64_t i = 0; i < image_memories_count(image); i++)
        if (image_memories(image)[i].owner)
            expect_stack(program, &image_memories(image)[i]);
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
    mapping_give(program->mapping);
    if (program->fd >= 0)
        close(program->fd);
    program_drop_snapshot(program);
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

const uint8_t *program_page_source(const struct program *program, uint64_t slot_off)
{
    const uint8_t *snapshot = program_snapshot_page(program, slot_off);
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
