/* Stencils executed on this machine: with every register in every role they compute what C does, go where they should,
 * and change nothing but their output and the registers that are set aside. The tables themselves keep what stencil.h
 * says. */
#include "codegen/fast/arch.h"
#include "codegen/fast/stencil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "image/context.h"

#if defined(__x86_64__)

typedef uint64_t v128 __attribute__((vector_size(16)));

/* Registers, by their numbers. */
struct machine {
    uint64_t r[16];
    v128 v[16];
};
static const uint8_t ints[] = {RBX, RSI, RDI, R8, R9, R10, R11, R13, R14, R15};
enum { INTS = sizeof ints, VECTOR_FIRST = 1, VECTORS = 12, CHOICES = INTS * (INTS - 1) };
enum { REG_A, REG_B, REG_C, REG_D, REG_X, REG_Y, REG_Z, REG_W, REGS };

/* A way out tells its number: the end, the label, a trap. */
enum { EXIT_NEXT, EXIT_TAKEN, EXIT_TRAP };
#define EXIT_SIZE 8

/* Loads all registers, calls the code and stores them. The code leaves by the number on the stack, and then by what
 * lies before that. */
uint64_t call_stencil(struct machine *machine, const void *code);
__asm__(".text\n"
        "call_stencil:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi; push %rsi\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "movups 128+16*\\n(%rdi), %xmm\\n\n"
        ".endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "mov 8*\\n(%rdi), %r\\n\n"
        ".endr\n"
        "mov (%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx; mov 40(%rdi), %rbp\n"
        "mov 48(%rdi), %rsi; mov 56(%rdi), %rdi\n"
        "call *(%rsp)\n"
        "push %rdi; mov 32(%rsp), %rdi\n" /* that, the exit, where it returned to, the code, the machine */
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "movups %xmm\\n, 128+16*\\n(%rdi)\n"
        ".endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "mov %r\\n, 8*\\n(%rdi)\n"
        ".endr\n"
        "mov %rax, (%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi); mov %rbp, 40(%rdi)\n"
        "mov %rsi, 48(%rdi); pop 56(%rdi); pop %rax; add $24, %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

/* The code, then the exits, then a copy of the pool. */
#define CODE_SIZE 65536
#define EXITS_AT 1024
#define POOL_AT 4096
static uint8_t *code;

static int open_code(void **state)
{
    code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED || stencil_pool_size > CODE_SIZE - POOL_AT)
        return -1;
    for (uint8_t i = 0; i < EXIT_TRAP + TRAP_COUNT; i++)
        memcpy(code + EXITS_AT + EXIT_SIZE * i, (uint8_t[]){0x6a, i, 0xff, 0x64, 0x24, 8},
               6); /* push i; jmp *8(%rsp) */
    memcpy(code + POOL_AT, stencil_pool, stencil_pool_size);
    return 0;
}

static int close_code(void **state)
{
    return munmap(code, CODE_SIZE);
}

/* What is filled in. */
struct holes {
    uint8_t regs[REGS];
    int32_t imm, imm2, shift;
    uint64_t imm64;
};

static void add_distance(uint32_t at, uint32_t to)
{
    uint32_t distance;
    memcpy(&distance, code + at, 4);
    distance += to - (at + 4);
    memcpy(code + at, &distance, 4);
}

static void fill(const struct stencil_field *field, const struct holes *holes)
{
    uint8_t *at = code + field->at, reg;
    switch ((enum stencil_hole)field->hole) {
    case HOLE_REG:
        reg = holes->regs[field->arg];
        *at |= (uint8_t)((reg & 7) << field->shift);
        code[field->rex] |= (uint8_t)((reg >> 3) << field->rex_shift);
        break;
    case HOLE_IMM8: *at = (uint8_t)(&holes->imm)[field->arg]; break;
    case HOLE_IMM32: memcpy(at, &(&holes->imm)[field->arg], 4); break;
    case HOLE_IMM64: memcpy(at, &holes->imm64, 8); break;
    case HOLE_TAKEN: add_distance(field->at, EXITS_AT + EXIT_SIZE * EXIT_TAKEN); break;
    case HOLE_TRAP: add_distance(field->at, EXITS_AT + EXIT_SIZE * (EXIT_TRAP + field->arg)); break;
    case HOLE_POOL: add_distance(field->at, POOL_AT); break;
    case HOLE_CALLEE:
    case HOLE_IMM16: fail(); break;
    }
}

