/* What the parts of the module generator share: see generate.h. */
#ifndef MAYFLY_TESTS_SUPPORT_GENERATE_INNER_H
#define MAYFLY_TESTS_SUPPORT_GENERATE_INNER_H

#include "support/generate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Types are letters: i i32, l i64, f f32, d f64, v v128, F funcref, X externref, A anyref, E exnref.
 * Other letters are of references that are not null: generate_gc.c. */
#define VALUE_TYPES "ilfdvFXAE"
#define PARAM_TYPES 8u /* the first ones: of parameters, results and variables */
#define TYPE_LIST_MAX 12

struct signature {
    char params[TYPE_LIST_MAX + 1], results[TYPE_LIST_MAX + 1];
};

/* The first types of every module are fixed. */
enum { TYPE_NOTHING, TYPE_PAYLOAD, TYPE_MAKE_PAYLOAD, TYPE_SUM, TYPE_FIXED };
#define PAYLOAD "ild"
#define TYPES_MAX 10u
#define LABELS_MAX 24u
#define LOCALS_MAX 40u

/* Functions and globals that every module has, and what the random ones start behind. */
enum { FUNC_FUEL, FUNC_SUM, FUNC_FIXED };
enum { GLOBAL_FUEL, GLOBAL_FIXED };
enum { MEMORY_32, MEMORY_64, MEMORY_COUNT };
enum { TABLE_FUNCS, TABLE_EXTERNS, TABLE_COUNT };
enum { DATA_ACTIVE, DATA_PASSIVE, DATA_COUNT };
enum { ELEM_ACTIVE, ELEM_PASSIVE, ELEM_COUNT };
enum { TAG_PLAIN, TAG_PAYLOAD };
#define GLOBAL_TYPES "iilfdvFXA" /* fuel first */
#define DATA_BYTES 48
#define TABLE_SIZE 12
#define FUEL 300

struct label {
    char types[TYPE_LIST_MAX + 1]; /* what a branch to it carries */
};

struct generator {
    const uint8_t *bytes; /* every choice takes some; 0 is chosen when they are used up */
    size_t size, at;
    struct signature types[TYPES_MAX];
    uint32_t type_count;
    bool has_subtype; /* the last type is one of TYPE_FIXED */
    uint32_t funcs[FUNC_FIXED + GENERATE_FUNCS_MAX]; /* their types */
    uint32_t func_count;
    /* The body that is being written. */
    struct buf *out;
    const char *results;
    char locals[LOCALS_MAX + 1]; /* parameters first, NaN temporaries f, d, v last */
    struct label labels[LABELS_MAX]; /* outermost first */
    uint32_t label_count;
    int budget, depth;
};

/* 0 <= result < `n`. */
uint32_t choose(struct generator *g, uint32_t n);
/* A function for a table or a reference: any but the one that fills the tank, or a module might never end. */
uint32_t choose_func(struct generator *g);
uint64_t choose_bits(struct generator *g);
void put_byte(struct generator *g, uint8_t byte);
void put_u(struct generator *g, uint64_t value);
void put_s(struct generator *g, int64_t value);
uint8_t type_byte(char type);
/* A constant expression's instruction that makes a value of `type`. */
void put_const(struct generator *g, char type);

/* generate_body.c: an expression that leaves one value; an i32 or i64 one that is almost always within the mask; what
 * is on the stack goes somewhere; labels, whose `types` a branch carries (false: there are too many). */
void generate_expr(struct generator *g, char type);
void generate_masked(struct generator *g, char type, uint64_t mask);
void generate_consume(struct generator *g, char type);
bool generate_label_push(struct generator *g, const char *types);
void generate_label_end(struct generator *g);
void put_code(struct generator *g, uint8_t prefix, uint32_t code);

/* generate_gc.c: types behind the functions' (their number); a value of a letter of its own; producers for the tables
 * of generate_body.c. */
uint32_t generate_gc_types(struct generator *g, bool write);
bool generate_gc_const(struct generator *g, char letter);
bool generate_gc_expr(struct generator *g, char type);
bool generate_gc_statement(struct generator *g);
bool generate_relaxed_expr(struct generator *g, char type);

/* The contents of a code entry for a function of this type. */
void generate_body(struct generator *g, const struct signature *signature);

#endif
