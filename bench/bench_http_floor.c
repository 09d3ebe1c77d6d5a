/* The floor of the server: every request gets a constant answer, without any guest. Compare with another
 * server on the same core under the same load:
 *
 *     bench-http-floor 127.0.0.1:3000 &
 *     wrk -t1 -c32 -d5 http://127.0.0.1:3000/
 *     kill -TERM %1      prints requests and processor time per request
 *
 * With --parse it measures the parser alone. */
#include "base/log.h"
#include "http/server.h"
#include "io/net.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct floor {
    struct io_loop *loop;
    struct http_server *server;
    struct io_signals signals;
    uint64_t requests;
};

static bool handle(void *arg, struct http_exchange *x)
{
    struct floor *floor = arg;
    static const struct http_field type = {{"content-type", 12}, {"text/plain", 10}};
    floor->requests++;
    return http_respond(x, 200, &type, 1, STR("Hello, world!"));
}

static void drained(void *arg)
{
    io_stop(((struct floor *)arg)->loop);
}

static void raised(struct io_signals *signals, int number)
{
    struct floor *floor = IO_OWNER(signals, struct floor, signals);
    http_server_drain(floor->server, drained, floor);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int serve(struct str address, struct err *err)
{
    struct floor floor = {.signals.raised = raised};
    struct http_service service = {.handle = handle, .arg = &floor};
    int fd, numbers[] = {SIGINT, SIGTERM};
    char name[NET_ADDRESS_MAX];
    floor.loop = io_loop_new(err);
    if (!floor.loop || !net_listen(address, &fd, err))
        return 1;
    floor.server = http_server_new(floor.loop, &service, NULL, err);
    if (!floor.server || !http_server_listen(floor.server, fd, err) ||
        !io_signals_open(floor.loop, &floor.signals, numbers, 2, err))
        return 1;
    net_name(fd, name);
    printf("Serving http://%s\n", name);
    fflush(stdout);
    if (!io_run(floor.loop, err))
        return 1;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double us =
        (seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e6 / (double)(floor.requests ? floor.requests : 1);
    printf("%llu requests, %.2f us of processor time each (%.2f user)\n", (unsigned long long)floor.requests, us,
           seconds(usage.ru_utime) * 1e6 / (double)(floor.requests ? floor.requests : 1));
    http_server_free(floor.server);
    io_signals_close(floor.loop, &floor.signals);
    io_loop_free(floor.loop);
    close(fd);
    return 0;
}

static void time_parser(const char *name, const char *text)
{
    static struct http_parser parser;
    char buffer[4096];
    struct timespec from, to;
    size_t size = strlen(text);
    enum { ROUNDS = 2000000 };
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < ROUNDS; i++) {
        memcpy(buffer, text, size);
        http_parse_begin(&parser, 0);
        if (http_parse_head(&parser, buffer, size) != HTTP_PARSE_DONE)
            printf("%s does not parse\n", name);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    printf("%-10s %4zu bytes  %6.1f ns\n", name, size, ns / ROUNDS);
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc == 2 && strcmp(argv[1], "--parse") == 0) {
        time_parser("wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n");
        time_parser(
            "curl",
            "GET /path?query=1 HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n");
        time_parser(
            "browser",
            "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
            "Cache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
            "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\nAccept: text/html,"
            "application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
            "Accept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n");
        return 0;
    }
    if (argc != 2) {
        fprintf(stderr, "usage: bench-http-floor ADDRESS:PORT | --parse\n");
        return 2;
    }
    int code = serve(str_of(argv[1]), &err);
    if (code)
        err_print(&err, argv[1]);
    return code;
}
