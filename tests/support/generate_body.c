/* Function bodies of a generated module: expressions of a wanted type and statements, chosen by weight from tables.
 *
 * Every producer leaves exactly what it says on the operand stack; one that does not suit the moment (no such local,
 * no label of that kind) writes nothing and says so, and a constant or a nop stands in. Budget and depth bound
 * what is written, fuel bounds what is run. */
#include "support/generate_inner.h"

#include "wasm/body.h"

#define DEPTH_MAX 10
#define LOCALS_SEEN 12 /* at the end of a function */

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

/* ---- small pieces ---- */

/* An i32 or i64 expression, almost always below a power of two. */
void generate_masked(struct generator *g, char type, uint64_t mask)
{
    generate_expr(g, type);
    if (rarely(g))
        return;
    put_int(g, type == 'l', mask);
    put_byte(g, type == 'i' ? 0x71 : 0x83);
}

void generate_pointer(struct generator *g, uint32_t memory, uint64_t mask, uint64_t clear)
{
    const struct memory_plan *plan = &g->memories[memory];
    uint64_t end = (uint64_t)(choose(g, 2) ? plan->pages : plan->max) << 16;
    bool near = choose(g, g->rare < 50 ? 12 : 50) == 1;
    if (near)
        put_int(g, plan->wide, (end - choose(g, 40)) & ~(rarely(g) ? 0 : clear));
    else
        generate_masked(g, plan->wide ? 'l' : 'i', mask & ~clear);
}

void generate_memarg(struct generator *g, uint32_t memory, unsigned log2, bool exact)
{
    uint64_t far = g->memories[memory].wide ? (uint64_t)1 << choose(g, 64) : (uint32_t)1 << choose(g, 32);
    uint32_t align = exact ? log2 : choose(g, log2 + 1);
    put_u(g, (memory ? 0x40 : 0) | align);
    if (memory)
        put_u(g, memory);
    put_u(g, rarely(g) ? far : (uint64_t)choose(g, 16) << (exact && !rarely(g) ? log2 : 0));
}

/* Of the memory as it began, or as it is. */
void generate_edge(struct generator *g, uint32_t memory, uint64_t size)
{
    static const int8_t beside[16] = {[12] = -8, [13] = -1, [14] = 1, [15] = 8};
    const struct memory_plan *plan = &g->memories[memory];
    uint64_t back = size - (uint64_t)(int64_t)beside[choose(g, sizeof beside)];
    if (choose(g, 3) == 0) {
        put_int(g, plan->wide, ((uint64_t)plan->pages << 16) - back);
        return;
    }
    put_index(g, 0x3f, memory), put_int(g, plan->wide, 16), put_byte(g, plan->wide ? 0x86 : 0x74);
    put_int(g, plan->wide, back), put_byte(g, plan->wide ? 0x7d : 0x6b);
}

/* One of TEMPORARIES. */
static uint32_t temporary(const struct generator *g, char type)
{
    return (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES) + (size_t)(strchr(TEMPORARIES, type) - TEMPORARIES));
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

/* Where an access goes: to what is on the stack, or to the memory's end. */
struct access {
    uint32_t memory;
    bool edge;
    uint64_t off; /* then */
};

static struct access choose_access(struct generator *g, const struct plain *plain)
{
    static const uint32_t offs[] = {0, 0, 1, 3, 15, 64, 4095, 65535};
    struct access access = {0};
    if (!is_access(plain->shape))
        return access;
    access.memory = choose(g, 2) ? choose_memory(g) : 0;
    access.edge = choose(g, 8) == 7;
    if (access.edge)
        access.off = offs[choose(g, sizeof offs / sizeof *offs)] & -(uint64_t)(1u << access_log2(plain->shape));
    return access;
}

static void put_memarg(struct generator *g, const struct plain *plain, const struct access *access)
{
    unsigned log2 = access_log2(plain->shape);
    if (!access->edge) {
        generate_memarg(g, access->memory, log2, plain->shape >= SHAPE_ATOMIC_0);
        return;
    }
    put_u(g, (access->memory ? 0x40 : 0) | log2);
    if (access->memory)
        put_u(g, access->memory);
    put_u(g, access->off);
}

