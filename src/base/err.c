/* Implements the error contract of err.h: formatting only, no allocation, so that an error about
 * memory can be reported when there is none. */
#include "base/err.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool fill(struct err *err, enum err_kind kind, uint64_t offset, const char *format, va_list args)
{
    if (!err)
        return false;
    err->kind = kind;
    err->offset = offset;
    err->remedy[0] = '\0';
    vsnprintf(err->message, sizeof err->message, format, args);
    return false;
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, kind, ERR_NO_OFFSET, format, args);
    va_end(args);
    return false;
}

bool err_at(struct err *err, enum err_kind kind, uint64_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, kind, offset, format, args);
    va_end(args);
    return false;
}

bool err_errno(struct err *err, const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    fill(err, ERR_SYSTEM, ERR_NO_OFFSET, format, args);
    va_end(args);
    if (err) {
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(saved));
    }
    return false;
}

bool err_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "out of memory");
}

bool err_remedy(struct err *err, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(err->remedy, sizeof err->remedy, format, args);
    va_end(args);
    return false;
}

/* Messages quote names of the input. */
static void show(const char *text)
{
    char shown[TEXT_SHOWN];
    struct str all = str_of(text);
    for (size_t at = 0; at < all.len;) {
        at += text_next(all, at, shown);
        fputs(shown, stderr);
    }
}

void err_print(const struct err *err, const char *subject)
{
    fputs("error: ", stderr);
    if (subject) {
        show(subject);
        fputs(": ", stderr);
    }
    if (err->offset != ERR_NO_OFFSET)
        fprintf(stderr, "offset 0x%" PRIx64 ": ", err->offset);
    show(err->message);
    fputc('\n', stderr);
    if (err->remedy[0]) {
        show(err->remedy);
        fputc('\n', stderr);
    }
}

bool err_within(struct err *err, const char *format, ...)
{
    if (!err)
        return false;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message - 2, format, args);
    va_end(args);
    size_t used = strlen(err->message), left = sizeof err->message - used - 2;
    memcpy(err->message + used, ": ", 2);
    size_t size = strnlen(message, left - 1);
    memcpy(err->message + used + 2, message, size);
    err->message[used + 2 + size] = '\0';
    return false;
}
