/* Bulk operations of memories and tables in a generated module, their sizes, waiting, and what is in tables. */
#include "support/generate_inner.h"

static char index_type(bool wide)
{
    return wide ? 'l' : 'i';
}

/* ---- memories ---- */

/* A place for a bulk operation, near the end of the memory often enough. */
static void put_place(struct generator *g, uint32_t memory)
{
    generate_pointer(g, memory, 0x3fff, 0);
}

/* A length: mostly small, sometimes known, rarely too much. */
static void put_length(struct generator *g, bool wide)
{
    if (choose(g, 3))
        generate_masked(g, index_type(wide), 0xff);
    else if (rarely(g))
        put_int(g, wide, choose_bits(g));
    else
        put_int(g, wide, choose_length(g) & (choose(g, 8) ? 0x3ff : ~(uint64_t)0));
}

static void put_init_operands(struct generator *g, uint32_t size)
{
    uint32_t from = choose(g, 2) ? choose(g, 32) : choose(g, size + 1);
    if (choose(g, 2))
        generate_masked(g, 'i', 15);
    else
        put_i32(g, (int32_t)from);
    if (choose(g, 2))
        generate_masked(g, 'i', 15);
    else if (rarely(g))
        put_i32(g, (int32_t)choose_length(g));
    else
        put_i32(g, (int32_t)(size - from));
}

/* From the same place nearly: the ranges lie over each other. */
static void put_overlap(struct generator *g, uint32_t memory)
{
    bool wide = g->memories[memory].wide;
    int local = generate_local(g, index_type(wide));
    for (unsigned i = 0; i < 2; i++) {
        if (local >= 0)
            put_index(g, 0x20, (uint32_t)local);
        else
            put_int(g, wide, 100);
        put_int(g, wide, 0xfff), put_byte(g, wide ? 0x83 : 0x71);
        put_int(g, wide, choose(g, 40)), put_byte(g, wide ? 0x7c : 0x6a);
    }
    put_length(g, wide);
    put_code(g, 0xfc, 0x0a), put_u(g, memory), put_u(g, memory);
}

static void put_copy(struct generator *g, uint32_t to, uint32_t from)
{
    put_place(g, to), put_place(g, from);
    put_length(g, g->memories[to].wide && g->memories[from].wide);
    put_code(g, 0xfc, 0x0a), put_u(g, to), put_u(g, from);
}

/* Bytes that end with the memory: filled, written from a segment, copied to there or from there. */
static void put_edge(struct generator *g, uint32_t memory)
{
    bool wide = g->memories[memory].wide;
    uint64_t length = choose_length(g);
    uint32_t kind = choose(g, 4);
    length = kind == 1 && length > DATA_LONG_BYTES ? DATA_LONG_BYTES : length;
    if (kind == 3)
        put_int(g, wide, choose(g, 64));
    generate_edge(g, memory, length);
    if (kind == 2)
        put_int(g, wide, choose(g, 64));
    else if (kind < 2)
        put_i32(g, kind == 1 ? (int32_t)(DATA_LONG_BYTES - length) : (int32_t)choose(g, 256));
    put_int(g, kind != 1 && wide, length);
    if (kind == 0)
        put_code(g, 0xfc, 0x0b), put_u(g, memory);
    else if (kind == 1)
        put_code(g, 0xfc, 0x08), put_u(g, DATA_LONG), put_u(g, memory);
    else
        put_code(g, 0xfc, 0x0a), put_u(g, memory), put_u(g, memory);
}

bool generate_bulk(struct generator *g)
{
    uint32_t to = choose_memory(g), from = choose_memory(g), data;
    switch (choose(g, 6)) {
    case 0:
        put_place(g, to), generate_expr(g, 'i'), put_length(g, g->memories[to].wide);
        put_code(g, 0xfc, 0x0b), put_u(g, to);
        break;
    case 1:
        data = choose(g, 8) ? DATA_LONG : choose(g, DATA_COUNT);
        put_place(g, to);
        put_init_operands(g, data == DATA_LONG ? DATA_LONG_BYTES : data == DATA_PASSIVE || rarely(g) ? DATA_BYTES : 0);
        put_code(g, 0xfc, 0x08), put_u(g, data), put_u(g, to);
        break;
    case 2: put_code(g, 0xfc, 0x09), put_u(g, rarely(g) ? DATA_LONG : choose(g, DATA_LONG)); break;
    case 3: put_overlap(g, to); break;
    case 4: put_copy(g, to, from); break;
    default: put_edge(g, to); break;
    }
    return true;
}

