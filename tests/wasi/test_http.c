/* Host objects of wasi:http against an exchange that records what it is told. */
#include "wasi/gen/wasi_filesystem.h"
#include "wasi/object.h"

#include "base/alloc.h"
#include "base/log.h"
#include "component/handles.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct store store;
static struct handles handles;
static struct host_pool *pool;
static struct host *h;
static struct host_config config;
static struct err err;

/* ---- the exchange ---- */

static struct {
    char log[8192];
    size_t room;
    bool refuse, broken;
} exchange;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t n = strlen(exchange.log);
    va_list args;
    va_start(args, format);
    vsnprintf(exchange.log + n, sizeof exchange.log - n, format, args);
    va_end(args);
}

static void note_fields(const struct http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note(" %.*s=%.*s", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
}

static void note_bytes(struct str bytes)
{
    if (bytes.len > 100)
        note(" <%zu bytes>", bytes.len);
    else
        note(" [%.*s]", STR_ARG(bytes));
}

static bool face_respond(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    if (exchange.refuse)
        return false;
    note("respond %u", status);
    note_fields(fields, count);
    note_bytes(body);
    return true;
}

static bool face_start(void *x, unsigned status, const struct http_field *fields, size_t count)
{
    if (exchange.refuse)
        return false;
    note("start %u", status);
    note_fields(fields, count);
    return true;
}

static bool face_write(void *x, struct str bytes)
{
    if (exchange.broken)
        return false;
    note("; write");
    note_bytes(bytes);
    return true;
}

static size_t face_room(void *x)
{
    return exchange.room;
}

static bool face_finish(void *x, const struct http_field *trailers, size_t count)
{
    note("; finish");
    note_fields(trailers, count);
    return true;
}

static struct http_request request;

/* What comes of the request's body later: nothing arrives before it is waited for. */
static const char *later;

static void face_want(void *x)
{
    note("want;");
    if (later)
        request.body = str_of(later);
    later = NULL;
}

/* The client sends as fast as it is read. */
static bool endless;
static unsigned takes;

static void face_take(void *x, size_t size)
{
    takes++;
    request.body = endless ? STR("more") : str_slice(request.body, size, request.body.len);
}

/* What the host adds to a request's fields. */
static struct http_field added_fields[] = {{{"x-one", 5}, {"the host's", 10}}, {{"x-new", 5}, {"n", 1}}};
static uint32_t added_count;

static bool face_added(void *x, struct http_added *ret)
{
    assert_non_null(ret->arena);
    memcpy(ret->items, added_fields, added_count * sizeof *added_fields);
    ret->count = added_count;
    return true;
}

static bool stays;

static bool face_part(void *x)
{
    note(stays ? "; stay" : "; part");
    return !stays;
}

static const struct http_face recorder = {face_want, face_take,   face_respond, face_start, face_write,
                                          face_room, face_finish, face_added,   face_part};

/* ---- a request ---- */

static struct http_field request_fields[] = {
    {{"host", 4}, {"h.example", 9}},        {{"x-one", 5}, {"1", 1}},     {{"x-two", 5}, {"2", 1}},
    {{"connection", 10}, {"x-nothing", 9}}, {{"x-one", 5}, {"again", 5}},
};
static struct http_field request_trailers[] = {{{"x-sum", 5}, {"7", 1}}};
static uint32_t request_handle, outparam_handle;

static struct wasi_http_incoming_request *in_request;
static struct wasi_http_response_outparam *outparam;

static int begin(void **state)
{
    log_level_set(LOG_ERROR - 1);
    memset(&exchange, 0, sizeof exchange);
    later = NULL;
    added_count = 0;
    endless = stays = false;
    memset(&store, 0, sizeof store);
    memset(&handles, 0, sizeof handles);
    exchange.room = HOST_STREAM_BYTES;
    config = (struct host_config){.name = "test"};
    request = (struct http_request){
        .method = STR("POST"),
        .target = STR("/p?q"),
        .scheme = STR("http"),
        .authority = STR("h.example"),
        .fields = request_fields,
        .field_count = 5,
        .body = STR("the body"),
        .trailers = request_trailers,
        .trailer_count = 1,
    };
    pool = host_pool_new(NULL, NULL, &err);
    h = host_begin(pool, &config, &store, &exchange);
    host_take_request(h, &request, &recorder, &exchange);
    if (!host_give_request(h, &handles, &request_handle, &outparam_handle))
        return -1;
    in_request = (void *)(uintptr_t)handle_get(&handles, request_handle)->rep;
    outparam = (void *)(uintptr_t)handle_get(&handles, outparam_handle)->rep;
    return 0;
}

static int end(void **state)
{
    if (h)
        host_end(h, true);
    h = NULL;
    host_pool_free(pool);
    return 0;
}

static enum host_outcome finish(void)
{
    enum host_outcome outcome = host_end(h, false);
    h = NULL;
    return outcome;
}

/* ---- what a guest does ---- */

static struct wasi_http_fields *new_fields(void)
{
    struct wasi_http_fields *fields;
    assert_true(wasi_http_types_fields_constructor(h, &fields));
    return fields;
}

static int append(struct wasi_http_fields *fields, const char *name, const char *value)
{
    struct result_void_wasi_http_types_header_error ret = {0};
    struct list_u8 bytes = {(const uint8_t *)value, strlen(value)};
    assert_true(wasi_http_types_fields_append(h, fields, str_of(name), bytes, &ret));
    return ret.err ? (int)ret.error.tag : -1;
}

static struct wasi_http_outgoing_response *new_response(const char *length)
{
    struct wasi_http_outgoing_response *response;
    struct wasi_http_fields *fields = new_fields();
    if (length)
        assert_int_equal(append(fields, "Content-Length", length), -1);
    assert_true(wasi_http_types_outgoing_response_constructor(h, fields, &response));
    return response;
}

static struct wasi_http_outgoing_body *body_of(struct wasi_http_outgoing_response *response)
{
    struct result_wasi_http_outgoing_body_void ret = {0};
    assert_true(wasi_http_types_outgoing_response_body(h, response, &ret));
    assert_false(ret.err);
    return ret.ok;
}

static struct wasi_io_output_stream *stream_of(struct wasi_http_outgoing_body *body)
{
    struct result_wasi_io_output_stream_void ret = {0};
    assert_true(wasi_http_types_outgoing_body_write(h, body, &ret));
    assert_false(ret.err);
    return ret.ok;
}

static void set(struct wasi_http_outgoing_response *response)
{
    struct result_wasi_http_outgoing_response_wasi_http_types_error_code result = {.ok = response};
    assert_true(wasi_http_types_response_outparam_set(h, outparam, &result));
}

/* As a guest's runtime does it: check-write, write, until all is gone. False: the stream failed. */
static bool put(struct wasi_io_output_stream *stream, const char *bytes, size_t size)
{
    while (size) {
        struct result_u64_wasi_io_streams_stream_error room = {0};
        struct result_void_wasi_io_streams_stream_error written = {0};
        assert_true(wasi_io_streams_output_stream_check_write(h, stream, &room));
        if (room.err || room.ok == 0)
            return false;
        size_t n = size < room.ok ? size : room.ok;
        assert_true(
            wasi_io_streams_output_stream_write(h, stream, (struct list_u8){(const uint8_t *)bytes, n}, &written));
        if (written.err)
            return false;
        bytes += n;
        size -= n;
    }
    return true;
}

static bool close_body(struct wasi_http_outgoing_body *body, struct wasi_io_output_stream *stream,
                       struct wasi_http_fields *trailers)
{
    struct result_void_wasi_http_types_error_code ret = {0};
    struct option_wasi_http_fields option = {trailers != NULL, trailers};
    if (stream)
        wasi_io_output_stream_drop(h, stream);
    assert_true(wasi_http_types_outgoing_body_finish(h, body, &option, &ret));
    return !ret.err;
}

static void assert_trap(void)
{
    assert_int_equal(store.trap, TRAP_HOST);
    assert_true(store.trap_message[0]);
}

/* ---- fields ---- */

enum { SYNTAX, FORBIDDEN, IMMUTABLE };

static void test_fields(void **state)
{
    struct wasi_http_fields *fields = new_fields();
    struct result_void_wasi_http_types_header_error ret = {0};
    struct list_list_u8 values;
    bool has;
    assert_int_equal(append(fields, "X-A", "1"), -1);
    assert_int_equal(append(fields, "x-a", "2"), -1);
    assert_int_equal(append(fields, "X-B", ""), -1);
    assert_true(wasi_http_types_fields_get(h, fields, STR("x-A"), &values));
    assert_int_equal(values.len, 2);
    assert_memory_equal(values.ptr[1].ptr, "2", 1);
    assert_true(wasi_http_types_fields_has(h, fields, STR("X-b"), &has));
    assert_true(has);
    struct list_u8 new_value = {(const uint8_t *)"3", 1};
    assert_true(wasi_http_types_fields_set(h, fields, STR("x-A"), (struct list_list_u8){&new_value, 1}, &ret));
    assert_false(ret.err);
    assert_true(wasi_http_types_fields_get(h, fields, STR("x-a"), &values));
    assert_int_equal(values.len, 1);
    assert_true(wasi_http_types_fields_delete(h, fields, STR("x-b"), &ret));
    assert_true(wasi_http_types_fields_has(h, fields, STR("x-b"), &has));
    assert_false(has);
    assert_true(wasi_http_types_fields_get(h, fields, STR("bad name"), &values));
    assert_int_equal(values.len, 0);
}

static void test_fields_refused(void **state)
{
    struct wasi_http_fields *fields = new_fields();
    static const char *const bad_names[] = {"", "a b", "a:", "a\r", "\xc3\xa9", "(x)"};
    static const char *const bad_values[] = {"a\r\nb", "a\n", "\x01", "x\x7f"};
    static const char *const forbidden[] = {"Connection",         "HOST",
                                            "keep-alive",         "Proxy-Connection",
                                            "proxy-authenticate", "proxy-authorization",
                                            "transfer-encoding",  "Upgrade",
                                            "http2-settings"};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++)
        assert_int_equal(append(fields, bad_names[i], "x"), SYNTAX);
    for (size_t i = 0; i < sizeof bad_values / sizeof bad_values[0]; i++)
        assert_int_equal(append(fields, "x", bad_values[i]), SYNTAX);
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        assert_int_equal(append(fields, forbidden[i], "x"), FORBIDDEN);
    assert_int_equal(append(fields, "a-name-longer-than-any-forbidden-one-is", "x"), -1);
}

