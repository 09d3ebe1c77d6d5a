/* Calls every function of wasi:sockets, as it should be called and otherwise. The path names a case and what it needs
 * ("/tcp-echo/PORT"); the answer is "ok", or a line for each thing that was not as the interface says. */
#include "answer.h"
#include "draft.h"
#include "text.h"

#include <stdlib.h>

typedef wasi_sockets_network_ip_socket_address_t endpoint;
typedef wasi_sockets_tcp_borrow_tcp_socket_t tcp_ref;
typedef wasi_sockets_udp_borrow_udp_socket_t udp_ref;
typedef wasi_sockets_network_error_code_t code;
typedef wasi_io_streams_borrow_input_stream_t in_ref;
typedef wasi_io_streams_borrow_output_stream_t out_ref;

#define TCP(name) wasi_sockets_tcp_method_tcp_socket_##name
#define UDP(name) wasi_sockets_udp_method_udp_socket_##name
#define IN(name) wasi_io_streams_method_input_stream_##name
#define OUT(name) wasi_io_streams_method_output_stream_##name
#define CODE(name) WASI_SOCKETS_NETWORK_ERROR_CODE_##name
#define V4 WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4
#define V6 WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6
#define SECOND 1000000000ull

static unsigned numbers[4]; /* of the path */
static char word[512];      /* the path's text behind the case */
static code error;
static wasi_sockets_network_borrow_network_t network;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            say("line %d: %s (error %d)\n", __LINE__, #condition, error);                                              \
    } while (0)
#define FAILS(call, wanted)                                                                                            \
    do {                                                                                                               \
        error = 255;                                                                                                   \
        if (call)                                                                                                      \
            say("line %d: %s did not fail\n", __LINE__, #call);                                                        \
        else if (error != CODE(wanted))                                                                                \
            say("line %d: %s failed with %d, not %s\n", __LINE__, #call, error, #wanted);                              \
    } while (0)

/* ---- helpers ---- */

static endpoint v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, unsigned port)
{
    endpoint e = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    e.val.ipv4.port = (uint16_t)port;
    e.val.ipv4.address = (wasi_sockets_network_ipv4_address_t){a, b, c, d};
    return e;
}

static endpoint v6(uint16_t first, uint16_t sixth, uint16_t seventh, uint16_t last, unsigned port)
{
    endpoint e = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV6};
    e.val.ipv6.port = (uint16_t)port;
    e.val.ipv6.address = (wasi_sockets_network_ipv6_address_t){first, 0, 0, 0, 0, sixth, seventh, last};
    return e;
}

static endpoint local(unsigned port)
{
    return v4(127, 0, 0, 1, port);
}

static unsigned port_of(endpoint e)
{
    return e.tag ? e.val.ipv6.port : e.val.ipv4.port;
}

static void wait_for(wasi_io_poll_own_pollable_t pollable)
{
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
    CHECK(wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(pollable)));
    wasi_io_poll_pollable_drop_own(pollable);
}

static bool ready(wasi_io_poll_own_pollable_t pollable)
{
    bool is = wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
    return is;
}

static wasi_sockets_tcp_own_tcp_socket_t tcp_own(wasi_sockets_network_ip_address_family_t family)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp = {0};
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(family, &tcp, &error))
        say("create-tcp-socket: %d\n", error);
    return tcp;
}

static wasi_sockets_udp_own_udp_socket_t udp_own(wasi_sockets_network_ip_address_family_t family)
{
    wasi_sockets_udp_own_udp_socket_t udp = {0};
    if (!wasi_sockets_udp_create_socket_create_udp_socket(family, &udp, &error))
        say("create-udp-socket: %d\n", error);
    return udp;
}

static bool bind_to(tcp_ref tcp, endpoint at)
{
    return TCP(start_bind)(tcp, network, &at, &error) && TCP(finish_bind)(tcp, &error);
}

static bool listen_at(tcp_ref tcp, endpoint at, endpoint *ret)
{
    return bind_to(tcp, at) && TCP(start_listen)(tcp, &error) && TCP(finish_listen)(tcp, &error) &&
           TCP(local_address)(tcp, ret, &error);
}

typedef struct {
    wasi_sockets_tcp_own_tcp_socket_t tcp;
    wasi_io_streams_own_input_stream_t in;
    wasi_io_streams_own_output_stream_t out;
} connection;

static bool finish_connect(connection *c)
{
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    wait_for(TCP(subscribe)(wasi_sockets_tcp_borrow_tcp_socket(c->tcp)));
    if (!TCP(finish_connect)(wasi_sockets_tcp_borrow_tcp_socket(c->tcp), &streams, &error))
        return false;
    c->in = streams.f0;
    c->out = streams.f1;
    return true;
}

static bool connect_to(connection *c, endpoint to)
{
    c->tcp = tcp_own(to.tag ? V6 : V4);
    return TCP(start_connect)(wasi_sockets_tcp_borrow_tcp_socket(c->tcp), network, &to, &error) && finish_connect(c);
}

static bool accept_from(tcp_ref listener, connection *c)
{
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t all;
    wait_for(TCP(subscribe)(listener));
    if (!TCP(accept)(listener, &all, &error))
        return false;
    *c = (connection){all.f0, all.f1, all.f2};
    return true;
}

static void drop_connection(connection c)
{
    wasi_io_streams_output_stream_drop_own(c.out);
    wasi_io_streams_input_stream_drop_own(c.in);
    wasi_sockets_tcp_tcp_socket_drop_own(c.tcp);
}

static in_ref in_of(connection c)
{
    return wasi_io_streams_borrow_input_stream(c.in);
}

static out_ref out_of(connection c)
{
    return wasi_io_streams_borrow_output_stream(c.out);
}

static tcp_ref ref_of(connection c)
{
    return wasi_sockets_tcp_borrow_tcp_socket(c.tcp);
}

static bool send_text(connection c, const char *text)
{
    return write_all(c.out, (const uint8_t *)text, strlen(text));
}

/* Whether the next bytes are these. */
static bool receives(connection c, const char *text)
{
    size_t length = strlen(text), at = 0;
    while (at < length) {
        guest_list_u8_t part;
        wasi_io_streams_stream_error_t failure;
        if (!IN(blocking_read)(in_of(c), length - at, &part, &failure))
            return false;
        bool same = part.len && memcmp(part.ptr, text + at, part.len) == 0;
        at += part.len;
        guest_list_u8_free(&part);
        if (!same)
            return false;
    }
    return true;
}

