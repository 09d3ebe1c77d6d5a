/* How soon a worker that runs answers by an image that it has not mapped: the image is in the page cache, the request
 * is in the socket. From there the image is loaded as on a reload (mapped, linked, its start functions run, a slot
 * made), the loop takes the request, a fresh instance answers, and the client on the same loop has the answer.
 *
 *     bench-load FILE.image [ROUNDS]
 *
 * Images are made by `mayfly compile`. Between two rounds the image is unloaded; the host's own pools stay, as in a
 * worker. Prints the first decile, the median and the 9th decile of all, of loading and of the rest, in microseconds,
 * with the page faults of each, and the next request beside them, which finds the instance made. */
#include "base/clock.h"
#include "io/net.h"
#include "node/request.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS_MAX 100000

enum measure { LOAD, FIRST, BOTH, NEXT, LOAD_FAULTS, FIRST_FAULTS, MEASURES };

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static double measured[MEASURES][ROUNDS_MAX];
static struct io_loop *loop;
static struct io_watch client;
static struct worker *worker;
static struct err err;
static bool wrong;

static int fail(const char *what)
{
    err_print(&err, what);
    return 1;
}

/* The answer is one packet. */
static void answered(struct io_watch *watch, unsigned events)
{
    static char bytes[65536];
    ssize_t size = events & IO_IN ? io_recv(loop, watch, bytes, sizeof bytes) : 0;
    if (size <= 0)
        return;
    wrong |= size < 12 || memcmp(bytes, "HTTP/1.1 200", 12) != 0;
    io_stop(loop);
}

static void ask(void)
{
    wrong |= send(client.fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1;
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* As the worker does it with what nobody asks for. */
static void unload(void)
{
    function_end(&worker->functions[0]);
    worker->loaded--;
}

static bool measure(int round)
{
    long before = faults();
    ask();
    uint64_t began = clock_now_ns();
    if (!worker_load(worker, 0, &err))
        return false;
    uint64_t loaded = clock_now_ns();
    long between = faults();
    if (!io_run(loop, &err))
        return false;
    uint64_t done = clock_now_ns();
    measured[LOAD][round] = (double)(loaded - began) / 1e3;
    measured[FIRST][round] = (double)(done - loaded) / 1e3;
    measured[BOTH][round] = (double)(done - began) / 1e3;
    measured[LOAD_FAULTS][round] = (double)(between - before);
    measured[FIRST_FAULTS][round] = (double)(faults() - between);
    ask();
    began = clock_now_ns();
    bool ran = io_run(loop, &err);
    measured[NEXT][round] = (double)(clock_now_ns() - began) / 1e3;
    unload();
    return ran;
}

static bool connect_client(int listen_fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client.ready = answered;
    if (getsockname(listen_fd, (struct sockaddr *)&address, &size) != 0 ||
        connect(client.fd, (struct sockaddr *)&address, size) != 0)
        return err_errno(&err, "connect");
    return fcntl(client.fd, F_SETFL, O_NONBLOCK) == 0 && io_watch(loop, &client, &err);
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print(const char *what, enum measure which, int rounds)
{
    qsort(measured[which], (size_t)rounds, sizeof(double), ascending);
    printf("%-34s %8.1f %8.1f %8.1f\n", what, measured[which][rounds / 10], measured[which][rounds / 2],
           measured[which][rounds * 9 / 10]);
}

static void print_all(int rounds)
{
    printf("%-34s %8s %8s %8s\n", "", "1st", "median", "9th");
    print("mapped nowhere to answered, us", BOTH, rounds);
    print("  loading, us", LOAD, rounds);
    print("  the first request, us", FIRST, rounds);
    print("the next request, us", NEXT, rounds);
    print("page faults while loading", LOAD_FAULTS, rounds);
    print("page faults of the first request", FIRST_FAULTS, rounds);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"function"};
    static struct metrics metrics;
    const struct deployed deployed = {
        .name = names[0], .config.name = names[0], .limits = function_limits_default, .triggers = DEPLOYED_HTTP};
    const struct deployment deployment = {.functions = &deployed, .function_count = 1};
    int listen_fd = -1, rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 1000;
    if (argc < 2 || rounds < 1 || rounds >= ROUNDS_MAX) {
        fprintf(stderr, "usage: bench-load FILE.image [ROUNDS]\n");
        return 2;
    }
    const struct worker_image image = {open(argv[1], O_RDONLY | O_CLOEXEC), 0, 1};
    if (!metrics_open(&metrics, 1, names, 1, &err) || !(loop = io_loop_new(&err)) ||
        !net_listen(STR("127.0.0.1:0"), &listen_fd, &err))
        return fail("bench-load");
    struct worker_options options = {.access_fd = -1, .metrics = metrics_keep(&metrics, 0)};
    options.incidents = metrics_incidents(&metrics, options.metrics);
    options.tick_factor = metrics_tick_factor(&metrics);
    worker = worker_new(loop, &deployment, listen_fd, &options, &err);
    if (!worker || !connect_client(listen_fd))
        return fail("bench-load");
    worker_serve(worker, 0, &image);
    for (int round = -1; round < rounds; round++) /* the first makes the connection and the pools */
        if (!measure(round < 0 ? 0 : round))
            return fail(argv[1]);
    print_all(rounds);
    if (wrong)
        fprintf(stderr, "an answer was not 200\n");
    fflush(stdout);
    _exit(wrong); /* a worker without a function has nothing to finish */
}
