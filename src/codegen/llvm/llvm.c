/* The optimizing generator: every function becomes an LLVM module of its own, an object and a piece, on all processors
 * at once; our linker joins the pieces. Functions do not depend on each other, so that the result depends neither on
 * threads nor, unless functions are chosen, on which pieces an earlier compile left. */
#include "codegen/codegen.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "codegen/cpu.h"
#include "codegen/link.h"
#include "codegen/llvm/emit.h"
#include "codegen/llvm/mixed.h"
#include "codegen/pack.h"
#include "codegen/parallel.h"
#include "image/format.h"

#include <llvm-c/Disassembler.h>

#include <stdio.h>
#include <stdlib.h>

#define OBJECT_MAX ((size_t)2 << 30)
#define TASKS_MAX ((size_t)1 << 22)
/* Instructions in a row. LLVM's time and memory grow with the square of a basic block: what a dynamic linker makes to
 * relocate a library's data, of 166,864, took more than 8 GiB. Nothing is won in such code, which runs once. */
#define STRAIGHT_MAX 32768u
/* Of br_tables. LLVM looks at all ways into a block for each of them, and for each of those again: 15,805 of a table of
 * Unicode took more than ten minutes. Interpreters have some hundreds. */
#define TARGETS_MAX 2048u

/* A function to make: of the survey, or glue. */
struct task {
    struct piece_symbol symbol;
    const struct survey_func *func; /* of the survey; NULL: glue */
    bool fast; /* the fast generator makes it */
    struct buf piece;
    struct piece view; /* of `piece`, once it is made */
};

struct job {
    const struct unit *units;
    uint32_t unit_count;
    const struct codegen_options *options;
    struct survey survey;
    VEC(struct task) tasks; /* the survey's functions first */
    uint32_t *order; /* tasks still to do, the longest first */
    size_t order_count;
    uint32_t kept; /* functions that the old pack had */
    uint64_t bytes_total;
    _Atomic uint64_t bytes_done;
};

static bool is_left(const struct survey_func *func)
{
    return func->longest > STRAIGHT_MAX || func->targets > TARGETS_MAX;
}

static bool leaves_some(const struct survey *survey)
{
    bool any = false;
    for (uint32_t i = 0; i < survey->func_count && !any; i++)
        any = is_left(&survey->funcs[i]);
    return any;
}

static bool is_mixed(const struct job *job)
{
    return job->options->mix_seed || job->options->chosen || leaves_some(&job->survey);
}

/* What a thread keeps from one function to the next. */
struct bench {
    LLVMTargetMachineRef machine;
    LLVMDisasmContextRef decoder;
    struct wasm_body_scratch *scratch;
    struct buf object;
    struct mixed *mixed; /* where the fast generator makes some of the functions, or NULL */
};

static void close_bench(void *state)
{
    struct bench *bench = state;
    if (bench->machine)
        LLVMDisposeTargetMachine(bench->machine);
    if (bench->decoder)
        LLVMDisasmDispose(bench->decoder);
    if (bench->scratch)
        wasm_body_scratch_free(bench->scratch);
    mixed_close(bench->mixed);
    buf_free(&bench->object);
    mem_free(bench);
}

static bool fill_bench(struct bench *bench, const struct job *job, struct err *err)
{
    buf_init(&bench->object, OBJECT_MAX);
    if (!object_machine(&bench->machine, job->options, err))
        return false;
    bench->decoder = LLVMCreateDisasm("x86_64-unknown-linux-gnu", NULL, 0, NULL, NULL);
    if (!bench->decoder)
        return err_set(err, ERR_SYSTEM, "LLVM cannot decode x86-64");
    bench->scratch = wasm_body_scratch_new(err);
    if (bench->scratch && is_mixed(job))
        bench->mixed = mixed_open(job->units, job->unit_count, err);
    return bench->scratch && (bench->mixed || !is_mixed(job));
}

static void *open_bench(void *arg, struct err *err)
{
    struct bench *bench = mem_alloc(1, sizeof *bench);
    if (!bench)
        err_memory(err);
    else if (!fill_bench(bench, arg, err)) {
        close_bench(bench);
        bench = NULL;
    }
    return bench;
}

static size_t decode(void *arg, const uint8_t *at, size_t left)
{
    uint8_t bytes[16]; /* the longest instruction; LLVM wants them writable */
    char text[128];
    size_t size = left < sizeof bytes ? left : sizeof bytes;
    memcpy(bytes, at, size);
    return LLVMDisasmInstruction(arg, bytes, size, 0, text, sizeof text);
}

/* ---- one function ---- */

static bool generate(struct gen *g, const struct task *task, struct wasm_body_scratch *scratch, struct err *err)
{
    const struct piece_symbol *symbol = &task->symbol;
    switch (symbol->kind) {
    case CODE_FUNC: return gen_body(g, &g->units[symbol->unit], task->func, scratch, err);
    case CODE_THUNK: return gen_thunk(g, &g->units[symbol->unit], symbol->func);
    case CODE_INIT: return gen_init_function(g, &g->units[symbol->unit], scratch, err);
    default: return gen_routine(g, (enum helper)symbol->func);
    }
}

