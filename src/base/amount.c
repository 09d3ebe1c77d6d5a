/* See amount.h. */
#include "base/amount.h"

struct scale {
    struct str name;
    uint64_t factor;
};

/* Digits, then one of the units. False also beyond `max`. */
static bool take_amount(struct str text, const struct scale *scales, size_t count, uint64_t max, uint64_t *ret_amount)
{
    uint64_t number = 0;
    size_t at = 0, scale = 0;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.ptr[at] - '0'), &number))
            return false;
    if (at == 0)
        return false;
    while (scale < count && !str_eq(scales[scale].name, str_slice(text, at, text.len)))
        scale++;
    if (scale == count || __builtin_mul_overflow(number, scales[scale].factor, &number) || number > max)
        return false;
    *ret_amount = number;
    return true;
}

bool amount_size(struct str text, uint64_t *ret_bytes)
{
    static const struct scale scales[] = {
        {{"", 0}, 1},
        {{"K", 1}, (uint64_t)1 << 10},
        {{"M", 1}, (uint64_t)1 << 20},
        {{"G", 1}, (uint64_t)1 << 30},
        {{"KiB", 3}, (uint64_t)1 << 10},
        {{"MiB", 3}, (uint64_t)1 << 20},
        {{"GiB", 3}, (uint64_t)1 << 30},
    };
    return take_amount(text, scales, sizeof scales / sizeof *scales, UINT64_MAX, ret_bytes);
}

bool amount_duration(struct str text, uint64_t *ret_ns)
{
    static const struct scale scales[] = {
        {{"ms", 2}, 1000000}, {{"s", 1}, 1000000000}, {{"m", 1}, 60000000000}, {{"h", 1}, 3600000000000}};
    return take_amount(text, scales, sizeof scales / sizeof *scales, AMOUNT_DURATION_MAX, ret_ns);
}
