/* What two readers of HTTP/1.1 might understand differently, or what is none: each row is what a client sends on one
 * connection, and what must come of it: the answers' statuses, and which requests the service saw. A request that hides
 * behind another one must never be seen (RFC 9112 sections 11.1 and 11.2). */
#include "support/serving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct serving t;
static char seen[1000]; /* targets of requests, in order */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const struct http_exchange *x)
{
    struct str target = http_request(x)->target;
    pthread_mutex_lock(&seen_lock);
    size_t size = strlen(seen);
    snprintf(seen + size, sizeof seen - size, "%.*s ", STR_ARG(target));
    pthread_mutex_unlock(&seen_lock);
}

static void gather(void *arg, struct http_exchange *x)
{
    static const unsigned statuses[HTTP_BODY_FAULT_COUNT] = {200, 400, 400, 400, 413, 500};
    http_take(x, http_request(x)->body.len);
    if (http_request(x)->coming)
        http_want(x);
    else
        http_respond(x, statuses[http_request(x)->fault], NULL, 0, STR("ok"));
}

static bool handle(void *arg, struct http_exchange *x)
{
    note(x);
    gather(arg, x);
    return true;
}

static const struct http_limits limits = {
    .head_bytes = 2000,
    .body_bytes = 1 << 20,
    .output_bytes = 1 << 20,
    .connections = 50,
    .head_us = 150000,
    .body_us = 150000,
    .idle_us = 150000,
    .write_us = 1000000,
};

static int start(void **state)
{
    static const struct http_service service = {.handle = handle, .ready = gather};
    return serving_start(&t, &service, &limits, NULL);
}

static int stop(void **state)
{
    return serving_stop(&t);
}

struct row {
    const char *name, *statuses, *seen, *bytes;
};

#define GET "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
#define NEXT "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: h\r\n"

/* The request, if its head came before the mistake in its body. */
#define MAYBE "/a ?"

