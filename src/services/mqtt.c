/* See mqtt.h.
 *
 * A message is answered for when the broker has it as surely as was asked: sent, received once or more often, or
 * received exactly once. A line has one on its way at a time. The library may close its socket in any call, so nobody
 * watches it meanwhile.
 *
 * TLS is the library's, with our context: it is given an address that was judged, and no name, so it would hold the
 * certificate against the address. Each handshake begins with a call of ours, which knows the name. */
#include "services/mqtt.h"

#include "base/library.h"
#include "http/tls_library.h"
#include "services/secure.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define KEEPALIVE_MIN 5 /* seconds: the library takes no less */
#define KEEPALIVE_MAX 65535

#define FUNCTIONS(X)                                                                                                   \
    X(mosquitto_connack_string)                                                                                        \
    X(mosquitto_connect_async)                                                                                         \
    X(mosquitto_connect_callback_set)                                                                                  \
    X(mosquitto_destroy)                                                                                               \
    X(mosquitto_int_option)                                                                                            \
    X(mosquitto_disconnect)                                                                                            \
    X(mosquitto_lib_init)                                                                                              \
    X(mosquitto_loop_read)                                                                                             \
    X(mosquitto_loop_write)                                                                                            \
    X(mosquitto_new)                                                                                                   \
    X(mosquitto_publish)                                                                                               \
    X(mosquitto_publish_callback_set)                                                                                  \
    X(mosquitto_socket)                                                                                                \
    X(mosquitto_ssl_get)                                                                                               \
    X(mosquitto_strerror)                                                                                              \
    X(mosquitto_username_pw_set)                                                                                       \
    X(mosquitto_void_option)                                                                                           \
    X(mosquitto_want_write)

static struct {
#define FIELD(name) __typeof__(&name) name;
    FUNCTIONS(FIELD)
#undef FIELD
    bool loaded;
} mq;

static bool load(struct err *err)
{
#define SYMBOL(name) {#name, (void **)&mq.name},
    static const struct library_symbol symbols[] = {FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libmosquitto.so.1", "no MQTT",
                                           "install libmosquitto 2 (Debian: libmosquitto1)", symbols,
                                           sizeof symbols / sizeof *symbols};
    if (mq.loaded)
        return true;
    secure_prepare();
    mq.loaded = library_load(&library, err) && (mq.mosquitto_lib_init() == MOSQ_ERR_SUCCESS ||
                                                err_set(err, ERR_UNSUPPORTED, "libmosquitto does not start"));
    return mq.loaded;
}

struct mqtt_line {
    struct line line;
    struct mosquitto *client;
    bool named; /* its certificate is held against its name */
    long verified; /* the server's certificate: as X509_V_OK and the like */
};

static struct mqtt_line *mqtt_of(struct line *line)
{
    return IO_OWNER(line, struct mqtt_line, line);
}

static void break_with(struct mqtt_line *line, const char *text)
{
    if (line->line.state != LINE_BROKEN)
        err_set(&line->line.err, ERR_SYSTEM, "%.300s", text);
    line_break(&line->line);
}

/* ---- TLS ---- */

static struct mqtt_line *calling; /* whose call of the library runs */

/* Of all connections, at many moments: here it matters that a handshake begins, and what came of the certificate, which
 * the library may have forgotten by the time that anybody asks. */
static void on_handshake(const SSL *connection, int where, int result)
{
    if (!calling)
        return;
    if (where & SSL_CB_HANDSHAKE_START) {
        calling->verified = X509_V_OK;
        calling->named = tls_set_host((SSL *)connection, calling->line.target->host);
    }
    if (where & (SSL_CB_ALERT | SSL_CB_EXIT))
        calling->verified = ssl.SSL_get_verify_result(connection);
}

static bool set_up_tls(struct mqtt_line *line)
{
    struct tls_context *context = secure_context(&line->line.err);
    if (!context)
        return false;
    ssl.SSL_CTX_set_info_callback(context->context, on_handshake);
    return (mq.mosquitto_int_option(line->client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) == MOSQ_ERR_SUCCESS &&
            mq.mosquitto_void_option(line->client, MOSQ_OPT_SSL_CTX, context->context) == MOSQ_ERR_SUCCESS) ||
           err_set(&line->line.err, ERR_UNSUPPORTED, "this libmosquitto does no TLS");
}

