/* poll_oneoff of WASI 0.1: clocks become one timeout of poll(2), descriptors its rows; of a function, one timeout of
 * its loop, and questions to its streams. */
#include "runtime/trap.h"
#include "wasi/preview1_call.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE };

#define SUBSCRIPTION_BYTES 48u
#define EVENT_BYTES 32u
#define SUBSCRIPTIONS_MAX 1024u
#define CLOCK_ABSTIME 1u
#define NO_DEADLINE UINT64_MAX

struct subscription {
    uint64_t userdata;
    uint8_t type, pad0[7];
    uint32_t id, pad1; /* of the clock, or the descriptor */
    uint64_t timeout, precision;
    uint16_t flags;
    uint8_t pad2[6];
};

struct event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type, pad[5];
    uint64_t bytes;
    uint16_t flags;
    uint8_t pad2[6];
};

_Static_assert(sizeof(struct subscription) == SUBSCRIPTION_BYTES, "as in the witx");
_Static_assert(sizeof(struct event) == EVENT_BYTES, "as in the witx");

/* A subscription while the call waits. */
struct waiting {
    struct subscription in;
    uint64_t deadline; /* of a clock, on its own time; NO_DEADLINE for the others */
    int error;         /* why it is an event at once, or 0 */
    bool asked;        /* of a function: a stream, the one ... */
    unsigned stream;
    bool happened;
};

struct polling {
    struct waiting rows[SUBSCRIPTIONS_MAX];
    struct pollfd fds[SUBSCRIPTIONS_MAX];
    uint32_t count;
    bool at_once; /* something is an event already */
};

