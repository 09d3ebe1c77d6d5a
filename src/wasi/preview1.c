/* See preview1.h. Each function of preview1.def has one C function here that returns the errno of the witx. */
#include "wasi/preview1.h"

#include "runtime/trap.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* errno of the witx, by its numbers there. */
enum {
    OK = 0,
    AGAIN = 6,
    BADF = 8,
    FAULT = 21,
    FBIG = 22,
    INVAL = 28,
    IO = 29,
    ISDIR = 31,
    NOSPC = 51,
    NOTDIR = 54,
    NOTSOCK = 57,
    NOTSUP = 58,
    PIPE = 64,
    SPIPE = 70,
    NOTCAPABLE = 76,
};

enum { FILETYPE_UNKNOWN = 0, FILETYPE_CHARACTER_DEVICE = 2, FILETYPE_REGULAR_FILE = 4 };
enum { EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE };

#define RIGHT_FD_READ ((uint64_t)1 << 1)
#define RIGHT_FD_WRITE ((uint64_t)1 << 6)
#define RIGHT_FILESTAT_GET ((uint64_t)1 << 21)
#define RIGHT_POLL ((uint64_t)1 << 27)
#define RIGHTS_OF_STREAM (RIGHT_FILESTAT_GET | RIGHT_POLL)
#define RIGHTS_OF_READING (RIGHT_FD_READ | RIGHTS_OF_STREAM)
#define RIGHTS_OF_WRITING (RIGHT_FD_WRITE | RIGHTS_OF_STREAM)

#define SUBSCRIPTION_BYTES 48u
#define EVENT_BYTES 32u
#define SUBSCRIPTIONS_MAX 64u
#define CLOCK_ABSTIME 1u
#define NS_PER_S 1000000000u

/* ---- guest memory ---- */

/* The `size` bytes at `ptr` of guest memory, or NULL when not all of them are in it. */
static uint8_t *guest_bytes(const struct preview1 *p, uint64_t ptr, uint64_t size)
{
    uint8_t *store = (uint8_t *)p->store;
    uint64_t limit = p->memory_off ? *(const uint64_t *)(store + p->memory_size_off) : 0;
    return p->memory_off && ptr <= limit && size <= limit - ptr ? store + p->memory_off + ptr : NULL;
}

static uint32_t put(const struct preview1 *p, uint32_t ptr, const void *bytes, uint64_t size)
{
    uint8_t *at = guest_bytes(p, ptr, size);
    if (!at)
        return FAULT;
    memcpy(at, bytes, size);
    return OK;
}

static uint32_t put_u32(const struct preview1 *p, uint32_t ptr, uint32_t value)
{
    return put(p, ptr, &value, sizeof value);
}

static uint32_t put_u64(const struct preview1 *p, uint32_t ptr, uint64_t value)
{
    return put(p, ptr, &value, sizeof value);
}

static uint32_t errno_of(int code)
{
    static const struct {
        int host;
        uint32_t guest;
    } rows[] = {{EAGAIN, AGAIN}, {EINVAL, INVAL}, {EISDIR, ISDIR}, {ENOSPC, NOSPC}, {EFBIG, FBIG}, {EPIPE, PIPE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].host == code)
            return rows[i].guest;
    return IO;
}

/* ---- arguments and environment ---- */

static uint32_t strings_sizes(const struct preview1 *p, const struct preview1_strings *s, const union cell *v)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < s->count; i++)
        bytes += (uint32_t)strlen(s->items[i]) + 1;
    uint32_t code = put_u32(p, v[0].u32, s->count);
    return code ? code : put_u32(p, v[1].u32, bytes);
}

static uint32_t strings_get(const struct preview1 *p, const struct preview1_strings *s, const union cell *v)
{
    uint32_t at = v[1].u32, code = OK;
    for (uint32_t i = 0; !code && i < s->count; i++) {
        uint32_t size = (uint32_t)strlen(s->items[i]) + 1;
        code = put_u32(p, v[0].u32 + 4 * i, at);
        code = code ? code : put(p, at, s->items[i], size);
        at += size;
    }
    return code;
}

