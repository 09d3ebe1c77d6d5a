/* What stands around the functions of a generated module: memories, tables, globals, segments; and the functions that
 * every module has, of which "sum" reads all state that outlives a call. */
#include "support/generate_inner.h"

void make_memories(struct generator *g)
{
    g->memory_count = 1 + choose(g, MEMORIES_MAX);
    for (uint32_t i = 0; i < g->memory_count; i++) {
        uint32_t kind = choose(g, 32);
        g->memories[i].wide = kind & 1;
        g->memories[i].shared = kind & 2;
        g->memories[i].pages = i == 0 || kind < 28;
        g->memories[i].max = g->memories[i].pages + (kind >> 2 & 1);
    }
}

void make_tables(struct generator *g)
{
    g->table_count = TABLE_FIXED + choose(g, TABLES_MAX - TABLE_FIXED + 1);
    for (uint32_t i = 0; i < g->table_count; i++) {
        uint32_t kind = choose(g, 64);
        bool fixed = i < TABLE_FIXED;
        g->tables[i].wide = kind % 4 == 3;
        g->tables[i].type = fixed ? 'F' : REFERENCE_TYPES[choose(g, REFERENCE_COUNT)];
        g->tables[i].size = fixed || kind < 48 ? TABLE_SIZE : kind % 3;
        g->tables[i].max = i == TABLE_STATIC ? TABLE_SIZE : g->tables[i].size + kind / 4;
    }
}

/* The initial value of a variable: half of the references are not null. */
static void put_init(struct generator *g, char type)
{
    uint32_t func;
    if (!is_reference(type) || type == 'E' || choose(g, 2) || (type == 'P' && !choose_fixed_func(g, &func)))
        put_const(g, type);
    else
        generate_gc_const(g, not_null(type));
}

void put_table_section(struct generator *g)
{
    put_u(g, g->table_count);
    for (uint32_t i = 0; i < g->table_count; i++) {
        const struct table_plan *table = &g->tables[i];
        bool filled = i > TABLE_STATIC && choose(g, 3) == 2;
        if (filled)
            put_byte(g, 0x40), put_byte(g, 0);
        put_type(g, table->type);
        put_byte(g, table->wide ? 5 : 1), put_u(g, table->size), put_u(g, table->max);
        if (filled)
            put_init(g, table->type), put_byte(g, 0x0b);
    }
}

void put_memory_section(struct generator *g)
{
    put_u(g, g->memory_count);
    for (uint32_t i = 0; i < g->memory_count; i++) {
        const struct memory_plan *memory = &g->memories[i];
        put_byte(g, 1 | (memory->shared ? 2 : 0) | (memory->wide ? 4 : 0));
        put_u(g, memory->pages), put_u(g, memory->max);
    }
}

/* Of constants: computed, or one of the constants before it. */
static void put_extended(struct generator *g, uint32_t global)
{
    char type = GLOBAL_TYPES[global];
    uint32_t other = global - VALUE_COUNT;
    if (other >= GLOBAL_MUTABLE && choose(g, 2)) {
        put_index(g, 0x23, other);
    } else if (type == 'i' || type == 'l') {
        put_const(g, type), put_const(g, type);
        put_byte(g, (type == 'i' ? 0x6a : 0x7c) + (uint8_t)choose(g, 3));
    } else {
        put_init(g, type);
    }
}

void put_global_section(struct generator *g)
{
    uint32_t count = strlen(GLOBAL_TYPES);
    put_u(g, count);
    for (uint32_t i = 0; i < count; i++) {
        put_type(g, GLOBAL_TYPES[i]), put_byte(g, i < GLOBAL_MUTABLE);
        if (i >= GLOBAL_MUTABLE)
            put_extended(g, i);
        else
            put_init(g, GLOBAL_TYPES[i]);
        put_byte(g, 0x0b);
    }
}

/* ---- segments ---- */

char elem_type(uint32_t elem)
{
    return elem < ELEM_FIXED ? 'F' : REFERENCE_TYPES[elem - ELEM_FIXED];
}

static void put_offset(struct generator *g, bool wide, uint64_t offset)
{
    put_int(g, wide, offset), put_byte(g, 0x0b);
}

/* Every function in its place; the tank is out of reach, and the sum, which takes long. */
static void put_funcs(struct generator *g)
{
    put_u(g, g->func_count);
    for (uint32_t i = 0; i < g->func_count; i++)
        put_u(g, i < FUNC_FIXED ? FUNC_DIGEST : i);
}

