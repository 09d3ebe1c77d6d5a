/* For guests with abi.h: a report, and an answer that has it. Results lie at the offsets that each guest writes down.
 */
#ifndef MAYFLY_TESTS_GUESTS_PLAIN_H
#define MAYFLY_TESTS_GUESTS_PLAIN_H

#include "abi.h"

struct text {
    const char *ptr;
    size_t len;
};

/* ---- the report ---- */

static char report[65536];
static size_t reported;

static inline void say_text(struct text text)
{
    for (size_t i = 0; i < text.len && reported < sizeof report; i++)
        report[reported++] = text.ptr[i];
}

static inline void say(const char *text)
{
    size_t size = 0;
    while (text[size])
        size++;
    say_text((struct text){text, size});
}

static inline void say_number(uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    say_text((struct text){digits + at, sizeof digits - at});
}

/* ---- results ---- */

static _Alignas(8) uint8_t ret[64];

static inline uint32_t word_at(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, 4);
    return value;
}

static inline struct text text_at(const uint8_t *at)
{
    return (struct text){(const char *)(size_t)word_at(at), word_at(at + 4)};
}

static inline bool starts(struct text text, const char *prefix)
{
    for (size_t i = 0; prefix[i]; i++)
        if (i == text.len || text.ptr[i] != prefix[i])
            return false;
    return true;
}

#endif