static uint32_t args_get(struct preview1 *p, const union cell *v)
{
    return strings_get(p, &p->args, v);
}

static uint32_t args_sizes_get(struct preview1 *p, const union cell *v)
{
    return strings_sizes(p, &p->args, v);
}

static uint32_t environ_get(struct preview1 *p, const union cell *v)
{
    return strings_get(p, &p->env, v);
}

static uint32_t environ_sizes_get(struct preview1 *p, const union cell *v)
{
    return strings_sizes(p, &p->env, v);
}

/* ---- clocks, randomness, the process ---- */

typedef int clock_fn(clockid_t id, struct timespec *ret_time);

static uint32_t clock_read(const struct preview1 *p, uint32_t id, uint32_t ptr, clock_fn *read_clock)
{
    static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    struct timespec time;
    if (id >= sizeof ids / sizeof *ids)
        return INVAL;
    if (read_clock(ids[id], &time) != 0)
        return errno_of(errno);
    return put_u64(p, ptr, (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec);
}

static uint32_t clock_res_get(struct preview1 *p, const union cell *v)
{
    return clock_read(p, v[0].u32, v[1].u32, clock_getres);
}

static uint32_t clock_time_get(struct preview1 *p, const union cell *v)
{
    return clock_read(p, v[0].u32, v[2].u32, clock_gettime);
}

static uint32_t random_get(struct preview1 *p, const union cell *v)
{
    uint8_t *at = guest_bytes(p, v[0].u32, v[1].u32);
    uint32_t left = v[1].u32;
    if (!at)
        return FAULT;
    while (left) {
        ssize_t n = getrandom(p->bounce, left < PREVIEW1_BOUNCE ? left : PREVIEW1_BOUNCE, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return IO;
        memcpy(at, p->bounce, (size_t)n);
        at += n;
        left -= (uint32_t)n;
    }
    return OK;
}

static uint32_t sched_yield_(struct preview1 *p, const union cell *v)
{
    (void)p, (void)v;
    sched_yield();
    return OK;
}

static uint32_t proc_exit(struct preview1 *p, const union cell *v)
{
    p->exited = true;
    p->exit_code = v[0].u32;
    return OK;
}

static uint32_t proc_raise(struct preview1 *p, const union cell *v)
{
    (void)p, (void)v;
    return NOTSUP;
}

/* ---- descriptors ---- */

static struct preview1_fd *fd_of(struct preview1 *p, uint32_t fd)
{
    return fd < PREVIEW1_FDS && p->fds[fd].host >= 0 ? &p->fds[fd] : NULL;
}

/* For what a standard stream cannot do: `code`, or badf. */
static uint32_t never(struct preview1 *p, uint32_t fd, uint32_t code)
{
    return fd_of(p, fd) ? code : BADF;
}

#define NEVER(name, fd, code)                                                                                          \
    static uint32_t name(struct preview1 *p, const union cell *v)                                                      \
    {                                                                                                                  \
        return never(p, v[fd].u32, code);                                                                              \
    }
NEVER(fd_advise, 0, SPIPE)
NEVER(fd_seek, 0, SPIPE)
NEVER(fd_tell, 0, SPIPE)
NEVER(fd_pread, 0, SPIPE)
NEVER(fd_pwrite, 0, SPIPE)
NEVER(fd_allocate, 0, NOTCAPABLE)
NEVER(fd_filestat_set_size, 0, NOTCAPABLE)
NEVER(fd_filestat_set_times, 0, NOTCAPABLE)
NEVER(fd_prestat_get, 0, BADF)
NEVER(fd_prestat_dir_name, 0, BADF)
NEVER(fd_readdir, 0, NOTDIR)
NEVER(path_create_directory, 0, NOTDIR)
NEVER(path_filestat_get, 0, NOTDIR)
NEVER(path_filestat_set_times, 0, NOTDIR)
NEVER(path_link, 0, NOTDIR)
NEVER(path_open, 0, NOTDIR)
NEVER(path_readlink, 0, NOTDIR)
NEVER(path_remove_directory, 0, NOTDIR)
NEVER(path_rename, 0, NOTDIR)
NEVER(path_symlink, 2, NOTDIR)
NEVER(path_unlink_file, 0, NOTDIR)
NEVER(sock_accept, 0, NOTSOCK)
NEVER(sock_recv, 0, NOTSOCK)
NEVER(sock_send, 0, NOTSOCK)
NEVER(sock_shutdown, 0, NOTSOCK)
#undef NEVER

static uint32_t fd_close(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    if (!fd)
        return BADF;
    fd->host = -1;
    return OK;
}

static uint32_t fd_renumber(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *from = fd_of(p, v[0].u32), *to = fd_of(p, v[1].u32);
    if (!from || !to)
        return BADF;
    if (from == to)
        return OK;
    *to = *from;
    from->host = -1;
    return OK;
}

static uint32_t fd_sync(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    if (!fd)
        return BADF;
    return fsync(fd->host) == 0 ? OK : errno_of(errno);
}

static uint32_t fd_datasync(struct preview1 *p, const union cell *v)
{
    return fd_sync(p, v);
}

static uint8_t filetype_of(const struct preview1_fd *fd)
{
    struct stat status;
    if (fstat(fd->host, &status) != 0)
        return FILETYPE_UNKNOWN;
    return S_ISCHR(status.st_mode)   ? FILETYPE_CHARACTER_DEVICE
           : S_ISREG(status.st_mode) ? FILETYPE_REGULAR_FILE
                                     : FILETYPE_UNKNOWN;
}

static uint32_t fd_fdstat_get(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    struct {
        uint8_t filetype, pad0;
        uint16_t flags;
        uint32_t pad1;
        uint64_t rights, inheriting;
    } stat = {0};
    if (!fd)
        return BADF;
    stat.filetype = filetype_of(fd);
    stat.rights = fd->rights;
    return put(p, v[1].u32, &stat, sizeof stat);
}

/* The streams' flags are the caller's too, whose other users would see a change: only "none" can be set. */
static uint32_t fd_fdstat_set_flags(struct preview1 *p, const union cell *v)
{
    return never(p, v[0].u32, v[1].u32 ? NOTSUP : OK);
}

static uint32_t fd_fdstat_set_rights(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    if (!fd)
        return BADF;
    if ((v[1].u64 & ~fd->rights) || v[2].u64)
        return NOTCAPABLE;
    fd->rights = v[1].u64;
    return OK;
}

/* Of a stream only the type is told: device and inode are the caller's business. */
static uint32_t fd_filestat_get(struct preview1 *p, const union cell *v)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    struct {
        uint64_t dev, ino;
        uint8_t filetype, pad[7];
        uint64_t nlink, size, atim, mtim, ctim;
    } stat = {0};
    if (!fd)
        return BADF;
    if (!(fd->rights & RIGHT_FILESTAT_GET))
        return NOTCAPABLE;
    stat.filetype = filetype_of(fd);
    return put(p, v[1].u32, &stat, sizeof stat);
}

/* ---- reading and writing ---- */

/* Check the guest's vector of buffers and keep it in p->iovecs. */
static uint32_t take_iovecs(struct preview1 *p, uint32_t ptr, uint32_t count)
{
    uint32_t row[2];
    const uint8_t *rows = guest_bytes(p, ptr, (uint64_t)count * sizeof row);
    if (count > PREVIEW1_IOVECS_MAX)
        return INVAL;
    if (!rows)
        return FAULT;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(row, rows + i * sizeof row, sizeof row);
        p->iovecs[i] = (struct iovec){guest_bytes(p, row[0], row[1]), row[1]};
        if (!p->iovecs[i].iov_base)
            return FAULT;
    }
    return OK;
}

