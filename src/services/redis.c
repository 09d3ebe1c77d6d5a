/* See redis.h.
 *
 * Nothing that the server sends is believed: a reply has as many bytes and values as an answer may have, lists have a
 * depth (the library's), and what comes unasked ends the line. */
#include "services/redis.h"

#include "base/alloc.h"
#include "base/library.h"
#include "services/secure.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384u
#define OUT_MAX (2 * FRAME_REQUEST_MAX + ((size_t)64 << 20))

struct redis_library redis;

bool redis_load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&redis.name},
    static const struct library_symbol symbols[] = {REDIS_FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libhiredis.so.0.14", "no Redis",
                                           "install hiredis 0.14 (Debian: libhiredis0.14)", symbols,
                                           sizeof symbols / sizeof *symbols};
    if (!redis.loaded)
        secure_prepare();
    redis.loaded = redis.loaded || library_load(&library, err);
    return redis.loaded;
}

static struct redis_line *redis_of(struct line *line)
{
    return IO_OWNER(line, struct redis_line, line);
}

static void fail(struct redis_line *line, const char *why)
{
    err_set(&line->line.err, ERR_SYSTEM, "%s", why);
    line_break(&line->line);
}

static void fail_system(struct redis_line *line, const char *what, int code)
{
    errno = code;
    err_errno(&line->line.err, "%s", what);
    line_break(&line->line);
}

/* ---- bytes: as io_send and io_recv, over TLS or not ---- */

static ssize_t errno_of_tls(ssize_t result)
{
    switch (result) {
    case TLS_AGAIN: return -EAGAIN;
    case TLS_CUT: return -ECONNRESET;
    case TLS_FAILED: return -EPROTO;
    default: return result;
    }
}

static ssize_t give_bytes(struct redis_line *line, const void *bytes, size_t size)
{
    return line->tls ? errno_of_tls(tls_write(line->tls, bytes, size))
                     : io_send(line->line.loop, &line->line.watch, bytes, size);
}

static ssize_t take_bytes(struct redis_line *line, void *ret_bytes, size_t size)
{
    return line->tls ? errno_of_tls(tls_read(line->tls, ret_bytes, size))
                     : io_recv(line->line.loop, &line->line.watch, ret_bytes, size);
}

/* ---- writing ---- */

void redis_command(struct redis_line *line, size_t words)
{
    buf_printf(&line->out, "*%zu\r\n", words);
    line->expected++;
}

void redis_word(struct redis_line *line, struct str word)
{
    buf_printf(&line->out, "$%zu\r\n", word.len);
    buf_append(&line->out, word.ptr, word.len);
    buf_append(&line->out, "\r\n", 2);
}

static void send_some(struct redis_line *line)
{
    while (line->sent < line->out.size) {
        ssize_t sent = give_bytes(line, line->out.data + line->sent, line->out.size - line->sent);
        if (sent == -EINTR)
            continue;
        if (sent == -EAGAIN)
            return;
        if (sent <= 0) {
            fail_system(line, "the server takes no more", (int)-sent);
            return;
        }
        line->sent += (size_t)sent;
    }
    buf_free(&line->out);
    line->sent = 0;
}

void redis_go(struct redis_line *line, void (*take)(struct redis_line *line, const redisReply *reply))
{
    line->take = take;
    line->line.state = LINE_BUSY;
    if (line->out.failed) {
        err_memory(&line->line.err);
        line_break(&line->line);
        return;
    }
    send_some(line);
}

/* ---- reading ---- */

void redis_refused(struct redis_line *line, const redisReply *reply)
{
    err_set(&line->line.err, ERR_SYSTEM, "%.*s", (int)(reply->len < 300 ? reply->len : 300), reply->str);
}

/* Lists that say that they are longer than an answer may be are refused before there is memory for them. */
static void *create_list(const redisReadTask *task, int elements)
{
    static void *(*create)(const redisReadTask *task, int elements);
    if (!create) {
        redisReader *reader = redis.redisReaderCreate();
        create = reader ? reader->fn->createArray : NULL;
        redis.redisReaderFree(reader);
    }
    return create && elements <= (int)FRAME_VALUES_MAX ? create(task, elements) : NULL;
}

static bool is_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR;
}

/* AUTH and SELECT: each is refused, or is done. */
static void take_greeting(struct redis_line *line, const redisReply *reply)
{
    line->greeting--;
    if (is_error(reply)) {
        redis_refused(line, reply);
        line_break(&line->line);
    } else if (line->greeting == 0) {
        line_answer(&line->line, STORAGE_DONE);
    }
}

