/* See client.h.
 *
 * A call is in one of three places: among those that wait for their channel (its request is in its own buffer), among
 * those that wait for an answer (the request went into the channel's output), or with its owner, done. A call that is
 * done tells its owner from the loop, never from inside of `begin`. */
#include "services/client.h"

#include "base/alloc.h"
#include "services/parcel.h"
#include "services/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#define CHANNELS_MAX 256u
#define ASKED_LISTS 64u
#define SWEEP_US UINT64_C(250000)
#define ASK_AGAIN_US UINT64_C(1000000) /* a question may have been read by a service process that ended */
#define OUT_MAX ((size_t)64 << 20) /* of one channel */

enum channel_state { CHANNEL_CLOSED, CHANNEL_OPENING, CHANNEL_OPEN };

struct channel {
    struct wire wire;
    struct storage_client *client;
    struct channel *next;
    enum storage_kind kind;
    enum channel_state state;
    uint64_t number, asked_us; /* of the question that opens it */
    struct str label;
    char text[];
};

struct call {
    struct storage_call face;
    struct storage_client *client;
    struct channel *channel;
    struct call *next, **link; /* in the list of its place */
    uint64_t id, end_us;
    struct buf request; /* not in the channel yet */
    void *memory;       /* of the answer */
};

struct storage_client {
    struct io_loop *loop;
    struct io_watch service; /* fd -1: there is none */
    struct io_timer sweep;
    struct io_post tell;
    struct channel *channels;
    size_t channel_count;
    struct call *opening, *done;     /* `done`: to be told */
    struct call *asked[ASKED_LISTS]; /* by their numbers */
    size_t call_count;
    uint64_t last_id;
};

/* ---- calls ---- */

static void leave(struct call *call)
{
    if (!call->link)
        return;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    call->link = NULL;
}

static void enter(struct call *call, struct call **list)
{
    leave(call);
    call->next = *list;
    call->link = list;
    if (call->next)
        call->next->link = &call->next;
    *list = call;
}

/* Its owner is told later. */
static void end(struct call *call, enum storage_status status)
{
    call->face.status = status;
    buf_free(&call->request);
    enter(call, &call->client->done);
    io_post(call->client->loop, &call->client->tell);
}

/* `text` is a constant. */
static void fail(struct call *call, enum storage_status status, const char *text)
{
    call->face.message = str_of(text);
    end(call, status);
}

static void on_tell(struct io_post *post)
{
    struct storage_client *client = IO_OWNER(post, struct storage_client, tell);
    while (client->done) {
        struct call *call = client->done;
        leave(call);
        call->face.changed(&call->face); /* may drop any call */
    }
}

/* Those of a channel, or all when it is NULL, whose time is over by `now_us`. */
static void fail_some(struct call *list, const struct channel *channel, uint64_t now_us, enum storage_status status,
                      const char *text)
{
    for (struct call *call = list, *next; call; call = next) {
        next = call->next;
        if ((!channel || call->channel == channel) && now_us >= call->end_us)
            fail(call, status, text);
    }
}

static void open_channel(struct channel *channel);

static void ask_again(struct storage_client *client, uint64_t now_us)
{
    for (struct channel *channel = client->channels; channel; channel = channel->next)
        if (channel->state == CHANNEL_OPENING && now_us >= channel->asked_us + ASK_AGAIN_US)
            open_channel(channel);
}

static void on_sweep(struct io_timer *timer)
{
    struct storage_client *client = IO_OWNER(timer, struct storage_client, sweep);
    uint64_t now_us = io_now_us(client->loop);
    fail_some(client->opening, NULL, now_us, STORAGE_FAILED, "the storage service does not answer");
    for (unsigned i = 0; i < ASKED_LISTS; i++)
        fail_some(client->asked[i], NULL, now_us, STORAGE_FAILED, "no answer came in time; it may come to be done");
    if (client->call_count == 0)
        return;
    ask_again(client, now_us);
    io_timer_set(client->loop, timer, now_us + SWEEP_US);
}

/* ---- channels ---- */

static void break_channel(struct channel *channel)
{
    channel->state = CHANNEL_CLOSED;
    wire_close(&channel->wire);
    for (unsigned i = 0; i < ASKED_LISTS; i++)
        fail_some(channel->client->asked[i], channel, UINT64_MAX, STORAGE_FAILED,
                  "the process of the store ended; whether this was done is not known");
}