static bool at_end(connection c)
{
    guest_list_u8_t part;
    wasi_io_streams_stream_error_t failure;
    if (IN(blocking_read)(in_of(c), 10, &part, &failure)) {
        guest_list_u8_free(&part);
        return false;
    }
    return failure.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
}

/* ---- TCP: every state ---- */

static void options(tcp_ref tcp)
{
    bool on;
    uint64_t value;
    uint32_t count;
    uint8_t hops;
    CHECK(TCP(address_family)(tcp) == V4);
    CHECK(TCP(keep_alive_enabled)(tcp, &on, &error) && !on);
    CHECK(TCP(set_keep_alive_enabled)(tcp, true, &error) && TCP(keep_alive_enabled)(tcp, &on, &error) && on);
    FAILS(TCP(set_keep_alive_idle_time)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_keep_alive_idle_time)(tcp, 1, &error));
    CHECK(TCP(keep_alive_idle_time)(tcp, &value, &error) && value == SECOND);
    CHECK(TCP(set_keep_alive_idle_time)(tcp, UINT64_MAX, &error));
    CHECK(TCP(keep_alive_idle_time)(tcp, &value, &error) && value > 100 * SECOND);
    FAILS(TCP(set_keep_alive_interval)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_keep_alive_interval)(tcp, 7 * SECOND, &error));
    CHECK(TCP(keep_alive_interval)(tcp, &value, &error) && value == 7 * SECOND);
    FAILS(TCP(set_keep_alive_count)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_keep_alive_count)(tcp, 5, &error) && TCP(keep_alive_count)(tcp, &count, &error) && count == 5);
    CHECK(TCP(set_keep_alive_count)(tcp, UINT32_MAX, &error));
    FAILS(TCP(set_hop_limit)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_hop_limit)(tcp, 42, &error) && TCP(hop_limit)(tcp, &hops, &error) && hops == 42);
    FAILS(TCP(set_receive_buffer_size)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_receive_buffer_size)(tcp, 16384, &error));
    CHECK(TCP(receive_buffer_size)(tcp, &value, &error) && value == 16384);
    CHECK(TCP(set_receive_buffer_size)(tcp, UINT64_MAX, &error));
    FAILS(TCP(set_send_buffer_size)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_send_buffer_size)(tcp, 16384, &error));
    CHECK(TCP(send_buffer_size)(tcp, &value, &error) && value == 16384);
    FAILS(TCP(set_listen_backlog_size)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_listen_backlog_size)(tcp, UINT64_MAX, &error));
}

#if DRAFT
/* Sockets of IPv6 are for IPv6 only. */
static void only_v6(void)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp4 = tcp_own(V4), tcp6 = tcp_own(V6);
    wasi_sockets_udp_own_udp_socket_t udp4 = udp_own(V4), udp6 = udp_own(V6);
    bool on = false;
    CHECK(TCP(ipv6_only)(wasi_sockets_tcp_borrow_tcp_socket(tcp6), &on, &error) && on);
    CHECK(TCP(set_ipv6_only)(wasi_sockets_tcp_borrow_tcp_socket(tcp6), true, &error));
    FAILS(TCP(set_ipv6_only)(wasi_sockets_tcp_borrow_tcp_socket(tcp6), false, &error), NOT_SUPPORTED);
    FAILS(TCP(ipv6_only)(wasi_sockets_tcp_borrow_tcp_socket(tcp4), &on, &error), NOT_SUPPORTED);
    FAILS(TCP(set_ipv6_only)(wasi_sockets_tcp_borrow_tcp_socket(tcp4), true, &error), NOT_SUPPORTED);
    on = false;
    CHECK(UDP(ipv6_only)(wasi_sockets_udp_borrow_udp_socket(udp6), &on, &error) && on);
    CHECK(UDP(set_ipv6_only)(wasi_sockets_udp_borrow_udp_socket(udp6), true, &error));
    FAILS(UDP(set_ipv6_only)(wasi_sockets_udp_borrow_udp_socket(udp6), false, &error), NOT_SUPPORTED);
    FAILS(UDP(ipv6_only)(wasi_sockets_udp_borrow_udp_socket(udp4), &on, &error), NOT_SUPPORTED);
    FAILS(UDP(set_ipv6_only)(wasi_sockets_udp_borrow_udp_socket(udp4), true, &error), NOT_SUPPORTED);
    wasi_sockets_tcp_tcp_socket_drop_own(tcp4);
    wasi_sockets_tcp_tcp_socket_drop_own(tcp6);
    wasi_sockets_udp_udp_socket_drop_own(udp4);
    wasi_sockets_udp_udp_socket_drop_own(udp6);
}
#endif

/* What no socket does before it is connected. */
static void not_connected(tcp_ref tcp)
{
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t all;
    endpoint e;
    FAILS(TCP(finish_connect)(tcp, &streams, &error), NOT_IN_PROGRESS);
    FAILS(TCP(finish_listen)(tcp, &error), NOT_IN_PROGRESS);
    FAILS(TCP(accept)(tcp, &all, &error), INVALID_STATE);
    FAILS(TCP(remote_address)(tcp, &e, &error), INVALID_STATE);
    FAILS(TCP(shutdown)(tcp, WASI_SOCKETS_TCP_SHUTDOWN_TYPE_BOTH, &error), INVALID_STATE);
    CHECK(!TCP(is_listening)(tcp));
    CHECK(ready(TCP(subscribe)(tcp)));
}

static void bad_addresses(tcp_ref tcp)
{
    endpoint wrong = v6(0, 0, 0, 1, 0), multicast = v4(224, 0, 0, 1, 0), broadcast = v4(255, 255, 255, 255, 0);
    endpoint foreign = v4(192, 0, 2, 1, 0);
    FAILS(TCP(start_bind)(tcp, network, &wrong, &error), INVALID_ARGUMENT);
    FAILS(TCP(start_bind)(tcp, network, &multicast, &error), INVALID_ARGUMENT);
    FAILS(TCP(start_bind)(tcp, network, &broadcast, &error), INVALID_ARGUMENT);
    FAILS(TCP(start_bind)(tcp, network, &foreign, &error), ADDRESS_NOT_BINDABLE);
    FAILS(TCP(finish_bind)(tcp, &error), NOT_IN_PROGRESS);
}