static bool is_agreed(const struct mqtt_line *line)
{
    const SSL *connection = mq.mosquitto_ssl_get(line->client);
    return connection && ssl.SSL_is_init_finished(connection);
}

/* Why TLS came to nothing. */
static const char *tls_trouble(const struct mqtt_line *line)
{
    long verified = line->verified;
    return verified != X509_V_OK ? ssl.X509_verify_cert_error_string(verified) : "the two cannot agree";
}

/* ---- calls ---- */

/* What a call of the library said; `system`: errno then. */
static void check(struct mqtt_line *line, int code, int system)
{
    char text[128];
    snprintf(text, sizeof text, "%s: %s", line->line.reached ? "the connection broke" : "the server cannot be reached",
             strerror(system));
    if (code == MOSQ_ERR_TLS && line->line.target->secure) {
        snprintf(text, sizeof text, "no TLS: %s", tls_trouble(line));
        break_with(line, text);
    } else if (code == MOSQ_ERR_ERRNO)
        break_with(line, text);
    else if (code == MOSQ_ERR_CONN_LOST)
        break_with(line, line->line.reached ? "the server ended the connection" : "the server cannot be reached");
    else if (code > MOSQ_ERR_SUCCESS)
        break_with(line, mq.mosquitto_strerror(code));
}

/* ---- what the library tells from inside of its calls ---- */

static void on_connect(struct mosquitto *client, void *arg, int code)
{
    struct mqtt_line *line = arg;
    line->line.reached = true;
    if (line->line.target->secure && !line->named)
        break_with(line, "the server's certificate was not held against its name");
    else if (code == 0)
        line_answer(&line->line, STORAGE_DONE);
    else
        break_with(line, mq.mosquitto_connack_string(code));
}

static void on_publish(struct mosquitto *client, void *arg, int number)
{
    struct mqtt_line *line = arg;
    if (line->line.state == LINE_BUSY)
        line_answer(&line->line, STORAGE_DONE);
}

/* ---- the beginning ---- */

static void leave_alone(struct mqtt_line *line)
{
    if (line->line.watch.fd >= 0)
        io_unwatch(line->line.loop, &line->line.watch);
    line->line.watch.fd = -1;
}

static void watch(struct mqtt_line *line)
{
    struct line *base = &line->line;
    if (base->state == LINE_BROKEN)
        return;
    base->watch.fd = mq.mosquitto_socket(line->client);
    if (base->watch.fd >= 0 && io_watch(base->loop, &base->watch, &base->err))
        return;
    base->watch.fd = -1;
    break_with(line, "the server cannot be reached");
}

static int keepalive_of(struct str text)
{
    long seconds = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && seconds <= KEEPALIVE_MAX; i++)
        seconds = seconds * 10 + (text.ptr[i] - '0');
    return seconds < KEEPALIVE_MIN ? KEEPALIVE_MIN : seconds > KEEPALIVE_MAX ? KEEPALIVE_MAX : (int)seconds;
}

/* The value of client_id=VALUE in the address; without one the library draws a name. */
static const char *client_of(struct str query, char *room, size_t size)
{
    static const struct str name = STR("client_id=");
    while (query.len) {
        size_t end = str_find(query, '&');
        if (str_starts(query, name) && end > name.len && end - name.len < size) {
            snprintf(room, size, "%.*s", (int)(end - name.len), query.ptr + name.len);
            return room;
        }
        query = str_slice(query, end < query.len ? end + 1 : end, query.len);
    }
    return NULL;
}

static bool set_up(struct mqtt_line *line)
{
    const struct target *target = line->line.target;
    char user[1024], password[4096], name[256];
    line->client = mq.mosquitto_new(client_of(target->query, name, sizeof name), true, line);
    if (!line->client)
        return err_set(&line->line.err, ERR_MEMORY, "out of memory, or a client_id that is none");
    snprintf(user, sizeof user, "%.*s", STR_ARG(target->user));
    snprintf(password, sizeof password, "%.*s", STR_ARG(target->password));
    int code = target->user.len ? mq.mosquitto_username_pw_set(line->client, user, password) : 0;
    explicit_bzero(password, sizeof password);
    mq.mosquitto_connect_callback_set(line->client, on_connect);
    mq.mosquitto_publish_callback_set(line->client, on_publish);
    if (code != 0)
        return err_set(&line->line.err, ERR_INVALID, "%s", mq.mosquitto_strerror(code));
    return !target->secure || set_up_tls(line);
}

