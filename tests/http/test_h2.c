/* HTTP/2 over real sockets: the server in a thread, the test is its client, by nghttp2 or with frames by hand. */
#include "support/serving.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "http/connection.h"
#include "wasi/message.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)3 << 20)

static struct serving t;
static atomic_int gone_count, handled, taken;
static struct http_exchange *held[256];
static int held_count;
static struct io_timer timer;
static char large[LARGE];

/* ---- the service ---- */

static void answer_held(struct io_timer *which)
{
    while (held_count)
        http_respond(held[--held_count], 200, NULL, 0, STR("later"));
}

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

/* All that is there; false: more comes. */
static bool take_all(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    while (r->body.len) {
        taken += (int)r->body.len;
        http_take(x, r->body.len);
    }
    if (r->coming)
        http_want(x);
    return !r->coming;
}

static void gather_more(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    char text[100];
    if (!take_all(x))
        return;
    int n = r->fault ? sprintf(text, "fault %d", r->fault) : sprintf(text, "%d", taken);
    for (uint32_t i = 0; i < r->trailer_count; i++)
        n += sprintf(text + n, " %.*s=%.*s", STR_ARG(r->trailers[i].name), STR_ARG(r->trailers[i].value));
    http_respond(x, 200, NULL, 0, (struct str){text, (size_t)n});
}

static int silently; /* bytes that came after the head of an answer without content; -1: not all of them */

static void silent_more(struct http_exchange *x)
{
    if (!take_all(x))
        return;
    silently = http_request(x)->fault ? -1 : taken;
    http_finish(x, NULL, 0);
}

static size_t stream_left;

static void stream_more(struct http_exchange *x)
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

static bool stepwise(struct http_exchange *x, void (*step)(struct http_exchange *), bool start)
{
    x->user = (void *)step;
    if (start && !http_start(x, 200, NULL, 0))
        return false;
    step(x);
    return true;
}

static bool describe(struct http_exchange *x)
{
    char text[2048];
    const struct http_request *r = http_request(x);
    int n = snprintf(text, sizeof text, "%.*s %.*s %.*s %.*s", STR_ARG(r->method), STR_ARG(r->scheme),
                     STR_ARG(r->authority), STR_ARG(r->target));
    for (uint32_t i = 0; i < r->field_count && n < 1900; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "|%.*s=%.*s", STR_ARG(r->fields[i].name),
                      STR_ARG(r->fields[i].value));
    return http_respond(x, 200, NULL, 0, (struct str){text, (size_t)n < sizeof text ? (size_t)n : sizeof text});
}

static bool hold(struct http_exchange *x)
{
    held[held_count++] = x;
    return true;
}

static bool later(struct http_exchange *x)
{
    timer.fired = answer_held;
    io_timer_set(t.loop, &timer, io_now_us(t.loop) + 50000);
    return hold(x);
}

static bool fields(struct http_exchange *x)
{
    const struct http_field rows[] = {
        {STR("Connection"), STR("close")},
        {STR("Transfer-Encoding"), STR("gzip")},
        {STR("Content-Length"), STR("99")},
        {STR("X-Kept"), STR(" yes ")},
    };
    const struct http_field bad = {STR("bad"), STR("a\r\nb")}, name = {STR("bad name"), STR("x")};
    if (http_respond(x, 200, &bad, 1, STR("")) || http_respond(x, 200, &name, 1, STR("")) ||
        http_respond(x, 99, NULL, 0, STR("")))
        return true;
    return http_respond(x, 299, rows, 4, STR("ok"));
}

static bool stream(struct http_exchange *x)
{
    static const struct http_field trailers[] = {{{"X-Sum", 5}, {"7", 1}}, {{"Host", 4}, {"no", 2}}};
    return http_start(x, 200, NULL, 0) && http_write(x, STR("one ")) && http_write(x, STR("two")) &&
           http_finish(x, trailers, 2);
}

static bool declared(struct http_exchange *x, const char *length)
{
    struct http_field field = {STR("Content-Length"), str_of(length)};
    if (!http_start(x, 200, &field, 1) || !http_write(x, STR("12345")))
        return false;
    http_finish(x, NULL, 0);
    return true;
}

