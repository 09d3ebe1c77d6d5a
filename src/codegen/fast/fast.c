/* The fast generator: all functions at once, each in one pass. Functions do not depend on each other, so that the result
 * does not depend on threads. */
#include "codegen/codegen.h"

#include "base/alloc.h"
#include "codegen/fast/gen.h"
#include "codegen/link.h"
#include "codegen/parallel.h"

#define PIECE_MAX ((size_t)2 << 30)
#define TASKS_MAX ((size_t)1 << 22)

struct task {
    struct piece_symbol symbol;
    struct buf piece;
    struct piece view;
};

struct job {
    const struct unit *units;
    uint32_t unit_count;
    const struct codegen_options *options;
    VEC(struct task) tasks;
    size_t first; /* the task that a run begins with */
};

/* What a thread keeps from one function to the next. */
struct bench {
    struct gen gen;
    struct wasm_body_scratch *scratch;
};

static void close_bench(void *state)
{
    struct bench *bench = state;
    fast_free(&bench->gen);
    wasm_body_scratch_free(bench->scratch);
    mem_free(bench);
}

static void *open_bench(void *arg, struct err *err)
{
    const struct job *job = arg;
    struct bench *bench = mem_alloc(1, sizeof *bench);
    if (!bench) {
        err_memory(err);
        return NULL;
    }
    bench->gen.units = job->units;
    bench->scratch = wasm_body_scratch_new(err);
    if (bench->scratch)
        return bench;
    close_bench(bench);
    return NULL;
}

static bool make(void *arg, void *state, size_t index, struct err *err)
{
    struct job *job = arg;
    struct bench *bench = state;
    struct task *task = &job->tasks.items[job->first + index];
    const struct piece_symbol *symbol = &task->symbol;
    const struct unit *unit = &job->units[symbol->unit];
    switch (symbol->kind) {
    case CODE_FUNC: return fast_body(&bench->gen, unit, symbol->func, bench->scratch, &task->piece, err);
    case CODE_THUNK: return fast_thunk(&bench->gen, unit, symbol->func, &task->piece, err);
    case CODE_INIT: return fast_init(&bench->gen, unit, bench->scratch, &task->piece, err);
    default:
        if (symbol->func == ROUTINE_stencil_pool)
            return fast_pool(&bench->gen, &task->piece, err);
        return fast_routine(&bench->gen, (enum helper)symbol->func, &task->piece, err);
    }
}

/* ---- what is to be made ---- */

static bool add_task(struct job *job, struct piece_symbol symbol)
{
    struct task *task = VEC_PUSH(&job->tasks, TASKS_MAX);
    if (!task)
        return false;
    task->symbol = symbol;
    buf_init(&task->piece, PIECE_MAX);
    return true;
}

static bool list_unit(struct job *job, const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++)
        if (!add_task(job, (struct piece_symbol){CODE_FUNC, unit->index, i}))
            return false;
    if (unit->late.any && !add_task(job, (struct piece_symbol){CODE_INIT, unit->index, 0}))
        return false;
    for (uint32_t i = 0; i < module->imported_funcs; i++)
        if (unit->funcs[i].link == FUNC_HOST && !add_task(job, (struct piece_symbol){CODE_THUNK, unit->index, i}))
            return false;
    return true;
}

static bool list_all(struct job *job, struct err *err)
{
    for (uint32_t i = 0; i < job->unit_count; i++)
        if (!list_unit(job, &job->units[i]))
            return err_memory(err);
    return true;
}

/* The routines that somebody calls. */
static bool list_routines(struct job *job, struct err *err)
{
    bool called[ROUTINE_COUNT] = {false};
    for (size_t i = 0; i < job->tasks.count; i++) {
        const struct piece *piece = &job->tasks.items[i].view;
        for (uint32_t s = 0; s < piece->head->symbol_count; s++)
            if (piece->symbols[s].kind == CODE_ROUTINE)
                called[piece->symbols[s].func] = true;
    }
    for (uint32_t i = 0; i < ROUTINE_COUNT; i++)
        if (called[i] && !add_task(job, (struct piece_symbol){CODE_ROUTINE, 0, i}))
            return err_memory(err);
    return true;
}

static bool make_from(struct job *job, size_t first, struct err *err)
{
    const struct parallel parallel = {.count = job->tasks.count - first,
                                      .threads = job->options->threads,
                                      .open = open_bench,
                                      .run = make,
                                      .close = close_bench,
                                      .arg = job};
    job->first = first;
    if (!parallel_run(&parallel, err))
        return false;
    for (size_t i = first; i < job->tasks.count; i++) {
        struct task *task = &job->tasks.items[i];
        if (!piece_read(task->piece.data, task->piece.size, &task->view, err))
            return false;
    }
    return true;
}

static bool join(struct job *job, struct code *ret_code, struct err *err)
{
    struct link_piece *pieces = mem_alloc(job->tasks.count + 1, sizeof *pieces);
    if (!pieces)
        return err_memory(err);
    for (size_t i = 0; i < job->tasks.count; i++)
        pieces[i] = (struct link_piece){job->tasks.items[i].symbol, job->tasks.items[i].view};
    bool done = link_pieces(pieces, job->tasks.count, job->units, job->unit_count, ret_code, err);
    mem_free(pieces);
    return done;
}

bool codegen_fast(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err)
{
    struct job job = {.units = units, .unit_count = count, .options = options};
    bool done = list_all(&job, err) && make_from(&job, 0, err);
    size_t routines = job.tasks.count;
    done = done && list_routines(&job, err) && make_from(&job, routines, err) && join(&job, ret_code, err);
    for (size_t i = 0; i < job.tasks.count; i++)
        buf_free(&job.tasks.items[i].piece);
    VEC_FREE(&job.tasks);
    return done;
}
