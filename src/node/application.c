/* See application.h. */
#include "node/application.h"

#include "base/json.h"
#include "wasi/storage.h"

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define NUMBER(name, field) {#name, offsetof(struct function_limits, field)}
    NUMBER(time_ns, wall_ns),       NUMBER(cpu_ns, cpu_ns),           NUMBER(memory_bytes, memory_bytes),
    NUMBER(body_bytes, body_bytes), NUMBER(stack_bytes, stack_bytes),
#undef NUMBER
};

static void write_text(struct json *json, const char *key, struct str text)
{
    if (text.len)
        json_string(json, key, text);
    else
        json_null(json, key);
}

static void write_texts(struct json *json, const char *key, const struct str *items, size_t count)
{
    json_array(json, key);
    for (size_t i = 0; i < count; i++)
        json_string(json, NULL, items[i]);
    json_end(json);
}

/* ---- routes ---- */

static void write_route(struct json *json, const struct deployment *deployment, uint32_t index)
{
    const struct deployed_route *to = &deployment->routes[index];
    const struct route *route = &deployment->router->routes[index];
    json_object(json, NULL);
    write_text(json, "path", route->is_private ? (struct str){NULL, 0} : route->raw);
    json_bool(json, "private", route->is_private);
    if (to->answer) {
        json_null(json, "function");
        json_number(json, "status", to->answer->status);
    } else {
        json_string(json, "function", str_of(deployment->functions[to->function].name));
        json_null(json, "status");
    }
    json_end(json);
}

static void write_routes(struct json *json, const struct deployment *deployment)
{
    json_array(json, "routes");
    for (uint32_t i = 0; deployment->router && i < deployment->router->count; i++)
        write_route(json, deployment, i);
    json_end(json);
}

static void write_timers(struct json *json, const struct deployment *deployment)
{
    json_array(json, "timers");
    for (uint32_t i = 0; i < deployment->timer_count; i++) {
        const struct deployed_timer *timer = &deployment->timers[i];
        json_object(json, NULL);
        json_string(json, "expression", timer->text);
        json_string(json, "function", str_of(deployment->functions[timer->function].name));
        json_end(json);
    }
    json_end(json);
}

static void write_channels(struct json *json, const struct deployment *deployment)
{
    json_array(json, "channels");
    for (uint32_t i = 0; i < deployment->listener_count; i++) {
        const struct deployed_listener *listener = &deployment->listeners[i];
        json_object(json, NULL);
        json_string(json, "server", str_of(deployment->subscriptions[listener->subscription].shown));
        json_string(json, "channel", listener->shown);
        json_string(json, "function", str_of(deployment->functions[listener->function].name));
        json_end(json);
    }
    json_end(json);
}

/* ---- functions ---- */

static void write_files(struct json *json, const struct host_config *config)
{
    json_array(json, "files");
    for (size_t i = 0; i < config->directory_count; i++) {
        json_object(json, NULL);
        json_string(json, "path", config->directories[i].name);
        json_bool(json, "writable", config->directories[i].dir.writable);
        json_end(json);
    }
    json_end(json);
}

static void write_names(struct json *json, const char *key, const struct host_variable *variables, size_t count)
{
    json_array(json, key);
    for (size_t i = 0; i < count; i++)
        json_string(json, NULL, variables[i].name);
    json_end(json);
}

static void write_grants(struct json *json, const struct deployed *deployed)
{
    static const struct storage_grants nothing;
    const struct host_config *config = &deployed->config;
    const struct storage_grants *storage = config->storage ? config->storage : &nothing;
    json_object(json, "grants");
    write_texts(json, "hosts", deployed->hosts.items, deployed->hosts.count);
    write_texts(json, "listens", deployed->listens.items, deployed->listens.count);
    write_files(json, config);
    write_texts(json, "stores", storage->labels[STORAGE_STORE], storage->counts[STORAGE_STORE]);
    write_texts(json, "databases", storage->labels[STORAGE_DATABASE], storage->counts[STORAGE_DATABASE]);
    write_names(json, "environment", config->environment, config->environment_count);
    write_names(json, "variables", config->variables, config->variable_count);
    json_end(json);
}

static void write_limits(struct json *json, const struct function_limits *limits)
{
    json_object(json, "limits");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const void *number = (const char *)limits + numbers[i].offset;
        json_number(json, numbers[i].name, *(const uint64_t *)number);
    }
    json_number(json, "handles", limits->handles);
    json_number(json, "instances", limits->instances);
    json_end(json);
}

static void write_function(struct json *json, const struct deployed *deployed)
{
    json_object(json, NULL);
    json_string(json, "name", str_of(deployed->name));
    write_text(json, "description", deployed->description);
    json_string(json, "source", str_of(deployed->path));
    json_bool(json, "snapshot", deployed->snapshot);
    write_grants(json, deployed);
    write_limits(json, &deployed->limits);
    json_end(json);
}

void application_write(struct buf *text, const struct deployment *deployment, const char *url)
{
    struct json json = {.out = text};
    json_object(&json, NULL);
    json_number(&json, "schema", APPLICATION_SCHEMA);
    write_text(&json, "name", deployment->name);
    write_text(&json, "version", deployment->version);
    write_text(&json, "description", deployment->description);
    write_text(&json, "manifest", str_of(deployment->manifest ? deployment->manifest : ""));
    write_text(&json, "url", str_of(url));
    write_routes(&json, deployment);
    write_timers(&json, deployment);
    write_channels(&json, deployment);
    json_array(&json, "functions");
    for (uint32_t i = 0; i < deployment->function_count; i++)
        write_function(&json, &deployment->functions[i]);
    json_end(&json);
    json_end(&json);
}
