/* See access.h. */
#include "node/access.h"

#include "base/alloc.h"
#include "base/counter.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)65536)
#define LINE_SIZE ((size_t)4096) /* of the longest line; no more than PIPE_BUF */
#define TARGET_SHOWN ((size_t)3000) /* bytes of an escaped target; the rest is left out */
#define FLUSH_US UINT64_C(1000000)
#define PATIENCE_MS 1000
#define DATE_SIZE 19u /* 2026-11-24T10:11:12 */

struct access_log {
    struct io_loop *loop;
    struct io_timer timer;
    int fd;
    bool file; /* takes any number of bytes at once */
    uint64_t *lost;
    int64_t second; /* of `date`, since 1970 */
    char date[32];  /* as far as the seconds */
    uint64_t second_us, second_began_us; /* of the loop's clock, when that second was first seen; how old it was */
    size_t used, staged;
    char bytes[BUFFER_SIZE];
};

/* ---- out ---- */

/* How much to write at once: all to a file, else as many whole lines as a pipe takes as one. */
static size_t piece_of(const struct access_log *log, struct str text)
{
    size_t size = text.len < LINE_SIZE ? text.len : LINE_SIZE;
    if (log->file || size == text.len)
        return text.len;
    while (text.ptr[size - 1] != '\n')
        size--;
    return size;
}

static bool may_write(const struct access_log *log, int patience_ms)
{
    struct pollfd polled = {log->fd, POLLOUT, 0};
    return log->file || poll(&polled, 1, patience_ms) > 0;
}

/* Until all is written or no more is taken now. What a full disk left of a line follows when there is room. */
static void flush(struct access_log *log, int patience_ms)
{
    size_t at = 0;
    while (at < log->used && may_write(log, patience_ms)) {
        struct str left = {log->bytes + at, log->used - at};
        ssize_t done = write(log->fd, left.ptr, piece_of(log, left));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    log->used -= at;
    memmove(log->bytes, log->bytes + at, log->used);
}

static void set_timer(struct access_log *log)
{
    if (log->used && !log->timer.armed)
        io_timer_set(log->loop, &log->timer, io_now_us(log->loop) + FLUSH_US);
}

static void flush_late(struct io_timer *timer)
{
    struct access_log *log = IO_OWNER(timer, struct access_log, timer);
    flush(log, 0);
    set_timer(log);
}

/* ---- a line ---- */

struct line {
    char *at;
};

static void put(struct line *line, struct str text)
{
    memcpy(line->at, text.ptr, text.len);
    line->at += text.len;
}

static void put_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(line, (struct str){digits + at, sizeof digits - at});
}

static char *escape(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    const char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    memcpy(at, text, sizeof text);
    return at + sizeof text;
}

/* As much as `room` bytes hold. What is not ASCII is written byte by byte: nobody promised that it is UTF-8. */
static void put_text(struct line *line, struct str text, size_t room)
{
    char *at = line->at, *end = at + room - 6;
    for (size_t i = 0; i < text.len && at <= end; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            at = escape(at, c);
        else
            *at++ = (char)c;
    }
    line->at = at;
}

/* The clock is read once a second; within one the loop's clock says how far it is. */
static void put_time(struct access_log *log, struct line *line)
{
    int64_t second = io_wall_s(log->loop);
    if (second != log->second) {
        struct timespec now;
        struct tm utc;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(log->date, sizeof log->date, "%Y-%m-%dT%H:%M:%S", &utc);
        log->second = second;
        log->second_us = io_now_us(log->loop);
        log->second_began_us = (uint64_t)now.tv_nsec / 1000;
    }
    uint64_t since = (log->second_began_us + io_now_us(log->loop) - log->second_us) / 1000;
    unsigned ms = since < 999 ? (unsigned)since : 999;
    char rest[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    put(line, (struct str){log->date, DATE_SIZE});
    put(line, (struct str){rest, sizeof rest});
}

static void put_line(struct access_log *log, struct line *line, const struct access_entry *entry)
{
    put(line, STR("{\"time\":\""));
    put_time(log, line);
    put(line, STR("\",\"function\":\""));
    put_text(line, entry->function, 400);
    put(line, STR("\",\"method\":\""));
    put_text(line, entry->method, 200);
    put(line, STR("\",\"target\":\""));
    put_text(line, entry->target, TARGET_SHOWN);
    put(line, STR("\",\"status\":"));
    put_number(line, entry->status);
    put(line, STR(",\"bytes\":"));
    put_number(line, entry->bytes);
    put(line, STR(",\"us\":"));
    put_number(line, entry->ns / 1000);
    if (!entry->whole)
        put(line, STR(",\"whole\":false"));
    if (entry->trace.len) {
        put(line, STR(",\"trace\":\""));
        put_text(line, entry->trace, 40);
        put(line, STR("\""));
    }
    put(line, STR("}\n"));
}

void access_stage(struct access_log *log, const struct access_entry *entry)
{
    log->staged = 0;
    if (BUFFER_SIZE - log->used < LINE_SIZE)
        flush(log, 0);
    if (BUFFER_SIZE - log->used < LINE_SIZE)
        return;
    struct line line = {log->bytes + log->used};
    put_line(log, &line, entry);
    log->staged = (size_t)(line.at - log->bytes) - log->used;
}

void access_commit(struct access_log *log)
{
    if (!log->staged)
        counter_add(log->lost, 1);
    log->used += log->staged;
    log->staged = 0;
    set_timer(log);
}

/* ---- life ---- */

struct access_log *access_new(struct io_loop *loop, int fd, uint64_t *lost, struct err *err)
{
    struct access_log *log = mem_alloc(1, sizeof *log);
    struct stat stat;
    if (!log) {
        err_memory(err);
        return NULL;
    }
    log->loop = loop;
    log->fd = fd;
    log->file = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    log->lost = lost;
    log->timer.fired = flush_late;
    return log;
}

static uint64_t count_lines(const struct access_log *log)
{
    uint64_t count = 0;
    for (size_t i = 0; i < log->used; i++)
        count += log->bytes[i] == '\n';
    return count;
}

void access_free(struct access_log *log)
{
    if (!log)
        return;
    flush(log, PATIENCE_MS);
    counter_add(log->lost, count_lines(log));
    io_timer_stop(log->loop, &log->timer);
    mem_free(log);
}
