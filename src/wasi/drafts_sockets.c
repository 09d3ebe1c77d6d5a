/* wasi:sockets of the two drafts of WASI 0.2: what they have otherwise than the final version. In that of 2023-10-18 a
 * UDP socket sends and receives itself, and is waited for itself (udp_socket.direct). */
#include "wasi/gen/wasi_sockets_0_2_0_rc_2023_10_18.h"
#include "wasi/gen/wasi_sockets_0_2_0_rc_2023_11_10.h"
#include "wasi/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

typedef struct wasi_sockets_tcp_socket tcp_socket;
typedef struct wasi_sockets_udp_socket udp_socket;
typedef struct result_void_wasi_sockets_network_error_code void_result;
typedef struct result_bool_wasi_sockets_network_error_code bool_result;
typedef struct result_u8_wasi_sockets_network_error_code u8_result;
typedef struct result_u64_wasi_sockets_network_error_code u64_result;

/* ---- ipv6-only: sockets of IPv6 always are, and others have no such thing ---- */

static bool get_v6_only(const struct socket *s, bool_result *ret)
{
    ret->ok = true;
    SOCKET_RETURN(ret, s->v6 ? SOCKET_OK : SOCKET_ERROR(NOT_SUPPORTED));
}

static bool set_v6_only(const struct socket *s, bool value, void_result *ret)
{
    SOCKET_RETURN(ret, s->v6 && value ? SOCKET_OK : SOCKET_ERROR(NOT_SUPPORTED));
}

#define V6_ONLY(draft, interface, type)                                                                                \
    bool wasi_sockets_##draft##_##interface##_ipv6_only(struct host *h, type *self, bool_result *ret)                  \
    {                                                                                                                  \
        return get_v6_only(&self->socket, ret);                                                                        \
    }                                                                                                                  \
    bool wasi_sockets_##draft##_##interface##_set_ipv6_only(struct host *h, type *self, bool value, void_result *ret)  \
    {                                                                                                                  \
        return set_v6_only(&self->socket, value, ret);                                                                 \
    }
V6_ONLY(0_2_0_rc_2023_10_18, tcp_tcp_socket, tcp_socket)
V6_ONLY(0_2_0_rc_2023_10_18, udp_udp_socket, udp_socket)
V6_ONLY(0_2_0_rc_2023_11_10, tcp_tcp_socket, tcp_socket)
V6_ONLY(0_2_0_rc_2023_11_10, udp_udp_socket, udp_socket)
#undef V6_ONLY

