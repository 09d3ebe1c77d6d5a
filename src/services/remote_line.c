/* Lines: see remote_inner.h. Those that were given back clean are kept for a while, and make room for others. */
#include "base/alloc.h"
#include "services/remote_inner.h"

static void on_line(struct io_watch *watch, unsigned events)
{
    struct line *line = IO_OWNER(watch, struct line, watch);
    line->protocol->step(line, events);
    remote_settle(line->owner);
}

void remote_free_line(struct kept_line *line)
{
    struct remote *remote = line->remote;
    *line->link = line->next;
    if (line->next)
        line->next->link = line->link;
    remote->line_count--;
    remote->kept_count -= !line->session;
    if (line->session)
        line->session->line = NULL;
    io_timer_stop(remote->loop, &line->timer);
    if (line->line->watch.fd >= 0)
        io_unwatch(remote->loop, &line->line->watch);
    line->line->protocol->close(line->line);
    buf_free(&line->line->room);
    mem_free(line->line);
    mem_free(line->target);
    mem_free(line);
}

static void on_line_old(struct io_timer *timer)
{
    remote_free_line(IO_OWNER(timer, struct kept_line, timer));
}

static struct kept_line *new_line(struct session *session)
{
    struct remote *remote = session->remote;
    struct kept_line *line = mem_alloc(1, sizeof *line);
    struct target *target = line ? target_copy(session->target) : NULL;
    struct line *inner = target ? mem_alloc(1, remote->protocol->size) : NULL;
    if (!inner) {
        mem_free(target);
        mem_free(line);
        return NULL;
    }
    *inner = (struct line){.protocol = remote->protocol,
                           .loop = remote->loop,
                           .watch = {.fd = -1, .ready = on_line},
                           .target = target,
                           .owner = line};
    line->line = inner;
    buf_init(&line->line->room, FRAME_ANSWER_MAX + FRAME_HEAD);
    line->remote = remote;
    line->session = session;
    line->target = target;
    line->timer.fired = on_line_old;
    line->next = remote->lines;
    line->link = &remote->lines;
    if (line->next)
        line->next->link = &line->next;
    remote->lines = line;
    remote->line_count++;
    session->line = line;
    return line;
}

struct kept_line *remote_find_line(const struct remote *remote, const struct target *target)
{
    for (struct kept_line *line = remote->lines; line; line = line->next)
        if (!line->session && line->line->state == LINE_READY && target_same(line->target, target))
            return line;
    return NULL;
}

bool remote_has_room(const struct remote *remote, const struct target *target)
{
    size_t there = 0, used = 0; /* lines that lead there; that sessions of its function have */
    for (const struct kept_line *line = remote->lines; line; line = line->next) {
        there += target_same(line->target, target);
        used += line->session && line->target->net == target->net;
    }
    return remote->store ? there < REMOTE_STORE_LINES_MAX
                         : there < REMOTE_TARGET_LINES_MAX && used < remote_share(remote, REMOTE_LINES_MAX);
}

/* Those that nobody has make room for others. */
static bool make_room(struct remote *remote)
{
    for (struct kept_line *line = remote->lines; remote->line_count >= REMOTE_LINES_MAX && line; line = line->next)
        if (!line->session) {
            remote_free_line(line);
            break;
        }
    return remote->line_count < REMOTE_LINES_MAX;
}

struct kept_line *remote_new_line(struct session *session)
{
    return make_room(session->remote) ? new_line(session) : NULL;
}

void remote_keep_line(struct kept_line *line)
{
    struct remote *remote = line->remote;
    line->session->line = NULL;
    line->session = NULL;
    remote->kept_count++;
    io_timer_set(remote->loop, &line->timer, io_now_us(remote->loop) + remote->settings.idle_ms * MS_US);
}

void remote_take_line(struct kept_line *line, struct session *session)
{
    io_timer_stop(line->remote->loop, &line->timer);
    line->session = session;
    line->remote->kept_count--;
    session->line = line;
}