static uint32_t size_of(const struct job *job, const struct task *task)
{
    return task->func ? job->units[task->func->unit].module->funcs[task->func->func].size : 0;
}

/* Where in the module its body begins. */
static uint32_t start_of(const struct job *job, const struct piece_symbol *symbol)
{
    return symbol->kind == CODE_FUNC ? job->units[symbol->unit].module->funcs[symbol->func].body : 0;
}

static bool make(void *arg, void *state, size_t index, struct err *err)
{
    struct job *job = arg;
    struct bench *bench = state;
    struct task *task = &job->tasks.items[index];
    struct gen g;
    if (task->fast)
        return mixed_make(bench->mixed, &task->symbol, bench->scratch, &task->piece, err);
    bench->object.size = 0;
    bool done = gen_init(&g, job->units, job->unit_count, err);
    g.closed_tables = job->survey.closed_tables;
    g.known_tables = job->survey.known_tables;
    g.keeps_context = job->options->opt_level > 0 ? job->survey.keeps_context : NULL;
    done = done && generate(&g, task, bench->scratch, err) &&
           object_make(&g, bench->machine, job->options, &bench->object, err);
    gen_free(&g);
    struct link_object object = {bench->object.data, bench->object.size};
    job->bytes_done += size_of(job, task);
    return done && piece_cut(object, start_of(job, &task->symbol), decode, bench->decoder, &task->piece, err);
}

/* ---- what is to be made ---- */

static struct task *add_task(struct job *job, struct piece_symbol symbol, const struct survey_func *func)
{
    struct task *task = VEC_PUSH(&job->tasks, TASKS_MAX);
    if (!task)
        return NULL;
    *task = (struct task){.symbol = symbol, .func = func};
    task->fast = mixed_chooses(job->options->mix_seed, &symbol) || (func && (job->options->chosen || is_left(func)));
    buf_init(&task->piece, OBJECT_MAX);
    return task;
}

static bool list_glue(struct job *job, const struct unit *unit)
{
    if (unit->late.any && !add_task(job, (struct piece_symbol){CODE_INIT, unit->index, 0}, NULL))
        return false;
    for (uint32_t i = 0; i < unit->module->imported_funcs; i++)
        if (unit->funcs[i].link == FUNC_HOST && !add_task(job, (struct piece_symbol){CODE_THUNK, unit->index, i}, NULL))
            return false;
    return true;
}

/* Everything but the routines, of which one knows which are called when all else is made. */
static bool list_tasks(struct job *job, struct err *err)
{
    for (uint32_t i = 0; i < job->survey.func_count; i++) {
        const struct survey_func *func = &job->survey.funcs[i];
        if (!add_task(job, (struct piece_symbol){CODE_FUNC, func->unit, func->func}, func))
            return err_memory(err);
    }
    for (uint32_t i = 0; i < job->unit_count; i++)
        if (!list_glue(job, &job->units[i]))
            return err_memory(err);
    return true;
}

/* The others are the linker's. */
static bool is_made(uint32_t routine)
{
    return routine < HELPER_COUNT || routine == ROUTINE_stencil_pool;
}

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
        if (called[i] && is_made(i) && !add_task(job, (struct piece_symbol){CODE_ROUTINE, 0, i}, NULL))
            return err_memory(err);
    return true;
}

struct size_row {
    uint32_t task, size;
};

static int by_size(const void *a, const void *b)
{
    const struct size_row *left = a, *right = b;
    if (left->size != right->size)
        return left->size < right->size ? 1 : -1;
    return (left->task > right->task) - (left->task < right->task);
}

/* The longest functions first, so that no processor waits for one that began last. Dumps come in the module's order. */
static bool order_tasks(struct job *job, size_t first, struct err *err)
{
    size_t count = job->tasks.count - first;
    struct size_row *rows = mem_alloc(count + 1, sizeof *rows);
    uint32_t *order = mem_resize(job->order, job->tasks.count + 1, sizeof *order);
    job->order = order ? order : job->order;
    job->order_count = 0;
    for (size_t i = first; rows && order && i < job->tasks.count; i++) {
        const struct task *task = &job->tasks.items[i];
        if (task->piece.size == 0)
            rows[job->order_count++] = (struct size_row){(uint32_t)i, size_of(job, task)};
    }
    if (rows && order) {
        if (!job->options->dump)
            qsort(rows, job->order_count, sizeof *rows, by_size);
        for (size_t i = 0; i < job->order_count; i++) {
            order[i] = rows[i].task;
            job->bytes_total += rows[i].size;
        }
    }
    mem_free(rows);
    return (rows && order) || err_memory(err);
}