/* ---- options of TCP ---- */

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_keep_alive(struct host *h, tcp_socket *self, bool_result *ret)
{
    return wasi_sockets_tcp_tcp_socket_keep_alive_enabled(h, self, ret);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_set_keep_alive(struct host *h, tcp_socket *self, bool value,
                                                                    void_result *ret)
{
    return wasi_sockets_tcp_tcp_socket_set_keep_alive_enabled(h, self, value, ret);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_no_delay(struct host *h, tcp_socket *self, bool_result *ret)
{
    int value = 0;
    socket_error error = socket_get_option(&self->socket, IPPROTO_TCP, TCP_NODELAY, &value);
    ret->ok = value != 0;
    SOCKET_RETURN(ret, error);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_set_no_delay(struct host *h, tcp_socket *self, bool value,
                                                                  void_result *ret)
{
    SOCKET_RETURN(ret, socket_set_option(&self->socket, IPPROTO_TCP, TCP_NODELAY, value));
}

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_unicast_hop_limit(struct host *h, tcp_socket *self, u8_result *ret)
{
    return wasi_sockets_tcp_tcp_socket_hop_limit(h, self, ret);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_tcp_tcp_socket_set_unicast_hop_limit(struct host *h, tcp_socket *self,
                                                                           uint8_t value, void_result *ret)
{
    return wasi_sockets_tcp_tcp_socket_set_hop_limit(h, self, value, ret);
}

/* ---- UDP without streams ---- */

/* The first connection binds. */
static bool bind_implicitly(struct host *h, udp_socket *self, struct wasi_sockets_network *network, void_result *ret)
{
    struct ip_endpoint any = {0};
    any.address.v6 = self->socket.v6;
    const wasi_endpoint at = socket_wasi_endpoint(&any);
    return wasi_sockets_udp_udp_socket_start_bind(h, self, network, &at, ret) &&
           (ret->err || wasi_sockets_udp_udp_socket_finish_bind(h, self, ret));
}

bool wasi_sockets_0_2_0_rc_2023_10_18_udp_udp_socket_start_connect(struct host *h, udp_socket *self,
                                                                   struct wasi_sockets_network *network,
                                                                   const wasi_endpoint *remote_address,
                                                                   void_result *ret)
{
    const struct option_wasi_sockets_network_ip_socket_address to = {true, *remote_address};
    const struct ip_endpoint peer = socket_endpoint(remote_address);
    if (self->connecting || self->state == UDP_BINDING)
        SOCKET_RETURN(ret, SOCKET_ERROR(CONCURRENCY_CONFLICT));
    socket_error error = socket_check_remote(&self->socket, &peer);
    if (error != SOCKET_OK)
        SOCKET_RETURN(ret, error);
    if (self->state == UDP_UNBOUND && (!bind_implicitly(h, self, network, ret) || ret->err))
        return ret->err;
    error = udp_set_peer(h, self, &to);
    self->direct = true;
    self->connecting = error == SOCKET_OK;
    SOCKET_RETURN(ret, error);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_udp_udp_socket_finish_connect(struct host *h, udp_socket *self, void_result *ret)
{
    socket_error error = self->connecting ? SOCKET_OK : SOCKET_ERROR(NOT_IN_PROGRESS);
    self->connecting = false;
    SOCKET_RETURN(ret, error);
}

/* Where the streams give an empty list, this draft says would-block. */
bool wasi_sockets_0_2_0_rc_2023_10_18_udp_udp_socket_receive(
    struct host *h, udp_socket *self, uint64_t max_results,
    struct result_list_wasi_sockets_0_2_0_rc_2023_10_18_udp_datagram_wasi_sockets_network_error_code *ret)
{
    struct result_list_wasi_sockets_udp_incoming_datagram_wasi_sockets_network_error_code got = {0};
    if (self->state != UDP_BOUND)
        SOCKET_RETURN(ret, SOCKET_ERROR(INVALID_STATE));
    self->direct = true;
    if (!udp_receive(h, self, max_results, &got))
        return false;
    if (got.err)
        SOCKET_RETURN(ret, got.error);
    if (got.ok.len == 0 && max_results)
        SOCKET_RETURN(ret, SOCKET_ERROR(WOULD_BLOCK));
    struct wasi_sockets_0_2_0_rc_2023_10_18_udp_datagram *items =
        ARENA_ARRAY(&h->scratch, struct wasi_sockets_0_2_0_rc_2023_10_18_udp_datagram, got.ok.len);
    if (!items)
        return host_no_memory(h);
    for (size_t i = 0; i < got.ok.len; i++) {
        items[i].data = got.ok.ptr[i].data;
        items[i].remote_address = got.ok.ptr[i].remote_address;
    }
    ret->ok.ptr = items;
    ret->ok.len = got.ok.len;
    SOCKET_RETURN(ret, SOCKET_OK);
}

bool wasi_sockets_0_2_0_rc_2023_10_18_udp_udp_socket_send(
    struct host *h, udp_socket *self, struct list_wasi_sockets_0_2_0_rc_2023_10_18_udp_datagram datagrams,
    u64_result *ret)
{
    socket_error error = SOCKET_OK;
    size_t sent = 0;
    if (self->state != UDP_BOUND)
        SOCKET_RETURN(ret, SOCKET_ERROR(INVALID_STATE));
    self->direct = true;
    while (sent < datagrams.len && sent < UDP_SEND_MAX && error == SOCKET_OK) {
        const struct wasi_sockets_udp_outgoing_datagram one = {datagrams.ptr[sent].data,
                                                               {true, datagrams.ptr[sent].remote_address}};
        error = udp_send(h, self, &one);
        sent += error == SOCKET_OK;
    }
    self->full = error == SOCKET_ERROR(WOULD_BLOCK);
    if (sent)
        error = SOCKET_OK;
    if (error == SOCKET_OK)
        ret->ok = sent;
    SOCKET_RETURN(ret, error);
}
