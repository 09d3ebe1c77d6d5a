/* See packet.h. */
#include "io/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union ancillary {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool packet_pair(int type, int ret_ends[2], struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_errno(err, "socketpair");
    memcpy(ret_ends, ends, sizeof ends);
    return true;
}

static void add_descriptor(struct msghdr *header, union ancillary *ancillary, int fd)
{
    header->msg_control = ancillary->bytes;
    header->msg_controllen = sizeof ancillary->bytes;
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
}

bool packet_send(int end, const void *packet, size_t size, int fd)
{
    union ancillary ancillary = {0};
    struct iovec part = {(void *)packet, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0)
        add_descriptor(&header, &ancillary, fd);
    ssize_t sent;
    do
        sent = sendmsg(end, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size;
}

static int take_descriptor(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    int fd = -1;
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
        control->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(control), sizeof fd);
    return fd;
}

enum packet_got packet_receive(int end, void *ret_packet, size_t size, int *ret_fd)
{
    union ancillary ancillary;
    struct iovec part = {ret_packet, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    header.msg_control = ancillary.bytes;
    header.msg_controllen = sizeof ancillary.bytes;
    ssize_t got;
    do
        got = recvmsg(end, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return PACKET_NOTHING;
    int fd = got < 0 ? -1 : take_descriptor(&header);
    if (got == (ssize_t)size && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        *ret_fd = fd;
        return PACKET_HERE;
    }
    if (fd >= 0)
        close(fd);
    return PACKET_CLOSED;
}
