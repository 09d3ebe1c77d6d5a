/* See wire.h. */
#include "services/wire.h"

#include <errno.h>
#include <unistd.h>

#define KEPT_MAX ((size_t)65536) /* of an output that is empty */

bool wire_open(struct wire *wire, struct io_loop *loop, int fd, void (*ready)(struct io_watch *watch, unsigned events),
               size_t in_max, size_t out_max, struct err *err)
{
    *wire = (struct wire){.loop = loop, .watch = {.fd = fd, .ready = ready}, .in.max = in_max, .more = true};
    buf_init(&wire->out, out_max);
    if (io_watch(loop, &wire->watch, err))
        return true;
    close(fd);
    wire->watch.fd = -1;
    return false;
}

void wire_close(struct wire *wire)
{
    if (!wire_is_open(wire))
        return;
    io_unwatch(wire->loop, &wire->watch);
    close(wire->watch.fd);
    wire->watch.fd = -1;
    frame_reader_free(&wire->in);
    buf_free(&wire->out);
    wire->sent = 0;
}

void wire_note(struct wire *wire, unsigned events)
{
    if (events & (IO_IN | IO_END | IO_ERROR))
        wire->dry = false;
    wire->more = true;
}

/* What was sent leaves the buffer. */
static void let_go(struct wire *wire)
{
    size_t left = wire_unsent(wire);
    if (left)
        memmove(wire->out.data, wire->out.data + wire->sent, left);
    wire->out.size = left;
    wire->sent = 0;
    if (left == 0 && wire->out.capacity > KEPT_MAX)
        buf_free(&wire->out);
}

bool wire_flush(struct wire *wire)
{
    while (wire_unsent(wire)) {
        ssize_t sent = io_send(wire->loop, &wire->watch, wire->out.data + wire->sent, wire_unsent(wire));
        if (sent == -EINTR)
            continue;
        if (sent <= 0)
            return sent == -EAGAIN;
        wire->sent += (size_t)sent;
        if (wire->sent == wire->out.size || wire->sent > wire->out.capacity / 2)
            let_go(wire);
    }
    return true;
}

/* False: the end. */
static bool receive(struct wire *wire)
{
    uint8_t *room;
    size_t size;
    if (!frame_room(&wire->in, &room, &size))
        return false;
    ssize_t got = io_recv(wire->loop, &wire->watch, room, size);
    wire->dry = got == -EAGAIN;
    if (got > 0)
        frame_came(&wire->in, (size_t)got);
    return got > 0 || wire->dry || got == -EINTR;
}

enum frame_got wire_next(struct wire *wire, struct frame *ret_frame)
{
    for (;;) {
        enum frame_got got = frame_next(&wire->in, ret_frame);
        if (got != FRAME_PART || wire->dry)
            return got;
        if (!receive(wire))
            return FRAME_BROKEN;
    }
}

bool wire_serve(struct wire *wire, bool (*serve)(void *arg, const struct frame *frame), void *arg)
{
    for (unsigned i = 0; i < WIRE_TURN_FRAMES && wire_wants_turn(wire); i++) {
        struct frame frame;
        enum frame_got got = wire_next(wire, &frame);
        wire->more = got == FRAME_WHOLE;
        if (got == FRAME_BROKEN || (got == FRAME_WHOLE && !serve(arg, &frame)))
            return false;
    }
    return true;
}

bool wire_say(struct wire *wire, uint64_t id, enum storage_status status, const char *message)
{
    struct str text = str_of(message);
    if (!utf8_valid(text.ptr, text.len))
        text = STR("what is wrong cannot be told");
    const struct storage_value value = storage_text(text);
    return frame_write(&wire->out, status, id, &value, status == STORAGE_DONE ? 0 : 1, FRAME_ANSWER_MAX);
}