/* *ret_whole: a reply was taken. */
static void take_reply(struct redis_line *line, bool *ret_whole)
{
    void *reply = NULL;
    bool sound = redis.redisReaderGetReply(line->reader, &reply) == REDIS_OK;
    *ret_whole = sound && reply;
    if (!sound) {
        fail(line, "the server answered what is not Redis, or more than an answer may have");
    } else if (reply && line->expected == 0 && !line->pushes) {
        fail(line, "the server said what nobody asked");
    } else if (reply) {
        line->expected -= line->expected > 0;
        line->fed = 0;
        line->take(line, reply);
    }
    if (reply)
        redis.freeReplyObject(reply);
}

static void feed(struct redis_line *line, const char *bytes, size_t size)
{
    bool whole = true;
    line->fed += size;
    if (redis.redisReaderFeed(line->reader, bytes, size) != REDIS_OK) {
        fail(line, "no memory for what the server answered");
        return;
    }
    while (whole && line->line.state != LINE_BROKEN)
        take_reply(line, &whole);
    if (line->line.state != LINE_BROKEN && line->fed > FRAME_ANSWER_MAX)
        fail(line, STORAGE_EXCEEDS ": the server answered more than an answer may have");
}

static void receive(struct redis_line *line)
{
    char bytes[READ_BYTES];
    while (line->line.state != LINE_BROKEN && !line->full) {
        ssize_t got = take_bytes(line, bytes, sizeof bytes);
        if (got == -EAGAIN)
            return;
        if (got == -EINTR)
            continue;
        if (got == 0)
            fail(line, "the server ended the connection");
        else if (got < 0)
            fail_system(line, "the connection broke", (int)-got);
        else
            feed(line, bytes, (size_t)got);
    }
}

/* ---- the beginning ---- */

static void greet(struct redis_line *line)
{
    const struct target *target = line->line.target;
    if (target->password.len) {
        redis_command(line, target->user.len ? 3 : 2);
        redis_word(line, STR("AUTH"));
        if (target->user.len)
            redis_word(line, target->user);
        redis_word(line, target->password);
    }
    if (target->path.len) {
        redis_command(line, 2);
        redis_word(line, STR("SELECT"));
        redis_word(line, target->path);
    }
    line->greeting = line->expected;
    if (line->greeting == 0) {
        line_answer(&line->line, STORAGE_DONE);
        return;
    }
    redis_go(line, take_greeting);
    if (line->line.state == LINE_BUSY)
        line->line.state = LINE_OPENING;
}

static void shake_hands(struct redis_line *line)
{
    struct tls_failure failure;
    int code = tls_handshake(line->tls);
    if (code == 0) {
        line->agreed = true;
        greet(line);
    } else if (code == TLS_FAILED) {
        tls_failure(line->tls, &failure);
        err_set(&line->line.err, ERR_SYSTEM, "no TLS: %s%s", failure.certificate ? "the server's certificate: " : "",
                failure.text);
        line_break(&line->line);
    } else if (code != TLS_AGAIN) {
        fail(line, "the server ended the connection instead of TLS");
    }
}

static void begin_tls(struct redis_line *line)
{
    struct tls_context *context = secure_context(&line->line.err);
    line->tls = context ? tls_open(context, line->line.watch.fd, line->line.target->host, NULL) : NULL;
    if (line->tls)
        shake_hands(line);
    else if (context)
        fail(line, "no TLS: out of memory, or a name that no certificate is for");
    else
        line_break(&line->line);
}