static void test_from_list(void **state)
{
    struct result_wasi_http_fields_wasi_http_types_header_error ret = {0};
    struct list_tuple_str_list_u8 entries;
    struct tuple_str_list_u8 pairs[] = {{STR("A"), {(const uint8_t *)"1", 1}},
                                        {STR("Upgrade"), {(const uint8_t *)"h2c", 3}}};
    assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs, 1}, &ret));
    assert_false(ret.err);
    assert_true(wasi_http_types_fields_entries(h, ret.ok, &entries));
    assert_int_equal(entries.len, 1);
    assert_true(str_eq(entries.ptr[0].f0, STR("A")));
    assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs, 2}, &ret));
    assert_true(ret.err);
    assert_int_equal(ret.error.tag, FORBIDDEN);
}

static void test_fields_limits(void **state)
{
    struct wasi_http_fields *fields = new_fields();
    struct result_void_wasi_http_types_header_error ret;
    struct list_u8 value = {(const uint8_t *)"v", 1};
    for (unsigned i = 0; i < HOST_FIELDS_MAX; i++)
        assert_int_equal(append(fields, "x", "v"), -1);
    assert_false(wasi_http_types_fields_append(h, fields, STR("x"), value, &ret));
    assert_trap();
}

static void test_fields_bytes(void **state)
{
    struct wasi_http_fields *fields = new_fields();
    struct result_void_wasi_http_types_header_error ret;
    static char large[HOST_FIELDS_BYTES];
    memset(large, 'a', sizeof large);
    struct list_u8 value = {(const uint8_t *)large, HOST_FIELDS_BYTES - 1};
    assert_true(wasi_http_types_fields_append(h, fields, STR("x"), value, &ret));
    assert_false(ret.err);
    assert_false(wasi_http_types_fields_append(h, fields, STR("y"), (struct list_u8){(const uint8_t *)"", 0}, &ret));
    assert_trap();
}