static void tcp_states(void)
{
    wasi_sockets_tcp_own_tcp_socket_t own = tcp_own(V4), second = tcp_own(V4);
    tcp_ref tcp = wasi_sockets_tcp_borrow_tcp_socket(own), other = wasi_sockets_tcp_borrow_tcp_socket(second);
    endpoint at = local(0), bound;
    options(tcp);
    not_connected(tcp);
    bad_addresses(tcp);
    FAILS(TCP(local_address)(tcp, &bound, &error), INVALID_STATE);
    FAILS(TCP(start_listen)(tcp, &error), INVALID_STATE); /* unlike POSIX */
    CHECK(TCP(start_bind)(tcp, network, &at, &error));
    FAILS(TCP(start_bind)(tcp, network, &at, &error), CONCURRENCY_CONFLICT);
    FAILS(TCP(local_address)(tcp, &bound, &error), CONCURRENCY_CONFLICT);
    FAILS(TCP(start_connect)(tcp, network, &at, &error), INVALID_STATE);
    CHECK(ready(TCP(subscribe)(tcp)));
    CHECK(TCP(finish_bind)(tcp, &error));
    FAILS(TCP(finish_bind)(tcp, &error), NOT_IN_PROGRESS);
    FAILS(TCP(start_bind)(tcp, network, &at, &error), INVALID_STATE);
    not_connected(tcp);
    CHECK(TCP(local_address)(tcp, &bound, &error) && port_of(bound) != 0);
    CHECK(TCP(start_listen)(tcp, &error));
    FAILS(TCP(start_listen)(tcp, &error), CONCURRENCY_CONFLICT);
    CHECK(!TCP(is_listening)(tcp));
    CHECK(TCP(finish_listen)(tcp, &error));
    CHECK(TCP(is_listening)(tcp) && !ready(TCP(subscribe)(tcp)));
    FAILS(TCP(start_listen)(tcp, &error), INVALID_STATE);
    FAILS(TCP(start_connect)(tcp, network, &bound, &error), INVALID_STATE);
    FAILS(TCP(shutdown)(tcp, WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &error), INVALID_STATE);
    CHECK(TCP(set_listen_backlog_size)(tcp, 7, &error));
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t all;
    FAILS(TCP(accept)(tcp, &all, &error), WOULD_BLOCK);
    FAILS(TCP(start_bind)(other, network, &bound, &error), ADDRESS_IN_USE);
    wasi_sockets_tcp_tcp_socket_drop_own(own);
    CHECK(bind_to(other, bound)); /* at once: no TIME_WAIT, no socket left */
    wasi_sockets_tcp_tcp_socket_drop_own(second);
}

static void closed(tcp_ref tcp)
{
    endpoint e = local(1);
    not_connected(tcp);
    FAILS(TCP(start_bind)(tcp, network, &e, &error), INVALID_STATE);
    FAILS(TCP(start_connect)(tcp, network, &e, &error), INVALID_STATE);
    FAILS(TCP(start_listen)(tcp, &error), INVALID_STATE);
    FAILS(TCP(local_address)(tcp, &e, &error), INVALID_STATE);
    FAILS(TCP(set_listen_backlog_size)(tcp, 1, &error), INVALID_STATE);
    wasi_sockets_tcp_tcp_socket_drop_own((wasi_sockets_tcp_own_tcp_socket_t){tcp.__handle});
}

#define CONNECT_FAILS(family, to, wanted)                                                                              \
    do {                                                                                                               \
        tcp_ref tcp_ = wasi_sockets_tcp_borrow_tcp_socket(tcp_own(family));                                            \
        endpoint to_ = (to);                                                                                           \
        FAILS(TCP(start_connect)(tcp_, network, &to_, &error), wanted);                                                \
        closed(tcp_);                                                                                                  \
    } while (0)

static void tcp_arguments(void)
{
    CONNECT_FAILS(V4, v4(0, 0, 0, 0, 80), INVALID_ARGUMENT);
    CONNECT_FAILS(V4, local(0), INVALID_ARGUMENT);
    CONNECT_FAILS(V4, v4(224, 0, 0, 1, 80), INVALID_ARGUMENT);
    CONNECT_FAILS(V4, v6(0, 0, 0, 1, 80), INVALID_ARGUMENT);
    CONNECT_FAILS(V6, v6(0, 0, 0, 0, 80), INVALID_ARGUMENT);
    CONNECT_FAILS(V6, v6(0, 0xffff, 0x7f00, 1, 80), INVALID_ARGUMENT);
    CONNECT_FAILS(V6, local(80), INVALID_ARGUMENT);
    CONNECT_FAILS(V6, v6(0xff02, 0, 0, 1, 80), INVALID_ARGUMENT);
}

static void tcp_refused(void)
{
    connection c;
    CHECK(!connect_to(&c, local(numbers[0])) && error == CODE(CONNECTION_REFUSED));
    closed(ref_of(c));
}

/* ---- TCP: a guest that talks to itself ---- */

static void inherited(tcp_ref tcp)
{
    uint64_t value;
    uint32_t count;
    uint8_t hops;
    bool on;
    CHECK(TCP(keep_alive_enabled)(tcp, &on, &error) && on);
    CHECK(TCP(keep_alive_interval)(tcp, &value, &error) && value == 7 * SECOND);
    CHECK(TCP(keep_alive_count)(tcp, &count, &error) && count == 127);
    CHECK(TCP(hop_limit)(tcp, &hops, &error) && hops == 42);
    CHECK(TCP(send_buffer_size)(tcp, &value, &error) && value >= 16384);
}

static void while_connected(connection c, endpoint to)
{
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    endpoint e, any = local(0);
    FAILS(TCP(start_connect)(ref_of(c), network, &to, &error), INVALID_STATE);
    FAILS(TCP(finish_connect)(ref_of(c), &streams, &error), NOT_IN_PROGRESS);
    FAILS(TCP(start_bind)(ref_of(c), network, &any, &error), INVALID_STATE);
    FAILS(TCP(start_listen)(ref_of(c), &error), INVALID_STATE);
    FAILS(TCP(set_listen_backlog_size)(ref_of(c), 1, &error), INVALID_STATE);
    CHECK(TCP(remote_address)(ref_of(c), &e, &error) && port_of(e) == port_of(to));
    CHECK(TCP(local_address)(ref_of(c), &e, &error) && port_of(e) != 0);
    CHECK(ready(TCP(subscribe)(ref_of(c))));
}

