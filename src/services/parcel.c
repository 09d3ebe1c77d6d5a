/* See parcel.h. */
#include "services/parcel.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

union ancillary {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool parcel_pair(int type, int ret_ends[2], struct err *err)
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

bool parcel_send(int end, const struct parcel *parcel, int fd)
{
    union ancillary ancillary = {0};
    struct iovec part = {(void *)parcel, sizeof *parcel};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0)
        add_descriptor(&header, &ancillary, fd);
    ssize_t sent;
    do
        sent = sendmsg(end, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *parcel;
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

static bool is_sound(const struct parcel *parcel, int fd)
{
    bool carries = parcel->what == PARCEL_CONNECT || parcel->what == PARCEL_CHANNEL ||
                   (parcel->what == PARCEL_OPENED && parcel->status == STORAGE_DONE);
    return parcel->what <= PARCEL_CHANNEL && parcel->kind < STORAGE_KINDS && parcel->status < STORAGE_STATUSES &&
           carries == (fd >= 0) && memchr(parcel->label, 0, sizeof parcel->label) &&
           memchr(parcel->text, 0, sizeof parcel->text);
}

enum parcel_got parcel_receive(int end, struct parcel *ret_parcel, int *ret_fd)
{
    struct parcel parcel;
    union ancillary ancillary;
    struct iovec part = {&parcel, sizeof parcel};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    header.msg_control = ancillary.bytes;
    header.msg_controllen = sizeof ancillary.bytes;
    ssize_t got;
    do
        got = recvmsg(end, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return PARCEL_NOTHING;
    int fd = got < 0 ? -1 : take_descriptor(&header);
    bool whole = got == (ssize_t)sizeof parcel && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (!whole || !is_sound(&parcel, fd)) {
        if (fd >= 0)
            close(fd);
        return PARCEL_CLOSED;
    }
    *ret_parcel = parcel;
    *ret_fd = fd;
    return PARCEL_HERE;
}

void parcel_label(struct parcel *parcel, struct str label)
{
    size_t size = label.len < PARCEL_LABEL_MAX ? label.len : PARCEL_LABEL_MAX;
    if (size)
        memcpy(parcel->label, label.ptr, size);
    parcel->label[size] = '\0';
}

void parcel_text(struct parcel *parcel, const char *text)
{
    snprintf(parcel->text, sizeof parcel->text, "%s", text);
}
