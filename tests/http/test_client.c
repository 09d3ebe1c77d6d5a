/* The HTTP client against a peer in the same process: what a peer may do with its time, its bytes and a connection
 * that is used again. */
#include "support/loop.h"
#include "http/call.h"

#include "base/alloc.h"
#include "base/log.h"
#include "support/descriptors.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct io_loop *loop;
static struct http_client *client;
static int listener = -1, peer = -1;
static uint16_t port;

/* ---- the loop, until something happens ---- */

static struct io_timer patience;

static void stop(struct io_timer *timer)
{
    io_stop(loop);
}

static void changed(struct outbound_call *call)
{
    io_stop(loop);
}

static void turn(uint64_t most_us)
{
    patience.fired = stop;
    io_timer_set(loop, &patience, io_now_us(loop) + most_us);
    assert_true(io_run(loop, NULL));
    io_timer_stop(loop, &patience);
}

static void run_until(const struct outbound_call *call, enum outbound_state state)
{
    for (int turns = 0; call->state < state && turns < 10000; turns++)
        turn(10000);
    assert_true(call->state >= state);
}

/* ---- calls ---- */

static bool permits(void *owner, const struct ip_endpoint *to)
{
    return true;
}

static struct outbound_call *begin_call(struct outbound_request request)
{
    char authority[32];
    int size = snprintf(authority, sizeof authority, "127.0.0.1:%u", port);
    if (!request.method.ptr)
        request.method = STR("GET");
    request.target = STR("/");
    request.authority = (struct str){authority, (size_t)size};
    request.host = STR("127.0.0.1");
    request.port = port;
    request.permits = permits;
    request.changed = changed;
    struct outbound_call *call = http_client_face.begin(client, &request);
    assert_non_null(call);
    return call;
}

static void accept_peer(void)
{
    for (int turns = 0; (peer = accept(listener, NULL, NULL)) < 0 && turns < 1000; turns++)
        turn(1000);
    assert_true(peer >= 0);
}

