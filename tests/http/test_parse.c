/* The request parser: what it takes, what it refuses, and that it does not matter how bytes arrive. */
#include "http/chunks.h"
#include "http/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct http_parser parser;
static char buffer[65536];

/* Parse from a block of exactly the text's size, so that the sanitizer sees any read behind it. */
static int parse(const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    http_parse_begin(&parser, 0);
    int status = http_parse_head(&parser, copy, size);
    memcpy(buffer, copy, size); /* views stay readable through rebasing below */
    ptrdiff_t delta = buffer - copy;
    struct http_request *r = &parser.request;
    struct str *views[] = {&r->method, &r->target, &r->authority};
    for (size_t i = 0; i < 3; i++)
        if (views[i]->ptr >= copy && views[i]->ptr < copy + size)
            views[i]->ptr += delta;
    for (uint32_t i = 0; i < r->field_count; i++) {
        http_parse_fields(&parser)[i].name.ptr += delta;
        http_parse_fields(&parser)[i].value.ptr += delta;
    }
    free(copy);
    return status;
}

#define assert_str(got, want) assert_true(str_eq((got), str_of(want)))

static void test_simple(void **state)
{
    assert_int_equal(parse("GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nX-Name:  two words \t\r\nEmpty:\r\n\r\n"),
                     0);
    assert_str(parser.request.method, "GET");
    assert_str(parser.request.target, "/a/b?c=d");
    assert_str(parser.request.authority, "example.com:80");
    assert_str(parser.request.scheme, "http");
    assert_int_equal(parser.request.field_count, 3);
    assert_str(http_parse_fields(&parser)[1].name, "x-name");
    assert_str(http_parse_fields(&parser)[1].value, "two words");
    assert_str(http_parse_fields(&parser)[2].value, "");
    assert_true(parser.keep_alive);
    assert_int_equal(parser.body, HTTP_BODY_NONE);
}

