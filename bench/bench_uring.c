/* The event loop's backends beside each other, and what else io_uring offers: receiving by the ring into buffers that
 * connections share, and sending by it.
 *
 *     bench-uring [TURNS]
 *
 * A server under load serves the requests that are there, then looks again. Here one process is both sides: it writes a
 * request to some connections, which is not timed, lets one kind of loop serve them, which is, and takes the answers,
 * which is not. Kinds take turns with each turn of that, so what else the machine does hits all of them alike.
 * Connections are in two groups that take turns too, because what is sent by a ring leaves when it is next entered.
 *
 * The last part is a server that has little to do: a client in another thread sends one request after the other, and
 * the loop sleeps between them. There it is processor time of the loop's thread.
 *
 * Prints medians and, for each number of requests that are there at once, the ratio to epoll, with the quartiles over a
 * hundred parts. */
#include "base/alloc.h"
#include "base/clock.h"
#include "io/loop.h"
#include "io/ring.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define READY_MAX 16
#define BUFFERS 256u
#define BUFFER_SIZE 4096u
#define PARTS 100

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 00:00:00 GMT\r\ncontent-type: text/plain\r\n"
                             "content-length: 30\r\n\r\nHello from C! You asked for /\n";
static char input[32768]; /* where every loop has the request in the end */

struct connection {
    struct io_watch watch;
    struct kind *kind;
    int peer;
};

struct kind {
    const char *name;
    bool (*open)(struct kind *kind, struct err *err);
    void (*add)(struct kind *kind, struct connection *c);
    void (*turn)(struct kind *kind, int count); /* until so many requests are served */
    bool late;                                  /* answers leave with the next turn */
    struct io_loop *loop;
    struct ring ring;
    struct io_uring_buf_ring *free;
    char *buffers;
    uint16_t free_tail;
    int served, wanted;
    struct connection connections[2][READY_MAX];
    double *times;
};

/* ---- the loops of mayfly ---- */

static bool open_epoll(struct kind *kind, struct err *err)
{
    kind->loop = io_loop_open(IO_EPOLL, err);
    return kind->loop != NULL;
}

static bool open_uring(struct kind *kind, struct err *err)
{
    kind->loop = io_loop_open(IO_URING, err);
    return kind->loop != NULL;
}

static void serve(struct io_watch *watch, unsigned events)
{
    struct connection *c = IO_OWNER(watch, struct connection, watch);
    struct kind *kind = c->kind;
    if (io_recv(kind->loop, watch, input, sizeof input) <= 0)
        return;
    io_send(kind->loop, watch, answer, sizeof answer - 1);
    if (++kind->served == kind->wanted)
        io_stop(kind->loop);
}

static void add_watch(struct kind *kind, struct connection *c)
{
    struct err err;
    c->watch.ready = serve;
    if (!io_watch(kind->loop, &c->watch, &err))
        exit(1);
}

static void turn_loop(struct kind *kind, int count)
{
    struct err err;
    kind->served = 0;
    kind->wanted = count;
    if (!io_run(kind->loop, &err))
        exit(1);
}

/* ---- by hand ---- */

static struct io_uring_sqe *next(struct kind *kind)
{
    struct io_uring_sqe *sqe = ring_submission(&kind->ring);
    if (!sqe)
        exit(1);
    return sqe;
}

static void give_buffer(struct kind *kind, uint16_t number)
{
    struct io_uring_buf *buffer = &kind->free->bufs[kind->free_tail++ & (BUFFERS - 1)];
    buffer->addr = (uintptr_t)(kind->buffers + (size_t)number * BUFFER_SIZE);
    buffer->len = BUFFER_SIZE;
    buffer->bid = number;
    __atomic_store_n(&kind->free->tail, kind->free_tail, __ATOMIC_RELEASE);
}

