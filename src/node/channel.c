/* See channel.h. */
#include "node/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool channel_open(int ret_ends[2], struct err *err)
{
    return packet_pair(SOCK_SEQPACKET, ret_ends, err);
}

bool channel_send(int end, const struct message *message, int fd)
{
    return packet_send(end, message, sizeof *message, fd);
}

/* The receiver has to take some: messages, or descriptors, of which a user may have so many under way as a process may
 * have open (unix(7), ETOOMANYREFS). False: that is not why. */
static bool wait_for_room(int end)
{
    struct pollfd polled = {end, POLLOUT, 0};
    if (errno == ETOOMANYREFS)
        return poll(NULL, 0, 1) == 0 || errno == EINTR;
    return errno == EAGAIN && (poll(&polled, 1, -1) >= 0 || errno == EINTR);
}

bool channel_send_all(int end, const struct message *message, int fd)
{
    bool sent;
    while (!(sent = channel_send(end, message, fd)) && wait_for_room(end))
        continue;
    return sent;
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

enum packet_got channel_receive(int end, struct message *ret_message, int *ret_fd)
{
    struct message message;
    int fd;
    enum packet_got got = packet_receive(end, &message, sizeof message, &fd);
    if (got != PACKET_HERE)
        return got;
    if (!is_sound(&message, fd)) {
        if (fd >= 0)
            close(fd);
        return PACKET_CLOSED;
    }
    *ret_message = message;
    *ret_fd = fd;
    return PACKET_HERE;
}