/* Nothing to read is an empty list and a pollable that waits. */
static void quiet(connection c)
{
    guest_list_u8_t part;
    uint64_t count;
    wasi_io_streams_stream_error_t failure;
    CHECK(!ready(IN(subscribe)(in_of(c))) && ready(OUT(subscribe)(out_of(c))));
    CHECK(IN(read)(in_of(c), 100, &part, &failure) && part.len == 0);
    CHECK(IN(skip)(in_of(c), 100, &count, &failure) && count == 0);
    CHECK(OUT(check_write)(out_of(c), &count, &failure) && count > 0);
}

static void streams(connection a, connection b)
{
    guest_list_u8_t list = {(uint8_t *)"0123456789", 10}, part;
    uint64_t count;
    wasi_io_streams_stream_error_t failure;
    quiet(a);
    quiet(b);
    CHECK(OUT(write)(out_of(a), &list, &failure) && OUT(flush)(out_of(a), &failure));
    wait_for(IN(subscribe)(in_of(b)));
    CHECK(IN(read)(in_of(b), 4, &part, &failure) && part.len == 4 && memcmp(part.ptr, "0123", 4) == 0);
    guest_list_u8_free(&part);
    CHECK(IN(skip)(in_of(b), 2, &count, &failure) && count == 2);
    CHECK(IN(blocking_skip)(in_of(b), 1, &count, &failure) && count == 1);
    CHECK(receives(b, "789"));
    CHECK(OUT(check_write)(out_of(b), &count, &failure) && OUT(write_zeroes)(out_of(b), 3, &failure));
    CHECK(OUT(blocking_flush)(out_of(b), &failure));
    CHECK(OUT(blocking_write_zeroes_and_flush)(out_of(b), 2, &failure));
    wait_for(IN(subscribe)(in_of(a)));
    CHECK(IN(blocking_skip)(in_of(a), 5, &count, &failure) && count == 5);
    CHECK(send_text(a, "round and"));
    wait_for(IN(subscribe)(in_of(b)));
    CHECK(OUT(check_write)(out_of(b), &count, &failure));
    CHECK(OUT(splice)(out_of(b), in_of(b), 5, &count, &failure) && count == 5);
    CHECK(OUT(blocking_splice)(out_of(b), in_of(b), 50, &count, &failure) && count == 4);
    CHECK(receives(a, "round and"));
}

static void ends(connection a, connection b)
{
    uint64_t count;
    wasi_io_streams_stream_error_t failure;
    CHECK(send_text(a, "last") && TCP(shutdown)(ref_of(a), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &error));
    CHECK(TCP(shutdown)(ref_of(a), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &error)); /* idempotent */
    CHECK(!OUT(blocking_flush)(out_of(a), &failure) || !send_text(a, "more"));
    CHECK(receives(b, "last") && at_end(b) && at_end(b));
    CHECK(send_text(b, "still") && receives(a, "still")); /* half closed */
    CHECK(TCP(shutdown)(ref_of(a), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_RECEIVE, &error) && at_end(a));
    CHECK(TCP(shutdown)(ref_of(b), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_BOTH, &error));
    CHECK(!OUT(check_write)(out_of(b), &count, &failure) || !send_text(b, "more"));
    CHECK(ready(OUT(subscribe)(out_of(b))) && ready(IN(subscribe)(in_of(b))));
}

static void tcp_self(endpoint at)
{
    connection client, server = {0}, later;
    wasi_sockets_tcp_own_tcp_socket_t own = tcp_own(at.tag ? V6 : V4);
    tcp_ref listener = wasi_sockets_tcp_borrow_tcp_socket(own);
    endpoint to;
    if (!at.tag)
        options(listener);
    CHECK(listen_at(listener, at, &to));
    CHECK(connect_to(&client, to) && accept_from(listener, &server));
    if (!at.tag)
        inherited(ref_of(server));
    CHECK(TCP(address_family)(ref_of(server)) == (at.tag ? V6 : V4));
    while_connected(client, to);
    streams(client, server);
    ends(client, server);
    drop_connection(client);
    drop_connection(server);
    CHECK(connect_to(&later, to) && accept_from(listener, &server));
    drop_connection(later);
    CHECK(at_end(server));
    drop_connection(server);
    wasi_sockets_tcp_tcp_socket_drop_own(own);
    later.tcp = tcp_own(at.tag ? V6 : V4);
    CHECK(!TCP(start_connect)(ref_of(later), network, &to, &error) || !finish_connect(&later));
    wasi_sockets_tcp_tcp_socket_drop_own(later.tcp);
}

/* Bound first, then connected: the peer sees the port. */
static void tcp_bound(void)
{
    connection c = {tcp_own(V4)};
    endpoint at = local(0), bound, to = local(numbers[0]);
    char text[6] = {0};
    CHECK(bind_to(ref_of(c), at) && TCP(local_address)(ref_of(c), &bound, &error));
    CHECK(TCP(start_connect)(ref_of(c), network, &to, &error));
    FAILS(TCP(start_connect)(ref_of(c), network, &to, &error), CONCURRENCY_CONFLICT);
    FAILS(TCP(remote_address)(ref_of(c), &bound, &error), CONCURRENCY_CONFLICT);
    FAILS(TCP(shutdown)(ref_of(c), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_BOTH, &error), CONCURRENCY_CONFLICT);
    CHECK(TCP(local_address)(ref_of(c), &bound, &error));
    CHECK(finish_connect(&c));
    for (unsigned i = 5, port = port_of(bound); i-- > 0; port /= 10)
        text[i] = (char)('0' + port % 10);
    CHECK(receives(c, text)); /* the server says which port it sees */
    drop_connection(c);
}

/* A server of which nothing comes: the connection stays in progress. */
static void tcp_waiting(void)
{
    wasi_sockets_tcp_own_tcp_socket_t own = tcp_own(V4);
    tcp_ref tcp = wasi_sockets_tcp_borrow_tcp_socket(own);
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t pair;
    endpoint to = v4(127, 0, 0, 1, numbers[0]);
    CHECK(TCP(start_connect)(tcp, network, &to, &error));
    CHECK(!ready(TCP(subscribe)(tcp)));
    FAILS(TCP(finish_connect)(tcp, &pair, &error), WOULD_BLOCK);
    wasi_sockets_tcp_tcp_socket_drop_own(own);
}

