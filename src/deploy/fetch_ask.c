/* What the process that fetches a file asks servers for, and what their answers mean (see fetch.h). */
#include "deploy/fetch_inner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "http/client.h"
#include "services/confine.h"

#include <stdio.h>
#include <unistd.h>

#define REPORT_NS UINT64_C(250000000) /* between two reports */

struct fetch_client {
    const struct fetch_limits *limits;
    struct io_loop *loop;
    struct http_client *http;
    struct io_resolver *resolver; /* NULL: only addresses can be asked */
    struct err no_names;          /* why */
    bool led;        /* who is asked now was named by a server */
    bool at_private; /* who was named by the manifest is at a private address */
    struct buf url, target, joined;
    uint64_t done, total, reported_ns;
};

/* ---- life ---- */

struct fetch_client *fetch_client_new(const struct fetch_limits *limits, const char *name_servers, struct err *err)
{
    struct fetch_client *client = mem_alloc(1, sizeof *client);
    const struct landlock_ports ports = {.all = true};
    if (!client) {
        err_memory(err);
        return NULL;
    }
    *client = (struct fetch_client){.limits = limits};
    buf_init(&client->url, URL_MAX);
    buf_init(&client->target, 4 * URL_MAX);
    buf_init(&client->joined, URL_MAX);
    client->loop = io_loop_new(err);
    client->http = client->loop ? http_client_new(client->loop, err) : NULL;
    if (client->http) {
        client->resolver = io_resolver_new(client->loop, name_servers, &client->no_names);
        http_client_prepare_tls(client->http);
    }
    if (client->http && confine_enter_network(&ports, err))
        return client;
    fetch_client_free(client);
    return NULL;
}

void fetch_client_free(struct fetch_client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    io_resolver_free(client->resolver);
    io_loop_free(client->loop);
    buf_free(&client->url);
    buf_free(&client->target);
    buf_free(&client->joined);
    mem_free(client);
}

/* ---- what is said ---- */

static struct str text_of(const struct buf *buf)
{
    return (struct str){(const char *)buf->data, buf->size};
}

#define SHOWN(url) url_shown((url), (char[URL_SHOWN]){0})

static bool unreachable(struct str url, const char *what, struct err *err)
{
    err_set(err, ERR_SYSTEM, "cannot fetch %s: %s", SHOWN(url), what);
    return err_remedy(err, "see whether that is its place, and whether this machine reaches it");
}

bool fetch_refused(struct str url, unsigned status, struct err *err)
{
    if (status == 404 || status == 410) {
        err_set(err, ERR_INVALID, "cannot fetch %s: it is not there (the server answers %u)", SHOWN(url), status);
        return err_remedy(err, "see whether that is its place");
    }
    err_set(err, status < 500 ? ERR_INVALID : ERR_SYSTEM, "cannot fetch %s: the server answers %u", SHOWN(url), status);
    if (status == 401 || status == 403)
        return err_remedy(
            err, "only what everybody may have can be fetched: put the file beside the manifest and write its path");
    return err_remedy(err, status >= 500 ? "try again later" : "see whether that is its place");
}

static bool too_large(const struct fetch_client *client, struct str url, struct err *err)
{
    err_set(err, ERR_LIMIT, "%s has more than %llu bytes", SHOWN(url), (unsigned long long)client->limits->bytes);
    return err_remedy(err, "put the file beside the manifest and write its path");
}

/* ---- one server ---- */

static bool is_private(const struct ip_address *address)
{
    struct ip_address inner;
    return ip_is_private(address) || (ip_carried(address, &inner) && ip_is_private(&inner));
}

/* A server must not make this machine ask others that only it can reach. */
static bool permits(void *owner, const struct ip_endpoint *to)
{
    struct fetch_client *client = owner;
    if (!client->led)
        client->at_private = is_private(&to->address);
    return client->at_private || !is_private(&to->address);
}

static void changed(struct outbound_call *call)
{
    io_stop(((struct fetch_client *)call->owner)->loop);
}

