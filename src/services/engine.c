/* See engine.h. */
#include "services/engine.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/vec.h"
#include "services/confine.h"
#include "services/database.h"
#include "services/parcel.h"
#include "services/store.h"
#include "services/wire.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define OUT_MAX (FRAME_ANSWER_MAX + 2 * WIRE_UNSENT_MAX)
#define ASIDE_MAX 64u
#define RETRY_US UINT64_C(3000)
#define MS_US UINT64_C(1000)

struct channel {
    struct wire wire;
    struct engine *engine;
    struct channel *next, **link;
    size_t mark; /* of its output: where this turn's answers begin */
};

/* An answer of this turn. */
struct given {
    struct channel *channel;
    uint64_t id;
};

/* A request that found the database locked. */
struct aside {
    struct aside *next;
    struct channel *channel;
    uint64_t end_us;
    struct frame frame; /* its bytes are behind the values */
    struct storage_value values[];
};

struct engine {
    enum storage_kind kind;
    const char *label;
    char folder[PATH_MAX];
    struct engine_settings settings;
    struct io_loop *loop;
    struct io_watch control;
    struct io_timer idle, retry;
    struct io_post turn;
    struct channel *channels;
    struct store *store;
    struct database *database;
    VEC(struct given) given;
    struct aside *first, **last;
    size_t aside_count;
    struct storage_value *values; /* of the request at hand */
    size_t value_room;
};

/* ---- channels ---- */

static void forget_aside(struct engine *engine, const struct channel *channel)
{
    engine->last = &engine->first;
    while (*engine->last) {
        struct aside *aside = *engine->last;
        if (aside->channel != channel) {
            engine->last = &aside->next;
            continue;
        }
        *engine->last = aside->next;
        engine->aside_count--;
        mem_free(aside);
    }
}

static void close_channel(struct channel *channel)
{
    struct engine *engine = channel->engine;
    forget_aside(engine, channel);
    for (size_t i = 0; i < engine->given.count; i++)
        if (engine->given.items[i].channel == channel)
            engine->given.items[i].channel = NULL;
    *channel->link = channel->next;
    if (channel->next)
        channel->next->link = channel->link;
    wire_close(&channel->wire);
    mem_free(channel);
    if (!engine->channels && engine->kind == STORAGE_DATABASE)
        io_stop(engine->loop); /* its sessions were this channel's */
    else if (!engine->channels)
        io_timer_set(engine->loop, &engine->idle, io_now_us(engine->loop) + engine->settings.idle_ms * MS_US);
}

static void on_ready(struct io_watch *watch, unsigned events)
{
    struct channel *channel = IO_OWNER(IO_OWNER(watch, struct wire, watch), struct channel, wire);
    wire_note(&channel->wire, events);
    if (!wire_flush(&channel->wire)) {
        close_channel(channel);
        return;
    }
    io_post(channel->engine->loop, &channel->engine->turn);
}

static bool add_channel(struct engine *engine, int fd)
{
    struct channel *channel = mem_alloc(1, sizeof *channel);
    if (!channel) {
        close(fd);
        return false;
    }
    channel->engine = engine;
    if (!wire_open(&channel->wire, engine->loop, fd, on_ready, FRAME_REQUEST_MAX, OUT_MAX, NULL)) {
        mem_free(channel);
        return false;
    }
    channel->next = engine->channels;
    channel->link = &engine->channels;
    if (channel->next)
        channel->next->link = &channel->next;
    engine->channels = channel;
    io_timer_stop(engine->loop, &engine->idle);
    io_post(engine->loop, &engine->turn); /* what came before it was watched */
    return true;
}

/* ---- answers ---- */

static bool finish(struct channel *channel, struct frame_writer *answer, uint64_t id, enum storage_status status,
                   struct err *err)
{
    if (status == STORAGE_DONE && frame_end(answer, STORAGE_DONE, id))
        return true;
    if (status == STORAGE_DONE) {
        err_set(err, ERR_LIMIT, "the answer has more than %zu bytes or %u values", answer->max, FRAME_VALUES_MAX);
        status = STORAGE_FAILED;
    } else {
        frame_cancel(answer);
    }
    return wire_say(&channel->wire, id, status, err->message);
}

/* ---- a store ---- */

static void note_given(struct engine *engine, struct channel *channel, uint64_t id, bool *ret_done)
{
    struct given *given = VEC_PUSH(&engine->given, WIRE_TURN_FRAMES * 65536u);
    if (given)
        *given = (struct given){channel, id};
    else
        *ret_done = false;
}