static bool handle(void *arg, struct http_exchange *x)
{
    struct str path = http_request(x)->target;
    handled++;
    taken = 0;
    stream_left = LARGE;
#define ROUTE(text) if (str_starts(path, STR(text)))
    ROUTE("/echo") return stepwise(x, echo_more, true);
    ROUTE("/gather") return stepwise(x, gather_more, false);
    ROUTE("/later") return later(x);
    ROUTE("/never") return hold(x);
    ROUTE("/streamlarge") return stepwise(x, stream_more, true);
    ROUTE("/stream") return stream(x);
    ROUTE("/large") return http_respond(x, 200, NULL, 0, (struct str){large, LARGE});
    ROUTE("/silent") return http_start(x, 204, NULL, 0) && stepwise(x, silent_more, false);
    ROUTE("/204") return http_respond(x, 204, NULL, 0, STR("dropped"));
    ROUTE("/fail") return false;
    ROUTE("/half") return http_start(x, 200, NULL, 0) && http_write(x, STR("half")) && false;
    ROUTE("/declared5") return declared(x, "5");
    ROUTE("/declared6") return declared(x, "6");
    ROUTE("/fields") return fields(x);
#undef ROUTE
    return describe(x);
}

static void ready(void *arg, struct http_exchange *x)
{
    ((void (*)(struct http_exchange *))x->user)(x);
}

static void gone(void *arg, struct http_exchange *x)
{
    for (int i = 0; i < held_count; i++)
        if (held[i] == x)
            held[i--] = held[--held_count];
    gone_count++;
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

static int start(void **state)
{
    static const struct http_service service = {.handle = handle, .gone = gone, .ready = ready};
    memset(large, 'L', sizeof large);
    memset(&timer, 0, sizeof timer);
    held_count = 0;
    gone_count = handled = 0;
    return serving_start(&t, &service, &limits, NULL);
}

static int stop(void **state)
{
    return serving_stop(&t);
}

/* ---- the client ---- */

struct reply {
    bool open, closed;
    int status, interim;
    uint32_t code; /* it was closed with */
    char fields[2048], trailers[256], *body;
    size_t size, sent, to_send, seen;
    const char *trailer;
    bool reads_late; /* windows are opened by hand */
};

static struct {
    nghttp2_session *session;
    int fd;
    bool ended, goaway;
    uint32_t goaway_code;
    int32_t last_id;
    struct reply replies[512]; /* by stream, of odd numbers */
} c;

static struct reply *reply_of(int32_t id)
{
    return &c.replies[id / 2];
}

static ssize_t client_send(nghttp2_session *session, const uint8_t *bytes, size_t size, int flags, void *arg)
{
    ssize_t n = send(c.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? NGHTTP2_ERR_WOULDBLOCK : n;
}

static int client_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                         const uint8_t *value, size_t value_size, uint8_t flags, void *arg)
{
    struct reply *r = reply_of(frame->hd.stream_id);
    bool trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS && r->status;
    char *to = trailer ? r->trailers : r->fields;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
        int status = atoi((const char *)value);
        *(status < 200 ? &r->interim : &r->status) = status;
        return 0;
    }
    sprintf(to + strlen(to), "%.*s: %.*s\n", (int)name_size, name, (int)value_size, value);
    return 0;
}

static int client_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size,
                       void *arg)
{
    struct reply *r = reply_of(id);
    r->body = realloc(r->body, r->size + size + 1);
    memcpy(r->body + r->size, bytes, size);
    r->size += size;
    r->body[r->size] = '\0';
    if (!r->reads_late)
        nghttp2_session_consume(session, id, size);
    return 0;
}

static int client_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    reply_of(id)->closed = true;
    reply_of(id)->code = code;
    return 0;
}

static int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    if (frame->hd.type != NGHTTP2_GOAWAY)
        return 0;
    c.goaway = true;
    c.goaway_code = frame->goaway.error_code;
    c.last_id = frame->goaway.last_stream_id;
    return 0;
}

/* `to_send` bytes of L, then the trailer. */
static ssize_t client_body(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t size, uint32_t *flags,
                           nghttp2_data_source *source, void *arg)
{
    struct reply *r = reply_of(id);
    size_t left = r->to_send - r->sent;
    if (left > size)
        left = size;
    memset(bytes, 'L', left);
    r->sent += left;
    if (r->sent < r->to_send)
        return (ssize_t)left;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (r->trailer) {
        const nghttp2_nv trailer = {(uint8_t *)"x-sum", (uint8_t *)r->trailer, 5, strlen(r->trailer), 0};
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, &trailer, 1);
    }
    return (ssize_t)left;
}

