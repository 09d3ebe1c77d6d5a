/* One function: a visitor over its valid instructions, and the piece that comes of it. */
#include "codegen/fast/emit.h"

#include "wasm/limits.h"

#define PAGE 4096
#define FRAME_MAX (1 << 26)

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

void fast_reset(struct gen *g)
{
    for (size_t i = 0; i < g->controls.count; i++)
        mem_free(g->controls.items[i].catches);
    g->size = 0;
    g->regs = (struct state){0};
    g->pinned = g->hot = g->clock = 0;
    g->depth = g->alias_count = g->tables = 0;
    g->condition.pending = g->dead = g->failed = false;
    g->innermost_try = NO_TRY;
    g->controls.count = g->traps.count = g->sites.count = g->pads.count = g->relocations.count = 0;
    for (size_t i = 0; i < g->symbols.count; i++)
        if (g->symbols.items[i].kind != CODE_ROUTINE && g->symbols.items[i].func < g->symbol_of_count)
            g->symbol_of[g->symbols.items[i].func] = 0;
    g->symbols.count = 0;
    g->op = NULL;
}

void fast_free(struct gen *g)
{
    for (size_t i = 0; i < g->controls.count; i++)
        mem_free(g->controls.items[i].catches);
    mem_free(g->code);
    mem_free(g->locals);
    mem_free(g->stack);
    mem_free(g->symbol_of);
    VEC_FREE(&g->controls);
    VEC_FREE(&g->traps);
    VEC_FREE(&g->sites);
    VEC_FREE(&g->pads);
    VEC_FREE(&g->relocations);
    VEC_FREE(&g->symbols);
}

/* ---- the frame ---- */

static void put_prologue(struct gen *g)
{
    struct label unused = {0};
    (void)unused;
    put(g, g->large_frame ? STENCIL_enter_large : STENCIL_enter, &(struct holes){.imm = INT32_MAX});
    g->frame_patch = g->size;
}

/* The size of the frame is known at the end only. */
static void patch_prologue(struct gen *g, uint32_t size)
{
    const struct stencil *stencil = &stencils[g->large_frame ? STENCIL_enter_large : STENCIL_enter];
    const struct stencil_field *field = stencil_fields + stencil->far.fields;
    for (unsigned i = 0; i < stencil->far.field_count; i++)
        if (field[i].hole == HOLE_IMM32)
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
    g->locals_end = g->frame_end = cell;
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

static bool reserve_symbols(struct gen *g)
{
    uint32_t count = g->unit->module->func_count;
    if (count <= g->symbol_of_count)
        return true;
    mem_free(g->symbol_of);
    g->symbol_of_count = 0;
    g->symbol_of = mem_alloc(count, sizeof *g->symbol_of);
    if (!g->symbol_of)
        return err_memory(g->err);
    g->symbol_of_count = count;
    return true;
}

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    g->body = state;
    if (!reserve_symbols(g) || !place_locals(g, state->locals, state->local_count) || !code_room(g, 4096))
        return g->failed ? err_memory(err) : false;
    put_prologue(g);
    params_enter(g);
    clear_locals(g);
    control_begin(g);
    return true;
}

/* Instructions that matter in unreachable code too: they nest. */
static bool is_structural(enum wasm_opcode code)
{
    return code == OP_BLOCK || code == OP_LOOP || code == OP_IF || code == OP_ELSE || code == OP_END ||
           code == OP_TRY_TABLE;
}

#define ROOM 4096u /* for what one instruction makes; those that make more ask for it */

static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct gen *g = arg;
    if (g->dead && !is_structural(op->code))
        return true;
    const struct row *row = &fast_rows[op->code];
    g->op = op;
    if (!g->condition.pending)
        g->pinned = 0;
    code_room(g, ROOM);
    row->emit(g, op, row);
    return !g->failed || err_set(err, ERR_LIMIT, "the code of a function is too large, or there is no memory for it");
}

/* ---- the piece ---- */

static bool append(struct buf *piece, const void *bytes, size_t size)
{
    return buf_append(piece, bytes, size) && buf_align(piece, 8);
}

