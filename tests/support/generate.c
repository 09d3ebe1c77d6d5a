/* The frame of a generated module: types, functions, memories, tables, segments, exports. See generate.h. */
#include "support/generate_inner.h"

#include <stdio.h>

#define MODULE_MAX ((size_t)1 << 20)

uint32_t choose(struct generator *g, uint32_t n)
{
    uint32_t value = 0;
    for (uint32_t span = 1; span < n && g->at < g->size; span <<= 8)
        value = value << 8 | g->bytes[g->at++];
    return n > 1 ? value % n : 0;
}

/* Small numbers, powers of two and their neighbours, and anything. */
uint64_t choose_bits(struct generator *g)
{
    uint64_t value = 0;
    switch (choose(g, 4)) {
    case 0: return choose(g, 20);
    case 1: return ((uint64_t)1 << choose(g, 64)) - choose(g, 3);
    case 2: return -(uint64_t)choose(g, 200);
    default:
        for (unsigned i = 0; i < 8; i++)
            value = value << 8 | choose(g, 256);
        return value;
    }
}

void put_byte(struct generator *g, uint8_t byte)
{
    buf_append(g->out, &byte, 1);
}

void put_u(struct generator *g, uint64_t value)
{
    do {
        put_byte(g, (value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

void put_s(struct generator *g, int64_t value)
{
    for (; value < -64 || value > 63; value >>= 7)
        put_byte(g, (value & 0x7f) | 0x80);
    put_byte(g, value & 0x7f);
}

uint8_t type_byte(char type)
{
    static const uint8_t bytes[] = {0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f, 0x6e, 0x69};
    return bytes[strchr(VALUE_TYPES, type) - VALUE_TYPES];
}

static void put_bits(struct generator *g, uint64_t bits, unsigned size)
{
    buf_append(g->out, &bits, size);
}

/* Any float but a NaN: whole numbers, extremes, and any bits. */
static uint64_t choose_float(struct generator *g, bool wide)
{
    static const double some[] = {0.0,          -0.0,   1.0,   -1.5,       0.5,          1e300 * 1e300, -1e300 * 1e300,
                                  2147483647.5, -1e20,  1e-40, 4294967296, 1.8446744e19, 3.7,           255.5,
                                  5e-324,       -9.3e18};
    double number = some[choose(g, sizeof some / sizeof *some)];
    if (choose(g, 2))
        number = (double)(int64_t)choose_bits(g) / (double)(1 + choose(g, 50));
    float narrow = (float)number;
    uint64_t bits = 0;
    if (wide)
        memcpy(&bits, &number, sizeof number);
    else
        memcpy(&bits, &narrow, sizeof narrow);
    return bits;
}

void put_const(struct generator *g, char type)
{
    switch (type) {
    case 'i': put_byte(g, 0x41), put_s(g, (int32_t)choose_bits(g)); break;
    case 'l': put_byte(g, 0x42), put_s(g, (int64_t)choose_bits(g)); break;
    case 'f': put_byte(g, 0x43), put_bits(g, choose_float(g, false), 4); break;
    case 'd': put_byte(g, 0x44), put_bits(g, choose_float(g, true), 8); break;
    case 'v':
        put_byte(g, 0xfd), put_byte(g, 0x0c);
        put_bits(g, choose_bits(g), 8), put_bits(g, choose_bits(g), 8);
        break;
    default:
        if (!generate_gc_const(g, type))
            put_byte(g, 0xd0), put_byte(g, type_byte(type));
        break;
    }
}

/* ---- sections ---- */

/* The section's contents go to g->out between these two. */
static void section_begin(struct generator *g, struct buf *content)
{
    buf_init(content, MODULE_MAX);
    g->out = content;
}

static void section_end(struct generator *g, struct buf *content, struct buf *to, int id)
{
    g->out = to;
    if (id >= 0)
        put_byte(g, (uint8_t)id);
    put_u(g, content->size);
    buf_append(to, content->data, content->size);
    buf_free(content);
}

static void put_types(struct generator *g, const char *types)
{
    put_u(g, strlen(types));
    for (; *types; types++)
        put_byte(g, type_byte(*types));
}

static void choose_types(struct generator *g, char *ret_types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ret_types[i] = VALUE_TYPES[choose(g, PARAM_TYPES)];
    ret_types[count] = '\0';
}

static void make_types(struct generator *g)
{
    static const struct signature fixed[TYPE_FIXED] = {[TYPE_NOTHING] = {"", ""},
                                                       [TYPE_PAYLOAD] = {PAYLOAD, ""},
                                                       [TYPE_MAKE_PAYLOAD] = {"", PAYLOAD},
                                                       [TYPE_SUM] = {"", "l"}};
    memcpy(g->types, fixed, sizeof fixed);
    g->type_count = TYPE_FIXED + 1 + choose(g, TYPES_MAX - TYPE_FIXED);
    for (uint32_t i = TYPE_FIXED; i < g->type_count; i++) {
        choose_types(g, g->types[i].params, choose(g, 8) ? choose(g, 4) : choose(g, TYPE_LIST_MAX));
        choose_types(g, g->types[i].results, choose(g, 8) ? choose(g, 3) : choose(g, 6));
    }
    g->has_subtype = g->type_count > TYPE_FIXED + 1 && choose(g, 2);
    if (g->has_subtype)
        g->types[g->type_count - 1] = g->types[TYPE_FIXED];
}

static void put_type_section(struct generator *g)
{
    put_u(g, g->type_count + generate_gc_types(g, false));
    for (uint32_t i = 0; i < g->type_count; i++) {
        if (i == TYPE_FIXED) /* open, and the last one may be below it */
            put_byte(g, 0x50), put_byte(g, 0);
        else if (g->has_subtype && i + 1 == g->type_count)
            put_byte(g, 0x50), put_byte(g, 1), put_u(g, TYPE_FIXED);
        put_byte(g, 0x60);
        put_types(g, g->types[i].params);
        put_types(g, g->types[i].results);
    }
    generate_gc_types(g, true);
}

static void make_funcs(struct generator *g)
{
    g->funcs[FUNC_FUEL] = TYPE_NOTHING;
    g->funcs[FUNC_SUM] = TYPE_SUM;
    g->func_count = FUNC_FIXED + 1 + choose(g, GENERATE_FUNCS_MAX);
    for (uint32_t i = FUNC_FIXED; i < g->func_count; i++)
        g->funcs[i] = TYPE_FIXED + choose(g, g->type_count - TYPE_FIXED);
}

static void put_func_section(struct generator *g)
{
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++)
        put_u(g, g->funcs[i]);
}

static void put_table_section(struct generator *g)
{
    static const uint8_t tables[] = {TABLE_COUNT, 0x70, 1,          TABLE_SIZE,    TABLE_SIZE + 8,
                                     0x6f,        1,    TABLE_SIZE, TABLE_SIZE + 8};
    buf_append(g->out, tables, sizeof tables);
}

static void put_memory_section(struct generator *g)
{
    static const uint8_t memories[] = {MEMORY_COUNT, 1, 1, 2, 5, 1, 2};
    buf_append(g->out, memories, sizeof memories);
}

static void put_tag_section(struct generator *g)
{
    static const uint8_t tags[] = {2, 0, TYPE_NOTHING, 0, TYPE_PAYLOAD};
    buf_append(g->out, tags, sizeof tags);
}

static void put_global_section(struct generator *g)
{
    put_u(g, strlen(GLOBAL_TYPES));
    for (const char *type = GLOBAL_TYPES; *type; type++) {
        put_byte(g, type_byte(*type)), put_byte(g, 1);
        put_const(g, *type);
        put_byte(g, 0x0b);
    }
}

static void put_name(struct generator *g, const char *name)
{
    put_u(g, strlen(name));
    buf_append(g->out, name, strlen(name));
}

static void func_name(uint32_t func, char ret_name[4])
{
    snprintf(ret_name, 4, "f%u", func % 10);
}

static void put_export_section(struct generator *g)
{
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        char name[4];
        func_name(i, name);
        put_name(g, i == FUNC_FUEL ? "fuel" : i == FUNC_SUM ? "sum" : name);
        put_byte(g, 0), put_u(g, i);
    }
}

uint32_t choose_func(struct generator *g)
{
    uint32_t func = choose(g, g->func_count);
    return func == FUNC_FUEL ? FUNC_SUM : func;
}

/* An active segment with every function in its place, which also declares them for ref.func, and a passive one. */
static void put_elem_section(struct generator *g)
{
    put_u(g, ELEM_COUNT);
    put_byte(g, 0), put_byte(g, 0x41), put_byte(g, 0), put_byte(g, 0x0b);
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++)
        put_u(g, i == FUNC_FUEL ? FUNC_SUM : i);
    put_byte(g, 1), put_byte(g, 0), put_u(g, 4);
    for (uint32_t i = 0; i < 4; i++)
        put_u(g, choose_func(g));
}

static void put_data_section(struct generator *g)
{
    put_u(g, DATA_COUNT);
    for (uint32_t i = 0; i < DATA_COUNT; i++) {
        put_byte(g, i == DATA_ACTIVE ? 0 : 1);
        if (i == DATA_ACTIVE)
            put_byte(g, 0x41), put_byte(g, 8), put_byte(g, 0x0b);
        put_u(g, DATA_BYTES);
        for (unsigned k = 0; k < DATA_BYTES; k++)
            put_byte(g, (uint8_t)choose(g, 256));
    }
}

/* ---- the functions that every module has ---- */

static void put_fuel_body(struct generator *g)
{
    put_byte(g, 0), put_byte(g, 0x41), put_s(g, FUEL), put_byte(g, 0x24), put_u(g, GLOBAL_FUEL), put_byte(g, 0x0b);
}

/* local 0 (i32 or i64: the address), local `sum`: sum = rotl(sum, 7) ^ load64(address). */
static void put_digest_loop(struct generator *g, bool wide, uint8_t address, uint8_t sum)
{
    const uint8_t size[] = {0x3f, wide ? MEMORY_64 : MEMORY_32, wide ? 0x42 : 0x41, 16, wide ? 0x86 : 0x74};
    const uint8_t head[] = {0x03, 0x40, 0x20,    sum,  0x42, 7,
                            0x89, 0x20, address, 0x29, 0x43, wide ? MEMORY_64 : MEMORY_32,
                            0,    0x85, 0x21,    sum};
    const uint8_t step[] = {0x20, address, wide ? 0x42 : 0x41, 8, wide ? 0x7c : 0x6a, 0x22, address};
    const uint8_t tail[] = {wide ? 0x54 : 0x49, 0x0d, 0, 0x0b};
    buf_append(g->out, head, sizeof head);
    buf_append(g->out, step, sizeof step);
    buf_append(g->out, size, sizeof size);
    buf_append(g->out, tail, sizeof tail);
}

/* Locals: 0 i32 address, 1 i64 address, 2 i64 sum. References are left out: their bits are no one's business. */
static void put_sum_body(struct generator *g)
{
    static const uint8_t locals[] = {2, 1, 0x7f, 2, 0x7e};
    static const struct {
        char type;
        uint8_t count, code[4];
    } as_i64[] = {{'i', 1, {0xac}}, {'l', 0, {0}}, {'f', 2, {0xbc, 0xac}}, {'d', 1, {0xbd}}, {'v', 3, {0xfd, 0x1d, 1}}};
    buf_append(g->out, locals, sizeof locals);
    put_digest_loop(g, false, 0, 2);
    put_digest_loop(g, true, 1, 2);
    put_byte(g, 0x20), put_byte(g, 2);
    for (uint32_t i = GLOBAL_FIXED; i < strlen(GLOBAL_TYPES); i++)
        for (unsigned k = 0; k < sizeof as_i64 / sizeof *as_i64; k++)
            if (as_i64[k].type == GLOBAL_TYPES[i]) {
                put_byte(g, 0x42), put_byte(g, 9), put_byte(g, 0x89), put_byte(g, 0x23), put_u(g, i);
                buf_append(g->out, as_i64[k].code, as_i64[k].count);
                put_byte(g, 0x85);
            }
    put_byte(g, 0x0b);
}

static void put_code_section(struct generator *g)
{
    struct buf *section = g->out, body;
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        section_begin(g, &body);
        if (i == FUNC_FUEL)
            put_fuel_body(g);
        else if (i == FUNC_SUM)
            put_sum_body(g);
        else
            generate_body(g, &g->types[g->funcs[i]]);
        section_end(g, &body, section, -1);
    }
}

