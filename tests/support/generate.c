/* What every part of the module generator stands on: choices, bytes, types; and the order of a module. See
 * generate.h. */
#include "support/generate_inner.h"

#include <stdio.h>

#define MODULE_MAX ((size_t)1 << 20)

/* One byte of the input, or what the input is stretched by, or 0. */
static uint8_t next_byte(struct generator *g)
{
    if (g->at < g->size)
        return g->bytes[g->at++];
    if (g->stretch == 0)
        return 0;
    g->stretch--;
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return (uint8_t)(g->random >> 32);
}

uint32_t choose(struct generator *g, uint32_t n)
{
    uint32_t value = 0;
    for (uint64_t span = 1; span < n; span <<= 8)
        value = value << 8 | next_byte(g);
    return n > 1 ? value % n : 0;
}

/* The input's end is followed by bytes that depend on all of it: as many as its first byte says. */
static void choose_stretch(struct generator *g)
{
    static const uint32_t lengths[] = {0, 0, 300, 1500, 4000};
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < g->size; i++)
        sum = (sum ^ g->bytes[i]) * 0x100000001b3u;
    g->random = sum | 1;
    g->stretch = lengths[choose(g, sizeof lengths / sizeof *lengths)];
}

bool rarely(struct generator *g)
{
    return choose(g, g->rare) == g->rare - 1;
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

uint64_t choose_length(struct generator *g)
{
    static const uint32_t some[] = {0,  1,   2,   3,   4,   5,   7,   8,   9,   15,   16,   17,    31,
                                    32, 33,  47,  48,  49,  63,  64,  65,  127, 128,  129,  150,   200,
                                    0,  255, 256, 257, 300, 511, 512, 513, 999, 1024, 4096, 65535, 65536};
    return some[choose(g, sizeof some / sizeof *some)];
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

void put_bits(struct generator *g, uint64_t bits, unsigned size)
{
    buf_append(g->out, &bits, size);
}

void put_code(struct generator *g, uint8_t prefix, uint32_t code)
{
    if (prefix)
        put_byte(g, prefix), put_u(g, code);
    else
        put_byte(g, (uint8_t)code);
}

void put_index(struct generator *g, uint8_t code, uint32_t index)
{
    put_byte(g, code), put_u(g, index);
}

void put_i32(struct generator *g, int32_t value)
{
    put_byte(g, 0x41), put_s(g, value);
}

void put_int(struct generator *g, bool wide, uint64_t value)
{
    put_byte(g, wide ? 0x42 : 0x41), put_s(g, wide ? (int64_t)value : (int32_t)value);
}

/* ---- types ---- */

bool is_reference(char type)
{
    return !strchr("ilfdv", type);
}

char not_null(char type)
{
    return (char)('0' + (strchr(REFERENCE_TYPES, type) - REFERENCE_TYPES));
}

void put_func_type(struct generator *g, uint32_t type)
{
    put_u(g, GC_TYPES + type);
}

void put_heap(struct generator *g, char type)
{
    static const uint8_t heaps[] = {0x70, 0x6f, 0x6e, 0x69};
    if (type == 'P')
        put_func_type(g, TYPE_OPEN);
    else if (type == 'Q')
        put_u(g, GC_STRUCT);
    else
        put_byte(g, heaps[strchr(REFERENCE_TYPES, type) - REFERENCE_TYPES]);
}

void put_type(struct generator *g, char type)
{
    static const uint8_t bytes[] = {0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f, 0x6e, 0x69};
    if (type == 'P' || type == 'Q')
        put_byte(g, 0x63), put_heap(g, type);
    else if (strchr(VALUE_TYPES, type))
        put_byte(g, bytes[strchr(VALUE_TYPES, type) - VALUE_TYPES]);
    else if (type >= '0' && type <= '9')
        put_byte(g, 0x64), put_heap(g, REFERENCE_TYPES[type - '0']);
    else
        generate_gc_put_type(g, type);
}

void put_types(struct generator *g, const char *types)
{
    put_u(g, strlen(types));
    for (; *types; types++)
        put_type(g, *types);
}

void choose_types(struct generator *g, char *ret_types, uint32_t count)
{
    uint32_t period = count > 6 ? 1 + choose(g, 6) : count;
    for (uint32_t i = 0; i < count; i++)
        ret_types[i] = i < period ? VALUE_TYPES[choose(g, VALUE_COUNT)] : ret_types[i - period];
    ret_types[count] = '\0';
}

/* Any float but a NaN: whole numbers, extremes, and any bits. */
uint64_t choose_float(struct generator *g, bool wide)
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
    case 'i': put_i32(g, (int32_t)choose_bits(g)); break;
    case 'l': put_byte(g, 0x42), put_s(g, (int64_t)choose_bits(g)); break;
    case 'f': put_byte(g, 0x43), put_bits(g, choose_float(g, false), 4); break;
    case 'd': put_byte(g, 0x44), put_bits(g, choose_float(g, true), 8); break;
    case 'v':
        put_byte(g, 0xfd), put_byte(g, 0x0c);
        put_bits(g, choose_bits(g), 8), put_bits(g, choose_bits(g), 8);
        break;
    default:
        if (!generate_gc_const(g, type))
            put_byte(g, 0xd0), put_heap(g, type);
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
    if (content->failed)
        to->failed = true;
    buf_free(content);
}

static void set_signature(struct signature *ret_signature, const char *params, const char *results, const char *more)
{
    snprintf(ret_signature->params, sizeof ret_signature->params, "%s", params);
    snprintf(ret_signature->results, sizeof ret_signature->results, "%s%s", results, more);
}

static void make_fixed_types(struct generator *g)
{
    static const char *const payloads[TAG_COUNT] = {"", "ild", "vildfivlddiilfvdlifdvvvviilldffvil", "FXAEPQiv"};
    set_signature(&g->types[TYPE_NOTHING], "", "", "");
    set_signature(&g->types[TYPE_SUM], "", "l", "");
    set_signature(&g->types[TYPE_DIGEST], "A", "l", "");
    for (uint32_t i = 0; i < TAG_COUNT; i++) {
        set_signature(&g->types[TYPE_TAG + i], payloads[i], "", "");
        set_signature(&g->types[TYPE_CATCH + i], "", payloads[i], "");
        set_signature(&g->types[TYPE_CATCH_REF + i], "", payloads[i], "E");
    }
}

static void choose_signature(struct generator *g, struct signature *signature, const struct signature *other)
{
    uint32_t params = choose(g, 8), results = choose(g, 8);
    choose_types(g, signature->params, params < 7 ? choose(g, 4) : choose(g, TYPE_LIST_MAX + 1));
    if (results == 6) /* the same, so that they can call each other last */
        memcpy(signature->results, other->results, sizeof other->results);
    else
        choose_types(g, signature->results, results < 6 ? choose(g, 3) : choose(g, choose(g, 2) ? TYPE_LIST_MAX : 7));
}

static void make_types(struct generator *g)
{
    make_fixed_types(g);
    choose_signature(g, &g->types[TYPE_OPEN], &g->types[TYPE_NOTHING]);
    g->type_count = TYPE_FIXED + choose(g, TYPES_MAX - TYPE_FIXED + 1);
    for (uint32_t i = TYPE_FIXED; i < g->type_count; i++)
        choose_signature(g, &g->types[i], &g->types[i > TYPE_FIXED ? i - 1 : TYPE_OPEN]);
    g->has_subtype = g->type_count > TYPE_FIXED && choose(g, 2);
    if (g->has_subtype)
        g->types[g->type_count - 1] = g->types[TYPE_OPEN];
}

static void put_type_section(struct generator *g)
{
    put_u(g, GC_TYPES + g->type_count);
    generate_gc_types(g);
    for (uint32_t i = 0; i < g->type_count; i++) {
        if (i == TYPE_OPEN)
            put_byte(g, 0x50), put_byte(g, 0);
        else if (g->has_subtype && i + 1 == g->type_count)
            put_byte(g, 0x50), put_byte(g, 1), put_func_type(g, TYPE_OPEN);
        put_byte(g, 0x60);
        put_types(g, g->types[i].params);
        put_types(g, g->types[i].results);
    }
}

uint32_t choose_func_type(struct generator *g)
{
    uint32_t chosen = choose(g, g->type_count - TYPE_FIXED + 1);
    return chosen ? TYPE_FIXED + chosen - 1 : TYPE_OPEN;
}

static void make_funcs(struct generator *g)
{
    g->funcs[FUNC_FUEL] = TYPE_NOTHING;
    g->funcs[FUNC_SUM] = TYPE_SUM;
    g->funcs[FUNC_DIGEST] = TYPE_DIGEST;
    g->funcs[FUNC_THROWER] = TYPE_NOTHING;
    g->func_count = FUNC_FIXED + 1 + choose(g, GENERATE_FUNCS_MAX);
    for (uint32_t i = FUNC_FIXED; i < g->func_count; i++)
        g->funcs[i] = choose_func_type(g);
}

uint32_t choose_func(struct generator *g)
{
    uint32_t func = choose(g, g->func_count);
    return func < FUNC_FIXED ? FUNC_DIGEST : func;
}

uint32_t choose_memory(struct generator *g)
{
    uint32_t memory = choose(g, g->memory_count);
    return g->memories[memory].pages == 0 && !rarely(g) ? 0 : memory;
}

bool choose_fixed_func(struct generator *g, uint32_t *ret_func)
{
    uint32_t start = choose(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        uint32_t func = (start + i) % g->func_count, type = g->funcs[func];
        if (type == TYPE_OPEN || (g->has_subtype && type + 1 == g->type_count)) {
            *ret_func = func;
            return true;
        }
    }
    return false;
}

static void put_func_section(struct generator *g)
{
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++)
        put_func_type(g, g->funcs[i]);
}

