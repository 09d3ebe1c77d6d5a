/* Requests that guests send, against a client that records what it is told: who holds what, in whatever order a guest
 * drops it, and that what is dropped is used again. */
#include "support/loop.h"
#include "wasi/gen/wasi_random.h"
#include "wasi/gen/wasi_sockets.h"
#include "wasi/object.h"

#include "base/alloc.h"
#include "base/log.h"
#include "component/handles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct store store;
static struct handles handles;
static struct io_loop *loop; /* NULL: nothing waits */
static struct host_pool *pool;
static struct host *h;
static struct host_config config;
static struct grants grants;
static struct err err;

/* ---- the client ---- */

#define CALLS 256u

static const struct outbound_face face;

/* What it was told last. */
static struct {
    char log[4096];
    struct outbound_call *call;
    unsigned live;
    struct outbound_call *calls[CALLS]; /* the live ones, if they are not more */
} client;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t n = strlen(client.log);
    va_list args;
    va_start(args, format);
    vsnprintf(client.log + n, sizeof client.log - n, format, args);
    va_end(args);
}

static void note_fields(const struct http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note(" %.*s=%.*s", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
}

static struct outbound_call *client_begin(void *arg, const struct outbound_request *request)
{
    struct outbound_call *call = mem_alloc(1, sizeof *call);
    client.log[0] = '\0';
    note("%.*s %.*s%.*s", STR_ARG(request->method), STR_ARG(request->authority), STR_ARG(request->target));
    note_fields(request->fields, request->field_count);
    if (call)
        call->face = &face;
    client.call = call;
    assert_true(call && client.live < CALLS);
    client.calls[client.live++] = call;
    return call;
}

static size_t client_room(struct outbound_call *call)
{
    return HOST_STREAM_BYTES;
}

static bool client_write(struct outbound_call *call, struct str bytes)
{
    note("; write %zu", bytes.len);
    return true;
}

static void client_finish(struct outbound_call *call, const struct http_field *trailers, size_t count)
{
    note("; finish");
    note_fields(trailers, count);
}

static void client_corrupt(struct outbound_call *call)
{
    note("; corrupt");
}

static void client_take(struct outbound_call *call, size_t size)
{
    call->body = str_slice(call->body, size, call->body.len);
}

static void client_drop(struct outbound_call *call)
{
    unsigned at = 0;
    while (client.calls[at] != call)
        at++;
    client.calls[at] = client.calls[--client.live];
    mem_free(call);
}

static const struct outbound_face face = {client_begin,   client_room, client_write, client_finish,
                                          client_corrupt, client_take, client_drop};

static struct http_field answer_fields[] = {{{"x-answer", 8}, {"of the server", 13}}, {{"b", 1}, {"2", 1}}};
static struct http_field answer_trailers[] = {{{"x-sum", 5}, {"7", 1}}};

static void answer(struct outbound_call *call)
{
    call->status = 200;
    call->fields = answer_fields;
    call->field_count = 2;
    call->trailers = answer_trailers;
    call->trailer_count = 1;
    call->body = STR("answer");
    call->state = OUTBOUND_DONE;
}

/* ---- the activity ---- */

static struct http_field fields_there[2], trailers_there[1]; /* the exchange's */
static struct http_request request;
static struct wasi_http_incoming_request *in_request;

static void begin_with(size_t memory_max)
{
    uint32_t request_handle, outparam_handle;
    static const struct http_face nowhere;
    memset(&store, 0, sizeof store);
    memset(&handles, 0, sizeof handles);
    fields_there[0] = (struct http_field){{"x-one", 5}, {"1", 1}};
    fields_there[1] = (struct http_field){{"x-two", 5}, {"2", 1}};
    trailers_there[0] = (struct http_field){{"x-end", 5}, {"3", 1}};
    request = (struct http_request){.method = STR("GET"), .target = STR("/"), .fields = fields_there, .field_count = 2};
    request.trailers = trailers_there;
    request.trailer_count = 1;
    config = (struct host_config){.name = "test", .grants = &grants, .memory_max = memory_max};
    pool = host_pool_new(loop, NULL, &err);
    host_pool_serve(pool, &(struct host_services){.outbound = &face, .name_servers = "127.0.0.1:1"});
    h = host_begin(pool, &config, &store, NULL);
    assert_non_null(h);
    host_take_request(h, &request, &nowhere, NULL);
    assert_true(host_give_request(h, &handles, &request_handle, &outparam_handle));
    in_request = (void *)(uintptr_t)handle_get(&handles, request_handle)->rep;
}

static int begin(void **state)
{
    log_level_set(LOG_ERROR - 1);
    memset(&client, 0, sizeof client);
    begin_with(0);
    return 0;
}

static int end(void **state)
{
    host_end(h, true);
    host_pool_free(pool);
    io_loop_free(loop);
    loop = NULL;
    assert_int_equal(client.live, 0);
    return 0;
}

/* The exchange is gone, and its memory is somebody else's. */
static void lose_exchange(void)
{
    host_gone(h);
    memset(fields_there, 0xee, sizeof fields_there);
    memset(trailers_there, 0xee, sizeof trailers_there);
}

/* ---- what a guest does ---- */

static struct wasi_http_fields *new_fields(void)
{
    struct wasi_http_fields *fields;
    assert_true(wasi_http_types_fields_constructor(h, &fields));
    return fields;
}

enum { FINE = -1, SYNTAX, FORBIDDEN, IMMUTABLE };

static int append(struct wasi_http_fields *fields, const char *name, const char *value)
{
    struct result_void_wasi_http_types_header_error ret = {0};
    struct list_u8 bytes = {(const uint8_t *)value, strlen(value)};
    if (!wasi_http_types_fields_append(h, fields, str_of(name), bytes, &ret))
        return -2;
    return ret.err ? (int)ret.error.tag : FINE;
}

static int set(struct wasi_http_fields *fields, const char *name, const char *one, const char *two)
{
    struct result_void_wasi_http_types_header_error ret = {0};
    struct list_u8 values[] = {{(const uint8_t *)one, strlen(one)}, {(const uint8_t *)two, two ? strlen(two) : 0}};
    assert_true(wasi_http_types_fields_set(h, fields, str_of(name), (struct list_list_u8){values, two ? 2 : 1}, &ret));
    return ret.err ? (int)ret.error.tag : FINE;
}

static struct wasi_http_outgoing_request *new_request(struct wasi_http_fields *fields, const char *path)
{
    static const struct option_str authority = {true, {"127.0.0.1", 9}};
    static const struct option_wasi_http_types_scheme scheme = {true, {.tag = WASI_HTTP_TYPES_SCHEME_HTTP}};
    const struct option_str target = {true, str_of(path)};
    struct wasi_http_outgoing_request *made;
    struct result_void_void ret;
    assert_true(wasi_http_types_outgoing_request_constructor(h, fields, &made));
    assert_true(wasi_http_types_outgoing_request_set_authority(h, made, &authority, &ret));
    assert_true(wasi_http_types_outgoing_request_set_scheme(h, made, &scheme, &ret));
    assert_true(wasi_http_types_outgoing_request_set_path_with_query(h, made, &target, &ret));
    assert_false(ret.err);
    return made;
}

static struct wasi_http_outgoing_body *body_of(struct wasi_http_outgoing_request *made)
{
    struct result_wasi_http_outgoing_body_void ret = {0};
    assert_true(wasi_http_types_outgoing_request_body(h, made, &ret));
    assert_false(ret.err);
    return ret.ok;
}

/* False: trap or closed. */
static bool put(struct wasi_http_outgoing_body *body, size_t size)
{
    static const uint8_t bytes[HOST_STREAM_BYTES];
    struct result_wasi_io_output_stream_void stream = {0};
    struct result_u64_wasi_io_streams_stream_error room = {0};
    struct result_void_wasi_io_streams_stream_error written = {0};
    if (!wasi_http_types_outgoing_body_write(h, body, &stream))
        return false;
    assert_false(stream.err);
    assert_true(wasi_io_streams_output_stream_check_write(h, stream.ok, &room));
    bool done = wasi_io_streams_output_stream_write(h, stream.ok, (struct list_u8){bytes, size}, &written);
    wasi_io_output_stream_drop(h, stream.ok);
    if (written.err && written.error.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED)
        wasi_io_error_drop(h, written.error.last_operation_failed);
    return done && !written.err;
}

static void finish(struct wasi_http_outgoing_body *body, struct wasi_http_fields *trailers)
{
    struct result_void_wasi_http_types_error_code ret = {0};
    struct option_wasi_http_fields option = {trailers != NULL, trailers};
    assert_true(wasi_http_types_outgoing_body_finish(h, body, &option, &ret));
}

/* NULL: trap, or an error. */
static struct wasi_http_future_incoming_response *hand_over(struct wasi_http_outgoing_request *made)
{
    struct result_wasi_http_future_incoming_response_wasi_http_types_error_code ret = {0};
    bool done = wasi_http_outgoing_handler_handle(h, made, &(struct option_wasi_http_request_options){0}, &ret);
    return done && !ret.err ? ret.ok : NULL;
}

static struct wasi_http_incoming_response *response_of(struct wasi_http_future_incoming_response *future)
{
    struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void got = {0};
    answer(client.call);
    assert_true(wasi_http_types_future_incoming_response_get(h, future, &got));
    assert_true(got.some && !got.value.err && !got.value.ok.err);
    wasi_http_future_incoming_response_drop(h, future);
    return got.value.ok.ok;
}

static struct wasi_http_fields *headers_of(struct wasi_http_incoming_response *response)
{
    struct wasi_http_fields *fields;
    assert_true(wasi_http_types_incoming_response_headers(h, response, &fields));
    return fields;
}

static void read_body(struct wasi_http_incoming_response *response)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    struct result_list_u8_wasi_io_streams_stream_error part = {0};
    struct wasi_http_future_trailers *future;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers = {0};
    assert_true(wasi_http_types_incoming_response_consume(h, response, &body));
    wasi_http_incoming_response_drop(h, response);
    assert_true(wasi_http_types_incoming_body_stream(h, body.ok, &stream));
    assert_true(wasi_io_streams_input_stream_read(h, stream.ok, 100, &part));
    assert_int_equal(part.ok.len, 6);
    wasi_io_input_stream_drop(h, stream.ok);
    assert_true(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    wasi_http_fields_drop(h, trailers.value.ok.ok.value);
    wasi_http_future_trailers_drop(h, future);
    arena_reset(&h->scratch); /* as after each call */
}

/* ---- who holds what ---- */

/* Headers that were given away are no child any more, once and not twice. */
static void test_given_headers(void **state)
{
    struct wasi_http_fields *given, *kept;
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &given));
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &kept));
    assert_int_equal(in_request->node.children, 2);
    struct wasi_http_future_incoming_response *future = hand_over(new_request(given, "/"));
    assert_string_equal(client.log, "GET 127.0.0.1/ x-one=1 x-two=2");
    assert_int_equal(in_request->node.children, 1);
    wasi_http_future_incoming_response_drop(h, future);
    wasi_http_incoming_request_drop(h, in_request);
    assert_int_equal(store.trap, TRAP_HOST);
}