static void put_immediates(struct generator *g, const struct plain *plain, const struct access *access)
{
    if (is_access(plain->shape))
        put_memarg(g, plain, access);
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
    if (rarely(g))
        return;
    if ((strstr(plain->text, ".div_") || strstr(plain->text, ".rem_")) && (type == 'i' || type == 'l')) {
        put_int(g, type == 'l', 1);
        put_byte(g, type == 'i' ? 0x72 : 0x84);
    }
}

/* Addresses are within the first pages and what is converted to an integer is small, most of the time. */
static void operand(struct generator *g, const struct plain *plain, char type, const struct access *access)
{
    bool converts = strstr(plain->text, ".trunc_f") && plain->prefix == 0 && !rarely(g);
    if (type == 'p' && access->edge) {
        generate_edge(g, access->memory, access->off + (1u << access_log2(plain->shape)));
    } else if (type == 'p') {
        bool atomic = plain->shape >= SHAPE_ATOMIC_0;
        generate_pointer(g, access->memory, 0x7ff, atomic && !rarely(g) ? 7 : 0);
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
    const struct access access = choose_access(g, plain);
    for (const char *type = plain->signature; *type != ':'; type++)
        operand(g, plain, *type, &access);
    put_code(g, plain->prefix, plain->code);
    put_immediates(g, plain, &access);
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

/* Whether the instruction takes exactly this from the stack, and neither traps nor has an address. */
static bool applies(const struct plain *plain, const char *stack, size_t depth, uint32_t *ret_operands)
{
    const char *colon = strchr(plain->signature, ':');
    size_t count = colon ? (size_t)(colon - plain->signature) : 0;
    bool traps = strstr(plain->text, ".div_") || strstr(plain->text, ".rem_") ||
                 (strstr(plain->text, ".trunc_f") && plain->prefix == 0);
    if (!is_offered(plain) || is_access(plain->shape) || count == 0 || count > depth || traps)
        return false;
    *ret_operands = (uint32_t)count;
    return strncmp(stack + depth - count, plain->signature, count) == 0;
}

bool generate_apply(struct generator *g, const char *stack, uint32_t *ret_operands, char *ret_result)
{
    size_t depth = strlen(stack);
    uint32_t start = choose(g, PLAIN_COUNT);
    for (uint32_t i = 0; i < PLAIN_COUNT; i++) {
        const struct plain *plain = &plains[(start + i) % PLAIN_COUNT];
        if (!applies(plain, stack, depth, ret_operands))
            continue;
        put_code(g, plain->prefix, plain->code);
        put_immediates(g, plain, &(const struct access){0});
        if (makes_nan(plain))
            canonical(g, result_of(plain), strncmp(plain->text, "f64", 3) == 0);
        *ret_result = result_of(plain);
        return true;
    }
    return false;
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

int generate_local(struct generator *g, char type)
{
    return find_type(g, g->locals, 0, (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES)), type);
}

static bool local_expr(struct generator *g, char type)
{
    int local = generate_local(g, type);
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

/* sum = value ^ rotl(sum, 5) */
static void fold_number(struct generator *g, char type)
{
    bool wide = type == 'l';
    put_index(g, 0x20, temporary(g, type)), put_int(g, wide, 5), put_byte(g, wide ? 0x89 : 0x77);
    put_byte(g, wide ? 0x85 : 0x73), put_index(g, 0x21, temporary(g, type));
}

void generate_fold(struct generator *g, char type)
{
    if (type == 'v') {
        put_index(g, 0x22, temporary(g, 'v')), put_code(g, 0xfd, 29), put_byte(g, 0);
        fold_number(g, 'l');
        put_index(g, 0x20, temporary(g, 'v')), put_code(g, 0xfd, 29), put_byte(g, 1);
    } else if (type == 'f' || type == 'd') {
        put_byte(g, type == 'f' ? 0xbc : 0xbd);
    } else if (is_reference(type)) {
        put_byte(g, 0xd1);
    }
    fold_number(g, type == 'l' || type == 'd' || type == 'v' ? 'l' : 'i');
}

/* What is on the stack goes to a variable of its type, to the sums, or away. */
void generate_consume(struct generator *g, char type)
{
    int local = generate_local(g, type);
    int global = find_type(g, GLOBAL_TYPES, GLOBAL_FIXED, GLOBAL_MUTABLE, type);
    uint32_t kind = choose(g, 8);
    if (local >= 0 && kind < 4)
        put_index(g, 0x21, (uint32_t)local);
    else if (global >= 0 && kind == 4)
        put_index(g, 0x24, (uint32_t)global);
    else if (kind == 5)
        put_byte(g, 0x1a);
    else
        generate_fold(g, type);
}

void generate_seldom(struct generator *g)
{
    generate_expr(g, 'i');
    put_i32(g, 1 << choose(g, 5)), put_byte(g, 0x71);
}

char generate_flush(struct generator *g)
{
    uint32_t memory = choose(g, g->memory_count);
    bool wide = g->memories[memory].wide;
    put_int(g, wide, 0), put_index(g, 0x40, memory);
    return wide ? 'l' : 'i';
}

void generate_fold_locals(struct generator *g, uint32_t count)
{
    uint32_t most = (uint32_t)(strlen(g->locals) - strlen(TEMPORARIES));
    generate_fold(g, generate_flush(g));
    for (uint32_t i = 0; i < count && i < most; i++) {
        put_index(g, 0x20, i);
        generate_fold(g, g->locals[i]);
    }
}

/* Long lists take few bytes of the input. */
void generate_consume_all(struct generator *g, const char *types)
{
    size_t count = strlen(types);
    for (size_t i = count; i-- > 0;)
        if (count > 8 && i % 4)
            generate_fold(g, types[i]);
        else
            generate_consume(g, types[i]);
}

void generate_cheap(struct generator *g, char type, uint32_t salt)
{
    uint32_t count = temporary(g, 'f'), start = salt * 7; /* what is behind may be any NaN */
    for (uint32_t i = 0; salt % 3 && i < count; i++)
        if (g->locals[(start + i) % count] == type) {
            put_index(g, 0x20, (start + i) % count);
            return;
        }
    switch (type) {
    case 'i': put_i32(g, (int32_t)(salt * 0x9e37)); break;
    case 'l': put_byte(g, 0x42), put_s(g, (int64_t)salt * 0x1234567); break;
    case 'f': put_byte(g, 0x43), put_bits(g, 0x3f800000 + salt, 4); break;
    case 'd': put_byte(g, 0x44), put_bits(g, 0x3ff0000000000000 + salt, 8); break;
    case 'v': put_code(g, 0xfd, 12), put_bits(g, salt, 8), put_bits(g, ~(uint64_t)salt, 8); break;
    default: put_const(g, type); break;
    }
}

/* Long lists take little of the budget. */
void generate_exprs(struct generator *g, const char *types)
{
    bool many = strlen(types) > 8;
    for (uint32_t i = 0; types[i]; i++)
        if (many && i % 4 && strchr(VALUE_TYPES, types[i]))
            generate_cheap(g, types[i], i + (uint32_t)g->budget);
        else
            generate_expr(g, types[i]);
}

static bool set_statement(struct generator *g)
{
    char type = VALUE_TYPES[choose(g, VALUE_COUNT)];
    generate_expr(g, type);
    generate_consume(g, type);
    return true;
}

static bool select_expr(struct generator *g, char type)
{
    generate_expr(g, type), generate_expr(g, type), generate_expr(g, 'i');
    put_byte(g, is_reference(type) ? 0x1c : 0x1b);
    if (is_reference(type))
        put_byte(g, 1), put_type(g, type);
    return true;
}

static bool reference_expr(struct generator *g, char type)
{
    uint32_t func;
    if (type == 'i') {
        generate_expr(g, REFERENCE_TYPES[choose(g, REFERENCE_COUNT)]), put_byte(g, 0xd1);
    } else if (is_reference(type) && rarely(g)) {
        generate_expr(g, type), put_byte(g, 0xd4);
    } else if (type == 'F' || type == 'P') {
        func = choose_func(g);
        if (type == 'P' && !choose_fixed_func(g, &func))
            return false;
        put_index(g, 0xd2, func);
    } else if (type == 'A') {
        generate_expr(g, 'Q');
    } else {
        return false;
    }
    return true;
}

bool generate_label_push(struct generator *g, const char *types)
{
    if (g->label_count == LABELS_MAX)
        return false;
    memcpy(g->labels[g->label_count++].types, types, strlen(types) + 1);
    return true;
}

void generate_label_end(struct generator *g)
{
    g->label_count--;
    put_byte(g, 0x0b);
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

static const struct {
    uint32_t weight;
    bool (*write)(struct generator *g, char type);
} expr_table[] = {
    {5, const_expr},          {8, local_expr},          {12, plain_expr},         {2, global_expr},
    {1, generate_block_expr}, {1, generate_if_expr},    {1, generate_loop_expr},  {2, select_expr},
    {2, generate_call_expr},  {1, generate_size_expr},  {1, generate_table_expr}, {1, reference_expr},
    {2, generate_gc_expr},    {1, generate_test_expr},  {1, generate_cast_expr},  {1, generate_relaxed_expr},
    {1, generate_wait_expr},  {1, generate_caught_expr}};

static const struct {
    uint32_t weight;
    bool (*write)(struct generator *g);
} statement_table[] = {
    {6, set_statement},  {4, plain_statement},      {2, generate_if},          {2, generate_block},
    {2, generate_count}, {2, generate_branch},      {1, generate_return},      {1, generate_table_branch},
    {2, generate_call},  {1, generate_tail_call},   {1, generate_tested_call}, {3, generate_bulk},
    {2, generate_table}, {1, generate_throw},       {2, generate_try},         {1, trap_statement},
    {2, generate_gc},    {1, generate_cast_branch}, {1, generate_null_branch}, {3, generate_soup},
    {1, generate_nest},  {1, generate_deep},        {2, generate_switch},      {2, generate_thrown}};

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

void generate_statements(struct generator *g, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        statement(g);
}

/* ---- bodies ---- */

/* A few locals of any type, or hundreds in a pattern. */
static void choose_locals(struct generator *g, const char *params)
{
    char types[TYPE_LIST_MAX + 1], *end = g->locals + strlen(params);
    uint32_t kind = choose(g, 10), extra = 2 + (kind < 9 ? choose(g, 12) : choose(g, 800)), period = extra, run = 1;
    memcpy(g->locals, params, strlen(params) + 1);
    if (extra > 14)
        period = 1 + choose(g, TYPE_LIST_MAX), run = 1 + choose(g, 5);
    choose_types(g, types, period);
    for (uint32_t i = 0; i < extra; i++)
        *end++ = types[i / run % period];
    memcpy(end, TEMPORARIES, sizeof TEMPORARIES);
}

static void put_locals(struct generator *g, const char *locals)
{
    uint32_t groups = 0, count;
    for (const char *type = locals; *type; type++)
        groups += type[0] != type[1];
    put_u(g, groups);
    for (; *locals; locals += count) {
        for (count = 1; locals[count] == *locals;)
            count++;
        put_u(g, count), put_type(g, *locals);
    }
}

/* The function's sums go where "sum" sees them. */
static void put_sums(struct generator *g)
{
    for (uint32_t i = 0; i < 2; i++) {
        put_index(g, 0x23, GLOBAL_FIXED + i), put_index(g, 0x20, temporary(g, VALUE_TYPES[i]));
        put_byte(g, i ? 0x85 : 0x73), put_index(g, 0x24, GLOBAL_FIXED + i);
    }
}

void generate_body(struct generator *g, const struct signature *signature)
{
    choose_locals(g, signature->params);
    put_locals(g, g->locals + strlen(signature->params));
    g->results = signature->results;
    g->label_count = 0, g->depth = 0;
    g->budget = 20 + (int)choose(g, 400);
    generate_burn_fuel(g);
    generate_statements(g, 2 + choose(g, 10));
    generate_fold_locals(g, LOCALS_SEEN);
    put_sums(g);
    if (choose(g, 8) != 7 || !generate_last_call(g))
        generate_exprs(g, g->results);
    put_byte(g, 0x0b);
}
