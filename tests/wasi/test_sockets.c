/* Sockets of wasi:sockets on the loopback: what stays as it was when a guest does the next thing with one. */
#include "support/loop.h"
#include "wasi/gen/wasi_sockets.h"
#include "wasi/object.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct wasi_sockets_network_ip_socket_address wasi_endpoint;

static struct store store;
static struct io_loop *loop;
static struct host_pool *pool;
static struct host *h;
static struct host_config config;
static struct grants grants;
static struct err err;
static struct wasi_sockets_network *network;

static void suspend(struct host *host)
{
    assert_true(io_run(loop, &err));
}

static void resume(struct host *host)
{
    io_stop(loop);
}

static int begin(void **state)
{
    static const struct host_runtime runtime = {suspend, resume};
    memset(&store, 0, sizeof store);
    config = (struct host_config){.name = "test", .grants = &grants};
    loop = test_loop(&err);
    pool = host_pool_new(loop, &runtime, &err);
    h = host_begin(pool, &config, &store, NULL);
    alarm(60); /* a datagram that never comes is a failure, too */
    return h && grants_add(&grants, GRANT_NET, STR("127.0.0.1:*"), &err) &&
                   wasi_sockets_instance_network_instance_network(h, &network)
               ? 0
               : -1;
}

static int end(void **state)
{
    alarm(0);
    host_end(h, false);
    host_pool_free(pool);
    io_loop_free(loop);
    grants_free(&grants);
    return 0;
}

static const wasi_endpoint anywhere = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};

static wasi_endpoint loopback(uint16_t port)
{
    return (wasi_endpoint){.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4, .ipv4 = {port, {127, 0, 0, 1}}};
}

/* ---- UDP ---- */

static struct wasi_sockets_udp_socket *bound_udp(const wasi_endpoint *at)
{
    struct result_wasi_sockets_udp_socket_wasi_sockets_network_error_code made = {0};
    struct result_void_wasi_sockets_network_error_code done = {0};
    assert_true(
        wasi_sockets_udp_create_socket_create_udp_socket(h, WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &made));
    assert_false(made.err);
    assert_true(wasi_sockets_udp_udp_socket_start_bind(h, made.ok, network, at, &done));
    assert_false(done.err);
    assert_true(wasi_sockets_udp_udp_socket_finish_bind(h, made.ok, &done));
    assert_false(done.err);
    return made.ok;
}

static wasi_endpoint name_of(struct wasi_sockets_udp_socket *udp)
{
    struct result_wasi_sockets_network_ip_socket_address_wasi_sockets_network_error_code name = {0};
    assert_true(wasi_sockets_udp_udp_socket_local_address(h, udp, &name));
    assert_false(name.err);
    return name.ok;
}

/* result<tuple<A, B>, error-code> */
#define RESULT_OF_TWO(a, b) struct result_tuple_##a##_##b##_wasi_sockets_network_error_code

typedef RESULT_OF_TWO(wasi_sockets_incoming_datagram_stream, wasi_sockets_outgoing_datagram_stream) streams_result;

struct udp_streams {
    struct wasi_sockets_incoming_datagram_stream *in;
    struct wasi_sockets_outgoing_datagram_stream *out;
};

static struct udp_streams streams_of(struct wasi_sockets_udp_socket *udp, const wasi_endpoint *peer)
{
    streams_result ret = {0};
    const struct option_wasi_sockets_network_ip_socket_address to = {peer != NULL, peer ? *peer : anywhere};
    assert_true(wasi_sockets_udp_udp_socket_stream(h, udp, &to, &ret));
    assert_false(ret.err);
    return (struct udp_streams){ret.ok.f0, ret.ok.f1};
}

static void drop_streams(struct udp_streams streams)
{
    wasi_sockets_incoming_datagram_stream_drop(h, streams.in);
    wasi_sockets_outgoing_datagram_stream_drop(h, streams.out);
}

/* The bytes of a datagram from the outside that the guest gets. */
static void assert_heard(struct udp_streams streams, uint16_t port)
{
    struct result_list_wasi_sockets_udp_incoming_datagram_wasi_sockets_network_error_code got = {0};
    struct wasi_io_pollable *pollable;
    struct sockaddr_in to = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(sendto(fd, "hi", 2, 0, (struct sockaddr *)&to, sizeof to), 2);
    close(fd);
    assert_true(wasi_sockets_udp_incoming_datagram_stream_subscribe(h, streams.in, &pollable));
    assert_true(wasi_io_poll_pollable_block(h, pollable));
    wasi_io_pollable_drop(h, pollable);
    assert_true(wasi_sockets_udp_incoming_datagram_stream_receive(h, streams.in, 1, &got));
    assert_true(!got.err && got.ok.len == 1 && got.ok.ptr[0].data.len == 2);
}

/* The kernel forgets a port that it chose when a peer is taken back: to the guest the socket is bound. */
static void keeps_its_port(const wasi_endpoint *at)
{
    struct wasi_sockets_udp_socket *udp = bound_udp(at);
    const wasi_endpoint before = name_of(udp), one = loopback(9), two = loopback(10);
    drop_streams(streams_of(udp, &one));
    drop_streams(streams_of(udp, &two));
    assert_int_equal(name_of(udp).ipv4.port, before.ipv4.port);
    struct udp_streams streams = streams_of(udp, NULL);
    const wasi_endpoint after = name_of(udp);
    assert_memory_equal(&after.ipv4, &before.ipv4, sizeof after.ipv4);
    assert_heard(streams, before.ipv4.port);
}

static void test_udp_keeps_its_port(void **state)
{
    const wasi_endpoint at = loopback(0);
    keeps_its_port(&at);
}

static void test_udp_keeps_its_port_anywhere(void **state)
{
    keeps_its_port(&anywhere);
}

/* ---- names ---- */

static int looked_up(struct str name)
{
    struct result_wasi_sockets_resolve_address_stream_wasi_sockets_network_error_code ret = {0};
    assert_true(wasi_sockets_ip_name_lookup_resolve_addresses(h, network, name, &ret));
    return ret.err ? (int)ret.error : -1;
}

/* What is behind a zero byte is part of the name. */
static void test_names(void **state)
{
    const char text[] = "host.test\0.other";
    assert_int_equal(looked_up(STR("host.test")), WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED);
    assert_int_equal(looked_up((struct str){text, sizeof text - 1}), WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT);
    assert_int_equal(looked_up((struct str){text, 10}), WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT);
    assert_int_equal(looked_up((struct str){text, 0}), WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT);
    assert_int_equal(looked_up(STR("user@host.test")), WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT);
    assert_int_equal(looked_up(STR("127.1")), WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT);
    assert_int_equal(looked_up(STR("127.0.0.1")), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    static const struct CMUnitTest tests[] = {
        TEST(udp_keeps_its_port),
        TEST(udp_keeps_its_port_anywhere),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
