/* Blocks in each other with the same results in a generated module, each above some operands of its own, that are left
 * from the innermost one by every kind of branch: the values that a branch carries move down by another distance at
 * each label, and several branches and cases must agree on where they are. Before a branch some of them are in cells,
 * and some both in registers and in cells. */
#include "support/generate_inner.h"

#define NO_TYPE 0x40
#define OBJECTS 0xfb
#define CASES_MAX 6u
#define BELOW_MAX 3u
#define TOUCHED 3u

struct cases {
    char one; /* the result, if there is exactly one and no parameters; else '\0' */
    uint32_t type; /* of the blocks */
    struct signature signature;
    uint32_t count;
    char below[CASES_MAX][BELOW_MAX + 1]; /* operands right below each block's parameters */
    uint32_t locals[TOUCHED]; /* read and set between the branches */
};

/* ---- values ---- */

/* An i32 that is made while everything is written to its cell and stays in its register. */
static void put_test(struct generator *g)
{
    if (choose(g, 2)) {
        generate_expr(g, 'F');
        put_code(g, OBJECTS, 21), put_func_type(g, TYPE_OPEN);
    } else {
        generate_expr(g, 'X');
        put_code(g, OBJECTS, 26), put_byte(g, 0xd1);
    }
}

/* What is on the stack goes to cells, out of its registers or not, or stays where it is. */
static void disturb(struct generator *g)
{
    switch (choose(g, 4)) {
    case 0: break;
    case 1: generate_fold(g, generate_flush(g)); break;
    default:
        put_test(g);
        generate_fold(g, 'i');
        break;
    }
}

/* The values of a branch, some of them disturbed. */
static void carry(struct generator *g, const char *types)
{
    if (strlen(types) > 8) {
        generate_exprs(g, types);
        disturb(g);
        return;
    }
    for (; *types; types++) {
        generate_expr(g, *types);
        if (choose(g, 3) == 2)
            disturb(g);
    }
}

/* ---- locals ---- */

/* Their values are in registers and in cells, or in registers only when they were set there. */
static void touch(struct generator *g, const struct cases *cases)
{
    uint32_t kinds = choose(g, 27), salt = kinds;
    if (choose(g, 4) == 3)
        generate_fold(g, generate_flush(g));
    for (uint32_t i = 0; i < TOUCHED; i++, kinds /= 3) {
        char type = g->locals[cases->locals[i]];
        if (kinds % 3 == 1) {
            put_index(g, 0x20, cases->locals[i]);
            generate_fold(g, type);
        } else if (kinds % 3 == 2) {
            generate_cheap(g, type, salt + i);
            put_index(g, 0x21, cases->locals[i]);
        }
    }
}

static void fold_touched(struct generator *g, const struct cases *cases)
{
    for (uint32_t i = 0; i < TOUCHED; i++) {
        put_index(g, 0x20, cases->locals[i]);
        generate_fold(g, g->locals[cases->locals[i]]);
    }
}

/* ---- branches: label 0 is the innermost block ---- */

static void put_condition(struct generator *g)
{
    switch (choose(g, 4)) {
    case 0: put_test(g); break;
    case 1: generate_seldom(g); break;
    default:
        put_index(g, 0x23, GLOBAL_FUEL);
        put_i32(g, 1 << choose(g, 3)), put_byte(g, 0x71);
        break;
    }
}

static void jump_if(struct generator *g, const struct cases *cases, uint32_t depth)
{
    carry(g, cases->signature.results);
    touch(g, cases);
    put_condition(g);
    put_index(g, 0x0d, depth);
    generate_consume_all(g, cases->signature.results);
}

static void jump(struct generator *g, const struct cases *cases, uint32_t depth)
{
    put_condition(g);
    generate_label_push(g, "");
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    carry(g, cases->signature.results);
    touch(g, cases);
    put_index(g, 0x0c, depth + 1);
    generate_label_end(g);
}

static void jump_on_null(struct generator *g, const struct cases *cases, uint32_t depth)
{
    char type = REFERENCE_TYPES[choose(g, REFERENCE_COUNT)];
    carry(g, cases->signature.results);
    generate_expr(g, type);
    touch(g, cases);
    put_index(g, 0xd5, depth);
    generate_consume(g, type);
    generate_consume_all(g, cases->signature.results);
}