static void client_open(void)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    memset(&c, 0, sizeof c);
    c.fd = serving_connect(&t);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, client_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* it sends what it should not */
    nghttp2_session_client_new2(&c.session, callbacks, NULL, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    nghttp2_submit_settings(c.session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static void client_close_all(void)
{
    nghttp2_session_del(c.session);
    for (size_t i = 0; i < sizeof c.replies / sizeof c.replies[0]; i++)
        free(c.replies[i].body);
    close(c.fd);
}

/* One turn: send what is to be sent, wait for a moment, read what there is. */
static void client_turn(int wait_ms)
{
    static uint8_t bytes[65536];
    struct pollfd p = {c.fd, POLLIN, 0};
    nghttp2_session_send(c.session);
    if (c.ended || poll(&p, 1, wait_ms) <= 0)
        return;
    ssize_t n = recv(c.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    c.ended |= n <= 0;
    if (n > 0 && nghttp2_session_mem_recv(c.session, bytes, (size_t)n) < 0)
        c.ended = true;
    nghttp2_session_send(c.session);
}

static uint64_t now_ms(void)
{
    return clock_now_ns() / 1000000;
}

/* Until the stream is closed, for five seconds at most. */
static struct reply *client_wait(int32_t id)
{
    uint64_t end = now_ms() + 5000;
    while (!reply_of(id)->closed && !c.ended && now_ms() < end)
        client_turn(10);
    return reply_of(id);
}

static void client_wait_end(void)
{
    uint64_t end = now_ms() + 5000;
    while (!c.ended && now_ms() < end)
        client_turn(10);
    assert_true(c.ended);
}

static void client_pass(int ms)
{
    for (uint64_t end = now_ms() + (uint64_t)ms; now_ms() < end;)
        client_turn(5);
}

#define NV(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE}

/* Names and values alternate, ended by NULL. `size`: of the body; SIZE_MAX: none. */
static int32_t send_request(size_t size, const char *const *fields)
{
    nghttp2_nv nv[200];
    size_t count = 0;
    for (; fields[2 * count]; count++) {
        nv[count] = (nghttp2_nv)NV(fields[2 * count], fields[2 * count + 1]);
        nv[count].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME; /* it would be turned to lower case */
    }
    const nghttp2_data_provider body = {.read_callback = client_body};
    int32_t id = nghttp2_submit_request(c.session, NULL, nv, count, size == SIZE_MAX ? NULL : &body, NULL);
    assert_true(id > 0 && id / 2 < 512);
    reply_of(id)->open = true;
    reply_of(id)->to_send = size == SIZE_MAX ? 0 : size;
    return id;
}

static int32_t ask(const char *method, const char *path, size_t size)
{
    const char *const fields[] = {":method", method, ":scheme", "http", ":authority", "h:1", ":path", path, NULL};
    return send_request(size, fields);
}

static void assert_has(const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("no \"%s\" in: %.600s", wanted, text);
}

/* ---- requests and answers ---- */

static void test_simple(void **state)
{
    client_open();
    struct reply *r = client_wait(ask("GET", "/a?b", SIZE_MAX));
    assert_int_equal(r->status, 200);
    assert_int_equal(r->code, 0);
    assert_string_equal(r->body, "GET http h:1 /a?b|host=h:1");
    assert_has(r->fields, "content-length: 26\n");
    assert_has(r->fields, "date: ");
    assert_int_equal(client_wait(ask("GET", "/204", SIZE_MAX))->status, 204);
    r = client_wait(ask("HEAD", "/a", SIZE_MAX));
    assert_int_equal(r->size, 0);
    assert_has(r->fields, "content-length: 25\n");
    r = client_wait(ask("HEAD", "/stream", SIZE_MAX));
    assert_true(r->status == 200 && r->size == 0 && r->code == 0);
    client_close_all();
}

static void test_fields(void **state)
{
    const char *const cookies[] = {":method", "GET", ":scheme", "https",    ":path",  "/", "cookie", "a=1", "x", "y",
                                   "cookie",  "b=2", "host",    "other:80", "cookie", "",  "cookie", "c",   NULL};
    client_open();
    struct reply *r = client_wait(send_request(SIZE_MAX, cookies));
    assert_string_equal(r->body, "GET https other:80 /|cookie=a=1; b=2; ; c|x=y|host=other:80");
    r = client_wait(ask("GET", "/fields", SIZE_MAX));
    assert_int_equal(r->status, 299);
    assert_has(r->fields, "x-kept: yes\n");
    assert_has(r->fields, "content-length: 2\n");
    assert_null(strstr(r->fields, "connection"));
    assert_null(strstr(r->fields, "gzip"));
    client_close_all();
}

static void test_streams(void **state)
{
    client_open();
    struct reply *r = client_wait(ask("GET", "/stream", SIZE_MAX));
    assert_string_equal(r->body, "one two");
    assert_string_equal(r->trailers, "x-sum: 7\n");
    r = client_wait(ask("GET", "/declared5", SIZE_MAX));
    assert_string_equal(r->body, "12345");
    assert_has(r->fields, "content-length: 5\n");
    assert_int_equal(client_wait(ask("GET", "/declared6", SIZE_MAX))->code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(client_wait(ask("GET", "/fail", SIZE_MAX))->status, 500);
    r = client_wait(ask("GET", "/half", SIZE_MAX));
    assert_true(r->status <= 200 && r->code == NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(client_wait(ask("GET", "/after", SIZE_MAX))->status, 200);
    client_close_all();
}

/* Answers overtake each other, and as many as may be are there at once. */
static void test_many(void **state)
{
    int32_t late[100];
    client_open();
    for (int i = 0; i < 99; i++)
        late[i] = ask("GET", "/later", SIZE_MAX);
    struct reply *r = client_wait(ask("GET", "/now", SIZE_MAX));
    assert_int_equal(r->status, 200);
    assert_false(reply_of(late[0])->closed);
    for (int i = 0; i < 99; i++)
        assert_string_equal(client_wait(late[i])->body, "later");
    client_close_all();
}

static void test_bodies(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 65535, 65536, 65537, 1 << 20, LARGE};
    char text[32];
    client_open();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct reply *r = client_wait(ask("POST", "/echo", sizes[i]));
        assert_true(r->status == 200 && r->size == sizes[i] && r->code == 0);
        r = client_wait(ask("POST", "/gather", sizes[i]));
        sprintf(text, "%zu", sizes[i]);
        assert_string_equal(r->body, text);
    }
    int32_t id = ask("POST", "/gather", 100000);
    reply_of(id)->trailer = "9";
    assert_string_equal(client_wait(id)->body, "100000 x-sum=9");
    id = ask("POST", "/echo", 10);
    reply_of(id)->trailer = "9";
    assert_string_equal(client_wait(id)->trailers, "x-sum: 9\n");
    client_close_all();
}

static int32_t post(const char *path, const char *length, const char *name, const char *value, size_t size)
{
    const char *const fields[] = {":method", "POST",           ":scheme", "http", ":authority", "h", ":path",
                                  path,      "content-length", length,    name,   value,        NULL};
    return send_request(size, fields);
}

static void test_expect(void **state)
{
    client_open();
    struct reply *r = client_wait(post("/gather", "10", "expect", "100-continue", 10));
    assert_true(r->interim == 100 && r->status == 200);
    r = client_wait(post("/gather", "100000", "expect", "100-continue", 100000));
    assert_true(r->interim == 100 && r->status == 200);
    r = client_wait(post("/plain", "100000", "expect", "100-continue", 100000));
    assert_true(r->interim == 0 && r->status == 200);
    r = client_wait(post("/echo", "100000", "expect", "100-continue", 100000));
    assert_true(r->interim == 100 && r->status == 200 && r->size == 100000);
    assert_int_equal(client_wait(post("/gather", "10", "expect", "tea", 10))->status, 417);
    client_close_all();
}

/* The head is all of the answer, and the request goes on: nobody may take its end for granted, or drop it. */
static void test_body_after_silent_answer(void **state)
{
    static const size_t sizes[] = {0, 10, 100000, BODY_SKIP + 100000};
    client_open();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        silently = -1;
        struct reply *r = client_wait(ask("PUT", "/silent", sizes[i]));
        assert_true(r->status == 204 && r->code == 0 && r->size == 0);
        assert_int_equal(silently, sizes[i]);
    }
    client_close_all();
}

static void test_large(void **state)
{
    client_open();
    int32_t one = ask("GET", "/large", SIZE_MAX), two = ask("GET", "/streamlarge", SIZE_MAX);
    assert_int_equal(client_wait(one)->size, LARGE);
    assert_int_equal(client_wait(two)->size, LARGE);
    for (size_t i = 0; i < LARGE; i++)
        assert_true(reply_of(one)->body[i] == 'L' && reply_of(two)->body[i] == 'L');
    client_close_all();
}

/* ---- what is refused ---- */

static void test_refused(void **state)
{
    static const struct {
        const char *method, *scheme, *authority, *path;
        int status;
    } rows[] = {
        {"GET", "http", "h", "/a\x80", 400},   {"GET", "http", "h", "/a#b", 400},
        {"GET", "http", "a b", "/", 400},      {"GET", "http", "u@h", "/", 400},
        {"GET", "http", "h:x", "/", 400},      {"GET", "ftp", "h", "/", 400},
        {"GET", "http", "h", "*", 400},        {"OPTIONS", "http", "h", "*", 200},
        {"GET", "http", "[::1]:80", "/", 200}, {"AVERYLONGMETHODNAMETHATNOBODYKNOWS", "http", "h", "/", 501},
    };
    client_open();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const fields[] = {":method",      rows[i].method, ":scheme",
                                      rows[i].scheme, ":authority",   rows[i].authority,
                                      ":path",        rows[i].path,   NULL};
        struct reply *r = client_wait(send_request(SIZE_MAX, fields));
        /* nghttp2 refuses some of it on its own, by resetting the stream */
        if (r->status != rows[i].status && !(rows[i].status == 400 && r->code == NGHTTP2_PROTOCOL_ERROR))
            fail_msg("row %zu: %d, code %u", i, r->status, r->code);
    }
    const char *const hosts[] = {":method", "GET", ":scheme", "http", ":authority", "a",
                                 ":path",   "/",   "host",    "b",    NULL};
    assert_int_equal(client_wait(send_request(SIZE_MAX, hosts))->status, 400);
    const char *const connect[] = {":method", "CONNECT", ":authority", "h:1", NULL};
    assert_int_equal(client_wait(send_request(SIZE_MAX, connect))->status, 501);
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    client_close_all();
}

/* Fields of a connection, fields that do not go together, and lengths that lie. */
static void test_malformed(void **state)
{
    static const struct {
        const char *name, *value;
        size_t size;
    } rows[] = {
        {"connection", "close", SIZE_MAX},   {"keep-alive", "1", SIZE_MAX},
        {"proxy-connection", "x", SIZE_MAX}, {"transfer-encoding", "chunked", 5},
        {"upgrade", "h2c", SIZE_MAX},        {"te", "gzip", SIZE_MAX},
        {"X-Upper", "x", SIZE_MAX},          {"bad name", "x", SIZE_MAX},
        {":unknown", "x", SIZE_MAX},         {"x", "a\r\nb", SIZE_MAX},
        {"content-length", "5", 4},          {"content-length", "5", 6},
        {"content-length", "5", SIZE_MAX},   {"content-length", "x", 5},
        {"content-length", "-1", 5},         {"content-length", "99999999999999999999", 5},
    };
    client_open();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const fields[] = {":method", "POST",    ":scheme",    "http",        ":authority", "h",
                                      ":path",   "/gather", rows[i].name, rows[i].value, NULL};
        struct reply *r = client_wait(send_request(rows[i].size, fields));
        if (r->status == 200 || (r->code != NGHTTP2_PROTOCOL_ERROR && r->status < 400))
            fail_msg("%s: %s is answered %d, code %u", rows[i].name, rows[i].value, r->status, r->code);
    }
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    client_close_all();
}

