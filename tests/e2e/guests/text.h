/* A report that a guest puts together: without <stdio.h>, which would import files and their adapter. */
#ifndef MAYFLY_TESTS_GUESTS_TEXT_H
#define MAYFLY_TESTS_GUESTS_TEXT_H

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static char report[32768];
static size_t reported;

static void say_bytes(const char *bytes, size_t size)
{
    if (size > sizeof report - 1 - reported)
        size = sizeof report - 1 - reported;
    memcpy(report + reported, bytes, size);
    reported += size;
}

static void say_number(uint64_t number, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = "0123456789abcdef"[number % base];
    while (number /= base);
    say_bytes(digits + at, sizeof digits - at);
}

/* Knows %s, %u, %d, %x and %l (uint64_t) only. */
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            say_bytes(format, 1);
            continue;
        }
        switch (*++format) {
        case 's': {
            const char *text = va_arg(args, const char *);
            say_bytes(text, strlen(text));
            break;
        }
        case 'x': say_number(va_arg(args, unsigned), 16); break;
        case 'l': say_number(va_arg(args, uint64_t), 10); break;
        default: say_number(va_arg(args, unsigned), 10);
        }
    }
    va_end(args);
}

#endif