static void put_expressions(struct generator *g, char type)
{
    put_type(g, type);
    put_u(g, ELEM_LENGTH);
    for (uint32_t i = 0; i < ELEM_LENGTH; i++)
        put_init(g, type), put_byte(g, 0x0b);
}

/* A segment of its own type for each reference, passive or for a table. */
static void put_typed_segment(struct generator *g, uint32_t elem)
{
    char type = elem_type(elem);
    uint32_t table = choose(g, g->table_count);
    if (table < TABLE_FIXED || g->tables[table].type != type || g->tables[table].size < ELEM_LENGTH) {
        put_byte(g, 5);
    } else {
        put_byte(g, 6), put_u(g, table);
        put_offset(g, g->tables[table].wide, choose(g, 2));
    }
    put_expressions(g, type);
}

void put_elem_section(struct generator *g)
{
    put_u(g, ELEM_COUNT);
    put_byte(g, 0), put_offset(g, g->tables[TABLE_STATIC].wide, 0), put_funcs(g);
    put_byte(g, 2), put_u(g, TABLE_FUNCS), put_offset(g, g->tables[TABLE_FUNCS].wide, 0);
    put_byte(g, 0), put_funcs(g);
    put_byte(g, 3), put_byte(g, 0), put_funcs(g);
    for (uint32_t i = ELEM_FIXED; i < ELEM_COUNT; i++)
        put_typed_segment(g, i);
}

void put_data_section(struct generator *g)
{
    uint32_t memory = choose(g, g->memory_count), salt = choose(g, 256);
    if (g->memories[memory].pages == 0)
        memory = 0;
    put_u(g, DATA_COUNT);
    for (uint32_t i = 0; i < DATA_COUNT; i++) {
        uint32_t to = i == DATA_ACTIVE ? 0 : memory, size = i == DATA_LONG ? DATA_LONG_BYTES : DATA_BYTES;
        put_byte(g, i == DATA_ACTIVE ? 0 : i == DATA_OTHER ? 2 : 1);
        if (i == DATA_OTHER)
            put_u(g, memory);
        if (i == DATA_ACTIVE || i == DATA_OTHER)
            put_offset(g, g->memories[to].wide, i == DATA_ACTIVE ? 8 : 0x10000 - DATA_BYTES);
        put_u(g, size);
        for (unsigned k = 0; k < size; k++)
            put_byte(g, (uint8_t)((k + salt) * (0x45 + 2 * i) >> 2));
    }
}

/* ---- the functions that every module has ---- */

void put_fuel_body(struct generator *g)
{
    put_byte(g, 0), put_i32(g, FUEL), put_index(g, 0x24, GLOBAL_FUEL), put_byte(g, 0x0b);
}

enum { NARROW, WIDE, SUM }; /* locals of "sum": where a loop is, and the sum */

static void put_loop_begin(struct generator *g, bool wide)
{
    put_int(g, wide, 0), put_index(g, 0x21, wide);
    put_byte(g, 0x02), put_byte(g, 0x40), put_byte(g, 0x03), put_byte(g, 0x40);
    put_index(g, 0x20, wide);
}

/* On the stack: what to compare with. */
static void put_loop_test(struct generator *g, bool wide)
{
    put_byte(g, wide ? 0x5a : 0x4f), put_index(g, 0x0d, 1);
    put_index(g, 0x20, SUM), put_byte(g, 0x42), put_s(g, 7), put_byte(g, 0x89);
}

static void put_loop_end(struct generator *g, bool wide, int step)
{
    put_byte(g, 0x85), put_index(g, 0x21, SUM);
    put_index(g, 0x20, wide), put_int(g, wide, (uint64_t)step), put_byte(g, wide ? 0x7c : 0x6a);
    put_index(g, 0x21, wide), put_index(g, 0x0c, 0);
    put_byte(g, 0x0b), put_byte(g, 0x0b);
}

static void put_memory_digest(struct generator *g, uint32_t memory)
{
    bool wide = g->memories[memory].wide;
    put_loop_begin(g, wide);
    put_index(g, 0x3f, memory), put_int(g, wide, 16), put_byte(g, wide ? 0x86 : 0x74);
    put_loop_test(g, wide);
    put_index(g, 0x20, wide), put_byte(g, 0x29), put_byte(g, 0x43), put_u(g, memory), put_byte(g, 0);
    put_loop_end(g, wide, 8);
}