/* A copy of the answer and its values. False: it is malformed, or there is no memory. */
static bool take_answer(struct call *call, const struct frame *frame)
{
    size_t head = frame->count * sizeof(struct storage_value);
    struct storage_value *values = mem_alloc(1, head + frame->values.len + 1);
    struct frame copy = *frame;
    if (!values)
        return false;
    char *bytes = (char *)values + head;
    if (frame->values.len)
        memcpy(bytes, frame->values.ptr, frame->values.len);
    copy.values.ptr = bytes;
    bool sound = frame_values(&copy, values);
    bool done = frame->code == STORAGE_DONE;
    if (!sound || (!done && (frame->count != 1 || values[0].type != STORAGE_TEXT))) {
        mem_free(values);
        return false;
    }
    call->memory = values;
    call->face.values = done ? values : NULL;
    call->face.count = done ? frame->count : 0;
    call->face.message = done ? (struct str){NULL, 0} : values[0].bytes;
    return true;
}

/* False: what answers is not sound. */
static bool answer(struct channel *channel, const struct frame *frame)
{
    struct call *call = channel->client->asked[frame->id % ASKED_LISTS];
    if (frame->code <= STORAGE_WAITING || frame->code >= STORAGE_STATUSES)
        return false;
    while (call && call->id != frame->id)
        call = call->next;
    if (!call) /* it was dropped */
        return true;
    if (call->channel != channel || !take_answer(call, frame))
        return false;
    end(call, (enum storage_status)frame->code);
    return true;
}

static void on_ready(struct io_watch *watch, unsigned events)
{
    struct channel *channel = IO_OWNER(IO_OWNER(watch, struct wire, watch), struct channel, wire);
    struct frame frame;
    enum frame_got got = FRAME_WHOLE;
    wire_note(&channel->wire, events);
    bool sound = wire_flush(&channel->wire);
    while (sound && (got = wire_next(&channel->wire, &frame)) == FRAME_WHOLE)
        sound = answer(channel, &frame);
    if (!sound || got == FRAME_BROKEN)
        break_channel(channel);
}

/* The request goes on its way. False: the channel is broken. */
static bool ask(struct call *call)
{
    struct wire *wire = &call->channel->wire;
    if (!buf_append(&wire->out, call->request.data, call->request.size)) {
        wire->out.failed = wire->out.full = false;
        fail(call, STORAGE_CROWDED, "too much is waiting for the store");
        return true;
    }
    buf_free(&call->request);
    call->end_us = io_now_us(call->client->loop) + STORAGE_CALL_US;
    enter(call, &call->client->asked[call->id % ASKED_LISTS]);
    return wire_flush(wire);
}

static void ask_all(struct channel *channel)
{
    bool sound = true;
    for (struct call *call = channel->client->opening, *next; call && sound; call = next) {
        next = call->next;
        if (call->channel != channel)
            continue;
        if (call->request.size)
            sound = ask(call);
        else /* it only wanted it to be opened */
            end(call, STORAGE_DONE);
    }
    if (!sound)
        break_channel(channel);
}

/* Ask the service for it; without one, when there is one again. */
static void open_channel(struct channel *channel)
{
    struct storage_client *client = channel->client;
    struct parcel parcel = {.what = PARCEL_OPEN, .kind = channel->kind, .number = ++client->last_id};
    channel->state = CHANNEL_OPENING;
    channel->number = parcel.number;
    channel->asked_us = io_now_us(client->loop);
    parcel_label(&parcel, channel->label);
    if (client->service.fd >= 0)
        parcel_send(client->service.fd, &parcel, -1); /* what goes wrong shows as its end, or in time */
}

static struct channel *find_channel(struct storage_client *client, enum storage_kind kind, struct str label)
{
    for (struct channel *channel = client->channels; channel; channel = channel->next)
        if (channel->kind == kind && str_eq(channel->label, label))
            return channel;
    return NULL;
}

static struct channel *make_channel(struct storage_client *client, enum storage_kind kind, struct str label)
{
    bool small = label.len <= PARCEL_LABEL_MAX && client->channel_count < CHANNELS_MAX;
    struct channel *channel = small ? mem_alloc(1, sizeof *channel + label.len) : NULL;
    if (!channel)
        return NULL;
    if (label.len)
        memcpy(channel->text, label.ptr, label.len);
    channel->label = (struct str){channel->text, label.len};
    channel->client = client;
    channel->kind = kind;
    channel->wire.watch.fd = -1;
    channel->next = client->channels;
    client->channels = channel;
    client->channel_count++;
    return channel;
}

/* ---- the service ---- */

static void lose_service(struct storage_client *client)
{
    if (client->service.fd < 0)
        return;
    io_unwatch(client->loop, &client->service);
    close(client->service.fd);
    client->service.fd = -1;
}

/* Statuses that say why it is not open. */
static void refuse_opening(struct channel *channel, const struct parcel *parcel)
{
    struct storage_client *client = channel->client;
    enum storage_status status = parcel->status <= STORAGE_DONE ? STORAGE_FAILED : (enum storage_status)parcel->status;
    channel->state = CHANNEL_CLOSED;
    fail_some(client->opening, channel, UINT64_MAX, status, "it cannot be opened");
}

