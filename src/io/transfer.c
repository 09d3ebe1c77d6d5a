/* Moving bytes: by system calls at once, whatever the backend, because what they answer is what the kernel took. The
 * server's order of sending and closing rests on that, and so does what makes a client wait. */
#include "io/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t io_recv(struct io_loop *loop, struct io_watch *watch, void *ret_bytes, size_t size)
{
    ssize_t n;
    do
        n = recv(watch->fd, ret_bytes, size, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t io_send(struct io_loop *loop, struct io_watch *watch, const void *bytes, size_t size)
{
    ssize_t n;
    do
        n = send(watch->fd, bytes, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t io_sendv(struct io_loop *loop, struct io_watch *watch, const struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(watch->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
