/* Key-value stores that a Redis server keeps: see redis.h.
 *
 * An operation is a command or a few. A swap watches its key while it looks at the value, so that the server itself
 * refuses it if somebody else wrote meanwhile. Numbers are decimal texts, as Redis counts. */
#include "services/redis.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "base/vec.h"
#include "services/store.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_BYTES_MAX ((size_t)1 << 20)

struct key {
    size_t at, size; /* in the bytes */
};

/* An operation of several commands. */
struct redis_store_step {
    int64_t version; /* that a swap wants */
    struct str key, value; /* of a swap; the key behind which a page begins, if it has one */
    bool from_start;
    int64_t limit; /* of a page; 0: all */
    VEC(struct key) keys;
    struct buf bytes; /* of them */
    char text[];      /* of key and value */
};

static void end_step(struct redis_line *line)
{
    if (!line->step)
        return;
    VEC_FREE(&line->step->keys);
    buf_free(&line->step->bytes);
    mem_free(line->step);
    line->step = NULL;
}

static void answer(struct redis_line *line, enum storage_status status)
{
    end_step(line);
    line_answer(&line->line, status);
}

static void refuse(struct redis_line *line, const char *why)
{
    err_set(&line->line.err, ERR_INVALID, "%s", why);
    answer(line, STORAGE_FAILED);
}

static void add(struct redis_line *line, struct storage_value value)
{
    frame_add(&line->line.answer, &value);
}

/* False: it is not, and the operation has failed. */
static bool is_of(struct redis_line *line, const redisReply *reply, int type)
{
    if (reply->type == type)
        return true;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_refused(line, reply);
        answer(line, STORAGE_FAILED);
    } else {
        refuse(line, "the server answered what this command does not");
    }
    return false;
}

static struct str text_of(const redisReply *reply)
{
    return (struct str){reply->str, (size_t)reply->len};
}

/* ---- values ---- */

/* Made of the value: never 0, and for two values practically never the same. */
static int64_t version_of(struct str value)
{
    uint8_t digest[32];
    int64_t version;
    sha256(value.ptr, value.len, digest);
    memcpy(&version, digest, sizeof version);
    return (version & INT64_MAX) | 1;
}

static bool add_value(struct redis_line *line, const redisReply *reply)
{
    bool none = reply->type == REDIS_REPLY_NIL;
    if (none)
        add(line, storage_null());
    else if (is_of(line, reply, REDIS_REPLY_STRING))
        add(line, storage_blob(text_of(reply)));
    else
        return false;
    return true;
}

static int64_t reply_version(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? version_of(text_of(reply)) : 0;
}

static void take_value(struct redis_line *line, const redisReply *reply)
{
    if (!add_value(line, reply))
        return;
    add(line, storage_integer(reply_version(reply)));
    answer(line, STORAGE_DONE);
}

static void take_version(struct redis_line *line, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_NIL && !is_of(line, reply, REDIS_REPLY_STRING))
        return;
    add(line, storage_integer(reply_version(reply)));
    answer(line, STORAGE_DONE);
}

static void take_values(struct redis_line *line, const redisReply *reply)
{
    if (!is_of(line, reply, REDIS_REPLY_ARRAY))
        return;
    for (size_t i = 0; i < reply->elements; i++)
        if (!add_value(line, reply->element[i]))
            return;
    answer(line, STORAGE_DONE);
}

static void take_number(struct redis_line *line, const redisReply *reply)
{
    if (!is_of(line, reply, REDIS_REPLY_INTEGER))
        return;
    add(line, storage_integer(reply->integer));
    answer(line, STORAGE_DONE);
}

static void take_nothing(struct redis_line *line, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER || is_of(line, reply, REDIS_REPLY_STATUS))
        answer(line, STORAGE_DONE);
}

/* ---- a swap ---- */

static void swapped(struct redis_line *line, bool did, int64_t version)
{
    add(line, storage_integer(did));
    add(line, storage_integer(version));
    answer(line, STORAGE_DONE);
}

/* UNWATCH */
static void take_let_go(struct redis_line *line, const redisReply *reply)
{
    if (is_of(line, reply, REDIS_REPLY_STATUS))
        swapped(line, false, line->step->version);
}

/* GET, behind an exchange that somebody else's write prevented. */
static void take_other(struct redis_line *line, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_NIL || is_of(line, reply, REDIS_REPLY_STRING))
        swapped(line, false, reply_version(reply));
}