static void tcp_reset(void)
{
    connection c;
    guest_list_u8_t part;
    wasi_io_streams_stream_error_t failure;
    CHECK(connect_to(&c, local(numbers[0])) && send_text(c, "reset me"));
    CHECK(!IN(blocking_read)(in_of(c), 1, &part, &failure));
    for (int i = 0; i < 5 && send_text(c, "more"); i++)
        ;
    CHECK(!send_text(c, "more"));
    drop_connection(c);
}

#define LARGE ((size_t)3 << 20)

/* More than all buffers on the way hold: writes until there is no room, then reads and writes by turns. */
static void tcp_echo(void)
{
    connection c;
    size_t sent = 0, received = 0;
    bool blocked = false, wrong = false;
    wasi_io_streams_stream_error_t failure;
    static uint8_t block[65536];
    CHECK(connect_to(&c, local(numbers[0])));
    while (received < LARGE && !wrong) {
        uint64_t room = 0;
        guest_list_u8_t part = {0};
        if (sent < LARGE && OUT(check_write)(out_of(c), &room, &failure) && room) {
            size_t n = LARGE - sent < room ? LARGE - sent : (size_t)room;
            n = n < sizeof block ? n : sizeof block;
            for (size_t i = 0; i < n; i++)
                block[i] = (uint8_t)((sent + i) * 7 >> 3);
            guest_list_u8_t list = {block, n};
            wrong |= !OUT(write)(out_of(c), &list, &failure);
            sent += n;
            continue;
        }
        blocked |= sent < LARGE;
        wasi_io_poll_own_pollable_t waits[2] = {IN(subscribe)(in_of(c)), OUT(subscribe)(out_of(c))};
        wasi_io_poll_borrow_pollable_t refs[2] = {wasi_io_poll_borrow_pollable(waits[0]),
                                                  wasi_io_poll_borrow_pollable(waits[1])};
        wasi_io_poll_list_borrow_pollable_t list = {refs, sent < LARGE ? 2 : 1};
        guest_list_u32_t which;
        wasi_io_poll_poll(&list, &which);
        guest_list_u32_free(&which);
        wasi_io_poll_pollable_drop_own(waits[0]);
        wasi_io_poll_pollable_drop_own(waits[1]);
        wrong |= !IN(read)(in_of(c), 65536, &part, &failure);
        for (size_t i = 0; !wrong && i < part.len; i++)
            wrong |= part.ptr[i] != (uint8_t)((received + i) * 7 >> 3);
        received += part.len;
        guest_list_u8_free(&part);
    }
    CHECK(!wrong && blocked && received == LARGE);
    drop_connection(c);
}

/* What was written goes out although everything is dropped at once, and the end comes behind it. */
static void tcp_drop(void)
{
    connection c = {tcp_own(V4)};
    endpoint to = local(numbers[0]);
    uint64_t room;
    wasi_io_streams_stream_error_t failure;
    static uint8_t block[65536];
    CHECK(TCP(set_send_buffer_size)(ref_of(c), 4096, &error));
    CHECK(TCP(start_connect)(ref_of(c), network, &to, &error) && finish_connect(&c));
    for (int i = 0; i < 20; i++) {
        wait_for(OUT(subscribe)(out_of(c)));
        CHECK(OUT(check_write)(out_of(c), &room, &failure) && room == sizeof block);
        guest_list_u8_t list = {block, sizeof block};
        CHECK(OUT(write)(out_of(c), &list, &failure));
    }
    CHECK(OUT(check_write)(out_of(c), &room, &failure) && room == 0); /* the kernel has not taken all of it */
    CHECK(TCP(shutdown)(ref_of(c), WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &error));
    drop_connection(c);
}

/* ---- UDP ---- */

typedef struct {
    wasi_sockets_udp_own_udp_socket_t udp;
    wasi_sockets_udp_own_incoming_datagram_stream_t in;
    wasi_sockets_udp_own_outgoing_datagram_stream_t out;
} mailbox;

static udp_ref udp_of(mailbox m)
{
    return wasi_sockets_udp_borrow_udp_socket(m.udp);
}

static bool open_streams(mailbox *m, endpoint *to)
{
    wasi_sockets_udp_tuple2_own_incoming_datagram_stream_own_outgoing_datagram_stream_t pair;
    if (!UDP(stream)(udp_of(*m), to, &pair, &error))
        return false;
    m->in = pair.f0;
    m->out = pair.f1;
    return true;
}

static void close_streams(mailbox m)
{
    wasi_sockets_udp_incoming_datagram_stream_drop_own(m.in);
    wasi_sockets_udp_outgoing_datagram_stream_drop_own(m.out);
}

static mailbox mailbox_at(endpoint at, endpoint *to)
{
    mailbox m = {udp_own(at.tag ? V6 : V4)};
    CHECK(UDP(start_bind)(udp_of(m), network, &at, &error) && UDP(finish_bind)(udp_of(m), &error));
    CHECK(open_streams(&m, to));
    return m;
}

static void drop_mailbox(mailbox m)
{
    close_streams(m);
    wasi_sockets_udp_udp_socket_drop_own(m.udp);
}

static bool post(mailbox m, const void *bytes, size_t size, endpoint *to)
{
    wasi_sockets_udp_outgoing_datagram_t datagram = {.data = {(uint8_t *)bytes, size}};
    wasi_sockets_udp_list_outgoing_datagram_t list = {&datagram, 1};
    uint64_t permit, sent;
    wasi_sockets_udp_borrow_outgoing_datagram_stream_t out = wasi_sockets_udp_borrow_outgoing_datagram_stream(m.out);
    if (to)
        datagram.remote_address = (wasi_sockets_udp_option_ip_socket_address_t){true, *to};
    wait_for(wasi_sockets_udp_method_outgoing_datagram_stream_subscribe(out));
    CHECK(wasi_sockets_udp_method_outgoing_datagram_stream_check_send(out, &permit, &error) && permit > 0);
    return wasi_sockets_udp_method_outgoing_datagram_stream_send(out, &list, &sent, &error) && sent == 1;
}

