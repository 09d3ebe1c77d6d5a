/* The fast generator: all processors at once, each function in one pass.
 *
 * Functions are cut into runs of about as many bytes; a run's code is made in one buffer, where it stays until the
 * image is written. Calls between runs get their distances when every run has its place. Runs do not depend on each
 * other, so that the result does not depend on threads. */
#include "codegen/codegen.h"

#include "base/alloc.h"
#include "codegen/fast/gen.h"
#include "codegen/parallel.h"

#include <inttypes.h>
#include <stdatomic.h>

#define PAGE 4096u
#define RUN_BYTES (128u << 10) /* of bodies */
#define BLOCK_BYTES (64u << 10) /* of code, for a module of one run */
#define RUNS_MAX ((size_t)1 << 20)
#define ROWS_MAX ((size_t)1 << 28)

/* Functions of one kind and unit, one behind the other; what was made of them. */
struct run {
    struct piece_symbol first; /* a function, a thunk, initializers or a routine */
    uint32_t count;
    struct gen made;           /* its code, rows, relocations, pads and sites only */
    uint64_t place, constants; /* in the text */
};

struct job {
    const struct unit *units;
    uint32_t unit_count;
    const struct codegen_options *options;
    uint32_t *unit_first; /* symbols: gen.h */
    VEC(struct run) runs;
    size_t first;         /* where a pass over the runs begins */
    uint32_t *place_of;   /* per symbol: its place in the text; 0: none */
    uint32_t symbol_count;
    uint64_t size, code_size, exec_size; /* of the text; of the code in it; the same, whole pages */
    _Atomic(struct code_block *) blocks;
    uint32_t bodies;
    bool small; /* one run has all bodies: threads and large blocks cost more than they bring */
};

/* What a thread keeps from one run to the next. */
struct bench {
    struct job *job;
    struct gen gen;
    struct wasm_body_scratch *scratch;
};

/* The code stays when the thread that made it goes. */
static void keep_blocks(struct job *job, struct code_block *blocks)
{
    struct code_block *last = blocks;
    while (last && last->next)
        last = last->next;
    if (!last)
        return;
    last->next = job->blocks;
    while (!atomic_compare_exchange_weak(&job->blocks, &last->next, blocks))
        ;
}

static void close_bench(void *state)
{
    struct bench *bench = state;
    keep_blocks(bench->job, bench->gen.blocks);
    bench->gen.blocks = NULL;
    fast_free(&bench->gen);
    wasm_body_scratch_free(bench->scratch);
    mem_free(bench);
}

static void *open_bench(void *arg, struct err *err)
{
    struct job *job = arg;
    struct bench *bench = mem_alloc(1, sizeof *bench);
    if (!bench) {
        err_memory(err);
        return NULL;
    }
    bench->job = job;
    bench->gen.block_bytes = job->small ? BLOCK_BYTES : 0;
    bool bodies = job->first == 0; /* routines, which come later, have none */
    bench->scratch = bodies ? wasm_body_scratch_new(err) : NULL;
    if ((bench->scratch || !bodies) && fast_open(&bench->gen, job->units, job->unit_count, job->unit_first, err))
        return bench;
    close_bench(bench);
    return NULL;
}

static bool make_one(struct gen *g, const struct unit *unit, enum code_func_kind kind, uint32_t func,
                     struct wasm_body_scratch *scratch, struct err *err)
{
    switch (kind) {
    case CODE_FUNC: return fast_body(g, unit, func, scratch, err);
    case CODE_THUNK: return unit->funcs[func].link != FUNC_HOST || fast_thunk(g, unit, func, err);
    case CODE_INIT: return fast_init(g, unit, scratch, err);
    case CODE_ROUTINE: return fast_routine(g, (enum routine)func, err);
    }
    return false;
}

/* What was made goes over to the run; the generator keeps what it works with. */
static void hand_over(struct gen *g, struct gen *made)
{
    made->code = g->code;
    made->size = g->size;
    made->funcs.items = g->funcs.items;
    made->funcs.count = g->funcs.count;
    made->relocations.items = g->relocations.items;
    made->relocations.count = g->relocations.count;
    made->pads.items = g->pads.items;
    made->pads.count = g->pads.count;
    made->sites = g->sites;
    made->constants = g->constants;
    code_begin_run(g);
    memset(&g->funcs, 0, sizeof g->funcs);
    memset(&g->relocations, 0, sizeof g->relocations);
    memset(&g->pads, 0, sizeof g->pads);
    buf_init(&g->sites, made->sites.max);
    buf_init(&g->constants, made->constants.max);
}

static bool make(void *arg, void *state, size_t index, struct err *err)
{
    struct job *job = arg;
    struct bench *bench = state;
    struct run *run = &job->runs.items[job->first + index];
    const struct unit *unit = &job->units[run->first.unit];
    bool done = true;
    for (uint32_t i = 0; done && i < run->count; i++)
        done =
            make_one(&bench->gen, unit, (enum code_func_kind)run->first.kind, run->first.func + i, bench->scratch, err);
    hand_over(&bench->gen, &run->made);
    return done;
}