/* ---- the request ---- */

static void test_request(void **state)
{
    struct wasi_http_types_method method;
    struct option_str text;
    struct option_wasi_http_types_scheme scheme;
    struct wasi_http_fields *fields, *copy;
    struct list_tuple_str_list_u8 entries;
    assert_true(wasi_http_types_incoming_request_method(h, in_request, &method));
    assert_int_equal(method.tag, WASI_HTTP_TYPES_METHOD_POST);
    request.method = STR("BREW");
    assert_true(wasi_http_types_incoming_request_method(h, in_request, &method));
    assert_int_equal(method.tag, WASI_HTTP_TYPES_METHOD_OTHER);
    assert_true(str_eq(method.other, STR("BREW")));
    assert_true(wasi_http_types_incoming_request_path_with_query(h, in_request, &text));
    assert_true(text.some && str_eq(text.value, STR("/p?q")));
    assert_true(wasi_http_types_incoming_request_authority(h, in_request, &text));
    assert_true(text.some && str_eq(text.value, STR("h.example")));
    assert_true(wasi_http_types_incoming_request_scheme(h, in_request, &scheme));
    assert_true(scheme.some && scheme.value.tag == WASI_HTTP_TYPES_SCHEME_HTTP);
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    assert_true(wasi_http_types_fields_entries(h, fields, &entries));
    assert_int_equal(entries.len, 3); /* not host, not connection */
    assert_int_equal(append(fields, "x", "y"), IMMUTABLE);
    assert_true(wasi_http_types_fields_clone(h, fields, &copy));
    assert_int_equal(append(copy, "x", "y"), -1);
    wasi_http_fields_drop(h, fields);
    wasi_http_incoming_request_drop(h, in_request);
    assert_int_equal(store.trap, 0);
}

/* What the host says of a request cannot be said by its client. */
static void test_request_added(void **state)
{
    struct wasi_http_fields *fields;
    struct list_list_u8 values;
    added_count = 2;
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    assert_true(wasi_http_types_fields_get(h, fields, STR("x-one"), &values));
    assert_int_equal(values.len, 1);
    assert_int_equal(values.ptr[0].len, 10);
    assert_memory_equal(values.ptr[0].ptr, "the host's", 10);
    assert_true(wasi_http_types_fields_get(h, fields, STR("x-new"), &values));
    assert_int_equal(values.len, 1);
    assert_true(wasi_http_types_fields_get(h, fields, STR("x-two"), &values));
    assert_int_equal(values.len, 1);
    assert_int_equal(append(fields, "x", "y"), IMMUTABLE);
}

static void test_request_dropped_first(void **state)
{
    struct wasi_http_fields *fields;
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    wasi_http_incoming_request_drop(h, in_request);
    assert_trap();
}

static void test_request_body(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0}, second = {0};
    struct result_wasi_io_input_stream_void stream = {0}, again = {0};
    struct result_list_u8_wasi_io_streams_stream_error bytes = {0};
    struct result_u64_wasi_io_streams_stream_error skipped = {0};
    struct wasi_http_future_trailers *future;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers = {0};
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &second));
    assert_true(!body.err && second.err);
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &again));
    assert_true(!stream.err && again.err);
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 3, &bytes));
    assert_int_equal(bytes.ok.len, 3);
    assert_memory_equal(bytes.ok.ptr, "the", 3);
    assert_true(wasi_io_streams_input_stream_skip(h, stream.ok, 1, &skipped));
    assert_int_equal(skipped.ok, 1);
    assert_true(wasi_io_streams_input_stream_blocking_read(h, stream.ok, UINT64_MAX, &bytes));
    assert_int_equal(bytes.ok.len, 4);
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 10, &bytes));
    assert_true(bytes.err && bytes.error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    wasi_io_input_stream_drop(h, stream.ok);
    assert_true(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    assert_true(trailers.some && !trailers.value.err && !trailers.value.ok.err && trailers.value.ok.ok.some);
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    assert_true(trailers.some && trailers.value.err);
}

static void test_request_trailers(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers = {0};
    struct wasi_http_future_trailers *future;
    struct wasi_io_pollable *pollable;
    bool ready = false;
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_true(wasi_http_types_future_trailers_subscribe(h, future, &pollable));
    assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready));
    assert_true(ready);
    wasi_io_pollable_drop(h, pollable);
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    assert_true(trailers.some && !trailers.value.err && !trailers.value.ok.err && trailers.value.ok.ok.some);
    assert_int_equal(trailers.value.ok.ok.value->count, 1);
    wasi_http_fields_drop(h, trailers.value.ok.ok.value);
    wasi_http_future_trailers_drop(h, future);
    assert_int_equal(store.trap, TRAP_NONE);
}

/* A body goes without being read, but not while its stream is there. */
static void test_request_body_dropped(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    wasi_io_input_stream_drop(h, stream.ok);
    wasi_http_incoming_body_drop(h, body.ok);
    assert_int_equal(store.trap, TRAP_NONE);
}

static void test_request_body_dropped_first(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    wasi_http_incoming_body_drop(h, body.ok);
    assert_int_equal(store.trap, TRAP_HOST);
}

