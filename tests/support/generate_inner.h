/* What the parts of the module generator share: see generate.h. */
#ifndef MAYFLY_TESTS_SUPPORT_GENERATE_INNER_H
#define MAYFLY_TESTS_SUPPORT_GENERATE_INNER_H

#include "support/generate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Types are letters: i i32, l i64, f f32, d f64, v v128, F funcref, X externref, A anyref, E exnref, P a nullable
 * reference to functions of TYPE_OPEN, Q one to GC_STRUCT. A digit is one of REFERENCE_TYPES that is not null; the
 * other letters of references are those of shapes: generate_gc.c. */
#define VALUE_TYPES "ilfdvFXAEPQ"
#define REFERENCE_TYPES (VALUE_TYPES + 5)
#define VALUE_COUNT 11u
#define REFERENCE_COUNT 6u
#define TYPE_LIST_MAX GENERATE_PARAMS_MAX

struct signature {
    char params[TYPE_LIST_MAX + 1], results[TYPE_LIST_MAX + 1];
};

/* Objects stand before functions in the type section. */
enum {
    GC_STRUCT,
    GC_SUB,
    GC_FIXED,
    GC_NODE,
    GC_BYTES,
    GC_SHORTS,
    GC_INTS,
    GC_LONGS,
    GC_FLOATS,
    GC_DOUBLES,
    GC_VECTORS,
    GC_ANYS,
    GC_FUNCS,
    GC_EXTERNS,
    GC_NODES,
    GC_FIXED_LONGS,
    GC_TYPES
};

/* The first types of functions are fixed; but TYPE_OPEN, which others may be below, has any signature. */
enum {
    TYPE_OPEN,
    TYPE_NOTHING,
    TYPE_SUM,
    TYPE_DIGEST,
    TYPE_TAG, /* parameters of each tag */
    TYPE_CATCH = TYPE_TAG + 4, /* what a catch of it leaves, */
    TYPE_CATCH_REF = TYPE_CATCH + 4, /* and with its reference */
    TYPE_FIXED = TYPE_CATCH_REF + 4
};
#define TAG_COUNT 4u
#define TYPES_MAX (TYPE_FIXED + 7u)
#define LABELS_MAX 160u
#define LOCALS_MAX 900u

/* Functions and globals that every module has, and what the random ones start behind. */
enum { FUNC_FUEL, FUNC_SUM, FUNC_DIGEST, FUNC_THROWER, FUNC_FIXED };
enum { GLOBAL_FUEL, GLOBAL_FIXED };
enum { TABLE_STATIC, TABLE_FUNCS, TABLE_FIXED }; /* of funcref: no instruction writes the first one */
enum { DATA_ACTIVE, DATA_PASSIVE, DATA_OTHER, DATA_LONG, DATA_COUNT };
enum { ELEM_STATIC, ELEM_ACTIVE, ELEM_DECLARED, ELEM_FIXED }; /* behind them: one of each type of reference */
#define ELEM_COUNT (ELEM_FIXED + REFERENCE_COUNT)
#define ELEM_LENGTH 8
/* Fuel first; those behind GLOBAL_MUTABLE are constant. */
#define GLOBAL_TYPES "i" VALUE_TYPES "il" VALUE_TYPES VALUE_TYPES
#define GLOBAL_MUTABLE (1u + VALUE_COUNT + 2u)
#define DATA_BYTES 48
#define DATA_LONG_BYTES 150
#define TABLE_SIZE 12
#define FUEL 200
#define MEMORIES_MAX 6u
#define TABLES_MAX 7u

/* At the end of each function's locals: sums of what was folded, and room for NaNs. */
#define TEMPORARIES "ilfdv"

struct label {
    char types[TYPE_LIST_MAX + 1]; /* what a branch to it carries */
};

struct memory_plan {
    bool wide, shared;
    uint32_t pages, max;
};

struct table_plan {
    char type;
    bool wide;
    uint32_t size, max;
};

