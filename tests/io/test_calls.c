/* The filters that tables make: by an interpreter here, against the rules read one by one. What the kernel makes of
 * them is tested where they are used (node/sandbox, compile/jail). */
#include "io/calls_rows.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define DENY (SECCOMP_RET_ERRNO | EPERM)
#define LACK (SECCOMP_RET_ERRNO | ENOSYS)
#define RULES_MAX 200u

static const uint32_t verdicts[] = {DENY, LACK, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS};

/* The instructions that filters are made of. */
static uint32_t run_filter(const struct sock_filter *code, size_t size, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t at = 0; at < size; at++) {
        const struct sock_filter *i = &code[at];
        bool holds;
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k % 4 == 0 && i->k + 4 <= sizeof *data);
            memcpy(&a, (const char *)data + i->k, 4);
            continue;
        case BPF_RET | BPF_K: return i->k;
        case BPF_ALU | BPF_AND | BPF_K: a &= i->k; continue;
        case BPF_JMP | BPF_JA: at += i->k; continue;
        case BPF_JMP | BPF_JEQ | BPF_K: holds = a == i->k; break;
        case BPF_JMP | BPF_JGE | BPF_K: holds = a >= i->k; break;
        case BPF_JMP | BPF_JSET | BPF_K: holds = (a & i->k) != 0; break;
        default: fail_msg("an instruction %#x", i->code); return 0;
        }
        at += holds ? i->jt : i->jf;
    }
    fail_msg("the filter has no end");
    return 0;
}

static uint32_t judge(const struct calls_rule *rules, size_t count, uint32_t sets, const struct seccomp_data *data)
{
    static struct sock_filter code[CALLS_CODE_MAX];
    size_t size = calls_compile(rules, count, sets, code);
    assert_true(size > 0);
    return run_filter(code, size, data);
}

static uint32_t judge_call(const struct calls_rule *rules, size_t count, int number, uint64_t first)
{
    struct seccomp_data data = {.nr = number, .arch = ARCHITECTURE, .args = {first}};
    return judge(rules, count, 1, &data);
}