/* Pushes one value: of a global, or of a table at the loop's place. */
struct source {
    char type;
    bool table;
    uint32_t index;
};

static void put_source(struct generator *g, const struct source *source)
{
    if (source->table)
        put_index(g, 0x20, g->tables[source->index].wide);
    put_index(g, source->table ? 0x25 : 0x23, source->index);
}

/* References themselves are no one's business; what they are is. */
static void put_value_digest(struct generator *g, const struct source *source)
{
    static const struct {
        char type;
        uint8_t count, code[4];
    } as_i64[] = {{'i', 1, {0xac}},
                  {'l', 0, {0}},
                  {'f', 2, {0xbc, 0xac}},
                  {'d', 1, {0xbd}},
                  {'v', 3, {0xfd, 29, 1}},
                  {'X', 4, {0xfb, 26, 0x10, FUNC_DIGEST}},
                  {'A', 2, {0x10, FUNC_DIGEST}},
                  {'Q', 2, {0x10, FUNC_DIGEST}},
                  {'E', 2, {0xd1, 0xad}}};
    for (unsigned k = 0; k < sizeof as_i64 / sizeof *as_i64; k++)
        if (as_i64[k].type == source->type) {
            put_source(g, source);
            buf_append(g->out, as_i64[k].code, as_i64[k].count);
            return;
        }
    put_source(g, source), put_byte(g, 0xd1), put_byte(g, 0xad);
    for (uint32_t type = 0; type < g->type_count; type += type ? 3 : TYPE_DIGEST) {
        put_byte(g, 0x42), put_s(g, 1), put_byte(g, 0x86);
        put_source(g, source), put_code(g, 0xfb, 20), put_func_type(g, type);
        put_byte(g, 0xad), put_byte(g, 0x84);
    }
}

static void put_table_digest(struct generator *g, uint32_t table)
{
    const struct source source = {g->tables[table].type, true, table};
    put_loop_begin(g, g->tables[table].wide);
    put_code(g, 0xfc, 16), put_u(g, table);
    put_loop_test(g, g->tables[table].wide);
    put_value_digest(g, &source);
    put_loop_end(g, g->tables[table].wide, 1);
}

void put_sum_body(struct generator *g)
{
    static const uint8_t locals[] = {2, 1, 0x7f, 2, 0x7e};
    buf_append(g->out, locals, sizeof locals);
    for (uint32_t i = 0; i < g->memory_count; i++)
        put_memory_digest(g, i);
    for (uint32_t i = 0; i < g->table_count; i++)
        put_table_digest(g, i);
    put_index(g, 0x20, SUM);
    for (uint32_t i = GLOBAL_FIXED; i < GLOBAL_MUTABLE; i++) {
        const struct source source = {GLOBAL_TYPES[i], false, i};
        put_byte(g, 0x42), put_s(g, 9), put_byte(g, 0x89);
        put_value_digest(g, &source);
        put_byte(g, 0x85);
    }
    put_byte(g, 0x0b);
}

/* [anyref] -> [i64]: a small number, two fields of a structure, the length of an array. */
void put_digest_body(struct generator *g)
{
    static const struct {
        uint8_t heap, count, code[12];
    } kinds[] = {
        {0x6c, 3, {0xfb, 29, 0xac}}, {GC_STRUCT, 5, {0xfb, 2, GC_STRUCT, 0, 0xac}}, {0x6a, 3, {0xfb, 15, 0xac}}};
    put_byte(g, 0);
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        put_index(g, 0x20, 0), put_code(g, 0xfb, 20), put_byte(g, kinds[i].heap);
        put_byte(g, 0x04), put_byte(g, 0x40);
        put_index(g, 0x20, 0), put_code(g, 0xfb, 22), put_byte(g, kinds[i].heap);
        buf_append(g->out, kinds[i].code, kinds[i].count);
        put_byte(g, 0x0f), put_byte(g, 0x0b);
    }
    put_index(g, 0x20, 0), put_byte(g, 0xd1), put_byte(g, 0xad), put_byte(g, 0x0b);
}

/* [] -> []: throws one time in four. */
void put_thrower_body(struct generator *g)
{
    put_byte(g, 0);
    generate_burn_fuel(g);
    put_index(g, 0x23, GLOBAL_FUEL), put_i32(g, 3), put_byte(g, 0x71), put_byte(g, 0x45);
    put_byte(g, 0x04), put_byte(g, 0x40), put_index(g, 0x08, 0), put_byte(g, 0x0b), put_byte(g, 0x0b);
}
