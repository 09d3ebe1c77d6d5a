/* One function: what stands around its instructions (walk.c). */
#include "codegen/fast/emit.h"

#include "wasm/limits.h"

#define PAGE 4096
#define FRAME_MAX (1 << 26)
#define ROOM 4096u /* for what one instruction makes; those that make more ask for it */
#define ALIGN 16u
#define FUNCS_MAX ((size_t)1 << 22)
#define SITE_BYTES ((size_t)1 << 30)

static bool reserve(void **array, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count <= *capacity)
        return true;
    void *block = mem_resize(*array, (size_t)count * 2, size);
    if (!block)
        return false;
    *array = block;
    *capacity = count * 2;
    return true;
}

bool fast_open(struct gen *g, const struct unit *units, uint32_t unit_count, const uint32_t *unit_first,
               struct err *err)
{
    g->units = units;
    g->unit_count = unit_count;
    g->unit_first = unit_first;
    buf_init(&g->sites, SITE_BYTES);
    buf_init(&g->constants, SITE_BYTES);
    /* There is always something to write to, also when it cannot grow. */
    bool stored = code_room(g, ROOM) && VEC_PUSH(&g->controls, 1);
    stack_grow(g);
    stored &= !g->failed;
    g->controls.count = 0;
    return stored || err_memory(err);
}

static void close_controls(struct gen *g)
{
    for (size_t i = 0; i < g->controls.count; i++)
        mem_free(g->controls.items[i].catches);
    g->controls.count = 0;
}

void fast_reset(struct gen *g)
{
    g->size = 0;
    g->funcs.count = g->relocations.count = g->pads.count = 0;
    g->sites.size = g->constants.size = 0;
}

void fast_free(struct gen *g)
{
    close_controls(g);
    code_blocks_free(g->blocks);
    mem_free(g->locals);
    mem_free(g->stack ? g->stack - 1 : NULL);
    buf_free(&g->sites);
    buf_free(&g->constants);
    VEC_FREE(&g->controls);
    VEC_FREE(&g->traps);
    VEC_FREE(&g->funcs);
    VEC_FREE(&g->relocations);
    VEC_FREE(&g->pads);
    instr_lists_free(&g->lists);
}

/* ---- beginning and end ---- */

/* A function begins at a multiple of sixteen bytes, its type's hash before it. */
static void put_head(struct gen *g, uint64_t hash)
{
    code_room(g, ROOM);
    uint32_t start = (g->size + (uint32_t)sizeof hash + ALIGN - 1) & ~(ALIGN - 1);
    memset(g->code + g->size, CODE_FILLER, start - g->size);
    memcpy(g->code + start - sizeof hash, &hash, sizeof hash);
    g->start = g->size = start;
}

static void end_locals(struct gen *g, int32_t cell)
{
    g->locals_end = g->frame_end = g->stack[-1].cell = cell;
}

static struct code_func *begin_function(struct gen *g, const struct unit *unit, enum code_func_kind kind, uint32_t func,
                                        const struct wasm_functype *type, uint64_t hash)
{
    static const struct wasm_op nowhere = {.code = OP_NOP};
    static const uint8_t nothing_next[2] = {0};
    close_controls(g);
    g->unit = unit;
    g->func_type = type;
    g->op = &nowhere;
    g->next = nothing_next;
    g->regs = (struct state){0};
    g->pinned = g->hot = g->clock = 0;
    g->depth = g->alias_count = g->tables = g->local_count = g->short_locals = 0;
    end_locals(g, CONTEXT_CELL);
    g->condition.pending = g->dead = g->failed = g->too_large = false;
    g->innermost_try = NO_TRY;
    g->traps.count = 0;
    memory_begin(g);
    put_head(g, hash);
    g->site = (struct sites){.code_off = g->start};
    g->site_off = g->start;
    g->site_wasm = 0;
    struct code_func *row = VEC_PUSH(&g->funcs, FUNCS_MAX);
    if (row)
        *row = (struct code_func){.code_off = g->start,
                                  .unit = unit->index,
                                  .func = func,
                                  .kind = kind,
                                  .sites_first = (uint32_t)g->sites.size};
    else
        g->failed = true;
    return row;
}

bool fast_fail(const struct gen *g, struct err *err)
{
    return g->too_large ? err_set(err, ERR_LIMIT, "the code or the frame of a function is too large") : err_memory(err);
}