static void test_target_forms(void **state)
{
    assert_int_equal(parse("GET http://h.example:8080/p?q HTTP/1.1\r\nHost: other\r\n\r\n"), 0);
    assert_str(parser.request.authority, "h.example:8080");
    assert_str(parser.request.target, "/p?q");
    assert_int_equal(parse("GET HTTPS://h HTTP/1.1\r\nHost: other\r\n\r\n"), 0);
    assert_str(parser.request.scheme, "https");
    assert_str(parser.request.target, "/");
    assert_int_equal(parse("GET http://host.example?query HTTP/1.1\r\nHost: other\r\n\r\n"), 0);
    assert_str(parser.request.authority, "host.example");
    assert_str(parser.request.target, "/?query");
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_int_equal(parse("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_str(parser.request.target, "*");
    assert_int_equal(parse("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"), 0);
    assert_str(parser.request.authority, "h:443");
}

static void test_keep_alive(void **state)
{
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), 0);
    assert_false(parser.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, ,Close\r\n\r\n"), 0);
    assert_false(parser.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_false(parser.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
    assert_true(parser.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.7\r\nHost: h\r\n\r\n"), 0);
    assert_int_equal(parser.minor, 1);
}

static void test_lengths(void **state)
{
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0042\r\n\r\n"), 0);
    assert_int_equal(parser.body, HTTP_BODY_LENGTH);
    assert_int_equal(parser.length, 42);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n"),
                     0);
    assert_int_equal(parser.body, HTTP_BODY_CHUNKED);
    assert_true(parser.expect_continue);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n"), 0);
    assert_int_equal(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n"), 413);
}

static const struct refused {
    int status;
    const char *text;
} refused[] = {
    {400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\n\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"},
    {400, "GET / HTTP/1.1\rHost: h\r\n\r\n"},
    {400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"},
    {400, "GET /\r\nHost: h\r\n\r\n"},
    {400, " GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET a HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET http:/h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET http://u@h/p HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET / http/1.1\r\nHost: h\r\n\r\n"},
    {400, "GET / HTTP/1,1\r\nHost: h\r\n\r\n"},
    {400, "GET / HTTP/11\r\nHost: h\r\n\r\n"},
    {505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
    {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: ::1]\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tfolded\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\n: empty\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nna\xc3\xafve: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01z\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nX: a long value before the \x7f\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
    {501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\x0b chunked\r\n\r\n"},
    {417, "POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: h\r\nConnection: clo se\r\n\r\n"},
    {501, "AVERYLONGMETHODNAMETHATNOBODYKNOWS / HTTP/1.1\r\nHost: h\r\n\r\n"},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int got = parse(refused[i].text);
        if (got != refused[i].status)
            print_error("%s\n", refused[i].text);
        assert_int_equal(got, refused[i].status);
    }
}

static void test_null_bytes(void **state)
{
    char text[] = "GET / HTTP/1.1\r\nHost: h\r\nX: a?b\r\n\r\n";
    *strchr(text, '?') = '\0';
    http_parse_begin(&parser, 0);
    assert_int_equal(http_parse_head(&parser, text, sizeof text - 1), 400);
}

/* Every control byte at every offset of a long value: the wide scan must see each. */
static void test_control_bytes(void **state)
{
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < 40; at++) {
            char value[40];
            memset(value, 'v', sizeof value);
            value[at] = (char)byte;
            bool fine = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
            assert_int_equal(http_is_value((struct str){value, sizeof value}), fine);
        }
}

static const char *const whole[] = {
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n",
    "\r\n\r\nPOST /some/path?x=y HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nAccept: */*\r\nX-Tab: a\tb\r\n\r\n",
    "GET http://h.example?q HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
};

/* In two parts at every place, and byte by byte: the same request each time. */
static void test_split(void **state)
{
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        size_t size = strlen(whole[i]);
        for (size_t at = 0; at <= size; at++) {
            memcpy(buffer, whole[i], size);
            http_parse_begin(&parser, 0);
            int status = http_parse_head(&parser, buffer, at);
            assert_int_equal(status, at == size ? HTTP_PARSE_DONE : HTTP_PARSE_MORE);
            if (at < size)
                assert_int_equal(http_parse_head(&parser, buffer, size), HTTP_PARSE_DONE);
            assert_int_equal(parser.at, size);
        }
        memcpy(buffer, whole[i], size);
        http_parse_begin(&parser, 0);
        for (size_t at = 0; at < size; at++)
            assert_int_equal(http_parse_head(&parser, buffer, at), HTTP_PARSE_MORE);
        assert_int_equal(http_parse_head(&parser, buffer, size), HTTP_PARSE_DONE);
    }
}

/* Byte by byte, a malformed head is refused at the latest with its last byte, and never accepted. */
static void test_split_refused(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        size_t size = strlen(refused[i].text);
        int status = HTTP_PARSE_MORE;
        memcpy(buffer, refused[i].text, size);
        http_parse_begin(&parser, 0);
        for (size_t at = 0; at <= size && status == HTTP_PARSE_MORE; at++)
            status = http_parse_head(&parser, buffer, at);
        assert_true(status >= 400);
    }
}

/* A line feed alone is known to be wrong when it comes, not when a timer ends the wait. */
static void test_early(void **state)
{
    assert_int_equal(parse("GET / HTTP/1.1\n"), 400);
    assert_int_equal(parse("GET /\n"), 400);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost\n"), 400);
    assert_int_equal(parse("GET / HTTP/1.1\r"), HTTP_PARSE_MORE);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\n\r"), HTTP_PARSE_MORE);
    assert_int_equal(parse(""), HTTP_PARSE_MORE);
}

static void test_field_limit(void **state)
{
    for (int count = HTTP_MAX_FIELDS; count <= HTTP_MAX_FIELDS + 1; count++) {
        size_t n = (size_t)sprintf(buffer, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (int i = 1; i < count; i++)
            n += (size_t)sprintf(buffer + n, "x-%d: y\r\n", i);
        n += (size_t)sprintf(buffer + n, "\r\n");
        http_parse_begin(&parser, 0);
        assert_int_equal(http_parse_head(&parser, buffer, n), count == HTTP_MAX_FIELDS ? 0 : 431);
        for (int i = 1; i < HTTP_MAX_FIELDS;
             i++) { /* those before and behind the ones that have a place in the parser */
            char name[16];
            sprintf(name, "x-%d", i);
            assert_str(http_parse_fields(&parser)[i].name, name);
        }
        http_parse_free(&parser);
    }
}

static void test_fields_after_many(void **state)
{
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nx: y\r\n\r\n"), HTTP_PARSE_DONE);
    assert_ptr_equal(parser.request.fields, parser.few);
    size_t n = (size_t)sprintf(buffer, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 1; i <= HTTP_FEW_FIELDS; i++)
        n += (size_t)sprintf(buffer + n, "x-%d: y\r\n", i);
    n += (size_t)sprintf(buffer + n, "\r\n");
    http_parse_begin(&parser, 0);
    assert_int_equal(http_parse_head(&parser, buffer, n), HTTP_PARSE_DONE);
    assert_ptr_equal(parser.request.fields, parser.many);
    assert_str(parser.request.fields[0].name, "host");
    assert_str(parser.request.fields[HTTP_FEW_FIELDS].name, "x-20");
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nz: y\r\n\r\n"), HTTP_PARSE_DONE);
    assert_ptr_equal(parser.request.fields, parser.many); /* its memory stays for the next one */
    assert_str(parser.request.fields[1].name, "z");
    http_parse_free(&parser);
}

static void test_method_limit(void **state)
{
    for (int length = HTTP_MAX_METHOD; length <= HTTP_MAX_METHOD + 1; length++) {
        int n = sprintf(buffer, "%0*d / HTTP/1.1\r\nHost: h\r\n\r\n", length, 1);
        http_parse_begin(&parser, 0);
        assert_int_equal(http_parse_head(&parser, buffer, (size_t)n), length == HTTP_MAX_METHOD ? 0 : 501);
    }
}

/* ---- chunks ---- */

static struct http_chunks chunks;

/* Feed `text` in pieces of `step` bytes as a connection does: what is not used is offered again. */
static int decode(const char *text, size_t step, size_t max, struct buf *body, size_t *ret_used)
{
    size_t size = strlen(text), from = 0, to = 0;
    int status = HTTP_PARSE_MORE;
    memcpy(buffer, text, size);
    body->size = 0;
    http_chunks_begin(&chunks);
    while (status == HTTP_PARSE_MORE && to < size) {
        size_t used = 0;
        to = to + step < size ? to + step : size;
        status = http_chunks_decode(&chunks, buffer + from, to - from, max, body, &used);
        from += used;
    }
    *ret_used = from;
    return status;
}

static void test_chunks(void **state)
{
    const char *text = "5\r\nhello\r\n00a ;ext=\"1\"\r\n, world!!!\r\n0\r\nX-Sum: 7\r\nY: z\r\n\r\n";
    struct buf body;
    buf_init(&body, 100);
    for (size_t step = 1; step <= strlen(text); step++) {
        size_t used;
        assert_int_equal(decode(text, step, 100, &body, &used), HTTP_PARSE_DONE);
        assert_int_equal(used, strlen(text));
        assert_int_equal(body.size, 15);
        assert_memory_equal(body.data, "hello, world!!!", 15);
        assert_int_equal(chunks.trailer_count, 2);
        assert_str(chunks.trailers[0].name, "x-sum");
        assert_str(chunks.trailers[1].value, "z");
    }
    buf_free(&body);
}

static void test_chunks_refused(void **state)
{
    static const struct refused bad[] = {
        {400, "\r\n"},
        {400, "g\r\n"},
        {400, "-1\r\n"},
        {400, "5\nhello\r\n"},
        {400, "5\r\nhelloX\r\n"},
        {400, "5\r\nhello\n0\r\n\r\n"},
        {400, "5 \r\nhello\r\n"},
        {400, "0x5\r\nhello\r\n"},
        {400, "5;a\x01\r\nhello\r\n"},
        {413, "65\r\n"},
        {413, "ffffffffffffffff\r\n"},
        {413, "10000000000000000\r\n"},
        {400, "0\r\nbad\r\n\r\n"},
        {400, "0\r\nA: b\n\r\n"},
        {400, "0\r\n folded: b\r\n\r\n"},
        {400, "5\rhello"},
    };
    struct buf body;
    size_t used;
    buf_init(&body, 1000);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t step = 1; step < 30; step++) {
            int got = decode(bad[i].text, step, 100, &body, &used);
            if (got != bad[i].status)
                print_error("step %zu: %s\n", step, bad[i].text);
            assert_int_equal(got, bad[i].status);
        }
    assert_int_equal(decode("64\r\n", 4, 100, &body, &used), HTTP_PARSE_MORE);
    buf_free(&body);
}

static void test_chunk_line_limit(void **state)
{
    struct buf body;
    size_t used;
    char text[HTTP_MAX_CHUNK_LINE + 32];
    buf_init(&body, 100);
    for (int over = 0; over <= 1; over++) {
        sprintf(text, "1;%0*d\r\nx\r\n0\r\n\r\n", HTTP_MAX_CHUNK_LINE - 4 + over, 0);
        assert_int_equal(decode(text, 1000, 100, &body, &used), over ? 400 : HTTP_PARSE_DONE);
    }
    buf_free(&body);
}

/* ---- responses ---- */

static int parse_response(const char *text, size_t cut)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 1);
    memcpy(copy, text, size);
    http_parse_begin_response(&parser, 0);
    int status = http_parse_head(&parser, copy, cut < size ? cut : size);
    if (status == HTTP_PARSE_MORE)
        status = http_parse_head(&parser, copy, size);
    free(copy);
    return status;
}

static void test_responses(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
        enum http_body_kind body;
        uint64_t length;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, HTTP_BODY_LENGTH, 5},
        {"HTTP/1.1 404 \r\n\r\n", 404, HTTP_BODY_NONE, 0},
        {"HTTP/1.1 599\r\n\r\n", 599, HTTP_BODY_NONE, 0},
        {"HTTP/1.0 200 It's \x80 fine\r\nConnection: keep-alive\r\n\r\n", 200, HTTP_BODY_NONE, 0},
        {"HTTP/1.1 100 Continue\r\n\r\n", 100, HTTP_BODY_NONE, 0},
        {"HTTP/1.1 200 OK\r\nHost: a b\r\nExpect: x\r\nTransfer-Encoding: chunked\r\n\r\n", 200, HTTP_BODY_CHUNKED, 0},
        {"HTTP/1.9 200 OK\r\n\r\n", 200, HTTP_BODY_NONE, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t cut = 0; cut <= strlen(rows[i].text); cut++) {
            assert_int_equal(parse_response(rows[i].text, cut), HTTP_PARSE_DONE);
            assert_int_equal(parser.status, rows[i].status);
            assert_int_equal(parser.body, rows[i].body);
            assert_int_equal(parser.length, rows[i].length);
            assert_int_equal(parser.at, strlen(rows[i].text));
        }
}

static void test_responses_refused(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\nK\r\n\r\n",
        "HTTP/1.1 200 O\1K\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (parse_response(texts[i], SIZE_MAX) != 400)
            fail_msg("%s is taken", texts[i]);
    assert_int_equal(parse_response("HTTP/2.0 200 OK\r\n\r\n", SIZE_MAX), 505);
    assert_int_equal(parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n", SIZE_MAX), 501);
    assert_int_equal(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 1", SIZE_MAX), HTTP_PARSE_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),      cmocka_unit_test(test_responses_refused),
        cmocka_unit_test(test_simple),         cmocka_unit_test(test_target_forms),
        cmocka_unit_test(test_keep_alive),     cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_null_bytes),
        cmocka_unit_test(test_control_bytes),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_refused),  cmocka_unit_test(test_early),
        cmocka_unit_test(test_field_limit),    cmocka_unit_test(test_fields_after_many),
        cmocka_unit_test(test_method_limit),   cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunks_refused), cmocka_unit_test(test_chunk_line_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