static void put(const struct stencil_form *form, const struct holes *holes)
{
    memcpy(code, stencil_code_of(form), form->size);
    for (unsigned i = 0; i < stencil_field_count(form); i++)
        fill(&stencil_fields_of(form)[i], holes);
    memcpy(code + form->size, (uint8_t[]){0xe9, 0, 0, 0, 0}, 5);
    add_distance(form->size + 1u, EXITS_AT);
}

/* Choice number `n` of different registers for all operands: A and B, X and Y are every pair. */
static void choose(struct holes *holes, unsigned n)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned first = n / (INTS - 1), step = i ? 1 + (n + 3 * (i - 1)) % (INTS - 1) : 0;
        holes->regs[REG_A + i] = ints[(first + step) % INTS];
        first = n / (VECTORS - 1);
        step = i ? 1 + (n + 3 * (i - 1)) % (VECTORS - 1) : 0;
        holes->regs[REG_X + i] = (uint8_t)(VECTOR_FIRST + (first + step) % VECTORS);
    }
}

static uint64_t mixed(uint64_t n)
{
    n = (n + 1) * 0x9e3779b97f4a7c15u;
    return n ^ n >> 29;
}

static struct machine any_machine(void)
{
    struct machine m;
    for (unsigned i = 0; i < 16; i++) {
        m.r[i] = mixed(i);
        m.v[i] = (v128){mixed(100 + i), mixed(200 + i)};
    }
    return m;
}

/* Nothing changed but scratch registers, `reg` and `vec`. */
static void check_kept(enum stencil_name name, const struct machine *before, const struct machine *after, int reg,
                       int vec)
{
    for (int i = RBP; i <= R15; i++)
        if (i != reg && before->r[i] != after->r[i])
            fail_msg("%s changes register %d", stencil_names[name], i);
    if (reg != RBX && before->r[RBX] != after->r[RBX])
        fail_msg("%s changes rbx", stencil_names[name]);
    for (int i = VECTOR_FIRST; i < VECTOR_FIRST + VECTORS; i++)
        if (i != vec && memcmp(&before->v[i], &after->v[i], 16) != 0)
            fail_msg("%s changes xmm%d", stencil_names[name], i);
}

/* Operands, and what a stencil should make of them. */
struct in {
    uint64_t a, b, c;
    int64_t imm;
};
typedef uint64_t want_fn(struct in in);
typedef int exit_fn(struct in in);

static const uint64_t values[] = {
    0,
    1,
    2,
    7,
    31,
    32,
    63,
    0x7f,
    0x80,
    0xffff8000,
    0x7fffffff,
    0x80000000,
    0x80000001,
    0xffffffff,
    0x100000000,
    0x123456789abcdef0,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xffffffffffffffff,
};
enum { VALUES = sizeof values / sizeof *values };

static uint64_t as_narrow(bool narrow, uint64_t value)
{
    return narrow ? (uint32_t)value : value;
}

/* One execution: the exit that `exit` wants, and then, at the end, in A what `want` does; without, A stays too. */
static void check_once(enum stencil_name name, const struct holes *holes, struct in in, want_fn *want, exit_fn *exit)
{
    struct machine before = any_machine(), after;
    const uint8_t *regs = holes->regs;
    before.r[regs[REG_A]] = in.a;
    before.r[regs[REG_B]] = in.b;
    before.r[regs[REG_C]] = in.c;
    after = before;
    int left = (int)call_stencil(&after, code), wanted = exit ? exit(in) : EXIT_NEXT;
    if (left != wanted)
        fail_msg("%s with %#lx, %#lx, %#lx, %ld: exit %d and not %d", stencil_names[name], in.a, in.b, in.c, in.imm,
                 left, wanted);
    if (left < EXIT_TRAP)
        check_kept(name, &before, &after, want ? regs[REG_A] : -1, -1);
    if (left == EXIT_NEXT && want && after.r[regs[REG_A]] != want(in))
        fail_msg("%s with %#lx, %#lx, %#lx, %ld: %#lx and not %#lx", stencil_names[name], in.a, in.b, in.c, in.imm,
                 after.r[regs[REG_A]], want(in));
}