static void put_tag_section(struct generator *g)
{
    put_u(g, TAG_COUNT);
    for (uint32_t i = 0; i < TAG_COUNT; i++)
        put_byte(g, 0), put_func_type(g, TYPE_TAG + i);
}

static void put_name(struct generator *g, const char *name)
{
    put_u(g, strlen(name));
    buf_append(g->out, name, strlen(name));
}

static void func_name(uint32_t func, char ret_name[4])
{
    snprintf(ret_name, 4, "f%u", func % 100);
}

static void put_export_section(struct generator *g)
{
    static const char *const fixed[FUNC_FIXED] = {"fuel", "sum", "digest", "thrower"};
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        char name[4];
        func_name(i, name);
        put_name(g, i < FUNC_FIXED ? fixed[i] : name);
        put_byte(g, 0), put_u(g, i);
    }
}

static void put_code_section(struct generator *g)
{
    static void (*const fixed[FUNC_FIXED])(struct generator *g) = {put_fuel_body, put_sum_body, put_digest_body,
                                                                   put_thrower_body};
    struct buf *section = g->out, body;
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++) {
        section_begin(g, &body);
        if (i < FUNC_FIXED)
            fixed[i](g);
        else
            generate_body(g, &g->types[g->funcs[i]]);
        section_end(g, &body, section, -1);
    }
}

