/* What the files of the fast generator share: the function being generated, its operand stack and its registers.
 *
 * Code is made in one pass over the validated body, from stencils (stencil.h). Every local and every operand has a home
 * cell in the frame; what is in use also has a register. Three rules keep this simple:
 *
 * - `owner` says whose value each register holds, and `dirty` whether the home cell is behind. A local is in one
 * register or none. What is in no register is in its cell, or a constant, or another name for a local.
 * - A label has a state: which register holds what. The first branch to it decides; every other conforms (merge.c).
 * - At a call nothing stays in registers.
 *
 * An i32 in a register is zero-extended; in a cell only its 32 bits count. References are i64.
 */
#ifndef MAYFLY_FAST_GEN_H
#define MAYFLY_FAST_GEN_H

#include "base/vec.h"
#include "codegen/fast/arch.h"
#include "codegen/fast/stencil.h"
#include "codegen/piece.h"
#include "image/sites.h"
#include "wasm/body.h"
#include "wasm/instr.h"

#define NO_REG 0xffu
#define REGS 32u
#define ALIASES_MAX 16u

typedef uint8_t reg;

/* How a value is held; references are T_I64. */
enum type { T_I32, T_I64, T_F32, T_F64, T_V128, TYPE_COUNT };

static inline bool is_vec(enum type type)
{
    return type >= T_F32;
}

enum value_kind {
    VALUE_CELL,  /* in its home cell only */
    VALUE_REG,   /* in `reg`, which it owns */
    VALUE_CONST, /* `bits`; never a v128 */
    VALUE_LOCAL, /* what local `local` holds; made real before that changes */
};

struct value {
    uint8_t kind, type;
    reg reg;
    int32_t cell; /* home, from the frame pointer */
    union {
        uint64_t bits;
        uint32_t local;
    };
};

struct local {
    uint8_t type;
    reg reg;
    int32_t cell;
    uint32_t seen; /* loops.c */
};

/* Whose value a register holds: a local's number or a position on the operand stack (struct state tells which), or that
 * of the instruction at hand. */
#define OWNER_NOBODY UINT32_MAX

/* What is in registers at some point. */
struct state {
    uint32_t used, dirty, operands; /* masks of registers; operands: owned by operands, the others by locals */
    uint32_t owner[REGS];
};

/* Places in the code that want the distance to a label, linked through the four bytes there; 0: none. */
struct label {
    uint32_t fixups;
    uint32_t at; /* of a loop: where it begins */
};

#define KILLED_MAX 24u

/* A block, loop, if, try_table or the function itself. */
struct control {
    enum wasm_frame_kind kind;
    bool dead; /* its beginning cannot be reached */
    bool joined; /* something branches to its end, and `state` says how; of a loop: always */
    uint32_t height; /* operands below the parameters */
    struct wasm_functype type;
    struct label label;
    struct label otherwise; /* of an if */
    struct state state; /* at the label */
    struct state else_state;
    uint32_t hot; /* g->hot outside */
    uint32_t killed[KILLED_MAX]; /* of a loop: locals whose values nobody asks for when it begins again */
    unsigned killed_count;
    uint32_t table, table_stub; /* the last br_table that needed work before it goes here, and where that is, + 1 */
    uint32_t outer_try; /* g->innermost_try outside */
    uint32_t open_pads; /* of a try_table: calls inside that unwind to it, the last one's row + 1; linked by pad_off */
    struct wasm_catch *catches; /* owned */
    uint32_t catch_count;
};
#define NO_TRY UINT32_MAX

struct trap_stub {
    uint32_t fixup, wasm_off;
    uint32_t trap;
};

/* What is filled into a stencil. */
struct holes {
    reg a, b, c, d, x, y, z, w; /* registers in the order of their numbers in struct stencil_field */
    int32_t imm, imm2, shift;
    uint64_t imm64;
    struct label *taken;
    uint32_t callee; /* number of a symbol */
};

/* A comparison that the next instruction branches on: stencils that branch when it holds, and when it does not. */
struct condition {
    bool pending;
    enum stencil_name when, unless;
    uint64_t regs; /* as for put_regs */
    int32_t imm;
};