static uint32_t take_io(struct preview1 *p, const union cell *v, uint64_t right, int *ret_host)
{
    struct preview1_fd *fd = fd_of(p, v[0].u32);
    if (!fd)
        return BADF;
    if (!(fd->rights & right))
        return NOTCAPABLE;
    *ret_host = fd->host;
    return guest_bytes(p, v[3].u32, 4) ? take_iovecs(p, v[1].u32, v[2].u32) : FAULT;
}

static uint32_t fd_write(struct preview1 *p, const union cell *v)
{
    int host;
    ssize_t n;
    uint32_t code = take_io(p, v, RIGHT_FD_WRITE, &host);
    if (code)
        return code;
    do
        n = writev(host, p->iovecs, (int)v[2].u32);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno_of(errno) : put_u32(p, v[3].u32, (uint32_t)n);
}

static size_t iovecs_total(const struct preview1 *p, uint32_t count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count && total < PREVIEW1_BOUNCE; i++)
        total += p->iovecs[i].iov_len;
    return total < PREVIEW1_BOUNCE ? total : PREVIEW1_BOUNCE;
}

static void scatter(const struct preview1 *p, size_t size)
{
    const uint8_t *from = p->bounce;
    for (uint32_t i = 0; size; i++) {
        size_t part = p->iovecs[i].iov_len < size ? p->iovecs[i].iov_len : size;
        memcpy(p->iovecs[i].iov_base, from, part);
        from += part;
        size -= part;
    }
}