/* ---- what is to be made ---- */

static bool add_run(struct job *job, enum code_func_kind kind, uint32_t unit, uint32_t func, uint32_t count)
{
    struct run *run = VEC_PUSH(&job->runs, RUNS_MAX);
    if (run)
        *run = (struct run){.first = {kind, unit, func}, .count = count};
    return run != NULL;
}

static bool list_bodies(struct job *job, const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    uint32_t first = module->imported_funcs;
    uint64_t bytes = 0;
    for (uint32_t i = first; i < module->func_count; i++) {
        bytes += module->funcs[i].size;
        if (bytes < RUN_BYTES && i + 1 < module->func_count)
            continue;
        if (!add_run(job, CODE_FUNC, unit->index, first, i + 1 - first))
            return false;
        first = i + 1;
        bytes = 0;
    }
    return true;
}

static bool list_all(struct job *job, struct err *err)
{
    bool done = true;
    uint64_t bytes = 0;
    for (uint32_t i = 0; done && i < job->unit_count; i++) {
        const struct unit *unit = &job->units[i];
        job->bodies += unit->module->func_count - unit->module->imported_funcs;
        for (uint32_t f = unit->module->imported_funcs; f < unit->module->func_count; f++)
            bytes += unit->module->funcs[f].size;
        done = list_bodies(job, unit) && (!unit->late.any || add_run(job, CODE_INIT, i, 0, 1)) &&
               (unit->module->imported_funcs == 0 || add_run(job, CODE_THUNK, i, 0, unit->module->imported_funcs));
    }
    job->small = bytes < RUN_BYTES;
    return done || err_memory(err);
}

/* The routines that somebody calls. */
static bool list_routines(struct job *job, struct err *err)
{
    bool called[ROUTINE_COUNT] = {false};
    uint32_t first = job->unit_first[job->unit_count];
    for (size_t i = 0; i < job->runs.count; i++) {
        const struct gen *made = &job->runs.items[i].made;
        for (size_t r = 0; r < made->relocations.count; r++) {
            uint32_t symbol = made->relocations.items[r].symbol;
            if (symbol >= first && symbol - first < ROUTINE_COUNT)
                called[symbol - first] = true;
        }
    }
    for (uint32_t i = 0; i < ROUTINE_COUNT; i++)
        if (called[i] && !add_run(job, CODE_ROUTINE, 0, i, 1))
            return err_memory(err);
    return true;
}

static bool make_from(struct job *job, size_t first, struct err *err)
{
    const struct parallel parallel = {.count = job->runs.count - first,
                                      .threads = job->small || first ? 1 : job->options->threads,
                                      .open = open_bench,
                                      .run = make,
                                      .close = close_bench,
                                      .arg = job};
    job->first = first;
    return parallel_run(&parallel, err);
}

/* ---- joining ---- */

static uint32_t symbol_of_func(const struct job *job, const struct code_func *func)
{
    uint32_t unit = func->kind == CODE_ROUTINE ? job->unit_count : func->unit;
    return job->unit_first[unit] + func->func;
}

static void place_functions(struct job *job, struct run *run)
{
    const struct gen *made = &run->made;
    run->place = job->size;
    job->size += (made->size + 15) & ~15u; /* there is room behind the code */
    for (size_t i = 0; i < made->funcs.count; i++)
        if (made->funcs.items[i].kind != CODE_INIT)
            job->place_of[symbol_of_func(job, &made->funcs.items[i])] =
                (uint32_t)run->place + made->funcs.items[i].code_off;
}

/* Places in the text: the code of each run, which begins at a multiple of sixteen as its functions expect; from a new
 * page on the constants. */
