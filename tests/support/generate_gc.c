/* Objects in a generated module: structures, arrays and i31, made, cast, branched on, read and written.
 *
 * Everything is an anyref (A) to the rest of the generator. What works on a structure or an array takes an anyref
 * through br_on_cast or br_on_cast_fail, and does something else when it is another. */
#include "support/generate_inner.h"

#define OBJECTS 0xfb
#define LEAST_LENGTH 4 /* of arrays: indices are mostly below it */

enum { GC_STRUCT, GC_SUB, GC_BYTES, GC_LONGS, GC_ANYS, GC_TYPES };

/* Fields by letter: b is an i8. */
static const struct {
    char letter;        /* a reference that is not null */
    const char *fields; /* of an array its element's */
    bool array;
} shapes[GC_TYPES] = {[GC_STRUCT] = {'S', "idA", false},
                      [GC_SUB] = {'T', "idAblv", false},
                      [GC_BYTES] = {'B', "b", true},
                      [GC_LONGS] = {'L', "l", true},
                      [GC_ANYS] = {'R', "A", true}};

static uint32_t type_index(const struct generator *g, uint32_t shape)
{
    return g->type_count + shape;
}

static char operand_of(char field)
{
    return field == 'b' ? 'i' : field;
}

static void put_fields(struct generator *g, const char *fields)
{
    for (; *fields; fields++)
        put_byte(g, *fields == 'b' ? 0x78 : type_byte(*fields)), put_byte(g, 1);
}

uint32_t generate_gc_types(struct generator *g, bool write)
{
    for (uint32_t i = 0; write && i < GC_TYPES; i++) {
        if (i == GC_STRUCT)
            put_byte(g, 0x50), put_byte(g, 0);
        if (i == GC_SUB)
            put_byte(g, 0x4f), put_byte(g, 1), put_u(g, type_index(g, GC_STRUCT));
        put_byte(g, shapes[i].array ? 0x5e : 0x5f);
        if (!shapes[i].array)
            put_u(g, strlen(shapes[i].fields));
        put_fields(g, shapes[i].fields);
    }
    return GC_TYPES;
}

static void put_object(struct generator *g, uint32_t code)
{
    put_code(g, OBJECTS, code);
}

static void put_typed(struct generator *g, uint32_t code, uint32_t shape)
{
    put_object(g, code), put_u(g, type_index(g, shape));
}

static void put_length(struct generator *g)
{
    generate_masked(g, 'i', 31);
    put_byte(g, 0x41), put_s(g, LEAST_LENGTH), put_byte(g, 0x72);
}

static void put_i31(struct generator *g)
{
    put_object(g, 28);
}

static void put_default(struct generator *g, uint32_t shape)
{
    if (shapes[shape].array)
        put_byte(g, 0x41), put_s(g, LEAST_LENGTH);
    put_typed(g, shapes[shape].array ? 7 : 1, shape);
}

bool generate_gc_const(struct generator *g, char letter)
{
    for (uint32_t i = 0; i < GC_TYPES; i++)
        if (shapes[i].letter == letter) {
            put_default(g, i);
            return true;
        }
    if (letter != 'N') /* any that is not null */
        return false;
    put_byte(g, 0x41), put_s(g, 7), put_i31(g);
    return true;
}

/* ---- making ---- */

static void make_struct(struct generator *g, uint32_t shape)
{
    for (const char *field = shapes[shape].fields; *field; field++)
        generate_expr(g, operand_of(*field));
    put_typed(g, 0, shape);
}

static void make_array(struct generator *g, uint32_t shape)
{
    char element = operand_of(shapes[shape].fields[0]);
    uint32_t count = LEAST_LENGTH + choose(g, 4);
    switch (choose(g, 3)) {
    case 0:
        generate_expr(g, element), put_length(g);
        put_typed(g, 6, shape);
        break;
    case 1:
        put_length(g);
        put_typed(g, 7, shape);
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            generate_expr(g, element);
        put_typed(g, 8, shape), put_u(g, count);
        break;
    }
}