static bool open_ring(struct kind *kind, struct err *err)
{
    static const uint8_t operations[] = {IORING_OP_POLL_ADD, IORING_OP_RECV, IORING_OP_SEND};
    const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    kind->free = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), protection, flags, -1, 0);
    kind->buffers = mmap(NULL, (size_t)BUFFERS * BUFFER_SIZE, protection, flags, -1, 0);
    struct io_uring_buf_reg shared = {.ring_addr = (uintptr_t)kind->free, .ring_entries = BUFFERS};
    if (kind->free == MAP_FAILED || kind->buffers == MAP_FAILED || !ring_open(&kind->ring, 64, 256, err))
        return false;
    if (syscall(SYS_io_uring_register, kind->ring.fd, IORING_REGISTER_PBUF_RING, &shared, 1) < 0)
        return err_errno(err, "io_uring_register(buffers)");
    for (uint16_t i = 0; i < BUFFERS; i++)
        give_buffer(kind, i);
    return ring_restrict(&kind->ring, operations, 3, IOSQE_CQE_SKIP_SUCCESS | IOSQE_BUFFER_SELECT, err) &&
           ring_enable(&kind->ring, err);
}

static void add_receive(struct kind *kind, struct connection *c)
{
    struct io_uring_sqe *sqe = next(kind);
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = c->watch.fd;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST;
    sqe->user_data = (uintptr_t)c;
}

static void add_poll(struct kind *kind, struct connection *c)
{
    struct io_uring_sqe *sqe = next(kind);
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = c->watch.fd;
    sqe->len = IORING_POLL_ADD_MULTI;
    sqe->poll32_events = POLLIN | POLLOUT | POLLRDHUP;
    sqe->user_data = (uintptr_t)c;
}

