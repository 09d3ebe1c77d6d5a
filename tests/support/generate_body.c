/* Function bodies of a generated module: expressions of a wanted type and statements, chosen by weight from tables.
 *
 * Every producer leaves exactly what it says on the operand stack; one that does not suit the moment (no such local,
 * no label of that kind) writes nothing and says so, and a constant or a nop stands in. Budget and depth bound
 * what is written, fuel bounds what is run. */
#include "support/generate_inner.h"

#include "wasm/body.h"

#define DEPTH_MAX 10
#define RARELY 24

/* ---- instructions with a plain signature, from opcodes.def ---- */

enum feature {
    MVP,
    SIGN_EXTENSION,
    SATURATING,
    BULK,
    REFERENCES,
    SIMD,
    RELAXED_SIMD,
    TAIL_CALL,
    EXCEPTIONS,
    FUNC_REFS,
    GC,
    THREADS
};

static const struct plain {
    const char *signature, *text;
    uint8_t prefix, shape, feature;
    uint16_t code;
} plains[] = {
#define OP(name, prefix, code, shape, signature, feature, text) {signature, text, prefix, SHAPE_##shape, feature, code},
#include "wasm/opcodes.def"
#undef OP
};

#define PLAIN_COUNT (sizeof plains / sizeof *plains)

static char result_of(const struct plain *plain)
{
    return strchr(plain->signature, ':') ? strchr(plain->signature, ':')[1] : '*';
}

/* Those whose operands and immediates the writer below knows, with one answer, and that do not wait. */
static bool is_offered(const struct plain *plain)
{
    bool known = plain->shape == SHAPE_NONE || (plain->shape >= SHAPE_MEM_0 && plain->shape <= SHAPE_FENCE) ||
                 (plain->shape >= SHAPE_SHUFFLE && plain->shape <= SHAPE_LANE_2);
    return known && strchr(plain->signature, ':') && plain->feature != RELAXED_SIMD && !strstr(plain->text, "wait");
}

/* Offered instructions with this result ('\0': none). */
struct plain_list {
    uint16_t items[PLAIN_COUNT];
    uint32_t count;
};

static const struct plain_list *plains_with(char result)
{
    static struct plain_list lists[128];
    struct plain_list *list = &lists[(unsigned char)result];
    if (list->count > 0)
        return list;
    for (uint32_t i = 0; i < PLAIN_COUNT; i++)
        if (is_offered(&plains[i]) && result_of(&plains[i]) == result)
            list->items[list->count++] = (uint16_t)i;
    return list;
}

static void statement(struct generator *g);

/* ---- small pieces ---- */

void put_code(struct generator *g, uint8_t prefix, uint32_t code)
{
    if (prefix)
        put_byte(g, prefix), put_u(g, code);
    else
        put_byte(g, (uint8_t)code);
}

static void put_index(struct generator *g, uint8_t code, uint32_t index)
{
    put_byte(g, code), put_u(g, index);
}

static void put_i32(struct generator *g, int32_t value)
{
    put_byte(g, 0x41), put_s(g, value);
}

/* An i32 or i64 expression, almost always below a power of two. */
void generate_masked(struct generator *g, char type, uint64_t mask)
{
    generate_expr(g, type);
    if (choose(g, RARELY) == RARELY - 1)
        return;
    put_byte(g, type == 'i' ? 0x41 : 0x42), put_s(g, (int64_t)mask);
    put_byte(g, type == 'i' ? 0x71 : 0x83);
}

/* The temporary for NaNs of this type, behind all other locals. */
static uint32_t temporary(const struct generator *g, char type)
{
    return (uint32_t)(strlen(g->locals) - 3 + (size_t)(strchr("fdv", type) - "fdv"));
}

static void put_nan(struct generator *g, char type, bool wide)
{
    static const uint8_t narrow_nan[] = {0, 0, 0xc0, 0x7f, 0, 0, 0xc0, 0x7f},
                         wide_nan[] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    if (type != 'v') {
        put_byte(g, type == 'f' ? 0x43 : 0x44);
        buf_append(g->out, type == 'f' ? narrow_nan : wide_nan, type == 'f' ? 4 : 8);
        return;
    }
    put_code(g, 0xfd, 0x0c);
    for (unsigned half = 0; half < 2; half++)
        buf_append(g->out, wide ? wide_nan : narrow_nan, 8);
}