static void make_from_data(struct generator *g)
{
    uint32_t shape = choose(g, 2) ? GC_BYTES : GC_LONGS;
    generate_masked(g, 'i', 7);
    put_byte(g, 0x41), put_s(g, LEAST_LENGTH);
    put_typed(g, 9, shape), put_u(g, DATA_PASSIVE);
}

static bool new_expr(struct generator *g)
{
    switch (choose(g, 8)) {
    case 0: make_struct(g, GC_STRUCT); break;
    case 1: make_struct(g, GC_SUB); break;
    case 2: make_array(g, GC_BYTES); break;
    case 3: make_array(g, GC_LONGS); break;
    case 4: make_array(g, GC_ANYS); break;
    case 5: make_from_data(g); break;
    case 6: generate_expr(g, 'X'), put_object(g, 26); break;
    default: generate_expr(g, 'i'), put_i31(g); break;
    }
    return true;
}

/* ---- casts ---- */

/* Between these two stands what is done with the reference on the stack; `type`: of the block's result, or 0; when the
 * object is another, the result is some other value. False: nothing was written. */
static bool cast_begin(struct generator *g, uint32_t shape, char type)
{
    const char result[2] = {type, '\0'}, reference[2] = {shapes[shape].letter, '\0'};
    bool fails = choose(g, 3) == 2; /* the other way round */
    if (g->label_count + 2 > LABELS_MAX)
        return false;
    generate_label_push(g, result);
    put_byte(g, 0x02), put_byte(g, type ? type_byte(type) : 0x40);
    generate_label_push(g, fails ? "A" : reference);
    put_byte(g, 0x02);
    if (fails)
        put_byte(g, type_byte('A'));
    else
        put_byte(g, 0x64), put_u(g, type_index(g, shape));
    generate_expr(g, 'A');
    put_object(g, fails ? 25 : 24);
    put_byte(g, 1), put_u(g, 0), put_byte(g, type_byte('A')), put_u(g, type_index(g, shape));
    return true;
}

/* Where the reference is what it should be: on with `work`; else the constant. */
static void cast_end(struct generator *g, uint32_t shape, char type, bool (*work)(struct generator *, uint32_t, char))
{
    bool fails = g->labels[g->label_count - 1].types[0] == 'A';
    if (fails) { /* the reference fell through */
        work(g, shape, type);
        put_byte(g, 0x0c), put_u(g, 1);
        generate_label_end(g);
        put_byte(g, 0x1a);
        if (type)
            generate_expr(g, type);
    } else {
        put_byte(g, 0x1a);
        if (type)
            generate_expr(g, type);
        put_byte(g, 0x0c), put_u(g, 1);
        generate_label_end(g);
        work(g, shape, type);
    }
    generate_label_end(g);
}

/* The field of a shape with this type, chosen by chance; -1: none. */
static int field_with(struct generator *g, uint32_t shape, char type)
{
    uint32_t count = (uint32_t)strlen(shapes[shape].fields), start = choose(g, count);
    for (uint32_t i = 0; i < count; i++)
        if (operand_of(shapes[shape].fields[(start + i) % count]) == type)
            return (int)((start + i) % count);
    return -1;
}

/* The reference on the stack becomes a value of this type out of it. */
static bool read_field(struct generator *g, uint32_t shape, char type)
{
    int field = field_with(g, shape, type);
    bool array = shapes[shape].array;
    if (field < 0 || (array && type == 'i' && choose(g, 2))) {
        put_byte(g, 0x1a);
        generate_expr(g, type);
        return false;
    }
    if (array)
        generate_masked(g, 'i', LEAST_LENGTH - 1);
    bool packed = shapes[shape].fields[field] == 'b';
    put_typed(g, (array ? 11 : 2) + (packed ? 1 + choose(g, 2) : 0), shape);
    if (!array)
        put_u(g, (uint32_t)field);
    return true;
}

static void write_array(struct generator *g, uint32_t shape)
{
    char element = operand_of(shapes[shape].fields[0]);
    generate_masked(g, 'i', LEAST_LENGTH - 1);
    switch (choose(g, 4)) {
    case 0:
        generate_expr(g, element), generate_masked(g, 'i', 1);
        put_typed(g, 16, shape);
        break;
    case 1:
        make_array(g, shape);
        generate_masked(g, 'i', 1), generate_masked(g, 'i', 1);
        put_typed(g, 17, shape), put_u(g, type_index(g, shape));
        break;
    case 2:
        if (shape == GC_BYTES || shape == GC_LONGS) {
            generate_masked(g, 'i', 7), generate_masked(g, 'i', 1);
            put_typed(g, 18, shape), put_u(g, DATA_PASSIVE);
            break;
        } /* fall through */
    default:
        generate_expr(g, element);
        put_typed(g, 14, shape);
        break;
    }
}