static void look_again(struct redis_line *line)
{
    redis_command(line, 2);
    redis_word(line, STR("GET"));
    redis_word(line, line->step->key);
    redis_go(line, take_other);
}

/* MULTI, SET and EXEC, whose reply is none when somebody else wrote. */
static void take_exchange(struct redis_line *line, const redisReply *reply)
{
    struct redis_store_step *step = line->step;
    if (line->expected > 0) {
        if (reply->type == REDIS_REPLY_ERROR) { /* EXEC says it too */
            redis_refused(line, reply);
            line_break(&line->line);
        }
        return;
    }
    if (reply->type == REDIS_REPLY_NIL)
        look_again(line);
    else if (is_of(line, reply, REDIS_REPLY_ARRAY))
        swapped(line, true, version_of(step->value));
}

static void exchange(struct redis_line *line)
{
    redis_command(line, 1);
    redis_word(line, STR("MULTI"));
    redis_command(line, 3);
    redis_word(line, STR("SET"));
    redis_word(line, line->step->key);
    redis_word(line, line->step->value);
    redis_command(line, 1);
    redis_word(line, STR("EXEC"));
    redis_go(line, take_exchange);
}

/* WATCH and GET */
static void take_watched(struct redis_line *line, const redisReply *reply)
{
    struct redis_store_step *step = line->step;
    bool first = line->expected > 0;
    if (first ? reply->type != REDIS_REPLY_STATUS
              : reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL) {
        if (reply->type == REDIS_REPLY_ERROR)
            redis_refused(line, reply);
        else
            err_set(&line->line.err, ERR_INVALID, "the server answered what this command does not");
        line_break(&line->line);
        return;
    }
    if (first)
        return;
    int64_t version = reply_version(reply);
    if (version == step->version) {
        exchange(line);
        return;
    }
    step->version = version;
    redis_command(line, 1);
    redis_word(line, STR("UNWATCH"));
    redis_go(line, take_let_go);
}

/* ---- keys ---- */

static int compare_text(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b)
{
    return compare_text(*(const struct str *)a, *(const struct str *)b);
}

/* A scan may tell a key several times. */
static void add_page(struct redis_line *line, struct str *keys, size_t count)
{
    struct redis_store_step *step = line->step;
    size_t added = 0, bytes = 0, i = 0;
    qsort(keys, count, sizeof *keys, compare_keys);
    for (; i < count && !line->line.answer.failed; i++) {
        if ((i && str_eq(keys[i], keys[i - 1])) || (!step->from_start && compare_text(keys[i], step->key) <= 0))
            continue;
        if (step->limit && (added == (size_t)step->limit || bytes >= PAGE_BYTES_MAX))
            break;
        add(line, storage_text(keys[i]));
        added++;
        bytes += keys[i].len;
    }
    add(line, storage_integer(i < count));
    answer(line, STORAGE_DONE);
}

static void finish_keys(struct redis_line *line)
{
    struct redis_store_step *step = line->step;
    size_t count = step->keys.count;
    struct str *keys = mem_alloc(count ? count : 1, sizeof *keys);
    if (!keys) {
        refuse(line, "no memory for the keys");
        return;
    }
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct str){(const char *)step->bytes.data + step->keys.items[i].at, step->keys.items[i].size};
    add_page(line, keys, count);
    mem_free(keys);
}

static bool note_key(struct redis_store_step *step, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING || !utf8_valid(reply->str, (size_t)reply->len))
        return true;
    struct key *key = VEC_PUSH(&step->keys, FRAME_VALUES_MAX);
    if (!key)
        return false;
    *key = (struct key){step->bytes.size, (size_t)reply->len};
    return buf_append(&step->bytes, reply->str, (size_t)reply->len);
}

static void take_keys(struct redis_line *line, const redisReply *reply);

static void scan(struct redis_line *line, struct str cursor)
{
    char batch[16];
    snprintf(batch, sizeof batch, "%d", REDIS_STORE_BATCH);
    redis_command(line, 4);
    redis_word(line, STR("SCAN"));
    redis_word(line, cursor);
    redis_word(line, STR("COUNT"));
    redis_word(line, str_of(batch));
    redis_go(line, take_keys);
}