static void test_body_finished_first(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    struct wasi_http_future_trailers *future;
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    assert_false(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_trap();
}

static void test_gone(void **state)
{
    struct wasi_http_fields *fields;
    struct list_tuple_str_list_u8 entries;
    struct wasi_http_types_method method;
    struct wasi_io_output_stream *stream = stream_of(body_of(new_response(NULL)));
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    host_gone(h);
    memset(&request, 0xee, sizeof request); /* whoever reads it now crashes */
    assert_true(wasi_http_types_fields_entries(h, fields, &entries));
    assert_int_equal(entries.len, 0);
    assert_false(put(stream, "x", 1));
    assert_false(wasi_http_types_incoming_request_method(h, in_request, &method));
    assert_trap();
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "");
}

/* ---- responses ---- */

static void test_whole(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct result_void_void ret;
    assert_true(wasi_http_types_outgoing_response_set_status_code(h, response, 201, &ret));
    assert_false(ret.err);
    assert_true(wasi_http_types_outgoing_response_set_status_code(h, response, 99, &ret));
    assert_true(ret.err);
    set(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    assert_true(put(stream, "Hello, ", 7));
    assert_true(put(stream, "world", 5));
    assert_true(close_body(body, stream, NULL));
    assert_string_equal(exchange.log, "");
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "respond 201 [Hello, world]");
}

