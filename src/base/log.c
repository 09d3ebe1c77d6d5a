/* See log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static enum log_level current = LOG_INFO;
static const char *const level_names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

void log_level_set(enum log_level level)
{
    current = level;
}

bool log_enabled(enum log_level level)
{
    return level <= current;
}

static size_t head(char *line, enum log_level level, const char *scope)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, 64, ".%03dZ %s ", (int)(now.tv_nsec / 1000000), level_names[level]);
    if (scope)
        n += (size_t)snprintf(line + n, 160, "[%.150s] ", scope);
    return n;
}

/* Append `text` with control bytes escaped, leaving room for the newline. */
static size_t escape(char *line, size_t n, struct str text)
{
    for (size_t i = 0; i < text.len && n + 6 < LINE_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t')
            line[n++] = (char)c;
        else
            n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
    }
    return n;
}

static void put(char *line, size_t n)
{
    line[n++] = '\n';
    ssize_t done = write(STDERR_FILENO, line, n);
    (void)done; /* a log that cannot be written has nowhere to say so */
}

void log_line(enum log_level level, const char *scope, const char *format, ...)
{
    char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES / 2];
    if (level > current)
        return;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0)
        return;
    size_t length = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    put(line, escape(line, head(line, level, scope), (struct str){text, length}));
}

void log_guest(const char *scope, const char *stream, struct str text)
{
    if (LOG_INFO > current)
        return;
    while (text.len) {
        char line[LINE_MAX_BYTES];
        size_t end = str_find(text, '\n');
        size_t n = head(line, LOG_INFO, scope);
        n += (size_t)snprintf(line + n, 32, "%.20s: ", stream);
        put(line, escape(line, n, str_slice(text, 0, end)));
        text = str_slice(text, end < text.len ? end + 1 : end, text.len);
    }
}