static bool same_origin(struct str named, const struct url *url)
{
    struct url first;
    return url_parse(named, &first) && first.secure == url->secure && first.port == url->port &&
           str_eq(first.host, url->host);
}

static struct outbound_call *begin(struct fetch_client *client, const struct url *url,
                                   const struct fetch_request *request)
{
    bool named = same_origin(request->url, url);
    const struct outbound_request outbound = {
        .method = STR("GET"),
        .target = text_of(&client->target),
        .authority = url->authority,
        .secure = url->secure,
        .host = url->host,
        .port = url->port,
        .fields = named ? request->fields : NULL,
        .field_count = named ? request->field_count : 0,
        .body = OUTBOUND_NO_BODY,
        .tenant = client,
        .connect_us = client->limits->phase_us,
        .first_byte_us = client->limits->phase_us,
        .between_us = client->limits->phase_us,
        .resolver = client->resolver,
        .permits = permits,
        .changed = changed,
        .owner = client,
    };
    return http_client_face.begin(client->http, &outbound);
}

static struct str field_of(const struct outbound_call *call, struct str name)
{
    for (uint32_t i = 0; i < call->field_count; i++)
        if (str_eq(call->fields[i].name, name))
            return call->fields[i].value;
    return STR("");
}

static void keep_field(const struct outbound_call *call, struct str name, char ret[FETCH_FIELD_MAX])
{
    struct str value = field_of(call, name);
    snprintf(ret, FETCH_FIELD_MAX, "%.*s", value.len < FETCH_FIELD_MAX ? (int)value.len : 0, value.ptr);
}

/* ---- the answer's body ---- */

static void report_progress(struct fetch_client *client, const struct fetch_sink *sink)
{
    const struct fetch_report report = {.kind = FETCH_PROGRESS, .done = client->done, .total = client->total};
    uint64_t now = clock_now_ns();
    if (now - client->reported_ns < REPORT_NS)
        return;
    client->reported_ns = now;
    if (write(sink->reports, &report, sizeof report) < 0)
        _exit(1); /* nobody is there */
}

static bool take_some(struct fetch_client *client, const struct fetch_request *request, struct str bytes,
                      struct err *err)
{
    client->done += bytes.len;
    if (!request->sink && !buf_append(request->body, bytes.ptr, bytes.len))
        return request->body->full ? err_set(err, ERR_LIMIT, "%s: an answer of more than %zu bytes",
                                             SHOWN(request->url), FETCH_ANSWER_MAX)
                                   : err_memory(err);
    if (!request->sink)
        return true;
    if (client->done > client->limits->bytes)
        return too_large(client, request->url, err);
    report_progress(client, request->sink);
    return file_write(request->sink->file, bytes.ptr, bytes.len) || err_errno(err, "cannot keep what is fetched");
}

/* Taking may bring more at once. */
static bool take(struct fetch_client *client, const struct fetch_request *request, struct outbound_call *call,
                 struct err *err)
{
    for (size_t size; (size = call->body.len) > 0; http_client_face.take(call, size))
        if (!take_some(client, request, call->body, err))
            return false;
    return true;
}

/* What its head says of the body. */
static bool check_head(struct fetch_client *client, const struct fetch_request *request,
                       const struct outbound_call *call, struct err *err)
{
    struct str coding = field_of(call, STR("content-encoding")), length = field_of(call, STR("content-length"));
    client->done = client->total = 0;
    for (size_t i = 0; i < length.len && length.ptr[i] >= '0' && length.ptr[i] <= '9' && i < 18; i++)
        client->total = client->total * 10 + (uint64_t)(length.ptr[i] - '0');
    if (request->sink && client->total > client->limits->bytes)
        return too_large(client, request->url, err);
    if (!coding.len || str_eq(coding, STR("identity")))
        return true;
    err_set(err, ERR_UNSUPPORTED, "%s comes in the coding %.*s, which nobody asked for", SHOWN(request->url),
            coding.len < 32 ? (int)coding.len : 32, coding.ptr);
    return err_remedy(err, "name a place that gives the file as it is");
}

