/* See differ.h. */
#include "support/differ.h"

#include "runtime/task.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMAGE_MAX ((size_t)1 << 28)

void differ_bytes(uint64_t seed, uint8_t *ret_bytes, size_t size)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ret_bytes[i] = (uint8_t)(state >> 32);
    }
}

static bool no_imports(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                       const void **ret_env, struct err *err)
{
    (void)arg, (void)image, (void)import, (void)ret_fn, (void)ret_env;
    return err_set(err, ERR_LINK, "a generated module imports nothing");
}

static struct program *load(const struct buf *image, struct err *err)
{
    struct program *program = NULL;
    int fd = memfd_create("differ", MFD_CLOEXEC);
    if (fd < 0 || write(fd, image->data, image->size) != (ssize_t)image->size)
        err_set(err, ERR_SYSTEM, "no file in memory");
    else if (image_check(image->data, image->size, err))
        program = program_load(fd, "differ", no_imports, NULL, err);
    if (fd >= 0)
        close(fd);
    return program;
}

/* Calls from the one that `history` lacks on. */
struct activity {
    const struct generated *generated;
    const struct image *image;
    const struct program *program;
    struct differ_history *history;
    bool stops; /* behind a trap */
};

static bool call(struct task *task, const struct activity *activity, const char *name, union cell *cells,
                 const struct image_export **ret_row)
{
    const struct image_export *row = program_export(activity->program, STR(""), str_of(name));
    *ret_row = row;
    task->slot->store->trap = 0;
    task->report = (struct trap_report){0};
    return guest_call(task->slot->store, row->funcref, image_bytes(activity->image) + row->types_first,
                      row->param_count, row->result_count, cells);
}

static void record_call(struct task *task, const struct activity *activity, const char *name, const union cell *args,
                        uint32_t arg_count)
{
    struct differ_call *made = &activity->history->calls[activity->history->call_count++];
    const struct image_export *row;
    union cell cells[DIFFER_RESULTS_MAX] = {0};
    if (arg_count)
        memcpy(cells, args, arg_count * sizeof *args);
    *made = (struct differ_call){0};
    if (!call(task, activity, name, cells, &row)) {
        made->trap = task->report.trap;
        return;
    }
    made->result_count = row->result_count;
    memcpy(made->types, image_bytes(activity->image) + row->types_first + row->param_count, row->result_count);
    memcpy(made->results, cells, sizeof cells);
}

static void run_calls(struct task *task)
{
    const struct activity *activity = task->arg;
    struct differ_history *history = activity->history;
    const struct image_export *row;
    bool goes_on = true;
    for (uint32_t i = history->call_count / 2; goes_on && i < activity->generated->call_count; i++) {
        const struct generated_call *generated = &activity->generated->calls[i];
        call(task, activity, "fuel", NULL, &row);
        record_call(task, activity, generated->name, generated->args, GENERATE_PARAMS_MAX);
        goes_on = !activity->stops || history->calls[2 * i].trap == 0;
        if (goes_on)
            record_call(task, activity, "sum", NULL, 0);
        else
            history->calls[history->call_count++] = (struct differ_call){0};
    }
}

static bool run_instance(struct program *program, struct activity *activity, struct err *err)
{
    static struct task task;
    struct slot *slot = slot_acquire(program, err);
    if (!slot)
        return false;
    memset(&task, 0, sizeof task);
    bool ran = task_start(&task, slot, run_calls, activity, NULL, err);
    slot_release(slot);
    return ran;
}

static bool run(struct program *program, const struct generated *generated, bool stops,
                struct differ_history *ret_history, struct err *err)
{
    struct activity activity = {generated, &program->image, program, ret_history, stops};
    bool ran = true;
    ret_history->call_count = 0;
    while (ran && ret_history->call_count < 2 * generated->call_count)
        ran = run_instance(program, &activity, err);
    return ran;
}

bool differ_run(const struct generated *generated, const struct differ_side *side, struct differ_outcome *ret_outcome,
                struct err *err)
{
    const struct compile_options options = {.opt_level = side->opt_level, .mix_seed = side->mix_seed};
    struct buf image;
    buf_init(&image, IMAGE_MAX);
    struct program *program = NULL;
    if (compile_build(generated->module.data, generated->module.size, &options, side->generate, &image, err))
        program = load(&image, err);
    buf_free(&image);
    ret_outcome->exact = side->opt_level == 0;
    bool ran = program && run(program, generated, true, &ret_outcome->fresh, err) &&
               (!ret_outcome->exact || run(program, generated, false, &ret_outcome->one, err));
    if (program)
        program_unload(program);
    return ran;
}

/* ---- comparing ---- */

size_t differ_size(uint8_t type)
{
    switch (type) {
    case 0x7f:
    case 0x7d: return 4;
    case 0x7e:
    case 0x7c: return 8;
    case 0x7b: return 16;
    default: return 0;
    }
}

static bool same_value(uint8_t type, const union cell *a, const union cell *b)
{
    size_t size = differ_size(type);
    return size ? memcmp(a, b, size) == 0 : (a->u64 == 0) == (b->u64 == 0);
}

static bool same_call(const struct differ_call *a, const struct differ_call *b, char *ret_words, size_t size)
{
    if (a->trap != b->trap) {
        snprintf(ret_words, size, "\"%s\" and \"%s\"", a->trap ? trap_text(a->trap) : "it returned",
                 b->trap ? trap_text(b->trap) : "it returned");
        return false;
    }
    for (uint32_t i = 0; i < a->result_count; i++)
        if (!same_value(a->types[i], &a->results[i], &b->results[i])) {
            snprintf(ret_words, size, "result %u of type 0x%x is %016llx %016llx and %016llx %016llx", i, a->types[i],
                     (unsigned long long)a->results[i].lanes[1], (unsigned long long)a->results[i].lanes[0],
                     (unsigned long long)b->results[i].lanes[1], (unsigned long long)b->results[i].lanes[0]);
            return false;
        }
    return true;
}

static bool same_history(const struct differ_history *a, const struct differ_history *b, char *ret_words, size_t size)
{
    for (uint32_t i = 0; i < a->call_count; i++) {
        char words[200];
        if (a->calls[i].trap == TRAP_STACK_OVERFLOW || b->calls[i].trap == TRAP_STACK_OVERFLOW)
            return true;
        if (!same_call(&a->calls[i], &b->calls[i], words, sizeof words)) {
            snprintf(ret_words, size, "call %u%s: %s", i / 2, i % 2 ? ", sum" : "", words);
            return false;
        }
    }
    return true;
}

bool differ_same(const struct differ_outcome *a, const struct differ_outcome *b, char *ret_words, size_t size)
{
    return same_history(&a->fresh, &b->fresh, ret_words, size) &&
           (!a->exact || !b->exact || same_history(&a->one, &b->one, ret_words, size));
}
