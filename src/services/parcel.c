/* See parcel.h. */
#include "services/parcel.h"

#include <stdio.h>
#include <unistd.h>

bool parcel_send(int end, const struct parcel *parcel, int fd)
{
    return packet_send(end, parcel, sizeof *parcel, fd);
}

static bool is_sound(const struct parcel *parcel, int fd)
{
    bool carries = parcel->what == PARCEL_CONNECT || parcel->what == PARCEL_CHANNEL ||
                   (parcel->what == PARCEL_OPENED && parcel->status == STORAGE_DONE);
    return parcel->what <= PARCEL_CHANNEL && parcel->kind < STORAGE_KINDS && parcel->status < STORAGE_STATUSES &&
           carries == (fd >= 0) && memchr(parcel->label, 0, sizeof parcel->label) &&
           memchr(parcel->text, 0, sizeof parcel->text);
}

enum packet_got parcel_receive(int end, struct parcel *ret_parcel, int *ret_fd)
{
    struct parcel parcel;
    int fd;
    enum packet_got got = packet_receive(end, &parcel, sizeof parcel, &fd);
    if (got != PACKET_HERE)
        return got;
    if (!is_sound(&parcel, fd)) {
        if (fd >= 0)
            close(fd);
        return PACKET_CLOSED;
    }
    *ret_parcel = parcel;
    *ret_fd = fd;
    return PACKET_HERE;
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