static bool serve_store(struct channel *channel, const struct frame *frame)
{
    struct engine *engine = channel->engine;
    struct frame_writer answer;
    struct err err = {0};
    bool done = true;
    note_given(engine, channel, frame->id, &done); /* before anything changes */
    if (!done)
        return false;
    frame_begin(&answer, &channel->wire.out, FRAME_ANSWER_MAX);
    enum storage_status status = store_do(engine->store, frame->code, engine->values, frame->count, &answer, &err);
    return finish(channel, &answer, frame->id, status, &err);
}

/* All that was answered in this turn was not true. */
static void take_back(struct engine *engine, enum storage_status status, const struct err *err)
{
    for (struct channel *channel = engine->channels; channel; channel = channel->next)
        channel->wire.out.size = channel->mark;
    for (size_t i = 0; i < engine->given.count; i++) {
        const struct given *given = &engine->given.items[i];
        if (given->channel && !wire_say(&given->channel->wire, given->id, status, err->message))
            close_channel(given->channel);
    }
}

static void commit(struct engine *engine)
{
    struct err err = {0};
    if (engine->kind == STORAGE_STORE && store_changed(engine->store)) {
        enum storage_status status = store_commit(engine->store, &err);
        if (status != STORAGE_DONE)
            take_back(engine, status, &err);
    }
    engine->given.count = 0;
}

/* ---- a database ---- */

/* A copy, which stays when the reader moves on. */
static bool put_aside(struct channel *channel, const struct frame *frame)
{
    struct engine *engine = channel->engine;
    size_t head = sizeof(struct aside) + frame->count * sizeof(struct storage_value);
    struct aside *aside = engine->aside_count < ASIDE_MAX ? mem_alloc(1, head + frame->values.len) : NULL;
    if (!aside)
        return false;
    char *bytes = (char *)aside + head;
    memcpy(bytes, frame->values.ptr, frame->values.len);
    aside->channel = channel;
    aside->end_us = io_now_us(engine->loop) + engine->settings.statement_ms * MS_US;
    aside->frame = *frame;
    aside->frame.values.ptr = bytes;
    *engine->last = aside;
    engine->last = &aside->next;
    engine->aside_count++;
    io_timer_set(engine->loop, &engine->retry, io_now_us(engine->loop) + RETRY_US);
    return frame_values(&aside->frame, aside->values);
}

/* A process that cannot end a statement ends itself; what was committed is safe. */
static void set_alarm(const struct engine *engine, bool on)
{
    uint64_t ms = on ? 2 * (uint64_t)engine->settings.statement_ms + 1000 : 0;
    const struct itimerval until = {.it_value = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)}};
    setitimer(ITIMER_REAL, &until, NULL);
}

/* *ret_busy: not answered yet. */
static bool execute(struct channel *channel, const struct frame *frame, const struct storage_value *values,
                    bool *ret_busy)
{
    struct engine *engine = channel->engine;
    struct frame_writer answer;
    struct err err = {0};
    frame_begin(&answer, &channel->wire.out, FRAME_ANSWER_MAX);
    set_alarm(engine, true);
    enum storage_status status =
        database_do(engine->database, frame->code, values, frame->count, &answer, ret_busy, &err);
    set_alarm(engine, false);
    if (frame->code == STORAGE_SESSION_END || *ret_busy) {
        frame_cancel(&answer);
        return true;
    }
    return finish(channel, &answer, frame->id, status, &err);
}

static bool say_locked(struct channel *channel, uint64_t id)
{
    return wire_say(&channel->wire, id, STORAGE_FAILED, "the database is locked");
}

static bool serve_database(struct channel *channel, const struct frame *frame)
{
    bool busy;
    if (!execute(channel, frame, channel->engine->values, &busy))
        return false;
    return !busy || put_aside(channel, frame) || say_locked(channel, frame->id);
}

/* The oldest first; each once. */
static void on_retry(struct io_timer *timer)
{
    struct engine *engine = IO_OWNER(timer, struct engine, retry);
    struct aside **at = &engine->first;
    bool sound = true;
    struct channel *channel = NULL;
    while (*at && sound) {
        struct aside *aside = *at;
        bool busy;
        channel = aside->channel;
        sound = execute(channel, &aside->frame, aside->values, &busy);
        if (sound && busy && io_now_us(engine->loop) < aside->end_us) {
            at = &aside->next;
            continue;
        }
        if (sound && busy)
            sound = say_locked(channel, aside->frame.id);
        *at = aside->next;
        engine->aside_count--;
        mem_free(aside);
    }
    if (sound)
        engine->last = at;
    if (channel && (!sound || !wire_flush(&channel->wire)))
        close_channel(channel);
    else if (engine->first)
        io_timer_set(engine->loop, timer, io_now_us(engine->loop) + RETRY_US);
}