static void test_headers_of_lost_exchange(void **state)
{
    struct wasi_http_fields *given, *view;
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &given));
    struct wasi_http_outgoing_request *made = new_request(given, "/");
    assert_true(wasi_http_types_outgoing_request_headers(h, made, &view));
    lose_exchange();
    assert_int_equal(view->count, 0);
    wasi_http_fields_drop(h, view);
    wasi_http_future_incoming_response_drop(h, hand_over(made));
    assert_string_equal(client.log, "GET 127.0.0.1/");
}

static void test_trailers_of_lost_exchange(void **state)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void trailers = {0};
    struct wasi_http_future_trailers *future;
    assert_true(wasi_http_types_incoming_request_consume(h, in_request, &body));
    assert_true(wasi_http_types_incoming_body_finish(h, body.ok, &future));
    assert_true(wasi_http_types_future_trailers_get(h, future, &trailers));
    struct wasi_http_outgoing_request *made = new_request(new_fields(), "/");
    finish(body_of(made), trailers.value.ok.ok.value);
    lose_exchange();
    wasi_http_future_incoming_response_drop(h, hand_over(made));
    assert_string_equal(client.log, "GET 127.0.0.1/; write 0; finish");
}

/* A response's headers that another request has got stay when the response is gone. */
static void test_headers_outlive_response(void **state)
{
    struct wasi_http_incoming_response *response = response_of(hand_over(new_request(new_fields(), "/")));
    struct wasi_http_outgoing_request *made = new_request(headers_of(response), "/again");
    struct wasi_http_fields *view, *other[8];
    assert_true(wasi_http_types_outgoing_request_headers(h, made, &view));
    wasi_http_incoming_response_drop(h, response);
    for (int i = 0; i < 8; i++) {
        other[i] = new_fields();
        assert_int_equal(append(other[i], "x-answer", "of somebody's"), FINE);
        assert_int_equal(append(other[i], "c", "3"), FINE);
    }
    wasi_http_fields_drop(h, view);
    wasi_http_future_incoming_response_drop(h, hand_over(made));
    assert_string_equal(client.log, "GET 127.0.0.1/again x-answer=of the server b=2");
}

