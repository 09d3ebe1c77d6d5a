/* Code that is no tree, in a generated module: operands stay on the stack for a while, names of one local stand there
 * several times and it is set meanwhile, and instructions take whatever lies on top. */
#include "support/generate_inner.h"

#define STACK_MAX 24u

#define NESTED_MAX 5u
#define LOCALS 6u

struct soup {
    char stack[STACK_MAX + 1]; /* of the innermost block from `base` on */
    uint32_t depth, base;
    uint32_t nested, tries;
};

static void push(struct soup *soup, char type)
{
    if (type)
        soup->stack[soup->depth++] = type;
    soup->stack[soup->depth] = '\0';
}

static char top(const struct soup *soup)
{
    return soup->depth > soup->base ? soup->stack[soup->depth - 1] : '\0';
}

static void pop(struct soup *soup)
{
    soup->stack[--soup->depth] = '\0';
}

/* One of a few locals of this type ('\0': any), so that the same ones come again; -1: none is. */
static int few(struct generator *g, char type)
{
    uint32_t count = (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES)), start;
    count = count < LOCALS ? count : LOCALS;
    start = choose(g, count);
    for (uint32_t i = 0; i < count; i++)
        if (!type || g->locals[(start + i) % count] == type)
            return (int)((start + i) % count);
    return -1;
}

static bool get(struct generator *g, struct soup *soup)
{
    uint32_t local = (uint32_t)few(g, '\0');
    put_index(g, 0x20, local);
    push(soup, g->locals[local]);
    return true;
}

static bool constant(struct generator *g, struct soup *soup)
{
    char type = VALUE_TYPES[choose(g, 5)];
    put_const(g, type);
    push(soup, type);
    return true;
}

static bool set(struct generator *g, struct soup *soup)
{
    int local = top(soup) ? few(g, top(soup)) : -1;
    bool tee = choose(g, 3) == 2;
    if (local < 0)
        return false;
    put_index(g, tee ? 0x22 : 0x21, (uint32_t)local);
    if (!tee)
        pop(soup);
    return true;
}

/* A local becomes something of itself. */
static bool update(struct generator *g, struct soup *soup)
{
    char type = "il"[choose(g, 2)];
    int local = few(g, type);
    bool wide = type == 'l';
    (void)soup;
    if (local < 0)
        return false;
    put_index(g, 0x20, (uint32_t)local), put_int(g, wide, choose(g, 256));
    put_byte(g, (wide ? 0x7c : 0x6a) + (uint8_t)choose(g, 3));
    put_index(g, 0x21, (uint32_t)local);
    return true;
}

static bool apply(struct generator *g, struct soup *soup)
{
    char result;
    uint32_t operands;
    if (!generate_apply(g, soup->stack + soup->base, &operands, &result))
        return false;
    soup->depth -= operands;
    push(soup, result);
    return true;
}

/* Two of one type and a number become one of them. */
static bool choice(struct generator *g, struct soup *soup)
{
    char type = soup->depth > soup->base + 2 ? soup->stack[soup->depth - 2] : '\0';
    if (!type || top(soup) != 'i' || soup->stack[soup->depth - 3] != type)
        return false;
    put_byte(g, is_reference(type) ? 0x1c : 0x1b);
    if (is_reference(type))
        put_byte(g, 1), put_type(g, type);
    pop(soup), pop(soup);
    return true;
}

/* Away from here, over what lies on the stack, if the number on top says so, or a local's bit. */
static bool branch(struct generator *g, struct soup *soup)
{
    uint32_t label = choose(g, choose(g, 4) == 3 ? g->label_count : soup->nested + 1);
    int local = few(g, 'i');
    bool own = top(soup) == 'i' && choose(g, 2);
    if (g->labels[g->label_count - 1 - label].types[0] || (!own && local < 0))
        return false;
    if (own)
        pop(soup);
    else
        put_index(g, 0x20, (uint32_t)local), put_int(g, false, 1 << choose(g, 4)), put_byte(g, 0x71);
    put_index(g, 0x0d, label);
    return true;
}

