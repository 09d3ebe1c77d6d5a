/* Channels of Redis servers (see request.h): a subscriber for each server asks for messages (STORAGE_LISTEN), by way of
 * a process that talks to it, and calls the functions that listen to their channels.
 *
 * Messages of a server are handled one after the other: the next one when all functions have returned from the one
 * before, and more are asked for when none is left. So what a worker has is bounded; what it does not ask for waits in
 * the other process, and then at the server, which ends lines that are too far behind.
 *
 * A line that fails is opened anew after a pause, which doubles. What was published meanwhile is gone, as always with
 * channels. */
#include "node/request.h"

#include "base/alloc.h"
#include "base/log.h"

#define PAUSE_FIRST_US UINT64_C(500000)
#define PAUSE_LAST_US UINT64_C(30000000)
#define SECOND_US UINT64_C(1000000)

struct subscriber {
    struct worker *worker;
    const struct deployed_subscription *deployed;
    uint32_t index;
    struct storage_call *call; /* that waits, or whose messages are being handled; or NULL */
    int64_t session; /* 0: none was opened */
    uint32_t at; /* of the call's values: the next message */
    uint32_t running; /* functions that have not returned from the one before */
    uint64_t pause_us;
    struct io_timer pause;
    struct io_post next;
    bool handles; /* the call has messages: counted among the worker's events */
    bool listens; /* it has subscribed: said so */
    bool closed;
};

static void drop_call(struct subscriber *subscriber)
{
    if (subscriber->call)
        subscriber->deployed->storage.face->drop(subscriber->call);
    subscriber->call = NULL;
}

/* False: no memory. */
static bool begin_call(struct subscriber *subscriber, enum storage_operation operation,
                       const struct storage_value *values, size_t count, void (*changed)(struct storage_call *call))
{
    const struct storage_grants *storage = &subscriber->deployed->storage;
    const struct storage_request request = {.kind = STORAGE_SUBSCRIPTION,
                                            .label = STR(""),
                                            .operation = operation,
                                            .values = values,
                                            .count = count,
                                            .changed = changed,
                                            .owner = subscriber};
    drop_call(subscriber);
    subscriber->call = storage->face->begin(*storage->client, &request);
    return subscriber->call != NULL;
}

/* ---- the line ---- */

static void end_session(struct subscriber *subscriber)
{
    const struct storage_value session = storage_integer(subscriber->session);
    if (subscriber->session && begin_call(subscriber, STORAGE_LINK_END, &session, 1, NULL))
        drop_call(subscriber); /* nobody answers it */
}

static void try_again(struct subscriber *subscriber, struct str why)
{
    struct worker *worker = subscriber->worker;
    uint64_t pause_us = subscriber->pause_us;
    log_line(LOG_ERROR, NULL, "channels of %s: %.*s; again in %.3g s", subscriber->deployed->shown,
             (int)(why.len < 300 ? why.len : 300), why.len ? why.ptr : "", (double)pause_us / SECOND_US);
    drop_call(subscriber);
    end_session(subscriber);
    subscriber->listens = false;
    subscriber->pause_us = 2 * pause_us < PAUSE_LAST_US ? 2 * pause_us : PAUSE_LAST_US;
    io_timer_set(worker->loop, &subscriber->pause, io_now_us(worker->loop) + pause_us);
}

static void go_on(struct subscriber *subscriber, bool first);

/* True: it is done. */
static bool went_well(struct subscriber *subscriber)
{
    const struct storage_call *call = subscriber->call;
    if (call->status == STORAGE_DONE)
        return true;
    try_again(subscriber, call->status == STORAGE_DENIED ? STR("the host leads to a private or blocked address")
                          : call->message.len            ? call->message
                                                         : STR("it cannot be reached"));
    return false;
}

static void linked(struct storage_call *call)
{
    struct subscriber *subscriber = call->owner;
    if (went_well(subscriber))
        go_on(subscriber, true);
}

static void open_session(struct subscriber *subscriber)
{
    const struct service_address *to = &subscriber->deployed->address;
    subscriber->session++;
    const struct storage_value values[] = {storage_integer(subscriber->session),
                                           storage_integer(subscriber->deployed->storage.net),
                                           storage_text(to->host),
                                           storage_integer(to->port),
                                           storage_text(to->user),
                                           storage_text(to->password),
                                           storage_text(to->path),
                                           storage_text(to->query),
                                           storage_integer(service_address_secure(to))};
    if (!begin_call(subscriber, STORAGE_LINK, values, sizeof values / sizeof *values, linked))
        try_again(subscriber, STR("out of memory"));
}

static void pause_over(struct io_timer *timer)
{
    open_session(IO_OWNER(timer, struct subscriber, pause));
}

/* ---- messages ---- */