/* The four bytes at `at`, a number so far, become that number plus the distance to the symbol from behind them. Symbols
 * are the functions of all units, counted, behind them the routines, and last the constants of the same run. */
struct fast_relocation {
    uint32_t at, symbol;
};

/* Memory that code is made in: runs of functions one behind the other. */
struct code_block {
    struct code_block *next;
    uint32_t size, reserved; /* bytes behind this */
};

struct gen {
    /* The code of a run, in the newest block: moves when it outgrows that, so that places in it are offsets. */
    uint8_t *code;
    uint32_t size, capacity;
    struct code_block *blocks;
    uint32_t block_bytes; /* of the first ones, where less is enough; or 0 */

    const struct unit *units, *unit;
    uint32_t unit_count;
    const struct wasm_functype *func_type;
    const struct wasm_body_state *body;
    const struct wasm_op *op;
    const uint8_t *next; /* the two bytes behind the instruction */

    struct state regs;
    uint32_t pinned; /* registers that the current instruction needs */
    uint32_t hot; /* registers that the innermost loop began with */
    uint32_t clock; /* where the search for a register to give up begins */

    struct local *locals;
    uint32_t local_count, local_capacity;
    uint32_t short_locals; /* those with numbers of one byte */
    int32_t locals_end; /* lowest cell of the locals */
    int32_t frame_end; /* lowest cell that was used */
    uint32_t frame_patch; /* where the prologue's frame size is */
    bool large_frame; /* the prologue touches every page */
    uint64_t usual_offsets; /* memory.c: offsets of accesses below this need no check ... */
    int32_t usual_base; /* ... and count from here, from the context */

    struct value *stack; /* one more before it: stack.h */
    uint32_t depth, stack_capacity;
    uint32_t aliases[ALIASES_MAX]; /* positions of VALUE_LOCAL entries, rising */
    uint32_t alias_count;
    struct condition condition;
    uint32_t innermost_try; /* of g->controls, or NO_TRY */
    uint32_t tables; /* br_tables so far */
    uint32_t look; /* of loops.c: how many so far */
    struct instr_lists lists;
    bool dead; /* the code here cannot be reached */

    VEC(struct control) controls;
    VEC(struct trap_stub) traps;
    const uint32_t *unit_first; /* per unit and one past the last: the symbol of its function 0 */

    /* What was made, one function behind the other; offsets are places in `code`. */
    uint32_t start; /* of the function at hand */
    VEC(struct code_func) funcs; /* sites_first in `sites` */
    VEC(struct fast_relocation) relocations;
    VEC(struct code_pad) pads;
    struct buf constants; /* sixteen bytes each */
    struct buf sites; /* streams of image/sites.h */
    struct sites site; /* the last entry in the stream, or where it begins */
    uint32_t site_off, site_wasm; /* the entry behind it, written once code belongs to it */

    bool suspicious; /* for tests: an i32 that an address is made of must be zero-extended, or the guest traps */
    struct err *err;
    bool failed; /* out of memory, or, if `too_large`, too much code: everything goes on harmlessly until the end */
    bool too_large;
};

/* ---- code.c: bytes, holes, fixups ---- */

/* Room for an instruction's code and whatever goes with it. */
#define CODE_SLACK 64u /* stencils are copied in steps that may write behind their end */
bool code_grow(struct gen *g, uint32_t size);
static inline bool code_room(struct gen *g, uint32_t size)
{
    return g->capacity - g->size >= size + CODE_SLACK || code_grow(g, size);
}
/* The next run begins behind the last one's code, which stays. */
void code_begin_run(struct gen *g);
void code_blocks_free(struct code_block *block);
void put(struct gen *g, enum stencil_name name, const struct holes *holes);
#define PUT(g, name, ...) put((g), STENCIL_##name, &(struct holes){__VA_ARGS__})
/* The quick way for stencils with registers and IMM only, which is 0 where there is none: the registers as
 * AT(a, r) | AT(b, r2) ... */
