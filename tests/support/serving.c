/* See serving.h. */
#include "support/serving.h"

#include "base/alloc.h"
#include "io/net.h"
#include "support/loop.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void drained(void *arg)
{
    struct serving *s = arg;
    s->drained = true;
}

/* A byte from the test: 'd' drain, 'q' quit, else let that allocation fail. */
static void control(struct io_watch *watch, unsigned events)
{
    struct serving *s = IO_OWNER(watch, struct serving, control);
    char what = 'q';
    if (read(watch->fd, &what, 1) == 1 && what == 'd')
        http_server_drain(s->server, drained, s);
    else if (what == 'q')
        io_stop(s->loop);
    else
        mem_fail_at((uint64_t)(unsigned char)what);
}

static bool open_server(struct serving *s, struct err *err)
{
    s->loop = test_loop(err);
    s->server = s->loop ? http_server_new(s->loop, s->service, s->limits, err) : NULL;
    if (!s->server)
        return false;
    http_server_set_tls(s->server, s->tls);
    return http_server_listen(s->server, s->listen_fd, err) && io_watch_level(s->loop, &s->control, err);
}

/* From beginning to end in one thread, as a loop wants it. */
static void *run(void *arg)
{
    struct serving *s = arg;
    struct err err;
    s->started = open_server(s, &err);
    sem_post(&s->ready);
    if (!s->started || !io_run(s->loop, &err))
        fprintf(stderr, "%s\n", err.message);
    http_server_free(s->server);
    if (s->started)
        io_unwatch(s->loop, &s->control);
    io_loop_free(s->loop);
    return NULL;
}

int serving_start(struct serving *s, const struct http_service *service, const struct http_limits *limits,
                  struct tls_context *tls)
{
    int pipes[2];
    socklen_t size = sizeof s->address;
    memset(s, 0, sizeof *s);
    s->service = service;
    s->limits = limits;
    s->tls = tls;
    if (!net_listen(STR("127.0.0.1:0"), &s->listen_fd, NULL) || pipe(pipes) < 0 || sem_init(&s->ready, 0, 0) < 0)
        return -1;
    getsockname(s->listen_fd, (struct sockaddr *)&s->address, &size);
    s->control = (struct io_watch){.ready = control, .fd = pipes[0]};
    s->control_in = pipes[1];
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return -1;
    sem_wait(&s->ready);
    return s->started ? 0 : -1;
}

static void tell(struct serving *s, char what)
{
    if (write(s->control_in, &what, 1) != 1)
        perror("write");
}

int serving_stop(struct serving *s)
{
    tell(s, 'q');
    pthread_join(s->thread, NULL);
    close(s->listen_fd);
    close(s->control.fd);
    close(s->control_in);
    return 0;
}

void serving_drain(struct serving *s)
{
    tell(s, 'd');
}

void serving_fail_at(struct serving *s, unsigned char nth)
{
    tell(s, (char)nth);
    usleep(5000);
}

int serving_connect(const struct serving *s)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {5, 0};
    if (connect(fd, (const struct sockaddr *)&s->address, sizeof s->address) != 0)
        perror("connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

uint32_t serving_connections(const struct serving *s, uint32_t wanted)
{
    for (int i = 0; i < 100 && http_server_connections(s->server) != wanted; i++)
        usleep(10000);
    return http_server_connections(s->server);
}
