/* One end of a stream of frames on a loop: what both the worker's side and an engine's do with it. */
#ifndef MAYFLY_SERVICES_WIRE_H
#define MAYFLY_SERVICES_WIRE_H

#include "io/loop.h"
#include "services/frame.h"

#define WIRE_TURN_FRAMES 64u                /* served in one turn */
#define WIRE_UNSENT_MAX ((size_t)1 << 20) /* with more no frames are served */

struct wire {
    struct io_watch watch; /* fd -1: closed */
    struct io_loop *loop;
    struct frame_reader in;
    struct buf out;
    size_t sent; /* of `out` */
    bool dry;    /* there is nothing to receive until the loop says so */
    bool more;   /* there may be frames to be served */
};

/* `ready` is called with edges: to send, and to take frames until there are none. The wire has the descriptor from here
 * on, also when this fails. `in_max`, `out_max`: bytes of a frame's values, and of all that waits to be sent. */
bool wire_open(struct wire *wire, struct io_loop *loop, int fd, void (*ready)(struct io_watch *watch, unsigned events),
               size_t in_max, size_t out_max, struct err *err);
void wire_close(struct wire *wire);
static inline bool wire_is_open(const struct wire *wire)
{
    return wire->watch.fd >= 0;
}
/* Call first of all in `ready`. */
void wire_note(struct wire *wire, unsigned events);
/* Send what can be sent. False: the other end is gone. */
bool wire_flush(struct wire *wire);
/* The next frame, received if need be. FRAME_PART: none now. FRAME_BROKEN: it is malformed, or the end. */
enum frame_got wire_next(struct wire *wire, struct frame *ret_frame);
static inline size_t wire_unsent(const struct wire *wire)
{
    return wire->out.size - wire->sent;
}

/* ---- for the end that is asked ---- */

/* There may be frames to be served, and their answers have room. */
static inline bool wire_wants_turn(const struct wire *wire)
{
    return wire->more && wire_unsent(wire) < WIRE_UNSENT_MAX;
}
/* Serve frames for a turn. False: the other end is gone, or `serve` says that it is to be. */
bool wire_serve(struct wire *wire, bool (*serve)(void *arg, const struct frame *frame), void *arg);
/* An answer that says why there is none, or that it is done. False: no memory. */
bool wire_say(struct wire *wire, uint64_t id, enum storage_status status, const char *message);

#endif
