/* See client.h. This file: how a call gets its connection, and how it ends. */
#include "http/call.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name
#define BODY_BYTES_MAX ((size_t)64 << 20) /* of a request's body that was written before its call began */

struct http_client *http_client_new(struct io_loop *loop, struct err *err)
{
    struct http_client *client = mem_alloc(1, sizeof *client);
    struct rlimit limit;
    if (!client) {
        err_memory(err);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    client->loop = loop;
    client->max = HTTP_CALLS_MAX;
    client->idle_tail = &client->idle;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < client->max)
        client->max = (uint32_t)(limit.rlim_cur / 4);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client) {
        idle_end_all(client);
        tls_context_free(client->tls);
    }
    mem_free(client);
}

/* ---- the end ---- */

static void disconnect(struct http_call *call)
{
    tls_close(call->tls);
    call->tls = NULL;
    if (call->watched)
        io_unwatch(call->client->loop, &call->watch);
    call->watched = false;
    if (call->watch.fd >= 0)
        close(call->watch.fd);
    call->watch.fd = -1;
}

static void end(struct http_call *call, enum outbound_state state)
{
    if (call->phase == CALL_OVER)
        return;
    call->phase = CALL_OVER;
    call->face.state = state;
    call->closed = true;
    call->client->count--;
    io_lookup_cancel(&call->lookup);
    io_timer_stop(call->client->loop, &call->timer);
    disconnect(call);
    buf_free(&call->out);
    mem_free(call->raw);
    call->raw = NULL;
}

void call_done(struct http_call *call)
{
    idle_keep(call);
    end(call, OUTBOUND_DONE);
}

static void fail_with(struct http_call *call, const struct wasi_http_types_error_code *error)
{
    if (call->phase == CALL_OVER)
        return;
    call->face.error = *error;
    end(call, OUTBOUND_FAILED);
}

void call_fail(struct http_call *call, enum wasi_http_types_error_code_tag tag)
{
    fail_with(call, &(struct wasi_http_types_error_code){.tag = tag});
}

void call_fail_tls(struct http_call *call)
{
    struct tls_failure failure;
    struct wasi_http_types_error_code error = {.tag = CODE(TLS_PROTOCOL_ERROR)};
    tls_failure(call->tls, &failure);
    log_line(LOG_DEBUG, NULL, "TLS with %.*s: %s", STR_ARG(call->host), failure.text);
    if (failure.certificate) {
        error.tag = CODE(TLS_CERTIFICATE_ERROR);
    } else if (failure.alert >= 0) {
        error.tag = CODE(TLS_ALERT_RECEIVED);
        error.tls_alert_received.alert_id = (struct option_u8){true, (uint8_t)failure.alert};
    }
    fail_with(call, &error);
}

static void drop(struct outbound_call *face)
{
    struct http_call *call = (struct http_call *)face;
    end(call, OUTBOUND_FAILED);
    buf_free(&call->body);
    http_parse_free(&call->parser);
    http_chunks_free(&call->chunks);
    mem_free(call->head);
    mem_free(call->tail);
    mem_free((void *)call->host.ptr);
    mem_free(call);
}

static void corrupt(struct outbound_call *face)
{
    call_fail((struct http_call *)face, CODE(HTTP_PROTOCOL_ERROR));
}

/* ---- time ---- */

static uint64_t deadline_us(const struct http_call *call)
{
    if (call->phase < CALL_OPEN)
        return call->began_us + call->connect_us;
    if (call->face.state == OUTBOUND_WAITING && !call->sent && call->out_at == call->out.size)
        return UINT64_MAX; /* the request's writer takes its time */
    if (call->face.state == OUTBOUND_WAITING)
        return call->moved_us + call->first_byte_us;
    if (call->body.size - call->body_at >= HTTP_CALL_ROOM)
        return UINT64_MAX; /* its reader does not read */
    return call->moved_us + call->between_us;
}

void call_set_timer(struct http_call *call)
{
    uint64_t when_us = call->phase == CALL_OVER ? UINT64_MAX : deadline_us(call);
    if (when_us == UINT64_MAX)
        io_timer_stop(call->client->loop, &call->timer);
    else
        io_timer_set(call->client->loop, &call->timer, when_us);
}

static void timed_out(struct io_timer *timer)
{
    struct http_call *call = IO_OWNER(timer, struct http_call, timer);
    static const enum wasi_http_types_error_code_tag tags[] = {
        [CALL_LOOKUP] = CODE(DNS_TIMEOUT),
        [CALL_CONNECT] = CODE(CONNECTION_TIMEOUT),
        [CALL_HANDSHAKE] = CODE(CONNECTION_TIMEOUT),
        [CALL_OPEN] = CODE(CONNECTION_READ_TIMEOUT),
    };
    bool writing = call->phase == CALL_OPEN && call->out.size > call->out_at;
    call_fail(call, writing ? CODE(CONNECTION_WRITE_TIMEOUT) : tags[call->phase]);
    call->face.changed(&call->face);
}

/* ---- connecting ---- */

