/* The server over real sockets: it runs in a thread, the test is its client. */
#include "support/loop.h"
#include "http/server.h"
#include "io/net.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    struct io_loop *loop;
    struct http_server *server;
    sem_t ready;
    bool started;
    struct io_watch control; /* a byte from the test: 'd' drain, 'q' quit, else let that allocation fail */
    int control_in, listen_fd;
    struct sockaddr_in address;
    pthread_t thread;
    struct http_exchange *held;
    struct io_timer timer;
    uint64_t steady; /* allocations made when /count was asked last */
    atomic_int gone;
    atomic_bool drained;
} t;

/* ---- the service ---- */

static char large[3 << 20];

static void late_answer(struct io_timer *timer)
{
    struct http_exchange *x = t.held;
    t.held = NULL;
    if (x)
        http_respond(x, 200, NULL, 0, http_request(x)->target);
}

/* What is there of the body is written; the rest follows when it comes, as long as there is room. */
static void echo_more(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    size_t room;
    while (r->body.len && (room = http_room(x)) > 0) {
        size_t n = r->body.len < room ? r->body.len : room;
        if (!http_write(x, (struct str){r->body.ptr, n}))
            return;
        http_take(x, n);
    }
    if (r->body.len)
        return;
    if (r->coming)
        http_want(x);
    else if (r->fault)
        http_fail(x, 500);
    else
        http_finish(x, r->trailers, r->trailer_count);
}

/* Whole bodies in one piece, the others as they come. */
static bool echo(struct http_exchange *x)
{
    if (!http_request(x)->coming)
        return http_respond(x, 200, NULL, 0, http_request(x)->body);
    x->user = echo_more;
    if (!http_start(x, 200, NULL, 0))
        return false;
    echo_more(x);
    return true;
}

static size_t gathered;

static void gather_more(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    char text[100];
    while (r->body.len) {
        size_t n = r->body.len;
        for (size_t i = 0; i < n; i++)
            gathered += r->body.ptr[i] == 'L';
        http_take(x, n);
    }
    if (r->coming) {
        http_want(x);
        return;
    }
    int n = r->fault ? sprintf(text, "fault %d", r->fault) : sprintf(text, "%zu", gathered);
    for (uint32_t i = 0; i < r->trailer_count; i++)
        n += sprintf(text + n, "%.*s=%.*s", STR_ARG(r->trailers[i].name), STR_ARG(r->trailers[i].value));
    http_respond(x, 200, NULL, 0, (struct str){text, (size_t)n});
}

/* Answers with the number of L in the body once all of it came. */
static bool gather(struct http_exchange *x)
{
    x->user = gather_more;
    gathered = 0;
    gather_more(x);
    return true;
}

static bool describe(struct http_exchange *x)
{
    char text[1024];
    const struct http_request *r = http_request(x);
    int n =
        snprintf(text, sizeof text, "%.*s %.*s %.*s", STR_ARG(r->method), STR_ARG(r->authority), STR_ARG(r->target));
    for (uint32_t i = 0; i < r->trailer_count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %.*s=%.*s", STR_ARG(r->trailers[i].name),
                      STR_ARG(r->trailers[i].value));
    return http_respond(x, 200, NULL, 0, (struct str){text, (size_t)n});
}

static bool later(struct http_exchange *x)
{
    t.held = x;
    t.timer.fired = late_answer;
    io_timer_set(t.loop, &t.timer, io_now_us(t.loop) + 50000);
    return true;
}

static bool stream(struct http_exchange *x)
{
    static const struct http_field trailer = {{"x-sum", 5}, {"7", 1}};
    return http_start(x, 200, NULL, 0) && http_write(x, STR("one ")) && http_write(x, STR("two")) &&
           http_finish(x, &trailer, 1);
}

static bool declared(struct http_exchange *x, const char *length)
{
    struct http_field field = {STR("Content-Length"), str_of(length)};
    if (!http_start(x, 200, &field, 1) || !http_write(x, STR("12345")))
        return false;
    http_finish(x, NULL, 0);
    return true;
}

static bool bad_field(struct http_exchange *x)
{
    const struct http_field fields[] = {{STR("fine"), STR("x")}, {STR("bad"), STR("a\r\nset-cookie: b")}};
    const struct http_field name = {STR("bad name"), STR("x")};
    if (http_respond(x, 200, fields, 2, STR("")) || http_respond(x, 200, &name, 1, STR("")))
        return true;
    return http_respond(x, 200, fields, 1, STR("refused"));
}