/* ---- the frame ---- */

static void put_prologue(struct gen *g)
{
    put(g, g->large_frame ? STENCIL_enter_large : STENCIL_enter, &(struct holes){.imm = INT32_MAX});
    g->frame_patch = g->size;
}

/* The size of the frame is known at the end only. */
static void patch_prologue(struct gen *g, uint32_t size)
{
    const struct stencil *stencil = &stencils[g->large_frame ? STENCIL_enter_large : STENCIL_enter];
    const struct stencil_field *field = stencil_fields_of(&stencil->far);
    for (unsigned i = 0; i < stencil_field_count(&stencil->far); i++)
        code_fill(g, &field[i], g->frame_patch - stencil->far.size, (int32_t)(g->large_frame ? -size : size));
}

static uint32_t frame_size(const struct gen *g)
{
    return ((uint32_t)-g->frame_end + 15) & ~15u;
}

/* Homes of the locals. */
static bool place_locals(struct gen *g, const wasm_valtype *types, uint32_t count)
{
    if (!reserve((void **)&g->locals, &g->local_capacity, count, sizeof *g->locals))
        return err_memory(g->err);
    int32_t cell = CONTEXT_CELL;
    for (uint32_t i = 0; i < count; i++) {
        enum type type = value_type(types[i]);
        cell -= cell_size(type);
        g->locals[i] = (struct local){.type = type, .reg = NO_REG, .cell = cell};
    }
    g->local_count = count;
    g->short_locals = count < 0x80 ? count : 0x80;
    end_locals(g, cell);
    g->large_frame |= -cell > PAGE / 2;
    return true;
}

/* Locals that are no parameters begin as zero: their cells lie together. */
static void clear_locals(struct gen *g)
{
    uint32_t params = g->func_type->param_count;
    if (g->local_count == params)
        return;
    int32_t end = params ? g->locals[params - 1].cell : CONTEXT_CELL, at = g->locals_end;
    if (end - at > 512) {
        PUT(g, clear_frame, .imm = at, .imm2 = (end - at) / 8);
        return;
    }
    if (end - at >= 16)
        PUT(g, zero_v, .x = REG_SCRATCH_VEC);
    for (; end - at >= 16; at += 16) {
        code_room(g, 64);
        store_cell(g, T_V128, REG_SCRATCH_VEC, at);
    }
    if (end - at >= 8)
        PUT(g, set_64_i, .imm = at, .imm2 = 0);
}

/* ---- the body ---- */

bool fast_enter(struct gen *g, const wasm_valtype *locals, uint32_t count)
{
    if (!place_locals(g, locals, count))
        return false;
    put_prologue(g);
    params_enter(g);
    clear_locals(g);
    control_begin(g);
    return true;
}

static bool finish(struct gen *g, struct err *err)
{
    put_traps(g);
    put_site(g);
    g->too_large |= frame_size(g) > FRAME_MAX;
    if (g->failed || g->too_large)
        return fast_fail(g, err);
    struct code_func *row = &g->funcs.items[g->funcs.count - 1];
    if (g->frame_patch)
        patch_prologue(g, frame_size(g));
    row->code_size = g->size - g->start;
    row->frame_size = g->frame_patch ? frame_size(g) : 0;
    row->sites_size = (uint32_t)g->sites.size - row->sites_first;
    return true;
}

/* What was made before the function at hand. */
struct mark {
    uint32_t size;
    size_t relocations, pads, sites, constants;
};

static struct mark mark_of(const struct gen *g)
{
    return (struct mark){g->size, g->relocations.count, g->pads.count, g->sites.size, g->constants.size};
}

static void back_to(struct gen *g, const struct mark *mark)
{
    g->size = mark->size;
    g->relocations.count = mark->relocations;
    g->pads.count = mark->pads;
    g->sites.size = mark->sites;
    g->constants.size = mark->constants;
    g->funcs.count--;
}

static bool read_body(struct gen *g, const struct unit *unit, uint32_t func, struct wasm_body_scratch *scratch,
                      struct err *err)
{
    const struct wasm_module *module = unit->module;
    begin_function(g, unit, CODE_FUNC, func, wasm_func_type(module, func),
                   module->types[module->funcs[func].type].hash);
    g->err = err;
    return wasm_body_read(module, func, scratch, &fast_walk, g, err);
}

