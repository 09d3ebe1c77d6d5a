/* See backtrace.h. Guest frames always keep a frame pointer: [fp] is the caller's, [fp + 8] the return address. */
#include "runtime/backtrace.h"

#include "runtime/machine.h"

#include <stdio.h>
#include <string.h>

bool frame_outer(const struct stack *stack, struct frame *frame)
{
    uint64_t fp = frame->fp;
    if (fp < stack->low || fp + 16 > stack->high || fp % 8)
        return false;
    const uint64_t *words = (const uint64_t *)fp;
    if (words[0] <= fp || !program_of(words[1]))
        return false;
    *frame = (struct frame){words[1], words[0]};
    return true;
}

static void add_frame(struct trap_report *report, uint64_t pc)
{
    if (report->frame_count < TRAP_FRAMES_MAX)
        report->frames[report->frame_count++] = pc;
}

/* The frames of one activation, from `frame` outwards. */
static void add_frames(struct task *task, struct frame frame)
{
    do
        add_frame(&task->report, frame.pc);
    while (task->report.frame_count < TRAP_FRAMES_MAX && frame_outer(task->stack, &frame));
}

/* The guest frame that called the host at frame pointer `fp`: its return address is not known, so it is shown
 * by its caller onwards. */
static void add_outer_frames(struct task *task, uint64_t fp)
{
    struct frame frame = {0, fp};
    if (fp && frame_outer(task->stack, &frame))
        add_frames(task, frame);
}

/* Begin the task's report; false: it has one. */
static bool open_report(struct task *task, enum trap trap)
{
    struct trap_report *report = &task->report;
    struct store *store = task->slot->store;
    if (report->trap)
        return false;
    if (trap == TRAP_PENDING)
        trap = store->trap ? (enum trap)store->trap : TRAP_HOST;
    else if (!store->trap)
        store->trap = trap;
    report->trap = trap;
    memcpy(report->message, store->trap_message, sizeof report->message);
    return true;
}

static void add_all_frames(struct task *task, struct frame frame)
{
    add_frames(task, frame);
    for (const struct activation *a = task->activation; a && a->outer; a = a->outer)
        add_outer_frames(task, a->outer_fp);
}

void trap_report_here(struct task *task, enum trap trap, uint64_t pc, uint64_t fp)
{
    if (open_report(task, trap))
        add_all_frames(task, (struct frame){pc, fp});
}

/* Where the frame pointer is the caller's, the return address; 0: it is the function's own. */
static uint64_t return_address(const struct task *task, const ucontext_t *context)
{
    uint64_t pc = machine_pc(context);
    const struct program *program = program_of(pc);
    uint64_t base = (uint64_t)program->image.base;
    const struct image_func *func = image_find_func(&program->image, (uint32_t)(pc - base));
    return func ? machine_return_address(context, task->stack, base + func->code_off) : 0;
}

void trap_report_interrupted(struct task *task, enum trap trap, const ucontext_t *context)
{
    struct frame frame = {machine_pc(context), machine_fp(context)};
    if (!open_report(task, trap))
        return;
    uint64_t caller = return_address(task, context);
    if (caller && program_of(caller)) {
        add_frame(&task->report, frame.pc);
        frame.pc = caller;
    }
    add_all_frames(task, frame);
}

int trap_describe_frame(const struct trap_report *report, uint32_t index, char *text, size_t size)
{
    uint64_t pc = report->frames[index];
    const struct program *program = program_of(pc);
    if (!program)
        return snprintf(text, size, "%3u: ?", index);
    /* A return address belongs to the call before it. */
    uint32_t code_off = (uint32_t)(pc - (uint64_t)program->image.base) - (index > 0);
    const struct image_func *func = image_find_func(&program->image, code_off);
    uint32_t site = image_find_site(&program->image, code_off);
    if (!func)
        return snprintf(text, size, "%3u: ? (code offset 0x%x)", index, code_off);
    struct str name = image_str(&program->image, func->name);
    if (func->kind == IMAGE_FUNC_INIT)
        return snprintf(text, size, "%3u: <initializers of core instance %u, wasm offset 0x%x>", index, func->unit,
                        site);
    if (func->kind == IMAGE_FUNC_THUNK)
        return snprintf(text, size, "%3u: <import %u of core instance %u>", index, func->func, func->unit);
    if (func->kind == IMAGE_FUNC_ROUTINE)
        return snprintf(text, size, "%3u: <routine of core instance %u>", index, func->unit);
    if (name.len)
        return snprintf(text, size, "%3u: %.*s (core instance %u, wasm offset 0x%x)", index, STR_ARG(name), func->unit,
                        site);
    return snprintf(text, size, "%3u: <function %u> (core instance %u, wasm offset 0x%x)", index, func->func,
                    func->unit, site);
}

uint32_t trap_frames_alike(const struct trap_report *report, uint32_t index)
{
    uint32_t end = index + 1;
    while (end < report->frame_count && report->frames[end] == report->frames[index])
        end++;
    return end - index;
}
