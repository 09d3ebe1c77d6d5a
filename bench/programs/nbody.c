/* Bodies that attract each other, stepped in time: scalar floating point, square roots and divisions. */
#include "bench.h"

enum { BODIES = 5 };
struct body {
    double place[3], speed[3], mass;
};
static struct body bodies[BODIES];

static void place_bodies(void)
{
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++) {
            bodies[i].place[axis] = i * (axis + 1.5) - axis * 0.25;
            bodies[i].speed[axis] = 0.125 * (axis - 1) * (i - 2);
            bodies[i].mass = i ? 0.03125 / i : 40;
        }
}

static void attract(struct body *a, struct body *b, double step)
{
    double d[3], square = 0;
    for (int axis = 0; axis < 3; axis++) {
        d[axis] = a->place[axis] - b->place[axis];
        square += d[axis] * d[axis];
    }
    double pull = step / (square * __builtin_sqrt(square));
    for (int axis = 0; axis < 3; axis++) {
        a->speed[axis] -= d[axis] * b->mass * pull;
        b->speed[axis] += d[axis] * a->mass * pull;
    }
}

static void advance(double step)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++)
            attract(&bodies[i], &bodies[j], step);
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            bodies[i].place[axis] += step * bodies[i].speed[axis];
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    place_bodies();
    for (uint32_t i = 0; i < n; i++)
        advance(0.0009765625);
    for (int i = 0; i < BODIES; i++)
        sum = mix(sum, bits(bodies[i].place[0]));
    return sum;
}