/* Every row is also sent byte by byte. The connection is shut for sending behind the bytes. */
static const struct row rows[] = {
    /* ---- what is right ---- */
    {"two in a row", "200 200", "/a /next ", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" NEXT},
    {"empty lines before", "200 200", "/a /next ", "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n\r\n" NEXT},
    {"a length", "200 200", "/a /next ", POST "Content-Length: 3\r\n\r\nabc" NEXT},
    {"a length of nothing", "200 200", "/a /next ", POST "Content-Length: 0\r\n\r\n" NEXT},
    {"no length means no body", "200 200", "/a /next ", POST "\r\n" NEXT},
    {"chunks", "200 200", "/a /next ", POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" NEXT},
    {"chunks, extensions, trailers", "200 200", "/a /next ",
     POST "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n000;x\r\nA: b\r\nC: d\r\n\r\n" NEXT},
    {"a request as body", "200 200", "/a /next ", POST "Content-Length: 33\r\n\r\n" GET NEXT},
    {"a request as chunk", "200 200", "/a /next ",
     POST "Transfer-Encoding: chunked\r\n\r\n21\r\n" GET "\r\n0\r\n\r\n" NEXT},
    {"a request in trailers is none", "400", MAYBE,
     POST "Transfer-Encoding: chunked\r\n\r\n0\r\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n" NEXT},
    {"the body of a GET", "200 200", "/a /next ", "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" NEXT},
    {"an upgrade is passed over", "200 200", "/a /next ",
     "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" NEXT},
    {"an upgrade to HTTP/2 too", "200 200", "/a /next ",
     "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
     "AA\r\n\r\n" NEXT},
    {"close", "200", "/a ", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET},
    {"HTTP/1.0", "200", "/a ", "GET /a HTTP/1.0\r\n\r\n" GET},
    {"expect, with the body at once", "200 200", "/a /next ",
     POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc" NEXT},

    /* ---- two lengths ---- */
    {"length and chunked", "400", "", POST "Content-Length: 33\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET},
    {"chunked and length", "400", "", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" GET},
    {"two lengths", "400", "", POST "Content-Length: 0\r\nContent-Length: 33\r\n\r\n" GET},
    {"the same length twice", "400", "", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" GET},
    {"a list of lengths", "400", "", POST "Content-Length: 3, 3\r\n\r\nabc" GET},
    {"a length with a sign", "400", "", POST "Content-Length: +3\r\n\r\nabc" GET},
    {"a negative length", "400", "", POST "Content-Length: -3\r\n\r\nabc" GET},
    {"a hexadecimal length", "400", "", POST "Content-Length: 0x3\r\n\r\nabc" GET},
    {"a length with a space in it", "400", "", POST "Content-Length: 3 5\r\n\r\nabc" GET},
    {"a length with a vertical tab", "400", "", POST "Content-Length: \v3\r\n\r\nabc" GET},
    {"an empty length", "400", "", POST "Content-Length: \r\n\r\n" GET},
    {"a length that wraps", "413", "", POST "Content-Length: 18446744073709551619\r\n\r\nabc" GET},
    {"a length with an underscore", "400", "", POST "Content_Length: 3\r\nContent-Length: 1_0\r\n\r\nabc" GET},
    {"twice chunked", "400", "", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET},
    {"chunked with a parameter", "501", "", POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" GET},
    {"chunked is not last", "501", "", POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" GET},
    {"chunked twice in a list", "501", "", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" GET},
    {"identity", "501", "", POST "Transfer-Encoding: identity\r\n\r\n" GET},
    {"identity, chunked", "501", "", POST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" GET},
    {"an unknown coding", "501", "", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" GET},
    {"quoted", "501", "", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" GET},
    {"chunked behind a vertical tab", "400", "", POST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" GET},
    {"chunked behind a form feed", "400", "", POST "Transfer-Encoding: chunked\f\r\n\r\n0\r\n\r\n" GET},
    {"chunked in HTTP/1.0", "400", "", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET},
    {"an empty coding", "501", "", POST "Transfer-Encoding: \r\n\r\n" GET},

    /* ---- names and lines ---- */
    {"space before the colon", "400", "", POST "Content-Length : 33\r\n\r\n" GET},
    {"tab before the colon", "400", "", POST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" GET},
    {"space before the name", "400", "", POST " Content-Length: 33\r\n\r\n" GET},
    {"a folded line", "400", "", POST "X: a\r\n Content-Length: 33\r\n\r\n" GET},
    {"a folded coding", "501", "", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" GET},
    {"a line feed alone in fields", "400", "", POST "X: a\nContent-Length: 33\r\n\r\n" GET},
    {"a carriage return alone in fields", "400", "", POST "X: a\rContent-Length: 33\r\n\r\n" GET},
    {"a line feed alone at the end of the head", "400", "", POST "Content-Length: 33\r\n\n" GET},
    {"line feeds only", "400", "", "GET /a HTTP/1.1\nHost: h\n\n" GET},
    {"a carriage return twice", "400", "", POST "X: a\r\r\nContent-Length: 33\r\n\r\n" GET},
    {"no colon", "400", "", POST "Content-Length 33\r\n\r\n" GET},
    {"no name", "400", "", POST ": 33\r\n\r\n" GET},
    {"a name in quotes", "400", "", POST "\"Content-Length\": 33\r\n\r\n" GET},
    {"a control byte in a value", "400", "", POST "X: a\x01\r\n\r\n" GET},
    {"a byte above 127 in a name", "400", "", POST "Content-Length\xa0: 33\r\n\r\n" GET},

    /* ---- chunks ---- */
    {"a size with a sign", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" GET},
    {"a size with 0x", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" GET},
    {"a space behind the size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n" GET},
    {"a space before the size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n" GET},
    {"an empty size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n" GET},
    {"a size that wraps", "413", MAYBE,
     POST "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" GET},
    {"a line feed behind the size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" GET},
    {"a line feed in an extension", "400", MAYBE,
     POST "Transfer-Encoding: chunked\r\n\r\n3;\nxx\r\nabc\r\n0\r\n\r\n" GET},
    {"a carriage return in an extension", "400", MAYBE,
     POST "Transfer-Encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n" GET},
    {"a line feed behind the data", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n" GET},
    {"more data than the size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" GET},
    {"less data than the size", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n" GET},
    {"a line feed ends the trailers", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\n" GET},
    {"a folded trailer", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n" GET},

    /* ---- the first line ---- */
    {"no host", "400", "", "GET /a HTTP/1.1\r\n\r\n" GET},
    {"two hosts", "400", "", "GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" GET},
    {"two hosts in one", "400", "", "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n" GET},
    {"a host with a path", "400", "", "GET /a HTTP/1.1\r\nHost: h/x\r\n\r\n" GET},
    {"a host with a user", "400", "", "GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n" GET},
    {"a target with a space", "400", "", "GET /a /b HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"two spaces", "400", "", "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"a tab", "400", "", "GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"a space behind the version", "400", "", "GET /a HTTP/1.1 \r\nHost: h\r\n\r\n" GET},
    {"HTTP/0.9 has no version, and no answer", "", "", "GET /a\r\n\r\n" GET},
    {"HTTP/2.0", "505", "", "GET /a HTTP/2.0\r\nHost: h\r\n\r\n" GET},
    {"HTTP/1.10", "400", "", "GET /a HTTP/1.10\r\nHost: h\r\n\r\n" GET},
    {"http/1.1", "400", "", "GET /a http/1.1\r\nHost: h\r\n\r\n" GET},
    {"a fragment", "400", "", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"another scheme", "400", "", "GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"no path", "400", "", "GET a HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"CONNECT", "501", "", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"},
    {"CONNECT without a port", "400", "", "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n" GET},
    {"not HTTP at all", "", "", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"},
    {"the preface of HTTP/2 later", "200 505", "/a ",
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},

    /* ---- what does not come ---- */
    {"half a head", "", "", "GET /a HTTP/1.1\r\nHost: h\r\n"},
    {"half a body", "", "", POST "Content-Length: 10\r\n\r\nabc"},
    {"half of the chunks", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nab"},
    {"chunks without an end", "400", MAYBE, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"},
    {"something else expected", "417", "", POST "Content-Length: 3\r\nExpect: tea\r\n\r\nabc" GET},
};

/* Statuses of the answers, interim ones left out. */
static void statuses_of(char *got, char *statuses)
{
    *statuses = '\0';
    for (char *p = got; (p = strstr(p, "HTTP/1.1 ")) != NULL; p += 9)
        if (p[9] != '1')
            sprintf(statuses + strlen(statuses), "%s%.3s", *statuses ? " " : "", p + 9);
}

static bool is_seen(const char *wanted)
{
    bool maybe = strcmp(wanted, MAYBE) == 0;
    return maybe ? !*seen || strcmp(seen, "/a ") == 0 : strcmp(seen, wanted) == 0;
}

static void send_in_steps(int fd, const char *bytes, size_t step)
{
    for (size_t size = strlen(bytes), at = 0; at < size; at += step) {
        size_t n = step < size - at ? step : size - at;
        if (send(fd, bytes + at, n, MSG_NOSIGNAL) < 0)
            break;
        if (step == 1 && at % 5 == 0) /* else they arrive together all the same */
            usleep(50);
    }
    shutdown(fd, SHUT_WR);
}

static void try_row(const struct row *row, size_t step)
{
    char got[8192], statuses[200];
    size_t size = 0;
    ssize_t n;
    int fd = serving_connect(&t);
    seen[0] = '\0';
    send_in_steps(fd, row->bytes, step);
    while ((n = recv(fd, got + size, sizeof got - 1 - size, 0)) > 0)
        size += (size_t)n;
    got[size] = '\0';
    close(fd);
    assert_int_equal(serving_connections(&t, 0), 0);
    statuses_of(got, statuses);
    pthread_mutex_lock(&seen_lock);
    bool same = strcmp(statuses, row->statuses) == 0 && is_seen(row->seen);
    pthread_mutex_unlock(&seen_lock);
    if (!same)
        fail_msg("%s (in steps of %zu): \"%s\", not \"%s\"; seen \"%s\", not \"%s\"", row->name, step, statuses,
                 row->statuses, seen, row->seen);
}

static void test_whole(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        try_row(&rows[i], SIZE_MAX);
}

static void test_split(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        try_row(&rows[i], 1);
}

/* A byte of zero ends no string here. */
static void test_zero_bytes(void **state)
{
    static const char *const texts[] = {"GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a HTTP/1.1\r\nHost: h?\r\n\r\n",
                                        "GET /a HTTP/1.1\r\nHost: h\r\nX?: y\r\n\r\n",
                                        "GET /a HTTP/1.1\r\nHost: h\r\nX: ?y\r\n\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[100], got[200] = "";
        int fd = serving_connect(&t);
        size_t size = strlen(texts[i]);
        memcpy(text, texts[i], size + 1);
        *strchr(text, '?') = '\0';
        assert_int_equal(send(fd, text, size, 0), (ssize_t)size);
        assert_true(recv(fd, got, sizeof got - 1, 0) > 12);
        assert_memory_equal(got, "HTTP/1.1 400 ", 13);
        close(fd);
    }
}

/* Slow ones get 408, in the head and in a short body, and a connection that says nothing ends without a word. */
static void test_slow(void **state)
{
    static const struct {
        const char *bytes, *start;
    } slow[] = {
        {"", ""}, {"GET /a HTTP/1.1\r\nHos", "HTTP/1.1 408"}, {POST "Content-Length: 9\r\n\r\nabc", "HTTP/1.1 408"}};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        char got[500] = "";
        size_t size = 0;
        ssize_t n;
        int fd = serving_connect(&t);
        (void)!send(fd, slow[i].bytes, strlen(slow[i].bytes), 0);
        while ((n = recv(fd, got + size, sizeof got - 1 - size, 0)) > 0)
            size += (size_t)n;
        assert_true(n == 0 && strncmp(got, slow[i].start, strlen(slow[i].start)) == 0);
        assert_int_equal(size > 0, *slow[i].start != '\0');
        close(fd);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_split),
        TEST(test_zero_bytes),
        TEST(test_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
