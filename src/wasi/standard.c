/* The standard streams of a command: the process's own. They are shared with others, so their flags are not changed:
 * what is not ready is not read or written, and what the guest waits for the loop watches until it happens, once. */
#include "wasi/object.h"

#include "runtime/trap.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

static const int numbers[] = {[HOST_STDOUT] = STDOUT_FILENO, [HOST_STDERR] = STDERR_FILENO};

static void happened(struct io_watch *watch, unsigned events)
{
    struct host_standard *standard = IO_OWNER(watch, struct host_standard, watch);
    struct host *h = standard->host;
    io_unwatch(h->pool->loop, watch);
    standard->host = NULL;
    host_wake(h);
}

/* False when the loop has to tell. What it cannot watch (files, closed descriptors) does not block. */
static bool is_ready(struct host *h, int fd, short events)
{
    struct host_standard *standard = &h->standard[fd];
    struct pollfd row = {.fd = fd, .events = events};
    struct err err = {0};
    if (!h->pool->runtime.suspend || poll(&row, 1, 0) != 0)
        return true;
    if (standard->host)
        return false;
    standard->watch = (struct io_watch){.ready = happened, .fd = fd};
    if (!io_watch(h->pool->loop, &standard->watch, &err))
        return true;
    standard->host = h;
    return false;
}

void host_standard_end(struct host *h)
{
    for (int fd = 0; fd < 3; fd++)
        if (h->standard[fd].host)
            io_unwatch(h->pool->loop, &h->standard[fd].watch);
}

/* ---- input ---- */

static bool input_ready(struct host *h, struct wasi_io_input_stream *s)
{
    return is_ready(h, STDIN_FILENO, POLLIN);
}

static bool input_read(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes,
                       bool *ret_closed, struct wasi_io_error **ret_why)
{
    size_t most = size < HOST_BUFFER_BYTES ? (size_t)size : HOST_BUFFER_BYTES;
    uint8_t *bytes = host_buffer(h, most);
    ssize_t n;
    if (!bytes)
        return false;
    if (most == 0 || !input_ready(h, s))
        return true;
    do
        n = read(STDIN_FILENO, bytes, most);
    while (n < 0 && errno == EINTR && guest_goes_on(h->store));
    if (n < 0 && errno == EAGAIN) /* others took it */
        return true;
    *ret_closed = n <= 0;
    if (n < 0 && errno != EBADF) /* a stream that the caller closed has ended */
        *ret_why = error_of_system(h, -errno);
    *ret_bytes = (struct str){(char *)bytes, n > 0 ? (size_t)n : 0};
    return !h->store->trap;
}

const struct input_kind input_standard = {input_read, input_ready, NULL};

/* ---- output ---- */

/* What is ready takes this much without blocking, if it is a pipe. A blocking write does not ask: it waits in the
 * kernel, which sees room where poll(2) does not (in the last page of a pipe), and nobody else is here to run. */
static size_t output_room(struct host *h, struct wasi_io_output_stream *s)
{
    return is_ready(h, numbers[s->text], POLLOUT) ? PIPE_BUF : 0;
}

/* After EAGAIN: somebody made the stream non-blocking, and has filled it since. */
static bool wait_for_others(int fd)
{
    struct pollfd row = {.fd = fd, .events = POLLOUT};
    if (errno != EAGAIN)
        return false;
    poll(&row, 1, -1);
    return true;
}

static bool output_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes,
                         struct wasi_io_error **ret_why)
{
    while (bytes.len && guest_goes_on(h->store)) {
        ssize_t n = write(numbers[s->text], bytes.ptr, bytes.len);
        if (n < 0 && (errno == EINTR || wait_for_others(numbers[s->text])))
            continue;
        if (n < 0 && errno == EBADF)
            return true; /* a stream that the caller closed takes everything */
        if (n < 0)
            *ret_why = error_of_system(h, -errno);
        if (n <= 0)
            return false;
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return bytes.len == 0;
}

const struct output_kind output_standard = {output_room, output_write, NULL, true};