static wasi_sockets_udp_borrow_incoming_datagram_stream_t in_ref_of(mailbox m)
{
    return wasi_sockets_udp_borrow_incoming_datagram_stream(m.in);
}

/* One datagram with this text, from this port. */
static bool gets(mailbox m, const char *text, unsigned port)
{
    wasi_sockets_udp_list_incoming_datagram_t list;
    wait_for(wasi_sockets_udp_method_incoming_datagram_stream_subscribe(in_ref_of(m)));
    if (!wasi_sockets_udp_method_incoming_datagram_stream_receive(in_ref_of(m), 1, &list, &error) || list.len != 1)
        return false;
    bool same = list.ptr[0].data.len == strlen(text) && memcmp(list.ptr[0].data.ptr, text, strlen(text)) == 0 &&
                (!port || port_of(list.ptr[0].remote_address) == port);
    wasi_sockets_udp_list_incoming_datagram_free(&list);
    return same;
}

static bool silent(mailbox m)
{
    wasi_sockets_udp_list_incoming_datagram_t list;
    return !ready(wasi_sockets_udp_method_incoming_datagram_stream_subscribe(in_ref_of(m))) &&
           wasi_sockets_udp_method_incoming_datagram_stream_receive(in_ref_of(m), 10, &list, &error) && list.len == 0;
}

static void udp_states(void)
{
    mailbox m = {udp_own(V4)}, other = {udp_own(V4)};
    endpoint at = local(0), e, to = local(9), zero = v4(0, 0, 0, 0, 9), none = local(0), wrong = v6(0, 0, 0, 1, 9);
    uint8_t hops;
    uint64_t value;
    CHECK(UDP(address_family)(udp_of(m)) == V4 && ready(UDP(subscribe)(udp_of(m))));
    FAILS(UDP(local_address)(udp_of(m), &e, &error), INVALID_STATE);
    FAILS(UDP(remote_address)(udp_of(m), &e, &error), INVALID_STATE);
    FAILS(UDP(finish_bind)(udp_of(m), &error), NOT_IN_PROGRESS);
    FAILS(open_streams(&m, NULL), INVALID_STATE);
    FAILS(UDP(start_bind)(udp_of(m), network, &wrong, &error), INVALID_ARGUMENT);
    FAILS(UDP(set_unicast_hop_limit)(udp_of(m), 0, &error), INVALID_ARGUMENT);
    CHECK(UDP(set_unicast_hop_limit)(udp_of(m), 9, &error) && UDP(unicast_hop_limit)(udp_of(m), &hops, &error) &&
          hops == 9);
    FAILS(UDP(set_receive_buffer_size)(udp_of(m), 0, &error), INVALID_ARGUMENT);
    CHECK(UDP(set_receive_buffer_size)(udp_of(m), 20000, &error));
    CHECK(UDP(receive_buffer_size)(udp_of(m), &value, &error) && value == 20000);
    FAILS(UDP(set_send_buffer_size)(udp_of(m), 0, &error), INVALID_ARGUMENT);
    CHECK(UDP(set_send_buffer_size)(udp_of(m), 100000, &error));
    CHECK(UDP(send_buffer_size)(udp_of(m), &value, &error) && value == 100000);
    CHECK(UDP(start_bind)(udp_of(m), network, &at, &error));
    FAILS(UDP(start_bind)(udp_of(m), network, &at, &error), CONCURRENCY_CONFLICT);
    FAILS(UDP(local_address)(udp_of(m), &e, &error), CONCURRENCY_CONFLICT);
    CHECK(UDP(finish_bind)(udp_of(m), &error));
    FAILS(UDP(finish_bind)(udp_of(m), &error), NOT_IN_PROGRESS);
    FAILS(UDP(start_bind)(udp_of(m), network, &at, &error), INVALID_STATE);
    CHECK(UDP(local_address)(udp_of(m), &e, &error) && port_of(e) != 0);
    FAILS(UDP(start_bind)(udp_of(other), network, &e, &error), ADDRESS_IN_USE);
    FAILS(open_streams(&m, &zero), INVALID_ARGUMENT);
    FAILS(open_streams(&m, &none), INVALID_ARGUMENT);
    FAILS(open_streams(&m, &wrong), INVALID_ARGUMENT);
    FAILS(UDP(remote_address)(udp_of(m), &e, &error), INVALID_STATE);
    CHECK(open_streams(&m, &to) && UDP(remote_address)(udp_of(m), &e, &error) && port_of(e) == 9);
    close_streams(m);
    CHECK(open_streams(&m, NULL)); /* and not connected again */
    FAILS(UDP(remote_address)(udp_of(m), &e, &error), INVALID_STATE);
    drop_mailbox(m);
    wasi_sockets_udp_udp_socket_drop_own(other.udp);
}

static void udp_self(endpoint at)
{
    static const uint8_t large[66000];
    mailbox a = mailbox_at(at, NULL), b = mailbox_at(at, NULL), c = mailbox_at(at, NULL);
    endpoint at_a, at_b, at_c, zero = at.tag ? v6(0, 0, 0, 0, 9) : v4(0, 0, 0, 0, 9),
                               wrong = at.tag ? local(9) : v6(0, 0, 0, 1, 9);
    CHECK(UDP(local_address)(udp_of(a), &at_a, &error) && UDP(local_address)(udp_of(b), &at_b, &error) &&
          UDP(local_address)(udp_of(c), &at_c, &error));
    CHECK(silent(b) && post(a, "one", 3, &at_b) && post(a, "", 0, &at_b) && post(c, "three", 5, &at_b));
    CHECK(gets(b, "one", port_of(at_a)) && gets(b, "", port_of(at_a)) && gets(b, "three", port_of(at_c)) && silent(b));
    FAILS(post(a, "x", 1, NULL), INVALID_ARGUMENT);
    FAILS(post(a, "x", 1, &zero), INVALID_ARGUMENT);
    FAILS(post(a, "x", 1, &at), INVALID_ARGUMENT); /* port 0 */
    FAILS(post(a, "x", 1, &wrong), INVALID_ARGUMENT);
    FAILS(post(a, large, sizeof large, &at_b), DATAGRAM_TOO_LARGE);
    /* From now on b hears from a only, although c has sent before. */
    CHECK(post(c, "early", 5, &at_b));
    close_streams(b);
    CHECK(open_streams(&b, &at_a) && post(c, "late", 4, &at_b) && silent(b));
    CHECK(post(a, "mine", 4, &at_b) && gets(b, "mine", port_of(at_a)));
    CHECK(post(b, "to a", 4, NULL) && gets(a, "to a", port_of(at_b)) && post(b, "again", 5, &at_a) &&
          gets(a, "again", 0));
    FAILS(post(b, "x", 1, &at_c), INVALID_ARGUMENT);
    wasi_sockets_udp_list_outgoing_datagram_t empty = {NULL, 0};
    uint64_t sent = 1;
    CHECK(wasi_sockets_udp_method_outgoing_datagram_stream_send(wasi_sockets_udp_borrow_outgoing_datagram_stream(a.out),
                                                                &empty, &sent, &error) &&
          sent == 0);
    drop_mailbox(a);
    drop_mailbox(c);
    /* The answer to what is sent now is an error of the network. */
    CHECK(post(b, "x", 1, NULL));
    wait_for(wasi_sockets_udp_method_incoming_datagram_stream_subscribe(in_ref_of(b)));
    wasi_sockets_udp_list_incoming_datagram_t list;
    FAILS(wasi_sockets_udp_method_incoming_datagram_stream_receive(in_ref_of(b), 1, &list, &error), CONNECTION_REFUSED);
    drop_mailbox(b);
}