static void say(const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the call has sent, up to `end`. */
static const char *hear(const char *end)
{
    static char text[65536];
    size_t size = 0;
    memset(text, 0, sizeof text);
    for (int turns = 0; !strstr(text, end) && turns < 1000; turns++) {
        ssize_t n = recv(peer, text + size, sizeof text - 1 - size, MSG_DONTWAIT);
        size += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            turn(1000);
    }
    assert_non_null(strstr(text, end));
    return text;
}

#define HELLO "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

/* ---- connections that are used again ---- */

static void test_kept(void **state)
{
    struct outbound_call *call = begin_call((struct outbound_request){0});
    accept_peer();
    say(HELLO);
    run_until(call, OUTBOUND_DONE);
    assert_int_equal(client->idle_count, 1);
    http_client_face.drop(call);
}

/* Calls that come and go leave nothing behind but the connection. */
static void test_many(void **state)
{
    unsigned open = 0;
    uint64_t live = 0;
    for (int i = 0; i < 2000; i++) {
        struct outbound_call *call = begin_call((struct outbound_request){0});
        if (i == 0)
            accept_peer();
        hear("\r\n\r\n");
        say(HELLO);
        run_until(call, OUTBOUND_DONE);
        http_client_face.drop(call);
        if (i == 0) {
            open = open_descriptors();
            live = mem_live();
        }
    }
    assert_int_equal(open_descriptors(), open);
    assert_int_equal(mem_live(), live);
    assert_int_equal(client->count, 0);
    assert_int_equal(client->idle_count, 1);
}

/* A peer that answers before it has read the request: what is left of that is not sent, so that the peer would take the
 * next request for it. */
static void test_early_answer_is_not_kept(void **state)
{
    static char body[8000000];
    struct outbound_call *call =
        begin_call((struct outbound_request){.method = STR("POST"), .body = OUTBOUND_LENGTH, .length = sizeof body});
    accept_peer();
    assert_true(http_client_face.write(call, (struct str){body, sizeof body}));
    http_client_face.finish(call, NULL, 0);
    turn(10000);
    say(HELLO);
    run_until(call, OUTBOUND_DONE);
    assert_int_equal(call->state, OUTBOUND_DONE);
    assert_int_equal(client->idle_count, 0);
    http_client_face.drop(call);
}

/* ---- time ---- */

static struct drip {
    struct io_timer timer;
    const char *text;
    unsigned said;
} drip;

static void say_one(struct io_timer *timer)
{
    if (drip.text[drip.said] && send(peer, drip.text + drip.said, 1, MSG_NOSIGNAL) == 1)
        drip.said++;
    io_timer_set(loop, timer, io_now_us(loop) + 20000);
}

static void say_slowly(const char *text)
{
    drip = (struct drip){.timer = {.fired = say_one}, .text = text};
    io_timer_set(loop, &drip.timer, io_now_us(loop) + 1000);
}

static void assert_read_timeout(struct outbound_call *call)
{
    run_until(call, OUTBOUND_FAILED);
    assert_int_equal(call->state, OUTBOUND_FAILED);
    assert_int_equal(call->error.tag, WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT);
    io_timer_stop(loop, &drip.timer);
    http_client_face.drop(call);
}

/* The head must be there in time, however it comes: else a peer could hold a call for an hour with a byte a minute. */
static void test_head_in_time(void **state)
{
    struct outbound_call *call = begin_call((struct outbound_request){.first_byte_us = 200000});
    accept_peer();
    say_slowly("HTTP/1.1 200 OK\r\nx: and so on, and so on, and so on\r\ncontent-length: 5\r\n\r\nhello");
    assert_read_timeout(call);
    assert_in_range(drip.said, 1, 20);
}

/* So must informational responses not make it wait longer. */
static void test_informational_in_time(void **state)
{
    struct outbound_call *call = begin_call((struct outbound_request){.first_byte_us = 200000});
    accept_peer();
    say("HTTP/1.1 100 Continue\r\n\r\n");
    say_slowly("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    assert_read_timeout(call);
    assert_in_range(drip.said, 1, 20);
}

/* Of a body every part has its time. */
static void test_body_in_time(void **state)
{
    struct outbound_call *call = begin_call((struct outbound_request){.first_byte_us = 200000, .between_us = 200000});
    accept_peer();
    say("HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n");
    say_slowly("a body that takes its time....");
    run_until(call, OUTBOUND_DONE);
    assert_int_equal(call->state, OUTBOUND_DONE);
    io_timer_stop(loop, &drip.timer);
    http_client_face.drop(call);
}

/* ---- bytes ---- */

static size_t fill(void)
{
    static const char bytes[65536];
    ssize_t n;
    size_t sum = 0;
    while ((n = send(peer, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sum += (size_t)n;
    return sum;
}

/* A reader that takes a little less than what makes the buffer move. */
static void test_slow_reader(void **state)
{
    const size_t size = 4000000, part = HTTP_CALL_ROOM / 2 - 1;
    size_t said = 0, taken = 0;
    char head[100];
    struct outbound_call *call = begin_call((struct outbound_request){0});
    accept_peer();
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\nbegins", (size_t)1 << 40);
    say(head);
    run_until(call, OUTBOUND_ANSWERED);
    for (int turns = 0; taken < size && turns < 100000; turns++) {
        said += fill();
        turn(1000);
        assert_int_not_equal(call->state, OUTBOUND_FAILED);
        size_t n = call->body.len < part ? call->body.len : part;
        if (n)
            http_client_face.take(call, n);
        taken += n;
    }
    assert_true(taken >= size && said >= taken);
    http_client_face.drop(call);
}

/* RFC 9110, section 6.5.1: a peer that joined trailers to the fields would read another message. */
static void test_trailers(void **state)
{
    static const struct http_field trailers[] = {{{"x-sum", 5}, {"7", 1}},
                                                 {{"Content-Length", 14}, {"999", 3}},
                                                 {{"Transfer-Encoding", 17}, {"gzip", 4}},
                                                 {{"last", 4}, {"1", 1}}};
    struct outbound_call *call = begin_call((struct outbound_request){.method = STR("POST"), .body = OUTBOUND_CHUNKED});
    accept_peer();
    http_client_face.finish(call, trailers, 4);
    const char *text = hear("last: 1\r\n\r\n");
    assert_non_null(strstr(text, "\r\n0\r\nx-sum: 7\r\nlast: 1\r\n\r\n"));
    http_client_face.drop(call);
}

/* ---- around them ---- */

static int begin(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    log_level_set(LOG_ERROR - 1);
    alarm(120); /* what never comes is a failure, too */
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) < 0)
        return -1;
    port = ntohs(at.sin_port);
    loop = test_loop(NULL);
    client = loop ? http_client_new(loop, NULL) : NULL;
    return client ? 0 : -1;
}

static int end(void **state)
{
    alarm(0);
    http_client_free(client);
    io_loop_free(loop);
    close(listener);
    if (peer >= 0)
        close(peer);
    peer = -1;
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    static const struct CMUnitTest tests[] = {
        TEST(kept),
        TEST(many),
        TEST(early_answer_is_not_kept),
        TEST(head_in_time),
        TEST(informational_in_time),
        TEST(body_in_time),
        TEST(slow_reader),
        TEST(trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
