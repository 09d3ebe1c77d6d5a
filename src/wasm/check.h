/* The state of the body reader and the stack operations of the validation algorithm (core
 * specification, appendix 7.3), shared by the files that check families of instructions.
 *
 * The operand stack below the innermost frame's height is never touched. In unreachable code a pop
 * from an empty frame yields WASM_BOT, which matches every type. Arrays grow, are capped, and are
 * kept from one body to the next; frames and block types point into `arena` or the module.
 */
#ifndef MAYFLY_WASM_CHECK_H
#define MAYFLY_WASM_CHECK_H

#include "wasm/instr.h"
#include "wasm/type.h"

/* A signature of opcodes.def: types as their codes; EFFECT_ADDRESS stands for 'p'. */
struct effect {
    uint8_t pop[3], pop_count;
    uint8_t push; /* 0: nothing */
    bool special; /* has a function instead */
};
enum { EFFECT_ADDRESS = 1 };

/* What the quick way (quick.h) knows about an opcode without prefix. */
enum quick_kind {
    QUICK_NO,
    QUICK_GET,
    QUICK_SET,
    QUICK_TEE,
    QUICK_I32,
    QUICK_I64,
    QUICK_ACCESS,
    QUICK_PLAIN,
    QUICK_OPEN, /* block, loop, if */
    QUICK_END,
    QUICK_BR,
    QUICK_BR_IF,
    QUICK_CALL
};
struct quick {
    uint8_t kind; /* enum quick_kind */
    uint8_t pop_count, first, last; /* of operands: the deepest and the topmost of one or two */
    uint8_t push, align_max;
    int8_t grows; /* the operand stack, by so many */
};
extern struct quick quick_rows[256]; /* filled when the first scratch is made */

struct wasm_body_scratch {
    struct reader in;
    const struct wasm_module *module;
    struct wasm_op op; /* the current instruction */
    wasm_valtype *operands;
    struct wasm_frame *frames;
    uint32_t operand_count, operand_capacity, frame_count, frame_capacity;
    wasm_valtype address; /* of the memory or table that the instruction names */
    wasm_valtype *locals;
    uint32_t *sets;  /* locals without default that have a value by now, oldest first */
    bool *unset;     /* by local: has no value yet */
    bool any_unset;  /* whether the function has locals without default */
    uint32_t local_count, local_capacity, set_count, func;
    uint32_t quick_locals; /* locals below this have a one-byte index and always a value */
    bool careful;             /* no instruction takes the quick way */
    bool constant;            /* a constant expression is read, not a body, ... */
    uint32_t visible_globals; /* ... that sees so many globals */
    struct instr_lists lists;
    struct arena arena; /* types of blocks with one result of a defined reference type */
    struct wasm_body_state state;
    bool quick_memory; /* memory 0 is there and has 32-bit addresses */
};

typedef struct wasm_body_scratch checker;

