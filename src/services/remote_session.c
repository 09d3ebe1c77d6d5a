/* Sessions: see remote_inner.h. */
#include "base/alloc.h"
#include "services/remote_inner.h"

#include <stdio.h>

/* ---- answers ---- */

static void note_broken(struct remote *remote)
{
    remote->broken = true;
    io_post(remote->loop, &remote->turn);
}

void remote_say(struct remote *remote, uint64_t id, enum storage_status status, const char *message)
{
    if (!wire_say(&remote->wire, id, status, message) || !wire_flush(&remote->wire))
        note_broken(remote);
}

void session_answer(struct session *session, enum storage_status status, const char *message)
{
    if (!session->asked)
        return;
    session->asked = false;
    io_timer_stop(session->remote->loop, &session->timer);
    remote_say(session->remote, session->id, status, message);
    if (session->once)
        session_end(session);
}

/* Move the line's answer to the worker. False: it is too large, or too much waits. */
static bool send_answer(struct session *session, struct line *line, struct err *err)
{
    struct buf *out = &session->remote->wire.out;
    if (!frame_end(&line->answer, STORAGE_DONE, session->id))
        return err_set(err, ERR_LIMIT, "the answer has more than %zu bytes or %u values", FRAME_ANSWER_MAX,
                       FRAME_VALUES_MAX);
    bool sent = buf_append(out, line->room.data, line->room.size);
    out->failed = out->full = false;
    buf_free(&line->room);
    return sent || err_set(err, ERR_LIMIT, "too much waits for the worker");
}

static void answer_done(struct session *session, struct line *line)
{
    struct err err = {0};
    if (!send_answer(session, line, &err)) {
        session_answer(session, STORAGE_FAILED, err.message);
        return;
    }
    session->asked = false;
    io_timer_stop(session->remote->loop, &session->timer);
    if (!wire_flush(&session->remote->wire))
        note_broken(session->remote);
    if (session->once)
        session_end(session);
}

/* ---- sessions on their way to a line ---- */

static void wait_for_line(struct session *session)
{
    struct remote *remote = session->remote;
    session->state = SESSION_WAITS;
    session->waiting = remote->last_waiting;
    session->next_waiting = NULL;
    *remote->last_waiting = session;
    remote->last_waiting = &session->next_waiting;
}

static void stop_waiting(struct session *session)
{
    struct remote *remote = session->remote;
    if (!session->waiting)
        return;
    *session->waiting = session->next_waiting;
    if (session->next_waiting)
        session->next_waiting->waiting = session->waiting;
    else
        remote->last_waiting = session->waiting;
    session->waiting = NULL;
}

void remote_serve_waiting(struct remote *remote)
{
    if (remote->first_waiting)
        io_post(remote->loop, &remote->freed);
}

static struct session *next_served(const struct remote *remote)
{
    struct session *session = remote->first_waiting;
    while (session && !remote_find_line(remote, session->target) && !remote_has_room(remote, session->target))
        session = session->next_waiting;
    return session;
}

void remote_on_freed(struct io_post *post)
{
    struct remote *remote = IO_OWNER(post, struct remote, freed);
    struct session *session;
    while ((session = next_served(remote))) {
        stop_waiting(session);
        session_begin(session);
    }
}

/* It has a line that is ready. */
static void opened(struct session *session)
{
    session->state = SESSION_OPEN;
    if (session->once)
        session_ask(session, session->frame.code, session->values, session->frame.count);
    else
        session_answer(session, STORAGE_DONE, "");
}

static void lose(struct session *session, enum storage_status status, const char *message)
{
    session->state = SESSION_LOST;
    session_answer(session, status, message);
}

static void drop_line(struct session *session)
{
    if (session->line)
        remote_free_line(session->line);
}

/* One address after the other. */
static void try_next(struct session *session, const char *why)
{
    struct remote *remote = session->remote;
    struct err err = {0};
    char last[sizeof err.message];
    snprintf(last, sizeof last, "%s", why);
    while (session->tried < session->address_count) {
        const struct ip_endpoint to = {.address = session->addresses[session->tried++], .port = session->target->port};
        struct kept_line *line = remote_new_line(session);
        if (!line) {
            lose(session, STORAGE_CROWDED, "too many connections are open");
            return;
        }
        remote->protocol->open(line->line, &to);
        if (line->line->state != LINE_BROKEN)
            return;
        snprintf(last, sizeof last, "%s", line->line->err.message);
        drop_line(session);
    }
    lose(session, STORAGE_FAILED, last);
}

/* The addresses that are granted; the first one that is not, if there are none. */
static void take_addresses(struct session *session, const struct ip_address *found, uint32_t count)
{
    char text[IP_TEXT_MAX];
    for (uint32_t i = 0; i < count && session->address_count < REMOTE_ENDPOINTS_MAX; i++)
        if (remote_permits_address(session->remote, session->target, &found[i]))
            session->addresses[session->address_count++] = found[i];
    if (session->address_count && !remote_has_room(session->remote, session->target)) {
        session->address_count = 0; /* others were faster */
        wait_for_line(session);
        return;
    }
    session->state = SESSION_OPENS;
    if (session->address_count) {
        try_next(session, "");
        return;
    }
    const struct ip_endpoint to = {.address = found[0], .port = session->target->port};
    ip_endpoint_text(&to, text);
    lose(session, STORAGE_DENIED, text);
}

static void looked_up(struct io_lookup *lookup)
{
    struct session *session = IO_OWNER(lookup, struct session, lookup);
    struct remote *remote = session->remote;
    if (lookup->result == IO_LOOKUP_FOUND)
        take_addresses(session, lookup->addresses, lookup->count);
    else
        lose(session, STORAGE_FAILED,
             lookup->result == IO_LOOKUP_NO_NAME ? "the host has no address" : "the host cannot be looked up");
    remote_serve_waiting(remote);
}