static enum wasi_http_types_error_code_tag tag_of_errno(int error)
{
    switch (error) {
    case ECONNREFUSED: return CODE(CONNECTION_REFUSED);
    case ETIMEDOUT: return CODE(CONNECTION_TIMEOUT);
    case ECONNRESET: return CODE(CONNECTION_TERMINATED);
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EINVAL: return CODE(DESTINATION_IP_UNROUTABLE);
    case EACCES:
    case EPERM: return CODE(DESTINATION_IP_PROHIBITED);
    case EMFILE:
    case ENFILE:
    case ENOBUFS: return CODE(CONNECTION_LIMIT_REACHED);
    default: return CODE(DESTINATION_UNAVAILABLE);
    }
}

static void open_call(struct http_call *call)
{
    call->phase = CALL_OPEN;
    call->moved_us = io_now_us(call->client->loop);
    call_send(call);
    call_receive(call);
}

static void shake_hands(struct http_call *call)
{
    int code = tls_handshake(call->tls);
    if (code == 0)
        open_call(call);
    else if (code == TLS_CUT)
        call_fail(call, CODE(CONNECTION_TERMINATED));
    else if (code == TLS_FAILED)
        call_fail_tls(call);
}

void http_client_prepare_tls(struct http_client *client)
{
    struct err err = {0};
    if (!client->tls)
        client->tls = tls_context_new(NULL, &err);
    if (!client->tls)
        log_line(LOG_ERROR, NULL, "%s%s%s", err.message, err.remedy[0] ? ": " : "", err.remedy);
}

static bool begin_tls(struct http_call *call)
{
    http_client_prepare_tls(call->client);
    call->tls = call->client->tls ? tls_open(call->client->tls, call->watch.fd, call->host, "\x08http/1.1") : NULL;
    return call->tls != NULL;
}

static void connected(struct http_call *call)
{
    if (!call->secure) {
        open_call(call);
    } else if (!begin_tls(call)) {
        call_fail(call, CODE(INTERNAL_ERROR));
    } else {
        call->phase = CALL_HANDSHAKE;
        shake_hands(call);
    }
}

/* The connection is under way: 0, or why not. */
static int start_connecting(struct http_call *call, const struct ip_endpoint *to)
{
    union ip_sockaddr address;
    socklen_t size = ip_to_sockaddr(to, &address);
    int on = 1;
    struct err err;
    call->watch.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (call->watch.fd < 0)
        return errno;
    setsockopt(call->watch.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(call->watch.fd, &address.any, size) < 0 && errno != EINPROGRESS)
        return errno;
    call->watched = io_watch(call->client->loop, &call->watch, &err);
    return call->watched ? 0 : ENOBUFS;
}

/* One address after the other; `error` is what became of the last one. */
static void connect_next(struct http_call *call, enum wasi_http_types_error_code_tag tag)
{
    call->phase = CALL_CONNECT;
    disconnect(call);
    while (call->tried < call->lookup.count) {
        const struct ip_endpoint to = {.address = call->lookup.addresses[call->tried++], .port = call->port};
        int error = EPERM;
        if (call->permits(call->face.owner, &to))
            error = start_connecting(call, &to);
        if (error == 0)
            return;
        tag = tag_of_errno(error);
        disconnect(call);
    }
    call_fail(call, tag);
}

static void looked_up(struct io_lookup *lookup)
{
    struct http_call *call = IO_OWNER(lookup, struct http_call, lookup);
    struct wasi_http_types_error_code error = {.tag = CODE(DNS_ERROR)};
    static const struct str rcodes[] = {[IO_LOOKUP_NO_NAME] = {"NXDOMAIN", 8},
                                        [IO_LOOKUP_TEMPORARY] = {"SERVFAIL", 8},
                                        [IO_LOOKUP_FAILED] = {"REFUSED", 7}};
    if (lookup->result == IO_LOOKUP_FOUND) {
        connect_next(call, CODE(DESTINATION_NOT_FOUND));
    } else if (lookup->result == IO_LOOKUP_TIMEOUT) {
        call_fail(call, CODE(DNS_TIMEOUT));
    } else {
        error.dns_error.rcode = (struct option_str){true, rcodes[lookup->result]};
        fail_with(call, &error);
    }
    call_set_timer(call);
    call->face.changed(&call->face);
}