void check_report(const checker *s, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
/* ERR_INVALID at the current instruction; false. */
#define check_fail(s, ...) (check_report((s), __VA_ARGS__), false)
void check_report_limit(const checker *s, enum wasm_limit limit) __attribute__((cold));
#define check_limit(s, limit) (check_report_limit((s), (limit)), false)

static inline struct wasm_frame *check_top(const checker *s)
{
    return &s->frames[s->frame_count - 1];
}

bool check_grow(checker *s, uint32_t more);

/* Room for `more` operands, so that they can be put without a check. */
static inline bool check_room(checker *s, uint32_t more)
{
    return s->operand_capacity - s->operand_count >= more || check_grow(s, more);
}

static inline bool check_has_room(const checker *s)
{
    return s->operand_count != s->operand_capacity;
}

static inline bool check_push(checker *s, wasm_valtype type)
{
    if (!check_room(s, 1))
        return false;
    s->operands[s->operand_count++] = type;
    return true;
}

bool check_underflow(const checker *s, wasm_valtype expected) __attribute__((cold));
bool check_mismatch(const checker *s, wasm_valtype actual, wasm_valtype expected) __attribute__((cold));

/* Any operand; WASM_BOT where unreachable code has none. */
static inline bool check_pop_any(checker *s, wasm_valtype *ret)
{
    const struct wasm_frame *frame = check_top(s);
    if (s->operand_count == frame->height && !frame->unreachable) {
        check_underflow(s, WASM_BOT);
        return false;
    }
    *ret = s->operand_count == frame->height ? (wasm_valtype)WASM_BOT : s->operands[--s->operand_count];
    return true;
}

static inline bool check_pop(checker *s, wasm_valtype expected)
{
    const struct wasm_frame *frame = check_top(s);
    if (s->operand_count == frame->height)
        return frame->unreachable || check_underflow(s, expected);
    wasm_valtype actual = s->operands[--s->operand_count];
    return actual == expected || wasm_subtype(s->module, actual, expected) || check_mismatch(s, actual, expected);
}

/* A reference, or WASM_BOT. */
bool check_pop_ref(checker *s, wasm_valtype *ret);
bool check_pops(checker *s, const wasm_valtype *types, uint32_t count);
bool check_pushes(checker *s, const wasm_valtype *types, uint32_t count);
/* Pop and push again as the given types, as a conditional branch does. */
bool check_passes(checker *s, const wasm_valtype *types, uint32_t count);
/* A place for one type, of those that are the same in every module; NULL: another. */
const wasm_valtype *check_single(wasm_valtype type);
/* Open the outermost frame. */
bool check_open(checker *s, enum wasm_frame_kind kind, struct wasm_functype type);
/* What follows cannot be reached. */
void check_stop(checker *s);

/* A frame's label: the types that a branch to it carries. */
struct branch_type {
    const wasm_valtype *types;
    uint32_t count;
};
struct branch_type check_label_types(const struct wasm_frame *frame);
bool check_label(const checker *s, uint32_t depth, struct branch_type *ret);

/* A type index of the given kind. */
bool check_type_kind(const checker *s, uint32_t index, enum wasm_comptype_kind kind);
bool check_valtype(const checker *s, wasm_valtype type);
bool check_table(checker *s, uint32_t index);
bool check_data(const checker *s, uint32_t index);
bool check_elem(const checker *s, uint32_t index);

static inline wasm_valtype check_address(const struct wasm_limits *limits)
{
    return limits->is_64 ? WASM_I64 : WASM_I32;
}

/* Instructions whose signature is "*", by family. */
typedef bool special_check(checker *s);
/* clang-format off */
#define SPECIALS_CONTROL(X) \
    X(UNREACHABLE, unreachable) X(BLOCK, block) X(LOOP, loop) X(IF, if) X(ELSE, else) X(END, end) \
    X(THROW, throw) X(THROW_REF, throw_ref) X(BR, br) X(BR_IF, br_if) X(BR_TABLE, br_table) \
    X(RETURN, return) X(CALL, call) X(CALL_INDIRECT, call_indirect) X(RETURN_CALL, return_call) \
    X(RETURN_CALL_INDIRECT, return_call_indirect) X(CALL_REF, call_ref) X(RETURN_CALL_REF, return_call_ref) \
    X(TRY_TABLE, try_table)
#define SPECIALS_DATA(X) \
    X(DROP, drop) X(SELECT, select) X(SELECT_T, select_t) X(LOCAL_GET, local_get) X(LOCAL_SET, local_set) \
    X(LOCAL_TEE, local_tee) X(GLOBAL_GET, global_get) X(GLOBAL_SET, global_set) X(TABLE_GET, table_get) \
    X(TABLE_SET, table_set) X(TABLE_INIT, table_init) X(TABLE_COPY, table_copy) X(TABLE_GROW, table_grow) \
    X(TABLE_FILL, table_fill) X(MEMORY_COPY, memory_copy)
#define SPECIALS_REF(X) \
    X(REF_NULL, ref_null) X(REF_IS_NULL, ref_is_null) X(REF_FUNC, ref_func) X(REF_EQ, ref_eq) \
    X(REF_AS_NON_NULL, ref_as_non_null) X(BR_ON_NULL, br_on_null) X(BR_ON_NON_NULL, br_on_non_null) \
    X(REF_TEST, ref_test) X(REF_TEST_NULL, ref_test) X(REF_CAST, ref_cast) X(REF_CAST_NULL, ref_cast) \
    X(BR_ON_CAST, br_on_cast) X(BR_ON_CAST_FAIL, br_on_cast_fail) X(ANY_CONVERT_EXTERN, any_convert_extern) \
    X(EXTERN_CONVERT_ANY, extern_convert_any) X(REF_I31, ref_i31) X(I31_GET_S, i31_get) \
    X(I31_GET_U, i31_get)
#define SPECIALS_AGGREGATE(X) \
    X(STRUCT_NEW, struct_new) X(STRUCT_NEW_DEFAULT, struct_new_default) X(STRUCT_GET, struct_get) \
    X(STRUCT_GET_S, struct_get_packed) X(STRUCT_GET_U, struct_get_packed) X(STRUCT_SET, struct_set) \
    X(ARRAY_NEW, array_new) X(ARRAY_NEW_DEFAULT, array_new_default) X(ARRAY_NEW_FIXED, array_new_fixed) \
    X(ARRAY_NEW_DATA, array_new_data) X(ARRAY_NEW_ELEM, array_new_elem) X(ARRAY_GET, array_get) \
    X(ARRAY_GET_S, array_get_packed) X(ARRAY_GET_U, array_get_packed) X(ARRAY_SET, array_set) \
    X(ARRAY_LEN, array_len) X(ARRAY_FILL, array_fill) X(ARRAY_COPY, array_copy) \
    X(ARRAY_INIT_DATA, array_init_data) X(ARRAY_INIT_ELEM, array_init_elem)
#define SPECIALS(X) SPECIALS_CONTROL(X) SPECIALS_DATA(X) SPECIALS_REF(X) SPECIALS_AGGREGATE(X)
/* clang-format on */

/* The tables of the families; each function checks s->op, whose plain indices are in range. */
#define SPECIAL(code, name) special_check check_##name;
SPECIALS_CONTROL(SPECIAL)
SPECIALS_DATA(SPECIAL)
SPECIALS_AGGREGATE(SPECIAL)
SPECIALS_REF(SPECIAL)
#undef SPECIAL

/* Check that the immediates' indices exist and fit, by shape; sets s->address. */
extern special_check *const check_immediates[SHAPE_COUNT];

/* Validate a constant expression of `type` that sees the first `visible_globals` globals. */
bool check_const(checker *s, const struct wasm_module *module, struct wasm_expr expr, wasm_valtype type,
                 uint32_t visible_globals, const struct wasm_visitor *visitor, void *arg, struct err *err);

#endif