/* `fd` is ours. */
static void opened(struct storage_client *client, const struct parcel *parcel, int fd)
{
    struct channel *channel = client->channels;
    while (channel && (channel->state != CHANNEL_OPENING || channel->number != parcel->number))
        channel = channel->next;
    if (!channel) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (fd >= 0 && wire_open(&channel->wire, client->loop, fd, on_ready, FRAME_ANSWER_MAX, OUT_MAX, NULL)) {
        channel->state = CHANNEL_OPEN;
        ask_all(channel);
        return;
    }
    refuse_opening(channel, parcel);
}

static void on_service(struct io_watch *watch, unsigned events)
{
    struct storage_client *client = IO_OWNER(watch, struct storage_client, service);
    for (;;) {
        struct parcel parcel;
        int fd;
        enum packet_got got = parcel_receive(watch->fd, &parcel, &fd);
        if (got == PACKET_NOTHING)
            return;
        if (got == PACKET_CLOSED || parcel.what != PARCEL_OPENED) {
            if (got == PACKET_HERE && fd >= 0)
                close(fd);
            lose_service(client);
            return;
        }
        opened(client, &parcel, fd);
    }
}

bool storage_client_connect(struct storage_client *client, int fd, struct err *err)
{
    lose_service(client);
    client->service.fd = fd;
    if (!io_watch_level(client->loop, &client->service, err)) {
        close(fd);
        client->service.fd = -1;
        return false;
    }
    for (struct channel *channel = client->channels; channel; channel = channel->next)
        if (channel->state == CHANNEL_OPENING)
            open_channel(channel);
    return true;
}

/* ---- life ---- */

struct storage_client *storage_client_new(struct io_loop *loop, struct err *err)
{
    struct storage_client *client = mem_alloc(1, sizeof *client);
    if (!client) {
        err_memory(err);
        return NULL;
    }
    client->loop = loop;
    client->service = (struct io_watch){.fd = -1, .ready = on_service};
    client->sweep.fired = on_sweep;
    client->tell.run = on_tell;
    return client;
}

void storage_client_free(struct storage_client *client)
{
    if (!client)
        return;
    lose_service(client);
    io_timer_stop(client->loop, &client->sweep);
    io_post_cancel(client->loop, &client->tell);
    while (client->channels) {
        struct channel *channel = client->channels;
        client->channels = channel->next;
        wire_close(&channel->wire);
        mem_free(channel);
    }
    mem_free(client);
}

/* ---- the face ---- */

static bool encode(struct call *call, const struct storage_request *request)
{
    buf_init(&call->request, FRAME_REQUEST_MAX + FRAME_HEAD);
    return request->operation == STORAGE_OPEN || frame_write(&call->request, request->operation, call->id,
                                                             request->values, request->count, FRAME_REQUEST_MAX);
}

static void start(struct call *call)
{
    struct channel *channel = call->channel;
    if (channel->state != CHANNEL_OPEN) {
        enter(call, &call->client->opening);
        if (channel->state == CHANNEL_CLOSED)
            open_channel(channel);
    } else if (call->request.size == 0) {
        end(call, STORAGE_DONE);
    } else if (!ask(call)) {
        break_channel(channel);
    }
}

static void begin_in(struct storage_client *client, struct call *call, const struct storage_request *request)
{
    call->channel = find_channel(client, request->kind, request->label);
    if (!call->channel)
        call->channel = make_channel(client, request->kind, request->label);
    call->end_us = io_now_us(client->loop) + STORAGE_OPEN_US;
    if (client->call_count > STORAGE_CALLS_MAX)
        fail(call, STORAGE_CROWDED, "too many calls at once");
    else if (!call->channel)
        fail(call, STORAGE_NO_SUCH, "");
    else if (!encode(call, request))
        fail(call, STORAGE_FAILED, "what is passed has more than 16 MiB, or there is no memory for it");
    else
        start(call);
}

static struct storage_call *begin(void *arg, const struct storage_request *request)
{
    struct storage_client *client = arg;
    struct call *call = mem_alloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->client = client;
    call->id = ++client->last_id;
    call->face.changed = request->changed;
    call->face.owner = request->owner;
    client->call_count++;
    begin_in(client, call, request);
    io_timer_set(client->loop, &client->sweep, io_now_us(client->loop) + SWEEP_US);
    return &call->face;
}

static void drop(struct storage_call *face)
{
    struct call *call = IO_OWNER(face, struct call, face);
    leave(call);
    call->client->call_count--;
    buf_free(&call->request);
    mem_free(call->memory);
    mem_free(call);
}

const struct storage_face storage_client_face = {begin, drop};
