/* wasi:io/streams. What kinds of streams there are is a table each (object.h); here is what all of them share:
 * permits, closing, errors, waiting for room. */
#include "wasi/object.h"

#define READ_MAX ((uint64_t)1 << 20)   /* of one read */
#define BLOCKING_MAX 4096u             /* of one blocking write: fixed by the interface */

typedef struct wasi_io_streams_stream_error stream_error;

/* `why` NULL: closed. */
static stream_error error_of(struct wasi_io_error *why)
{
    stream_error error = {.tag = WASI_IO_STREAMS_STREAM_ERROR_CLOSED};
    if (why) {
        error.tag = WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED;
        error.last_operation_failed = why;
    }
    return error;
}

/* ---- input ---- */

static bool read_nothing(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                         bool *ret_closed, struct wasi_io_error **ret_why)
{
    *ret_closed = true;
    return true;
}

const struct input_kind input_nothing = {read_nothing, NULL, NULL};

/* What a read came to: bytes, perhaps none, or the end, perhaps with a reason. */
struct input {
    struct str bytes;
    bool closed;
    struct wasi_io_error *why;
};

/* False: trap. */
static bool read_some(struct host *h, struct wasi_io_input_stream *self, uint64_t len, struct input *ret)
{
    ret->closed = self->closed;
    if (self->closed)
        return true;
    bool done = self->kind->read(h, self, len < READ_MAX ? len : READ_MAX, &ret->bytes, &ret->closed, &ret->why);
    self->closed = ret->closed;
    return done;
}

static bool input_ready(struct host *h, struct wasi_io_input_stream *self)
{
    return self->closed || !self->kind->ready || self->kind->ready(h, self);
}

static bool wait_for_input(struct host *h, struct wasi_io_input_stream *self)
{
    while (!input_ready(h, self))
        if (!host_wait(h, HOST_FOREVER))
            return false;
    return true;
}

bool wasi_io_streams_input_stream_read(struct host *h, struct wasi_io_input_stream *self, uint64_t len,
                                       struct result_list_u8_wasi_io_streams_stream_error *ret)
{
    struct input in = {0};
    if (!read_some(h, self, len, &in))
        return false;
    ret->err = in.closed;
    if (in.closed)
        ret->error = error_of(in.why);
    else
        ret->ok = (struct list_u8){(const uint8_t *)in.bytes.ptr, in.bytes.len};
    return true;
}

bool wasi_io_streams_input_stream_blocking_read(struct host *h, struct wasi_io_input_stream *self, uint64_t len,
                                                struct result_list_u8_wasi_io_streams_stream_error *ret)
{
    return wait_for_input(h, self) && wasi_io_streams_input_stream_read(h, self, len, ret);
}

bool wasi_io_streams_input_stream_skip(struct host *h, struct wasi_io_input_stream *self, uint64_t len,
                                       struct result_u64_wasi_io_streams_stream_error *ret)
{
    struct input in = {0};
    if (!read_some(h, self, len, &in))
        return false;
    ret->err = in.closed;
    if (in.closed)
        ret->error = error_of(in.why);
    else
        ret->ok = in.bytes.len;
    return true;
}

bool wasi_io_streams_input_stream_blocking_skip(struct host *h, struct wasi_io_input_stream *self, uint64_t len,
                                                struct result_u64_wasi_io_streams_stream_error *ret)
{
    return wait_for_input(h, self) && wasi_io_streams_input_stream_skip(h, self, len, ret);
}

static bool pollable_input(struct host *h, const struct wasi_io_pollable *p)
{
    return input_ready(h, p->object);
}

bool wasi_io_streams_input_stream_subscribe(struct host *h, struct wasi_io_input_stream *self,
                                            struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, pollable_input, self, HOST_FOREVER);
    return *ret != NULL;
}

void wasi_io_input_stream_drop(struct host *h, struct wasi_io_input_stream *self)
{
    if (self->kind->drop && !self->node.children)
        self->kind->drop(h, self);
    host_drop_node(h, &self->node, "input-stream");
}

/* ---- output ---- */

typedef struct wasi_io_output_stream output_stream;
typedef struct result_void_wasi_io_streams_stream_error void_result;
typedef struct result_u64_wasi_io_streams_stream_error u64_result;

/* Hand the bytes to the kind. False: trap; a failure of the stream is in *ret. */
static bool put(struct host *h, output_stream *self, struct str bytes, void_result *ret)
{
    struct wasi_io_error *why = NULL;
    if (!self->closed && self->kind->write(h, self, bytes, &why))
        return true;
    if (h->store->trap)
        return false;
    ret->err = true;
    ret->error = error_of(self->closed ? NULL : why);
    self->closed = true;
    return true;
}

bool wasi_io_streams_output_stream_check_write(struct host *h, output_stream *self, u64_result *ret)
{
    ret->err = self->closed;
    if (self->closed) {
        ret->error = error_of(NULL);
        return true;
    }
    self->permit = self->kind->room(h, self);
    ret->ok = self->permit;
    return true;
}

/* The specification has a trap for a write that check-write did not allow. There are guests that never ask for bodies
 * (Spin's SDK for Go), and runtimes that let them while there is room, as this one does. */