static void put_data_count_section(struct generator *g)
{
    put_u(g, DATA_COUNT);
}

static void choose_calls(struct generator *g, struct generated *ret_generated)
{
    for (uint32_t i = FUNC_FIXED; i < g->func_count; i++) {
        struct generated_call *call = &ret_generated->calls[ret_generated->call_count++];
        const char *params = g->types[g->funcs[i]].params;
        func_name(i, call->name);
        for (uint32_t k = 0; params[k]; k++) {
            if (strchr("FXA", params[k]))
                continue;
            bool is_float = params[k] == 'f' || params[k] == 'd';
            call->args[k].u64 = is_float ? choose_float(g, params[k] == 'd') : choose_bits(g);
            call->args[k].lanes[1] = params[k] == 'v' ? choose_bits(g) : 0;
        }
    }
}

void generate_module(const uint8_t *bytes, size_t size, struct generated *ret_generated)
{
    static const uint8_t magic[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    static const struct {
        int id;
        void (*write)(struct generator *g);
    } sections[] = {{1, put_type_section},   {3, put_func_section}, {4, put_table_section},
                    {5, put_memory_section}, {13, put_tag_section}, {6, put_global_section},
                    {7, put_export_section}, {9, put_elem_section}, {12, put_data_count_section},
                    {10, put_code_section},  {11, put_data_section}};
    struct generator g = {.bytes = bytes, .size = size};
    struct buf section;
    memset(ret_generated, 0, sizeof *ret_generated);
    buf_init(&ret_generated->module, MODULE_MAX);
    buf_append(&ret_generated->module, magic, sizeof magic);
    make_types(&g);
    make_funcs(&g);
    choose_calls(&g, ret_generated);
    for (unsigned i = 0; i < sizeof sections / sizeof *sections; i++) {
        section_begin(&g, &section);
        sections[i].write(&g);
        section_end(&g, &section, &ret_generated->module, sections[i].id);
    }
}

void generate_free(struct generated *generated)
{
    buf_free(&generated->module);
}