static bool fold(struct generator *g, struct soup *soup)
{
    if (!top(soup))
        return false;
    generate_fold(g, top(soup));
    pop(soup);
    return true;
}

static bool other(struct generator *g, struct soup *soup)
{
    (void)soup;
    generate_statements(g, 1);
    return true;
}

/* All registers are given up, or only written to their cells. */
static bool call(struct generator *g, struct soup *soup)
{
    if (choose(g, 3)) {
        push(soup, generate_flush(g));
    } else {
        put_index(g, 0xd2, choose_func(g)), put_code(g, 0xfb, 20), put_func_type(g, TYPE_OPEN);
        push(soup, 'i');
    }
    return true;
}

static void take_steps(struct generator *g, struct soup *soup, uint32_t count);

/* A block, a loop or an if with steps of its own, above what lies on the stack. */
static bool nested(struct generator *g, struct soup *soup)
{
    static const uint8_t codes[] = {0x02, 0x03, 0x03, 0x04};
    uint8_t code = codes[choose(g, sizeof codes)];
    uint32_t base = soup->base;
    if (soup->nested >= NESTED_MAX || (code == 0x04 && top(soup) != 'i') || !generate_label_push(g, ""))
        return false;
    if (code == 0x04)
        pop(soup);
    put_byte(g, code), put_byte(g, 0x40);
    if (code == 0x03)
        generate_burn_fuel(g);
    soup->base = soup->depth;
    soup->nested++;
    take_steps(g, soup, 2 + choose(g, 10));
    soup->nested--;
    soup->base = base;
    generate_label_end(g);
    return true;
}

/* Steps that an exception may end. */
static bool try_steps(struct generator *g, struct soup *soup)
{
    uint32_t base = soup->base;
    if (soup->nested + 2 > NESTED_MAX || g->label_count + 2 > LABELS_MAX)
        return false;
    generate_label_push(g, ""), generate_label_push(g, "");
    put_byte(g, 0x02), put_byte(g, 0x40), put_byte(g, 0x1f), put_byte(g, 0x40);
    put_byte(g, 1), put_byte(g, 2), put_byte(g, 0); /* catch_all */
    soup->base = soup->depth;
    soup->nested += 2, soup->tries++;
    take_steps(g, soup, 3 + choose(g, 12));
    soup->nested -= 2, soup->tries--;
    soup->base = base;
    generate_label_end(g), generate_label_end(g);
    return true;
}

/* A call that throws now and then; where nobody catches that, it is rare. */
static bool risk(struct generator *g, struct soup *soup)
{
    if (!soup->tries && !rarely(g))
        return false;
    put_index(g, 0x10, FUNC_THROWER);
    return true;
}

static const struct {
    uint32_t weight;
    bool (*write)(struct generator *g, struct soup *soup);
} steps[] = {{8, get},  {1, constant}, {5, set},  {6, update}, {9, apply},     {1, choice}, {6, branch},
             {1, fold}, {1, other},    {3, call}, {3, nested}, {2, try_steps}, {4, risk}};

/* Nothing of it stays on the stack. */
static void take_steps(struct generator *g, struct soup *soup, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned row;
        CHOOSE_ROW(g, steps, row);
        if (!steps[row].write(g, soup))
            get(g, soup);
        if (soup->depth == STACK_MAX && !fold(g, soup))
            break;
    }
    while (fold(g, soup))
        continue;
}

bool generate_soup(struct generator *g)
{
    struct soup soup = {.depth = 0};
    if (!generate_label_push(g, ""))
        return false;
    put_byte(g, 0x02), put_byte(g, 0x40);
    take_steps(g, &soup, 4 + choose(g, 40));
    generate_label_end(g);
    generate_fold_locals(g, LOCALS);
    return true;
}
