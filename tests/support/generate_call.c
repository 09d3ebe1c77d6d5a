/* Calls of every kind in a generated module, tail calls, and exceptions: thrown, caught, kept and thrown again. */
#include "support/generate_inner.h"

#define NO_TYPE 0x40
#define HANDLERS_MAX 3u

/* ---- calls ---- */

static bool is_subtype(const struct generator *g, uint32_t type)
{
    return g->has_subtype && type + 1 == g->type_count;
}

/* The type by which a function of type `type` is called: its own or the one above it. */
static uint32_t seen_as(struct generator *g, uint32_t type)
{
    return is_subtype(g, type) && choose(g, 2) ? TYPE_OPEN : type;
}

static void put_indirect(struct generator *g, uint32_t func, bool tail)
{
    uint32_t table = choose(g, 8) < 7 ? choose(g, TABLE_FIXED) : choose(g, g->table_count);
    bool wide = g->tables[table].wide, callable = g->tables[table].type == 'F' || g->tables[table].type == 'P';
    if (!callable)
        table = TABLE_STATIC, wide = g->tables[table].wide;
    if (table >= TABLE_FIXED || choose(g, 16) == 15)
        generate_masked(g, wide ? 'l' : 'i', 15);
    else
        put_int(g, wide, func);
    put_code(g, 0, tail ? 0x13 : 0x11), put_func_type(g, seen_as(g, g->funcs[func])), put_u(g, table);
}

/* The callee's reference or index is pushed and the call is made; `tail`: as the function's end. */
static void put_call(struct generator *g, uint32_t func, bool tail)
{
    uint32_t type = g->funcs[func];
    switch (choose(g, 5)) {
    case 0:
    case 1: put_index(g, tail ? 0x12 : 0x10, func); break;
    case 2: put_indirect(g, func, tail); break;
    case 3:
        put_index(g, 0xd2, func);
        put_byte(g, tail ? 0x15 : 0x14), put_func_type(g, seen_as(g, type));
        break;
    default:
        if (type == TYPE_OPEN)
            generate_expr(g, 'P');
        else
            put_index(g, 0xd2, func);
        put_byte(g, tail ? 0x15 : 0x14), put_func_type(g, type);
        break;
    }
}

/* A function with these results (NULL: any), or -1. */
static int find_func(struct generator *g, const char *results)
{
    uint32_t start = choose(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        uint32_t func = (start + i) % g->func_count;
        if (func >= FUNC_FIXED && (!results || strcmp(g->types[g->funcs[func]].results, results) == 0))
            return (int)func;
    }
    return -1;
}

bool generate_call_expr(struct generator *g, char type)
{
    const char results[2] = {type, '\0'};
    int func = find_func(g, results);
    if (func < 0)
        return false;
    generate_exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, false);
    return true;
}

bool generate_call(struct generator *g)
{
    int func = find_func(g, NULL);
    generate_exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, false);
    generate_consume_all(g, g->types[g->funcs[func]].results);
    return true;
}

/* Instead of the results of the function. */
bool generate_last_call(struct generator *g)
{
    int func = find_func(g, g->results);
    if (func < 0)
        return false;
    generate_exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, true);
    return true;
}

/* Under a condition, so that what follows is not dead. */
bool generate_tail_call(struct generator *g)
{
    int func = find_func(g, g->results);
    if (func < 0 || g->label_count == LABELS_MAX)
        return false;
    generate_seldom(g);
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    generate_label_push(g, "");
    generate_exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, true);
    generate_label_end(g);
    return true;
}

/* A function whose type is looked at before it is called by its reference. */
bool generate_tested_call(struct generator *g)
{
    int local = generate_local(g, 'F');
    uint32_t type = choose_func_type(g);
    const struct signature *signature = &g->types[type];
    bool tail = strcmp(signature->results, g->results) == 0 && choose(g, 2);
    if (local < 0 || g->label_count == LABELS_MAX)
        return false;
    put_index(g, 0x20, (uint32_t)local), put_code(g, 0xfb, 20), put_func_type(g, type);
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    generate_label_push(g, "");
    generate_exprs(g, signature->params);
    put_index(g, 0x20, (uint32_t)local), put_code(g, 0xfb, 22 + choose(g, 2)), put_func_type(g, type);
    put_byte(g, tail ? 0x15 : 0x14), put_func_type(g, type);
    if (!tail)
        generate_consume_all(g, signature->results);
    generate_label_end(g);
    return true;
}