static uint32_t fd_read(struct preview1 *p, const union cell *v)
{
    int host;
    ssize_t n;
    uint32_t code = take_io(p, v, RIGHT_FD_READ, &host);
    if (code)
        return code;
    do
        n = read(host, p->bounce, iovecs_total(p, v[2].u32));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno_of(errno);
    scatter(p, (size_t)n);
    return put_u32(p, v[3].u32, (uint32_t)n);
}

/* ---- poll_oneoff ---- */

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

/* A call's subscriptions: a row of poll(2) each; a clock's row has descriptor -1 and a deadline from now. */
struct polling {
    struct subscription in[SUBSCRIPTIONS_MAX];
    struct pollfd rows[SUBSCRIPTIONS_MAX];
    uint64_t left_ns[SUBSCRIPTIONS_MAX];
    uint16_t errors[SUBSCRIPTIONS_MAX];
    uint32_t count;
    uint64_t shortest; /* UINT64_MAX: no clock */
};

static uint64_t clock_left(const struct subscription *s, uint16_t *ret_error)
{
    struct timespec now;
    if (s->id > 1) {
        *ret_error = INVAL;
        return 0;
    }
    if (!(s->flags & CLOCK_ABSTIME))
        return s->timeout;
    clock_gettime(s->id ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    return s->timeout > ns ? s->timeout - ns : 0;
}

static void prepare(struct preview1 *p, struct polling *polling, uint32_t i)
{
    const struct subscription *s = &polling->in[i];
    polling->rows[i] = (struct pollfd){.fd = -1};
    polling->left_ns[i] = UINT64_MAX;
    polling->errors[i] = OK;
    if (s->type == EVENT_CLOCK) {
        polling->left_ns[i] = clock_left(s, &polling->errors[i]);
    } else {
        const struct preview1_fd *fd = fd_of(p, s->id);
        polling->errors[i] = fd ? OK : BADF;
        polling->rows[i].fd = fd ? fd->host : -1;
        polling->rows[i].events = s->type == EVENT_FD_READ ? POLLIN : POLLOUT;
    }
    uint64_t left = polling->errors[i] ? 0 : polling->left_ns[i];
    if (left < polling->shortest)
        polling->shortest = left;
}

/* Event of subscription `i` after the wait; false when nothing happened to it. */
static bool happened(const struct polling *polling, uint32_t i, struct event *ret_event)
{
    const struct subscription *s = &polling->in[i];
    short ready = polling->rows[i].revents;
    if (!ready && !polling->errors[i] && polling->left_ns[i] > polling->shortest)
        return false;
    if (!ready && !polling->errors[i] && polling->left_ns[i] == UINT64_MAX)
        return false;
    *ret_event = (struct event){.userdata = s->userdata,
                                .error = polling->errors[i],
                                .type = s->type,
                                .bytes = ready & (POLLIN | POLLOUT) ? 1 : 0,
                                .flags = ready & POLLHUP ? 1 : 0};
    return true;
}

static bool wait_ready(struct polling *polling)
{
    struct timespec time = {(time_t)(polling->shortest / NS_PER_S), (long)(polling->shortest % NS_PER_S)};
    int ready = ppoll(polling->rows, polling->count, polling->shortest == UINT64_MAX ? NULL : &time, NULL);
    if (ready > 0)
        polling->shortest = 0;
    return ready >= 0 || errno != EINTR;
}

static uint32_t poll_oneoff(struct preview1 *p, const union cell *v)
{
    struct polling polling = {.count = v[2].u32, .shortest = UINT64_MAX};
    struct event event;
    uint32_t events = 0, code = OK;
    if (polling.count == 0 || polling.count > SUBSCRIPTIONS_MAX)
        return INVAL;
    const uint8_t *in = guest_bytes(p, v[0].u32, (uint64_t)polling.count * SUBSCRIPTION_BYTES);
    if (!in || !guest_bytes(p, v[1].u32, (uint64_t)polling.count * EVENT_BYTES) || !guest_bytes(p, v[3].u32, 4))
        return FAULT;
    memcpy(polling.in, in, polling.count * sizeof *polling.in);
    for (uint32_t i = 0; i < polling.count; i++) {
        if (polling.in[i].type > EVENT_FD_WRITE)
            return INVAL;
        prepare(p, &polling, i);
    }
    while (!wait_ready(&polling))
        continue;
    for (uint32_t i = 0; !code && i < polling.count; i++)
        if (happened(&polling, i, &event))
            code = put(p, v[1].u32 + EVENT_BYTES * events++, &event, sizeof event);
    return code ? code : put_u32(p, v[3].u32, events);
}

/* ---- linking ---- */

struct function {
    const char *name, *params, *results;
    uint32_t (*call)(struct preview1 *p, const union cell *v);
};

#define sched_yield sched_yield_
static const struct function functions[] = {
#define FUNCTION(name, params, results) {#name, params, results, name},
#include "wasi/preview1.def"
#undef FUNCTION
};
#undef sched_yield

static bool call(struct store *store, const void *env, union cell *v)
{
    const struct function *row = env;
    struct preview1 *p = store->host;
    uint32_t code = row->call(p, v);
    if (p->exited)
        return trap_raise(store, TRAP_EXIT, NULL);
    v[0].u64 = code;
    return true;
}

static bool types_match(const uint8_t *types, uint32_t count, const char *letters)
{
    if (strlen(letters) != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (types[i] != (letters[i] == 'i' ? WASM_I32 : WASM_I64))
            return false;
    return true;
}

static const struct function *find_function(struct str name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (str_eq(str_of(functions[i].name), name))
            return &functions[i];
    return NULL;
}

bool preview1_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                      const void **ret_env, struct err *err)
{
    struct str module = image_str(image, import->interface), name = image_str(image, import->name);
    const uint8_t *types = image_bytes(image) + import->types_first;
    const struct function *row = str_eq(module, STR("wasi_snapshot_preview1")) ? find_function(name) : NULL;
    (void)arg;
    if (!row) {
        err_set(err, ERR_LINK, "unknown import %.*s.%.*s", STR_ARG(module), STR_ARG(name));
        return err_remedy(err, "a module that runs imports from wasi_snapshot_preview1 only");
    }
    if (!types_match(types, import->param_count, row->params) ||
        !types_match(types + import->param_count, import->result_count, row->results)) {
        err_set(err, ERR_LINK, "%.*s.%.*s is imported with another type", STR_ARG(module), STR_ARG(name));
        return err_remedy(err, "build the module with a current WASI 0.1 library");
    }
    *ret_fn = call;
    *ret_env = row;
    return true;
}

void preview1_begin(struct preview1 *p, struct store *store, const struct image *image)
{
    static const uint64_t rights[PREVIEW1_FDS] = {RIGHTS_OF_READING, RIGHTS_OF_WRITING, RIGHTS_OF_WRITING};
    p->store = store;
    p->exited = false;
    p->memory_off = image_memories_count(image) ? image_memories(image)[0].base_off : 0;
    p->memory_size_off = image_memories_count(image) ? image_memories(image)[0].size_off : 0;
    for (uint32_t i = 0; i < PREVIEW1_FDS; i++)
        p->fds[i] = (struct preview1_fd){(int)i, rights[i]};
}