bool generate_size_expr(struct generator *g, char type)
{
    uint32_t memory = choose(g, g->memory_count), table = choose(g, g->table_count);
    bool wide = type == 'l';
    if (type != 'i' && type != 'l')
        return false;
    if (choose(g, 2) && g->tables[table].wide == wide) {
        put_code(g, 0xfc, 0x10), put_u(g, table);
    } else if (g->memories[memory].wide != wide) {
        return false;
    } else if (choose(g, 4) == 3) {
        generate_masked(g, type, 1);
        put_index(g, 0x40, memory);
    } else {
        put_index(g, 0x3f, memory);
    }
    return true;
}

/* Waiting for what is there already, or no time at all: nobody else would wake the function. */
bool generate_wait_expr(struct generator *g, char type)
{
    static const int64_t timeouts[] = {0, 1, 1000, 20000};
    uint32_t memory = choose_memory(g), wide = choose(g, 2);
    if (type != 'i' || (!g->memories[memory].shared && !rarely(g)))
        return false;
    generate_pointer(g, memory, 0x7ff, 7);
    generate_expr(g, wide ? 'l' : 'i');
    if (rarely(g))
        put_byte(g, 0x42), put_s(g, -1);
    else
        put_byte(g, 0x42), put_s(g, timeouts[choose(g, 4)]);
    put_code(g, 0xfe, 1 + wide);
    generate_memarg(g, memory, 2 + wide, true);
    return true;
}

/* ---- tables ---- */

static void put_slot(struct generator *g, uint32_t table, uint64_t mask)
{
    const struct table_plan *plan = &g->tables[table];
    if (choose(g, 3))
        generate_masked(g, index_type(plan->wide), mask);
    else if (rarely(g))
        put_int(g, plan->wide, choose_bits(g));
    else
        put_int(g, plan->wide, plan->size ? choose(g, plan->size) : 0);
}

/* A table that may be written whose entries are of this type ('\0': any); false: there is none. */
static bool find_table(struct generator *g, char type, uint32_t *ret_table)
{
    uint32_t count = g->table_count - 1, start = choose(g, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t table = 1 + (start + i) % count;
        if (type == '\0' || g->tables[table].type == type) {
            *ret_table = table;
            return true;
        }
    }
    return false;
}

bool generate_table_expr(struct generator *g, char type)
{
    uint32_t table = TABLE_FUNCS;
    if (is_reference(type)) {
        if (!find_table(g, type, &table))
            return false;
        put_slot(g, table, 7);
        put_index(g, 0x25, table);
        return true;
    }
    find_table(g, '\0', &table);
    if (type != index_type(g->tables[table].wide))
        return false;
    generate_expr(g, g->tables[table].type), generate_masked(g, type, 1);
    put_code(g, 0xfc, 0x0f), put_u(g, table);
    return true;
}

static void put_table_copy(struct generator *g, uint32_t to)
{
    uint32_t from = to;
    char type = g->tables[to].type;
    find_table(g, type == 'F' && choose(g, 2) ? 'P' : type == 'A' && choose(g, 2) ? 'Q' : type, &from);
    put_slot(g, to, 7), put_slot(g, from, 7);
    generate_masked(g, index_type(g->tables[to].wide && g->tables[from].wide), 3);
    put_code(g, 0xfc, 0x0e), put_u(g, to), put_u(g, from);
}

static void put_table_init(struct generator *g, uint32_t table)
{
    uint32_t elem = choose(g, ELEM_COUNT);
    while (elem_type(elem) != g->tables[table].type)
        elem = (elem + 1) % ELEM_COUNT;
    put_slot(g, table, 7);
    generate_masked(g, 'i', elem < ELEM_FIXED ? 0 : 7), generate_masked(g, 'i', elem < ELEM_FIXED ? 0 : 3);
    put_code(g, 0xfc, 0x0c), put_u(g, elem), put_u(g, table);
}

bool generate_table(struct generator *g)
{
    uint32_t table = TABLE_FUNCS;
    find_table(g, '\0', &table);
    char type = g->tables[table].type;
    switch (choose(g, 5)) {
    case 0: put_slot(g, table, 7), generate_expr(g, type), put_index(g, 0x26, table); break;
    case 1:
        put_slot(g, table, 7), generate_expr(g, type);
        generate_masked(g, index_type(g->tables[table].wide), 3), put_code(g, 0xfc, 0x11), put_u(g, table);
        break;
    case 2: put_table_copy(g, table); break;
    case 3: put_table_init(g, table); break;
    default: put_code(g, 0xfc, 0x0d), put_u(g, rarely(g) ? choose(g, ELEM_COUNT) : choose(g, ELEM_FIXED)); break;
    }
    return true;
}
