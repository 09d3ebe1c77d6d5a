/* Objects in a generated module: structures, arrays and i31, made, read and written.
 *
 * Structures and arrays are anyrefs (A) to the rest of the generator. What works on one takes an anyref through
 * br_on_cast or br_on_cast_fail, and does something else when it is another; or it makes one. */
#include "support/generate_inner.h"

#define OBJECTS 0xfb
#define LEAST_LENGTH 4 /* of arrays: indices are mostly below it */

/* Fields by letter: b is an i8, h an i16. */
static const struct {
    char letter;        /* a reference that is not null */
    const char *fields; /* of an array its element's */
    bool array, constant;
    char elem; /* of segments that its elements may come from */
} shapes[GC_TYPES] = {[GC_STRUCT] = {.letter = 'S', .fields = "idA"},
                      [GC_SUB] = {.letter = 'T', .fields = "idAbhlvfFXEQ"},
                      [GC_FIXED] = {.letter = 'C', .fields = "bhlbhvQ", .constant = true},
                      [GC_NODE] = {.letter = 'Z', .fields = "QlQbhA"},
                      [GC_BYTES] = {.letter = 'B', .fields = "b", .array = true},
                      [GC_SHORTS] = {.letter = 'H', .fields = "h", .array = true},
                      [GC_INTS] = {.letter = 'I', .fields = "i", .array = true},
                      [GC_LONGS] = {.letter = 'L', .fields = "l", .array = true},
                      [GC_FLOATS] = {.letter = 'Y', .fields = "f", .array = true},
                      [GC_DOUBLES] = {.letter = 'D', .fields = "d", .array = true},
                      [GC_VECTORS] = {.letter = 'V', .fields = "v", .array = true},
                      [GC_ANYS] = {.letter = 'R', .fields = "A", .array = true, .elem = 'A'},
                      [GC_FUNCS] = {.letter = 'U', .fields = "F", .array = true, .elem = 'F'},
                      [GC_EXTERNS] = {.letter = 'W', .fields = "X", .array = true, .elem = 'X'},
                      [GC_NODES] = {.letter = 'K', .fields = "Q", .array = true, .elem = 'Q'},
                      [GC_FIXED_LONGS] = {.letter = 'J', .fields = "l", .array = true, .constant = true}};

static char operand_of(char field)
{
    return field == 'b' || field == 'h' ? 'i' : field;
}

static void put_fields(struct generator *g, const char *fields, bool constant)
{
    for (; *fields; fields++) {
        if (*fields == 'b' || *fields == 'h')
            put_byte(g, *fields == 'b' ? 0x78 : 0x77);
        else
            put_type(g, *fields);
        put_byte(g, !constant);
    }
}

void generate_gc_types(struct generator *g)
{
    for (uint32_t i = 0; i < GC_TYPES; i++) {
        if (i == GC_STRUCT)
            put_byte(g, 0x50), put_byte(g, 0);
        if (i == GC_SUB)
            put_byte(g, 0x4f), put_byte(g, 1), put_u(g, GC_STRUCT);
        put_byte(g, shapes[i].array ? 0x5e : 0x5f);
        if (!shapes[i].array)
            put_u(g, strlen(shapes[i].fields));
        put_fields(g, shapes[i].fields, shapes[i].constant);
    }
}

static uint32_t shape_of(char letter)
{
    uint32_t shape = 0;
    while (shape < GC_TYPES && shapes[shape].letter != letter)
        shape++;
    return shape;
}

void generate_gc_put_type(struct generator *g, char letter)
{
    put_byte(g, 0x64), put_u(g, shape_of(letter));
}

static void put_object(struct generator *g, uint32_t code)
{
    put_code(g, OBJECTS, code);
}

static void put_typed(struct generator *g, uint32_t code, uint32_t shape)
{
    put_object(g, code), put_u(g, shape);
}

static void put_length(struct generator *g)
{
    generate_masked(g, 'i', 31);
    put_i32(g, LEAST_LENGTH), put_byte(g, 0x72);
}

static void put_i31(struct generator *g)
{
    put_object(g, 28);
}

static void put_default(struct generator *g, uint32_t shape)
{
    if (shapes[shape].array)
        put_i32(g, LEAST_LENGTH);
    put_typed(g, shapes[shape].array ? 7 : 1, shape);
}