static void test_checks(void **state)
{
    const struct {
        uint8_t test;
        uint32_t value;
        uint64_t yes[3], no[3];
    } rows[] = {
        {CALLS_IS, 7, {7, UINT64_C(0x100000007), 7}, {0, 6, 0x70007}},
        {CALLS_WITHIN, 6, {0, 2, 6}, {1, 7, 0x80000000}},
        {CALLS_WITHOUT, 6, {0, 1, 0xfffffff9}, {2, 4, 7}},
        {CALLS_WITH, 6, {6, 7, 0xffffffff}, {0, 2, 4}},
        {CALLS_TOUCHING, 6, {2, 4, 7}, {0, 1, 8}},
        {CALLS_ZERO, 0, {0, 0, 0}, {1, UINT64_C(0x100000000), UINT64_C(0x8000000000000000)}},
        {CALLS_SELF, 0, {(uint64_t)getpid(), (uint64_t)getpid(), (uint64_t)getpid()}, {0, 1, UINT32_MAX}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct calls_rule rule = {330, CALLS_ALLOW, 1, {{0, rows[i].test, rows[i].value}}};
        for (int k = 0; k < 3; k++) {
            assert_int_equal(judge_call(&rule, 1, 330, rows[i].yes[k]), SECCOMP_RET_ALLOW);
            assert_int_equal(judge_call(&rule, 1, 330, rows[i].no[k]), DENY);
        }
        assert_int_equal(judge_call(&rule, 1, 329, rows[i].yes[0]), DENY);
        assert_int_equal(judge_call(&rule, 1, 331, rows[i].yes[0]), DENY);
    }
}

/* All checks of a rule hold, the first such rule decides, and one without checks is for the rest. */
static void test_order(void **state)
{
    static const struct calls_rule rules[] = {
        {40, CALLS_LACK, 1, {{0, CALLS_IS, 1}, {1, CALLS_IS, 2}, {5, CALLS_IS, 3}}},
        {40, CALLS_KILL, 1, {{0, CALLS_IS, 1}}},
        {40, CALLS_ALLOW, 1, {{0}}},
        {41, CALLS_ALLOW, 2, {{0}}},
        {-1, CALLS_ALLOW, 1, {{0}}},
    };
    struct seccomp_data data = {.nr = 40, .arch = ARCHITECTURE, .args = {1, 2, 0, 0, 0, 3}};
    assert_int_equal(judge(rules, 5, 1, &data), LACK);
    data.args[5] = 4;
    assert_int_equal(judge(rules, 5, 1, &data), SECCOMP_RET_KILL_PROCESS);
    data.args[0] = 2;
    assert_int_equal(judge(rules, 5, 1, &data), SECCOMP_RET_ALLOW);
    data.nr = 41;
    assert_int_equal(judge(rules, 5, 1, &data), DENY);
    assert_int_equal(judge(rules, 5, 3, &data), SECCOMP_RET_ALLOW);
}

static void test_numbers(void **state)
{
    static const struct calls_rule none = {.call = -1};
    struct seccomp_data data = {.nr = __NR_ptrace, .arch = ARCHITECTURE};
    assert_int_equal(judge(&none, 1, 1, &data), SECCOMP_RET_KILL_PROCESS);
    static const struct {
        int number;
        uint32_t verdict;
    } rows[] = {{CALLS_LAST, DENY},
                {CALLS_LAST + 1, LACK},
                {100000, LACK},
                {-1, LACK},
                {0x40000000 | __NR_getpid, LACK}}; /* the x32 form */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        data.nr = rows[i].number;
        assert_int_equal(judge(&none, 1, 1, &data), rows[i].verdict);
    }
    data = (struct seccomp_data){.nr = __NR_getpid, .arch = AUDIT_ARCH_I386};
    assert_int_equal(judge(&none, 1, 1, &data), SECCOMP_RET_KILL_PROCESS);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Many tables, every number: the search finds each number's rules, however far the jumps go. */
static void test_search(void **state)
{
    static struct calls_rule rules[RULES_MAX];
    static struct sock_filter code[CALLS_CODE_MAX];
    uint32_t seed = 1, fitting = 0;
    for (int table = 0; table < 300; table++) {
        uint32_t count = next(&seed) % RULES_MAX;
        uint8_t fates[CALLS_LAST + 1] = {0};
        bool known[CALLS_LAST + 1] = {0};
        for (uint32_t i = 0; i < count; i++) {
            int call = (int)(next(&seed) % (CALLS_LAST + 1));
            rules[i] = (struct calls_rule){call, (uint8_t)(next(&seed) % 4), 1, {{0}}};
            if (next(&seed) % 2) /* the same with a check that holds */
                rules[i].checks[0] = (struct calls_check){0, CALLS_IS, 5};
            if (known[call])
                rules[i].call = -1;
            else
                fates[call] = rules[i].verdict;
            known[call] = true;
        }
        size_t size = calls_compile(rules, count, 1, code);
        fitting += size > 0;
        for (int number = 0; size && number <= CALLS_LAST; number++) {
            struct seccomp_data data = {.nr = number, .arch = ARCHITECTURE, .args = {5}};
            if (known[number])
                assert_int_equal(run_filter(code, size, &data), verdicts[fates[number]]);
        }
    }
    assert_int_equal(fitting, 300);
}

/* What does not fit is said, and nothing is written behind the end. */
static void test_full(void **state)
{
    static struct calls_rule rules[CALLS_LAST];
    static struct {
        struct sock_filter code[CALLS_CODE_MAX], behind;
    } room;
    for (int i = 0; i < CALLS_LAST; i++)
        rules[i] = (struct calls_rule){i, CALLS_ALLOW, 1, {{0, CALLS_IS, 1}, {1, CALLS_WITH, 1}, {2, CALLS_ZERO, 0}}};
    assert_int_equal(calls_compile(rules, CALLS_LAST, 1, room.code), 0);
    assert_int_equal(room.behind.code, 0);
    assert_int_equal(room.behind.k, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_checks), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_numbers), cmocka_unit_test(test_search),
                                       cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