static bool use_permit(struct host *h, output_stream *self, uint64_t len)
{
    uint64_t room = len > self->permit && self->body ? self->kind->room(h, self) : self->permit;
    if (len > room)
        return host_trap(h, "write of %llu bytes where check-write allowed %llu", (unsigned long long)len,
                         (unsigned long long)self->permit);
    self->permit = room - len;
    return true;
}

bool wasi_io_streams_output_stream_write(struct host *h, output_stream *self, struct list_u8 contents, void_result *ret)
{
    if (!self->closed && !use_permit(h, self, contents.len))
        return false;
    return put(h, self, (struct str){(const char *)contents.ptr, contents.len}, ret);
}

/* Until there is room for `size` bytes. What was kept back goes out first: when the kernel takes all of it there is
 * room at once, and nothing would wake the guest. */
static bool wait_for_room(struct host *h, output_stream *self, size_t size)
{
    while (!self->closed && self->kind->room(h, self) < size) {
        host_yielding(h);
        if (self->kind->room(h, self) < size && !host_wait(h, HOST_FOREVER))
            return false;
    }
    return true;
}

static void mark_flushed(output_stream *self)
{
    if (self->body)
        self->body->flushed = true;
}

bool wasi_io_streams_output_stream_flush(struct host *h, output_stream *self, void_result *ret)
{
    mark_flushed(self);
    ret->err = self->closed;
    if (self->closed)
        ret->error = error_of(NULL);
    return true;
}

bool wasi_io_streams_output_stream_blocking_flush(struct host *h, output_stream *self, void_result *ret)
{
    mark_flushed(self);
    return wait_for_room(h, self, 1) && wasi_io_streams_output_stream_flush(h, self, ret);
}

static bool write_blocking(struct host *h, output_stream *self, struct str bytes, void_result *ret)
{
    if (bytes.len > BLOCKING_MAX)
        return host_trap(h, "blocking write of %zu bytes, more than %u", bytes.len, BLOCKING_MAX);
    if (!self->closed && !self->kind->direct &&
        self->kind->room(h, self) < bytes.len) { /* the view does not outlast a wait */
        bytes.ptr = arena_copy(&h->scratch, bytes.ptr, bytes.len);
        if (!bytes.ptr)
            return host_no_memory(h);
        mark_flushed(self); /* or what was written before would be kept back, and there never be room */
        if (!wait_for_room(h, self, bytes.len))
            return false;
    }
    mark_flushed(self);
    return put(h, self, bytes, ret) && (ret->err || self->kind->direct || wait_for_room(h, self, 1));
}

bool wasi_io_streams_output_stream_blocking_write_and_flush(struct host *h, output_stream *self,
                                                            struct list_u8 contents, void_result *ret)
{
    return write_blocking(h, self, (struct str){(const char *)contents.ptr, contents.len}, ret);
}

static bool pollable_output(struct host *h, const struct wasi_io_pollable *p)
{
    output_stream *s = p->object;
    return s->closed || s->kind->room(h, s) > 0;
}

bool wasi_io_streams_output_stream_subscribe(struct host *h, output_stream *self, struct wasi_io_pollable **ret)
{
    *ret = pollable_new(h, &self->node, pollable_output, self, HOST_FOREVER);
    return *ret != NULL;
}

static const char zeroes[BLOCKING_MAX];

bool wasi_io_streams_output_stream_write_zeroes(struct host *h, output_stream *self, uint64_t len, void_result *ret)
{
    if (!self->closed && !use_permit(h, self, len))
        return false;
    do {
        size_t n = len < sizeof zeroes ? (size_t)len : sizeof zeroes;
        if (!put(h, self, (struct str){zeroes, n}, ret))
            return false;
        len -= n;
    } while (len && !ret->err);
    return true;
}

bool wasi_io_streams_output_stream_blocking_write_zeroes_and_flush(struct host *h, output_stream *self, uint64_t len,
                                                                   void_result *ret)
{
    if (len > BLOCKING_MAX)
        return host_trap(h, "blocking write of %llu bytes, more than %u", (unsigned long long)len, BLOCKING_MAX);
    return write_blocking(h, self, (struct str){zeroes, (size_t)len}, ret);
}

/* As check-write, read and write one after the other: the first error ends it. */
bool wasi_io_streams_output_stream_splice(struct host *h, output_stream *self, struct wasi_io_input_stream *src,
                                          uint64_t len, u64_result *ret)
{
    struct input in = {.closed = self->closed};
    void_result written = {0};
    uint64_t room = in.closed ? 0 : self->kind->room(h, self);
    if (!in.closed && room && !read_some(h, src, len < room ? len : room, &in))
        return false;
    if (!in.closed && in.bytes.len && !put(h, self, in.bytes, &written))
        return false;
    ret->err = in.closed || written.err;
    if (in.closed)
        ret->error = error_of(in.why);
    else if (written.err)
        ret->error = written.error;
    else
        ret->ok = in.bytes.len;
    return true;
}

bool wasi_io_streams_output_stream_blocking_splice(struct host *h, output_stream *self,
                                                   struct wasi_io_input_stream *src, uint64_t len, u64_result *ret)
{
    return wait_for_room(h, self, 1) && (self->closed || wait_for_input(h, src)) &&
           wasi_io_streams_output_stream_splice(h, self, src, len, ret);
}

void wasi_io_output_stream_drop(struct host *h, output_stream *self)
{
    if (self->kind->drop && !self->node.children)
        self->kind->drop(h, self);
    host_drop_node(h, &self->node, "output-stream");
}