static void test_no_body(void **state)
{
    set(new_response(NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "respond 200 []");
}

static void test_status(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct result_void_void ret = {0};
    uint16_t status = 0;
    assert_true(wasi_http_types_outgoing_response_status_code(h, response, &status));
    assert_int_equal(status, 200);
    assert_true(wasi_http_types_outgoing_response_set_status_code(h, response, 404, &ret));
    assert_true(wasi_http_types_outgoing_response_status_code(h, response, &status));
    assert_int_equal(status, 404);
}

/* An outparam that is dropped unset answers nothing. */
static void test_outparam_dropped(void **state)
{
    wasi_http_response_outparam_drop(h, outparam);
    assert_int_equal(store.trap, TRAP_NONE);
    assert_int_equal(finish(), HOST_UNANSWERED);
}

/* Errors of files are none of HTTP's, and the other way round. */
static void test_error_codes(void **state)
{
    struct wasi_io_error *error = error_of_system(h, -ENOSPC);
    struct option_wasi_http_types_error_code of_http = {0};
    struct option_wasi_filesystem_types_error_code of_files = {0};
    assert_true(wasi_http_types_http_error_code(h, error, &of_http));
    assert_true(wasi_filesystem_types_filesystem_error_code(h, error, &of_files));
    assert_false(of_http.some);
    assert_true(of_files.some);
    assert_int_equal(of_files.value, WASI_FILESYSTEM_TYPES_ERROR_CODE_INSUFFICIENT_SPACE);
    error->system = 0;
    error->has_code = true;
    error->code.tag = WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TERMINATED;
    assert_true(wasi_http_types_http_error_code(h, error, &of_http));
    assert_true(wasi_filesystem_types_filesystem_error_code(h, error, &of_files));
    assert_true(of_http.some);
    assert_int_equal(of_http.value.tag, WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TERMINATED);
    assert_false(of_files.some);
}

static void test_unset(void **state)
{
    assert_int_equal(finish(), HOST_UNANSWERED);
    assert_string_equal(exchange.log, "");
}

static void test_unfinished(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    set(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    assert_true(put(stream, "half", 4));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "respond 200 [half]");
}

static void test_unfinished_short(void **state)
{
    struct wasi_http_outgoing_response *response = new_response("10");
    struct wasi_http_outgoing_body *body = body_of(response);
    set(response);
    assert_true(put(stream_of(body), "half", 4));
    assert_int_equal(finish(), HOST_UNANSWERED);
    assert_string_equal(exchange.log, "");
}

static void test_dropped_body(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    set(response);
    wasi_http_outgoing_body_drop(h, body);
    assert_int_equal(finish(), HOST_UNANSWERED);
}

static void test_error_response(void **state)
{
    struct result_wasi_http_outgoing_response_wasi_http_types_error_code result = {.err = true};
    result.error.tag = WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT;
    assert_true(wasi_http_types_response_outparam_set(h, outparam, &result));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_memory_equal(exchange.log, "respond 504 ", 12);
}

static void test_trap_after_response(void **state)
{
    set(new_response(NULL));
    assert_int_equal(host_end(h, true), HOST_ANSWERED);
    h = NULL;
    assert_string_equal(exchange.log, "respond 200 []");
}

static void test_trap_before_finish(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    body_of(response);
    set(response);
    assert_int_equal(host_end(h, true), HOST_UNANSWERED);
    h = NULL;
}

static void test_refused_by_exchange(void **state)
{
    exchange.refuse = true;
    set(new_response(NULL));
    assert_int_equal(finish(), HOST_UNANSWERED);
}

static void test_large_becomes_stream(void **state)
{
    static char bytes[HOST_STREAM_BYTES];
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    assert_true(put(stream, bytes, sizeof bytes - 1));
    assert_string_equal(exchange.log, "");
    assert_true(put(stream, bytes, 1));
    assert_string_equal(exchange.log, "start 200; write <65536 bytes>");
    assert_true(put(stream, "end", 3));
    assert_true(close_body(body, stream, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "start 200; write <65536 bytes>; write [end]; finish");
}

static void test_large_before_set(void **state)
{
    static char bytes[HOST_STREAM_BYTES * 2];
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    assert_true(put(stream, bytes, sizeof bytes));
    assert_string_equal(exchange.log, "");
    set(response);
    assert_string_equal(exchange.log, "start 200; write <131072 bytes>");
    assert_true(close_body(body, stream, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
}

static void test_body_max(void **state)
{
    static char bytes[1000];
    config.body_max = 1500;
    struct wasi_io_output_stream *stream = stream_of(body_of(new_response(NULL)));
    assert_true(put(stream, bytes, 1000));
    assert_true(put(stream, bytes, 500));
    assert_false(put(stream, bytes, 1));
    assert_int_equal(store.trap, 0);
}

/* For what is on its way already, bytes are kept back that were not flushed. */
static void test_flush_and_yield(void **state)
{
    struct result_void_wasi_io_streams_stream_error ret = {0};
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    assert_true(put(stream, "one", 3));
    h->again = true;
    host_yielding(h);
    assert_string_equal(exchange.log, "");
    assert_true(wasi_io_streams_output_stream_blocking_flush(h, stream, &ret));
    assert_string_equal(exchange.log, "");
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200; write [one]");
    assert_true(close_body(body, stream, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
}

/* The client may say what the guest waits for only after it has seen the head. */
static void test_head_while_waiting(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    host_yielding(h);
    assert_string_equal(exchange.log, ""); /* nobody answers yet */
    set(response);
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200; write []");
    assert_true(put(stream, "one", 3));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200; write []; write [one]");
    assert_true(close_body(body, stream, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
}

/* Finished, and then the guest goes on for long: the client has all of it meanwhile. */
static void test_finished_and_yield(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    assert_true(put(stream, "all", 3));
    assert_true(close_body(body, stream, NULL));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200 content-length=3; write [all]; part; finish");
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "start 200 content-length=3; write [all]; part; finish");
}

/* It has no body, or has all of it, and the guest goes on. */
static void test_early_and_yield(void **state)
{
    set(new_response(NULL));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200 content-length=0; write []; part; finish");
    host_yielding(h);
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "start 200 content-length=0; write []; part; finish");
}

static void test_finished_between_yields(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    host_yielding(h);
    assert_true(put(stream, "all", 3));
    assert_true(close_body(body, stream, NULL));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200; write []; write [all]; part; finish");
    host_yielding(h);
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "start 200; write []; write [all]; part; finish");
}

/* ---- on its own ---- */

/* What the exchange held is not what it was. */
static void lose_exchange(void)
{
    memset(&request, 0xff, sizeof request);
    for (size_t i = 0; i < sizeof request_fields / sizeof request_fields[0]; i++)
        request_fields[i] = (struct http_field){STR("of-another"), STR("request")};
    request_trailers[0] = (struct http_field){STR("of-another"), STR("trailer")};
}

static void give_exchange_back(const struct http_field fields[5], struct http_field trailer)
{
    memcpy(request_fields, fields, sizeof request_fields);
    request_trailers[0] = trailer;
}

static void assert_value(struct wasi_http_fields *fields, const char *name, const char *value)
{
    struct list_list_u8 values;
    assert_true(wasi_http_types_fields_get(h, fields, str_of(name), &values));
    assert_true(values.len > 0 && values.ptr[0].len == strlen(value));
    assert_memory_equal(values.ptr[0].ptr, value, strlen(value));
}

static void assert_texts(void)
{
    struct wasi_http_types_method method;
    struct option_str text;
    assert_true(wasi_http_types_incoming_request_method(h, in_request, &method));
    assert_int_equal(method.tag, WASI_HTTP_TYPES_METHOD_POST);
    assert_true(wasi_http_types_incoming_request_path_with_query(h, in_request, &text));
    assert_true(str_eq(text.value, STR("/p?q")));
    assert_true(wasi_http_types_incoming_request_authority(h, in_request, &text));
    assert_true(str_eq(text.value, STR("h.example")));
}

/* Whoever goes on when its response is complete finds its request as it was: fields that it has, fields that it asks
 * for later, what it has not read of the body, and trailers. */
static void test_alone(void **state)
{
    const struct http_field kept[5] = {request_fields[0], request_fields[1], request_fields[2], request_fields[3],
                                       request_fields[4]};
    const struct http_field kept_trailer = request_trailers[0];
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    struct result_list_u8_wasi_io_streams_stream_error part = {0};
    struct wasi_http_fields *held, *view, *asked;
    struct wasi_http_future_trailers *future;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers = {0};
    added_count = 2;
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &held));
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 4, &part));
    set(new_response(NULL));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200 content-length=0; write []; part; finish");
    lose_exchange();
    assert_texts();
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &asked));
    view = fields_view(h, held, NULL);
    struct wasi_http_fields *const all[] = {held, view, asked};
    for (int i = 0; i < 3; i++) {
        assert_value(all[i], "x-one", "the host's");
        assert_value(all[i], "x-new", "n");
        assert_value(all[i], "x-two", "2");
    }
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 100, &part));
    assert_int_equal(part.ok.len, 4);
    assert_memory_equal(part.ok.ptr, "body", 4);
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 100, &part));
    assert_true(part.err);
    wasi_io_input_stream_drop(h, stream.ok);
    assert_true(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    assert_value(trailers.value.ok.ok.value, "x-sum", "7");
    assert_int_equal(finish(), HOST_ANSWERED);
    give_exchange_back(kept, kept_trailer);
}

/* What is coming of the request belongs to the exchange. */
static void test_not_alone_while_coming(void **state)
{
    request.coming = true;
    set(new_response(NULL));
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200 content-length=0; write []");
    request.coming = false;
    host_yielding(h);
    assert_string_equal(exchange.log, "start 200 content-length=0; write []; part; finish");
    assert_int_equal(finish(), HOST_ANSWERED);
}

/* As it was, and not tried again. */
static void assert_tied(const char *log)
{
    set(new_response(NULL));
    host_yielding(h);
    host_yielding(h);
    assert_string_equal(exchange.log, log);
    assert_int_equal(store.trap, 0);
    assert_texts();
}

static void assert_ends(const char *log)
{
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, log);
}

/* Without memory for what would be kept: what there was of it is there still. */
static void test_not_alone_without_memory(void **state)
{
    static char large[1 << 20];
    request.body = (struct str){large, sizeof large};
    size_t used = h->arena.used;
    h->arena.max = 64000;
    assert_tied("start 200 content-length=0; write []");
    assert_true(h->arena.used <= used);
    for (int i = 0; i < 50; i++)
        new_fields();
    assert_ends("start 200 content-length=0; write []; write []; finish");
}