/* ---- exceptions ---- */

static void put_throw(struct generator *g, bool constant)
{
    uint32_t tag = choose(g, TAG_COUNT);
    const char *payload = g->types[TYPE_TAG + tag].params;
    if (!constant)
        generate_exprs(g, payload);
    else
        for (; *payload; payload++)
            put_const(g, *payload);
    put_index(g, 0x08, tag);
}

bool generate_throw(struct generator *g)
{
    if (choose(g, 3) == 0 || g->label_count == LABELS_MAX)
        return false;
    generate_seldom(g);
    put_byte(g, 0x04), put_byte(g, NO_TYPE);
    generate_label_push(g, "");
    if (choose(g, 4) == 3)
        generate_expr(g, 'E'), put_byte(g, 0x0a);
    else
        put_throw(g, false);
    generate_label_end(g);
    return true;
}

/* An exception, not null: '3'. */
bool generate_caught_expr(struct generator *g, char type)
{
    if (type != 'E' && type != '3')
        return false;
    put_byte(g, 0x02), put_type(g, type);
    put_byte(g, 0x1f), put_byte(g, NO_TYPE), put_byte(g, 1), put_byte(g, 3), put_byte(g, 0);
    put_throw(g, true);
    put_byte(g, 0x0b), put_byte(g, 0x00), put_byte(g, 0x0b);
    return true;
}

/* What a clause leaves at its label: kinds as in the binary format. */
struct handler {
    uint32_t kind, tag;
};

static const char *handler_types(const struct generator *g, const struct handler *handler)
{
    if (handler->kind >= 2)
        return handler->kind == 2 ? "" : "E";
    return g->types[(handler->kind ? TYPE_CATCH_REF : TYPE_CATCH) + handler->tag].results;
}

static void put_handler_block(struct generator *g, const struct handler *handler)
{
    generate_label_push(g, handler_types(g, handler));
    put_byte(g, 0x02);
    if (handler->kind == 2)
        put_byte(g, NO_TYPE);
    else if (handler->kind == 3)
        put_type(g, 'E');
    else
        put_s(g, GC_TYPES + (handler->kind ? TYPE_CATCH_REF : TYPE_CATCH) + handler->tag);
}

static void put_clause(struct generator *g, const struct handler *handler, uint32_t label)
{
    put_byte(g, (uint8_t)handler->kind);
    if (handler->kind < 2)
        put_u(g, handler->tag);
    put_u(g, label);
}

/* Clauses for the handlers, outermost first in `handlers`, and some more that may come too late or go farther. */
static void put_clauses(struct generator *g, const struct handler *handlers, uint32_t count)
{
    uint32_t more = choose(g, 3), labels = g->label_count;
    put_u(g, count + more);
    for (uint32_t i = 0; i < count; i++)
        put_clause(g, &handlers[i], count - 1 - i);
    for (uint32_t i = 0; i < more; i++) {
        uint32_t label = choose(g, labels), again = choose(g, count);
        const struct handler all = {2, 0}, plain = {0, 0};
        if (g->labels[labels - 1 - label].types[0] == '\0')
            put_clause(g, choose(g, 2) ? &all : &plain, label);
        else
            put_clause(g, &handlers[again], count - 1 - again);
    }
}

/* The try_table with its body, which leaves nothing. */
static void put_try(struct generator *g, const struct handler *handlers, uint32_t count)
{
    uint32_t type = choose(g, 3) < 2 ? (uint32_t)TYPE_NOTHING : choose(g, g->type_count);
    const struct signature *signature = &g->types[type];
    generate_exprs(g, signature->params);
    put_byte(g, 0x1f), put_s(g, GC_TYPES + type);
    put_clauses(g, handlers, count);
    generate_label_push(g, signature->results);
    generate_consume_all(g, signature->params);
    generate_statements(g, 1 + choose(g, 4));
    if (choose(g, 6) == 5)
        put_throw(g, false);
    else
        generate_exprs(g, signature->results);
    generate_label_end(g);
    generate_consume_all(g, signature->results);
}

bool generate_try(struct generator *g)
{
    struct handler handlers[HANDLERS_MAX];
    uint32_t count = 1 + choose(g, HANDLERS_MAX);
    if (g->label_count + count + 1 > LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        handlers[i] = (struct handler){choose(g, 4), choose(g, TAG_COUNT)};
        put_handler_block(g, &handlers[i]);
    }
    put_try(g, handlers, count);
    for (uint32_t i = count; i-- > 0;) {
        const char *types = handler_types(g, &handlers[i]);
        for (const char *type = types; *type; type++)
            put_const(g, *type);
        generate_label_end(g);
        generate_consume_all(g, types);
    }
    return true;
}

