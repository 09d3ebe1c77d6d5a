/* What the sockets of wasi:sockets share: a descriptor on the loop, addresses, errors, what is granted.
 *
 * Invariants:
 *   - The kernel tells edges: `readable` and `writable` say that there may be something since the last time that there
 *     was not. socket_ready makes sure, so a pollable that is ready means that the next call does something.
 *   - A socket is closed when its handle is dropped, or else when the activity ends.
 *   - Nothing leaves a socket for an address that grants.h does not permit, nothing is bound or accepted otherwise. */
#ifndef MAYFLY_WASI_SOCKET_H
#define MAYFLY_WASI_SOCKET_H

#include "base/buf.h"
#include "wasi/gen/wasi_sockets.h"
#include "wasi/object.h"

#define SOCKETS_MAX 512u       /* of one activity */
#define SOCKET_ROOM ((size_t)65536) /* of one write */

typedef enum wasi_sockets_network_error_code socket_error;
typedef struct wasi_sockets_network_ip_socket_address wasi_endpoint;

#define SOCKET_OK ((socket_error) - 1)
#define SOCKET_ERROR(name) WASI_SOCKETS_NETWORK_ERROR_CODE_##name

struct socket {
    struct host_closer closer;
    struct io_watch watch; /* fd -1: closed */
    struct host *host;
    bool v6, watched, readable, writable;
    void (*ready)(struct socket *s); /* optional: before the guest is woken */
};

/* Results of functions: `SOCKET_RETURN(ret, error)` for result<_, error-code>. */
#define SOCKET_RETURN(ret, code)                                                                                       \
    do {                                                                                                               \
        socket_error code_ = (code);                                                                                   \
        (ret)->err = code_ != SOCKET_OK;                                                                               \
        if ((ret)->err)                                                                                                \
            (ret)->error = code_;                                                                                      \
        return true;                                                                                                   \
    } while (0)

/* A new socket of the kernel, non-blocking; IPv6 sockets are for IPv6 only. `s` is zeroed memory. */
socket_error socket_open(struct host *h, struct socket *s, bool v6, int type);
/* Take over a descriptor, or close it. */
socket_error socket_adopt(struct host *h, struct socket *s, bool v6, int fd);
void socket_close(struct socket *s);
/* From now on the loop tells what happens to it. */
socket_error socket_watch(struct socket *s);
/* `events`: POLLIN or POLLOUT. */
bool socket_ready(struct socket *s, short events);

/* What an errno means to a guest. */
socket_error socket_error_of(int error);

/* ---- addresses ---- */

struct ip_endpoint socket_endpoint(const wasi_endpoint *from);
wasi_endpoint socket_wasi_endpoint(const struct ip_endpoint *from);
struct wasi_sockets_network_ip_address socket_wasi_address(const struct ip_address *from);
/* getsockname or getpeername. */
socket_error socket_name(const struct socket *s, bool remote, wasi_endpoint *ret);
/* The form that bind (local) or connect and send (remote) want: family, unicast, not mapped, not zero. */
socket_error socket_check_local(const struct socket *s, const struct ip_endpoint *at);
socket_error socket_check_remote(const struct socket *s, const struct ip_endpoint *to);
/* With SO_REUSEADDR where that means what WASI means. */
socket_error socket_bind(struct socket *s, const struct ip_endpoint *at, bool reuse);

/* ---- what is granted; each logs what it denies ---- */

void socket_deny(struct host *h, const struct ip_endpoint *endpoint, const char *verb, enum host_permit permit);
/* `verb` for the log: "connecting to", "sending to". */
bool socket_may_reach(struct host *h, const struct ip_endpoint *to, const char *verb);
/* The same without a word. */
bool socket_reaches(const struct host *h, const struct ip_endpoint *to);
/* A port that the kernel chooses, for a socket that hears only from whom it may reach, needs no grant of its own. */
bool socket_may_bind(struct host *h, const struct ip_endpoint *at, bool *ret_listens);

/* ---- options ---- */

socket_error socket_get_option(const struct socket *s, int level, int name, int *ret);
socket_error socket_set_option(const struct socket *s, int level, int name, int value);
socket_error socket_hop_limit(const struct socket *s, uint8_t *ret);
socket_error socket_set_hop_limit(const struct socket *s, uint8_t value);
/* SO_RCVBUF, SO_SNDBUF; Linux doubles what it is given and tells the double. */
socket_error socket_buffer_size(const struct socket *s, int name, uint64_t *ret);
socket_error socket_set_buffer_size(const struct socket *s, int name, uint64_t value);

/* ---- TCP's streams (socket_stream.c) ---- */

/* State of a connection beside its socket. */
struct tcp_flow {
    struct buf pending; /* accepted from the guest, not taken by the kernel; from `at` on */
    size_t at;
    int failed;         /* errno of a send in the background */
    bool shut_in, shut_out;
};
/* The streams of a connected socket, children of `parent`. False: trap. */
bool tcp_streams(struct host *h, struct wasi_sockets_tcp_socket *tcp, struct wasi_io_input_stream **ret_in,
                 struct wasi_io_output_stream **ret_out);
/* Send what is pending. */
void tcp_push(struct socket *s, struct tcp_flow *flow);
socket_error tcp_shutdown(struct socket *s, struct tcp_flow *flow, bool in, bool out);

enum tcp_state {
    TCP_UNBOUND,
    TCP_BINDING,
    TCP_BOUND,
    TCP_STARTING_TO_LISTEN,
    TCP_LISTENS,
    TCP_CONNECTING,
    TCP_CONNECTED,
    TCP_CLOSED,
};

struct wasi_sockets_tcp_socket {
    struct host_node node;
    struct socket socket;
    enum tcp_state state;
    int backlog;
    bool chosen_port; /* bound to a port that the kernel chose */
    struct tcp_flow *flow; /* when connected; memory of its own */
};

/* ---- UDP (sockets_udp.c) ---- */

enum udp_state { UDP_UNBOUND, UDP_BINDING, UDP_BOUND };

struct wasi_sockets_udp_socket {
    struct host_node node;
    struct socket socket;
    enum udp_state state;
    bool listens; /* bound by a grant: hears from everybody */
    bool connected; /* to `peer` */
    bool direct; /* used without streams, as the draft of 2023-10-18 has it */
    bool connecting, full; /* of those: a connection is to be finished; the last send found no room */
    uint32_t streams; /* alive */
    int failed; /* errno that a look at the queue took away; the next receive tells it */
    struct ip_endpoint peer;
};

#define UDP_SEND_MAX 64u /* datagrams of one call */

/* From now on it sends to this peer and hears from it only; none: to and from all. It is bound. */
socket_error udp_set_peer(struct host *h, struct wasi_sockets_udp_socket *udp,
                          const struct option_wasi_sockets_network_ip_socket_address *to);
/* What is there, without waiting. False: trap. */
bool udp_receive(struct host *h, struct wasi_sockets_udp_socket *udp, uint64_t max_results,
                 struct result_list_wasi_sockets_udp_incoming_datagram_wasi_sockets_network_error_code *ret);
socket_error udp_send(struct host *h, struct wasi_sockets_udp_socket *udp,
                      const struct wasi_sockets_udp_outgoing_datagram *datagram);
/* There is something that may be heard; or there was a flood of other datagrams, after which the guest asks again. */
bool udp_readable(struct host *h, struct wasi_sockets_udp_socket *udp);

#endif