static void check_connection(struct redis_line *line, unsigned events)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    if (!(events & (IO_OUT | IO_ERROR)))
        return;
    if (getsockopt(line->line.watch.fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
        failure = errno;
    line->line.reached = failure == 0;
    if (failure)
        fail_system(line, "the server cannot be reached", failure);
    else if (line->line.target->secure)
        begin_tls(line);
    else
        greet(line);
}

static bool connect_to(struct redis_line *line, const struct ip_endpoint *to)
{
    union ip_sockaddr address;
    socklen_t size = ip_to_sockaddr(to, &address);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(&line->line.err, "socket");
    int code = connect(fd, &address.any, size) == 0 ? 0 : errno;
    line->line.watch.fd = fd;
    if ((code == 0 || code == EINPROGRESS) && io_watch(line->line.loop, &line->line.watch, &line->line.err))
        return true;
    line->line.watch.fd = -1;
    close(fd);
    errno = code;
    return code && code != EINPROGRESS ? err_errno(&line->line.err, "the server cannot be reached") : false;
}

static bool make_reader(struct redis_line *line)
{
    line->reader = redis.redisReaderCreate();
    if (!line->reader)
        return err_memory(&line->line.err);
    line->functions = *line->reader->fn;
    line->functions.createArray = create_list;
    line->reader->fn = &line->functions;
    return true;
}

void redis_open(struct line *base, const struct ip_endpoint *to)
{
    struct redis_line *line = redis_of(base);
    buf_init(&line->out, OUT_MAX);
    base->state = LINE_OPENING;
    if (!make_reader(line) || !connect_to(line, to))
        line_break(base);
}

void redis_step(struct line *base, unsigned events)
{
    struct redis_line *line = redis_of(base);
    if (base->state == LINE_OPENING && !base->reached) {
        check_connection(line, events);
        return;
    }
    if (line->tls && !line->agreed) {
        shake_hands(line);
        return;
    }
    if (line->sent < line->out.size)
        send_some(line);
    if (base->state != LINE_BROKEN)
        receive(line);
}

void redis_close(struct line *base)
{
    struct redis_line *line = redis_of(base);
    tls_close(line->tls);
    line->tls = NULL;
    if (line->reader)
        redis.redisReaderFree(line->reader);
    if (base->watch.fd >= 0)
        close(base->watch.fd);
    base->watch.fd = -1;
    buf_free(&line->out);
}

/* ---- commands of guests ---- */

/* Lists in lists become one; the depth is the library's limit. */
static void add_reply(struct redis_line *line, const redisReply *reply)
{
    struct storage_value value = storage_null();
    struct str text = {reply->str, reply->str ? (size_t)reply->len : 0};
    switch (reply->type) {
    case REDIS_REPLY_INTEGER: value = storage_integer(reply->integer); break;
    case REDIS_REPLY_STRING: value = storage_blob(text); break;
    case REDIS_REPLY_ERROR: /* inside of a list, as of EXEC: a status as any other */
    case REDIS_REPLY_STATUS: value = utf8_valid(text.ptr, text.len) ? storage_text(text) : storage_blob(text); break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements && !line->line.answer.failed; i++)
            add_reply(line, reply->element[i]);
        return;
    default: break;
    }
    frame_add(&line->line.answer, &value);
}

static void take_command(struct redis_line *line, const redisReply *reply)
{
    if (is_error(reply)) {
        redis_refused(line, reply);
        line_answer(&line->line, STORAGE_FAILED);
        return;
    }
    add_reply(line, reply);
    line_answer(&line->line, STORAGE_DONE);
}

static void refuse(struct line *line, const char *why)
{
    err_set(&line->err, ERR_INVALID, "%s", why);
    line_answer(line, STORAGE_FAILED);
}

/* Commands after which more comes than one reply, or nothing: they would leave the line out of step. */
static bool is_endless(struct str name)
{
    static const char *const names[] = {"SUBSCRIBE",    "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
                                        "SUNSUBSCRIBE", "MONITOR",    "SYNC",       "PSYNC",       "QUIT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.len == strlen(names[i]) && strncasecmp(name.ptr, names[i], name.len) == 0)
            return true;
    return false;
}

static void ask(struct line *base, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct redis_line *line = redis_of(base);
    char digits[24];
    if (operation != STORAGE_COMMAND || count < 2 || values[0].type != STORAGE_INTEGER ||
        values[1].type != STORAGE_BLOB) {
        refuse(base, "this is no command");
        return;
    }
    if (is_endless(values[1].bytes)) {
        refuse(base, "a command that is not answered by one reply is not offered");
        return;
    }
    base->touched |= values[0].integer == 0;
    redis_command(line, count - 1);
    for (size_t i = 1; i < count; i++) {
        bool number = values[i].type == STORAGE_INTEGER, bytes = values[i].type >= STORAGE_TEXT;
        snprintf(digits, sizeof digits, "%lld", number ? (long long)values[i].integer : 0);
        redis_word(line, number ? str_of(digits) : bytes ? values[i].bytes : STR(""));
    }
    redis_go(line, take_command);
}

const struct protocol redis_protocol = {.size = sizeof(struct redis_line),
                                        .load = redis_load,
                                        .open = redis_open,
                                        .step = redis_step,
                                        .ask = ask,
                                        .close = redis_close};