static bool count_allocations(struct http_exchange *x)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(mem_count() - t.steady));
    t.steady = mem_count();
    return http_respond(x, 200, NULL, 0, (struct str){text, (size_t)n});
}

static bool hop_fields(struct http_exchange *x)
{
    const struct http_field fields[] = {
        {STR("Connection"), STR("close")},  {STR("Transfer-Encoding"), STR("gzip")},
        {STR("Content-Length"), STR("99")}, {STR("Date"), STR("never")},
        {STR("X-Kept"), STR("yes")},
    };
    return http_respond(x, 299, fields, 5, STR("ok"));
}

static bool half_then_fail(struct http_exchange *x)
{
    http_start(x, 200, NULL, 0);
    http_write(x, STR("half"));
    return false;
}

static size_t stream_left;
static void stream_more(void *arg, struct http_exchange *x)
{
    size_t room;
    while (stream_left && (room = http_room(x)) > 0) {
        size_t n = room < stream_left ? room : stream_left;
        if (!http_write(x, (struct str){large, n}))
            return;
        stream_left -= n;
    }
    if (!stream_left)
        http_finish(x, NULL, 0);
}

static void ready(void *arg, struct http_exchange *x)
{
    if (x->user == NULL)
        stream_more(arg, x);
    else
        ((void (*)(struct http_exchange *))x->user)(x);
}

static bool stream_large(struct http_exchange *x)
{
    stream_left = sizeof large;
    if (!http_start(x, 200, NULL, 0))
        return false;
    stream_more(NULL, x);
    return true;
}

static bool describe_target(struct http_exchange *x)
{
    return http_respond(x, 200, NULL, 0, http_request(x)->target);
}

/* Of two clients: the first has sent a flood of requests, and at the first of those the other one asks. */
static struct {
    atomic_bool sent;
    int other;
    unsigned served, before; /* of the flood; before the other's was */
} turn;

static bool hold(struct http_exchange *x)
{
    while (!turn.sent)
        usleep(1000);
    return describe_target(x);
}

