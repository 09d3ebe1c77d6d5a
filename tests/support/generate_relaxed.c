/* Relaxed instructions in a generated module, with operands for which they have one answer only. */
#include "support/generate_inner.h"

#define VECTORS 0xfd

/* What operands are made: anything; lanes that are all ones or all zeros; bytes under a mask; small whole numbers as
 * floats, so that no product is rounded. */
enum made { ANY, LANES_8, LANES_16, LANES_32, LANES_64, BELOW_16, SEVEN_BITS, HALVES, FLOATS, DOUBLES };

static const struct {
    uint32_t code;
    uint8_t count, operands[3];
} rows[] = {
    {0x100, 2, {ANY, BELOW_16}},
    {0x101, 1, {FLOATS}},
    {0x102, 1, {FLOATS}},
    {0x103, 1, {DOUBLES}},
    {0x104, 1, {DOUBLES}},
    {0x105, 3, {FLOATS, FLOATS, FLOATS}},
    {0x106, 3, {FLOATS, FLOATS, FLOATS}},
    {0x107, 3, {DOUBLES, DOUBLES, DOUBLES}},
    {0x108, 3, {DOUBLES, DOUBLES, DOUBLES}},
    {0x109, 3, {ANY, ANY, LANES_8}},
    {0x10a, 3, {ANY, ANY, LANES_16}},
    {0x10b, 3, {ANY, ANY, LANES_32}},
    {0x10c, 3, {ANY, ANY, LANES_64}},
    {0x10d, 2, {FLOATS, FLOATS}},
    {0x10e, 2, {FLOATS, FLOATS}},
    {0x10f, 2, {DOUBLES, DOUBLES}},
    {0x110, 2, {DOUBLES, DOUBLES}},
    {0x111, 2, {ANY, HALVES}},
    {0x112, 2, {ANY, SEVEN_BITS}},
    {0x113, 3, {ANY, SEVEN_BITS, ANY}},
};

static void put_vector(struct generator *g, uint32_t code)
{
    put_code(g, VECTORS, code);
}

/* v128.and with the same eight bytes twice */
static void mask(struct generator *g, uint64_t bits)
{
    put_vector(g, 0x0c);
    for (unsigned i = 0; i < 16; i++)
        put_byte(g, (uint8_t)(bits >> (8 * (i & 7))));
    put_vector(g, 0x4e);
}

static void operand(struct generator *g, enum made made)
{
    static const uint32_t equal[] = {[LANES_8] = 0x23, [LANES_16] = 0x2d, [LANES_32] = 0x37, [LANES_64] = 0xd6};
    generate_expr(g, 'v');
    switch (made) {
    case ANY: break;
    case BELOW_16: mask(g, 0x0f0f0f0f0f0f0f0fu); break;
    case SEVEN_BITS: mask(g, 0x7f7f7f7f7f7f7f7fu); break;
    case HALVES: mask(g, 0x7fff7fff7fff7fffu); break;
    case FLOATS: mask(g, 0x000000ff000000ffu), put_vector(g, 0xfa); break;
    case DOUBLES: mask(g, 0x00000fff00000fffu), put_vector(g, 0xfe); break;
    default:
        generate_expr(g, 'v');
        put_vector(g, equal[made]);
        break;
    }
}

bool generate_relaxed_expr(struct generator *g, char type)
{
    if (type != 'v')
        return false;
    uint32_t row = choose(g, sizeof rows / sizeof *rows);
    for (unsigned i = 0; i < rows[row].count; i++)
        operand(g, rows[row].operands[i]);
    put_vector(g, rows[row].code);
    return true;
}