static void put_data_count_section(struct generator *g)
{
    put_u(g, DATA_COUNT);
}

static void choose_args(struct generator *g, const char *params, union cell *ret_args)
{
    for (uint32_t k = 0; params[k]; k++) {
        if (is_reference(params[k]))
            continue;
        bool is_float = params[k] == 'f' || params[k] == 'd';
        if (k > 8) /* long lists take no more bytes */
            ret_args[k].u64 = is_float ? ret_args[8].u64 & 0x3fffff3f : ret_args[8].u64 * k + k;
        else
            ret_args[k].u64 = is_float ? choose_float(g, params[k] == 'd') : choose_bits(g);
        ret_args[k].lanes[1] = params[k] != 'v' ? 0 : k > 8 ? ret_args[k].u64 / 3 : choose_bits(g);
    }
}

/* Each function once, in order, and in order again. */
static void choose_calls(struct generator *g, struct generated *ret_generated)
{
    uint32_t count = g->func_count - FUNC_FIXED;
    for (uint32_t i = 0; i < count; i++) {
        struct generated_call *call = &ret_generated->calls[i];
        func_name(FUNC_FIXED + i, call->name);
        choose_args(g, g->types[g->funcs[FUNC_FIXED + i]].params, call->args);
        ret_generated->calls[count + i] = *call;
    }
    ret_generated->call_count = 2 * count;
}

void generate_module(const uint8_t *bytes, size_t size, struct generated *ret_generated)
{
    static const uint8_t magic[] = {0, 'a', 's', 'm', 1, 0, 0, 0}, rare[] = {250, 250, 100, 24, 10};
    static const struct {
        int id;
        void (*write)(struct generator *g);
    } sections[] = {{1, put_type_section},   {3, put_func_section}, {4, put_table_section},
                    {5, put_memory_section}, {13, put_tag_section}, {6, put_global_section},
                    {7, put_export_section}, {9, put_elem_section}, {12, put_data_count_section},
                    {10, put_code_section},  {11, put_data_section}};
    static struct generator g;
    struct buf section;
    g = (struct generator){.bytes = bytes, .size = size};
    memset(ret_generated, 0, sizeof *ret_generated);
    buf_init(&ret_generated->module, MODULE_MAX);
    buf_append(&ret_generated->module, magic, sizeof magic);
    choose_stretch(&g);
    g.rare = rare[choose(&g, sizeof rare)];
    make_types(&g);
    make_funcs(&g);
    make_memories(&g);
    make_tables(&g);
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
