/* Control in a generated module: blocks, loops, branches, nests of many blocks, and stacks of many operands. */
#include "support/generate_inner.h"

#define NO_TYPE 0x40

/* Traps when none is left: by a branch, or without one, so that loops also begin straight. */
void generate_burn_fuel(struct generator *g)
{
    if (choose(g, 2)) {
        put_i32(g, 1), put_index(g, 0x23, GLOBAL_FUEL), put_byte(g, 0x6e), put_byte(g, 0x1a);
    } else {
        put_index(g, 0x23, GLOBAL_FUEL), put_byte(g, 0x45);
        put_byte(g, 0x04), put_byte(g, NO_TYPE), put_byte(g, 0x00), put_byte(g, 0x0b);
    }
    put_index(g, 0x23, GLOBAL_FUEL), put_i32(g, 1), put_byte(g, 0x6b), put_index(g, 0x24, GLOBAL_FUEL);
}

/* ---- one value ---- */

bool generate_block_expr(struct generator *g, char type)
{
    const char types[2] = {type, '\0'};
    if (!generate_label_push(g, types))
        return false;
    put_byte(g, 0x02), put_type(g, type);
    generate_statements(g, choose(g, 3));
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

bool generate_if_expr(struct generator *g, char type)
{
    const char types[2] = {type, '\0'};
    generate_expr(g, 'i');
    if (!generate_label_push(g, types)) {
        put_byte(g, 0x1a);
        put_const(g, type);
        return true;
    }
    put_byte(g, 0x04), put_type(g, type);
    generate_statements(g, choose(g, 2));
    generate_expr(g, type);
    put_byte(g, 0x05);
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

bool generate_loop_expr(struct generator *g, char type)
{
    if (!generate_label_push(g, ""))
        return false;
    put_byte(g, 0x03), put_type(g, type);
    generate_burn_fuel(g);
    generate_statements(g, choose(g, 3));
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

/* ---- blocks ---- */

bool generate_if(struct generator *g)
{
    generate_expr(g, 'i');
    if (!generate_label_push(g, "")) {
        put_byte(g, 0x1a);
        return true;
    }
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    generate_statements(g, choose(g, 3));
    if (choose(g, 2)) {
        put_byte(g, 0x05);
        generate_statements(g, choose(g, 3));
    }
    generate_label_end(g);
    return true;
}

/* Both arms of an if take the parameters, now or later, and leave the results. */
static void arm(struct generator *g, const struct signature *signature)
{
    bool later = choose(g, 2);
    if (!later)
        generate_consume_all(g, signature->params);
    generate_statements(g, choose(g, 4));
    if (later)
        generate_consume_all(g, signature->params);
    generate_exprs(g, signature->results);
}

/* A block, loop or if with parameters and results of a random function type. */
bool generate_block(struct generator *g)
{
    static const uint8_t codes[] = {0x02, 0x02, 0x03, 0x04};
    uint32_t type = choose(g, g->type_count);
    const struct signature *signature = &g->types[type];
    uint8_t code = codes[choose(g, sizeof codes)];
    if (g->label_count == LABELS_MAX)
        return false;
    generate_exprs(g, signature->params);
    if (code == 0x04)
        generate_expr(g, 'i');
    generate_label_push(g, code == 0x03 ? signature->params : signature->results);
    put_byte(g, code), put_s(g, GC_TYPES + type);
    if (code == 0x03)
        generate_burn_fuel(g);
    arm(g, signature);
    if (code == 0x04) {
        put_byte(g, 0x05);
        arm(g, signature);
    }
    generate_label_end(g);
    generate_consume_all(g, signature->results);
    return true;
}

/* loop: statements, local += step, again while local < bound. */
bool generate_count(struct generator *g)
{
    int local = generate_local(g, 'i');
    if (local < 0 || !generate_label_push(g, ""))
        return false;
    put_byte(g, 0x03), put_byte(g, NO_TYPE);
    generate_burn_fuel(g);
    generate_statements(g, 1 + choose(g, 3));
    put_index(g, 0x20, (uint32_t)local), put_i32(g, 1 + (int32_t)choose(g, 4)), put_byte(g, 0x6a);
    put_index(g, 0x22, (uint32_t)local), put_i32(g, (int32_t)choose(g, 100)), put_byte(g, choose(g, 2) ? 0x48 : 0x49);
    put_index(g, 0x0d, 0);
    generate_label_end(g);
    return true;
}

/* ---- branches ---- */

static const char *label_types(const struct generator *g, uint32_t depth)
{
    return depth < g->label_count ? g->labels[g->label_count - 1 - depth].types : g->results;
}

bool generate_branch(struct generator *g)
{
    uint32_t depth = choose(g, g->label_count + 1);
    const char *types = label_types(g, depth);
    bool conditional = choose(g, 4) != 3;
    generate_exprs(g, types);
    if (conditional)
        generate_expr(g, 'i');
    put_index(g, conditional ? 0x0d : 0x0c, depth);
    if (conditional)
        generate_consume_all(g, types);
    return true;
}

/* Targets with the same types as the default: a few, or many that come again and again. In a block of its own, so that
 * what follows is not dead. */
bool generate_table_branch(struct generator *g)
{
    uint32_t depths[16], distinct = 1 + choose(g, 15), count = choose(g, 4) ? distinct : choose(g, 400);
    if (!generate_label_push(g, ""))
        return false;
    put_byte(g, 0x02), put_byte(g, NO_TYPE);
    uint32_t otherwise = choose(g, g->label_count + 1);
    const char *types = label_types(g, otherwise);
    for (uint32_t i = 0; i < distinct; i++) {
        depths[i] = choose(g, g->label_count + 1);
        if (strcmp(label_types(g, depths[i]), types) != 0)
            depths[i] = otherwise;
    }
    generate_exprs(g, types);
    generate_masked(g, 'i', count > 16 ? 511 : 15);
    put_index(g, 0x0e, count);
    for (uint32_t i = 0; i < count; i++)
        put_u(g, depths[(count > 60 ? i / 7 : i) % distinct]);
    put_u(g, otherwise);
    generate_label_end(g);
    return true;
}

bool generate_return(struct generator *g)
{
    if (choose(g, 3))
        return false;
    generate_exprs(g, g->results);
    put_byte(g, 0x0f);
    return true;
}

/* ---- many at a time ---- */

static void cheap_or_expr(struct generator *g, char type, uint32_t salt)
{
    if (g->budget > 0 && salt % 8 == 5)
        generate_expr(g, type);
    else
        generate_cheap(g, type, salt);
}

/* Many operands below some statements, all of them seen afterwards. */
bool generate_deep(struct generator *g)
{
    char types[TYPE_LIST_MAX + 1];
    uint32_t period = 1 + choose(g, 8), count = choose(g, 4) ? choose(g, 24) : choose(g, 200), salt = choose(g, 256);
    choose_types(g, types, period);
    for (uint32_t i = 0; i < count; i++)
        cheap_or_expr(g, types[i % period], i + salt);
    generate_statements(g, 1 + choose(g, 4));
    for (uint32_t i = count; i-- > 0;)
        generate_fold(g, types[i % period]);
    return true;
}

struct nested {
    uint8_t code; /* of a block, a loop, an if or a try_table */
    char type; /* of its value; 0: none */
};

static void nest_begin(struct generator *g, const struct nested *nested, uint32_t salt)
{
    const char types[2] = {nested->code == 0x03 ? '\0' : nested->type, '\0'};
    if (nested->code == 0x04)
        generate_cheap(g, 'i', salt);
    generate_label_push(g, types);
    put_byte(g, nested->code);
    if (nested->type)
        put_type(g, nested->type);
    else
        put_byte(g, NO_TYPE);
    if (nested->code == 0x1f)
        put_byte(g, 0);
    if (nested->code == 0x03)
        generate_burn_fuel(g);
}

static void nest_end(struct generator *g, const struct nested *nested, uint32_t salt)
{
    if (nested->type)
        generate_cheap(g, nested->type, salt);
    if (nested->code == 0x04) {
        put_byte(g, 0x05);
        if (nested->type)
            generate_cheap(g, nested->type, salt + 1);
    }
    generate_label_end(g);
    if (nested->type)
        generate_fold(g, nested->type);
}

/* Many blocks in each other, an operand below each third. */
bool generate_nest(struct generator *g)
{
    static const uint8_t codes[] = {0x02, 0x02, 0x03, 0x04, 0x1f};
    struct nested nests[6];
    uint32_t room = LABELS_MAX - g->label_count, period = 1 + choose(g, 6), salt = choose(g, 256);
    uint32_t count = choose(g, 4) ? choose(g, 12) : choose(g, LABELS_MAX - 10);
    if (room < count + 8) /* some are left for others */
        return false;
    for (uint32_t i = 0; i < period; i++) {
        nests[i].code = codes[choose(g, sizeof codes)];
        nests[i].type = choose(g, 2) ? VALUE_TYPES[choose(g, VALUE_COUNT)] : '\0';
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i % 3 == 1)
            generate_cheap(g, 'l', i + salt);
        nest_begin(g, &nests[i % period], i + salt);
    }
    generate_statements(g, 1 + choose(g, 5));
    for (uint32_t i = count; i-- > 0;) {
        nest_end(g, &nests[i % period], i + salt);
        if (i % 3 == 1)
            generate_fold(g, 'l');
    }
    return true;
}