/* The value on the stack, but the canonical NaN for any NaN. `wide`: lanes of f64 in a v128. */
static void canonical(struct generator *g, char type, bool wide)
{
    uint32_t t = temporary(g, type);
    put_index(g, 0x22, t);
    put_nan(g, type, wide);
    put_index(g, 0x20, t), put_index(g, 0x20, t);
    if (type == 'v')
        put_code(g, 0xfd, wide ? 0x47 : 0x41), put_code(g, 0xfd, 0x52);
    else
        put_byte(g, type == 'f' ? 0x5b : 0x61), put_byte(g, 0x1b);
}

/* Arithmetic on floats may answer with any NaN; moving, comparing and changing signs may not. */
static bool makes_nan(const struct plain *plain)
{
    static const char *const arithmetic[] = {"add",   "sub",     "mul",  "div",    "min",     "max",   "ceil",
                                             "floor", "nearest", "sqrt", "demote", "promote", ".trunc"};
    char result = result_of(plain);
    if (plain->text[0] != 'f' || (result != 'f' && result != 'd' && result != 'v'))
        return false;
    for (unsigned i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
        if (strstr(plain->text, arithmetic[i]))
            return true;
    return false;
}

/* ---- plain instructions ---- */

static unsigned access_log2(uint8_t shape)
{
    uint8_t first = shape >= SHAPE_ATOMIC_0 ? SHAPE_ATOMIC_0 : shape >= SHAPE_MEMLANE_0 ? SHAPE_MEMLANE_0 : SHAPE_MEM_0;
    return (unsigned)(shape - first);
}

static bool is_access(uint8_t shape)
{
    return shape >= SHAPE_MEM_0 && shape <= SHAPE_ATOMIC_3;
}

static void put_memarg(struct generator *g, const struct plain *plain, uint32_t memory)
{
    unsigned log2 = access_log2(plain->shape);
    bool exact = plain->shape >= SHAPE_ATOMIC_0;
    uint64_t far = memory == MEMORY_64 ? (uint64_t)1 << choose(g, 64) : (uint32_t)1 << choose(g, 32);
    put_u(g, 0x40 | (exact ? log2 : choose(g, log2 + 1)));
    put_u(g, memory);
    put_u(g, choose(g, RARELY) == RARELY - 1 ? far : (uint64_t)choose(g, 16) << (exact ? log2 : 0));
}

static void put_immediates(struct generator *g, const struct plain *plain, uint32_t memory)
{
    if (is_access(plain->shape))
        put_memarg(g, plain, memory);
    if (plain->shape == SHAPE_FENCE)
        put_byte(g, 0);
    if (plain->shape >= SHAPE_MEMLANE_0 && plain->shape <= SHAPE_MEMLANE_3)
        put_byte(g, (uint8_t)choose(g, 16u >> access_log2(plain->shape)));
    if (plain->shape >= SHAPE_LANE_16 && plain->shape <= SHAPE_LANE_2)
        put_byte(g, (uint8_t)choose(g, 16u >> (plain->shape - SHAPE_LANE_16)));
    for (unsigned i = 0; i < 16 && plain->shape == SHAPE_SHUFFLE; i++)
        put_byte(g, (uint8_t)choose(g, 32));
}

/* Divisors are odd, most of the time: a trap ends the function. */
static void tame(struct generator *g, const struct plain *plain, char type)
{
    if (choose(g, RARELY) == RARELY - 1)
        return;
    if ((strstr(plain->text, ".div_") || strstr(plain->text, ".rem_")) && (type == 'i' || type == 'l')) {
        put_byte(g, type == 'i' ? 0x41 : 0x42), put_s(g, 1);
        put_byte(g, type == 'i' ? 0x72 : 0x84);
    }
}

/* Addresses are within the first pages and what is converted to an integer is small, most of the time. */
static void operand(struct generator *g, const struct plain *plain, char type, uint32_t memory)
{
    static const uint64_t masks[MEMORY_COUNT] = {0x7ff, 0x7ff};
    bool converts = strstr(plain->text, ".trunc_f") && plain->prefix == 0 && choose(g, RARELY) != RARELY - 1;
    if (type == 'p') {
        bool atomic = plain->shape >= SHAPE_ATOMIC_0;
        generate_masked(g, memory == MEMORY_64 ? 'l' : 'i', masks[memory] & ~(uint64_t)(atomic ? 7 : 0));
    } else if (converts) {
        generate_masked(g, 'i', 0xffff);
        put_byte(g, type == 'f' ? 0xb2 : 0xb7);
    } else {
        generate_expr(g, type);
        tame(g, plain, type);
    }
}

static void put_plain(struct generator *g, const struct plain *plain)
{
    uint32_t memory = is_access(plain->shape) && choose(g, 4) == 3 ? MEMORY_64 : MEMORY_32;
    for (const char *type = plain->signature; *type != ':'; type++)
        operand(g, plain, *type, memory);
    put_code(g, plain->prefix, plain->code);
    put_immediates(g, plain, memory);
    if (makes_nan(plain))
        canonical(g, result_of(plain), strncmp(plain->text, "f64", 3) == 0);
}

static bool plain_expr(struct generator *g, char type)
{
    const struct plain_list *list = plains_with(type);
    if (list->count == 0)
        return false;
    put_plain(g, &plains[list->items[choose(g, list->count)]]);
    return true;
}

static bool plain_statement(struct generator *g)
{
    const struct plain_list *list = plains_with('\0');
    put_plain(g, &plains[list->items[choose(g, list->count)]]);
    return true;
}

/* ---- variables ---- */

/* A place of this type in `types` from `first` on, or -1. */
static int find_type(struct generator *g, const char *types, uint32_t first, uint32_t end, char type)
{
    uint32_t start = end > first ? choose(g, end - first) : 0;
    for (uint32_t i = 0; i + first < end; i++) {
        uint32_t at = first + (start + i) % (end - first);
        if (types[at] == type)
            return (int)at;
    }
    return -1;
}

static int find_local(struct generator *g, char type)
{
    return find_type(g, g->locals, 0, (uint32_t)strlen(g->locals) - 3, type);
}

static bool local_expr(struct generator *g, char type)
{
    int local = find_local(g, type);
    if (local < 0)
        return false;
    if (choose(g, 8) == 7) {
        generate_expr(g, type);
        put_index(g, 0x22, (uint32_t)local);
    } else {
        put_index(g, 0x20, (uint32_t)local);
    }
    return true;
}

static bool global_expr(struct generator *g, char type)
{
    int global = find_type(g, GLOBAL_TYPES, GLOBAL_FIXED, strlen(GLOBAL_TYPES), type);
    if (global < 0)
        return false;
    put_index(g, 0x23, (uint32_t)global);
    return true;
}

/* What is on the stack goes to a variable of its type, or away. */
void generate_consume(struct generator *g, char type)
{
    int local = find_local(g, type);
    int global = find_type(g, GLOBAL_TYPES, GLOBAL_FIXED, strlen(GLOBAL_TYPES), type);
    if (local >= 0 && choose(g, 4) != 3)
        put_index(g, 0x21, (uint32_t)local);
    else if (global >= 0 && choose(g, 2))
        put_index(g, 0x24, (uint32_t)global);
    else
        put_byte(g, 0x1a);
}

static void consume_all(struct generator *g, const char *types)
{
    for (size_t i = strlen(types); i-- > 0;)
        generate_consume(g, types[i]);
}

static void exprs(struct generator *g, const char *types)
{
    for (; *types; types++)
        generate_expr(g, *types);
}

static bool set_statement(struct generator *g)
{
    char type = VALUE_TYPES[choose(g, PARAM_TYPES)];
    generate_expr(g, type);
    generate_consume(g, type);
    return true;
}

/* ---- control ---- */

static void statements(struct generator *g, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        statement(g);
}

bool generate_label_push(struct generator *g, const char *types)
{
    if (g->label_count == LABELS_MAX)
        return false;
    strcpy(g->labels[g->label_count++].types, types);
    return true;
}

void generate_label_end(struct generator *g)
{
    g->label_count--;
    put_byte(g, 0x0b);
}

static void burn_fuel(struct generator *g)
{
    put_index(g, 0x23, GLOBAL_FUEL), put_byte(g, 0x45);
    put_byte(g, 0x04), put_byte(g, 0x40), put_byte(g, 0x00), put_byte(g, 0x0b);
    put_index(g, 0x23, GLOBAL_FUEL), put_i32(g, 1), put_byte(g, 0x6b), put_index(g, 0x24, GLOBAL_FUEL);
}

static bool block_expr(struct generator *g, char type)
{
    const char types[2] = {type, '\0'};
    if (!generate_label_push(g, types))
        return false;
    put_byte(g, 0x02), put_byte(g, type_byte(type));
    statements(g, choose(g, 3));
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

static bool if_expr(struct generator *g, char type)
{
    const char types[2] = {type, '\0'};
    generate_expr(g, 'i');
    if (!generate_label_push(g, types)) {
        put_byte(g, 0x1a);
        put_const(g, type);
        return true;
    }
    put_byte(g, 0x04), put_byte(g, type_byte(type));
    statements(g, choose(g, 2));
    generate_expr(g, type);
    put_byte(g, 0x05);
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

static bool loop_expr(struct generator *g, char type)
{
    if (!generate_label_push(g, ""))
        return false;
    put_byte(g, 0x03), put_byte(g, type_byte(type));
    burn_fuel(g);
    statements(g, choose(g, 3));
    generate_expr(g, type);
    generate_label_end(g);
    return true;
}

static bool select_expr(struct generator *g, char type)
{
    bool reference = strchr("FXAE", type) != NULL;
    generate_expr(g, type), generate_expr(g, type), generate_expr(g, 'i');
    put_byte(g, reference ? 0x1c : 0x1b);
    if (reference)
        put_byte(g, 1), put_byte(g, type_byte(type));
    return true;
}

static bool if_statement(struct generator *g)
{
    generate_expr(g, 'i');
    if (!generate_label_push(g, "")) {
        put_byte(g, 0x1a);
        return true;
    }
    put_byte(g, 0x04), put_byte(g, 0x40);
    statements(g, choose(g, 3));
    if (choose(g, 2)) {
        put_byte(g, 0x05);
        statements(g, choose(g, 3));
    }
    generate_label_end(g);
    return true;
}

/* Both arms of an if take the parameters and leave the results. */
static void arm(struct generator *g, const struct signature *signature)
{
    consume_all(g, signature->params);
    statements(g, choose(g, 4));
    exprs(g, signature->results);
}

/* A block, loop or if with parameters and results of a random function type. */
static bool block_statement(struct generator *g)
{
    static const uint8_t codes[] = {0x02, 0x02, 0x03, 0x04};
    uint32_t type = choose(g, g->type_count);
    const struct signature *signature = &g->types[type];
    uint8_t code = codes[choose(g, sizeof codes)];
    if (g->label_count == LABELS_MAX)
        return false;
    exprs(g, signature->params);
    if (code == 0x04)
        generate_expr(g, 'i');
    generate_label_push(g, code == 0x03 ? signature->params : signature->results);
    put_byte(g, code), put_s(g, type);
    if (code == 0x03)
        burn_fuel(g);
    arm(g, signature);
    if (code == 0x04) {
        put_byte(g, 0x05);
        arm(g, signature);
    }
    generate_label_end(g);
    consume_all(g, signature->results);
    return true;
}

/* loop: statements, local += step, again while local < bound. */
static bool count_statement(struct generator *g)
{
    int local = find_local(g, 'i');
    if (local < 0 || !generate_label_push(g, ""))
        return false;
    put_byte(g, 0x03), put_byte(g, 0x40);
    burn_fuel(g);
    statements(g, 1 + choose(g, 3));
    put_index(g, 0x20, (uint32_t)local), put_i32(g, 1 + (int32_t)choose(g, 4)), put_byte(g, 0x6a);
    put_index(g, 0x22, (uint32_t)local), put_i32(g, (int32_t)choose(g, 100)), put_byte(g, choose(g, 2) ? 0x48 : 0x49);
    put_index(g, 0x0d, 0);
    generate_label_end(g);
    return true;
}

static const char *label_types(const struct generator *g, uint32_t depth)
{
    return depth < g->label_count ? g->labels[g->label_count - 1 - depth].types : g->results;
}

static bool branch_statement(struct generator *g)
{
    uint32_t depth = choose(g, g->label_count + 1);
    const char *types = label_types(g, depth);
    bool conditional = choose(g, 4) != 3;
    exprs(g, types);
    if (conditional)
        generate_expr(g, 'i');
    put_index(g, conditional ? 0x0d : 0x0c, depth);
    if (conditional)
        consume_all(g, types);
    return true;
}

/* A br_table in a block of its own, so that what follows is not dead. */
static bool table_branch_statement(struct generator *g)
{
    uint32_t depths[8], count = choose(g, 8);
    if (!generate_label_push(g, ""))
        return false;
    put_byte(g, 0x02), put_byte(g, 0x40);
    uint32_t otherwise = choose(g, g->label_count + 1);
    const char *types = label_types(g, otherwise);
    for (uint32_t i = 0; i < count; i++) {
        depths[i] = choose(g, g->label_count + 1);
        if (strcmp(label_types(g, depths[i]), types) != 0)
            depths[i] = otherwise;
    }
    exprs(g, types);
    generate_masked(g, 'i', 15);
    put_index(g, 0x0e, count);
    for (uint32_t i = 0; i < count; i++)
        put_u(g, depths[i]);
    put_u(g, otherwise);
    generate_label_end(g);
    return true;
}

static bool return_statement(struct generator *g)
{
    if (choose(g, 3))
        return false;
    exprs(g, g->results);
    put_byte(g, 0x0f);
    return true;
}

/* ---- calls ---- */

/* The callee's reference or index is pushed and the call is made; `tail`: as the function's end. */
static void put_call(struct generator *g, uint32_t func, bool tail)
{
    uint32_t type = g->funcs[func];
    switch (choose(g, 4)) {
    case 0:
    case 1: put_index(g, tail ? 0x12 : 0x10, func); break;
    case 2:
        if (choose(g, 8) == 7)
            generate_masked(g, 'i', 15);
        else
            put_i32(g, (int32_t)func);
        if (g->has_subtype && type + 1 == g->type_count && choose(g, 2))
            type = TYPE_FIXED;
        put_index(g, tail ? 0x13 : 0x11, type), put_u(g, TABLE_FUNCS);
        break;
    default: put_index(g, 0xd2, func), put_index(g, tail ? 0x15 : 0x14, type); break;
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

static bool call_expr(struct generator *g, char type)
{
    const char results[2] = {type, '\0'};
    int func = find_func(g, results);
    if (func < 0)
        return false;
    exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, false);
    return true;
}

static bool call_statement(struct generator *g)
{
    int func = find_func(g, NULL);
    exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, false);
    consume_all(g, g->types[g->funcs[func]].results);
    return true;
}

/* Under a condition, so that what follows is not dead. */
static bool tail_call_statement(struct generator *g)
{
    int func = find_func(g, g->results);
    if (func < 0 || g->label_count == LABELS_MAX)
        return false;
    generate_expr(g, 'i');
    put_byte(g, 0x04), put_byte(g, 0x40);
    generate_label_push(g, "");
    exprs(g, g->types[g->funcs[func]].params);
    put_call(g, (uint32_t)func, true);
    generate_label_end(g);
    return true;
}

/* ---- memories, tables, references ---- */

static bool bulk_statement(struct generator *g)
{
    uint32_t to = choose(g, MEMORY_COUNT), from = choose(g, MEMORY_COUNT);
    char to_type = to == MEMORY_64 ? 'l' : 'i', from_type = from == MEMORY_64 ? 'l' : 'i';
    generate_masked(g, to_type, 0x3fff);
    switch (choose(g, 4)) {
    case 0:
        generate_expr(g, 'i'), generate_masked(g, to_type, 0xff);
        put_code(g, 0xfc, 0x0b), put_u(g, to);
        break;
    case 1:
        generate_masked(g, 'i', 31), generate_masked(g, 'i', 15);
        put_code(g, 0xfc, 0x08), put_u(g, choose(g, DATA_COUNT)), put_u(g, to);
        break;
    case 2:
        put_byte(g, to_type == 'l' ? 0xa7 : 0x01), put_byte(g, 0x1a);
        put_code(g, 0xfc, 0x09), put_u(g, choose(g, RARELY) == RARELY - 1 ? DATA_PASSIVE : DATA_ACTIVE);
        break;
    default:
        generate_masked(g, from_type, 0x3fff), generate_masked(g, to_type == 'l' && from_type == 'l' ? 'l' : 'i', 0xff);
        put_code(g, 0xfc, 0x0a), put_u(g, to), put_u(g, from);
        break;
    }
    return true;
}

static bool size_expr(struct generator *g, char type)
{
    uint32_t memory = type == 'l' ? MEMORY_64 : MEMORY_32;
    if (type != 'i' && type != 'l')
        return false;
    if (choose(g, 4) == 3) {
        generate_masked(g, type, 1);
        put_index(g, 0x40, memory);
    } else if (type == 'l' || choose(g, 2)) {
        put_index(g, 0x3f, memory);
    } else {
        put_code(g, 0xfc, 0x10), put_u(g, choose(g, TABLE_COUNT));
    }
    return true;
}

static bool table_expr(struct generator *g, char type)
{
    if (type == 'F' || type == 'X') {
        generate_masked(g, 'i', 7);
        put_index(g, 0x25, type == 'F' ? TABLE_FUNCS : TABLE_EXTERNS);
        return true;
    }
    if (type != 'i')
        return false;
    uint32_t table = choose(g, TABLE_COUNT);
    generate_expr(g, table == TABLE_FUNCS ? 'F' : 'X'), generate_masked(g, 'i', 1);
    put_code(g, 0xfc, 0x0f), put_u(g, table);
    return true;
}

static bool table_statement(struct generator *g)
{
    uint32_t table = choose(g, TABLE_COUNT);
    char type = table == TABLE_FUNCS ? 'F' : 'X';
    generate_masked(g, 'i', 15);
    switch (choose(g, 5)) {
    case 0: generate_expr(g, type), put_index(g, 0x26, table); break;
    case 1: generate_expr(g, type), generate_masked(g, 'i', 3), put_code(g, 0xfc, 0x11), put_u(g, table); break;
    case 2:
        generate_masked(g, 'i', 7), generate_masked(g, 'i', 3);
        put_code(g, 0xfc, 0x0e), put_u(g, table), put_u(g, table);
        break;
    case 3:
        generate_masked(g, 'i', 1), generate_masked(g, 'i', 1);
        put_code(g, 0xfc, 0x0c), put_u(g, choose(g, ELEM_COUNT)), put_u(g, TABLE_FUNCS);
        break;
    default: put_byte(g, 0x1a), put_code(g, 0xfc, 0x0d), put_u(g, ELEM_ACTIVE); break;
    }
    return true;
}

static bool reference_expr(struct generator *g, char type)
{
    if (type == 'F')
        put_index(g, 0xd2, choose_func(g));
    else if (type == 'i')
        generate_expr(g, VALUE_TYPES[5 + choose(g, 4)]), put_byte(g, 0xd1);
    return type == 'F' || type == 'i';
}

/* ---- exceptions ---- */

static bool throw_statement(struct generator *g)
{
    int kept = find_local(g, 'E');
    if (choose(g, 3) == 0 || g->label_count == LABELS_MAX)
        return false;
    generate_expr(g, 'i');
    put_byte(g, 0x04), put_byte(g, 0x40);
    generate_label_push(g, "");
    if (kept >= 0 && choose(g, 4) == 3) {
        put_index(g, 0x20, (uint32_t)kept), put_byte(g, 0x0a);
    } else if (choose(g, 2)) {
        exprs(g, PAYLOAD), put_index(g, 0x08, TAG_PAYLOAD);
    } else {
        put_index(g, 0x08, TAG_PLAIN);
    }
    generate_label_end(g);
    return true;
}

/* What a handler with its label ends up with on the stack, and the value it has when nothing was thrown. */
struct handler {
    const char *types;
    uint8_t block[2], kind;
    int tag;
};

static bool try_statement(struct generator *g)
{
    static const struct handler handlers[] = {{"", {0x40}, 0, TAG_PLAIN},
                                              {PAYLOAD, {TYPE_MAKE_PAYLOAD}, 0, TAG_PAYLOAD},
                                              {"E", {0x69}, 1, TAG_PLAIN},
                                              {"", {0x40}, 2, -1},
                                              {"E", {0x69}, 3, -1}};
    const struct handler *handler = &handlers[choose(g, 5)];
    if (g->label_count + 2 > LABELS_MAX)
        return false;
    generate_label_push(g, handler->types), generate_label_push(g, "");
    put_byte(g, 0x02), put_byte(g, handler->block[0]);
    put_byte(g, 0x1f), put_byte(g, 0x40), put_byte(g, 1), put_byte(g, handler->kind);
    if (handler->tag >= 0)
        put_u(g, (uint32_t)handler->tag);
    put_u(g, 0);
    statements(g, 1 + choose(g, 4));
    generate_label_end(g);
    for (const char *type = handler->types; *type; type++)
        put_const(g, *type);
    generate_label_end(g);
    consume_all(g, handler->types);
    return true;
}

/* ---- choosing ---- */

static bool const_expr(struct generator *g, char type)
{
    put_const(g, type);
    return true;
}

static bool trap_statement(struct generator *g)
{
    if (choose(g, 200) != 199)
        return false;
    put_byte(g, 0x00);
    return true;
}

/* The first choice is what is left when the bytes are used up: the shortest. */
static const struct {
    uint32_t weight;
    bool (*write)(struct generator *g, char type);
} expr_table[] = {{5, const_expr},       {8, local_expr},           {12, plain_expr},
                  {2, global_expr},      {1, block_expr},           {1, if_expr},
                  {1, loop_expr},        {2, select_expr},          {2, call_expr},
                  {1, size_expr},        {1, table_expr},           {1, reference_expr},
                  {2, generate_gc_expr}, {1, generate_relaxed_expr}};

static const struct {
    uint32_t weight;
    bool (*write)(struct generator *g);
} statement_table[] = {
    {6, set_statement},   {4, plain_statement},     {2, if_statement},     {2, block_statement},
    {2, count_statement}, {2, branch_statement},    {1, return_statement}, {1, table_branch_statement},
    {2, call_statement},  {1, tail_call_statement}, {2, bulk_statement},   {2, table_statement},
    {1, throw_statement}, {2, try_statement},       {1, trap_statement},   {2, generate_gc_statement}};

#define CHOOSE_ROW(g, table, ret_row)                                                                                  \
    do {                                                                                                               \
        uint32_t sum_ = 0, pick_;                                                                                      \
        for (unsigned i_ = 0; i_ < sizeof(table) / sizeof *(table); i_++)                                              \
            sum_ += (table)[i_].weight;                                                                                \
        pick_ = choose((g), sum_);                                                                                     \
        for ((ret_row) = 0; pick_ >= (table)[ret_row].weight; (ret_row)++)                                             \
            pick_ -= (table)[ret_row].weight;                                                                          \
    } while (0)

void generate_expr(struct generator *g, char type)
{
    unsigned row = 0;
    g->depth++;
    if (g->budget-- > 0 && g->depth < DEPTH_MAX && strchr(VALUE_TYPES, type))
        CHOOSE_ROW(g, expr_table, row);
    if (!expr_table[row].write(g, type))
        put_const(g, type);
    g->depth--;
}

static void statement(struct generator *g)
{
    unsigned row = 0;
    g->depth++;
    if (g->budget-- > 0 && g->depth < DEPTH_MAX) {
        CHOOSE_ROW(g, statement_table, row);
        if (!statement_table[row].write(g))
            put_byte(g, 0x01);
    }
    g->depth--;
}

void generate_body(struct generator *g, const struct signature *signature)
{
    uint32_t params = (uint32_t)strlen(signature->params), extra = 2 + choose(g, 12);
    strcpy(g->locals, signature->params);
    for (uint32_t i = 0; i < extra; i++)
        g->locals[params + i] = VALUE_TYPES[choose(g, PARAM_TYPES + 1)];
    strcpy(g->locals + params + extra, "fdv");
    put_u(g, extra + 3);
    for (const char *type = g->locals + params; *type; type++)
        put_byte(g, 1), put_byte(g, type_byte(*type));
    g->results = signature->results;
    g->label_count = 0, g->depth = 0;
    g->budget = 20 + (int)choose(g, 200);
    burn_fuel(g);
    statements(g, 2 + choose(g, 10));
    exprs(g, g->results);
    put_byte(g, 0x0b);
}