static bool write_piece(struct gen *g, uint32_t start, struct buf *piece, struct err *err)
{
    struct piece_head head = {
        .code_size = g->size,
        .frame_size = frame_size(g),
        .relocation_count = (uint32_t)g->relocations.count,
        .symbol_count = (uint32_t)g->symbols.count,
        .site_count = (uint32_t)g->sites.count,
        .pad_count = (uint32_t)g->pads.count,
        .code_align = 16,
        .constants_align = 1,
    };
    size_t first = piece->size;
    for (size_t i = 0; i < g->sites.count; i++)
        g->sites.items[i].wasm_off = g->sites.items[i].wasm_off ? g->sites.items[i].wasm_off - start : PIECE_NOWHERE;
    bool done = buf_append(piece, &head, sizeof head) &&
                append(piece, g->relocations.items, g->relocations.count * sizeof *g->relocations.items) &&
                append(piece, g->symbols.items, g->symbols.count * sizeof *g->symbols.items) &&
                append(piece, g->sites.items, g->sites.count * sizeof *g->sites.items) &&
                append(piece, g->pads.items, g->pads.count * sizeof *g->pads.items) &&
                append(piece, g->code, g->size);
    if (!done)
        return err_memory(err);
    ((struct piece_head *)(piece->data + first))->size = (uint32_t)(piece->size - first);
    return true;
}

static bool finish(struct gen *g, uint32_t start, struct buf *ret_piece, struct err *err)
{
    put_traps(g);
    if (g->failed || frame_size(g) > FRAME_MAX)
        return err_set(err, ERR_LIMIT, "the code of a function is too large, or there is no memory for it");
    patch_prologue(g, frame_size(g));
    return write_piece(g, start, ret_piece, err);
}

bool fast_body(struct gen *g, const struct unit *unit, uint32_t func, struct wasm_body_scratch *scratch,
               struct buf *ret_piece, struct err *err)
{
    static const struct wasm_visitor visitor = {begin, visit};
    g->unit = unit;
    g->func_type = wasm_func_type(unit->module, func);
    g->err = err;
    g->large_frame = false;
    fast_reset(g);
    if (!wasm_body_read(unit->module, func, scratch, &visitor, g, err))
        return false;
    if (!g->large_frame && frame_size(g) > PAGE) { /* more operands than anybody has: once more, touching each page */
        fast_reset(g);
        g->large_frame = true;
        if (!wasm_body_read(unit->module, func, scratch, &visitor, g, err))
            return false;
    }
    return finish(g, unit->module->funcs[func].body, ret_piece, err);
}

/* ---- functions without a body ---- */

static void begin_without_body(struct gen *g, const struct unit *unit, const struct wasm_functype *type,
                               struct err *err)
{
    static const struct wasm_op nowhere = {.code = OP_NOP};
    g->unit = unit;
    g->func_type = type;
    g->err = err;
    g->large_frame = false;
    fast_reset(g);
    g->op = &nowhere;
    g->local_count = 0;
    g->locals_end = g->frame_end = CONTEXT_CELL;
}

/* Parameters become locals, and the array of cells that the host function gets lies behind them. */
bool fast_thunk(struct gen *g, const struct unit *unit, uint32_t func, struct buf *ret_piece, struct err *err)
{
    const struct wasm_functype *type = wasm_func_type(unit->module, func);
    begin_without_body(g, unit, type, err);
    if (!reserve_symbols(g) || !place_locals(g, type->params, type->param_count) || !code_room(g, 4096))
        return err_memory(err);
    uint32_t count = type->param_count > type->result_count ? type->param_count : type->result_count;
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
    return finish(g, 0, ret_piece, err);
}

static const char *const signatures[HELPER_COUNT] = {
#define HELPER(name, signature) signature,
#include "image/helpers.def"
#undef HELPER
};

/* The helper's arguments come as words in the registers of parameters, and go to those of the C convention. */
bool fast_routine(struct gen *g, enum helper helper, struct buf *ret_piece, struct err *err)
{
    static const struct wasm_functype nothing = {0};
    static const reg from[] = PARAM_INTS, to[] = C_PARAM_INTS;
    const char *signature = signatures[helper];
    struct moves moves = {0};
    begin_without_body(g, &g->units[0], &nothing, err);
    if (!code_room(g, 4096))
        return err_memory(err);
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
    return finish(g, 0, ret_piece, err);
}

/* The constants of all stencils, as a function that nobody calls. */
bool fast_pool(struct gen *g, struct buf *ret_piece, struct err *err)
{
    static const struct wasm_functype nothing = {0};
    begin_without_body(g, &g->units[0], &nothing, err);
    if (!code_room(g, stencil_pool_size))
        return err_memory(err);
    memcpy(g->code, stencil_pool, stencil_pool_size);
    g->size = stencil_pool_size;
    return write_piece(g, 0, ret_piece, err);
}

bool fast_init(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct buf *ret_piece,
               struct err *err)
{
    static const struct wasm_functype nothing = {0};
    begin_without_body(g, unit, &nothing, err);
    if (!reserve_symbols(g) || !code_room(g, 4096))
        return err_memory(err);
    put_prologue(g);
    if (!init_all(g, scratch))
        return false;
    return_code(g);
    return finish(g, 0, ret_piece, err);
}