static void tell(struct subscriber *subscriber, struct str channel, struct str message)
{
    const struct deployment *deployment = subscriber->worker->deployment;
    struct event event = {.kind = EVENT_REDIS, .message = message, .subscriber = subscriber};
    for (uint32_t i = 0; i < deployment->listener_count; i++) {
        const struct deployed_listener *listener = &deployment->listeners[i];
        if (listener->subscription != subscriber->index || !str_eq(listener->channel, channel))
            continue;
        event.channel = listener->shown;
        subscriber->running++;
        if (!event_begin(subscriber->worker, listener->function, &event))
            subscriber->running--;
    }
}

static void no_more(struct subscriber *subscriber)
{
    drop_call(subscriber);
    subscriber->handles = false;
    if (!subscriber->closed)
        go_on(subscriber, false);
    event_settled(subscriber->worker);
}

/* One message in a turn of the loop. */
static void handle_next(struct io_post *post)
{
    struct subscriber *subscriber = IO_OWNER(post, struct subscriber, next);
    const struct storage_call *call = subscriber->call;
    if (subscriber->at + 1 >= call->count) {
        no_more(subscriber);
        return;
    }
    const struct storage_value *values = &call->values[subscriber->at];
    subscriber->at += 2;
    subscriber->running = 1; /* until all have begun */
    if (values[0].type == STORAGE_BLOB && values[1].type == STORAGE_BLOB)
        tell(subscriber, values[0].bytes, values[1].bytes);
    subscriber_told(subscriber);
}

void subscriber_told(struct subscriber *subscriber)
{
    if (--subscriber->running == 0)
        io_post(subscriber->worker->loop, &subscriber->next);
}

static void heard(struct storage_call *call)
{
    struct subscriber *subscriber = call->owner;
    if (!went_well(subscriber))
        return;
    subscriber->pause_us = PAUSE_FIRST_US;
    subscriber->at = 0;
    subscriber->handles = true;
    subscriber->worker->events++;
    io_post(subscriber->worker->loop, &subscriber->next);
}

static void listen_for(struct subscriber *subscriber, const struct storage_value *values, size_t count)
{
    if (!begin_call(subscriber, STORAGE_LISTEN, values, count, heard))
        try_again(subscriber, STR("out of memory"));
}

static void subscribe(struct subscriber *subscriber)
{
    const struct deployment *deployment = subscriber->worker->deployment;
    struct storage_value *values = mem_alloc(deployment->listener_count + 1, sizeof *values);
    size_t count = 1;
    if (!values) {
        try_again(subscriber, STR("out of memory"));
        return;
    }
    values[0] = storage_integer(subscriber->session);
    for (uint32_t i = 0; i < deployment->listener_count; i++)
        if (deployment->listeners[i].subscription == subscriber->index)
            values[count++] = storage_blob(deployment->listeners[i].channel);
    listen_for(subscriber, values, count);
    mem_free(values);
}

static void go_on(struct subscriber *subscriber, bool first)
{
    const struct storage_value session = storage_integer(subscriber->session);
    if (!subscriber->listens)
        log_line(LOG_INFO, NULL, "listening to channels of %s", subscriber->deployed->shown);
    subscriber->listens = true;
    if (first)
        subscribe(subscriber);
    else
        listen_for(subscriber, &session, 1);
}

/* ---- life ---- */

bool subscribers_open(struct worker *worker, struct err *err)
{
    uint32_t count = worker->deployment->subscription_count;
    if (count == 0)
        return true;
    worker->subscribers = mem_alloc(count, sizeof *worker->subscribers);
    if (!worker->subscribers)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        struct subscriber *subscriber = &worker->subscribers[i];
        *subscriber = (struct subscriber){.worker = worker,
                                          .deployed = &worker->deployment->subscriptions[i],
                                          .index = i,
                                          .pause_us = PAUSE_FIRST_US,
                                          .pause.fired = pause_over,
                                          .next.run = handle_next};
        io_timer_set(worker->loop, &subscriber->pause, io_now_us(worker->loop)); /* once the loop runs */
    }
    return true;
}

void subscribers_close(struct worker *worker)
{
    for (uint32_t i = 0; worker->subscribers && i < worker->deployment->subscription_count; i++) {
        struct subscriber *subscriber = &worker->subscribers[i];
        subscriber->closed = true;
        io_timer_stop(worker->loop, &subscriber->pause);
        if (!subscriber->handles)
            drop_call(subscriber);
    }
}

void subscribers_free(struct worker *worker)
{
    for (uint32_t i = 0; worker->subscribers && i < worker->deployment->subscription_count; i++) {
        io_post_cancel(worker->loop, &worker->subscribers[i].next);
        drop_call(&worker->subscribers[i]);
    }
    mem_free(worker->subscribers);
    worker->subscribers = NULL;
}
