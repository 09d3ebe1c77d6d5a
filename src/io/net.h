/* Listening sockets and their acceptor. Addresses are numeric: a worker resolves no names. */
#ifndef MAYFLY_IO_NET_H
#define MAYFLY_IO_NET_H

#include "io/loop.h"

#include "base/str.h"

#define NET_ADDRESS_MAX 64 /* bytes of an address as text, with terminator */

/* Open a non-blocking listening socket on "127.0.0.1:3000" or "[::1]:3000" (port 0: the kernel
 * chooses). SO_REUSEADDR is set. */
bool net_listen(struct str address, int *ret_fd, struct err *err);
/* The same on the first free port of so many, from that one on; 0 picks one as before. */
bool net_listen_near(struct str address, uint32_t ports, int *ret_fd, struct err *err);
/* Connect a socket that blocks: for programs without a loop. Each of its calls fails after so many seconds. */
bool net_connect(struct str address, unsigned seconds, int *ret_fd, struct err *err);
/* The address a socket is bound to, in the same form. */
void net_name(int fd, char ret_text[NET_ADDRESS_MAX]);

/* The address of the other end, likewise. */
void net_peer_name(int fd, char ret_text[NET_ADDRESS_MAX]);

/* Accepts connections, non-blocking, close-on-exec, TCP_NODELAY. When the process has no descriptors
 * left it pauses for a moment and says so once. */
struct net_acceptor {
    /* Takes over the descriptor. */
    void (*accepted)(struct net_acceptor *acceptor, int fd);
    struct io_loop *loop;
    struct io_watch watch;
    struct io_timer retry;
    bool watching, complained;
    uint64_t pause_us; /* set it before the start: behind connections that it got it leaves others to who else waits for
                          the socket, for so long */
};
/* `fd`: a listening socket, which stays the caller's; workers may share it. */
bool net_accept_start(struct net_acceptor *acceptor, struct io_loop *loop, int fd, struct err *err);
/* May be started again. */
void net_accept_stop(struct net_acceptor *acceptor);

#endif