static bool write_field(struct generator *g, uint32_t shape, char type)
{
    (void)type;
    if (shapes[shape].array) {
        write_array(g, shape);
        return true;
    }
    uint32_t field = choose(g, (uint32_t)strlen(shapes[shape].fields));
    generate_expr(g, operand_of(shapes[shape].fields[field]));
    put_typed(g, 5, shape), put_u(g, field);
    return true;
}

static bool length_of(struct generator *g, uint32_t shape, char type)
{
    (void)type;
    if (shapes[shape].array)
        put_object(g, 15);
    else
        put_byte(g, 0x1a), put_byte(g, 0x41), put_s(g, 1);
    return true;
}

/* Whether two are the same, or one is of a type. */
static bool test_expr(struct generator *g)
{
    static const uint8_t any[] = {0x6d, 0x6c, 0x6b, 0x6a, 0x71}; /* eq, i31, struct, array, none */
    generate_expr(g, 'A');
    switch (choose(g, 4)) {
    case 0:
        put_object(g, 23), put_byte(g, 0x6d); /* nothing here is no eqref */
        generate_expr(g, 'A');
        put_object(g, 23), put_byte(g, 0x6d);
        put_byte(g, 0xd3);
        break;
    case 1: put_object(g, 20 + choose(g, 2)), put_byte(g, any[choose(g, sizeof any)]); break;
    case 2: put_object(g, 20 + choose(g, 2)), put_u(g, type_index(g, choose(g, GC_TYPES))); break;
    default: put_byte(g, 0xd1); break;
    }
    return true;
}

static bool i31_expr(struct generator *g)
{
    generate_expr(g, 'i'), put_i31(g);
    put_object(g, 29 + choose(g, 2));
    return true;
}

static bool outside_expr(struct generator *g)
{
    generate_expr(g, 'A'), put_object(g, 27);
    return true;
}

static bool trapping_cast(struct generator *g, uint32_t shape)
{
    generate_expr(g, 'A');
    put_typed(g, 22 + choose(g, 2), shape);
    return true;
}

bool generate_gc_expr(struct generator *g, char type)
{
    uint32_t shape = choose(g, GC_TYPES);
    if (type == 'X')
        return outside_expr(g);
    if (!strchr("ildvA", type))
        return false;
    if (type == 'A' && choose(g, 40) == 39)
        return trapping_cast(g, shape);
    if (type == 'A' && choose(g, 3))
        return new_expr(g);
    if (type == 'i' && choose(g, 2))
        return choose(g, 3) ? test_expr(g) : i31_expr(g);
    if (!cast_begin(g, shape, type))
        return false;
    cast_end(g, shape, type, type == 'i' && choose(g, 3) == 2 ? length_of : read_field);
    return true;
}

/* ---- statements ---- */

static bool null_branch(struct generator *g)
{
    bool null = choose(g, 2);
    if (!generate_label_push(g, null ? "" : "N"))
        return false;
    put_byte(g, 0x02);
    if (null)
        put_byte(g, 0x40);
    else
        put_byte(g, 0x64), put_byte(g, type_byte('A'));
    generate_expr(g, 'A');
    put_byte(g, null ? 0xd5 : 0xd6), put_u(g, 0);
    if (null)
        put_byte(g, 0x1a);
    else
        generate_gc_const(g, 'N');
    generate_label_end(g);
    if (!null)
        generate_consume(g, 'A');
    return true;
}

bool generate_gc_statement(struct generator *g)
{
    uint32_t shape = choose(g, GC_TYPES);
    if (choose(g, 4) == 3)
        return null_branch(g);
    if (!cast_begin(g, shape, '\0'))
        return false;
    cast_end(g, shape, '\0', write_field);
    return true;
}