/* A client without a grant to listen hears only its server: numbers are the ports of the echo and of a stranger. */
static void udp_client(void)
{
    endpoint server = local(numbers[0]), any = v4(0, 0, 0, 0, 0);
    mailbox m = mailbox_at(any, NULL);
    CHECK(post(m, "hello", 5, &server) && gets(m, "hello", numbers[0])); /* the stranger has spoken before */
    CHECK(silent(m));
    drop_mailbox(m);
}

/* ---- names ---- */

static void print_address(const wasi_sockets_network_ip_address_t *a)
{
    if (a->tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4)
        say("%u.%u.%u.%u\n", a->val.ipv4.f0, a->val.ipv4.f1, a->val.ipv4.f2, a->val.ipv4.f3);
    else
        say("%x:%x:%x:%x:%x:%x:%x:%x\n", a->val.ipv6.f0, a->val.ipv6.f1, a->val.ipv6.f2, a->val.ipv6.f3, a->val.ipv6.f4,
            a->val.ipv6.f5, a->val.ipv6.f6, a->val.ipv6.f7);
}

/* Prints what the name leads to, or the error's number; then, with a port behind the name, whether one can connect. */
static void lookup(void)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t own;
    guest_string_t name = {(uint8_t *)word, strlen(word)};
    wasi_sockets_ip_name_lookup_option_ip_address_t next = {0};
    endpoint to = {0};
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(network, &name, &own, &error)) {
        say("error %d\n", error);
        return;
    }
    wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t stream =
        wasi_sockets_ip_name_lookup_borrow_resolve_address_stream(own);
    bool done;
    do {
        done = wasi_sockets_ip_name_lookup_method_resolve_address_stream_resolve_next_address(stream, &next, &error);
        if (!done && error == CODE(WOULD_BLOCK))
            wait_for(wasi_sockets_ip_name_lookup_method_resolve_address_stream_subscribe(stream));
        else if (!done)
            say("error %d\n", error);
        else if (next.is_some)
            print_address(&next.val);
        if (done && next.is_some && next.val.tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4)
            to = v4(next.val.val.ipv4.f0, next.val.val.ipv4.f1, next.val.val.ipv4.f2, next.val.val.ipv4.f3, numbers[0]);
    } while (done ? next.is_some : error == CODE(WOULD_BLOCK));
    wasi_sockets_ip_name_lookup_resolve_address_stream_drop_own(own);
    if (numbers[0] && port_of(to)) {
        wasi_sockets_tcp_own_tcp_socket_t tcp = tcp_own(V4);
        bool started = TCP(start_connect)(wasi_sockets_tcp_borrow_tcp_socket(tcp), network, &to, &error);
        say(started ? "connecting\n" : "connect: error %d\n", error);
        wasi_sockets_tcp_tcp_socket_drop_own(tcp);
    }
}

static void lookup_drop(void)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t own;
    guest_string_t name = {(uint8_t *)word, strlen(word)};
    CHECK(wasi_sockets_ip_name_lookup_resolve_addresses(network, &name, &own, &error));
    wasi_sockets_ip_name_lookup_resolve_address_stream_drop_own(own); /* before it is answered */
}

/* ---- nothing granted ---- */

static void denied(void)
{
    endpoint at = local(0), any = v4(0, 0, 0, 0, 0), to = local(numbers[0]);
    wasi_sockets_tcp_own_tcp_socket_t own = tcp_own(V4);
    tcp_ref tcp = wasi_sockets_tcp_borrow_tcp_socket(own);
    mailbox m = {udp_own(V4)};
    guest_string_t name = {(uint8_t *)"example.com", 11};
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t stream;
    FAILS(TCP(start_bind)(tcp, network, &at, &error), ACCESS_DENIED);
    FAILS(TCP(start_bind)(tcp, network, &any, &error), ACCESS_DENIED);
    FAILS(TCP(start_connect)(tcp, network, &to, &error), ACCESS_DENIED);
    closed(tcp);
    FAILS(UDP(start_bind)(udp_of(m), network, &at, &error), ACCESS_DENIED);
    FAILS(wasi_sockets_ip_name_lookup_resolve_addresses(network, &name, &stream, &error), ACCESS_DENIED);
    wasi_sockets_udp_udp_socket_drop_own(m.udp);
}

/* Granted is connecting to one port only. */
static void denied_rest(void)
{
    endpoint at = local(0), to = local(numbers[0]), other = local(numbers[1]),
             else_where = v4(127, 0, 0, 2, numbers[0]);
    wasi_sockets_tcp_own_tcp_socket_t own = tcp_own(V4);
    tcp_ref tcp = wasi_sockets_tcp_borrow_tcp_socket(own);
    connection c;
    CHECK(bind_to(tcp, at)); /* as a client, to a port that the system picks */
    FAILS(TCP(start_listen)(tcp, &error), ACCESS_DENIED);
    closed(tcp);
    CHECK(connect_to(&c, to));
    drop_connection(c);
    CONNECT_FAILS(V4, other, ACCESS_DENIED);
    CONNECT_FAILS(V4, else_where, ACCESS_DENIED);
    mailbox m = mailbox_at(at, NULL);
    FAILS(post(m, "x", 1, &other), ACCESS_DENIED);
    CHECK(post(m, "x", 1, &to));
    close_streams(m);
    FAILS(open_streams(&m, &other), ACCESS_DENIED);
    wasi_sockets_udp_udp_socket_drop_own(m.udp);
    wasi_sockets_udp_own_udp_socket_t udp = udp_own(V4);
    FAILS(UDP(start_bind)(wasi_sockets_udp_borrow_udp_socket(udp), network, &other, &error), ACCESS_DENIED);
    wasi_sockets_udp_udp_socket_drop_own(udp);
}