static bool flood(struct http_exchange *x)
{
    static const char request[] = "GET /mark HTTP/1.1\r\nHost: h\r\n\r\n";
    if (turn.served++ == 0 && send(turn.other, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return false;
    return describe_target(x);
}

static bool mark(struct http_exchange *x)
{
    turn.before = turn.served;
    return describe_target(x);
}

static bool handle(void *arg, struct http_exchange *x)
{
    struct str path = http_request(x)->target;
#define ROUTE(text) if (str_starts(path, STR(text)))
    ROUTE("/echo") return echo(x);
    ROUTE("/gather") return gather(x);
    ROUTE("/later") return later(x);
    ROUTE("/streamlarge") return stream_large(x);
    ROUTE("/stream") return stream(x);
    ROUTE("/large") return http_respond(x, 200, NULL, 0, (struct str){large, sizeof large});
    ROUTE("/204") return http_respond(x, 204, NULL, 0, STR("dropped"));
    ROUTE("/304") return http_respond(x, 304, NULL, 0, STR(""));
    ROUTE("/fail") return false;
    ROUTE("/half") return half_then_fail(x);
    ROUTE("/never") return t.held = x, true;
    ROUTE("/declared5") return declared(x, "5");
    ROUTE("/declared6") return declared(x, "6");
    ROUTE("/bad") return bad_field(x);
    ROUTE("/hop") return hop_fields(x);
    ROUTE("/count") return count_allocations(x);
    ROUTE("/hold") return hold(x);
    ROUTE("/flood") return flood(x);
    ROUTE("/mark") return mark(x);
#undef ROUTE
    return describe(x);
}

static void gone(void *arg, struct http_exchange *x)
{
    if (t.held == x)
        t.held = NULL;
    t.gone++;
}

/* ---- server thread ---- */

static void drained(void *arg)
{
    t.drained = true;
}

static void control(struct io_watch *watch, unsigned events)
{
    char what = 'q';
    if (read(watch->fd, &what, 1) == 1 && what == 'd')
        http_server_drain(t.server, drained, NULL);
    else if (what == 'q')
        io_stop(t.loop);
    else
        mem_fail_at((uint64_t)(unsigned char)what);
}

static const struct http_limits limits = {
    .head_bytes = 2000,
    .body_bytes = 5 << 20,
    .output_bytes = 8 << 20,
    .connections = 50,
    .head_us = 200000,
    .body_us = 200000,
    .idle_us = 600000,
    .write_us = 400000,
};

static bool open_server(struct err *err)
{
    struct http_service service = {.handle = handle, .gone = gone, .ready = ready};
    t.loop = test_loop(err);
    t.server = t.loop ? http_server_new(t.loop, &service, &limits, err) : NULL;
    return t.server && http_server_listen(t.server, t.listen_fd, err) && io_watch_level(t.loop, &t.control, err);
}

/* From beginning to end in one thread, as a loop wants it. */
static void *run(void *arg)
{
    struct err err;
    t.started = open_server(&err);
    sem_post(&t.ready);
    if (!t.started || !io_run(t.loop, &err))
        fprintf(stderr, "%s\n", err.message);
    http_server_free(t.server);
    if (t.started)
        io_unwatch(t.loop, &t.control);
    io_loop_free(t.loop);
    return NULL;
}

static int start(void **state)
{
    int pipes[2];
    socklen_t size = sizeof t.address;
    memset(&t, 0, sizeof t);
    memset(large, 'L', sizeof large);
    if (!net_listen(STR("127.0.0.1:0"), &t.listen_fd, NULL) || pipe(pipes) < 0 || sem_init(&t.ready, 0, 0) < 0)
        return -1;
    getsockname(t.listen_fd, (struct sockaddr *)&t.address, &size);
    t.control = (struct io_watch){.ready = control, .fd = pipes[0]};
    t.control_in = pipes[1];
    if (pthread_create(&t.thread, NULL, run, NULL) != 0)
        return -1;
    sem_wait(&t.ready);
    return t.started ? 0 : -1;
}

static int stop(void **state)
{
    if (write(t.control_in, "q", 1) != 1)
        return -1;
    pthread_join(t.thread, NULL);
    close(t.listen_fd);
    close(t.control.fd);
    close(t.control_in);
    return 0;
}

/* ---- client ---- */

static int connect_client(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {5, 0};
    assert_int_equal(connect(fd, (struct sockaddr *)&t.address, sizeof t.address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static char got[8 << 20];
static size_t got_size;

/* Read until the text ends in `end`, or until the connection does; false for the latter. */
static bool get_until(int fd, const char *end)
{
    size_t tail = strlen(end);
    got_size = 0;
    for (;;) {
        ssize_t n = recv(fd, got + got_size, sizeof got - 1 - got_size, 0);
        if (n > 0)
            got_size += (size_t)n;
        got[got_size] = '\0';
        if (n <= 0)
            return false;
        if (tail && got_size >= tail && memcmp(got + got_size - tail, end, tail) == 0)
            return true;
    }
}

#define assert_has(text)                                                                                               \
    (strstr(got, text) ? (void)0 : (print_error("got: %.600s\n", got), assert_non_null(strstr(got, text))))
#define assert_lacks(text) assert_null(strstr(got, text))

/* One request on a connection of its own; reads to the end. */
static void once(const char *request)
{
    int fd = connect_client();
    put(fd, request);
    shutdown(fd, SHUT_WR);
    assert_false(get_until(fd, ""));
    close(fd);
}

static void settle(void)
{
    usleep(30000);
}

/* ---- tests ---- */

static void test_keep_alive(void **state)
{
    int fd = connect_client();
    for (int i = 0; i < 3; i++) {
        put(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(get_until(fd, "GET h /x"));
        assert_has("HTTP/1.1 200 OK\r\n");
        assert_has("content-length: 8\r\n");
        assert_has("\r\ndate: ");
        assert_lacks("connection:");
    }
    put(fd, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_false(get_until(fd, ""));
    assert_has("connection: close\r\n");
    close(fd);
}

static void test_steady(void **state)
{
    int fd = connect_client();
    for (int i = 0; i < 10; i++) {
        char last[2];
        put(fd, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        assert_true(recv(fd, got, sizeof got, 0) > 0);
        memcpy(last, strstr(got, "\r\n\r\n") + 4, 2);
        if (i > 0)
            assert_int_equal(last[0], '0');
    }
    close(fd);
}

static void test_pipelining(void **state)
{
    int fd = connect_client();
    put(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
            "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /last HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "GET h /last"));
    char *one = strstr(got, "GET h /1"), *two = strstr(got, "\r\n\r\nabc"), *three = strstr(got, "\r\n\r\n/later");
    assert_true(one && two && three && one < two && two < three);
    close(fd);
}

static void test_many_pipelined(void **state)
{
    static const char request[] = "GET /n HTTP/1.1\r\nHost: h\r\n\r\n";
    char *text = calloc(1000, sizeof request);
    int fd = connect_client(), found = 0;
    for (int i = 0; i < 1000; i++)
        strcat(text + (size_t)i * (sizeof request - 1), request);
    put(fd, text);
    put(fd, "GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_false(get_until(fd, ""));
    for (char *p = got; (p = strstr(p, "GET h /n")) != NULL; p++)
        found++;
    assert_int_equal(found, 1000);
    assert_has("GET h /end");
    free(text);
    close(fd);
}

enum { FLOOD = 20000 };

static void *send_flood(void *arg)
{
    static const char request[] = "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n",
                      last[] = "GET /last HTTP/1.1\r\nHost: h\r\n\r\n";
    static char text[FLOOD * (sizeof request - 1) + sizeof last];
    for (size_t i = 0; i < FLOOD; i++)
        memcpy(text + i * (sizeof request - 1), request, sizeof request);
    strcat(text, last);
    put(*(int *)arg, text);
    return NULL;
}

/* A client whose next request is always there already takes turns with another one. */
static void test_turns(void **state)
{
    int fd = connect_client(), room = 1 << 20;
    pthread_t sender;
    memset(&turn, 0, sizeof turn);
    turn.other = connect_client();
    put(turn.other, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(turn.other, "GET h /x"));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    put(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    assert_int_equal(pthread_create(&sender, NULL, send_flood, &fd), 0);
    settle();
    turn.sent = true;
    assert_true(get_until(fd, "GET h /last"));
    pthread_join(sender, NULL);
    assert_true(get_until(turn.other, "/mark"));
    assert_int_equal(turn.served, FLOOD);
    assert_true(turn.before > 0 && turn.before < FLOOD / 3);
    close(fd);
    close(turn.other);
}

static void test_split_bytes(void **state)
{
    const char *text =
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n";
    int fd = connect_client();
    for (size_t i = 0; i < strlen(text); i++) {
        assert_int_equal(send(fd, text + i, 1, 0), 1);
        if (i % 16 == 0)
            usleep(1000);
    }
    assert_true(get_until(fd, "0\r\na: b\r\n\r\n"));
    char found[16] = "";
    for (char *p = strstr(got, "\r\n\r\n"); *p; p++) /* however they were gathered */
        if (*p >= 'a' && *p <= 'e' && strlen(found) < 5)
            strncat(found, p, 1);
    assert_string_equal(found, "abcde");
    close(fd);
}

static void test_half_close(void **state)
{
    once("GET /closed HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("GET h /closed");
    once("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("\r\n\r\n/later");
    once("GET /cut HTT");
    assert_int_equal(got_size, 0);
    once("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nshort");
    assert_int_equal(got_size, 0);
}

static void test_http10(void **state)
{
    once("GET /a HTTP/1.0\r\n\r\n");
    assert_has("connection: close\r\n");
    once("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has("connection: keep-alive\r\n");
    once("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has("connection: close\r\n");
    assert_has("\r\n\r\none two");
    assert_lacks("chunked");
}

static void test_head(void **state)
{
    int fd = connect_client();
    put(fd, "HEAD /some HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: "
            "h\r\n\r\n");
    assert_true(get_until(fd, "GET h /x"));
    assert_has("content-length: 12\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_lacks("one two");
    close(fd);
}

static void test_no_content(void **state)
{
    once("GET /204 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("HTTP/1.1 204 No Content\r\n");
    assert_lacks("content-length");
    assert_lacks("dropped");
    once("GET /304 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("HTTP/1.1 304 Not Modified\r\n");
    assert_lacks("content-length");
}

static void test_stream(void **state)
{
    int fd = connect_client();
    put(fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "4\r\none \r\n3\r\ntwo\r\n0\r\nx-sum: 7\r\n\r\n"));
    assert_has("transfer-encoding: chunked\r\n");
    put(fd, "GET /declared5 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "\r\n\r\n12345"));
    assert_has("content-length: 5\r\n");
    put(fd, "GET /declared6 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(get_until(fd, ""));
    close(fd);
}

static void test_fields(void **state)
{
    once("GET /bad HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("fine: x\r\n");
    assert_has("refused");
    assert_lacks("set-cookie");
    once("GET /hop HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has("HTTP/1.1 299 \r\n");
    assert_has("content-length: 2\r\n");
    assert_has("X-Kept: yes\r\n");
    assert_has("Date: never\r\n");
    assert_lacks("gzip");
    assert_lacks("99\r\n");
    assert_lacks("GMT");
}

static void test_failures(void **state)
{
    int fd = connect_client();
    put(fd, "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "500 Internal Server Error\n"));
    put(fd, "GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(get_until(fd, ""));
    assert_lacks("0\r\n\r\n");
    close(fd);
    once("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert_has("HTTP/1.1 501 ");
}

static void test_refused(void **state)
{
    int fd = connect_client();
    put(fd, "GET / HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(get_until(fd, ""));
    assert_has("HTTP/1.1 400 Bad Request\r\n");
    assert_has("connection: close\r\n");
    assert_lacks("smuggled");
    close(fd);
    once("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_has("HTTP/1.1 400 ");
    once("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    assert_has("HTTP/1.1 413 ");
}

static void head_of(char *text, size_t size)
{
    int n = sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    memset(text + n, 'x', size - (size_t)n - 4);
    memcpy(text + size - 4, "\r\n\r\n", 5);
}

static void test_head_limit(void **state)
{
    char text[3000];
    head_of(text, 2000);
    once(text);
    assert_has("HTTP/1.1 200 ");
    head_of(text, 2001);
    once(text);
    assert_has("HTTP/1.1 431 ");
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "GET /", 5);
    text[2500] = '\0';
    once(text);
    assert_has("HTTP/1.1 414 ");
}

static void test_timeouts(void **state)
{
    int fd = connect_client();
    put(fd, "GET / HT");
    assert_false(get_until(fd, ""));
    assert_has("HTTP/1.1 408 ");
    close(fd);
    fd = connect_client();
    put(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    assert_false(get_until(fd, ""));
    assert_has("HTTP/1.1 408 ");
    close(fd);
    fd = connect_client();
    assert_false(get_until(fd, "")); /* idle: closed without a word */
    assert_int_equal(got_size, 0);
    close(fd);
}

/* Trickling keeps a head from finishing, not from timing out. */
static void test_trickle(void **state)
{
    int fd = connect_client();
    bool open = true;
    for (int i = 0; i < 100 && open; i++) {
        open = send(fd, i ? "a" : "G", 1, MSG_NOSIGNAL) == 1;
        usleep(10000);
        struct pollfd p = {fd, POLLIN, 0};
        open = open && poll(&p, 1, 0) == 0;
    }
    assert_false(open);
    close(fd);
}

static void test_expect(void **state)
{
    int fd = connect_client();
    put(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_true(get_until(fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    put(fd, "hello");
    assert_true(get_until(fd, "\r\n\r\nhello"));
    put(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    assert_true(get_until(fd, "\r\n\r\nhello"));
    assert_lacks("100 Continue");
    put(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
    assert_false(get_until(fd, ""));
    assert_lacks("100 Continue");
    assert_has("HTTP/1.1 413 ");
    close(fd);
}

/* Only who reads the body asks for it. */
static void test_expect_long(void **state)
{
    static const char head[] = "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n";
    char text[200];
    int fd = connect_client();
    snprintf(text, sizeof text, head, "/gather");
    put(fd, text);
    assert_true(get_until(fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_int_equal(send(fd, large, 100000, 0), 100000);
    assert_true(get_until(fd, "\r\n\r\n100000"));
    snprintf(text, sizeof text, head, "/plain");
    put(fd, text);
    assert_false(get_until(fd, ""));
    assert_has("connection: close\r\n");
    assert_has("POST h /plain");
    assert_lacks("100 Continue");
    close(fd);
}

/* Who begins its answer before it reads the body: the word goes before the head, or would never. */
static void test_expect_early_head(void **state)
{
    int fd = connect_client();
    put(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
    assert_true(get_until(fd, "\r\n\r\n"));
    assert_memory_equal(got, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    close(fd);
}

static void *feed_large(void *arg)
{
    int fd = *(int *)arg;
    for (size_t at = 0; at < sizeof large;) {
        ssize_t n = send(fd, large + at, sizeof large - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return NULL;
}

static void test_large_bodies(void **state)
{
    char head[128];
    pthread_t feeder;
    int fd = connect_client();
    sprintf(head, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof large);
    put(fd, head);
    pthread_create(&feeder, NULL, feed_large, &fd);
    got_size = 0;
    while (got_size < sizeof large) {
        ssize_t n = recv(fd, got + got_size, sizeof got - got_size, 0);
        assert_true(n > 0);
        got_size += (size_t)n;
    }
    pthread_join(feeder, NULL);
    put(fd, "GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_false(get_until(fd, ""));
    assert_true(got_size > sizeof large);
    close(fd);
}

/* In pieces of `chunk` bytes with their lines, or as they are (0); the end is left to the caller. */
static void feed(int fd, size_t size, size_t chunk)
{
    char line[32];
    for (size_t at = 0, n; at < size; at += n) {
        n = chunk && chunk < size - at ? chunk : size - at;
        if (chunk)
            put(fd, (sprintf(line, "%zx\r\n", n), line));
        for (size_t sent = 0; sent < n;) {
            ssize_t some = send(fd, large + at + sent, n - sent, MSG_NOSIGNAL);
            assert_true(some > 0);
            sent += (size_t)some;
        }
        if (chunk)
            put(fd, "\r\n");
    }
}

/* What is sent is counted by the service while it comes; then the connection goes on. */
static void test_gathered_bodies(void **state)
{
    static const size_t chunks[] = {1, 7, 100, 4096, 32768, 70000, 1 << 20};
    char text[200], end[32];
    int fd = connect_client();
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        size_t size = chunks[i] < 100 ? 20000 : 2 << 20;
        put(fd, "POST /gather HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        feed(fd, size, chunks[i]);
        put(fd, "0\r\nX-Sum: 7\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(get_until(fd, "GET h /next"));
        sprintf(end, "\r\n\r\n%zux-sum=7HTTP", size);
        assert_has(end);
    }
    sprintf(text, "POST /gather HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof large);
    put(fd, text);
    feed(fd, sizeof large, 0);
    sprintf(end, "\r\n\r\n%zu", sizeof large);
    assert_true(get_until(fd, end));
    close(fd);
}

/* Answered before the body came: a short rest is read and the connection kept, a long one ends it, and in both cases
 * the client gets the answer. */
static void test_unread_bodies(void **state)
{
    int fd = connect_client();
    put(fd, "POST /plain HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    assert_true(get_until(fd, "POST h /plain"));
    feed(fd, 200000, 0);
    put(fd, "POST /plain HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_true(get_until(fd, "POST h /plain"));
    feed(fd, 200000, 999);
    put(fd, "0\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "GET h /next"));
    put(fd, "POST /plain HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n");
    feed(fd, 500000, 0);
    assert_false(get_until(fd, ""));
    assert_has("POST h /plain");
    close(fd);
}

/* The service has the request when it turns out that its body will not come whole. */
static void test_broken_bodies(void **state)
{
    static const struct {
        const char *head, *body;
        bool shut;
        enum http_body_fault fault;
    } rows[] = {
        {"Content-Length: 100000", "abc", true, HTTP_BODY_CUT},
        {"Content-Length: 100000", "abc", false, HTTP_BODY_LATE},
        {"Transfer-Encoding: chunked", "3\r\nabc\r\n", true, HTTP_BODY_CUT},
        {"Transfer-Encoding: chunked", "3\r\nabc\r\n", false, HTTP_BODY_LATE},
        {"Transfer-Encoding: chunked", "3\r\nabcd\r\n", false, HTTP_BODY_MALFORMED},
        {"Transfer-Encoding: chunked", "zz\r\n", false, HTTP_BODY_MALFORMED},
        {"Transfer-Encoding: chunked", "500000\r\nabc", false, HTTP_BODY_LATE},
        {"Transfer-Encoding: chunked", "500001\r\nabc", false, HTTP_BODY_TOO_LONG},
        {"Transfer-Encoding: chunked", "ffffffffffffffff\r\nabc", false, HTTP_BODY_TOO_LONG},
        {"Transfer-Encoding: chunked", "3\r\nabc\r\nfffffffffffffffe\r\n", false, HTTP_BODY_TOO_LONG},
    };
    char text[200];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = connect_client();
        sprintf(text, "POST /gather HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", rows[i].head);
        put(fd, text);
        settle(); /* the head goes first */
        put(fd, rows[i].body);
        if (rows[i].shut)
            shutdown(fd, SHUT_WR);
        assert_false(get_until(fd, ""));
        sprintf(text, "\r\n\r\nfault %d", rows[i].fault);
        assert_has(text);
        close(fd);
    }
}

static void test_large_stream(void **state)
{
    int fd = connect_client();
    put(fd, "GET /streamlarge HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fd, "0\r\n\r\n"));
    size_t found = 0;
    for (size_t i = 0; i < got_size; i++)
        found += got[i] == 'L';
    assert_int_equal(found, sizeof large);
    close(fd);
}

static void test_sizes_around_the_buffer(void **state)
{
    int fd = connect_client();
    for (size_t size = 32768 - 200; size < 32768 + 100; size += 7) {
        char head[128];
        sprintf(head, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
        put(fd, head);
        for (size_t at = 0; at < size;) {
            ssize_t n = send(fd, large + at, size - at, 0);
            assert_true(n > 0);
            at += (size_t)n;
        }
        put(fd, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(get_until(fd, "GET h /next"));
        size_t found = 0;
        for (size_t i = 0; i < got_size; i++)
            found += got[i] == 'L';
        assert_int_equal(found, size);
    }
    close(fd);
}

static void test_gone(void **state)
{
    int fd = connect_client(), before = t.gone;
    struct linger reset = {1, 0};
    put(fd, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    settle();
    assert_int_equal(t.gone, before + 1);
}

static void test_slow_reader(void **state)
{
    int small = 4096, fd = connect_client();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 3; i++)
        put(fd, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    assert_int_equal(http_server_connections(t.server), 1);
    usleep(900000); /* beyond write_us without progress */
    assert_int_equal(http_server_connections(t.server), 0);
    close(fd);
}

static void test_connection_limit(void **state)
{
    int fds[60];
    for (int i = 0; i < 60; i++)
        fds[i] = connect_client();
    settle();
    for (int i = 0; i < 30; i++)
        close(fds[i]);
    settle();
    put(fds[59], "GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(get_until(fds[59], "GET h /late"));
    for (int i = 30; i < 60; i++)
        close(fds[i]);
}

static void fail_at(char nth)
{
    assert_int_equal(write(t.control_in, &nth, 1), 1);
    usleep(5000);
}

static void offer(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Whatever allocation fails, the client gets an answer or an end, and the next one is served. */
static void test_no_memory(void **state)
{
    for (char nth = 1; nth < 12; nth++) {
        int fd = connect_client();
        fail_at(nth);
        offer(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        offer(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
        (void)!send(fd, large, 100000, MSG_NOSIGNAL);
        offer(fd, "GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        usleep(20000);
        get_until(fd, "");
        fail_at(0);
        close(fd);
        once("GET /fine HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_has("GET h /fine");
    }
}

static void test_drain(void **state)
{
    int idle = connect_client(), busy = connect_client();
    put(busy, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    assert_int_equal(write(t.control_in, "d", 1), 1);
    assert_false(get_until(idle, ""));
    assert_false(t.drained);
    assert_false(get_until(busy, ""));
    assert_has("connection: close\r\n");
    assert_has("\r\n\r\n/later");
    settle();
    assert_true(t.drained);
    close(idle);
    close(busy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_keep_alive),
        TEST(test_steady),
        TEST(test_pipelining),
        TEST(test_many_pipelined),
        TEST(test_turns),
        TEST(test_split_bytes),
        TEST(test_half_close),
        TEST(test_http10),
        TEST(test_head),
        TEST(test_no_content),
        TEST(test_stream),
        TEST(test_fields),
        TEST(test_failures),
        TEST(test_refused),
        TEST(test_head_limit),
        TEST(test_timeouts),
        TEST(test_trickle),
        TEST(test_expect),
        TEST(test_expect_long),
        TEST(test_expect_early_head),
        TEST(test_large_bodies),
        TEST(test_gathered_bodies),
        TEST(test_unread_bodies),
        TEST(test_broken_bodies),
        TEST(test_large_stream),
        TEST(test_sizes_around_the_buffer),
        TEST(test_gone),
        TEST(test_slow_reader),
        TEST(test_connection_limit),
        TEST(test_no_memory),
        TEST(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