/* With all pairs of values in A and B, something in C, in each choice of registers; `imm` is IMM and SHIFT. */
static void check_form(enum stencil_name name, bool far, bool narrow, int32_t imm, want_fn *want, exit_fn *exit)
{
    for (unsigned n = 0; n < CHOICES; n++) {
        struct holes holes = {.imm = imm, .imm2 = imm, .shift = imm};
        choose(&holes, n);
        put(far ? &stencils[name].far : &stencils[name].near, &holes);
        for (unsigned i = 0; i < VALUES * VALUES; i++) {
            struct in in = {values[i % VALUES], values[i / VALUES], values[(i + 7 * n) % VALUES], imm};
            in = (struct in){as_narrow(narrow, in.a), as_narrow(narrow, in.b), as_narrow(narrow, in.c), imm};
            check_once(name, &holes, in, want, exit);
        }
    }
}

static void check(enum stencil_name name, bool narrow, want_fn *want, exit_fn *exit)
{
    check_form(name, true, narrow, 0, want, exit);
}

static const int32_t small[] = {0, 1, -1, 127, -128}, large[] = {128, -129, 0x12345678, INT32_MAX, INT32_MIN};

/* With immediates; the long form does for small ones too. */
static void check_numbers(enum stencil_name name, bool narrow, want_fn *want, exit_fn *exit)
{
    for (unsigned i = 0; i < 5; i++) {
        check_form(name, false, narrow, small[i], want, exit);
        check_form(name, true, narrow, small[i], want, exit);
        check_form(name, true, narrow, large[i], want, exit);
    }
}

/* The functions that say what is wanted: a, b and c in the width of the operation, i the immediate. */
#define WANT(name, T, S, expression)                                                                                   \
    static uint64_t name(struct in in)                                                                                 \
    {                                                                                                                  \
        T a = (T)in.a, b = (T)in.b, c = (T)in.c, i = (T)in.imm;                                                        \
        (void)a, (void)b, (void)c, (void)i;                                                                            \
        return (T)(expression);                                                                                        \
    }