/* Its worker does not let it go. */
static void test_not_alone_by_order(void **state)
{
    stays = true;
    assert_tied("start 200 content-length=0; write []; stay");
    assert_ends("start 200 content-length=0; write []; stay; write []; finish");
}

static void test_not_alone_with_many_fields(void **state)
{
    struct wasi_http_fields *fields;
    for (int i = 0; i < 33; i++)
        assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    assert_tied("start 200 content-length=0; write []");
    assert_value(fields, "x-two", "2");
    assert_ends("start 200 content-length=0; write []; write []; finish");
}

/* One that the connection does not take is given at the end again, and not before. */
static void test_not_alone_without_answer(void **state)
{
    struct result_wasi_http_outgoing_response_wasi_http_types_error_code result = {
        .err = true, .error = {.tag = WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED}};
    exchange.refuse = true;
    assert_true(wasi_http_types_response_outparam_set(h, outparam, &result));
    host_yielding(h);
    host_yielding(h);
    assert_string_equal(exchange.log, "; part");
    exchange.refuse = false;
    assert_texts();
    assert_ends("; partrespond 403 content-type=text/plain; charset=utf-8 [403 the function failed\n]");
}

/* An error in place of a response is an answer, too. */
static void test_alone_with_error(void **state)
{
    struct result_wasi_http_outgoing_response_wasi_http_types_error_code result = {
        .err = true, .error = {.tag = WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED}};
    assert_true(wasi_http_types_response_outparam_set(h, outparam, &result));
    host_yielding(h);
    const char *log = "; partrespond 403 content-type=text/plain; charset=utf-8 [403 the function failed\n]";
    assert_string_equal(exchange.log, log);
    host_yielding(h);
    assert_texts();
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, log);
}

static void test_broken_stream(void **state)
{
    static char bytes[HOST_STREAM_BYTES];
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_io_output_stream *stream = stream_of(body_of(response));
    set(response);
    exchange.broken = true;
    assert_false(put(stream, bytes, sizeof bytes));
    assert_false(put(stream, bytes, 1));
    assert_int_equal(finish(), HOST_BROKEN);
}

static void test_trailers(void **state)
{
    struct wasi_http_fields *trailers = new_fields();
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    set(response);
    append(trailers, "X-Sum", "7");
    struct wasi_io_output_stream *stream = stream_of(body);
    assert_true(put(stream, "data", 4));
    assert_true(close_body(body, stream, trailers));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "start 200; write [data]; finish X-Sum=7");
}

static void test_length(void **state)
{
    struct wasi_http_outgoing_response *response = new_response("5");
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    assert_true(put(stream, "12345", 5));
    assert_false(put(stream, "6", 1));
    wasi_io_output_stream_drop(h, stream);
    assert_int_equal(finish(), HOST_UNANSWERED);
}

static void test_length_short(void **state)
{
    struct wasi_http_outgoing_response *response = new_response("5");
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    set(response);
    assert_true(put(stream, "1234", 4));
    assert_false(close_body(body, stream, NULL));
    assert_int_equal(finish(), HOST_UNANSWERED);
}

static void test_length_of_head(void **state)
{
    struct wasi_http_outgoing_response *response = new_response("5");
    struct wasi_http_outgoing_body *body = body_of(response);
    request.method = STR("HEAD");
    set(response);
    assert_true(close_body(body, NULL, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "respond 200 Content-Length=5 []");
}

static void test_children(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct result_void_wasi_http_types_error_code ret;
    struct option_wasi_http_fields none = {0};
    struct wasi_http_outgoing_body *body = body_of(response);
    stream_of(body);
    assert_false(wasi_http_types_outgoing_body_finish(h, body, &none, &ret));
    assert_trap();
}

/* A length without a body is right only where there never is one. */
static void test_length_without_body(void **state)
{
    set(new_response("5"));
    assert_int_equal(finish(), HOST_UNANSWERED);
    end(state);
    begin(state);
    set(new_response("0"));
    assert_int_equal(finish(), HOST_ANSWERED);
    end(state);
    begin(state);
    request.method = STR("HEAD");
    set(new_response("5"));
    assert_int_equal(finish(), HOST_ANSWERED);
}

static void test_once(void **state)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct result_wasi_http_outgoing_body_void body = {0};
    struct result_wasi_io_output_stream_void stream = {0};
    struct wasi_http_fields *fields;
    struct wasi_http_outgoing_body *first = body_of(response);
    assert_true(wasi_http_types_outgoing_response_body(h, response, &body));
    assert_true(body.err);
    stream_of(first);
    assert_true(wasi_http_types_outgoing_body_write(h, first, &stream));
    assert_true(stream.err);
    assert_true(wasi_http_types_outgoing_response_headers(h, response, &fields));
    assert_int_equal(append(fields, "x", "y"), IMMUTABLE);
    wasi_http_outgoing_response_drop(h, response);
    assert_trap();
}

/* ---- streams ---- */

/* Who does not ask may write as much as there is room for, and no more. */
static void test_permit(void **state)
{
    static const uint8_t bytes[HOST_STREAM_BYTES + 1];
    struct result_void_wasi_io_streams_stream_error written = {0};
    struct wasi_io_output_stream *stream = stream_of(body_of(new_response(NULL)));
    for (int i = 0; i < 3; i++) {
        assert_true(wasi_io_streams_output_stream_write(h, stream, (struct list_u8){bytes, 100}, &written));
        assert_true(wasi_io_streams_output_stream_write_zeroes(h, stream, HOST_STREAM_BYTES, &written));
        assert_false(written.err);
    }
    assert_false(wasi_io_streams_output_stream_write(h, stream, (struct list_u8){bytes, sizeof bytes}, &written));
    assert_trap();
    assert_int_equal(host_end(h, true), HOST_UNANSWERED);
    h = NULL;
}