bool fast_body(struct gen *g, const struct unit *unit, uint32_t func, struct wasm_body_scratch *scratch,
               struct err *err)
{
    struct mark mark = mark_of(g);
    g->large_frame = false;
    if (!read_body(g, unit, func, scratch, err))
        return false;
    if (!g->large_frame && frame_size(g) > PAGE) { /* more operands than anybody has: once more, touching each page */
        back_to(g, &mark);
        g->large_frame = true;
        if (!read_body(g, unit, func, scratch, err))
            return false;
    }
    return finish(g, err);
}

/* ---- functions without a body ---- */

static const struct wasm_functype nothing = {0};

/* Parameters become locals, and the array of cells that the host function gets lies behind them. */
bool fast_thunk(struct gen *g, const struct unit *unit, uint32_t func, struct err *err)
{
    const struct wasm_module *module = unit->module;
    const struct wasm_functype *type = wasm_func_type(module, func);
    uint32_t count = type->param_count > type->result_count ? type->param_count : type->result_count;
    begin_function(g, unit, CODE_THUNK, func, type, module->types[module->funcs[func].type].hash);
    g->err = err;
    g->large_frame = false;
    if (!place_locals(g, type->params, type->param_count))
        return false;
    int32_t cells = (g->locals_end - (int32_t)(sizeof(union cell) * (count + 1))) & ~15;
    g->large_frame |= -cells > PAGE / 2;
    put_prologue(g);
    params_enter(g);
    PUT(g, host_enter);
    for (uint32_t i = 0; i < type->param_count; i++) {
        struct value value = {.kind = VALUE_LOCAL, .type = g->locals[i].type, .reg = NO_REG, .local = i};
        code_room(g, 256);
        value_store(g, &value, cells + (int32_t)sizeof(union cell) * (int32_t)i);
    }
    if (cells < g->frame_end)
        g->frame_end = cells;
    PUT(g, host_call, .imm = (int32_t)unit->funcs[func].off, .imm2 = cells);
    forget_regs(g);
    context_reload(g);
    for (uint32_t i = 0; i < type->result_count; i++) {
        push_cell(g, value_type(type->results[i]));
        g->stack[i].cell = cells + (int32_t)sizeof(union cell) * (int32_t)i;
    }
    return_code(g);
    return finish(g, err);
}

bool fast_init(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct err *err)
{
    begin_function(g, unit, CODE_INIT, 0, &nothing, 0);
    g->err = err;
    g->large_frame = false;
    put_prologue(g);
    if (!init_all(g, scratch))
        return false;
    return_code(g);
    return finish(g, err);
}

static const char *const signatures[HELPER_COUNT] = {
#define HELPER(name, signature) signature,
#include "image/helpers.def"
#undef HELPER
};

/* The helper's arguments come as words in the registers of parameters, and go to those of the C convention. */
static void put_helper(struct gen *g, enum helper helper)
{
    static const reg from[] = PARAM_INTS, to[] = C_PARAM_INTS;
    const char *signature = signatures[helper];
    struct moves moves = {0};
    put_prologue(g);
    PUT(g, host_enter);
    for (unsigned i = 0; signature[3 + i]; i++)
        move_add(&moves, to[i + 1], from[i]);
    move_all(g, &moves);
    PUT(g, helper_call, .imm = (int32_t)helper * 8);
    if (helper == HELPER_throw_exception || helper == HELPER_rethrow_exception)
        put_trap(g, TRAP_PENDING); /* does not return */
    else if (signature[0] == 't')
        PUT(g, helper_check);
    else if (signature[0] == 'r')
        PUT(g, helper_check_reference);
    PUT(g, leave);
}

bool fast_routine(struct gen *g, enum routine routine, struct err *err)
{
    struct code_func *row = begin_function(g, &g->units[0], CODE_ROUTINE, (uint32_t)routine, &nothing, 0);
    g->err = err;
    g->large_frame = false;
    g->frame_patch = 0;
    if (routine < (enum routine)HELPER_COUNT) {
        put_helper(g, (enum helper)routine);
    } else if (routine == ROUTINE_stencil_pool && code_room(g, stencil_pool_size)) {
        memcpy(g->code + g->size, stencil_pool, stencil_pool_size);
        g->size += stencil_pool_size;
    }
    if (row)
        row->unit = 0;
    return finish(g, err);
}