#define AT(operand, r) ((uint64_t)(r) << OPERAND_##operand)
enum { OPERAND_a = 0, OPERAND_b = 8, OPERAND_c = 16, OPERAND_d = 24, OPERAND_x = 32, OPERAND_y = 40, OPERAND_z = 48 };
void put_regs(struct gen *g, enum stencil_name name, uint64_t regs, int32_t imm);
/* The same with a branch to a label. */
/* One that loads the constant at `at` among those of the run. */
void put_constant(struct gen *g, enum stencil_name name, reg to, uint32_t at);
void put_branch(struct gen *g, enum stencil_name name, uint64_t regs, int32_t imm, struct label *taken);
/* The four bytes at `at` are to hold the distance from behind them to the label. */
void code_target(struct gen *g, uint32_t at, struct label *label);
void label_bind(struct gen *g, struct label *label);
void put_trap(struct gen *g, enum trap trap);
/* Whoever branches to the label traps. */
void label_trap(struct gen *g, struct label *label, enum trap trap);
/* Fill an immediate of a stencil that begins at `start`. */
void code_fill(struct gen *g, const struct stencil_field *field, uint32_t start, int32_t imm);
/* What follows may trap, or be returned to, on behalf of the current instruction. */
void mark_site(struct gen *g);
void put_traps(struct gen *g);
static inline uint32_t symbol_of(const struct gen *g, uint32_t unit, uint32_t func)
{
    return g->unit_first[unit] + func;
}

/* The constants of the run. */
static inline uint32_t symbol_of_constants(const struct gen *g)
{
    return g->unit_first[g->unit_count] + ROUTINE_COUNT;
}

static inline uint32_t symbol_of_routine(const struct gen *g, enum routine routine)
{
    return g->unit_first[g->unit_count] + routine;
}

/* The site that was begun last is written. */
void put_site(struct gen *g);

/* ---- registers.c: who is where ---- */

#define REG_VEC_FIRST 16u
reg reg_alloc(struct gen *g, bool vec);
/* Whether reg_alloc has one to give: not all are pinned. */
bool reg_left(const struct gen *g, bool vec);
/* This one: whoever has it gives it up. */
void reg_take(struct gen *g, reg r);
static inline void reg_free(struct gen *g, reg r)
{
    g->regs.used &= ~(1u << r);
    g->regs.dirty &= ~(1u << r);
    g->regs.operands &= ~(1u << r);
}

void reg_pin(struct gen *g, reg r);
/* A v128, or an f64 whose upper half is zero, from the constants. */
void load_vector(struct gen *g, reg to, const uint64_t words[2]);
void move_reg(struct gen *g, reg to, reg from);
void load_cell(struct gen *g, enum type type, reg to, int32_t cell);
void store_cell(struct gen *g, enum type type, reg from, int32_t cell);
void load_const(struct gen *g, enum type type, reg to, uint64_t bits);
/* Everything that is only in a register goes to its cell; the registers stay. */
void write_back(struct gen *g);
/* Nothing is in registers any more. */
void forget_regs(struct gen *g);

/* ---- value.c: the operand stack ---- */

enum type value_type(wasm_valtype type);
static inline int32_t cell_size(enum type type)
{
    return type == T_V128 ? 16 : 8;
}

/* A register that holds it and may be overwritten: no longer the value's, nor anybody else's. Pinned. */
reg value_own(struct gen *g, struct value *value);
/* Copy it to a register that nobody owns and that is not one it depends on, or to a cell. */
void value_copy(struct gen *g, const struct value *value, reg to);
void value_store(struct gen *g, const struct value *value, int32_t cell);
void stack_drop(struct gen *g, uint32_t depth);
/* Operands that are other names for locals get their own registers; those for `local` only, or all of them. */
void unalias(struct gen *g, uint32_t local);
void unalias_all(struct gen *g);
/* The topmost `count` operands into registers of their own or cells: what a label can hand over. */
void settle(struct gen *g, uint32_t count, bool in_place);
/* What a label wants, before a branch to it. */
void settle_for(struct gen *g, const struct control *to);
void local_write(struct gen *g, uint32_t number, struct value value);

/* The local that the next instruction sets with the current one's result, or WASM_NO_INDEX. */
uint32_t next_set(struct gen *g);
/* Where the result of the current instruction, of two operands or one, goes: see value.c. The first: the register of
 * the local that is set next, or NO_REG. */
