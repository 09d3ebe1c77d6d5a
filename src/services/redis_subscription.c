/* Channels of Redis: see redis.h.
 *
 * The worker asks for what comes next, and waits; what comes while it does not is kept, up to WAITING_MAX, and beyond
 * that the line is not read, until the server has enough of it and ends it. A line on which nothing comes for a while
 * asks the server whether it is there, and answers with nothing when it is. */
#include "services/redis.h"

#include "base/alloc.h"

#define QUIET_US UINT64_C(10000000) /* less than a worker waits for an answer */
#define WAITING_MAX ((size_t)1 << 20)
#define ANSWER_MESSAGES 256u
#define ANSWER_BYTES ((size_t)1 << 20) /* an answer gets no further message beyond that */

struct subscription {
    struct redis_line redis;
    struct io_timer quiet;
    struct buf waiting; /* messages: the sizes of channel and text, and then both */
    size_t given;       /* bytes of it */
    bool subscribed;
};

struct sizes {
    uint32_t channel, text;
};

static struct subscription *subscription_of(struct line *line)
{
    return IO_OWNER(line, struct subscription, redis.line);
}

static void end_answer(struct subscription *subscription)
{
    io_timer_stop(subscription->redis.line.loop, &subscription->quiet);
    line_answer(&subscription->redis.line, STORAGE_DONE);
}

/* ---- messages ---- */

static size_t give_one(struct subscription *subscription)
{
    struct buf *waiting = &subscription->waiting;
    const char *at = (const char *)waiting->data + subscription->given;
    struct sizes sizes;
    memcpy(&sizes, at, sizeof sizes);
    at += sizeof sizes;
    const struct storage_value channel = storage_blob((struct str){at, sizes.channel});
    const struct storage_value text = storage_blob((struct str){at + sizes.channel, sizes.text});
    frame_add(&subscription->redis.line.answer, &channel);
    frame_add(&subscription->redis.line.answer, &text);
    size_t size = sizeof sizes + sizes.channel + sizes.text;
    subscription->given += size;
    return size;
}

/* To the worker, if it waits. */
static void give(struct subscription *subscription)
{
    struct buf *waiting = &subscription->waiting;
    size_t bytes = 0;
    if (subscription->redis.line.state != LINE_BUSY || waiting->size == 0)
        return;
    for (uint32_t i = 0; i < ANSWER_MESSAGES && bytes < ANSWER_BYTES && subscription->given < waiting->size; i++)
        bytes += give_one(subscription);
    if (subscription->given == waiting->size) {
        buf_free(waiting);
        subscription->given = 0;
    }
    end_answer(subscription);
}

static bool keep(struct subscription *subscription, const redisReply *channel, const redisReply *text)
{
    struct buf *waiting = &subscription->waiting;
    const struct sizes sizes = {(uint32_t)channel->len, (uint32_t)text->len};
    return buf_append(waiting, &sizes, sizeof sizes) && buf_append(waiting, channel->str, sizes.channel) &&
           buf_append(waiting, text->str, sizes.text);
}

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static bool is_called(const redisReply *reply, const char *name)
{
    return is_text(reply) && str_eq((struct str){reply->str, (size_t)reply->len}, str_of(name));
}

static void take_push(struct redis_line *line, const redisReply *reply)
{
    struct subscription *subscription = subscription_of(&line->line);
    const redisReply *first = reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0] : reply;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_refused(line, reply);
        line_break(&line->line);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && is_called(first, "message") &&
               is_text(reply->element[1]) && is_text(reply->element[2])) {
        if (!keep(subscription, reply->element[1], reply->element[2])) {
            err_memory(&line->line.err);
            line_break(&line->line);
            return;
        }
        give(subscription);
        line->full = subscription->waiting.size - subscription->given > WAITING_MAX;
    } else if (is_called(first, "pong") && line->line.state == LINE_BUSY) {
        end_answer(subscription);
    }
}

/* ---- asking ---- */

static void on_quiet(struct io_timer *timer)
{
    struct subscription *subscription = IO_OWNER(timer, struct subscription, quiet);
    redis_command(&subscription->redis, 1);
    redis_word(&subscription->redis, STR("PING"));
    redis_go(&subscription->redis, take_push);
}

static void subscribe(struct subscription *subscription, const struct storage_value *values, size_t count)
{
    struct redis_line *line = &subscription->redis;
    subscription->subscribed = line->pushes = line->line.touched = true;
    redis_command(line, count + 1);
    redis_word(line, STR("SUBSCRIBE"));
    for (size_t i = 0; i < count; i++)
        redis_word(line, values[i].bytes);
    redis_go(line, take_push);
}

static bool are_channels(const struct storage_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i].type != STORAGE_BLOB)
            return false;
    return count > 0;
}

static void ask(struct line *line, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct subscription *subscription = subscription_of(line);
    if (operation != STORAGE_LISTEN || subscription->subscribed != (count == 0) ||
        (count && !are_channels(values, count))) {
        err_set(&line->err, ERR_INVALID, "this listens to nothing");
        line_answer(line, STORAGE_FAILED);
        return;
    }
    line->state = LINE_BUSY;
    io_timer_set(line->loop, &subscription->quiet, io_now_us(line->loop) + QUIET_US);
    if (count)
        subscribe(subscription, values, count);
    give(subscription);
    if (subscription->redis.full && subscription->waiting.size == 0 && line->state == LINE_BUSY) {
        subscription->redis.full = false;
        redis_step(line, IO_IN); /* nothing is said twice of what came meanwhile */
    }
}

/* ---- life ---- */

static void open_line(struct line *line, const struct ip_endpoint *to)
{
    struct subscription *subscription = subscription_of(line);
    buf_init(&subscription->waiting, 2 * FRAME_ANSWER_MAX);
    subscription->quiet.fired = on_quiet;
    redis_open(line, to);
}

static void close_line(struct line *line)
{
    struct subscription *subscription = subscription_of(line);
    io_timer_stop(line->loop, &subscription->quiet);
    buf_free(&subscription->waiting);
    redis_close(line);
}

const struct protocol redis_subscription_protocol = {.size = sizeof(struct subscription),
                                                     .load = redis_load,
                                                     .open = open_line,
                                                     .step = redis_step,
                                                     .ask = ask,
                                                     .close = close_line};
