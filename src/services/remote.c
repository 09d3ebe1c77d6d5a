/* See remote.h. This file: what the worker asks, and the life of the process. */
#include "services/remote.h"

#include "base/alloc.h"
#include "base/log.h"
#include "io/landlock.h"
#include "services/confine.h"
#include "services/parcel.h"
#include "services/remote_inner.h"
#include "wasi/service_address.h"

#include <stdio.h>
#include <unistd.h>

#define OUT_MAX ((size_t)256 << 20)

/* ---- what the worker asks ---- */

static bool is_link(const struct storage_value *values, uint32_t count)
{
    static const enum storage_type types[] = {STORAGE_INTEGER, STORAGE_INTEGER, STORAGE_TEXT,
                                              STORAGE_INTEGER, STORAGE_TEXT,    STORAGE_TEXT,
                                              STORAGE_TEXT,    STORAGE_TEXT,    STORAGE_INTEGER};
    bool good = count == sizeof types / sizeof *types;
    for (uint32_t i = 0; good && i < count; i++)
        good = values[i].type == types[i] &&
               (values[i].type != STORAGE_TEXT || values[i].bytes.len <= SERVICE_ADDRESS_MAX);
    return good && values[1].integer >= 0 && values[3].integer > 0 && values[3].integer <= UINT16_MAX;
}

static void serve_link(struct remote *remote, const struct frame *frame, const struct storage_value *values)
{
    if (!is_link(values, frame->count) || session_find(remote, values[0].integer)) {
        remote_say(remote, frame->id, STORAGE_FAILED, "this opens no connection");
        return;
    }
    const struct str texts[] = {values[2].bytes, values[4].bytes, values[5].bytes, values[6].bytes, values[7].bytes};
    struct target *target = target_new(values[1].integer, (uint16_t)values[3].integer, values[8].integer != 0, texts);
    if (target && !remote_permits(remote, target)) {
        mem_free(target);
        remote_say(remote, frame->id, STORAGE_DENIED, "it is not granted");
        return;
    }
    if (target && remote->net_sessions[target->net] >= remote_share(remote, REMOTE_SESSIONS_MAX)) {
        mem_free(target);
        remote_say(remote, frame->id, STORAGE_CROWDED, "too many connections are open");
        return;
    }
    struct session *session = session_new(remote, values[0].integer, frame->id, target);
    if (session)
        session_begin(session);
    else
        remote_say(remote, frame->id, STORAGE_FAILED, "out of memory");
}

static void serve_session(struct remote *remote, const struct frame *frame, const struct storage_value *values)
{
    bool numbered = frame->count && values[0].type == STORAGE_INTEGER;
    struct session *session = numbered ? session_find(remote, values[0].integer) : NULL;
    if (frame->code == STORAGE_LINK) {
        serve_link(remote, frame, values);
    } else if (frame->code == STORAGE_LINK_END) {
        if (session)
            session_end(session);
        remote_serve_waiting(remote);
    } else if (!session || session->state == SESSION_LOST) {
        remote_say(remote, frame->id, STORAGE_INVALID, "the connection is gone");
    } else if (session->asked) {
        remote_say(remote, frame->id, STORAGE_CROWDED, "the connection is busy");
    } else {
        session->asked = true;
        session->id = frame->id;
        session_ask(session, frame->code, values + 1, frame->count - 1);
    }
}

/* An operation of a store: a session that ends with it. What it asks is copied, for it may have to wait. */
static void serve_store(struct remote *remote, const struct frame *frame)
{
    size_t head = frame->count * sizeof(struct storage_value);
    struct storage_value *values = mem_alloc(1, head + frame->values.len + 1);
    bool crowded = remote->session_count == REMOTE_SESSIONS_MAX;
    struct session *session =
        values && !crowded ? session_new(remote, (int64_t)frame->id, frame->id, target_copy(remote->store)) : NULL;
    if (!session) {
        mem_free(values);
        remote_say(remote, frame->id, crowded ? STORAGE_CROWDED : STORAGE_FAILED,
                   crowded ? "too many calls at once" : "out of memory");
        return;
    }
    char *bytes = (char *)values + head;
    if (frame->values.len)
        memcpy(bytes, frame->values.ptr, frame->values.len);
    session->once = true;
    session->frame = *frame;
    session->frame.values.ptr = bytes;
    session->values = values;
    if (frame_values(&session->frame, values))
        session_begin(session);
    else
        session_answer(session, STORAGE_FAILED, "this is malformed");
}

/* False: the channel is at its end. */
static bool serve(void *arg, const struct frame *frame)
{
    struct remote *remote = arg;
    if (remote->store)
        serve_store(remote, frame);
    else if (frame_take(frame, &remote->request, &remote->request_room))
        serve_session(remote, frame, remote->request);
    else
        return false;
    return true;
}

static void on_turn(struct io_post *post)
{
    struct remote *remote = IO_OWNER(post, struct remote, turn);
    if (!wire_is_open(&remote->wire))
        return;
    if (remote->broken || !wire_serve(&remote->wire, serve, remote) || !wire_flush(&remote->wire))
        io_stop(remote->loop); /* its sessions were this channel's */
    else if (wire_wants_turn(&remote->wire))
        io_post(remote->loop, post);
}

static void on_ready(struct io_watch *watch, unsigned events)
{
    struct remote *remote = IO_OWNER(IO_OWNER(watch, struct wire, watch), struct remote, wire);
    wire_note(&remote->wire, events);
    if (!wire_flush(&remote->wire))
        remote->broken = true;
    io_post(remote->loop, &remote->turn);
}

/* ---- life ---- */

