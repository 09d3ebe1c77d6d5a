/* What it costs a request to be counted: the stores that a worker makes for one, to memory that another process may
 * read, and the line of the access log where there is one. The best of some rounds, in nanoseconds.
 *
 *     bench-metrics
 */
#include "base/clock.h"
#include "io/ticks.h"
#include "node/access.h"
#include "node/metrics.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define REQUESTS 200000u
#define ROUNDS 9

static struct metrics metrics;
static struct metrics_function *function;
static uint64_t factor;

/* As node/worker.c and node/function.c do it for a request that is answered at once. */
static void count(uint64_t i)
{
    uint64_t dispatched = i * 97 & 0xffff, entered = dispatched + (i & 0xff), left = entered + (i * 31 & 0xfff);
    counter_set(&function->running, 1);
    counter_add(&function->cpu_ns, metrics_ns(left - dispatched, factor));
    histogram_add(&function->starts, metrics_ns(entered - dispatched, factor));
    counter_add(&function->answers[2], 1);
    counter_add(&function->bytes_out, 100);
    histogram_add(&function->latency, metrics_ns(left - dispatched, factor));
    counter_set(&function->running, 0);
}

static struct access_log *access_log;

static void count_and_log(uint64_t i)
{
    const struct access_entry entry = {.function = STR("hello"),
                                       .method = STR("GET"),
                                       .target = STR("/some/path?with=query"),
                                       .trace = STR("4bf92f3577b34da6a3ce929d0e0e4736"),
                                       .status = 200,
                                       .whole = true,
                                       .bytes = 100,
                                       .ns = i & 0xfffff};
    count(i);
    access_stage(access_log, &entry);
    access_commit(access_log);
}

static double best_of(void (*request)(uint64_t i))
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = clock_now_ns();
        for (uint64_t i = 0; i < REQUESTS; i++)
            request(i);
        uint64_t took = clock_now_ns() - began;
        best = took < best ? took : best;
    }
    return (double)best / REQUESTS;
}

static void read_ticks(uint64_t i)
{
    counter_set(&function->generation, ticks_now() + i);
}

int main(void)
{
    static const char *const names[] = {"hello"};
    struct err err = {0};
    uint64_t lost = 0;
    int fd = open("/tmp", O_TMPFILE | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    struct io_loop *loop = io_loop_new(&err);
    access_log = loop ? access_new(loop, fd, &lost, &err) : NULL;
    if (!access_log || !metrics_open(&metrics, 1, names, 1, &err)) {
        err_print(&err, NULL);
        return 1;
    }
    function = &metrics_block(&metrics, 0)->functions[0];
    usleep(10000);
    factor = metrics_tick_factor(&metrics);
    printf("counting a request   %6.1f ns\n", best_of(count));
    printf("reading the counter  %6.1f ns\n", best_of(read_ticks));
    printf("with an access log   %6.1f ns\n", best_of(count_and_log));
    access_free(access_log);
    metrics_close(&metrics);
    io_loop_free(loop);
    close(fd);
    return 0;
}