static void test_limits(void **state)
{
    char long_value[2001];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[2000] = '\0';
    client_open();
    struct reply *r = client_wait(post("/gather", "99999999", "x", "y", 99999999));
    assert_int_equal(r->status, 413);
    assert_int_equal(client_wait(post("/gather", "0", "x", long_value, 0))->status, 431);
    long_value[0] = '/';
    assert_int_equal(client_wait(ask("GET", long_value, SIZE_MAX))->status, 414);
    const char *many[240] = {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"};
    for (int i = 0; i < 101; i++)
        many[8 + 2 * i] = "x", many[9 + 2 * i] = "";
    assert_int_equal(client_wait(send_request(SIZE_MAX, many))->status, 431);
    assert_string_equal(client_wait(ask("POST", "/gather", (5 << 20) + 1))->body, "fault 4");
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    client_close_all();
}

/* Trailers that are refused are over for the connection, whose next head has its own time. */
static void test_malformed_trailers(void **state)
{
    client_open();
    int32_t other = ask("GET", "/never", SIZE_MAX), id = ask("POST", "/gather", 100000);
    reply_of(id)->trailer = "a\r\nb";
    assert_int_equal(client_wait(id)->code, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(reply_of(id)->status, 0);
    client_pass(300);
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    assert_false(reply_of(other)->closed);
    client_close_all();
}

/* ---- flow control ---- */

/* What nobody takes is not sent, and other streams go on. */
static void test_window(void **state)
{
    client_open();
    int32_t id = ask("POST", "/never", 1 << 20);
    client_pass(100);
    assert_int_equal(reply_of(id)->sent, 65536);
    assert_string_equal(client_wait(ask("POST", "/gather", 200000))->body, "200000");
    assert_int_equal(reply_of(id)->sent, 65536);
    client_close_all();
}

/* An answer for which the client opens no window ends, and so does the request; others go on. */
static void test_stalled(void **state)
{
    client_open();
    int32_t id = ask("GET", "/streamlarge", SIZE_MAX);
    reply_of(id)->reads_late = true;
    client_pass(100);
    assert_int_equal(reply_of(id)->size, 65535);
    nghttp2_session_consume_connection(c.session, 65535);
    assert_int_equal(client_wait(ask("GET", "/large", SIZE_MAX))->size, LARGE);
    assert_int_equal(client_wait(id)->code, NGHTTP2_CANCEL);
    assert_int_equal(gone_count, 1);
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    client_close_all();
}

/* A client that reads nothing at all, but asks again and again. */
static void test_deaf(void **state)
{
    int small = 4096;
    client_open();
    setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    nghttp2_session_set_local_window_size(c.session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
    nghttp2_submit_settings(c.session, NGHTTP2_FLAG_NONE, &window, 1);
    for (int i = 0; i < 2; i++)
        ask("GET", "/large", SIZE_MAX);
    assert_int_equal(serving_connections(&t, 1), 1);
    for (int i = 0; i < 30 && http_server_connections(t.server); i++) {
        nghttp2_submit_ping(c.session, NGHTTP2_FLAG_NONE, NULL); /* which is no progress */
        nghttp2_session_send(c.session);
        usleep(50000);
    }
    assert_int_equal(http_server_connections(t.server), 0);
    client_close_all();
}

/* Answers together may not take more than the limit, 8 MiB: who is over it gets a plain one. */
static void test_output_limit(void **state)
{
    int32_t ids[3];
    client_open();
    for (int i = 0; i < 3; i++) {
        ids[i] = ask("GET", "/large", SIZE_MAX);
        reply_of(ids[i])->reads_late = true;
    }
    client_pass(50);
    assert_int_equal(reply_of(ids[2])->status, 500);
    client_close_all();
}

/* ---- bodies that nobody reads, or that do not come ---- */

static void test_unread_bodies(void **state)
{
    client_open();
    struct reply *r = client_wait(ask("POST", "/plain", 200000));
    assert_true(r->status == 200 && r->code == 0 && r->sent == 200000);
    r = client_wait(ask("POST", "/plain", 2 << 20));
    assert_true(r->status == 200 && r->code == 0 && r->sent < 1 << 20);
    assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
    client_close_all();
}

static ssize_t no_more(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t size, uint32_t *flags,
                       nghttp2_data_source *source, void *arg)
{
    return NGHTTP2_ERR_DEFERRED;
}

static void test_late_bodies(void **state)
{
    const nghttp2_data_provider body = {.read_callback = no_more};
    const nghttp2_nv told[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "h"),
                               NV(":path", "/gather"), NV("content-length", "10")};
    client_open();
    int32_t gathered = nghttp2_submit_request(c.session, NULL, told, 5, &body, NULL);
    int32_t streamed = nghttp2_submit_request(c.session, NULL, told, 4, &body, NULL);
    assert_int_equal(client_wait(gathered)->status, 408);
    assert_string_equal(client_wait(streamed)->body, "fault 2");
    assert_int_equal(handled, 1);
    client_close_all();
}

/* ---- the end ---- */

static void test_gone(void **state)
{
    client_open();
    int32_t id = ask("GET", "/never", SIZE_MAX), other = ask("GET", "/never", SIZE_MAX);
    client_pass(30);
    nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    client_pass(30);
    assert_int_equal(gone_count, 1);
    assert_false(reply_of(other)->closed);
    close(c.fd);
    assert_int_equal(serving_connections(&t, 0), 0);
    assert_int_equal(gone_count, 2);
    c.fd = serving_connect(&t);
    client_close_all();
}

static void test_idle(void **state)
{
    client_open();
    assert_int_equal(client_wait(ask("GET", "/a", SIZE_MAX))->status, 200);
    uint64_t began = now_ms();
    for (int i = 0; i < 100 && !c.ended; i++) {
        nghttp2_submit_ping(c.session, NGHTTP2_FLAG_NONE, NULL); /* does not count */
        client_pass(20);
    }
    assert_true(c.ended && c.goaway && c.goaway_code == NGHTTP2_NO_ERROR);
    assert_true(now_ms() - began >= 500);
    client_close_all();
}

static void test_drain(void **state)
{
    client_open();
    int32_t id = ask("GET", "/later", SIZE_MAX);
    client_pass(20);
    serving_drain(&t);
    client_pass(20);
    assert_true(c.goaway && c.goaway_code == NGHTTP2_NO_ERROR && c.last_id == id);
    assert_false(t.drained);
    assert_string_equal(client_wait(id)->body, "later");
    client_wait_end();
    close(c.fd);
    assert_int_equal(serving_connections(&t, 0), 0);
    assert_true(t.drained);
    c.fd = serving_connect(&t);
    client_close_all();
}

/* Streams that are broken off again and again. */
static void test_rapid_reset(void **state)
{
    client_open();
    for (int i = 0; i < 500 && !c.ended && !c.goaway; i++) {
        int32_t id = ask("GET", "/never", SIZE_MAX);
        nghttp2_session_send(c.session);
        nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        client_turn(0);
    }
    client_wait_end();
    assert_true(c.goaway && c.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(gone_count <= handled && held_count == 0);
    client_close_all();
}

/* ---- frames by hand ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static size_t frame(char *to, uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t size)
{
    const uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,      type,       flags,
                             (uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(to, head, 9);
    if (size)
        memcpy(to + 9, payload, size);
    return 9 + size;
}

static int raw_open(void)
{
    char bytes[64];
    int fd = serving_connect(&t);
    assert_int_equal(send(fd, preface, 24, 0), 24);
    size_t n = frame(bytes, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(send(fd, bytes, n, 0), (ssize_t)n);
    return fd;
}

/* All that comes up to the end; the code of a GOAWAY in it, or -1. */
static int read_to_end(int fd)
{
    static uint8_t bytes[1 << 20];
    size_t size = 0;
    int code = -1;
    ssize_t n;
    while ((n = recv(fd, bytes + size, sizeof bytes - size, 0)) > 0)
        size += (size_t)n;
    for (size_t at = 0; at + 9 <= size;) {
        size_t length = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        if (bytes[at + 3] == NGHTTP2_GOAWAY && at + 17 <= size)
            code = bytes[at + 16];
        at += 9 + length;
    }
    close(fd);
    return code;
}

/* Header blocks that never end: in time, and in frames. */
static void test_endless_head(void **state)
{
    static char block[16384], bytes[16500];
    int fd = raw_open();
    size_t n = frame(bytes, NGHTTP2_HEADERS, 0, 1, "\x82", 1);
    assert_int_equal(send(fd, bytes, n, 0), (ssize_t)n);
    uint64_t began = now_ms();
    read_to_end(fd);
    assert_true(now_ms() - began < 2000);
    fd = raw_open();
    assert_int_equal(send(fd, bytes, n, 0), (ssize_t)n);
    memset(block, 0x82, sizeof block);
    n = frame(bytes, NGHTTP2_CONTINUATION, 0, 1, block, sizeof block);
    for (int i = 0; i < 1000; i++)
        if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
            break;
    read_to_end(fd);
    assert_int_equal(serving_connections(&t, 0), 0);
}

/* What has to be confirmed piles up while nobody reads the confirmations. */
static void test_floods(void **state)
{
    static const uint8_t types[] = {NGHTTP2_PING, NGHTTP2_SETTINGS};
    static char bytes[1000 * 17];
    for (size_t i = 0; i < sizeof types; i++) {
        int fd = raw_open(), small = 1024;
        size_t size = types[i] == NGHTTP2_PING ? 8 : 0, n = 0;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        while (n + 17 <= sizeof bytes)
            n += frame(bytes + n, types[i], 0, 0, "12345678", size);
        for (int j = 0; j < 2000; j++)
            if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
                break;
        assert_int_equal(serving_connections(&t, 0), 0);
        close(fd);
    }
}

/* Byte by byte, the preface too. */
static void test_split(void **state)
{
    static const char block[] = "\x82\x86\x84\x41\x01h";
    char bytes[200];
    int fd = serving_connect(&t);
    memcpy(bytes, preface, 24);
    size_t n = 24 + frame(bytes + 24, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    n += frame(bytes + n, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block, 6);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(send(fd, bytes + i, 1, 0), 1);
        usleep(200);
    }
    for (int i = 0; i < 100 && !handled; i++)
        usleep(10000);
    assert_int_equal(handled, 1);
    close(fd);
}

/* The preface is one only at the beginning, and only the whole of it. */
static void test_preface(void **state)
{
    char got[1000];
    int fd = serving_connect(&t);
    static const char text[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)!send(fd, text, strlen(text), 0);
    (void)!send(fd, preface, 24, 0);
    size_t size = 0;
    ssize_t n;
    while ((n = recv(fd, got + size, sizeof got - 1 - size, 0)) > 0)
        size += (size_t)n;
    got[size] = '\0';
    assert_has(got, "HTTP/1.1 200 OK");
    assert_has(got, "HTTP/1.1 505 ");
    close(fd);
    fd = serving_connect(&t);
    (void)!send(fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 24, 0);
    read_to_end(fd);
    fd = serving_connect(&t);
    (void)!send(fd, "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", 24, 0);
    n = recv(fd, got, sizeof got - 1, 0);
    assert_true(n > 12 && memcmp(got, "HTTP/1.1 505", 12) == 0);
    close(fd);
    assert_int_equal(serving_connections(&t, 0), 0);
}

/* Whatever allocation fails, the client gets an answer or an end, and the next one is served. */
static void test_no_memory(void **state)
{
    for (unsigned char nth = 1; nth < 60; nth++) {
        serving_fail_at(&t, nth);
        client_open();
        int32_t ids[] = {ask("POST", "/echo", 100000), ask("GET", "/large", SIZE_MAX), ask("POST", "/gather", 100)};
        for (uint64_t end = now_ms() + 100; now_ms() < end && !c.ended;)
            client_turn(1);
        serving_fail_at(&t, 0);
        for (int i = 0; i < 3; i++)
            client_wait(ids[i]);
        client_close_all();
        client_open();
        assert_int_equal(client_wait(ask("GET", "/fine", SIZE_MAX))->status, 200);
        client_close_all();
    }
}

/* Nothing of ours is allocated per request once there were some; what is left is nghttp2's. */
static void test_steady(void **state)
{
    client_open();
    for (int i = 0; i < 50; i++)
        client_wait(ask("GET", "/a", SIZE_MAX));
    uint64_t before = mem_count(), live = mem_live();
    for (int i = 0; i < 100; i++)
        client_wait(ask("GET", "/a", SIZE_MAX));
    assert_true(mem_count() - before <= 100 * 40);
    assert_true(mem_live() <= live + 200); /* streams that ended, which nghttp2 remembers for a while */
    client_close_all();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_simple),
        TEST(test_fields),
        TEST(test_streams),
        TEST(test_many),
        TEST(test_bodies),
        TEST(test_expect),
        TEST(test_body_after_silent_answer),
        TEST(test_large),
        TEST(test_refused),
        TEST(test_malformed),
        TEST(test_malformed_trailers),
        TEST(test_limits),
        TEST(test_window),
        TEST(test_stalled),
        TEST(test_deaf),
        TEST(test_output_limit),
        TEST(test_unread_bodies),
        TEST(test_late_bodies),
        TEST(test_gone),
        TEST(test_idle),
        TEST(test_drain),
        TEST(test_rapid_reset),
        TEST(test_endless_head),
        TEST(test_floods),
        TEST(test_split),
        TEST(test_preface),
        TEST(test_no_memory),
        TEST(test_steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