/* What is written to the body of a request that was dropped goes nowhere, and says so. */
static void test_body_of_dropped_request(void **state)
{
    struct wasi_http_outgoing_request *made = new_request(new_fields(), "/");
    struct wasi_http_outgoing_body *body = body_of(made);
    wasi_http_outgoing_request_drop(h, made);
    assert_false(put(body, 10));
    finish(body, NULL);
    assert_int_equal(store.trap, TRAP_NONE);
}

/* ---- content-length ---- */

static void test_length_is_a_number(void **state)
{
    struct wasi_http_fields *fields = new_fields();
    static const char *const bad[] = {"", " 5", "5 ", "+5", "-1", "0x5", "5,5", "5, 6", "five", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(append(fields, "content-length", bad[i]), SYNTAX);
        assert_int_equal(set(fields, "Content-Length", bad[i], NULL), SYNTAX);
    }
    assert_int_equal(append(fields, "Content-Length", "18446744073709551615"), FINE);
    assert_int_equal(append(fields, "content-length", "18446744073709551615"), SYNTAX); /* a second one */
    assert_int_equal(set(fields, "content-length", "5", "5"), SYNTAX);
    assert_int_equal(set(fields, "content-length", "5", NULL), FINE);
    assert_int_equal(append(fields, "content-lengths", "any"), FINE);
}

