/* See succession.h. One loop around poll: signals, and channels to the node that serves and to the next one. */
#include "node/succession.h"

#include "base/log.h"
#include "node/channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETIRING_MAX 8u /* nodes; of more, the first loses its supervisor: its workers drain without one */

struct node {
    pid_t pid;   /* 0: there is none */
    int channel; /* -1: closed */
};

struct succession {
    int (*node)(void *arg, const struct succession_seat *seat);
    void *arg;
    struct node serving, next;
    struct node retiring[RETIRING_MAX]; /* the first of them first */
    uint32_t retiring_count;
    int signal_fd;
    sigset_t signals, before; /* that are read from signal_fd; what was blocked when we came */
    bool ready;    /* `serving` serves */
    bool again;    /* SIGHUP came while a node began */
    bool ending;   /* a signal asked for it, or there is nobody left to serve */
    int status;    /* of the node that served last */
};

/* ---- nodes ---- */

static void close_channel(struct node *node)
{
    if (node->channel >= 0)
        close(node->channel);
    node->channel = -1;
}

/* In a child: what belongs to us alone is closed, and signals are as they were. */
static void become_node(struct succession *s, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    close_channel(&s->serving);
    close_channel(&s->next);
    for (uint32_t i = 0; i < s->retiring_count; i++)
        close_channel(&s->retiring[i]);
    close(s->signal_fd);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}

static bool begin(struct succession *s, struct node *node, struct err *err)
{
    struct succession_seat seat = {.first = node == &s->serving};
    int ends[2];
    pid_t parent = getpid();
    if (!channel_open(ends, err))
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_node(s, parent);
        seat.channel = ends[1];
        exit(s->node(s->arg, &seat));
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, "fork");
    }
    *node = (struct node){pid, ends[0]};
    return true;
}

static void begin_next(struct succession *s)
{
    struct err err = {0};
    if (s->next.pid || s->ending)
        return;
    log_line(LOG_INFO, NULL, "reloading: the application has changed");
    if (!begin(s, &s->next, &err))
        log_line(LOG_ERROR, NULL, "not reloaded: %s", err.message);
}

static void forget_retired(struct succession *s, uint32_t index)
{
    close_channel(&s->retiring[index]);
    s->retiring_count--;
    for (uint32_t i = index; i < s->retiring_count; i++)
        s->retiring[i] = s->retiring[i + 1];
}

/* Without one the signal would go to whoever is in our process group. */
static void send_signal(const struct node *node, int number)
{
    if (node->pid > 0)
        kill(node->pid, number);
}

/* The one that serves answers what it has, and ends. It is told so by a message, because a signal has another meaning:
 * it would not wait for clients that are between two requests. It may have ended by itself. */
static void retire(struct succession *s)
{
    const struct message message = {.kind = MESSAGE_RETIRE};
    if (!s->serving.pid)
        return;
    if (s->retiring_count == RETIRING_MAX) {
        send_signal(&s->retiring[0], SIGKILL);
        waitpid(s->retiring[0].pid, NULL, 0);
        forget_retired(s, 0);
    }
    if (!channel_send(s->serving.channel, &message, -1))
        send_signal(&s->serving, SIGTERM);
    s->retiring[s->retiring_count++] = s->serving;
}

static void ask_to_reload(struct succession *s)
{
    s->again = s->next.pid || !s->ready;
    if (!s->again)
        send_signal(&s->serving, SIGHUP);
}

static void next_is_ready(struct succession *s)
{
    retire(s);
    s->serving = s->next;
    s->next = (struct node){0, -1};
    log_line(LOG_INFO, NULL, "reloaded");
    if (s->again)
        ask_to_reload(s);
}

static void hear(struct succession *s, struct node *node)
{
    struct message message;
    int fd;
    enum packet_got got;
    while (node->channel >= 0 && (got = channel_receive(node->channel, &message, &fd)) != PACKET_NOTHING) {
        if (got == PACKET_CLOSED) {
            close_channel(node);
        } else if (message.kind == MESSAGE_READY && node == &s->next) {
            next_is_ready(s);
            return; /* there is another node in this place */
        } else if (message.kind == MESSAGE_READY) {
            s->ready = true;
            if (s->again)
                ask_to_reload(s);
        } else if (message.kind == MESSAGE_CHANGED && node == &s->serving) {
            begin_next(s);
        } else if (fd >= 0) {
            close(fd);
        }
    }
}

/* ---- signals ---- */

static void pass_on(const struct succession *s, int number)
{
    send_signal(&s->serving, number);
    send_signal(&s->next, number);
    for (uint32_t i = 0; i < s->retiring_count; i++)
        send_signal(&s->retiring[i], number);
}

static void serving_ended(struct succession *s, int status)
{
    close_channel(&s->serving);
    s->serving.pid = 0;
    s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (WIFSIGNALED(status) && !s->ending)
        log_line(LOG_ERROR, NULL, "the supervisor was ended by signal %d", WTERMSIG(status));
    s->ending = true;
    pass_on(s, SIGTERM);
}

/* It has said why. */
static void next_ended(struct succession *s)
{
    close_channel(&s->next);
    s->next.pid = 0;
    if (s->ending)
        return;
    log_line(LOG_ERROR, NULL, "not reloaded: what was there before goes on; send SIGHUP again");
    if (s->again)
        ask_to_reload(s);
}

static void collect(struct succession *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->next.pid)
            hear(s, &s->next); /* it may have been ready first */
        if (pid == s->serving.pid)
            serving_ended(s, status);
        else if (pid == s->next.pid)
            next_ended(s);
        for (uint32_t i = 0; i < s->retiring_count; i++)
            if (s->retiring[i].pid == pid)
                forget_retired(s, i--);
    }
}

static void on_signal(struct succession *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            ask_to_reload(s);
        if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
            continue;
        s->ending = true;
        pass_on(s, SIGTERM);
    }
    collect(s);
}

static bool open_signals(struct succession *s, struct err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    sigemptyset(&s->signals);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&s->signals, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &s->signals, &s->before) != 0)
        return err_errno(err, "sigprocmask");
    s->signal_fd = signalfd(-1, &s->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd >= 0 || err_errno(err, "signalfd");
}

/* ---- life ---- */

static bool wait_for_news(struct succession *s, struct err *err)
{
    struct pollfd polled[] = {{s->signal_fd, POLLIN, 0}, {s->serving.channel, POLLIN, 0}, {s->next.channel, POLLIN, 0}};
    return poll(polled, sizeof polled / sizeof *polled, -1) >= 0 || errno == EINTR || err_errno(err, "poll");
}

static bool any_node(const struct succession *s)
{
    return s->serving.pid || s->next.pid || s->retiring_count;
}

bool succession_run(int (*node)(void *arg, const struct succession_seat *seat), void (*begun)(void *arg), void *arg,
                    int *ret_status, struct err *err)
{
    struct succession s = {.node = node, .arg = arg, .serving.channel = -1, .next.channel = -1, .signal_fd = -1};
    bool done = open_signals(&s, err) && begin(&s, &s.serving, err);
    if (done)
        begun(arg);
    while (done && any_node(&s)) {
        done = wait_for_news(&s, err);
        hear(&s, &s.serving);
        hear(&s, &s.next);
        on_signal(&s);
    }
    close_channel(&s.serving);
    close_channel(&s.next);
    while (s.retiring_count)
        forget_retired(&s, 0);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    *ret_status = s.status;
    return done;
}
