/* What `mayfly up` says of what it serves: where, which routes, timers and channels; for people, or as JSON with the
 * members that Spin has. */
#include "cli/up.h"

#include "base/json.h"
#include "base/log.h"
#include "io/net.h"

#include <stdio.h>
#include <string.h>

#define TOLD_MAX ((size_t)16 << 20) /* bytes of routes as JSON */

static const char *scheme_of(const struct up *up)
{
    return up->options->tls_cert ? "https" : "http";
}

void up_url(const struct up *up, char ret_url[UP_URL_MAX])
{
    char address[NET_ADDRESS_MAX];
    ret_url[0] = '\0';
    if (up->listen_fd < 0)
        return;
    net_name(up->listen_fd, address);
    snprintf(ret_url, UP_URL_MAX, "%s://%s", scheme_of(up), address);
}

/* Of an application. */
static void print_routes(const struct deployment *deployment)
{
    const struct router *router = deployment->router;
    if (!router || !router->count)
        return;
    printf("Routes:\n");
    for (uint32_t i = 0; i < router->count; i++) {
        const struct deployed_route *route = &deployment->routes[i];
        if (!router->routes[i].is_private)
            printf("  %-24.*s %s\n", (int)router->routes[i].raw.len, router->routes[i].raw.ptr,
                   route->answer ? "(static)" : deployment->functions[route->function].name);
    }
}

/* The trigger of that route. */
static const struct manifest_trigger *trigger_of(const struct manifest *manifest, uint32_t index)
{
    const struct manifest_trigger *trigger = manifest->triggers;
    while (trigger->type != MANIFEST_TRIGGER_HTTP || index-- > 0)
        trigger++;
    return trigger;
}

/* Who answers, where routes lead to nobody else: a component without a manifest. */
static void write_route(struct json *json, const struct up *up, uint32_t index)
{
    const struct deployment *deployment = &up->deploy.deployment;
    const struct router *router = deployment->router;
    const struct deployed_route *route = router ? &deployment->routes[index] : NULL;
    const struct deployed *function =
        route && route->answer ? NULL : &deployment->functions[route ? route->function : 0];
    json_object(json, NULL);
    json_string(json, "id", function ? str_of(function->name) : trigger_of(&up->deploy.manifest, index)->id.text);
    json_string(json, "route", router ? router->routes[index].raw : STR("/..."));
    json_bool(json, "wildcard", !router || router->routes[index].wildcard);
    if (function && function->description.len)
        json_string(json, "description", function->description);
    json_end(json);
}

/* The members that Spin has. */
static void print_json(const struct up *up, const char *url)
{
    const struct router *router = up->deploy.deployment.router;
    struct buf text;
    struct json json = {.out = &text};
    buf_init(&text, TOLD_MAX);
    json_object(&json, NULL);
    if (url[0])
        json_string(&json, "base_url", str_of(url));
    else
        json_null(&json, "base_url");
    json_array(&json, "routes");
    for (uint32_t i = 0; i < (router ? router->count : 1); i++)
        if (!router || !router->routes[i].is_private)
            write_route(&json, up, i);
    json_end(&json);
    json_end(&json);
    if (text.failed)
        log_line(LOG_ERROR, NULL, "there is no memory to say where it serves");
    else
        fwrite(text.data, 1, text.size, stdout);
    buf_free(&text);
}

static void print_timers(const struct deployment *deployment)
{
    if (deployment->timer_count)
        printf("Timers:\n");
    for (uint32_t i = 0; i < deployment->timer_count; i++) {
        const struct deployed_timer *timer = &deployment->timers[i];
        printf("  %-24.*s %s\n", STR_ARG(timer->text), deployment->functions[timer->function].name);
    }
}

static void print_channels(const struct deployment *deployment)
{
    if (deployment->listener_count)
        printf("Channels:\n");
    for (uint32_t i = 0; i < deployment->listener_count; i++) {
        const struct deployed_listener *listener = &deployment->listeners[i];
        printf("  %-24.*s %s\n", STR_ARG(listener->shown), deployment->functions[listener->function].name);
    }
}

/* The log's line comes first: who waits for the other finds it. */
void up_say(const struct up *up)
{
    char address[NET_ADDRESS_MAX], url[UP_URL_MAX];
    up_url(up, url);
    if (up->admin_fd >= 0) {
        net_name(up->admin_fd, address);
        log_line(LOG_INFO, NULL, "a page at http://%s/, metrics at http://%s/metrics", address, address);
    }
    if (up->options->format && strcmp(up->options->format, "json") == 0) {
        print_json(up, url);
    } else {
        printf("Serving %s\n", url[0] ? url : "at no address: there is no trigger of type http");
        print_routes(&up->deploy.deployment);
        print_timers(&up->deploy.deployment);
        print_channels(&up->deploy.deployment);
    }
    fflush(stdout);
}