/* ---- what traps, what is left ---- */

static void drop_order(void)
{
    connection c;
    CHECK(connect_to(&c, local(numbers[0])));
    wasi_sockets_tcp_tcp_socket_drop_own(c.tcp);
}

static void drop_pollable(void)
{
    wasi_sockets_udp_own_udp_socket_t udp = udp_own(V4);
    UDP(subscribe)(wasi_sockets_udp_borrow_udp_socket(udp));
    wasi_sockets_udp_udp_socket_drop_own(udp);
}

static void stream_twice(void)
{
    mailbox m = mailbox_at(local(0), NULL), again = m;
    open_streams(&again, NULL);
}

static void send_unpermitted(void)
{
    mailbox m = mailbox_at(local(0), NULL);
    wasi_sockets_udp_outgoing_datagram_t datagram = {0};
    wasi_sockets_udp_list_outgoing_datagram_t list = {&datagram, 1};
    uint64_t sent;
    wasi_sockets_udp_method_outgoing_datagram_stream_send(wasi_sockets_udp_borrow_outgoing_datagram_stream(m.out),
                                                          &list, &sent, &error);
}

static void write_unpermitted(void)
{
    connection c;
    guest_list_u8_t list = {(uint8_t *)"x", 1};
    wasi_io_streams_stream_error_t failure;
    CHECK(connect_to(&c, local(numbers[0])));
    OUT(write)(out_of(c), &list, &failure);
}

static void leave_open(void)
{
    connection c;
    CHECK(connect_to(&c, local(numbers[0])) && send_text(c, "left"));
}

/* Sockets up to the limit, then an error; all are closed with the request. */
static void many(void)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp;
    unsigned count = 0;
    while (count < 5000 && wasi_sockets_tcp_create_socket_create_tcp_socket(V4, &tcp, &error))
        count++;
    CHECK(error == CODE(NEW_SOCKET_LIMIT) && count >= 100 && count < 5000);
}

/* So many sockets as the path says, or as there are, while a peer says nothing. */
static void hoard(void)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp;
    connection c;
    guest_list_u8_t part;
    wasi_io_streams_stream_error_t failure;
    bool waits = connect_to(&c, local(numbers[1]));
    for (unsigned i = 1; i < numbers[0]; i++)
        if (!wasi_sockets_tcp_create_socket_create_tcp_socket(V4, &tcp, &error))
            CHECK(error == CODE(NEW_SOCKET_LIMIT));
    if (waits && IN(blocking_read)(in_of(c), 1, &part, &failure))
        guest_list_u8_free(&part);
}

static void alive(void)
{
}

static void tcp_self4(void)
{
    tcp_self(local(0));
}

static void tcp_self6(void)
{
    tcp_self(v6(0, 0, 0, 1, 0));
}

static void udp_self4(void)
{
    udp_self(local(0));
}

static void udp_self6(void)
{
    udp_self(v6(0, 0, 0, 1, 0));
}

static const struct {
    const char *path;
    void (*run)(void);
} cases[] = {
#if DRAFT
    {"/only-v6", only_v6},
#endif
    {"/hoard", hoard},
    {"/alive", alive},
    {"/tcp-states", tcp_states},
    {"/tcp-arguments", tcp_arguments},
    {"/tcp-refused", tcp_refused},
    {"/tcp-self4", tcp_self4},
    {"/tcp-self6", tcp_self6},
    {"/tcp-bound", tcp_bound},
    {"/tcp-waiting", tcp_waiting},
    {"/tcp-reset", tcp_reset},
    {"/tcp-echo", tcp_echo},
    {"/tcp-drop", tcp_drop},
    {"/udp-states", udp_states},
    {"/udp-self4", udp_self4},
    {"/udp-self6", udp_self6},
    {"/udp-client", udp_client},
    {"/lookup", lookup},
    {"/lookup-drop", lookup_drop},
    {"/denied", denied},
    {"/denied-rest", denied_rest},
    {"/drop-order", drop_order},
    {"/drop-pollable", drop_pollable},
    {"/stream-twice", stream_twice},
    {"/send-unpermitted", send_unpermitted},
    {"/write-unpermitted", write_unpermitted},
    {"/leave-open", leave_open},
    {"/many", many},
};

/* With %XX as in URIs. */
static void take_word(const char *part)
{
    size_t at = 0;
    for (; *part && at < sizeof word - 1; part++, at++) {
        char digits[3] = {0};
        word[at] = *part;
        if (*part != '%' || strlen(part) < 3)
            continue;
        memcpy(digits, part + 1, 2);
        word[at] = (char)strtoul(digits, NULL, 16);
        part += 2;
    }
    word[at] = '\0';
}

/* "/case/word/1/2": numbers are what is all digits, the rest is the word. */
static void parse_rest(char *rest)
{
    size_t count = 0;
    for (char *part = strtok(rest, "/"); part; part = strtok(NULL, "/"))
        if (strspn(part, "0123456789") == strlen(part) && count < 4)
            numbers[count++] = (unsigned)atoi(part);
        else
            take_word(part);
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    static char text[2048];
    memcpy(text, path.ptr, path.len < sizeof text ? path.len : sizeof text - 1);
    char *rest = strchr(text + 1, '/');
    wasi_sockets_network_own_network_t own = wasi_sockets_instance_network_instance_network();
    network = wasi_sockets_network_borrow_network(own);
    if (rest)
        *rest++ = '\0';
    if (rest)
        parse_rest(rest);
    void (*run)(void) = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].path, text) == 0)
            run = cases[i].run;
    if (run)
        run();
    wasi_sockets_network_network_drop_own(own);
    answer(out, run ? 200 : 404, reported ? report : "ok\n");
}