static void take_kept(struct job *job)
{
    const struct str *old = &job->options->old_pack;
    const struct pack pack = pack_open((const uint8_t *)old->ptr, old->len);
    for (uint32_t i = 0; i < job->survey.func_count; i++)
        if (pack_take(&pack, &job->survey.funcs[i], &job->tasks.items[i].piece)) {
            job->tasks.items[i].fast = false;
            job->kept++;
        }
}

static int by_name(const void *a, const void *b)
{
    const struct survey_func *left = a, *right = b;
    if (left->unit != right->unit)
        return left->unit < right->unit ? -1 : 1;
    return (left->func > right->func) - (left->func < right->func);
}

static void choose(struct job *job)
{
    const struct survey *survey = &job->survey;
    for (uint32_t i = 0; i < job->options->chosen_count; i++) {
        const struct survey_func name = {.unit = job->options->chosen[i].unit, .func = job->options->chosen[i].func};
        const struct survey_func *func = bsearch(&name, survey->funcs, survey->func_count, sizeof name, by_name);
        if (func)
            job->tasks.items[func - survey->funcs].fast = is_left(func);
    }
}

/* ---- all of them ---- */

static void tick(void *arg, size_t done)
{
    const struct job *job = arg;
    const struct codegen_options *options = job->options;
    size_t all = job->survey.func_count, so_far = job->kept + done;
    const struct codegen_progress progress = {(uint32_t)(so_far < all ? so_far : all), (uint32_t)all, job->bytes_done,
                                              job->bytes_total};
    if (options->progress)
        options->progress(options->progress_arg, &progress);
}

static bool view_all(struct job *job, size_t first, struct err *err)
{
    for (size_t i = first; i < job->tasks.count; i++) {
        struct task *task = &job->tasks.items[i];
        if (!piece_read(task->piece.data, task->piece.size, &task->view, err))
            return false;
    }
    return true;
}

/* The tasks from `first` on that have no piece yet. */
static bool make_all(struct job *job, size_t first, struct err *err)
{
    if (!order_tasks(job, first, err))
        return false;
    const struct parallel parallel = {.count = job->order_count,
                                      .threads = job->options->dump ? 1 : job->options->threads,
                                      .order = job->order,
                                      .open = open_bench,
                                      .run = make,
                                      .close = close_bench,
                                      .tick = first == 0 ? tick : NULL,
                                      .arg = job};
    return parallel_run(&parallel, err) && view_all(job, first, err);
}

static bool compile(struct job *job, struct err *err)
{
    object_prepare();
    if (!list_tasks(job, err))
        return false;
    if (!job->options->dump && !job->options->mix_seed)
        take_kept(job);
    choose(job);
    if (!make_all(job, 0, err))
        return false;
    size_t routines = job->tasks.count;
    return list_routines(job, err) && make_all(job, routines, err);
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

/* Only what LLVM made is worth keeping. */
static bool keep(struct job *job, struct err *err)
{
    static const struct buf nothing;
    if (job->options->ret_counts)
        *job->options->ret_counts = (struct codegen_counts){job->survey.func_count - job->kept, job->kept};
    if (!job->options->ret_pack || job->options->mix_seed)
        return true;
    const struct buf **pieces = mem_alloc((size_t)job->survey.func_count + 1, sizeof *pieces);
    if (!pieces)
        return err_memory(err);
    for (uint32_t i = 0; i < job->survey.func_count; i++)
        pieces[i] = job->tasks.items[i].fast ? &nothing : &job->tasks.items[i].piece;
    bool done = pack_write(&job->survey, pieces, job->options->ret_pack, err);
    mem_free(pieces);
    return done;
}

/* What keys of functions cover beside the functions: this engine, this LLVM, this level. */
static void name_engine(const struct codegen_options *options, uint8_t ret_name[SURVEY_KEY_BYTES])
{
    struct sha256 hash;
    char text[128];
    uint8_t engine[32];
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    int size =
        snprintf(text, sizeof text, "LLVM %u.%u.%u %s -O%d", major, minor, patch, CODEGEN_CPU, options->opt_level);
    image_engine_id(engine);
    sha256_init(&hash);
    sha256_add(&hash, engine, sizeof engine);
    sha256_add(&hash, text, (size_t)size);
    sha256_finish(&hash, ret_name);
}

static void free_job(struct job *job)
{
    for (size_t i = 0; i < job->tasks.count; i++)
        buf_free(&job->tasks.items[i].piece);
    VEC_FREE(&job->tasks);
    mem_free(job->order);
    survey_free(&job->survey);
}

bool codegen_llvm(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err)
{
    struct job job = {.units = units, .unit_count = count, .options = options};
    uint8_t engine[SURVEY_KEY_BYTES];
    name_engine(options, engine);
    bool done = survey_make(units, count, engine, options->threads, &job.survey, err) && compile(&job, err) &&
                join(&job, ret_code, err) && keep(&job, err);
    free_job(&job);
    return done;
}