static void test_length_in_list(void **state)
{
    struct result_wasi_http_fields_wasi_http_types_header_error ret = {0};
    struct tuple_str_list_u8 pairs[] = {{STR("Content-Length"), {(const uint8_t *)"1", 1}},
                                        {STR("content-length"), {(const uint8_t *)"2", 1}},
                                        {STR("content-length"), {(const uint8_t *)"x", 1}}};
    assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs, 1}, &ret));
    assert_false(ret.err);
    assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs, 2}, &ret));
    assert_true(ret.err && ret.error.tag == WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX);
    assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs + 2, 1}, &ret));
    assert_true(ret.err && ret.error.tag == WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX);
}

/* ---- traces ---- */

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* What goes out when the guest hands a request with these fields over. */
static void goes_out(struct wasi_http_fields *fields, const char *wanted)
{
    wasi_http_future_incoming_response_drop(h, hand_over(new_request(fields, "/")));
    assert_string_equal(client.log, wanted);
}

/* A request says of a trace what the guest says, or else what the one says that it answers. */
static void test_traces(void **state)
{
    struct wasi_http_fields *given, *own = new_fields(), *half = new_fields();
    fields_there[0] = (struct http_field){STR("traceparent"), STR(TRACE)};
    fields_there[1] = (struct http_field){STR("tracestate"), STR("a=1")};
    goes_out(new_fields(), "GET 127.0.0.1/ traceparent=" TRACE " tracestate=a=1");
    assert_int_equal(append(half, "Tracestate", "b=2"), FINE);
    assert_int_equal(append(half, "x", "y"), FINE);
    goes_out(half, "GET 127.0.0.1/ x=y traceparent=" TRACE " tracestate=a=1");
    assert_int_equal(append(own, "TraceParent", "mine"), FINE);
    goes_out(own, "GET 127.0.0.1/ TraceParent=mine");
    assert_true(wasi_http_types_incoming_request_headers(h, in_request, &given));
    goes_out(given, "GET 127.0.0.1/ traceparent=" TRACE " tracestate=a=1");
    fields_there[0].value = STR("00-of-no-trace");
    goes_out(new_fields(), "GET 127.0.0.1/");
    fields_there[0].value = STR(TRACE);
    lose_exchange();
    goes_out(new_fields(), "GET 127.0.0.1/");
}

