/* Packets of one size between two processes, each with a descriptor or none, over a pair of Unix sockets. What they
 * mean is their owners' (node/channel.h, services/parcel.h), and so is whether one is sound: the other end may have
 * been taken over.
 */
#ifndef MAYFLY_IO_PACKET_H
#define MAYFLY_IO_PACKET_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* `type`: SOCK_SEQPACKET, SOCK_STREAM. Neither end blocks, and both are closed on exec. */
bool packet_pair(int type, int ret_ends[2], struct err *err);

/* `fd`: sent along, or -1; it stays the caller's. False: the other end is gone, or takes no more (errno is EAGAIN). */
bool packet_send(int end, const void *packet, size_t size, int fd);

enum packet_got { PACKET_HERE, PACKET_NOTHING, PACKET_CLOSED };
/* The next packet, and its descriptor or -1, which is the caller's from here on. What has not this size, or was cut,
 * counts as the end. */
enum packet_got packet_receive(int end, void *ret_packet, size_t size, int *ret_fd);

#endif