static void test_blocking_limit(void **state)
{
    static uint8_t bytes[4097];
    struct wasi_io_output_stream *stream = stream_of(body_of(new_response(NULL)));
    struct result_void_wasi_io_streams_stream_error ret = {0};
    assert_true(wasi_io_streams_output_stream_blocking_write_and_flush(h, stream, (struct list_u8){bytes, 4096}, &ret));
    assert_false(ret.err);
    assert_false(
        wasi_io_streams_output_stream_blocking_write_and_flush(h, stream, (struct list_u8){bytes, 4097}, &ret));
    assert_trap();
}

static void test_splice(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void input = {0};
    struct result_u64_wasi_io_streams_stream_error moved = {0};
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *out = body_of(response);
    struct wasi_io_output_stream *stream = stream_of(out);
    set(response);
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &input));
    assert_true(wasi_io_streams_output_stream_splice(h, stream, input.ok, 3, &moved));
    assert_int_equal(moved.ok, 3);
    assert_true(wasi_io_streams_output_stream_blocking_splice(h, stream, input.ok, 100, &moved));
    assert_int_equal(moved.ok, 5);
    assert_true(wasi_io_streams_output_stream_splice(h, stream, input.ok, 3, &moved));
    assert_true(moved.err);
    assert_true(close_body(out, stream, NULL));
    assert_int_equal(finish(), HOST_ANSWERED);
    assert_string_equal(exchange.log, "respond 200 [the body]");
}

/* ---- a body that comes while it is read ---- */

static struct wasi_http_incoming_body *consume(struct wasi_io_input_stream **ret_stream)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void input = {0};
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &input));
    *ret_stream = input.ok;
    return body.ok;
}

#define assert_reads(stream, text)                                                                                     \
    do {                                                                                                               \
        struct result_list_u8_wasi_io_streams_stream_error in = {0};                                                   \
        assert_true(wasi_io_streams_input_stream_read(h, stream, 5, &in));                                             \
        assert_false(in.err);                                                                                          \
        assert_int_equal(in.ok.len, strlen(text));                                                                     \
        assert_memory_equal(in.ok.ptr, text, strlen(text));                                                            \
    } while (0)

static void test_coming_body(void **state)
{
    struct wasi_io_input_stream *stream;
    struct wasi_io_pollable *pollable;
    struct result_list_u8_wasi_io_streams_stream_error in = {0};
    bool ready;
    request.coming = true;
    later = "more";
    consume(&stream);
    assert_true(wasi_io_streams_input_stream_subscribe(h, stream, &pollable));
    assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready) && ready);
    assert_string_equal(exchange.log, "");
    assert_reads(stream, "the b");
    assert_reads(stream, "ody");
    assert_reads(stream, "");
    assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready) && !ready);
    assert_string_equal(exchange.log, "want;");
    assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready) && ready);
    assert_reads(stream, "more");
    request.coming = false;
    assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready) && ready);
    assert_true(wasi_io_streams_input_stream_read(h, stream, 5, &in));
    assert_true(in.err);
    assert_int_equal(in.error.tag, WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
}

static void test_broken_body(void **state)
{
    static const struct {
        enum http_body_fault fault;
        enum wasi_http_types_error_code_tag tag;
    } rows[] = {
        {HTTP_BODY_CUT, WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TERMINATED},
        {HTTP_BODY_LATE, WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT},
        {HTTP_BODY_MALFORMED, WASI_HTTP_TYPES_ERROR_CODE_HTTP_PROTOCOL_ERROR},
        {HTTP_BODY_TOO_LONG, WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE},
        {HTTP_BODY_NO_MEMORY, WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wasi_io_input_stream *stream;
        struct result_list_u8_wasi_io_streams_stream_error in = {0};
        struct option_wasi_http_types_error_code code = {0};
        in_request->consumed = false;
        request.body = STR("the");
        request.fault = rows[i].fault;
        consume(&stream);
        assert_reads(stream, "the"); /* what came counts */
        assert_true(wasi_io_streams_input_stream_read(h, stream, 5, &in));
        assert_true(in.err);
        assert_int_equal(in.error.tag, WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED);
        assert_true(wasi_http_types_http_error_code(h, in.error.last_operation_failed, &code));
        assert_true(code.some);
        assert_int_equal(code.value.tag, rows[i].tag);
    }
}

/* The client is gone: what it sent is not a whole body. */
static void test_body_of_nobody(void **state)
{
    struct wasi_io_input_stream *stream;
    struct result_list_u8_wasi_io_streams_stream_error in = {0};
    request.coming = true;
    consume(&stream);
    host_gone(h);
    assert_true(wasi_io_streams_input_stream_read(h, stream, 5, &in));
    assert_true(in.err);
    assert_int_equal(in.error.tag, WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED);
}

/* They are behind the rest of the body, which nobody reads any more. */
static void test_coming_trailers(void **state)
{
    struct wasi_io_input_stream *stream;
    struct wasi_http_future_trailers *trailers;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void got = {0};
    request.coming = true;
    later = "more";
    struct wasi_http_incoming_body *body = consume(&stream);
    wasi_io_input_stream_drop(h, stream);
    assert_true(wasi_http_types_incoming_body_finish(h, body, &trailers));
    for (int i = 0; i < 3; i++) {
        assert_true(wasi_http_types_future_trailers_get(h, trailers, &got));
        assert_false(got.some);
    }
    assert_int_equal(request.body.len, 0);
    assert_string_equal(exchange.log, "want;want;want;");
    request.coming = false;
    assert_true(wasi_http_types_future_trailers_get(h, trailers, &got));
    assert_true(got.some && !got.value.err && !got.value.ok.err && got.value.ok.ok.some);
    assert_int_equal(got.value.ok.ok.value->count, 1);
}

/* Nobody is kept from his turn by what is in the way of them. */
static void test_endless_body(void **state)
{
    struct wasi_io_input_stream *stream;
    struct wasi_http_future_trailers *trailers;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void got = {0};
    request.coming = endless = true;
    struct wasi_http_incoming_body *body = consume(&stream);
    wasi_io_input_stream_drop(h, stream);
    assert_true(wasi_http_types_incoming_body_finish(h, body, &trailers));
    takes = 0;
    assert_true(wasi_http_types_future_trailers_get(h, trailers, &got));
    assert_false(got.some);
    assert_in_range(takes, 1, 100);
    assert_true(h->again); /* a wait would end at once */
}

/* ---- memory ---- */

static void answer_once(void)
{
    struct wasi_http_outgoing_response *response = new_response(NULL);
    struct wasi_http_outgoing_body *body = body_of(response);
    struct wasi_http_fields *fields;
    set(response);
    struct wasi_io_output_stream *stream = stream_of(body);
    assert_true(put(stream, "Hello, world", 12));
    assert_true(close_body(body, stream, NULL));
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
}

static void test_no_allocation(void **state)
{
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 2)
            before = mem_count();
        answer_once();
        assert_int_equal(finish(), HOST_ANSWERED);
        h = host_begin(pool, &config, &store, &exchange);
        memset(&handles, 0, sizeof handles);
        memset(exchange.log, 0, sizeof exchange.log);
        host_take_request(h, &request, &recorder, &exchange);
        assert_true(host_give_request(h, &handles, &request_handle, &outparam_handle));
        in_request = (void *)(uintptr_t)handle_get(&handles, request_handle)->rep;
        outparam = (void *)(uintptr_t)handle_get(&handles, outparam_handle)->rep;
    }
    assert_int_equal(mem_count(), before);
}