/* ---- memory ---- */

#define ROUNDS 20000
#define SMALL ((size_t)1 << 20)

static void restart(size_t memory_max)
{
    host_end(h, true);
    host_pool_free(pool);
    begin_with(memory_max);
}

static void exchange(unsigned round)
{
    struct wasi_http_fields *fields = new_fields(), *trailers = new_fields(), *copy;
    char value[64];
    int size = snprintf(value, sizeof value, "%*u", (int)(round % 60), round);
    struct result_void_void ret;
    const struct wasi_http_types_method method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER, .other = STR("PURGE")};
    for (unsigned i = 0; i < 10 + round % 20; i++)
        assert_int_equal(append(fields, "X-Field", value), FINE);
    assert_int_equal(set(fields, "x-field", value, "b"), FINE);
    assert_int_equal(append(trailers, "t", value), FINE);
    assert_true(wasi_http_types_fields_clone(h, fields, &copy));
    struct wasi_http_outgoing_request *made = new_request(fields, round % 2 ? "?query" : "/path");
    assert_true(wasi_http_types_outgoing_request_set_method(h, made, &method, &ret));
    struct wasi_http_outgoing_body *body = body_of(made);
    bool early = round % 3 == 0;
    assert_true(put(body, round % 5 ? 100 : 3000));
    if (early)
        finish(body, trailers);
    struct wasi_http_future_incoming_response *future = hand_over(made);
    assert_non_null(future);
    if (round % 3 == 1)
        finish(body, trailers);
    struct wasi_http_incoming_response *response = response_of(future);
    wasi_http_fields_drop(h, headers_of(response));
    read_body(response);
    if (round % 3 == 2) {
        wasi_http_outgoing_body_drop(h, body);
        wasi_http_fields_drop(h, trailers);
    }
    wasi_http_fields_drop(h, copy);
    assert_true(size > 0);
    assert_int_equal(store.trap, TRAP_NONE);
}

static void test_memory_of_exchanges(void **state)
{
    restart(SMALL);
    for (unsigned round = 0; round < ROUNDS; round++)
        exchange(round);
}

/* Requests that are dropped, refused by `handle`, or never handed over with all their body. */
static void test_memory_of_requests_unsent(void **state)
{
    restart(SMALL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct wasi_http_fields *fields = new_fields();
        assert_int_equal(append(fields, "x", "value"), FINE);
        struct wasi_http_outgoing_request *made = new_request(fields, "*"); /* which only OPTIONS may have */
        struct wasi_http_outgoing_body *body = body_of(made);
        assert_true(put(body, 3000));
        if (round % 2)
            finish(body, NULL);
        if (round % 3)
            assert_null(hand_over(made));
        else
            wasi_http_outgoing_request_drop(h, made);
        if (round % 2 == 0)
            wasi_http_outgoing_body_drop(h, body);
        arena_reset(&h->scratch);
        assert_int_equal(store.trap, TRAP_NONE);
    }
}

/* Fields that are refused leave nothing; those of the exchange neither. */
static void test_memory_of_fields(void **state)
{
    struct tuple_str_list_u8 pairs[] = {{STR("a"), {(const uint8_t *)"1", 1}},
                                        {STR("host"), {(const uint8_t *)"2", 1}}};
    restart(SMALL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct result_wasi_http_fields_wasi_http_types_header_error ret = {0};
        struct wasi_http_fields *fields;
        assert_true(wasi_http_types_fields_from_list(h, (struct list_tuple_str_list_u8){pairs, 2}, &ret));
        assert_true(ret.err);
        assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
        wasi_http_fields_drop(h, fields);
    }
}

/* The client may hold a copy of a body as long as the call lives: so long it counts. */
static void test_memory_of_bodies_under_way(void **state)
{
    unsigned sent = 0;
    restart(SMALL);
    while (sent < 100 && store.trap == TRAP_NONE) {
        struct wasi_http_outgoing_request *made = new_request(new_fields(), "/");
        struct wasi_http_outgoing_body *body = body_of(made);
        if (!put(body, 60000))
            break;
        finish(body, NULL);
        assert_non_null(hand_over(made));
        sent++;
    }
    assert_in_range(sent, 2, 16);
    assert_int_equal(store.trap, TRAP_OUT_OF_MEMORY);
}

