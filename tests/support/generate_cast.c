/* What references are asked in a generated module: whether they are null, the same, or of a type, as a value, as a cast
 * that traps, and as a branch. */
#include "support/generate_inner.h"

#define OBJECTS 0xfb

/* The tops of hierarchies with the types below them that are not types of the module. */
static const struct {
    char top;
    uint8_t count, below[6];
} hierarchies[] = {{'A', 6, {0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x6e}}, /* eq, i31, struct, array, none, any */
                   {'F', 2, {0x70, 0x73}},
                   {'X', 2, {0x6f, 0x72}},
                   {'E', 2, {0x69, 0x74}}};

#define HIERARCHIES (sizeof hierarchies / sizeof *hierarchies)

static uint32_t choose_hierarchy(struct generator *g)
{
    uint32_t chosen = choose(g, 8);
    return chosen < HIERARCHIES ? chosen : chosen % 2;
}

/* A type of the hierarchy. */
static void put_below(struct generator *g, uint32_t hierarchy)
{
    if (hierarchy == 0 && choose(g, 2))
        put_u(g, choose(g, GC_TYPES));
    else if (hierarchy == 1 && choose(g, 4))
        put_func_type(g, choose(g, 2) ? choose_func_type(g) : choose(g, g->type_count));
    else
        put_byte(g, hierarchies[hierarchy].below[choose(g, hierarchies[hierarchy].count)]);
}

static void put_equal(struct generator *g)
{
    for (unsigned i = 0; i < 2; i++) {
        generate_expr(g, choose(g, 2) ? 'Q' : 'A');
        put_code(g, OBJECTS, 23), put_byte(g, 0x6d); /* nothing here is no eqref */
    }
    put_byte(g, 0xd3);
}

bool generate_test_expr(struct generator *g, char type)
{
    uint32_t hierarchy = choose_hierarchy(g);
    if (type != 'i')
        return false;
    if (hierarchy == 0 && choose(g, 4) == 3) {
        put_equal(g);
        return true;
    }
    generate_expr(g, hierarchies[hierarchy].top);
    put_code(g, OBJECTS, 20 + choose(g, 2)), put_below(g, hierarchy);
    return true;
}

/* Casts that succeed, but for a few. */
bool generate_cast_expr(struct generator *g, char type)
{
    uint32_t hierarchy = 0, func = choose_func(g);
    if (!is_reference(type))
        return false;
    while (hierarchy < HIERARCHIES && hierarchies[hierarchy].top != type)
        hierarchy++;
    if (type == 'Q') {
        put_const(g, choose(g, 2) ? 'S' : 'T'), put_code(g, OBJECTS, 22 + choose(g, 2)), put_u(g, GC_STRUCT);
    } else if (type == 'P') {
        if (!choose_fixed_func(g, &func))
            return false;
        put_index(g, 0xd2, func), put_code(g, OBJECTS, 22 + choose(g, 2)), put_func_type(g, TYPE_OPEN);
    } else if (rarely(g)) {
        generate_expr(g, type), put_code(g, OBJECTS, 22 + choose(g, 2)), put_below(g, hierarchy);
    } else if (type == 'F') {
        put_index(g, 0xd2, func), put_code(g, OBJECTS, 22 + choose(g, 2)), put_func_type(g, g->funcs[func]);
    } else {
        generate_expr(g, type), put_code(g, OBJECTS, 23), put_heap(g, type);
    }
    return true;
}

/* What is of the type goes one way and the rest the other; both arrive at the same end. */
bool generate_cast_branch(struct generator *g)
{
    uint32_t hierarchy = choose_hierarchy(g);
    const char types[2] = {hierarchies[hierarchy].top, '\0'};
    if (!generate_label_push(g, types))
        return false;
    put_byte(g, 0x02), put_type(g, types[0]);
    generate_expr(g, types[0]);
    put_code(g, OBJECTS, 24 + choose(g, 2));
    put_byte(g, choose(g, 2) ? 3 : 1), put_u(g, 0), put_heap(g, types[0]), put_below(g, hierarchy);
    if (choose(g, 2)) {
        generate_consume(g, types[0]);
        generate_statements(g, 1);
        generate_expr(g, types[0]);
    }
    generate_label_end(g);
    generate_consume(g, types[0]);
    return true;
}

bool generate_null_branch(struct generator *g)
{
    char type = REFERENCE_TYPES[choose(g, REFERENCE_COUNT)];
    bool null = choose(g, 2);
    const char types[2] = {null ? '\0' : not_null(type), '\0'};
    if (!generate_label_push(g, types))
        return false;
    put_byte(g, 0x02);
    if (null)
        put_byte(g, 0x40);
    else
        put_type(g, types[0]);
    generate_expr(g, type);
    put_byte(g, null ? 0xd5 : 0xd6), put_u(g, 0);
    if (null)
        generate_consume(g, type);
    else
        put_const(g, types[0]);
    generate_label_end(g);
    if (!null)
        generate_consume(g, type);
    return true;
}