static bool place_all(struct job *job, struct err *err)
{
    job->place_of = mem_alloc(job->symbol_count, sizeof *job->place_of);
    if (!job->place_of)
        return err_memory(err);
    for (size_t i = 0; i < job->runs.count && job->size <= INT32_MAX; i++)
        place_functions(job, &job->runs.items[i]);
    job->code_size = job->size;
    job->exec_size = job->size = (job->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    for (size_t i = 0; i < job->runs.count; i++) {
        job->runs.items[i].constants = job->size;
        job->size += job->runs.items[i].made.constants.size;
    }
    return job->size <= INT32_MAX || err_set(err, ERR_LIMIT, "the code is larger than 2 GiB");
}

static bool relocate(void *arg, void *state, size_t index, struct err *err)
{
    struct job *job = arg;
    struct run *run = &job->runs.items[index];
    for (size_t i = 0; i < run->made.relocations.count; i++) {
        const struct fast_relocation *row = &run->made.relocations.items[i];
        bool constant = row->symbol == job->symbol_count - 1;
        uint32_t place = constant ? (uint32_t)run->constants : job->place_of[row->symbol], word;
        if (!place)
            return err_set(err, ERR_SYSTEM,
                           "compiled functions cannot be linked: one refers to another that is missing");
        memcpy(&word, run->made.code + row->at, sizeof word);
        if (!relocate_word(&word, (uint32_t)run->place + row->at, place))
            return err_set(err, ERR_LIMIT, "the code is larger than %" PRIu64 " MiB, which a call reaches",
                           (uint64_t)CODE_REACH >> 20);
        memcpy(run->made.code + row->at, &word, sizeof word);
    }
    return true;
}

static void *no_state(void *arg, struct err *err)
{
    return arg;
}

static void leave_state(void *state)
{
}

static bool add_rows(struct code *code, const struct run *run)
{
    const struct gen *made = &run->made;
    uint32_t sites = (uint32_t)code->site_bytes.size, place = (uint32_t)run->place;
    for (size_t i = 0; i < made->funcs.count; i++) {
        struct code_func *func = VEC_PUSH(&code->funcs, ROWS_MAX);
        if (!func)
            return false;
        *func = made->funcs.items[i];
        func->code_off += place;
        func->sites_first += sites;
        if (func->kind == CODE_ROUTINE)
            func->func = 0;
    }
    for (size_t i = 0; i < made->pads.count; i++) {
        struct code_pad *pad = VEC_PUSH(&code->pads, ROWS_MAX);
        if (!pad)
            return false;
        *pad = (struct code_pad){made->pads.items[i].return_off + place, made->pads.items[i].pad_off + place};
    }
    return made->sites.size == 0 || buf_append(&code->site_bytes, made->sites.data, made->sites.size);
}

static bool add_part(struct code *code, const uint8_t *bytes, uint64_t size)
{
    struct code_part *part = size ? VEC_PUSH(&code->parts, RUNS_MAX) : NULL;
    if (part)
        *part = (struct code_part){bytes, size};
    return part || size == 0;
}

/* Code, filler up to a whole page, constants. */
static bool add_parts(struct job *job, struct code *code)
{
    for (size_t i = 0; i < job->runs.count; i++) {
        const struct gen *made = &job->runs.items[i].made;
        memset(made->code + made->size, CODE_FILLER, -made->size & 15);
        if (!add_part(code, made->code, (made->size + 15) & ~15u) || !add_rows(code, &job->runs.items[i]))
            return false;
    }
    uint64_t gap = job->exec_size - job->code_size;
    uint8_t *filler = gap ? buf_extend(&code->text, gap) : NULL;
    if (gap && !filler)
        return false;
    if (gap)
        memset(filler, CODE_FILLER, gap);
    bool done = add_part(code, filler, gap);
    for (size_t i = 0; i < job->runs.count && done; i++)
        done = add_part(code, job->runs.items[i].made.constants.data, job->runs.items[i].made.constants.size);
    code->exec_size = job->exec_size;
    return done;
}

static bool join(struct job *job, struct code *code, struct err *err)
{
    const struct parallel parallel = {.count = job->runs.count,
                                      .threads = job->small ? 1 : job->options->threads,
                                      .open = no_state,
                                      .run = relocate,
                                      .close = leave_state,
                                      .arg = job};
    if (!place_all(job, err) || !parallel_run(&parallel, err))
        return false;
    return add_parts(job, code) || err_memory(err);
}

static void close_job(void *owner)
{
    struct job *job = owner;
    for (size_t i = 0; i < job->runs.count; i++)
        fast_free(&job->runs.items[i].made);
    VEC_FREE(&job->runs);
    code_blocks_free(job->blocks);
    mem_free(job->unit_first);
    mem_free(job->place_of);
    mem_free(job);
}

static bool count_symbols(struct job *job, struct err *err)
{
    job->unit_first = mem_alloc((size_t)job->unit_count + 1, sizeof *job->unit_first);
    if (!job->unit_first)
        return err_memory(err);
    uint64_t count = 0;
    for (uint32_t i = 0; i < job->unit_count; i++) {
        count += job->units[i].module->func_count;
        if (count > INT32_MAX)
            return err_set(err, ERR_LIMIT, "more than %d functions", INT32_MAX);
        job->unit_first[i + 1] = (uint32_t)count;
    }
    job->symbol_count = (uint32_t)count + ROUTINE_COUNT + 1;
    return true;
}

bool codegen_fast(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err)
{
    struct job *job = mem_alloc(1, sizeof *job);
    if (!job)
        return err_memory(err);
    *job = (struct job){.units = units, .unit_count = count, .options = options};
    ret_code->owner = job;
    ret_code->close = close_job;
    if (!count_symbols(job, err) || !list_all(job, err) || !make_from(job, 0, err))
        return false;
    if (options->ret_counts)
        *options->ret_counts = (struct codegen_counts){job->bodies, 0};
    size_t routines = job->runs.count;
    return list_routines(job, err) && make_from(job, routines, err) && join(job, ret_code, err);
}
