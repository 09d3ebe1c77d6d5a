/* See calls.h. The numbers of all calls fall into runs with one fate, and a filter is a binary search for the run: the
 * kernel goes through a new filter once for every number, to know which of them it need not be asked about again. */
#include "io/calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define NUMBERS (CALLS_LAST + 2) /* the last stands for all that came later */
#define CHECKED 0x100u           /* a fate that has to be found by checks: and the verdict if none holds */

struct filter {
    const struct calls_rule *rules;
    size_t count;
    uint32_t sets;
    uint16_t fates[NUMBERS]; /* by number: a verdict, perhaps with CHECKED */
    struct sock_filter *code;
    size_t size;
    bool full;
};

static void emit(struct filter *filter, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    filter->full = filter->full || filter->size == CALLS_CODE_MAX;
    if (!filter->full)
        filter->code[filter->size++] = (struct sock_filter){code, jt, jf, k};
}

static void emit_load(struct filter *filter, size_t offset)
{
    emit(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_verdict(struct filter *filter, unsigned verdict)
{
    static const uint32_t values[] = {
        [CALLS_DENY] = SECCOMP_RET_ERRNO | EPERM,
        [CALLS_LACK] = SECCOMP_RET_ERRNO | ENOSYS,
        [CALLS_ALLOW] = SECCOMP_RET_ALLOW,
        [CALLS_KILL] = SECCOMP_RET_KILL_PROCESS,
    };
    emit(filter, BPF_RET | BPF_K, values[verdict], 0, 0);
}

/* ---- checks: jumps that leave the rule have 1 where emit_rule puts the distance ---- */

static void emit_equal(struct filter *filter, uint32_t value)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

static void emit_check(struct filter *filter, const struct calls_check *check)
{
    size_t low = offsetof(struct seccomp_data, args) + check->argument * sizeof(uint64_t);
    emit_load(filter, low);
    switch (check->test) {
    case CALLS_IS: emit_equal(filter, check->value); break;
    case CALLS_WITHIN: emit(filter, BPF_JMP | BPF_JSET | BPF_K, ~check->value, 1, 0); break;
    case CALLS_WITHOUT: emit(filter, BPF_JMP | BPF_JSET | BPF_K, check->value, 1, 0); break;
    case CALLS_TOUCHING: emit(filter, BPF_JMP | BPF_JSET | BPF_K, check->value, 0, 1); break;
    case CALLS_WITH:
        emit(filter, BPF_ALU | BPF_AND | BPF_K, check->value, 0, 0);
        emit_equal(filter, check->value);
        break;
    case CALLS_ZERO:
        emit_equal(filter, 0);
        emit_load(filter, low + sizeof(uint32_t));
        emit_equal(filter, 0);
        break;
    default: emit_equal(filter, (uint32_t)getpid());
    }
}

static void emit_rule(struct filter *filter, const struct calls_rule *rule)
{
    size_t start = filter->size;
    for (int i = 0; i < CALLS_CHECKS_MAX && rule->checks[i].test != CALLS_ANY; i++)
        emit_check(filter, &rule->checks[i]);
    emit_verdict(filter, rule->verdict);
    for (size_t at = start; at < filter->size; at++) {
        struct sock_filter *jump = &filter->code[at];
        uint8_t distance = (uint8_t)(filter->size - at - 1);
        jump->jt = jump->jt ? distance : 0;
        jump->jf = jump->jf ? distance : 0;
    }
}

/* ---- fates ---- */

static bool counts(const struct filter *filter, const struct calls_rule *rule)
{
    return (rule->sets & filter->sets) && rule->call >= 0;
}

static void decide(struct filter *filter)
{
    static const int hostile[] = {
#define CALL(name) __NR_##name,
#include "io/calls_hostile.def"
#undef CALL
    };
    memset(filter->fates, 0, sizeof filter->fates);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        if (hostile[i] >= 0)
            filter->fates[hostile[i]] = CALLS_KILL;
    filter->fates[NUMBERS - 1] = CALLS_LACK;
    for (size_t i = 0; i < filter->count; i++) {
        const struct calls_rule *rule = &filter->rules[i];
        if (!counts(filter, rule))
            continue;
        if (rule->checks[0].test != CALLS_ANY)
            filter->fates[rule->call] |= CHECKED;
        else
            filter->fates[rule->call] = (uint16_t)((filter->fates[rule->call] & CHECKED) | rule->verdict);
    }
}

/* Checked fates belong to one number each. */
static void emit_fate(struct filter *filter, int number)
{
    unsigned fate = filter->fates[number];
    for (size_t i = 0; (fate & CHECKED) && i < filter->count; i++) {
        const struct calls_rule *rule = &filter->rules[i];
        if (counts(filter, rule) && rule->call == number && rule->checks[0].test != CALLS_ANY)
            emit_rule(filter, rule);
    }
    emit_verdict(filter, fate & ~CHECKED);
}

/* ---- the search ---- */

static size_t find_runs(const struct filter *filter, uint16_t starts[NUMBERS])
{
    size_t count = 0;
    for (uint16_t number = 0; number < NUMBERS; number++)
        if (number == 0 || (filter->fates[number] & CHECKED) || filter->fates[number] != filter->fates[number - 1])
            starts[count++] = number;
    return count;
}

/* Past the code from `at` on if the number is `start` or more; that code lies behind one free instruction. A
 * conditional jump reaches 255 instructions, another one any. */
static void skip_if_above(struct filter *filter, size_t at, uint16_t start)
{
    size_t size = filter->size - at - 1;
    if (size > UINT8_MAX)
        emit(filter, BPF_JMP | BPF_JA, 0, 0, 0);
    if (filter->full)
        return;
    struct sock_filter *code = &filter->code[at];
    if (size > UINT8_MAX) {
        memmove(code + 2, code + 1, size * sizeof *code);
        code[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, start, 0, 1);
        code[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)size);
    } else {
        code[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, start, (uint8_t)size, 0);
    }
}

/* The number is in one of `count` runs. */
static void emit_search(struct filter *filter, const uint16_t *starts, size_t count)
{
    if (count == 1) {
        emit_fate(filter, starts[0]);
        return;
    }
    size_t half = count / 2, at = filter->size;
    emit(filter, 0, 0, 0, 0);
    emit_search(filter, starts, half);
    skip_if_above(filter, at, starts[half]);
    emit_search(filter, starts + half, count - half);
}

size_t calls_compile(const struct calls_rule *rules, size_t count, uint32_t sets,
                     struct sock_filter ret_code[CALLS_CODE_MAX])
{
    struct filter filter = {.rules = rules, .count = count, .sets = sets, .code = ret_code};
    uint16_t starts[NUMBERS];
    decide(&filter);
    emit_load(&filter, offsetof(struct seccomp_data, arch));
    emit(&filter, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    emit_verdict(&filter, CALLS_KILL);
    emit_load(&filter, offsetof(struct seccomp_data, nr));
    emit_search(&filter, starts, find_runs(&filter, starts));
    return filter.full ? 0 : filter.size;
}

bool calls_restrict(const struct calls_rule *rules, size_t count, uint32_t sets, bool *ret_lacking, struct err *err)
{
    struct sock_filter code[CALLS_CODE_MAX];
    const struct sock_fprog program = {(unsigned short)calls_compile(rules, count, sets, code), code};
    if (!program.len)
        return err_set(err, ERR_LIMIT, "the filter of system calls takes more than %d instructions", CALLS_CODE_MAX);
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    *ret_lacking = result != 0 && (errno == ENOSYS || errno == EINVAL);
    return result == 0 || *ret_lacking || err_errno(err, "cannot enter the filter of system calls");
}
