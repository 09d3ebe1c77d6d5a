/* See admin.h. */
#include "node/admin.h"

#include "base/log.h"
#include "http/server.h"
#include "io/address.h"
#include "node/application.h"
#include "node/exposition.h"
#include "node/page.h"
#include "node/status.h"

#include <signal.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)64 << 20) /* of an answer; a thousand workers have a tenth of it */
#define SECOND_US UINT64_C(1000000)

struct admin {
    const struct admin_options *options;
    const struct metrics *metrics;
    struct io_loop *loop;
    struct io_watch channel;
    struct buf text; /* of an answer; its memory is kept for the next one */
};

/* ---- answers ---- */

static void write_application(struct admin *admin)
{
    application_write(&admin->text, admin->options->deployment, admin->options->url);
}

static void write_metrics(struct admin *admin)
{
    exposition_write(&admin->text, admin->metrics);
}

static void write_status(struct admin *admin)
{
    status_write(&admin->text, admin->metrics);
}

/* Some worker serves, and will go on. */
static bool is_healthy(const struct metrics *metrics)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < metrics->worker_count; i++)
        ready += counter_read(&metrics->node->places[i].ready) != 0;
    return ready && !counter_read(&metrics->node->draining);
}

static void write_health(struct admin *admin)
{
    buf_printf(&admin->text, "%s\n", is_healthy(admin->metrics) ? "ok" : "not serving");
}

static const struct told {
    struct str path, type;
    void (*write)(struct admin *admin);
    const char *bytes, *end; /* instead of `write` */
    bool health;  /* its status says how it is, which everybody may know */
} places[] = {
#define TEXT(text) {text, sizeof(text) - 1}
#define PLACE(path, type, write) {TEXT(path), TEXT(type), write, NULL, NULL, false}
#define BYTES(path, type, name) {TEXT(path), TEXT(type), NULL, page_##name, page_##name##_end, false}
    BYTES("/", "text/html; charset=utf-8", html),
    BYTES("/page.css", "text/css; charset=utf-8", css),
    BYTES("/page.js", "text/javascript; charset=utf-8", js),
    BYTES("/icon.svg", "image/svg+xml", icon),
    PLACE("/application", "application/json", write_application),
    PLACE("/status", "application/json", write_status),
    PLACE("/metrics", EXPOSITION_TYPE, write_metrics),
    {TEXT("/healthz"), TEXT("text/plain; charset=utf-8"), write_health, NULL, NULL, true},
#undef BYTES
#undef PLACE
#undef TEXT
};

/* With every answer: it is for pages from here only, none of which runs or shows anything that is not from here. */
#define FIELD(name, value) {{name, sizeof(name) - 1}, {value, sizeof(value) - 1}}
#define GUARDS                                                                                                         \
    FIELD("cache-control", "no-store"), FIELD("x-content-type-options", "nosniff"),                                    \
        FIELD("cross-origin-resource-policy", "same-origin"), FIELD("cross-origin-opener-policy", "same-origin"),      \
        FIELD("referrer-policy", "no-referrer"),                                                                       \
        FIELD("content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "   \
                                         "connect-src 'self'; base-uri 'none'; form-action 'none'; "                   \
                                         "frame-ancestors 'none'; require-trusted-types-for 'script'; "                \
                                         "trusted-types 'none'")

static const struct told *find_place(struct str target)
{
    struct str path = str_slice(target, 0, str_find(target, '?'));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (str_eq(path, places[i].path))
            return &places[i];
    return NULL;
}

static bool answer(struct admin *admin, struct http_exchange *x, const struct told *place)
{
    const struct http_field fields[] = {{STR("content-type"), place->type}, GUARDS};
    struct str body = {place->bytes, place->bytes ? (size_t)(place->end - place->bytes) : 0};
    unsigned status = !place->health || is_healthy(admin->metrics) ? 200 : 503;
    admin->text.size = 0;
    admin->text.failed = admin->text.full = false;
    if (place->write) {
        place->write(admin);
        body = (struct str){(const char *)admin->text.data, admin->text.size};
    }
    return !admin->text.failed && http_respond(x, status, fields, sizeof fields / sizeof fields[0], body);
}

