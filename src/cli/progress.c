/* How far a long compile is: one line on a terminal, rewritten in place, gone when it is done. Short ones show nothing,
 * and nothing is written where standard error is no terminal. */
#include "cli/cli.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET_SECONDS 0.5 /* a compile shorter than this shows nothing */
#define COLUMNS_DEFAULT 80u
#define BAR_MAX 40u

static struct {
    uint64_t start;
    bool terminal, shown;
} line;

static double elapsed(void)
{
    return (double)(clock_now_ns() - line.start) / 1e9;
}

static void start(void)
{
    const char *terminal = getenv("TERM");
    line.start = clock_now_ns();
    line.terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    line.shown = false;
}

static void end(void)
{
    if (line.shown)
        fputs("\r\033[K", stderr);
    line.shown = false;
}

/* "12 s" or "3 min" */
static void say_time(char text[32], double seconds)
{
    if (seconds < 90)
        snprintf(text, 32, "%.0f s", seconds < 1 ? 1.0 : seconds);
    else
        snprintf(text, 32, "%.0f min", seconds / 60);
}

static unsigned columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
}

static void draw(double share, const char *text)
{
    char bar[BAR_MAX + 1];
    unsigned room = columns(), used = (unsigned)strlen(text) + 4;
    unsigned width = room > used + BAR_MAX ? BAR_MAX : room > used ? room - used : 0;
    unsigned filled = (unsigned)(share * width);
    memset(bar, '#', filled);
    memset(bar + filled, '.', width - filled);
    bar[width] = '\0';
    fprintf(stderr, "\r\033[K[%s] %.*s", bar, (int)room - 1, text);
    fflush(stderr);
}

static void show(void *arg, const struct codegen_progress *progress)
{
    char left[32] = "?", text[96];
    double seconds = elapsed();
    (void)arg;
    if (!line.terminal || seconds < QUIET_SECONDS || progress->bytes_total == 0)
        return;
    double share = (double)progress->bytes_done / (double)progress->bytes_total;
    if (share > 0 && share <= 1)
        say_time(left, seconds / share * (1 - share));
    snprintf(text, sizeof text, "%u of %u functions compiled, about %s left", progress->done, progress->total, left);
    line.shown = true;
    draw(share < 1 ? share : 1, text);
}

int cli_open(const char *path, const struct composition *composition, const struct compile_options *options,
             struct compile_outcome *ret_outcome, struct err *err)
{
    struct compile_options shown = *options;
    shown.progress = show;
    start();
    int fd = compose_open(path, composition, &shown, ret_outcome, err);
    end();
    return fd;
}
