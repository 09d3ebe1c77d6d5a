/* Sockets, names and outgoing requests while memory runs out: each allocation of a session fails once, alone and with
 * all behind it. The session may trap or be told of an error; nothing may be left over, neither memory nor descriptors,
 * and the same session, tried again, succeeds. */
#include "support/loop.h"
#include "http/client.h"
#include "wasi/gen/wasi_sockets.h"
#include "wasi/object.h"

#include "base/alloc.h"
#include "support/descriptors.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct store store;
static struct io_loop *loop;
static struct host *h;
static int listener;
static uint16_t port;
static bool completed; /* the session went to its end */

/* Waiting without a second stack, as in tests/wasi/test_waits.c. */
static void suspend(struct host *host)
{
    io_run(loop, NULL);
}

static void resume(struct host *host)
{
    io_stop(loop);
}

static bool wait_for(struct wasi_io_pollable *pollable)
{
    bool done = wasi_io_poll_pollable_block(h, pollable);
    wasi_io_pollable_drop(h, pollable);
    return done;
}

static int accept_peer(void)
{
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* ---- sessions: false when something failed ---- */

static bool talk(int peer, struct wasi_io_input_stream *in, struct wasi_io_output_stream *out)
{
    struct result_list_u8_wasi_io_streams_stream_error part = {0};
    struct result_void_wasi_io_streams_stream_error written = {0};
    assert_int_equal(send(peer, "hello", 5, MSG_NOSIGNAL), 5);
    if (!wasi_io_streams_input_stream_blocking_read(h, in, 100, &part) || part.err)
        return false;
    if (!wasi_io_streams_output_stream_blocking_write_and_flush(h, out, (struct list_u8){(const uint8_t *)"hi", 2},
                                                                &written))
        return false;
    shutdown(peer, SHUT_WR);
    return !written.err && wasi_io_streams_input_stream_blocking_read(h, in, 100, &part) && part.err;
}

static bool connect_tcp(struct wasi_sockets_tcp_socket **ret_tcp)
{
    struct result_wasi_sockets_tcp_socket_wasi_sockets_network_error_code made = {0};
    struct wasi_sockets_network_ip_socket_address to = {.ipv4 = {port, {127, 0, 0, 1}}};
    struct result_void_wasi_sockets_network_error_code started = {0};
    struct wasi_sockets_network *network;
    struct wasi_io_pollable *pollable;
    if (!wasi_sockets_instance_network_instance_network(h, &network) ||
        !wasi_sockets_tcp_create_socket_create_tcp_socket(h, WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &made) ||
        made.err)
        return false;
    *ret_tcp = made.ok;
    return wasi_sockets_tcp_tcp_socket_start_connect(h, made.ok, network, &to, &started) && !started.err &&
           wasi_sockets_tcp_tcp_socket_subscribe(h, made.ok, &pollable) && wait_for(pollable);
}

static bool tcp_session(void)
{
    struct result_tuple_wasi_io_input_stream_wasi_io_output_stream_wasi_sockets_network_error_code streams = {0};
    struct wasi_sockets_tcp_socket *tcp = NULL;
    bool connected = connect_tcp(&tcp);
    if (!connected)
        return false;
    int peer = accept_peer();
    bool done = wasi_sockets_tcp_tcp_socket_finish_connect(h, tcp, &streams) && !streams.err &&
                talk(peer, streams.ok.f0, streams.ok.f1);
    close(peer);
    return done;
}

static bool read_body(struct wasi_http_incoming_response *response)
{
    struct result_wasi_http_incoming_body_void body = {0};
    struct result_wasi_io_input_stream_void stream = {0};
    struct result_list_u8_wasi_io_streams_stream_error part = {0};
    struct wasi_http_future_trailers *trailers;
    struct option_result_result_option_wasi_http_fields_wasi_http_types_error_code_void got = {0};
    struct wasi_http_fields *headers;
    if (!wasi_http_types_incoming_response_headers(h, response, &headers) ||
        !wasi_http_types_incoming_response_consume(h, response, &body) || body.err ||
        !wasi_http_types_incoming_body_stream(h, body.ok, &stream) || stream.err)
        return false;
    while (!part.err)
        if (!wasi_io_streams_input_stream_blocking_read(h, stream.ok, 100, &part))
            return false;
    if (part.error.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED)
        return false;
    wasi_io_input_stream_drop(h, stream.ok);
    return wasi_http_types_incoming_body_finish(h, body.ok, &trailers) &&
           wasi_http_types_future_trailers_get(h, trailers, &got) && got.some && !got.value.ok.err &&
           got.value.ok.ok.some;
}

static bool begin_request(struct wasi_http_future_incoming_response **ret_future)
{
    struct wasi_http_fields *fields;
    struct wasi_http_outgoing_request *request;
    struct result_wasi_http_future_incoming_response_wasi_http_types_error_code sent = {0};
    struct result_void_void set = {0};
    struct result_void_wasi_http_types_header_error appended = {0};
    char authority[32];
    int n = snprintf(authority, sizeof authority, "127.0.0.1:%u", port);
    const struct option_str where = {true, {authority, (size_t)n}};
    const struct option_wasi_http_types_scheme scheme = {true, {.tag = WASI_HTTP_TYPES_SCHEME_HTTP}};
    if (!wasi_http_types_fields_constructor(h, &fields) ||
        !wasi_http_types_fields_append(h, fields, STR("a"), (struct list_u8){(const uint8_t *)"b", 1}, &appended) ||
        !wasi_http_types_outgoing_request_constructor(h, fields, &request) ||
        !wasi_http_types_outgoing_request_set_authority(h, request, &where, &set) ||
        !wasi_http_types_outgoing_request_set_scheme(h, request, &scheme, &set) ||
        !wasi_http_outgoing_handler_handle(h, request, &(struct option_wasi_http_request_options){0}, &sent) ||
        sent.err)
        return false;
    *ret_future = sent.ok;
    return true;
}

static bool answered(struct wasi_http_future_incoming_response *future, struct wasi_http_incoming_response **ret)
{
    struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void got = {0};
    struct wasi_io_pollable *pollable;
    if (!wasi_http_types_future_incoming_response_subscribe(h, future, &pollable) || !wait_for(pollable) ||
        !wasi_http_types_future_incoming_response_get(h, future, &got) || !got.some || got.value.ok.err)
        return false;
    *ret = got.value.ok.ok;
    return true;
}

static bool http_session(void)
{
    static const char reply[] =
        "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: z\r\n\r\n";
    struct wasi_http_future_incoming_response *future;
    struct wasi_http_incoming_response *response;
    if (!begin_request(&future))
        return false;
    int peer = accept(listener, NULL, NULL); /* non-blocking: a call that could not begin has no connection */
    if (peer >= 0)
        assert_int_equal(send(peer, reply, sizeof reply - 1, MSG_NOSIGNAL), sizeof reply - 1);
    bool done = answered(future, &response) && read_body(response);
    if (peer >= 0)
        close(peer);
    return done;
}

static bool lookup_session(void)
{
    struct result_wasi_sockets_resolve_address_stream_wasi_sockets_network_error_code begun = {0};
    struct result_option_wasi_sockets_network_ip_address_wasi_sockets_network_error_code next = {0};
    struct wasi_sockets_network *network;
    struct wasi_io_pollable *pollable;
    return wasi_sockets_instance_network_instance_network(h, &network) &&
           wasi_sockets_ip_name_lookup_resolve_addresses(h, network, STR("localhost"), &begun) && !begun.err &&
           wasi_sockets_ip_name_lookup_resolve_address_stream_subscribe(h, begun.ok, &pollable) && wait_for(pollable) &&
           wasi_sockets_ip_name_lookup_resolve_address_stream_resolve_next_address(h, begun.ok, &next) && !next.err &&
           next.ok.some;
}

/* ---- around them ---- */

static void in_host(struct host_pool *pool, bool (*session)(void))
{
    struct grants grants = {0};
    struct host_config config = {.name = "test", .grants = &grants};
    struct err err;
    bool granted = grants_add(&grants, GRANT_NET, STR("localhost:*"), &err) &&
                   grants_add(&grants, GRANT_OUTBOUND, STR("http://127.0.0.1:*"), &err);
    memset(&store, 0, sizeof store);
    h = granted ? host_begin(pool, &config, &store, NULL) : NULL;
    if (h) {
        completed = session();
        host_end(h, false);
    }
    grants_free(&grants);
}

/* A worker's whole life around one session. */
static void run(bool (*session)(void))
{
    static const struct host_runtime runtime = {suspend, resume};
    completed = false;
    loop = test_loop(NULL);
    struct http_client *client = loop ? http_client_new(loop, NULL) : NULL;
    struct host_pool *pool = client ? host_pool_new(loop, &runtime, NULL) : NULL;
    if (pool) {
        host_pool_serve(pool, &(struct host_services){.outbound = &http_client_face, .outbound_client = client});
        in_host(pool, session);
    }
    host_pool_free(pool);
    http_client_free(client);
    io_loop_free(loop);
    for (int left; (left = accept(listener, NULL, NULL)) >= 0;)
        close(left);
}

static void with_failures(bool (*session)(void), void (*break_at)(uint64_t nth))
{
    run(session); /* what is loaded once is loaded now */
    assert_true(completed);
    uint64_t live = mem_live(), nth = 1;
    unsigned open = open_descriptors();
    for (;; nth++) {
        uint64_t before = mem_count();
        break_at(nth);
        run(session);
        uint64_t made = mem_count() - before;
        break_at(0);
        assert_int_equal(mem_live(), live);
        assert_int_equal(open_descriptors(), open);
        if (made < nth)
            break;
    }
    assert_true(completed); /* nothing failed in the last round */
    if (mem_peak())         /* a build whose allocations can fail */
        assert_true(nth > 3);
}

#define SESSION(name)                                                                                                  \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        with_failures(name##_session, mem_fail_once);                                                                  \
        with_failures(name##_session, mem_fail_at);                                                                    \
    }
SESSION(tcp)
SESSION(http)
SESSION(lookup)

static int begin(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    alarm(120); /* a session that waits for what never comes is a failure, too */
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) < 0)
        return -1;
    port = ntohs(at.sin_port);
    return 0;
}

static int end(void **state)
{
    alarm(0);
    return close(listener);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_lookup),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