#define BOTH(name, expression)                                                                                         \
    WANT(i32_##name, uint32_t, int32_t, expression)                                                                    \
    WANT(i64_##name, uint64_t, int64_t, expression)
#define BITS (8 * (unsigned)sizeof a)
#define SIGNED(x) ((__typeof__(_Generic((x), uint32_t: (int32_t)0, uint64_t: (int64_t)0)))(x))
BOTH(add, a + b)
BOTH(sub, a - b)
BOTH(mul, a *b)
BOTH(and, a &b)
BOTH(or, a | b)
BOTH(xor, a ^ b)
BOTH(shl, a << b % BITS)
BOTH(shr_u, a >> b % BITS)
BOTH(shr_s, SIGNED(a) >> b % BITS)
BOTH(rotl, a << b % BITS | a >> (BITS - b % BITS) % BITS)
BOTH(rotr, a >> b % BITS | a << (BITS - b % BITS) % BITS)
BOTH(add_rrr, b + c)

#define CHECK_BOTH(name, form, want)                                                                                   \
    do {                                                                                                               \
        check(STENCIL_i32_##name##form, true, i32_##want, NULL);                                                       \
        check(STENCIL_i64_##name##form, false, i64_##want, NULL);                                                      \
    } while (0)

static void arithmetic(void **state)
{
    CHECK_BOTH(add, _rr, add);
    CHECK_BOTH(sub, _rr, sub);
    CHECK_BOTH(mul, _rr, mul);
    CHECK_BOTH(and, _rr, and);
    CHECK_BOTH(or, _rr, or);
    CHECK_BOTH(xor, _rr, xor);
    CHECK_BOTH(add, _rrr, add_rrr);
}

static void shifts(void **state)
{
    CHECK_BOTH(shl, _rr, shl);
    CHECK_BOTH(shr_u, _rr, shr_u);
    CHECK_BOTH(shr_s, _rr, shr_s);
    CHECK_BOTH(rotl, _rr, rotl);
    CHECK_BOTH(rotr, _rr, rotr);
}

BOTH(add_ri, a + i)
BOTH(and_ri, a &i)
BOTH(or_ri, a | i)
BOTH(mul_ri, a *i)
BOTH(xor_ri, a ^ i)
BOTH(add_rri, b + i)

static void immediates(void **state)
{
    check_numbers(STENCIL_i32_add_ri, true, i32_add_ri, NULL);
    check_numbers(STENCIL_i64_add_ri, false, i64_add_ri, NULL);
    check_numbers(STENCIL_i32_and_ri, true, i32_and_ri, NULL);
    check_numbers(STENCIL_i64_and_ri, false, i64_and_ri, NULL);
    check_numbers(STENCIL_i32_or_ri, true, i32_or_ri, NULL);
    check_numbers(STENCIL_i64_or_ri, false, i64_or_ri, NULL);
    check_numbers(STENCIL_i32_xor_ri, true, i32_xor_ri, NULL);
    check_numbers(STENCIL_i64_xor_ri, false, i64_xor_ri, NULL);
    check_numbers(STENCIL_i32_mul_ri, true, i32_mul_ri, NULL);
    check_numbers(STENCIL_i64_mul_ri, false, i64_mul_ri, NULL);
    check_numbers(STENCIL_i32_add_rri, true, i32_add_rri, NULL);
    check_numbers(STENCIL_i64_add_rri, false, i64_add_rri, NULL);
}

BOTH(shl_ri, a << i)
BOTH(shr_s_ri, SIGNED(a) >> i)
BOTH(rotl_ri, a << i | a >> (BITS - i) % BITS)

static void shifts_by_numbers(void **state)
{
    for (int32_t i = 0; i < 64; i += 1 + i / 3) {
        if (i < 32) {
            check_form(STENCIL_i32_shl_ri, false, true, i, i32_shl_ri, NULL);
            check_form(STENCIL_i32_shr_s_ri, false, true, i, i32_shr_s_ri, NULL);
            check_form(STENCIL_i32_rotl_ri, false, true, i, i32_rotl_ri, NULL);
        }
        check_form(STENCIL_i64_shl_ri, false, false, i, i64_shl_ri, NULL);
        check_form(STENCIL_i64_shr_s_ri, false, false, i, i64_shr_s_ri, NULL);
        check_form(STENCIL_i64_rotl_ri, false, false, i, i64_rotl_ri, NULL);
    }
}

/* In case of a trap the value does not matter. */
BOTH(div_u, b ? a / b : 0)
BOTH(div_s, !b ? 0 : b == (__typeof__(b))-1 ? -a : (uint64_t)(SIGNED(a) / SIGNED(b)))
BOTH(rem_u, b ? a % b : 0)
BOTH(rem_s, !b || b == (__typeof__(b))-1 ? 0 : (uint64_t)(SIGNED(a) % SIGNED(b)))
#define TRAP_EXIT(trap) (EXIT_TRAP + (trap))

static int by_zero(struct in in)
{
    return in.b ? EXIT_NEXT : TRAP_EXIT(TRAP_DIVIDE_BY_ZERO);
}
static int overflow_32(struct in in)
{
    return in.a == 1u << 31 && in.b == UINT32_MAX ? TRAP_EXIT(TRAP_INTEGER_OVERFLOW) : by_zero(in);
}
static int overflow_64(struct in in)
{
    return in.a == 1ul << 63 && in.b == UINT64_MAX ? TRAP_EXIT(TRAP_INTEGER_OVERFLOW) : by_zero(in);
}

static void division(void **state)
{
    check(STENCIL_i32_div_u_rr, true, i32_div_u, by_zero);
    check(STENCIL_i64_div_u_rr, false, i64_div_u, by_zero);
    check(STENCIL_i32_rem_u_rr, true, i32_rem_u, by_zero);
    check(STENCIL_i64_rem_u_rr, false, i64_rem_u, by_zero);
    check(STENCIL_i32_rem_s_rr, true, i32_rem_s, by_zero);
    check(STENCIL_i64_rem_s_rr, false, i64_rem_s, by_zero);
    check(STENCIL_i32_div_s_rr, true, i32_div_s, overflow_32);
    check(STENCIL_i64_div_s_rr, false, i64_div_s, overflow_64);
}

BOTH(eq, b == c)
BOTH(lt_s, SIGNED(b) < SIGNED(c))
BOTH(lt_u, b < c)
BOTH(ge_s, SIGNED(b) >= SIGNED(c))
BOTH(eqz, b == 0)
BOTH(eq_ri, b == i)
BOTH(lt_s_ri, SIGNED(b) < SIGNED(i))
WANT(select_r, uint64_t, int64_t, (uint32_t)c ? a : b)
WANT(extend8_s, uint64_t, int64_t, (int8_t)b)
WANT(extend32_s, uint64_t, int64_t, (int32_t)b)
WANT(wrap, uint64_t, int64_t, (uint32_t)b)
BOTH(ctz, !b ? BITS : sizeof b == 4 ? (unsigned)__builtin_ctz((uint32_t)b) : (unsigned)__builtin_ctzl(b))
BOTH(clz, !b ? BITS : sizeof b == 4 ? (unsigned)__builtin_clz((uint32_t)b) : (unsigned)__builtin_clzl(b))

static void comparisons(void **state)
{
    CHECK_BOTH(eq, _rr, eq);
    CHECK_BOTH(lt_s, _rr, lt_s);
    CHECK_BOTH(lt_u, _rr, lt_u);
    CHECK_BOTH(ge_s, _rr, ge_s);
    CHECK_BOTH(eqz, , eqz);
    check_numbers(STENCIL_i32_eq_ri, true, i32_eq_ri, NULL);
    check_numbers(STENCIL_i64_eq_ri, false, i64_eq_ri, NULL);
    check_numbers(STENCIL_i32_lt_s_ri, true, i32_lt_s_ri, NULL);
    check_numbers(STENCIL_i64_lt_s_ri, false, i64_lt_s_ri, NULL);
}

static void others(void **state)
{
    check(STENCIL_select_r, false, select_r, NULL);
    check(STENCIL_i64_extend8_s, false, extend8_s, NULL);
    check(STENCIL_i64_extend32_s, false, extend32_s, NULL);
    check(STENCIL_i32_wrap_i64, false, wrap, NULL);
    check(STENCIL_move_i32, false, wrap, NULL);
    CHECK_BOTH(ctz, , ctz);
    CHECK_BOTH(clz, , clz);
}

#define BRANCH(name, T, expression)                                                                                    \
    static int name(struct in in)                                                                                      \
    {                                                                                                                  \
        T a = (T)in.a, b = (T)in.b, i = (T)in.imm;                                                                     \
        (void)a, (void)b, (void)i;                                                                                     \
        return (expression) ? EXIT_TAKEN : EXIT_NEXT;                                                                  \
    }
BRANCH(br_i32_lt_s, int32_t, a < b)
BRANCH(br_i64_lt_s, int64_t, a < b)
BRANCH(br_i32_gt_u, uint32_t, a > b)
BRANCH(br_i64_ne, uint64_t, a != b)
BRANCH(br_zero, uint64_t, a == 0)
BRANCH(br_nonzero, uint64_t, a != 0)
BRANCH(br_i32_eq_ri, uint32_t, a == i)
BRANCH(br_i32_ne_ri, uint32_t, a != i)
BRANCH(br_i32_gt_u_ri, uint32_t, a > i)
BRANCH(br_i32_lt_s_ri, int32_t, a < i)
BRANCH(br_i64_gt_u_ri, uint64_t, a > i)
BRANCH(br_i64_lt_s_ri, int64_t, a < i)
BRANCH(br_i64_eq_ri, uint64_t, a == i)

static void branches(void **state)
{
    check(STENCIL_br_i32_lt_s_rr, true, NULL, br_i32_lt_s);
    check(STENCIL_br_i64_lt_s_rr, false, NULL, br_i64_lt_s);
    check(STENCIL_br_i32_gt_u_rr, true, NULL, br_i32_gt_u);
    check(STENCIL_br_i64_ne_rr, false, NULL, br_i64_ne);
    check(STENCIL_br_i32_zero, true, NULL, br_zero);
    check(STENCIL_br_i32_nonzero, true, NULL, br_nonzero);
    check(STENCIL_br_i64_zero, false, NULL, br_zero);
    check(STENCIL_br_i64_nonzero, false, NULL, br_nonzero);
    check_numbers(STENCIL_br_i32_eq_ri, true, NULL, br_i32_eq_ri);
    check_numbers(STENCIL_br_i32_ne_ri, true, NULL, br_i32_ne_ri);
    check_numbers(STENCIL_br_i32_gt_u_ri, true, NULL, br_i32_gt_u_ri);
    check_numbers(STENCIL_br_i32_lt_s_ri, true, NULL, br_i32_lt_s_ri);
    check_numbers(STENCIL_br_i64_gt_u_ri, false, NULL, br_i64_gt_u_ri);
    check_numbers(STENCIL_br_i64_lt_s_ri, false, NULL, br_i64_lt_s_ri);
    check_numbers(STENCIL_br_i64_eq_ri, false, NULL, br_i64_eq_ri);
}

/* Memory around what CONTEXT, FRAME and addresses point to. */
#define MEMORY_SIZE 4096
static uint8_t memory[MEMORY_SIZE];
static uint8_t *const middle = memory + MEMORY_SIZE / 2;
static const int32_t near_offsets[] = {0, 8, 127, -128}, far_offsets[] = {128, -129, 1000, -1000};

static void fill_memory(void)
{
    for (unsigned i = 0; i < MEMORY_SIZE; i++)
        memory[i] = (uint8_t)mixed(i);
}

struct access {
    enum stencil_name name;
    uint8_t base; /* the register; RDI: operand B alone; RSP: CONTEXT and B */
    uint8_t size;
    enum { LOAD, STORE = 1, VECTOR = 2, SIGN_32 = 4, SIGN_64 = 8 } how;
};

/* What a load of the cell gives. */
static v128 loaded(const struct access *access, const uint8_t *cell)
{
    v128 value = {0, 0};
    memcpy(&value, cell, access->size);
    unsigned unused = 64 - 8u * access->size;
    if (access->how & (SIGN_32 | SIGN_64))
        value[0] = (uint64_t)((int64_t)(value[0] << unused) >> unused);
    if (access->how & SIGN_32)
        value[0] = (uint32_t)value[0];
    return value;
}

static void check_load(const struct access *access, const struct holes *holes, struct machine *before, uint8_t *cell)
{
    struct machine after = *before;
    bool vector = access->how & VECTOR;
    int reg = vector ? -1 : holes->regs[REG_A], vec = vector ? holes->regs[REG_X] : -1;
    assert_int_equal(call_stencil(&after, code), EXIT_NEXT);
    check_kept(access->name, before, &after, reg, vec);
    v128 wanted = loaded(access, cell), is = vector ? after.v[vec] : (v128){after.r[reg], 0};
    if (memcmp(&wanted, &is, 16) != 0)
        fail_msg("%s at %d: %#lx and not %#lx", stencil_names[access->name], holes->imm, is[0], wanted[0]);
}

static void check_store(const struct access *access, const struct holes *holes, struct machine *before, uint8_t *cell)
{
    static uint8_t wanted[MEMORY_SIZE];
    struct machine after = *before;
    fill_memory();
    memcpy(wanted, memory, MEMORY_SIZE);
    const void *source = &before->r[holes->regs[REG_A]];
    if (access->how & VECTOR)
        source = &before->v[holes->regs[REG_X]];
    memcpy(wanted + (cell - memory), source, access->size);
    assert_int_equal(call_stencil(&after, code), EXIT_NEXT);
    check_kept(access->name, before, &after, -1, -1);
    if (memcmp(wanted, memory, MEMORY_SIZE) != 0)
        fail_msg("%s at %d stores something else", stencil_names[access->name], holes->imm);
}

static void check_access(const struct access *access, int32_t offset, bool far)
{
    for (unsigned n = 0; n < CHOICES; n++) {
        struct holes holes = {.imm = offset};
        choose(&holes, n);
        put(far ? &stencils[access->name].far : &stencils[access->name].near, &holes);
        struct machine machine = any_machine();
        uint64_t index = access->base == RSP ? n : 0, address = (uint64_t)middle;
        machine.r[holes.regs[REG_B]] = access->base == RDI ? address : index;
        machine.r[RBP] = access->base == RBP ? address : 1;
        machine.r[R12] = access->base == RBP ? 1 : address;
        (access->how & STORE ? check_store : check_load)(access, &holes, &machine, middle + index + offset);
    }
}

static void check_accesses(const struct access *rows, size_t count, bool offsets)
{
    fill_memory();
    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 4; k++) {
            check_access(&rows[i], offsets ? near_offsets[k] : 0, false);
            check_access(&rows[i], offsets ? near_offsets[k] : 0, true);
            check_access(&rows[i], offsets ? far_offsets[k] : 0, true);
        }
}

static void frame_cells(void **state)
{
    static const struct access rows[] = {
        {STENCIL_get_32, RBP, 4, LOAD},
        {STENCIL_get_64, RBP, 8, LOAD},
        {STENCIL_get_f32, RBP, 4, VECTOR},
        {STENCIL_get_v, RBP, 16, VECTOR},
        {STENCIL_set_32, RBP, 4, STORE},
        {STENCIL_set_64, RBP, 8, STORE},
        {STENCIL_set_f64, RBP, 8, STORE | VECTOR},
        {STENCIL_set_v, RBP, 16, STORE | VECTOR},
    };
    check_accesses(rows, sizeof rows / sizeof *rows, true);
}

static void linear_memory(void **state)
{
    static const struct access rows[] = {
        {STENCIL_load_8u_rx, RSP, 1, LOAD},
        {STENCIL_load_16u_rc, R12, 2, LOAD},
        {STENCIL_load_64_rx, RSP, 8, LOAD},
        {STENCIL_load_8s_32_rx, RSP, 1, SIGN_32},
        {STENCIL_load_16s_64_rc, R12, 2, SIGN_64},
        {STENCIL_load_f64_rx, RSP, 8, VECTOR},
        {STENCIL_load_v_rx, RSP, 16, VECTOR},
        {STENCIL_store_8_rx, RSP, 1, STORE},
        {STENCIL_store_16_rc, R12, 2, STORE},
        {STENCIL_store_64_rx, RSP, 8, STORE},
        {STENCIL_store_v_rx, RSP, 16, STORE | VECTOR},
    };
    check_accesses(rows, sizeof rows / sizeof *rows, true);
}

/* The address register may be one that cannot be encoded without a displacement. */
static void addresses(void **state)
{
    static const struct access rows[] = {
        {STENCIL_load_8u_ra, RDI, 1, LOAD},
        {STENCIL_load_32s_64_ra, RDI, 4, SIGN_64},
        {STENCIL_load_f32_ra, RDI, 4, VECTOR},
        {STENCIL_store_8_ra, RDI, 1, STORE},
        {STENCIL_store_v_ra, RDI, 16, STORE | VECTOR},
    };
    bool offsets =
        memcmp(&stencils[STENCIL_load_8u_ra].far, &stencils[STENCIL_load_8u_ra].near, sizeof(struct stencil_form));
    check_accesses(rows, sizeof rows / sizeof *rows, offsets);
}

/* Stencils that make X, executed once for each choice of registers. */
static v128 make_vector(enum stencil_name name, const struct holes *numbers, v128 x, v128 y, unsigned n)
{
    struct holes holes = *numbers;
    choose(&holes, n);
    struct machine before = any_machine(), after;
    before.v[holes.regs[REG_X]] = x;
    before.v[holes.regs[REG_Y]] = y;
    after = before;
    put(&stencils[name].far, &holes);
    assert_int_equal(call_stencil(&after, code), EXIT_NEXT);
    check_kept(name, &before, &after, -1, holes.regs[REG_X]);
    return after.v[holes.regs[REG_X]];
}

static void vectors(void **state)
{
    struct holes numbers = {.imm = -0x12345678, .imm64 = 0xc0de123456789abc};
    v128 x = {mixed(1), mixed(2)}, y = {mixed(3), mixed(4)}, value;
    for (unsigned n = 0; n < VECTORS * (VECTORS - 1); n++) {
        value = make_vector(STENCIL_move_v, &numbers, x, y, n);
        assert_memory_equal(&value, &y, 16);
        assert_int_equal(make_vector(STENCIL_const_f32, &numbers, x, y, n)[0], (uint32_t)numbers.imm);
        assert_true(make_vector(STENCIL_const_f64, &numbers, x, y, n)[0] == numbers.imm64);
        value = make_vector(STENCIL_zero_v, &numbers, x, y, n);
        assert_true(value[0] == 0 && value[1] == 0);
        /* With a constant of the pool. */
        assert_true(make_vector(STENCIL_f64_neg, &numbers, x, y, n)[0] == (y[0] ^ 1ul << 63));
        assert_true(make_vector(STENCIL_f64_abs, &numbers, x, y, n)[0] == (y[0] & ~(1ul << 63)));
    }
}

static void constants(void **state)
{
    struct holes holes = {.imm = INT32_MIN + 5, .imm64 = 0x8123456789abcdef};
    for (unsigned n = 0; n < CHOICES; n++) {
        const enum stencil_name names[] = {STENCIL_const_i32, STENCIL_const_i64_s, STENCIL_const_i64, STENCIL_zero};
        const uint64_t wanted[] = {(uint32_t)holes.imm, (uint64_t)(int64_t)holes.imm, holes.imm64, 0};
        choose(&holes, n);
        for (unsigned i = 0; i < 4; i++) {
            struct machine before = any_machine(), after = before;
            put(&stencils[names[i]].far, &holes);
            assert_int_equal(call_stencil(&after, code), EXIT_NEXT);
            assert_true(after.r[holes.regs[REG_A]] == wanted[i]);
            check_kept(names[i], &before, &after, holes.regs[REG_A], -1);
        }
    }
}

/* The tables. */

static unsigned field_size(const struct stencil_field *field)
{
    return field->hole == HOLE_REG || field->hole == HOLE_IMM8 ? 1 : field->hole == HOLE_IMM64 ? 8 : 4;
}

/* A field is inside of the code, where there are zeros, and says what there is; operands come before all others. */
static void check_field(const char *name, const struct stencil_form *form, unsigned i)
{
    const struct stencil_field *field = &stencil_fields_of(form)[i];
    const uint8_t *bytes = stencil_code_of(form);
    unsigned size = field_size(field), limit = field->hole == HOLE_REG    ? REGS
                                               : field->hole == HOLE_TRAP ? TRAP_COUNT
                                                                          : 4;
    bool good = field->at + size <= form->size && field->arg < limit && field->hole <= HOLE_CALLEE;
    if (field->hole == HOLE_REG) {
        good = good && field->shift <= 5 && field->rex < field->at && field->rex_shift <= 2;
        good = good && !(bytes[field->at] & 7 << field->shift) && !(bytes[field->rex] & 1 << field->rex_shift);
        good = good && (i == 0 || field[-1].hole == HOLE_REG);
    }
    for (unsigned k = 0; field->hole >= HOLE_IMM8 && field->hole < HOLE_POOL && k < size; k++)
        good = good && bytes[field->at + k] == 0;
    if (!good)
        fail_msg("%s: field %u", name, i);
}

/* What the generator deals out is what is tried here, and what stencils.py has tried. */
static void registers(void **state)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < INTS; i++)
        mask |= 1u << ints[i];
    assert_int_equal(mask, ALLOCATABLE_INTS);
    assert_int_equal((1u << VECTORS) - 1, ALLOCATABLE_VECS >> XMM0 >> VECTOR_FIRST);
    assert_int_equal(REG_CONTEXT, R12);
    assert_int_equal(REG_FRAME, RBP);
}

static void tables(void **state)
{
    for (unsigned i = 0; i < STENCIL_COUNT; i++) {
        const struct stencil *stencil = &stencils[i];
        if (stencil->near.size > stencil->far.size)
            fail_msg("%s is longer in short", stencil_names[i]);
        for (unsigned k = 0; k < stencil_field_count(&stencil->far); k++)
            check_field(stencil_names[i], &stencil->far, k);
        for (unsigned k = 0; k < stencil_field_count(&stencil->near); k++)
            check_field(stencil_names[i], &stencil->near, k);
    }
    assert_string_equal(stencil_names[STENCIL_i32_add_rr], "i32_add_rr");
    assert_int_equal((uintptr_t)stencil_pool % 16, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),    cmocka_unit_test(registers),   cmocka_unit_test(arithmetic),
        cmocka_unit_test(shifts),    cmocka_unit_test(immediates),  cmocka_unit_test(shifts_by_numbers),
        cmocka_unit_test(division),  cmocka_unit_test(comparisons), cmocka_unit_test(others),
        cmocka_unit_test(branches),  cmocka_unit_test(frame_cells), cmocka_unit_test(linear_memory),
        cmocka_unit_test(addresses), cmocka_unit_test(vectors),     cmocka_unit_test(constants),
    };
    return cmocka_run_group_tests(tests, open_code, close_code);
}

#else

int main(void)
{
    return 0;
}

#endif