static void check_connection(struct http_call *call, unsigned events)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    if (!(events & (IO_OUT | IO_ERROR)))
        return;
    if (getsockopt(call->watch.fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
        failure = errno;
    if (failure)
        connect_next(call, tag_of_errno(failure));
    else
        connected(call);
}

static void ready(struct io_watch *watch, unsigned events)
{
    struct http_call *call = IO_OWNER(watch, struct http_call, watch);
    if (call->phase == CALL_CONNECT) {
        check_connection(call, events);
    } else if (call->phase == CALL_HANDSHAKE) {
        shake_hands(call);
    } else {
        call_send(call);
        call_receive(call);
    }
    call_set_timer(call);
    call->face.changed(&call->face);
}

/* ---- the beginning ---- */

/* Without a connection: by number or by name. */
static void begin_connecting(struct http_call *call)
{
    if (ip_parse(call->host, &call->lookup.addresses[0])) {
        call->lookup.count = 1;
        connect_next(call, CODE(DESTINATION_NOT_FOUND));
    } else if (call->resolver) {
        call->phase = CALL_LOOKUP;
        io_lookup_start(call->resolver, &call->lookup, call->host);
    } else {
        call_fail(call, CODE(DESTINATION_NOT_FOUND));
    }
}

void call_again(struct http_call *call)
{
    disconnect(call);
    call->kept = call->closed = false;
    call->out_at = 0;
    call->began_us = io_now_us(call->client->loop);
    begin_connecting(call);
}

/* RFC 9110, section 9.2.2, lets what changes nothing be sent again; so does a request without a body that the peer,
 * having ended the connection before, cannot have read. */
static bool begin_kept(struct http_call *call)
{
    static const struct str safe[] = {STR("GET"), STR("HEAD"), STR("OPTIONS"), STR("TRACE")};
    bool may = false;
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++)
        may |= call->sent && str_starts((struct str){(const char *)call->out.data, call->out.size}, safe[i]) &&
               call->out.data[safe[i].len] == ' ';
    if (!may || !idle_take(call))
        return false;
    call->kept = true;
    open_call(call);
    return true;
}

static bool write_head(struct http_call *call, const struct outbound_request *request)
{
    static const enum http_framing framings[] = {[OUTBOUND_NO_BODY] = HTTP_FRAME_NONE,
                                                 [OUTBOUND_LENGTH] = HTTP_FRAME_LENGTH,
                                                 [OUTBOUND_CHUNKED] = HTTP_FRAME_CHUNKED};
    struct http_request_head head = {.method = request->method,
                                     .target = request->target,
                                     .authority = request->authority,
                                     .fields = request->fields,
                                     .count = request->field_count,
                                     .framing = framings[request->body],
                                     .length = request->length};
    size_t size = request->method.len + request->target.len + request->authority.len + 256;
    for (size_t i = 0; i < request->field_count; i++)
        size += request->fields[i].name.len + request->fields[i].value.len + 4;
    char *bytes = mem_alloc(1, size);
    struct http_out out = {bytes, 0, size};
    bool done = bytes && http_request_head_write(&out, &head) && buf_append(&call->out, bytes, out.size);
    mem_free(bytes);
    return done;
}

static struct http_call *new_call(struct http_client *client, const struct outbound_request *request)
{
    struct http_call *call = mem_alloc(1, sizeof *call);
    char *host = mem_alloc(1, request->host.len + 1);
    char *raw = mem_alloc(1, HTTP_RESPONSE_HEAD);
    if (!call || !host || !raw) {
        mem_free(call);
        mem_free(host);
        mem_free(raw);
        return NULL;
    }
    memcpy(host, request->host.ptr, request->host.len);
    call->host = (struct str){host, request->host.len};
    call->raw = raw;
    call->client = client;
    call->watch = (struct io_watch){.ready = ready, .fd = -1};
    call->timer.fired = timed_out;
    call->lookup.done = looked_up;
    call->face.face = &http_client_face;
    call->face.changed = request->changed;
    call->face.owner = request->owner;
    call->permits = request->permits;
    call->tenant = request->tenant;
    call->resolver = request->resolver;
    call->port = request->port;
    call->secure = request->secure;
    call->framing = request->body;
    call->sent = request->body == OUTBOUND_NO_BODY;
    call->of_head = str_eq(request->method, STR("HEAD"));
    call->connect_us = request->connect_us ? request->connect_us : HTTP_CONNECT_US;
    call->first_byte_us = request->first_byte_us ? request->first_byte_us : HTTP_FIRST_BYTE_US;
    call->between_us = request->between_us ? request->between_us : HTTP_BETWEEN_US;
    call->began_us = io_now_us(client->loop);
    buf_init(&call->out, BODY_BYTES_MAX + HTTP_CALL_ROOM);
    buf_init(&call->body, HTTP_CALL_BODY);
    http_parse_begin_response(&call->parser, 0);
    client->count++;
    return call;
}

static struct outbound_call *begin(void *arg, const struct outbound_request *request)
{
    struct http_client *client = arg;
    struct http_call *call = new_call(client, request);
    if (!call)
        return NULL;
    if (request->refused) {
        call_fail(call, request->refusal);
    } else if (request->to != OUTBOUND_TO_PEER) {
        call_fail(call, CODE(DESTINATION_NOT_FOUND)); /* there is no application */
    } else if (client->count > client->max) {
        call_fail(call, CODE(CONNECTION_LIMIT_REACHED));
    } else if (!write_head(call, request)) {
        call_fail(call, CODE(INTERNAL_ERROR));
    } else if (!begin_kept(call)) {
        begin_connecting(call);
    }
    call_set_timer(call);
    return &call->face;
}

const struct outbound_face http_client_face = {begin, call_room, call_write, call_finish, corrupt, call_take, drop};