/* One channel, and no other. */
static void on_control(struct io_watch *watch, unsigned events)
{
    struct remote *remote = IO_OWNER(watch, struct remote, control);
    for (;;) {
        struct parcel parcel;
        int fd;
        enum packet_got got = parcel_receive(watch->fd, &parcel, &fd);
        if (got == PACKET_NOTHING)
            return;
        if (got == PACKET_CLOSED) {
            io_stop(remote->loop);
            return;
        }
        if (fd >= 0 && wire_is_open(&remote->wire)) {
            close(fd);
        } else if (fd >= 0 && wire_open(&remote->wire, remote->loop, fd, on_ready, FRAME_REQUEST_MAX, OUT_MAX, NULL)) {
            io_timer_stop(remote->loop, &remote->idle);
            io_post(remote->loop, &remote->turn); /* what came before it was watched */
        }
    }
}

static void on_idle(struct io_timer *timer)
{
    io_stop(IO_OWNER(timer, struct remote, idle)->loop);
}

bool remote_is_address(const char *place)
{
    return strncmp(place, "redis://", 8) == 0 || strncmp(place, "rediss://", 9) == 0;
}

static struct target *target_of_store(const char *place, struct err *err)
{
    struct service_address address;
    struct str text = str_of(place);
    char *room = mem_alloc(1, text.len + 1);
    struct target *target = NULL;
    if (!room) {
        err_memory(err);
        return NULL;
    }
    if (service_address_parse(text, room, &address, err)) {
        const struct str texts[] = {address.host, address.user, address.password, address.path, address.query};
        target = target_new(-1, address.port, service_address_secure(&address), texts);
        if (!target)
            err_memory(err);
    }
    mem_free(room);
    return target;
}

bool remote_check_store(const char *place, struct err *err)
{
    struct target *target = target_of_store(place, err);
    mem_free(target);
    return target != NULL;
}

bool remote_load(enum storage_kind kind, struct err *err)
{
    return remote_kinds[kind].protocol->load(err);
}

static void permit_ports(struct landlock_ports *ports, const struct grant_rule *rule, enum grant_scheme scheme)
{
    uint16_t usual = grant_usual_port(scheme);
    if (rule->schemes & scheme)
        landlock_add_ports(ports, rule->usual ? usual : rule->low, rule->usual ? usual : rule->high);
}

/* The TCP ports that some function may connect to, or the store's. */
static void find_ports(const struct remote *remote, struct landlock_ports *ports)
{
    const struct remote_nets *nets = remote->nets;
    landlock_add_ports(ports, 53, 53); /* answers that are too long for UDP */
    if (nets && nets->name_servers)
        ports->all = true;
    if (remote->store)
        landlock_add_ports(ports, remote->store->port, remote->store->port);
    for (size_t i = 0; nets && !remote->store && i < nets->count; i++)
        for (size_t j = 0; j < nets->items[i]->lists[GRANT_SERVICE].count; j++) {
            const struct grant_rule *rule = &nets->items[i]->lists[GRANT_SERVICE].items[j];
            permit_ports(ports, rule, remote_kinds[remote->kind].scheme);
            permit_ports(ports, rule, remote_kinds[remote->kind].secure);
        }
}

static bool run(struct remote *remote, const char *place, struct err *err)
{
    struct landlock_ports ports = {0};
    struct err why = {0};
    remote->loop = io_loop_new(err);
    if (!remote->loop || !io_watch_level(remote->loop, &remote->control, err))
        return false;
    remote->net_sessions = mem_alloc(remote->nets ? remote->nets->count + 1 : 1, sizeof *remote->net_sessions);
    if (!remote->net_sessions)
        return err_memory(err);
    confine_environment();
    if (remote->kind == STORAGE_STORE && !(remote->store = target_of_store(place, err)))
        return false;
    remote->resolver = io_resolver_new(remote->loop, remote->nets ? remote->nets->name_servers : NULL, &why);
    if (!remote->resolver)
        log_line(LOG_WARN, remote->label, "names of servers cannot be looked up: %s", why.message);
    find_ports(remote, &ports);
    if (remote->settings.confined && !confine_enter_network(&ports, err))
        return false;
    io_timer_set(remote->loop, &remote->idle, io_now_us(remote->loop) + remote->settings.idle_ms * MS_US);
    return io_run(remote->loop, err);
}

static void release(struct remote *remote)
{
    for (unsigned i = 0; i < REMOTE_LISTS; i++)
        while (remote->sessions[i])
            session_end(remote->sessions[i]);
    while (remote->lines)
        remote_free_line(remote->lines);
    wire_close(&remote->wire);
    io_resolver_free(remote->resolver);
    mem_free(remote->store);
    mem_free(remote->request);
    mem_free(remote->net_sessions);
    io_loop_free(remote->loop);
    mem_free(remote);
}

int remote_work(enum storage_kind kind, const char *label, const char *place, const struct engine_settings *settings,
                const struct remote_nets *nets, int control)
{
    struct remote *remote = mem_alloc(1, sizeof *remote);
    struct err err = {0};
    if (!remote)
        return 1;
    remote->kind = kind;
    remote->label = label;
    remote->protocol = remote_kinds[kind].protocol;
    remote->nets = nets;
    remote->settings = *settings;
    remote->control = (struct io_watch){.fd = control, .ready = on_control};
    remote->turn.run = on_turn;
    remote->freed.run = remote_on_freed;
    remote->idle.fired = on_idle;
    remote->wire.watch.fd = -1;
    remote->last_waiting = &remote->first_waiting;
    bool done = run(remote, place, &err);
    if (!done)
        log_line(LOG_ERROR, label, "no services of the network: %s", err.message);
    release(remote);
    return done ? 0 : 1;
}