bool generate_gc_const(struct generator *g, char letter)
{
    uint32_t func;
    switch (letter) {
    case '0': put_index(g, 0xd2, choose_func(g)); break;
    case '1': put_i32(g, 9), put_i31(g), put_object(g, 27); break;
    case '2': put_i32(g, (int32_t)choose_bits(g)), put_i31(g); break;
    case '3': return generate_caught_expr(g, letter);
    case '4':
        if (choose_fixed_func(g, &func))
            put_index(g, 0xd2, func);
        else
            put_const(g, 'P'), put_byte(g, 0xd4);
        break;
    case '5': put_default(g, GC_STRUCT); break;
    default:
        if (shape_of(letter) == GC_TYPES)
            return false;
        put_default(g, shape_of(letter));
        break;
    }
    return true;
}

/* ---- making ---- */

static void make_struct(struct generator *g, uint32_t shape)
{
    if (choose(g, 6) == 5) {
        put_default(g, shape);
        return;
    }
    for (const char *field = shapes[shape].fields; *field; field++)
        generate_expr(g, operand_of(*field));
    put_typed(g, 0, shape);
}

/* The segment that elements of this array may come from: of numbers DATA_LONG. */
static uint32_t segment_of(uint32_t shape)
{
    uint32_t elem = ELEM_FIXED;
    if (!shapes[shape].elem)
        return DATA_LONG;
    while (elem_type(elem) != shapes[shape].elem)
        elem++;
    return elem;
}

/* Where in a segment: mostly with room behind it for a few elements. */
static void put_place(struct generator *g)
{
    if (rarely(g))
        put_i32(g, (int32_t)choose_length(g));
    else
        generate_masked(g, 'i', 3);
}

static void make_from_segment(struct generator *g, uint32_t shape)
{
    put_place(g);
    if (rarely(g))
        put_i32(g, (int32_t)choose_length(g));
    else
        put_i32(g, LEAST_LENGTH);
    put_typed(g, shapes[shape].elem ? 10 : 9, shape), put_u(g, segment_of(shape));
}

static void make_array(struct generator *g, uint32_t shape)
{
    char element = operand_of(shapes[shape].fields[0]);
    uint32_t count = LEAST_LENGTH + (choose(g, 16) == 15 ? choose(g, 60) : choose(g, 4));
    switch (choose(g, 4)) {
    case 0:
        generate_expr(g, element), put_length(g);
        put_typed(g, 6, shape);
        break;
    case 1:
        put_length(g);
        put_typed(g, 7, shape);
        break;
    case 2: make_from_segment(g, shape); break;
    default:
        for (uint32_t i = 0; i < count; i++)
            generate_expr(g, element);
        put_typed(g, 8, shape), put_u(g, count);
        break;
    }
}

static void make(struct generator *g, uint32_t shape)
{
    if (shapes[shape].array)
        make_array(g, shape);
    else
        make_struct(g, shape);
}