static void open_line(struct line *base, const struct ip_endpoint *to)
{
    struct mqtt_line *line = mqtt_of(base);
    char address[IP_TEXT_MAX];
    base->state = LINE_OPENING;
    if (!set_up(line)) {
        base->reached = true; /* no other address would change that */
        line_break(base);
        return;
    }
    ip_text(&to->address, address);
    calling = line;
    int code = mq.mosquitto_connect_async(line->client, address, to->port, keepalive_of(base->target->path));
    check(line, code, errno);
    calling = NULL;
    watch(line);
}

/* ---- events ---- */

static void call(struct mqtt_line *line, int (*function)(struct mosquitto *client, int packets))
{
    calling = line;
    int code = function(line->client, 1), system = errno;
    calling = NULL;
    check(line, code, system);
}

/* What a look at the socket finds: bytes, 0 at its end, -EAGAIN when nothing is there. */
static ssize_t peek(const struct mqtt_line *line)
{
    char byte;
    int fd = mq.mosquitto_socket(line->client);
    if (fd < 0)
        return -EAGAIN;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 ? -errno : got;
}

static bool is_connected(const struct mqtt_line *line)
{
    union ip_sockaddr peer;
    socklen_t size = sizeof peer;
    int fd = mq.mosquitto_socket(line->client);
    return fd >= 0 && getpeername(fd, &peer.any, &size) == 0;
}

/* The handshake goes on, which is the library's way to read; it takes the end of the connection for a step of it, too.
 * What was to be said waits until there is TLS. */
static void agree(struct mqtt_line *line)
{
    ssize_t there = 1;
    while (there > 0 && line->line.state != LINE_BROKEN && !is_agreed(line)) {
        line->line.reached = is_connected(line);
        call(line, mq.mosquitto_loop_read);
        there = peek(line);
    }
    if (line->line.state == LINE_BROKEN)
        return;
    if (is_agreed(line))
        call(line, mq.mosquitto_loop_write);
    else if (there != -EAGAIN)
        break_with(line, line->line.reached ? "the server ended the connection instead of TLS"
                                            : "the server cannot be reached");
}

static void step(struct line *base, unsigned events)
{
    struct mqtt_line *line = mqtt_of(base);
    leave_alone(line);
    if (base->target->secure && !is_agreed(line))
        agree(line);
    else if (events & (IO_OUT | IO_ERROR))
        call(line, mq.mosquitto_loop_write);
    while (base->state != LINE_BROKEN && peek(line) != -EAGAIN)
        call(line, mq.mosquitto_loop_read);
    watch(line);
}

static void ask(struct line *base, uint32_t operation, const struct storage_value *values, size_t count)
{
    struct mqtt_line *line = mqtt_of(base);
    char topic[65536];
    if (operation != STORAGE_PUBLISH || count != 3 || values[0].type != STORAGE_TEXT ||
        values[1].type != STORAGE_BLOB || values[2].type != STORAGE_INTEGER || values[2].integer < 0 ||
        values[2].integer > 2 || values[0].bytes.len >= sizeof topic) {
        err_set(&base->err, ERR_INVALID, "this is no message");
        line_answer(base, STORAGE_FAILED);
        return;
    }
    snprintf(topic, sizeof topic, "%.*s", STR_ARG(values[0].bytes));
    base->state = LINE_BUSY;
    leave_alone(line);
    calling = line;
    int code = mq.mosquitto_publish(line->client, NULL, topic, (int)values[1].bytes.len, values[1].bytes.ptr,
                                    (int)values[2].integer, false);
    check(line, code, errno);
    calling = NULL;
    watch(line);
}

static void close_line(struct line *base)
{
    struct mqtt_line *line = mqtt_of(base);
    if (line->client) {
        if (base->state == LINE_READY)
            mq.mosquitto_disconnect(line->client);
        mq.mosquitto_destroy(line->client);
    }
    line->client = NULL;
    base->watch.fd = -1;
}

const struct protocol mqtt_protocol = {
    .size = sizeof(struct mqtt_line), .load = load, .open = open_line, .step = step, .ask = ask, .close = close_line};