static void take_keys(struct redis_line *line, const redisReply *reply)
{
    if (!is_of(line, reply, REDIS_REPLY_ARRAY))
        return;
    if (reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        refuse(line, "the server answered what this command does not");
        return;
    }
    for (size_t i = 0; i < reply->element[1]->elements; i++)
        if (!note_key(line->step, reply->element[1]->element[i])) {
            refuse(line, "the keys are more than an answer may have");
            return;
        }
    if (str_eq(text_of(reply->element[0]), STR("0")))
        finish_keys(line);
    else
        scan(line, text_of(reply->element[0]));
}

/* ---- operations ---- */

/* Copies of what lasts longer than the request. */
static bool begin_step(struct redis_line *line, struct str key, struct str value)
{
    struct redis_store_step *step = mem_alloc(1, sizeof *step + key.len + value.len);
    if (!step) {
        refuse(line, "no memory for this");
        return false;
    }
    if (key.len)
        memcpy(step->text, key.ptr, key.len);
    if (value.len)
        memcpy(step->text + key.len, value.ptr, value.len);
    step->key = (struct str){step->text, key.len};
    step->value = (struct str){step->text + key.len, value.len};
    buf_init(&step->bytes, FRAME_ANSWER_MAX);
    line->step = step;
    return true;
}

static void ask_swap(struct redis_line *line, const struct storage_value *values)
{
    if (!begin_step(line, values[0].bytes, values[2].bytes))
        return;
    line->step->version = values[1].integer;
    redis_command(line, 2);
    redis_word(line, STR("WATCH"));
    redis_word(line, values[0].bytes);
    redis_command(line, 2);
    redis_word(line, STR("GET"));
    redis_word(line, values[0].bytes);
    redis_go(line, take_watched);
}

static void ask_keys(struct redis_line *line, const struct storage_value *values)
{
    bool from_start = values[0].type == STORAGE_NULL;
    int64_t limit = values[1].integer;
    if (!begin_step(line, from_start ? STR("") : values[0].bytes, STR("")))
        return;
    line->step->from_start = from_start;
    line->step->limit = limit == 0 ? 0 : limit > 0 && limit < STORE_PAGE_KEYS ? limit : STORE_PAGE_KEYS;
    scan(line, STR("0"));
}

/* One command of the operation's values. */
static const struct {
    const char *name;
    void (*take)(struct redis_line *line, const redisReply *reply);
} commands[STORAGE_OPERATIONS] = {
    [STORAGE_GET] = {"GET", take_value},           [STORAGE_SET] = {"SET", take_nothing},
    [STORAGE_DELETE] = {"DEL", take_nothing},      [STORAGE_VERSION] = {"GET", take_version},
    [STORAGE_GET_MANY] = {"MGET", take_values},    [STORAGE_SET_MANY] = {"MSET", take_nothing},
    [STORAGE_DELETE_MANY] = {"DEL", take_nothing}, [STORAGE_INCREMENT] = {"INCRBY", take_number},
};

static void ask_command(struct redis_line *line, uint32_t operation, const struct storage_value *values, size_t count)
{
    char digits[24];
    redis_command(line, count + 1);
    redis_word(line, str_of(commands[operation].name));
    for (size_t i = 0; i < count; i++) {
        bool number = values[i].type == STORAGE_INTEGER;
        snprintf(digits, sizeof digits, "%lld", number ? (long long)values[i].integer : 0);
        redis_word(line, number ? str_of(digits) : values[i].bytes);
    }
    redis_go(line, commands[operation].take);
}

static void ask(struct line *base, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct redis_line *line = IO_OWNER(base, struct redis_line, line);
    if (!store_check(operation, values, count, &base->err))
        answer(line, STORAGE_FAILED);
    else if (count == 0)
        answer(line, STORAGE_DONE);
    else if (operation == STORAGE_SWAP)
        ask_swap(line, values);
    else if (operation == STORAGE_KEYS)
        ask_keys(line, values);
    else
        ask_command(line, operation, values, count);
}

static void close_line(struct line *base)
{
    end_step(IO_OWNER(base, struct redis_line, line));
    redis_close(base);
}

const struct protocol redis_store_protocol = {.size = sizeof(struct redis_line),
                                              .load = redis_load,
                                              .open = redis_open,
                                              .step = redis_step,
                                              .ask = ask,
                                              .close = close_line};