/* Lookups that are dropped before anything is known. */
static void test_memory_of_lookups(void **state)
{
    struct wasi_sockets_network *network;
    loop = test_loop(&err);
    restart((size_t)65536);
    assert_true(wasi_sockets_instance_network_instance_network(h, &network));
    for (unsigned round = 0; round < 1000; round++) {
        struct result_wasi_sockets_resolve_address_stream_wasi_sockets_network_error_code ret = {0};
        assert_true(wasi_sockets_ip_name_lookup_resolve_addresses(
            h, network, STR("a-name-of-more-than-sixty-four-bytes.which-is-granted.example.com"), &ret));
        assert_false(ret.err);
        wasi_sockets_resolve_address_stream_drop(h, ret.ok);
        assert_int_equal(store.trap, TRAP_NONE);
    }
}

/* ---- any order ---- */

/* What a guest has handles of, by kind. */
enum kind {
    FIELDS,
    REQUEST,
    BODY,
    OUTPUT,
    FUTURE,
    RESPONSE,
    IN_BODY,
    INPUT,
    TRAILERS,
    POLLABLE,
    FAILURE,
    KINDS,
};

static struct {
    void *items[64];
    unsigned count;
} had[KINDS];

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(dice >> 33) % sides;
}

static void drop_any(enum kind kind, void *object)
{
    switch (kind) {
    case FIELDS: wasi_http_fields_drop(h, object); break;
    case REQUEST: wasi_http_outgoing_request_drop(h, object); break;
    case BODY: wasi_http_outgoing_body_drop(h, object); break;
    case OUTPUT: wasi_io_output_stream_drop(h, object); break;
    case FUTURE: wasi_http_future_incoming_response_drop(h, object); break;
    case RESPONSE: wasi_http_incoming_response_drop(h, object); break;
    case IN_BODY: wasi_http_incoming_body_drop(h, object); break;
    case INPUT: wasi_io_input_stream_drop(h, object); break;
    case TRAILERS: wasi_http_future_trailers_drop(h, object); break;
    case POLLABLE: wasi_io_pollable_drop(h, object); break;
    default: wasi_io_error_drop(h, object); break;
    }
}

/* The guest has this, too; or, with as many already, drops it. */
static void have(enum kind kind, void *object)
{
    if (had[kind].count < 64)
        had[kind].items[had[kind].count++] = object;
    else
        drop_any(kind, object);
}

/* One of those; NULL: it has none. */
static void *any(enum kind kind)
{
    return had[kind].count ? had[kind].items[roll(had[kind].count)] : NULL;
}

/* The same, and its handle is gone. What has children is mostly left, because taking it traps. */
static void *take(enum kind kind)
{
    if (had[kind].count == 0)
        return NULL;
    unsigned at = roll(had[kind].count);
    void *object = had[kind].items[at];
    if (((struct host_node *)object)->children && roll(50))
        return NULL;
    had[kind].items[at] = had[kind].items[--had[kind].count];
    return object;
}

/* Reads every byte. */
static void look(struct wasi_http_fields *fields)
{
    struct list_tuple_str_list_u8 all;
    assert_true(wasi_http_types_fields_entries(h, fields, &all));
    for (size_t i = 0; i < all.len; i++) {
        assert_true(http_is_token(all.ptr[i].f0));
        assert_true(http_is_value((struct str){(const char *)all.ptr[i].f1.ptr, all.ptr[i].f1.len}));
    }
}

static void do_fields(void)
{
    static const char *const names[] = {"a", "X-Name", "content-length", "a-longer-name-of-a-field"};
    static const char *const values[] = {"1", "22", "a value of more than sixteen bytes", ""};
    struct wasi_http_fields *fields = any(FIELDS), *made = NULL;
    struct result_void_wasi_http_types_header_error ret;
    const char *name = names[roll(4)], *value = values[roll(4)];
    switch (roll(6)) {
    case 0: assert_true(wasi_http_types_fields_constructor(h, &made)); break;
    case 1: append(fields, name, value); break;
    case 2: set(fields, name, value, roll(2) ? value : NULL); break;
    case 3: assert_true(wasi_http_types_fields_delete(h, fields, str_of(name), &ret)); break;
    case 4: assert_true(wasi_http_types_fields_clone(h, fields, &made)); break;
    default: look(fields); break;
    }
    if (made)
        have(FIELDS, made);
}