static bool new_expr(struct generator *g)
{
    switch (choose(g, 6)) {
    case 0: generate_expr(g, 'X'), put_object(g, 26); break;
    case 1:
    case 2: generate_expr(g, 'i'), put_i31(g); break;
    default: make(g, choose(g, GC_TYPES)); break;
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
    put_byte(g, 0x02);
    if (type)
        put_type(g, type);
    else
        put_byte(g, 0x40);
    generate_label_push(g, fails ? "A" : reference);
    put_byte(g, 0x02), put_type(g, fails ? 'A' : shapes[shape].letter);
    if (choose(g, 2))
        generate_expr(g, 'A');
    else
        make(g, shape);
    put_object(g, fails ? 25 : 24);
    put_byte(g, 1), put_u(g, 0), put_heap(g, 'A'), put_u(g, shape);
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

/* ---- fields ---- */

/* The field of a shape with this type, chosen by chance; -1: none. */
static int field_with(struct generator *g, uint32_t shape, char type)
{
    uint32_t count = (uint32_t)strlen(shapes[shape].fields), start = choose(g, count);
    for (uint32_t i = 0; i < count; i++)
        if (operand_of(shapes[shape].fields[(start + i) % count]) == type)
            return (int)((start + i) % count);
    return -1;
}

static void put_place_in_array(struct generator *g)
{
    generate_masked(g, 'i', LEAST_LENGTH - 1);
}

/* The reference on the stack becomes a value of this type out of it. */
static bool read_field(struct generator *g, uint32_t shape, char type)
{
    int field = field_with(g, shape, type);
    bool array = shapes[shape].array;
    if (field < 0) {
        put_byte(g, 0x1a);
        generate_expr(g, type);
        return false;
    }
    if (array)
        put_place_in_array(g);
    bool packed = shapes[shape].fields[field] == 'b' || shapes[shape].fields[field] == 'h';
    put_typed(g, (array ? 11 : 2) + (packed ? 1 + choose(g, 2) : 0), shape);
    if (!array)
        put_u(g, (uint32_t)field);
    return true;
}

static void copy_array(struct generator *g, uint32_t shape)
{
    uint32_t from = shape == GC_LONGS && choose(g, 3) == 2 ? (uint32_t)GC_FIXED_LONGS : shape;
    make_array(g, from);
    generate_masked(g, 'i', 1), generate_masked(g, 'i', 3);
    put_typed(g, 17, shape), put_u(g, from);
}

static void write_array(struct generator *g, uint32_t shape)
{
    char element = operand_of(shapes[shape].fields[0]);
    switch (choose(g, 4)) {
    case 0:
        generate_masked(g, 'i', 1), generate_expr(g, element), generate_masked(g, 'i', 3);
        put_typed(g, 16, shape);
        break;
    case 1: generate_masked(g, 'i', 1), copy_array(g, shape); break;
    case 2:
        generate_masked(g, 'i', 1), put_place(g), generate_masked(g, 'i', 3);
        put_typed(g, shapes[shape].elem ? 19 : 18, shape), put_u(g, segment_of(shape));
        break;
    default:
        put_place_in_array(g), generate_expr(g, element);
        put_typed(g, 14, shape);
        break;
    }
}

static bool length_of(struct generator *g, uint32_t shape, char type)
{
    (void)type;
    if (shapes[shape].array)
        put_object(g, 15);
    else
        put_byte(g, 0x1a), put_i32(g, 1);
    return true;
}

static bool write_field(struct generator *g, uint32_t shape, char type)
{
    (void)type;
    uint32_t field = choose(g, (uint32_t)strlen(shapes[shape].fields));
    if (shapes[shape].constant) {
        put_byte(g, 0x1a);
    } else if (shapes[shape].array) {
        write_array(g, shape);
    } else {
        generate_expr(g, operand_of(shapes[shape].fields[field]));
        put_typed(g, 5, shape), put_u(g, field);
    }
    return true;
}

/* ---- choosing ---- */

static bool i31_expr(struct generator *g)
{
    if (rarely(g))
        generate_expr(g, 'A'), put_object(g, 23), put_byte(g, 0x6c);
    else
        generate_expr(g, 'i'), put_i31(g);
    put_object(g, 29 + choose(g, 2));
    return true;
}

/* Of one that was just made, or of one by its type, which may be null. */
static bool direct_expr(struct generator *g, uint32_t shape, char type)
{
    if (field_with(g, GC_STRUCT, type) >= 0 && rarely(g)) {
        generate_expr(g, 'Q');
        read_field(g, GC_STRUCT, type);
    } else {
        make(g, shape);
        if (type == 'i' && choose(g, 3) == 2)
            length_of(g, shape, type);
        else
            read_field(g, shape, type);
    }
    return true;
}

bool generate_gc_expr(struct generator *g, char type)
{
    uint32_t shape = choose(g, GC_TYPES);
    if (type == 'P')
        return false;
    for (uint32_t i = 0; i < GC_TYPES && field_with(g, shape, type) < 0; i++)
        shape = (shape + 1) % GC_TYPES;
    if (type == 'X' && choose(g, 3))
        generate_expr(g, 'A'), put_object(g, 27);
    else if (type == 'A' && choose(g, 3))
        new_expr(g);
    else if (type == 'Q' && choose(g, 3))
        make_struct(g, choose(g, 2) ? GC_STRUCT : GC_SUB);
    else if (type == 'i' && choose(g, 4) == 3)
        i31_expr(g);
    else if (choose(g, 3) == 2)
        direct_expr(g, shape, type);
    else if (cast_begin(g, shape, type))
        cast_end(g, shape, type, type == 'i' && choose(g, 3) == 2 ? length_of : read_field);
    else
        return false;
    return true;
}

bool generate_gc(struct generator *g)
{
    uint32_t shape = choose(g, GC_TYPES);
    if (!cast_begin(g, shape, '\0'))
        return false;
    cast_end(g, shape, '\0', write_field);
    return true;
}