/* While a statement runs nobody reads; but whether the worker is still there shows. */
static bool is_wanted(void *arg)
{
    const struct engine *engine = arg;
    char byte;
    return engine->channels && recv(engine->channels->wire.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

/* ---- turns ---- */

/* False: the channel is at its end. */
static bool serve(void *arg, const struct frame *frame)
{
    struct channel *channel = arg;
    struct engine *engine = channel->engine;
    return frame_take(frame, &engine->values, &engine->value_room) &&
           (engine->kind == STORAGE_STORE ? serve_store(channel, frame) : serve_database(channel, frame));
}

static void on_turn(struct io_post *post)
{
    struct engine *engine = IO_OWNER(post, struct engine, turn);
    bool again = false;
    for (struct channel *channel = engine->channels, *next; channel; channel = next) {
        next = channel->next;
        channel->mark = channel->wire.out.size;
        if (!wire_serve(&channel->wire, serve, channel))
            close_channel(channel);
    }
    commit(engine);
    for (struct channel *channel = engine->channels, *next; channel; channel = next) {
        next = channel->next;
        if (!wire_flush(&channel->wire))
            close_channel(channel);
        else
            again |= wire_wants_turn(&channel->wire);
    }
    if (again)
        io_post(engine->loop, post);
}

/* ---- life ---- */

static void on_control(struct io_watch *watch, unsigned events)
{
    struct engine *engine = IO_OWNER(watch, struct engine, control);
    for (;;) {
        struct parcel parcel;
        int fd;
        enum packet_got got = parcel_receive(watch->fd, &parcel, &fd);
        if (got == PACKET_NOTHING)
            return;
        if (got == PACKET_CLOSED) {
            io_stop(engine->loop);
            return;
        }
        if (fd >= 0)
            add_channel(engine, fd);
    }
}

static void on_idle(struct io_timer *timer)
{
    io_stop(IO_OWNER(timer, struct engine, idle)->loop);
}

/* The folder, and those that it is in. */
static bool make_folder(struct engine *engine, const char *folder, struct err *err)
{
    char path[PARCEL_TEXT_MAX + 1];
    snprintf(path, sizeof path, "%s", folder);
    for (char *at = path + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0700);
            *at = '/';
        }
    mkdir(path, 0700);
    return realpath(path, engine->folder) ? true : err_errno(err, "%s", folder);
}

static bool open_file(struct engine *engine, struct err *err)
{
    const struct database_settings settings = {.bytes_max = engine->settings.bytes_max,
                                               .statement_ms = engine->settings.statement_ms,
                                               .wanted = is_wanted,
                                               .arg = engine};
    if (engine->kind == STORAGE_STORE)
        engine->store = store_open(engine->folder, engine->settings.bytes_max, err);
    else
        engine->database = database_open(engine->folder, &settings, err);
    return engine->store || engine->database;
}

static bool run(struct engine *engine, const char *folder, struct err *err)
{
    engine->loop = io_loop_new(err);
    if (!engine->loop || !make_folder(engine, folder, err) || !io_watch_level(engine->loop, &engine->control, err))
        return false;
    if (engine->settings.confined && !confine_enter(engine->folder, err))
        return false;
    io_timer_set(engine->loop, &engine->idle, io_now_us(engine->loop) + engine->settings.idle_ms * MS_US);
    return open_file(engine, err) && io_run(engine->loop, err);
}

static void release(struct engine *engine)
{
    while (engine->channels)
        close_channel(engine->channels);
    store_close(engine->store);
    database_close(engine->database);
    VEC_FREE(&engine->given);
    mem_free(engine->values);
    io_loop_free(engine->loop);
    mem_free(engine);
}

int engine_work(enum storage_kind kind, const char *label, const char *folder, const struct engine_settings *settings,
                int control)
{
    struct engine *engine = mem_alloc(1, sizeof *engine);
    struct err err = {0};
    if (!engine)
        return 1;
    engine->kind = kind;
    engine->label = label;
    engine->settings = *settings;
    engine->control = (struct io_watch){.fd = control, .ready = on_control};
    engine->idle.fired = on_idle;
    engine->retry.fired = on_retry;
    engine->turn.run = on_turn;
    engine->last = &engine->first;
    bool done = run(engine, folder, &err);
    if (!done)
        log_line(LOG_ERROR, label, "%s cannot be opened: %s",
                 kind == STORAGE_STORE ? "the key-value store" : "the database", err.message);
    release(engine);
    return done ? 0 : 1;
}