static void do_headers(void)
{
    struct wasi_http_fields *fields = NULL;
    void *request_made = any(REQUEST), *response = any(RESPONSE);
    unsigned which = roll(3);
    if (which == 0 && h->request)
        assert_true(wasi_http_types_incoming_request_headers(h, in_request, &fields));
    else if (which == 1 && request_made)
        assert_true(wasi_http_types_outgoing_request_headers(h, request_made, &fields));
    else if (response)
        assert_true(wasi_http_types_incoming_response_headers(h, response, &fields));
    if (fields)
        have(FIELDS, fields);
}

static void do_request(void)
{
    static const char *const paths[] = {"/", "?q", "*", "/a/path/that/is/longer/than/others"};
    void *fields = roll(2) ? take(FIELDS) : NULL, *made = any(REQUEST);
    struct result_wasi_http_outgoing_body_void body = {0};
    struct wasi_http_future_incoming_response *future;
    switch (roll(3)) {
    case 0: have(REQUEST, new_request(fields ? fields : new_fields(), paths[roll(4)])); return;
    case 1:
        if (made && wasi_http_types_outgoing_request_body(h, made, &body) && !body.err)
            have(BODY, body.ok);
        break;
    default:
        if ((made = take(REQUEST)) && (future = hand_over(made)))
            have(FUTURE, future);
        break;
    }
    if (fields)
        have(FIELDS, fields);
}

static void do_write(void)
{
    static const uint8_t bytes[5000];
    struct result_wasi_io_output_stream_void made = {0};
    struct result_u64_wasi_io_streams_stream_error room = {0};
    struct result_void_wasi_io_streams_stream_error written = {0};
    struct result_void_wasi_http_types_error_code finished = {0};
    void *body = any(BODY), *stream = any(OUTPUT);
    struct option_wasi_http_fields trailers = {0};
    if (body && roll(2) && wasi_http_types_outgoing_body_write(h, body, &made) && !made.err) {
        have(OUTPUT, made.ok);
    } else if (stream && wasi_io_streams_output_stream_check_write(h, stream, &room) && !room.err) {
        wasi_io_streams_output_stream_write(h, stream, (struct list_u8){bytes, roll(sizeof bytes)}, &written);
        if (written.err && written.error.tag == WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED)
            have(FAILURE, written.error.last_operation_failed);
    } else if ((body = take(BODY))) {
        trailers.value = roll(2) ? take(FIELDS) : NULL;
        trailers.some = trailers.value != NULL;
        wasi_http_types_outgoing_body_finish(h, body, &trailers, &finished);
    }
}

static void do_response(void)
{
    struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void got = {0};
    struct result_wasi_http_incoming_body_void body = {0};
    void *future = any(FUTURE), *response = any(RESPONSE);
    if (client.live && roll(2))
        answer(client.calls[roll(client.live)]);
    if (future && roll(2) && wasi_http_types_future_incoming_response_get(h, future, &got) && got.some &&
        !got.value.err && !got.value.ok.err)
        have(RESPONSE, got.value.ok.ok);
    if (response && roll(2) && wasi_http_types_incoming_response_consume(h, response, &body) && !body.err)
        have(IN_BODY, body.ok);
}

static void do_read(void)
{
    struct result_wasi_io_input_stream_void made = {0};
    struct result_list_u8_wasi_io_streams_stream_error part = {0};
    struct wasi_http_future_trailers *future;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void got = {0};
    void *body = any(IN_BODY), *stream = any(INPUT), *trailers = any(TRAILERS);
    unsigned which = roll(4);
    if (which == 0 && body && wasi_http_types_incoming_body_stream(h, body, &made) && !made.err)
        have(INPUT, made.ok);
    else if (which == 1 && stream)
        wasi_io_streams_input_stream_read(h, stream, roll(10), &part);
    else if (which == 2 && (body = take(IN_BODY)) && wasi_http_types_incoming_body_finish(h, body, &future))
        have(TRAILERS, future);
    else if (which == 3 && trailers && wasi_http_types_future_trailers_get(h, trailers, &got) && got.some &&
             !got.value.err && !got.value.ok.err && got.value.ok.ok.some)
        have(FIELDS, got.value.ok.ok.value);
}

