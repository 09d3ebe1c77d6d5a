/* Numbers with units on the command line: sizes and durations. */
#include "cli/cli.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>

struct scale {
    const char *name;
    uint64_t factor;
};

/* Digits, then one of the units (up to a row without a name). False also beyond `max`. */
static bool take_amount(const char *text, const struct scale *scales, uint64_t max, uint64_t *ret_amount)
{
    uint64_t number = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
            return false;
    if (at == text)
        return false;
    while (scales->name && strcmp(scales->name, at) != 0)
        scales++;
    if (!scales->name || __builtin_mul_overflow(number, scales->factor, &number) || number > max)
        return false;
    *ret_amount = number;
    return true;
}

bool cli_size(const char *text, uint64_t *ret_bytes)
{
    static const struct scale scales[] = {{"", 1},
                                          {"K", (uint64_t)1 << 10},
                                          {"M", (uint64_t)1 << 20},
                                          {"G", (uint64_t)1 << 30},
                                          {"KiB", (uint64_t)1 << 10},
                                          {"MiB", (uint64_t)1 << 20},
                                          {"GiB", (uint64_t)1 << 30},
                                          {0}};
    return take_amount(text, scales, UINT64_MAX, ret_bytes);
}

bool cli_duration(const char *text, uint64_t *ret_ns)
{
    static const struct scale scales[] = {
        {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {0}};
    return take_amount(text, scales, CLI_DURATION_MAX, ret_ns);
}
