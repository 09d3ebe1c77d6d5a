/* See say.h. */
#include "develop/say.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void say(const char *format, ...)
{
    char line[2048], shown[TEXT_SHOWN];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    struct str all = str_of(line);
    for (size_t at = 0; at < all.len;) {
        at += text_next(all, at, shown);
        fputs(shown, stderr);
    }
    fputc('\n', stderr);
}