static void do_poll(void)
{
    void *future = any(FUTURE), *output = any(OUTPUT), *input = any(INPUT), *pollable = any(POLLABLE);
    struct wasi_io_pollable *made = NULL;
    bool ready;
    unsigned which = roll(4);
    if (which == 0 && future)
        wasi_http_types_future_incoming_response_subscribe(h, future, &made);
    else if (which == 1 && output)
        wasi_io_streams_output_stream_subscribe(h, output, &made);
    else if (which == 2 && input)
        wasi_io_streams_input_stream_subscribe(h, input, &made);
    else if (pollable)
        assert_true(wasi_io_poll_pollable_ready(h, pollable, &ready));
    if (made)
        have(POLLABLE, made);
}

static void do_drop(void)
{
    enum kind kind = roll(KINDS);
    void *object = take(kind);
    if (object)
        drop_any(kind, object);
}

/* Handles that are made, used and dropped as it happens, until something traps. Under AddressSanitizer, whatever was
 * given back and is still used ends the test. */
static void test_any_order(void **state)
{
    static void (*const deeds[])(void) = {do_fields,   do_headers, do_request, do_write,
                                          do_response, do_read,    do_poll,    do_drop};
    unsigned traps = 0, longest = 0;
    for (dice = 1; traps < 500; traps++) {
        unsigned done = 0;
        restart(0);
        memset(had, 0, sizeof had);
        for (int i = 0; i < 4; i++)
            have(FIELDS, new_fields());
        for (; store.trap == TRAP_NONE && done < 2000; done++) {
            unsigned which = roll(8);
            if (had[FIELDS].count || which != 0)
                deeds[which]();
            if (roll(500) == 0 && h->request)
                lose_exchange();
            arena_reset(&h->scratch);
        }
        longest = done > longest ? done : longest;
    }
    assert_true(longest > 1000);
}

/* ---- time ---- */

/* A long list is looked at in parts, between which the guest may be ended. */
static void test_poll_is_ended(void **state)
{
    static struct wasi_io_pollable *list[5000];
    struct list_u32 ready;
    struct wasi_io_pollable never = {.ready = pollable_never, .deadline_ns = HOST_FOREVER};
    struct wasi_io_pollable always = {.ready = pollable_always, .deadline_ns = HOST_FOREVER};
    for (size_t i = 0; i < 5000; i++)
        list[i] = &never;
    list[4999] = &always;
    assert_true(wasi_io_poll_poll(h, (struct list_borrow_wasi_io_pollable){list, 5000}, &ready));
    assert_int_equal(ready.len, 1);
    store.interrupt = TRAP_DEADLINE;
    assert_false(wasi_io_poll_poll(h, (struct list_borrow_wasi_io_pollable){list, 5000}, &ready));
    assert_int_equal(store.trap, TRAP_DEADLINE);
}

static void test_random_is_ended(void **state)
{
    struct list_u8 bytes;
    assert_true(wasi_random_random_get_random_bytes(h, HOST_RANDOM_MAX, &bytes));
    store.interrupt = TRAP_DEADLINE;
    assert_false(wasi_random_random_get_random_bytes(h, HOST_RANDOM_MAX, &bytes));
    assert_int_equal(store.trap, TRAP_DEADLINE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    static const struct CMUnitTest tests[] = {
        TEST(given_headers),
        TEST(headers_of_lost_exchange),
        TEST(headers_outlive_response),
        TEST(trailers_of_lost_exchange),
        TEST(body_of_dropped_request),
        TEST(length_is_a_number),
        TEST(length_in_list),
        TEST(traces),
        TEST(memory_of_exchanges),
        TEST(memory_of_requests_unsent),
        TEST(memory_of_fields),
        TEST(memory_of_bodies_under_way),
        TEST(memory_of_lookups),
        TEST(any_order),
        TEST(poll_is_ended),
        TEST(random_is_ended),
    };
    if (!grants_add(&grants, GRANT_OUTBOUND, STR("http://127.0.0.1"), &err) ||
        !grants_add(&grants, GRANT_NET, STR("*.example.com:80"), &err))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    grants_free(&grants);
    return failed;
}