static bool broke_off(const struct fetch_client *client, struct str url, struct err *err)
{
    char what[128];
    snprintf(what, sizeof what, "its answer broke off behind %llu bytes", (unsigned long long)client->done);
    return unreachable(url, what, err);
}

static bool receive(struct fetch_client *client, const struct fetch_request *request, struct outbound_call *call,
                    struct err *err)
{
    if (!check_head(client, request, call, err))
        return false;
    while (take(client, request, call, err)) {
        if (call->state == OUTBOUND_FAILED)
            return broke_off(client, request->url, err);
        if (call->state == OUTBOUND_DONE)
            return true;
        if (!io_run(client->loop, err))
            return false;
    }
    return false;
}

/* ---- where it leads ---- */

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* client->url becomes that of the next server. */
static bool follow(struct fetch_client *client, const struct url *from, const struct outbound_call *call,
                   struct err *err)
{
    struct str location = field_of(call, STR("location")), whole = text_of(&client->url), joined;
    struct url to;
    if (!url_join(from, location, &client->joined))
        return client->joined.full
                   ? err_set(err, ERR_LIMIT, "%s leads to a URL of more than %zu bytes", SHOWN(whole), URL_MAX)
                   : err_memory(err);
    joined = text_of(&client->joined);
    if (!location.len || !url_parse(joined, &to)) {
        err_set(err, ERR_INVALID, "%s leads to \"%s\", which is no place that can be asked", SHOWN(whole),
                SHOWN(joined));
        return err_remedy(err, "name the place where the file is");
    }
    if (from->secure && !to.secure) {
        err_set(err, ERR_INVALID, "%s leads from https to http", SHOWN(whole));
        return err_remedy(err, "name the place where the file is");
    }
    buf_free(&client->url);
    return buf_append(&client->url, joined.ptr, joined.len) || err_memory(err);
}

/* One server. `*ret_led`: it named another one, which client->url is now. */
static bool exchange(struct fetch_client *client, const struct fetch_request *request, bool *ret_led,
                     struct fetch_answer *ret, struct err *err)
{
    struct str whole = text_of(&client->url);
    struct url url;
    struct ip_address address;
    *ret_led = false;
    if (!url_parse(whole, &url))
        return unreachable(whole, "it is no URL that can be asked", err);
    if (!client->resolver && !ip_parse(url.host, &address))
        return unreachable(whole, client->no_names.message, err);
    if (!url_target(&url, &client->target))
        return err_memory(err);
    struct outbound_call *call = begin(client, &url, request);
    bool done = call || err_memory(err);
    while (done && call->state == OUTBOUND_WAITING)
        done = io_run(client->loop, err);
    if (done && call->state == OUTBOUND_FAILED && !call->status) {
        done = unreachable(whole, url_failure(call), err);
    } else if (done && is_redirect(call->status)) {
        *ret_led = true;
        done = follow(client, &url, call, err);
    } else if (done) {
        ret->status = call->status;
        keep_field(call, STR("www-authenticate"), ret->challenge);
        keep_field(call, STR("link"), ret->next);
        done = call->status != 200 || receive(client, request, call, err);
    }
    if (call)
        http_client_face.drop(call);
    return done;
}

bool fetch_ask(struct fetch_client *client, const struct fetch_request *request, struct fetch_answer *ret,
               struct err *err)
{
    bool led = true;
    if (request->url.len > URL_MAX)
        return err_set(err, ERR_LIMIT, "%s... has more than %zu bytes", SHOWN(request->url), URL_MAX);
    buf_free(&client->url);
    if (!buf_append(&client->url, request->url.ptr, request->url.len))
        return err_memory(err);
    client->led = request->led;
    for (unsigned i = 0; led && i <= FETCH_REDIRECTS_MAX; i++) {
        if (!exchange(client, request, &led, ret, err))
            return false;
        client->led = true;
    }
    if (!led)
        return true;
    err_set(err, ERR_LIMIT, "%s leads on and on, more than %u times", SHOWN(request->url), FETCH_REDIRECTS_MAX);
    return err_remedy(err, "name the place where the file is");
}