static uint64_t now(struct preview1 *p, uint32_t clock)
{
    struct timespec time;
    uint64_t ns;
    if (p->face)
        return p->face->now(p, clock, &ns) ? ns : 0;
    clock_gettime(clock ? CLOCK_MONOTONIC : CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void prepare_clock(struct preview1 *p, struct waiting *row)
{
    if (row->in.id > 1) {
        row->error = EINVAL;
        return;
    }
    uint64_t base = row->in.flags & CLOCK_ABSTIME ? 0 : now(p, row->in.id);
    if (__builtin_add_overflow(base, row->in.timeout, &row->deadline))
        row->deadline = NO_DEADLINE - 1;
}

static void prepare_fd(struct preview1 *p, struct waiting *row, struct pollfd *poll_row)
{
    struct preview1_fd *fd;
    row->error = -preview1_take_file(p, row->in.id, RIGHT_OF(POLL_FD_READWRITE), &fd);
    if (row->error)
        return;
    row->asked = p->face && fd->kind == PREVIEW1_STREAM;
    row->stream = fd->stream;
    if (row->asked)
        return;
    poll_row->fd = fd->host;
    poll_row->events = row->in.type == EVENT_FD_READ ? POLLIN : POLLOUT;
}

static void prepare(struct preview1 *p, struct polling *polling, uint32_t i)
{
    struct waiting *row = &polling->rows[i];
    polling->fds[i] = (struct pollfd){.fd = -1};
    row->deadline = NO_DEADLINE;
    row->error = 0;
    if (row->in.type == EVENT_CLOCK)
        prepare_clock(p, row);
    else
        prepare_fd(p, row, &polling->fds[i]);
    polling->at_once |= row->error != 0;
}

static uint64_t time_left(struct preview1 *p, const struct waiting *row)
{
    uint64_t time = now(p, row->in.id);
    return row->deadline > time ? row->deadline - time : 0;
}

/* Until the next deadline; NO_DEADLINE: no clock was asked for. */
static uint64_t shortest(struct preview1 *p, const struct polling *polling)
{
    uint64_t least = polling->at_once ? 0 : NO_DEADLINE;
    for (uint32_t i = 0; i < polling->count && least; i++)
        if (polling->rows[i].deadline != NO_DEADLINE) {
            uint64_t left = time_left(p, &polling->rows[i]);
            least = left < least ? left : least;
        }
    return least;
}

/* Notes what happened; false: nothing did. */
static bool note_events(struct preview1 *p, struct polling *polling)
{
    bool any = false;
    for (uint32_t i = 0; i < polling->count; i++) {
        struct waiting *row = &polling->rows[i];
        bool over = row->deadline != NO_DEADLINE && time_left(p, row) == 0;
        bool ready = row->asked && !row->error && p->face->ready(p, row->stream);
        row->happened = row->error || polling->fds[i].revents || over || ready;
        any |= row->happened;
    }
    return any;
}

/* Of a function: files are ready at once, and its loop waits for the rest. */
static int wait_of_face(struct preview1 *p, struct polling *polling)
{
    struct timespec none = {0};
    if (ppoll(polling->fds, polling->count, &none, NULL) < 0 && errno != EINTR)
        return -errno;
    while (!note_events(p, polling)) {
        uint64_t left = shortest(p, polling), until;
        if (left == NO_DEADLINE || __builtin_add_overflow(clock_now_ns(), left, &until))
            until = NO_DEADLINE;
        if (!p->face->wait(p, until))
            return -EINTR;
    }
    return 0;
}

/* An interruption waits for what is left, not from the start. */
static int wait_any(struct preview1 *p, struct polling *polling)
{
    if (p->face)
        return wait_of_face(p, polling);
    do {
        uint64_t left = shortest(p, polling);
        struct timespec time = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
        if (ppoll(polling->fds, polling->count, left == NO_DEADLINE ? NULL : &time, NULL) < 0 && errno != EINTR)
            return -errno;
    } while (!note_events(p, polling) && guest_goes_on(p->store));
    return 0;
}

/* FIONREAD counts in an int: the rest of a large file would come out negative. */
static uint64_t readable_bytes(int fd)
{
    struct stat status;
    int bytes = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return ioctl(fd, FIONREAD, &bytes) == 0 ? (uint64_t)bytes : 1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at < status.st_size ? (uint64_t)(status.st_size - at) : 0;
}

static struct event event_of(const struct polling *polling, uint32_t i)
{
    const struct waiting *row = &polling->rows[i];
    short ready = polling->fds[i].revents;
    uint64_t bytes = row->asked && !row->error;
    if (row->in.type == EVENT_FD_READ && ready & POLLIN)
        bytes = readable_bytes(polling->fds[i].fd);
    else if (row->in.type != EVENT_FD_READ && ready & POLLOUT)
        bytes = 1;
    return (struct event){.userdata = row->in.userdata,
                          .error = (uint16_t)preview1_errno(-row->error),
                          .type = row->in.type,
                          .bytes = bytes,
                          .flags = ready & POLLHUP ? 1 : 0};
}

static int report(struct preview1 *p, const struct polling *polling, uint32_t ptr, uint32_t count_ptr)
{
    uint32_t events = 0;
    int code = 0;
    for (uint32_t i = 0; !code && i < polling->count; i++)
        if (polling->rows[i].happened) {
            struct event event = event_of(polling, i);
            code = preview1_put(p, ptr + (uint64_t)EVENT_BYTES * events++, &event, sizeof event);
        }
    return code ? code : preview1_put_u32(p, count_ptr, events);
}

static int poll_all(struct preview1 *p, struct polling *polling, const union cell *v)
{
    const uint8_t *in = preview1_bytes(p, v[0].u32, (uint64_t)polling->count * SUBSCRIPTION_BYTES);
    if (!in || !preview1_bytes(p, v[1].u32, (uint64_t)polling->count * EVENT_BYTES) || !preview1_bytes(p, v[3].u32, 4))
        return -EFAULT;
    for (uint32_t i = 0; i < polling->count; i++) {
        memcpy(&polling->rows[i].in, in + i * SUBSCRIPTION_BYTES, SUBSCRIPTION_BYTES);
        if (polling->rows[i].in.type > EVENT_FD_WRITE)
            return -EINVAL;
        prepare(p, polling, i);
    }
    int code = wait_any(p, polling);
    return code ? code : report(p, polling, v[1].u32, v[3].u32);
}

int preview1_poll_oneoff(struct preview1 *p, const union cell *v)
{
    uint32_t count = v[2].u32;
    if (count == 0 || count > SUBSCRIPTIONS_MAX)
        return -EINVAL;
    struct polling *polling = p->face ? p->face->room(p, sizeof *polling) : mem_alloc(1, sizeof *polling);
    if (!polling)
        return -ENOMEM;
    polling->count = count;
    int code = poll_all(p, polling, v);
    if (!p->face)
        mem_free(polling);
    return code;
}