struct generator {
    const uint8_t *bytes; /* every choice takes some; 0 is chosen when they and the stretch are used up */
    size_t size, at;
    uint32_t stretch;
    uint64_t random;
    uint32_t rare; /* one in so many is what is rare */
    struct signature types[TYPES_MAX];
    uint32_t type_count;
    bool has_subtype; /* the last type is one of TYPE_OPEN */
    struct memory_plan memories[MEMORIES_MAX];
    uint32_t memory_count;
    struct table_plan tables[TABLES_MAX];
    uint32_t table_count;
    uint32_t funcs[FUNC_FIXED + GENERATE_FUNCS_MAX]; /* their types */
    uint32_t func_count;
    /* The body that is being written. */
    struct buf *out;
    const char *results;
    char locals[LOCALS_MAX + 1]; /* parameters first, TEMPORARIES last */
    struct label labels[LABELS_MAX]; /* outermost first */
    uint32_t label_count;
    int budget, depth;
};

/* ---- generate.c: choices, bytes, types, constants ---- */

/* 0 <= result < `n`. */
uint32_t choose(struct generator *g, uint32_t n);
bool rarely(struct generator *g);
uint64_t choose_bits(struct generator *g);
/* A length or count next to what implementations treat apart. */
uint64_t choose_length(struct generator *g);
/* Any float but a NaN. */
uint64_t choose_float(struct generator *g, bool wide);
/* `count` types; long lists repeat a short pattern. */
void choose_types(struct generator *g, char *ret_types, uint32_t count);
/* A function for a table or a reference: none that fills the tank, or a module might never end, or takes long. */
uint32_t choose_func(struct generator *g);
/* One that is not empty, most of the time. */
uint32_t choose_memory(struct generator *g);
/* One that has the type TYPE_OPEN or a subtype; false: there is none. */
bool choose_fixed_func(struct generator *g, uint32_t *ret_func);
void put_byte(struct generator *g, uint8_t byte);
void put_u(struct generator *g, uint64_t value);
void put_s(struct generator *g, int64_t value);
void put_bits(struct generator *g, uint64_t bits, unsigned size);
void put_code(struct generator *g, uint8_t prefix, uint32_t code);
void put_index(struct generator *g, uint8_t code, uint32_t index);
void put_i32(struct generator *g, int32_t value);
/* An i32 or (`wide`) i64 constant. */
void put_int(struct generator *g, bool wide, uint64_t value);
/* A value type; only a heap type; a list of value types with its length. */
void put_type(struct generator *g, char type);
void put_heap(struct generator *g, char type);
void put_types(struct generator *g, const char *types);
/* A type for a function by chance; the index that a function type has in the section. */
uint32_t choose_func_type(struct generator *g);
void put_func_type(struct generator *g, uint32_t type);
bool is_reference(char type);
char not_null(char type);
/* A constant expression's instructions that make a value of `type`. */
void put_const(struct generator *g, char type);

/* ---- generate_frame.c: tables, memories, globals, segments; the fixed functions ---- */

void make_memories(struct generator *g);
void make_tables(struct generator *g);
void put_table_section(struct generator *g);
void put_memory_section(struct generator *g);
void put_global_section(struct generator *g);
void put_elem_section(struct generator *g);
void put_data_section(struct generator *g);
char elem_type(uint32_t elem);
void put_fuel_body(struct generator *g);
void put_sum_body(struct generator *g);
void put_digest_body(struct generator *g);
void put_thrower_body(struct generator *g);

/* ---- generate_body.c ---- */