/* Of a reference to a function, which must be the last value. */
static void jump_on_cast(struct generator *g, const struct cases *cases, uint32_t depth)
{
    const char *results = cases->signature.results;
    size_t count = strlen(results);
    carry(g, results);
    if (count > 0 && results[count - 1] == 'F') {
        put_code(g, OBJECTS, 24), put_byte(g, 3), put_u(g, depth);
        put_heap(g, 'F'), put_heap(g, 'P');
    } else {
        put_test(g), put_index(g, 0x0d, depth);
    }
    generate_consume_all(g, results);
}

/* Each label several times, in no order. The index depends on the fuel, so that another call goes another way.
 * `inside`: blocks that are no cases. */
static void jump_by_table(struct generator *g, const struct cases *cases, uint32_t inside)
{
    uint32_t rows = choose(g, 12);
    carry(g, cases->signature.results);
    touch(g, cases);
    if (choose(g, 2))
        disturb(g);
    if (choose(g, 2))
        generate_expr(g, 'i');
    else
        put_index(g, 0x23, GLOBAL_FUEL);
    put_i32(g, 15), put_byte(g, 0x71);
    put_index(g, 0x0e, rows);
    for (uint32_t i = 0; i <= rows; i++)
        put_u(g, inside + choose(g, cases->count));
}

/* The same labels may be reached by several tables. */
static void jump_by_table_if(struct generator *g, const struct cases *cases, uint32_t depth)
{
    (void)depth;
    put_condition(g);
    generate_label_push(g, "");
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    jump_by_table(g, cases, 1);
    generate_label_end(g);
}

static void jump_somehow(struct generator *g, const struct cases *cases)
{
    static void (*const kinds[])(struct generator *g, const struct cases *cases,
                                 uint32_t depth) = {jump_if, jump, jump_on_null, jump_on_cast, jump_by_table_if};
    kinds[choose(g, sizeof kinds / sizeof *kinds)](g, cases, choose(g, cases->count));
}

/* ---- blocks ---- */

static void choose_cases(struct generator *g, struct cases *cases)
{
    memset(cases, 0, sizeof *cases);
    cases->count = 1 + choose(g, CASES_MAX);
    if (choose(g, 2)) {
        cases->one = cases->signature.results[0] = VALUE_TYPES[choose(g, VALUE_COUNT)];
    } else {
        cases->type = choose(g, 3) == 2 ? TYPE_CATCH + 1 : choose(g, g->type_count);
        cases->signature = g->types[cases->type];
    }
    for (uint32_t i = 0; i < cases->count; i++)
        choose_types(g, cases->below[i], choose(g, BELOW_MAX + 1));
    uint32_t most = (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES));
    for (uint32_t i = 0; i < TOUCHED; i++)
        cases->locals[i] = choose(g, most);
}

static void begin_block(struct generator *g, const struct cases *cases, uint32_t i)
{
    carry(g, cases->below[i]);
    generate_exprs(g, cases->signature.params);
    put_byte(g, 0x02);
    if (cases->one)
        put_type(g, cases->one);
    else
        put_s(g, GC_TYPES + cases->type);
    generate_label_push(g, cases->signature.results);
    generate_consume_all(g, cases->signature.params);
}

/* What arrives is seen in its register or in its cell, may go on from here, and is followed by values of this way. */
static void end_block(struct generator *g, const struct cases *cases, uint32_t i)
{
    const char *below = cases->below[i];
    generate_label_end(g);
    if (choose(g, 2))
        generate_fold(g, generate_flush(g));
    if (i > 0 && choose(g, 3) == 2)
        put_condition(g), put_index(g, 0x0d, choose(g, i));
    generate_consume_all(g, cases->signature.results);
    for (size_t k = strlen(below); k-- > 0;)
        generate_fold(g, below[k]);
    fold_touched(g, cases);
    if (i > 0)
        carry(g, cases->signature.results);
}

bool generate_switch(struct generator *g)
{
    struct cases cases;
    choose_cases(g, &cases);
    uint32_t jumps = choose(g, 4);
    if (g->label_count + cases.count + 1 > LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < cases.count; i++)
        begin_block(g, &cases, i);
    generate_statements(g, choose(g, 2));
    for (uint32_t i = 0; i < jumps; i++)
        jump_somehow(g, &cases);
    carry(g, cases.below[0]);
    jump_by_table(g, &cases, 0);
    for (uint32_t i = cases.count; i-- > 0;)
        end_block(g, &cases, i);
    return true;
}