static bool refuse(struct http_exchange *x, unsigned status, struct str words)
{
    static const struct http_field fields[] = {FIELD("allow", "GET, HEAD"),
                                               FIELD("content-type", "text/plain; charset=utf-8"), GUARDS};
    size_t skipped = status == 405 ? 0 : 1;
    return http_respond(x, status, fields + skipped, sizeof fields / sizeof fields[0] - skipped, words);
}

/* ---- who asks ---- */

static bool same_name(struct str a, struct str b)
{
    for (size_t i = 0; a.len == b.len && i < a.len; i++)
        if (http_token_lower[(uint8_t)a.ptr[i]] != http_token_lower[(uint8_t)b.ptr[i]])
            return false;
    return a.len == b.len;
}

/* The host of the request is an address, localhost or a name that was given. Whoever names none is no browser. */
static bool is_ours(const struct admin_options *options, struct str authority)
{
    struct ip_address address;
    size_t bracket = authority.len && authority.ptr[0] == '[' ? str_find(authority, ']') : 0;
    struct str host = str_slice(authority, 0, bracket ? bracket + 1 : str_find(authority, ':'));
    if (host.len && host.ptr[host.len - 1] == '.')
        host.len--;
    if (authority.len == 0 || ip_parse(host, &address) || same_name(host, STR("localhost")))
        return true;
    for (uint32_t i = 0; i < options->name_count; i++)
        if (same_name(host, str_of(options->names[i])))
            return true;
    return false;
}

static bool handle(void *arg, struct http_exchange *x)
{
    struct admin *admin = arg;
    const struct http_request *request = http_request(x);
    const struct told *place = find_place(request->target);
    if (!(place && place->health) && !is_ours(admin->options, request->authority))
        return refuse(x, 421, STR("ask by an address or as localhost, or start mayfly up with --known-as NAME\n"));
    if (!place)
        return refuse(x, 404, STR("there are /, /application, /status, /metrics and /healthz\n"));
    if (!str_eq(request->method, STR("GET")) && !str_eq(request->method, STR("HEAD")))
        return refuse(x, 405, STR(""));
    return answer(admin, x, place);
}

/* ---- life ---- */

/* The supervisor says nothing: it can only be gone. */
static void on_channel(struct io_watch *watch, unsigned events)
{
    (void)events;
    io_stop(IO_OWNER(watch, struct admin, channel)->loop);
}

static bool serve(struct admin *admin, int listen_fd, struct err *err)
{
    const struct http_service service = {.handle = handle, .arg = admin};
    struct http_limits limits = http_limits_default;
    limits.connections = 64;
    limits.body_bytes = 65536;
    limits.idle_us = 30 * SECOND_US;
    admin->loop = io_loop_new(err);
    struct http_server *server = admin->loop ? http_server_new(admin->loop, &service, &limits, err) : NULL;
    admin->channel.ready = on_channel;
    bool done = server && io_watch_level(admin->loop, &admin->channel, err) &&
                http_server_listen(server, listen_fd, err) && io_run(admin->loop, err);
    http_server_free(server);
    io_loop_free(admin->loop);
    return done;
}

int admin_work(const struct admin_options *options, int listen_fd, int channel)
{
    struct admin admin = {.options = options, .metrics = options->metrics, .channel.fd = channel};
    struct err err = {0};
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    buf_init(&admin.text, TEXT_MAX);
    bool done = serve(&admin, listen_fd, &err);
    if (!done)
        log_line(LOG_ERROR, NULL, "no metrics: %s", err.message);
    buf_free(&admin.text);
    close(channel);
    return done ? 0 : 1;
}
