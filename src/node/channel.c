/* See channel.h. */
#include "node/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union ancillary {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool channel_open(int ret_ends[2], struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_errno(err, "socketpair");
    memcpy(ret_ends, ends, sizeof ends);
    return true;
}

bool channel_send(int end, const struct message *message, int fd)
{
    union ancillary ancillary = {0};
    struct iovec part = {(void *)message, sizeof *message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = ancillary.bytes;
        header.msg_controllen = sizeof ancillary.bytes;
        struct cmsghdr *control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(control), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(end, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *message;
}

bool channel_send_all(int end, const struct message *message, int fd)
{
    struct pollfd polled = {end, POLLOUT, 0};
    while (!channel_send(end, message, fd)) {
        if (errno != EAGAIN)
            return false;
        while (poll(&polled, 1, -1) < 0 && errno == EINTR)
            continue;
    }
    return true;
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

static bool is_sound_err(const struct err *err)
{
    return err->kind > ERR_NONE && err->kind <= ERR_USAGE && memchr(err->message, 0, sizeof err->message) &&
           memchr(err->remedy, 0, sizeof err->remedy);
}

static bool is_sound(const struct message *message, int fd)
{
    const struct err *err = &message->err;
    switch (message->kind) {
    case MESSAGE_READY:
    case MESSAGE_CHANGED:
    case MESSAGE_RETIRE:
    case MESSAGE_RELOADED: return fd < 0;
    case MESSAGE_FAILED: return fd < 0 && is_sound_err(err);
    case MESSAGE_SECURED: return fd < 0 && (err->kind == ERR_NONE || is_sound_err(err));
    case MESSAGE_IMAGE:
    case MESSAGE_CERTIFICATE: return fd >= 0;
    }
    return false;
}

enum channel_got channel_receive(int end, struct message *ret_message, int *ret_fd)
{
    struct message message;
    union ancillary ancillary;
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    header.msg_control = ancillary.bytes;
    header.msg_controllen = sizeof ancillary.bytes;
    ssize_t got;
    do
        got = recvmsg(end, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return CHANNEL_NOTHING;
    int fd = got < 0 ? -1 : take_descriptor(&header);
    bool whole = got == (ssize_t)sizeof message && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (!whole || !is_sound(&message, fd)) {
        if (fd >= 0)
            close(fd);
        return CHANNEL_CLOSED;
    }
    *ret_message = message;
    *ret_fd = fd;
    return CHANNEL_MESSAGE;
}