/* ---- locals around calls that throw ---- */

#define AROUND_MAX 4u

/* A number that the fuel changes, or any reference. */
static void put_changing(struct generator *g, char type)
{
    static const struct {
        char type;
        uint8_t count, code[2];
    } from_i32[] = {{'i', 0, {0}}, {'l', 1, {0xad}}, {'f', 1, {0xb3}}, {'d', 1, {0xb8}}, {'v', 2, {0xfd, 0x11}}};
    for (unsigned i = 0; i < sizeof from_i32 / sizeof *from_i32; i++)
        if (from_i32[i].type == type) {
            put_index(g, 0x23, GLOBAL_FUEL), put_i32(g, (int32_t)choose(g, 50)), put_byte(g, 0x6a);
            buf_append(g->out, from_i32[i].code, from_i32[i].count);
            return;
        }
    generate_expr(g, type);
}

/* Some of the locals, always another choice. */
static void set_some(struct generator *g, const uint32_t *locals, uint32_t count)
{
    uint32_t chosen = choose(g, 1u << AROUND_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (chosen >> i & 1) {
            put_changing(g, g->locals[locals[i]]);
            put_index(g, 0x21, locals[i]);
        }
}

static void fold_all(struct generator *g, const uint32_t *locals, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put_index(g, 0x20, locals[i]);
        generate_fold(g, g->locals[locals[i]]);
    }
}

static void call_thrower(struct generator *g)
{
    if (choose(g, 2)) {
        put_index(g, 0x10, FUNC_THROWER);
    } else {
        put_index(g, 0xd2, FUNC_THROWER);
        put_byte(g, 0x14), put_func_type(g, TYPE_NOTHING);
    }
}

static void begin_loop(struct generator *g, bool really)
{
    if (!really)
        return;
    put_byte(g, 0x03), put_byte(g, NO_TYPE);
    generate_label_push(g, "");
    generate_burn_fuel(g);
}

/* Again, a few times. */
static void end_loop(struct generator *g, bool really)
{
    if (!really)
        return;
    put_index(g, 0x23, GLOBAL_FUEL), put_i32(g, 14), put_byte(g, 0x71), put_index(g, 0x0d, 0);
    generate_label_end(g);
}

/* Calls of which one in four throws, and locals set before and behind each. */
static void put_thrown(struct generator *g, const uint32_t *locals, uint32_t count)
{
    uint32_t calls = 1 + choose(g, 4);
    if (choose(g, 2))
        set_some(g, locals, count);
    for (uint32_t i = 0; i < calls; i++) {
        call_thrower(g);
        set_some(g, locals, count);
        if (choose(g, 4) == 3)
            generate_statements(g, 1);
    }
}

/* The blocks around them; what catches sees what the locals were before the call. */
static void put_caught(struct generator *g, const uint32_t *locals, uint32_t count, bool loops)
{
    const struct handler handler = {choose(g, 2) ? 2 : 0, 0};
    bool apart = choose(g, 2), before = choose(g, 2);
    generate_label_push(g, ""), put_byte(g, 0x02), put_byte(g, NO_TYPE);
    put_handler_block(g, &handler);
    if (before)
        set_some(g, locals, count);
    put_byte(g, 0x1f), put_byte(g, NO_TYPE), put_u(g, 1), put_clause(g, &handler, 0);
    generate_label_push(g, "");
    begin_loop(g, loops);
    put_thrown(g, locals, count);
    end_loop(g, loops);
    generate_label_end(g);
    if (apart)
        put_index(g, 0x0c, 1);
    generate_label_end(g);
    fold_all(g, locals, count);
    generate_label_end(g);
}

/* With a loop inside, around, both or none; by whichever way, the locals are seen behind it. */
bool generate_thrown(struct generator *g)
{
    uint32_t locals[AROUND_MAX], count = 1 + choose(g, AROUND_MAX), loops = choose(g, 4);
    uint32_t most = (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES));
    if (g->label_count + 5 > LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        locals[i] = choose(g, most < 10 ? most : 10);
    begin_loop(g, loops & 1);
    put_caught(g, locals, count, loops & 2);
    end_loop(g, loops & 1);
    fold_all(g, locals, count);
    return true;
}