/* An expression that leaves one value; an i32 or i64 one that is almost always within the mask. */
void generate_expr(struct generator *g, char type);
void generate_exprs(struct generator *g, const char *types);
/* A value that takes no bytes of the input: a variable, or a constant made of `salt`. */
void generate_cheap(struct generator *g, char type, uint32_t salt);
void generate_masked(struct generator *g, char type, uint64_t mask);
/* An i32 that is mostly zero. */
void generate_seldom(struct generator *g);
void generate_statements(struct generator *g, uint32_t count);
/* What is on the stack goes to a variable of its type, or away; into the sums of the function. */
void generate_consume(struct generator *g, char type);
void generate_consume_all(struct generator *g, const char *types);
void generate_fold(struct generator *g, char type);
/* A call that leaves nothing in registers and changes nothing; the type of what is on the stack then. */
char generate_flush(struct generator *g);
/* After such a call, what the first locals hold. */
void generate_fold_locals(struct generator *g, uint32_t count);
/* A local of this type by chance, or -1. */
int generate_local(struct generator *g, char type);
/* Labels, whose `types` a branch carries (false: there are too many). */
bool generate_label_push(struct generator *g, const char *types);
void generate_label_end(struct generator *g);
/* An address of a memory; `clear`: its low bits that are zero, most of the time. */
void generate_pointer(struct generator *g, uint32_t memory, uint64_t mask, uint64_t clear);
void generate_memarg(struct generator *g, uint32_t memory, unsigned log2, bool exact);
/* An address from which `size` bytes end where the memory ends, most of the time, or next to there. */
void generate_edge(struct generator *g, uint32_t memory, uint64_t size);

/* A plain instruction that takes what lies on top of `stack`; false: nothing was written. */
bool generate_apply(struct generator *g, const char *stack, uint32_t *ret_operands, char *ret_result);

/* The contents of a code entry for a function of this type. */
void generate_body(struct generator *g, const struct signature *signature);

/* ---- producers: true if they wrote one ---- */

/* generate_control.c */
bool generate_block_expr(struct generator *g, char type);
bool generate_if_expr(struct generator *g, char type);
bool generate_loop_expr(struct generator *g, char type);
bool generate_if(struct generator *g);
bool generate_block(struct generator *g);
bool generate_count(struct generator *g);
bool generate_branch(struct generator *g);
bool generate_table_branch(struct generator *g);
bool generate_return(struct generator *g);
bool generate_nest(struct generator *g);
bool generate_deep(struct generator *g);
void generate_burn_fuel(struct generator *g);

/* generate_call.c */
bool generate_call_expr(struct generator *g, char type);
bool generate_call(struct generator *g);
bool generate_tail_call(struct generator *g);
bool generate_tested_call(struct generator *g);
bool generate_last_call(struct generator *g);
bool generate_throw(struct generator *g);
bool generate_try(struct generator *g);
bool generate_thrown(struct generator *g);
bool generate_caught_expr(struct generator *g, char type);

/* generate_memory.c */
bool generate_bulk(struct generator *g);
bool generate_size_expr(struct generator *g, char type);
bool generate_wait_expr(struct generator *g, char type);
bool generate_table_expr(struct generator *g, char type);
bool generate_table(struct generator *g);

/* generate_gc.c and generate_cast.c */
void generate_gc_types(struct generator *g);
void generate_gc_put_type(struct generator *g, char letter);
bool generate_gc_const(struct generator *g, char letter);
bool generate_gc_expr(struct generator *g, char type);
bool generate_gc(struct generator *g);
bool generate_test_expr(struct generator *g, char type);
bool generate_cast_expr(struct generator *g, char type);
bool generate_cast_branch(struct generator *g);
bool generate_null_branch(struct generator *g);

/* generate_soup.c */
bool generate_soup(struct generator *g);

/* generate_switch.c */
bool generate_switch(struct generator *g);

/* generate_relaxed.c */
bool generate_relaxed_expr(struct generator *g, char type);

/* One row of a table by weight. The first one is what is left when the bytes are used up: the shortest. */
#define CHOOSE_ROW(g, table, ret_row)                                                                                  \
    do {                                                                                                               \
        uint32_t sum_ = 0, pick_;                                                                                      \
        for (unsigned i_ = 0; i_ < sizeof(table) / sizeof *(table); i_++)                                              \
            sum_ += (table)[i_].weight;                                                                                \
        pick_ = choose((g), sum_);                                                                                     \
        for ((ret_row) = 0; pick_ >= (table)[ret_row].weight; (ret_row)++)                                             \
            pick_ -= (table)[ret_row].weight;                                                                          \
    } while (0)

#endif