static void test_no_memory(void **state)
{
    static char bytes[100000];
    for (uint64_t nth = 1; nth < 20; nth++) {
        struct host_pool *other = host_pool_new(NULL, NULL, &err);
        struct wasi_http_fields *fields = NULL;
        struct wasi_http_outgoing_response *response = NULL;
        struct result_wasi_http_outgoing_body_void body = {0};
        struct result_wasi_io_output_stream_void stream = {0};
        struct result_void_wasi_io_streams_stream_error written;
        struct result_u64_wasi_io_streams_stream_error room;
        memset(&store, 0, sizeof store);
        mem_fail_at(nth);
        struct host *second = host_begin(other, &config, &store, NULL);
        bool fine = second && wasi_http_types_fields_constructor(second, &fields) &&
                    wasi_http_types_outgoing_response_constructor(second, fields, &response) &&
                    wasi_http_types_outgoing_response_body(second, response, &body) &&
                    wasi_http_types_outgoing_body_write(second, body.ok, &stream);
        for (int i = 0; fine && i < 5; i++)
            fine = wasi_io_streams_output_stream_check_write(second, stream.ok, &room) &&
                   wasi_io_streams_output_stream_write(second, stream.ok, (struct list_u8){(uint8_t *)bytes, room.ok},
                                                       &written);
        mem_fail_at(0);
        assert_true(fine || !second || store.trap == TRAP_OUT_OF_MEMORY);
        if (second)
            host_end(second, true);
        host_pool_free(other);
    }
}

static void test_objects_are_reused(void **state)
{
    size_t used = h->arena.used;
    for (int i = 0; i < 100000; i++) {
        struct wasi_http_fields *fields = new_fields();
        wasi_http_fields_drop(h, fields);
    }
    assert_int_equal(h->arena.used, used);
}

static void test_memory_max(void **state)
{
    struct wasi_http_fields *fields = NULL;
    h->arena.max = 100000;
    while (wasi_http_types_fields_constructor(h, &fields))
        continue;
    assert_int_equal(store.trap, TRAP_OUT_OF_MEMORY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_fields),
        TEST(test_fields_refused),
        TEST(test_from_list),
        TEST(test_fields_limits),
        TEST(test_fields_bytes),
        TEST(test_request),
        TEST(test_request_added),
        TEST(test_request_added),
        TEST(test_request_dropped_first),
        TEST(test_request_body),
        TEST(test_request_trailers),
        TEST(test_request_body_dropped),
        TEST(test_request_body_dropped_first),
        TEST(test_body_finished_first),
        TEST(test_gone),
        TEST(test_whole),
        TEST(test_no_body),
        TEST(test_status),
        TEST(test_outparam_dropped),
        TEST(test_error_codes),
        TEST(test_unset),
        TEST(test_unfinished),
        TEST(test_unfinished_short),
        TEST(test_dropped_body),
        TEST(test_error_response),
        TEST(test_trap_after_response),
        TEST(test_trap_before_finish),
        TEST(test_refused_by_exchange),
        TEST(test_large_becomes_stream),
        TEST(test_large_before_set),
        TEST(test_body_max),
        TEST(test_flush_and_yield),
        TEST(test_head_while_waiting),
        TEST(test_early_and_yield),
        TEST(test_finished_between_yields),
        TEST(test_finished_and_yield),
        TEST(test_alone),
        TEST(test_not_alone_while_coming),
        TEST(test_not_alone_without_memory),
        TEST(test_not_alone_by_order),
        TEST(test_not_alone_with_many_fields),
        TEST(test_alone_with_error),
        TEST(test_not_alone_without_answer),
        TEST(test_broken_stream),
        TEST(test_trailers),
        TEST(test_length),
        TEST(test_length_short),
        TEST(test_length_of_head),
        TEST(test_children),
        TEST(test_length_without_body),
        TEST(test_once),
        TEST(test_permit),
        TEST(test_blocking_limit),
        TEST(test_splice),
        TEST(test_coming_body),
        TEST(test_broken_body),
        TEST(test_body_of_nobody),
        TEST(test_coming_trailers),
        TEST(test_endless_body),
        TEST(test_no_allocation),
        TEST(test_objects_are_reused),
        TEST(test_no_memory),
        TEST(test_memory_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
