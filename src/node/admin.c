/* See admin.h. */
#include "node/admin.h"

#include "base/log.h"
#include "http/server.h"
#include "node/exposition.h"
#include "node/status.h"

#include <signal.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)64 << 20) /* of an answer; a thousand workers have a tenth of it */
#define SECOND_US UINT64_C(1000000)

struct admin {
    const struct metrics *metrics;
    struct io_loop *loop;
    struct io_watch channel;
    struct buf text; /* of an answer; its memory is kept for the next one */
};

/* ---- answers ---- */

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

static const struct route {
    struct str path, type;
    void (*write)(struct admin *admin);
    bool health; /* its status says how it is */
} routes[] = {
#define ROUTE(path, type, write, health) {{path, sizeof(path) - 1}, {type, sizeof(type) - 1}, write, health}
    ROUTE("/metrics", EXPOSITION_TYPE, write_metrics, false),
    ROUTE("/status", "application/json", write_status, false),
    ROUTE("/healthz", "text/plain; charset=utf-8", write_health, true),
#undef ROUTE
};

static const struct route *find_route(struct str target)
{
    struct str path = str_slice(target, 0, str_find(target, '?'));
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (str_eq(path, routes[i].path))
            return &routes[i];
    return NULL;
}

static bool answer(struct admin *admin, struct http_exchange *x, const struct route *route)
{
    const struct http_field fields[] = {{STR("content-type"), route->type}, {STR("cache-control"), STR("no-store")}};
    unsigned status = !route->health || is_healthy(admin->metrics) ? 200 : 503;
    admin->text.size = 0;
    admin->text.failed = admin->text.full = false;
    route->write(admin);
    if (admin->text.failed)
        return false;
    return http_respond(x, status, fields, 2, (struct str){(const char *)admin->text.data, admin->text.size});
}

static bool handle(void *arg, struct http_exchange *x)
{
    static const struct http_field allow = {{"allow", 5}, {"GET, HEAD", 9}};
    const struct http_request *request = http_request(x);
    const struct route *route = find_route(request->target);
    if (!route)
        return http_respond(x, 404, NULL, 0, STR("there are /metrics, /status and /healthz\n"));
    if (!str_eq(request->method, STR("GET")) && !str_eq(request->method, STR("HEAD")))
        return http_respond(x, 405, &allow, 1, STR(""));
    return answer(arg, x, route);
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

int admin_work(const struct metrics *metrics, int listen_fd, int channel)
{
    struct admin admin = {.metrics = metrics, .channel.fd = channel};
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