static void send_later(struct kind *kind, const struct connection *c)
{
    struct io_uring_sqe *sqe = next(kind);
    sqe->opcode = IORING_OP_SEND;
    sqe->fd = c->watch.fd;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->addr = (uintptr_t)answer;
    sqe->len = sizeof answer - 1;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

/* The bytes are copied out, as io_recv would, so that the buffer is free again. */
static bool take(struct kind *kind, const struct io_uring_cqe *completion, struct connection *c)
{
    if (kind->add == add_poll)
        return recv(c->watch.fd, input, sizeof input, 0) > 0;
    if (completion->res <= 0 || !(completion->flags & IORING_CQE_F_MORE))
        exit(1);
    uint16_t number = (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
    memcpy(input, kind->buffers + (size_t)number * BUFFER_SIZE, (size_t)completion->res);
    give_buffer(kind, number);
    return true;
}

static void turn_ring(struct kind *kind, int count)
{
    struct io_uring_cqe completion;
    kind->served = 0;
    while (kind->served < count) {
        ring_enter(&kind->ring, 1, UINT64_MAX);
        while (ring_take(&kind->ring, &completion)) {
            struct connection *c = (struct connection *)(uintptr_t)completion.user_data;
            if (!c || !take(kind, &completion, c))
                continue;
            kind->served++;
            if (kind->late)
                send_later(kind, c);
            else
                send(c->watch.fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        }
    }
}

/* ---- the bench ---- */

static struct kind kinds[] = {
    {.name = "epoll (--io epoll)", .open = open_epoll, .add = add_watch, .turn = turn_loop},
    {.name = "io_uring, polls (--io uring)", .open = open_uring, .add = add_watch, .turn = turn_loop},
    {.name = "io_uring, receives", .open = open_ring, .add = add_receive, .turn = turn_ring},
    {.name = "io_uring, polls and sends", .open = open_ring, .add = add_poll, .turn = turn_ring, .late = true},
    {.name = "io_uring, receives and sends", .open = open_ring, .add = add_receive, .turn = turn_ring, .late = true},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void join(struct connection *c, struct kind *kind, int listener)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int on = 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    c->kind = kind;
    c->peer = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->peer, (struct sockaddr *)&address, size) != 0)
        exit(1);
    c->watch.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    setsockopt(c->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->watch.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    kind->add(kind, c);
}

static bool prepare(struct kind *kind, int listener, size_t turns, struct err *err)
{
    kind->times = mem_alloc(turns, sizeof *kind->times);
    if (!kind->times || !kind->open(kind, err))
        return false;
    for (int i = 0; i < 2 * READY_MAX; i++)
        join(&kind->connections[i / READY_MAX][i % READY_MAX], kind, listener);
    return true;
}

static void collect(struct connection *connections, int count)
{
    char bytes[sizeof answer];
    for (int i = 0; i < count; i++)
        if (recv(connections[i].peer, bytes, sizeof bytes, 0) != sizeof answer - 1)
            exit(1);
}

/* `owed`: the other group's answers are still to come. */
static void step(struct kind *kind, int group, int count, bool owed, double *ret_ns)
{
    struct connection *connections = kind->connections[group];
    for (int i = 0; i < count; i++)
        send(connections[i].peer, request, sizeof request - 1, 0);
    uint64_t from = clock_now_ns();
    kind->turn(kind, count);
    *ret_ns = (double)(clock_now_ns() - from) / count;
    if (!kind->late)
        collect(connections, count);
    else if (owed)
        collect(kind->connections[!group], count);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

static void report(int count, size_t turns)
{
    double base[PARTS], all = 0;
    size_t part = turns / PARTS;
    for (size_t k = 0; k < KINDS; k++) {
        double ratios[PARTS], parts[PARTS];
        for (size_t i = 0; i < PARTS; i++)
            parts[i] = median(kinds[k].times + i * part, part);
        if (k == 0)
            memcpy(base, parts, sizeof base);
        for (size_t i = 0; i < PARTS; i++)
            ratios[i] = parts[i] / base[i];
        all = median(parts, PARTS);
        double middle = median(ratios, PARTS);
        printf("%2d  %-30s %7.0f  %.3f (%.3f to %.3f)\n", count, kinds[k].name, all, middle, ratios[PARTS / 4],
               ratios[PARTS * 3 / 4]);
    }
}

static void measure(int count, size_t turns)
{
    for (size_t i = 0; i < turns; i++)
        for (size_t k = 0; k < KINDS; k++)
            step(&kinds[k], (int)(i & 1), count, i > 0, &kinds[k].times[i]);
    for (size_t k = 0; k < KINDS; k++) {
        if (!kinds[k].late)
            continue;
        ring_enter(&kinds[k].ring, 0, 0);
        collect(kinds[k].connections[(turns - 1) & 1], count);
    }
    report(count, turns);
}

/* ---- woken for each request ---- */

#define BLOCK 100 /* requests of a kind until the next has its turn */

static sem_t begin, asked;
static struct connection *asker;

static void *ask(void *arg)
{
    for (;;) {
        sem_wait(&begin);
        for (int i = 0; i < BLOCK; i++) {
            send(asker->peer, request, sizeof request - 1, 0);
            collect(asker, 1);
        }
        sem_post(&asked);
    }
    return NULL;
}

static double thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double answer_block(struct kind *kind)
{
    asker = &kind->connections[0][0];
    double from = thread_ns();
    sem_post(&begin);
    kind->turn(kind, BLOCK);
    if (kind->late)
        ring_enter(&kind->ring, 0, 0);
    double spent = thread_ns() - from;
    sem_wait(&asked);
    return spent / BLOCK;
}

static bool measure_woken(size_t turns)
{
    pthread_t thread;
    size_t blocks = turns / BLOCK / PARTS * PARTS + PARTS;
    if (sem_init(&begin, 0, 0) != 0 || sem_init(&asked, 0, 0) != 0 || pthread_create(&thread, NULL, ask, NULL) != 0)
        return false;
    for (size_t i = 0; i < blocks; i++)
        for (size_t k = 0; k < KINDS; k++)
            kinds[k].times[i] = answer_block(&kinds[k]);
    printf("woken for each, processor time\n");
    report(1, blocks);
    return true;
}

int main(int argc, char **argv)
{
    size_t turns = (argc > 1 ? (size_t)strtol(argv[1], NULL, 10) : 20000) / PARTS * PARTS;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = {0};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (turns == 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
        return 1;
    for (size_t k = 0; k < KINDS; k++)
        if (!prepare(&kinds[k], listener, turns, &err)) {
            err_print(&err, kinds[k].name);
            return 1;
        }
    printf("at once; loop; ns per request; ratio to epoll (quartiles)\n");
    for (int count = 1; count <= READY_MAX; count *= 2)
        measure(count, count == 1 ? turns : turns / (size_t)count / PARTS * PARTS + PARTS);
    return measure_woken(turns) ? 0 : 1;
}
