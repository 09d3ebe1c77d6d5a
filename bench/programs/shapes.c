/* Objects with tables of functions, visited in random order: indirect calls of several types. */
#include "bench.h"

struct shape;
struct kind {
    uint32_t (*area)(const struct shape *shape);
    void (*grow)(struct shape *shape, uint32_t by);
    double (*weight)(const struct shape *shape, double density);
};
struct shape {
    const struct kind *kind;
    uint32_t a, b;
};

static uint32_t square_area(const struct shape *s)
{
    return s->a * s->a;
}
static uint32_t box_area(const struct shape *s)
{
    return s->a * s->b;
}
static uint32_t corner_area(const struct shape *s)
{
    return s->a * s->b / 2;
}
static uint32_t dot_area(const struct shape *s)
{
    return 1;
}
static void grow_one(struct shape *s, uint32_t by)
{
    s->a += by;
}
static void grow_both(struct shape *s, uint32_t by)
{
    s->a += by, s->b ^= by;
}
static void grow_none(struct shape *s, uint32_t by)
{
    s->b++;
}
static double heavy(const struct shape *s, double density)
{
    return density * s->a + 1;
}
static double light(const struct shape *s, double density)
{
    return density * 0.5;
}

static const struct kind kinds[] = {
    {square_area, grow_one, heavy},
    {box_area, grow_both, heavy},
    {corner_area, grow_both, light},
    {dot_area, grow_none, light},
};
enum { SHAPES = 1024 };
static struct shape shapes[SHAPES];

uint64_t bench(uint32_t n)
{
    uint32_t random = 11;
    uint64_t sum = 0;
    double total = 0;
    for (uint32_t i = 0; i < SHAPES; i++)
        shapes[i] = (struct shape){&kinds[next_random(&random) % 4], i & 15, i & 7};
    for (uint32_t round = 0; round < n; round++)
        for (uint32_t i = 0; i < SHAPES; i++) {
            struct shape *shape = &shapes[i];
            sum += shape->kind->area(shape);
            shape->kind->grow(shape, round & 3);
            total += shape->kind->weight(shape, 0.25);
        }
    return mix(sum, bits(total));
}
