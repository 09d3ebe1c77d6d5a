/* A small machine with registers, interpreted: one loop around one switch. */
#include "bench.h"

enum op { LOAD, ADD, SUB, MUL, XOR, SHIFT, LESS, JUMP_IF, JUMP, PEEK, POKE, MOVE, MODULO, AND, INC, STOP };
struct step {
    uint8_t op, to, a, b;
};

/* Counts primes below r1 into r0, and stirs memory. */
static const struct step program[] = {
    {LOAD, 0, 0, 0},  {LOAD, 2, 2, 0},   {LESS, 3, 2, 1},    {JUMP_IF, 3, 5, 0},  {STOP, 0, 0, 0},
    {LOAD, 4, 2, 0},  {MUL, 5, 4, 4},    {LESS, 6, 2, 5},    {JUMP_IF, 6, 14, 0}, {MODULO, 7, 2, 4},
    {LESS, 8, 9, 7},  {INC, 4, 0, 0},    {JUMP_IF, 8, 6, 0}, {JUMP, 0, 20, 0},    {INC, 0, 0, 0},
    {AND, 10, 2, 12}, {PEEK, 11, 10, 0}, {XOR, 11, 11, 2},   {ADD, 11, 11, 0},    {POKE, 11, 10, 0},
    {INC, 2, 0, 0},   {MOVE, 13, 11, 0}, {SHIFT, 13, 3, 0},  {SUB, 14, 13, 2},    {JUMP, 0, 2, 0},
};
static uint32_t memory[64];

static uint32_t interpret(uint32_t limit)
{
    uint32_t r[16] = {0}, pc = 0;
    r[1] = limit, r[12] = 63;
    for (;;) {
        const struct step *s = &program[pc++];
        switch ((enum op)s->op) {
        case LOAD: r[s->to] = s->a; break;
        case ADD: r[s->to] = r[s->a] + r[s->b]; break;
        case SUB: r[s->to] = r[s->a] - r[s->b]; break;
        case MUL: r[s->to] = r[s->a] * r[s->b]; break;
        case XOR: r[s->to] = r[s->a] ^ r[s->b]; break;
        case SHIFT: r[s->to] <<= s->a; break;
        case LESS: r[s->to] = r[s->a] < r[s->b]; break;
        case JUMP_IF: pc = r[s->to] ? s->a : pc; break;
        case JUMP: pc = s->a; break;
        case PEEK: r[s->to] = memory[r[s->a] & 63]; break;
        case POKE: memory[r[s->a] & 63] = r[s->to]; break;
        case MOVE: r[s->to] = r[s->a]; break;
        case MODULO: r[s->to] = r[s->a] % (r[s->b] | !r[s->b]); break;
        case AND: r[s->to] = r[s->a] & r[s->b]; break;
        case INC: r[s->to]++; break;
        case STOP: return r[0] ^ r[11] ^ r[14];
        }
    }
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum = mix(sum, interpret(4000));
    return sum;
}