static void look_up(struct session *session)
{
    struct ip_address address;
    session->state = SESSION_LOOKUP;
    if (ip_parse(session->target->host, &address)) {
        take_addresses(session, &address, 1);
    } else if (session->remote->resolver && io_name_valid(session->target->host)) {
        session->lookup.done = looked_up;
        io_lookup_start(session->remote->resolver, &session->lookup, session->target->host);
    } else {
        lose(session, STORAGE_FAILED, "the host cannot be looked up");
    }
}

void session_begin(struct session *session)
{
    struct kept_line *kept = remote_find_line(session->remote, session->target);
    if (kept) {
        remote_take_line(kept, session);
        opened(session);
    } else if (remote_has_room(session->remote, session->target)) {
        look_up(session);
    } else {
        wait_for_line(session);
    }
}

/* ---- requests to a line ---- */

void session_ask(struct session *session, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct remote *remote = session->remote;
    struct line *line = session->line->line;
    io_timer_set(remote->loop, &session->timer, io_now_us(remote->loop) + remote->settings.answer_ms * MS_US);
    line->err = (struct err){0};
    frame_begin(&line->answer, &line->room, FRAME_ANSWER_MAX);
    line->protocol->ask(line, operation, values, count);
    remote_settle(session->line);
}

static void settle_opening(struct session *session, struct line *line)
{
    char why[sizeof line->err.message];
    bool reached = line->reached;
    if (line->state == LINE_READY) {
        opened(session);
    } else if (line->state == LINE_BROKEN) {
        snprintf(why, sizeof why, "%s", line->err.message);
        drop_line(session);
        if (reached)
            lose(session, STORAGE_FAILED, why);
        else
            try_next(session, why);
    }
}

void remote_settle(struct kept_line *kept)
{
    struct session *session = kept->session;
    struct line *line = kept->line;
    struct remote *remote = kept->remote;
    char why[sizeof line->err.message];
    if (!session) { /* it was made as new, or nobody asked: it ended, or said something */
        if (line->state == LINE_BROKEN)
            remote_free_line(kept);
    } else if (session->state == SESSION_OPENS) {
        settle_opening(session, line);
    } else if (line->state == LINE_BROKEN) {
        snprintf(why, sizeof why, "%s", line->err.message);
        drop_line(session);
        lose(session, STORAGE_FAILED, why);
    } else if (line->state == LINE_READY && session->asked && line->status == STORAGE_DONE) {
        answer_done(session, line);
    } else if (line->state == LINE_READY && session->asked) {
        frame_cancel(&line->answer);
        session_answer(session, line->status, line->err.message);
    } else {
        return;
    }
    remote_serve_waiting(remote);
}

/* ---- sessions ---- */

/* The line of a session that ends: kept if it is as it was. */
static void give_back(struct session *session)
{
    struct kept_line *line = session->line;
    struct remote *remote = session->remote;
    bool clean = line && line->line->state == LINE_READY && !session->asked && remote->kept_count < REMOTE_KEPT_MAX;
    if (clean && line->line->touched)
        clean = remote->protocol->reset && remote->protocol->reset(line->line);
    if (clean)
        remote_keep_line(line);
    else
        drop_line(session);
}

void session_end(struct session *session)
{
    struct remote *remote = session->remote;
    io_timer_stop(remote->loop, &session->timer);
    io_lookup_cancel(&session->lookup);
    stop_waiting(session);
    give_back(session);
    *session->link = session->next;
    if (session->next)
        session->next->link = session->link;
    remote->session_count--;
    if (session->target->net >= 0)
        remote->net_sessions[session->target->net]--;
    mem_free(session->target);
    mem_free(session->values);
    mem_free(session);
}

static void on_session_late(struct io_timer *timer)
{
    struct session *session = IO_OWNER(timer, struct session, timer);
    struct remote *remote = session->remote;
    char text[96];
    bool waits = session->state == SESSION_WAITS, open = session->state == SESSION_OPEN;
    io_lookup_cancel(&session->lookup);
    stop_waiting(session);
    drop_line(session);
    snprintf(text, sizeof text, open ? "no answer within %u ms" : "no connection within %u ms",
             open ? remote->settings.answer_ms : remote->settings.connect_ms);
    lose(session, waits ? STORAGE_CROWDED : STORAGE_FAILED, waits ? "too many connections are open" : text);
    remote_serve_waiting(remote);
}

struct session *session_find(const struct remote *remote, int64_t number)
{
    struct session *session = remote->sessions[(uint64_t)number % REMOTE_LISTS];
    while (session && session->number != number)
        session = session->next;
    return session;
}

struct session *session_new(struct remote *remote, int64_t number, uint64_t id, struct target *target)
{
    struct session *session = target ? mem_alloc(1, sizeof *session) : NULL;
    struct session **list = &remote->sessions[(uint64_t)number % REMOTE_LISTS];
    if (!session) {
        mem_free(target);
        return NULL;
    }
    session->remote = remote;
    session->number = number;
    session->id = id;
    session->asked = true;
    session->target = target;
    session->timer.fired = on_session_late;
    session->next = *list;
    session->link = list;
    if (session->next)
        session->next->link = &session->next;
    *list = session;
    remote->session_count++;
    if (target->net >= 0)
        remote->net_sessions[target->net]++;
    io_timer_set(remote->loop, &session->timer, io_now_us(remote->loop) + remote->settings.connect_ms * MS_US);
    return session;
}
