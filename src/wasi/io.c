/* wasi:io: errors and pollables. Streams are in streams.c. */
#include "wasi/object.h"

#include "runtime/trap.h"

#define POLL_PART 1024u /* pollables between two looks at the guest's deadline */

/* ---- wasi:io/error ---- */

bool wasi_io_error_error_to_debug_string(struct host *h, struct wasi_io_error *self, struct str *ret)
{
    *ret = self->message;
    return true;
}

struct wasi_io_error *error_of_system(struct host *h, int code)
{
    struct wasi_io_error *error = HOST_NEW(h, struct wasi_io_error, NULL);
    const char *text = strerrordesc_np(-code);
    if (!error)
        return NULL;
    error->system = -code;
    error->message = str_of(text ? text : "unknown error");
    return error;
}

void wasi_io_error_drop(struct host *h, struct wasi_io_error *self)
{
    host_drop_node(h, &self->node, "error");
}

/* ---- wasi:io/poll ---- */

struct wasi_io_pollable *pollable_new(struct host *h, struct host_node *parent,
                                      bool (*ready)(struct host *h, const struct wasi_io_pollable *p), void *object,
                                      uint64_t deadline_ns)
{
    struct wasi_io_pollable *p = HOST_NEW(h, struct wasi_io_pollable, parent);
    if (!p)
        return NULL;
    p->ready = ready;
    p->object = object;
    p->deadline_ns = deadline_ns;
    return p;
}

bool pollable_always(struct host *h, const struct wasi_io_pollable *p)
{
    return true;
}

bool pollable_never(struct host *h, const struct wasi_io_pollable *p)
{
    return false;
}

static bool is_ready(struct host *h, const struct wasi_io_pollable *p, uint64_t now_ns)
{
    return (p->deadline_ns != HOST_FOREVER && p->deadline_ns <= now_ns) || p->ready(h, p);
}

bool wasi_io_poll_pollable_ready(struct host *h, struct wasi_io_pollable *self, bool *ret)
{
    *ret = is_ready(h, self, clock_now_ns());
    return true;
}

bool wasi_io_poll_pollable_block(struct host *h, struct wasi_io_pollable *self)
{
    while (!is_ready(h, self, clock_now_ns()))
        if (!host_wait(h, self->deadline_ns))
            return false;
    return true;
}

void wasi_io_pollable_drop(struct host *h, struct wasi_io_pollable *self)
{
    host_drop_node(h, &self->node, "pollable");
}

/* Indices of the ready ones into `found`; the earliest deadline of the others. False: trap. */
static bool collect(struct host *h, struct list_borrow_wasi_io_pollable in, struct list_u32 *ret_found, uint32_t *found,
                    uint64_t *ret_deadline_ns)
{
    size_t count = 0;
    uint64_t now_ns = clock_now_ns(), deadline_ns = HOST_FOREVER;
    for (size_t i = 0; i < in.len; i++) {
        if (i % POLL_PART == POLL_PART - 1 && !guest_goes_on(h->store))
            return false;
        if (is_ready(h, in.ptr[i], now_ns))
            found[count++] = (uint32_t)i;
        else if (in.ptr[i]->deadline_ns < deadline_ns)
            deadline_ns = in.ptr[i]->deadline_ns;
    }
    *ret_deadline_ns = deadline_ns;
    *ret_found = (struct list_u32){found, count};
    return true;
}

bool wasi_io_poll_poll(struct host *h, struct list_borrow_wasi_io_pollable in, struct list_u32 *ret)
{
    uint64_t deadline_ns;
    if (in.len == 0)
        return host_trap(h, "poll of an empty list");
    uint32_t *found = ARENA_ARRAY(&h->scratch, uint32_t, in.len);
    if (!found)
        return host_no_memory(h);
    while (collect(h, in, ret, found, &deadline_ns))
        if (ret->len || !host_wait(h, deadline_ns))
            return ret->len;
    return false;
}