reg result_for_set(struct gen *g, bool vec, const struct value *operand);
reg result_in_place(struct gen *g, struct value *left, const struct value *right);
reg result_fresh(struct gen *g, bool vec, const struct value *left, const struct value *right);

/* ---- merge.c: labels ---- */

#define MOVES_MAX (2 * REGS)
struct moves {
    unsigned count;
    struct {
        reg to, from;
    } items[MOVES_MAX];
};
void move_add(struct moves *moves, reg to, reg from);
/* All at once; uses the scratch registers. */
void move_all(struct gen *g, struct moves *moves);

struct control *control_named(struct gen *g, uint32_t depth);
const wasm_valtype *branch_types(const struct control *control, uint32_t *ret_count);
/* What must happen before the jump of a branch, whose operands were settled; without a jump for what falls through. */
void branch_conform(struct gen *g, struct control *to);
/* That, and the jump. */
void branch_code(struct gen *g, struct control *to);
/* Whether the jump alone will do, once the label has a state. */
bool branch_is_plain(struct gen *g, const struct control *to);
/* The same for a state that is not the current one, on the way to the end of a block, its results in place. */
void state_conform(struct gen *g, struct control *to, const struct state *from);
bool state_conforms(const struct control *to, const struct state *from);
/* Go on where registers are as in `state`, with `count` operands of `types` on top of the control's. */
void state_enter(struct gen *g, const struct control *control, const struct state *state, const wasm_valtype *types,
                 uint32_t count);
/* What is in registers now. */
void state_save(const struct gen *g, struct state *ret);

/* ---- call.c ---- */
#define CONTEXT_CELL (-8) /* where a function keeps its context, from the frame pointer */
void params_enter(struct gen *g);
void return_code(struct gen *g);
void context_reload(struct gen *g);
/* Call a helper of the runtime with popped values; the second form pushes its result. */
void call_helper(struct gen *g, enum helper helper, struct value *args, unsigned count);
void call_helper_push(struct gen *g, enum helper helper, struct value *args, unsigned count, enum type type);
/* In the middle of an instruction, after write_back: what is in registers comes back to them. */
void helper_within(struct gen *g, enum helper helper, const struct value *args, unsigned count, reg result);
/* From and to memory at base + off. */
void load_at(struct gen *g, enum type type, reg to, reg base, int32_t off);
void store_at(struct gen *g, enum type type, reg from, reg base, int32_t off);

/* ---- variable.c ---- */
/* The address of what lies at `place`, and whether one instruction reaches it. */
void put_address(struct gen *g, struct place place, reg to);
bool place_is_near(struct place place);

/* ---- memory.c ---- */
/* What the function's accesses have in common. */
void memory_begin(struct gen *g);
struct value number(enum type type, uint64_t bits);

/* ---- table.c ---- */
/* The address of the table's entry with the number in `index`, in `to`; traps when there is none. */
void put_entry(struct gen *g, uint32_t table, reg index, reg to, enum trap trap);

/* ---- loops.c ---- */
/* Put into registers what the loop that begins here wants there, and nothing else. */
void loop_prepare(struct gen *g, const struct wasm_op *op, struct control *loop);
/* Is the local written before it is read when the loop begins again? */
bool loop_kills(const struct control *loop, uint32_t local);

/* ---- function.c ---- */
bool fast_open(struct gen *g, const struct unit *units, uint32_t unit_count, const uint32_t *unit_first,
               struct err *err);
void fast_free(struct gen *g);
/* Nothing was made yet. */
void fast_reset(struct gen *g);
/* Append a function, the thunk of an import, the late initializers of a unit, the routine of a helper, or the constants
 * of all stencils. */
bool fast_body(struct gen *g, const struct unit *unit, uint32_t func, struct wasm_body_scratch *scratch,
               struct err *err);
bool fast_thunk(struct gen *g, const struct unit *unit, uint32_t func, struct err *err);
bool fast_init(struct gen *g, const struct unit *unit, struct wasm_body_scratch *scratch, struct err *err);
bool fast_routine(struct gen *g, enum routine routine, struct err *err);

/* piece.c: the only function that was made, as a piece for a linker of other generators' pieces. */
bool fast_piece(const struct gen *g, struct buf *ret_piece, struct err *err);

#endif
