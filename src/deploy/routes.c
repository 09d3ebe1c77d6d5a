/* From triggers to functions: which components are served at all, which path leads to which, and which time. A
 * manifest with a trigger of type command has one function, the command. */
#include "deploy/deploy_inner.h"

#include "base/json.h"
#include "base/log.h"

#define INFO_MAX ((size_t)1 << 21) /* a manifest's name and version, all escaped */

static bool take_answer(struct deploy *deploy, const struct manifest_answer *answer, struct deployed_answer **ret,
                        struct err *err)
{
    struct deployed_answer *made = ARENA_NEW(&deploy->arena, struct deployed_answer);
    struct http_field *fields = ARENA_ARRAY(&deploy->arena, struct http_field, answer->headers.count);
    if (!made || !fields)
        return err_memory(err);
    for (uint32_t i = 0; i < answer->headers.count; i++)
        fields[i] = (struct http_field){answer->headers.items[i].name.text, answer->headers.items[i].value.text};
    *made = (struct deployed_answer){answer->status, fields, answer->headers.count, answer->body.text};
    *ret = made;
    return true;
}

static bool check_trigger(const struct deploy *deploy, const struct manifest_trigger *trigger, struct err *err)
{
    const struct manifest_text *entry = &trigger->http.entrypoint;
    if (entry->text.ptr && !str_eq(entry->text, STR("_start")))
        return deploy_not_yet(deploy, entry->at, "entrypoints of the executor wagi but _start", err);
    if (trigger->dependencies.count || trigger->components.count)
        return deploy_not_yet(deploy, trigger->at, "middleware", err);
    return true;
}

/* Of the first trigger of that type; NULL: there is none. */
static const struct manifest_trigger *find_command(const struct manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->trigger_count; i++)
        if (manifest->triggers[i].type == MANIFEST_TRIGGER_COMMAND)
            return &manifest->triggers[i];
    return NULL;
}

/* As Spin does it, the first of several is run. */
static bool check_beside(const struct deploy *deploy, const struct manifest_trigger *command,
                         const struct manifest_trigger *trigger, struct err *err)
{
    if (!command || trigger == command)
        return true;
    if (trigger->type != MANIFEST_TRIGGER_COMMAND)
        return deploy_not_yet(deploy, trigger->at, "other triggers beside one of type command", err);
    log_line(LOG_WARN, NULL, "%s:%u: only the first trigger of type command is run", deploy->path, trigger->at.line);
    return true;
}

static bool choose_functions(struct deploy *deploy, struct deploy_choice *choice, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    const struct manifest_trigger *command = find_command(manifest);
    for (uint32_t i = 0; i < manifest->component_count; i++)
        choice->functions[i] = MANIFEST_NONE;
    for (uint32_t i = 0; i < manifest->trigger_count; i++) {
        const struct manifest_trigger *trigger = &manifest->triggers[i];
        if (!check_trigger(deploy, trigger, err) || !check_beside(deploy, command, trigger, err))
            return false;
        if (trigger->component != MANIFEST_NONE && (!command || trigger == command))
            choice->functions[trigger->component] = 0;
    }
    for (uint32_t i = 0; i < manifest->component_count; i++)
        if (choice->functions[i] == 0)
            choice->functions[i] = choice->function_count++;
    if (manifest->trigger_count)
        return true;
    err_set(err, ERR_INVALID, "%s: there is no trigger, and so nothing to serve", deploy->path);
    return err_remedy(err, "add [[trigger.http]] with a route and a component or a static_response");
}

static bool choose_routes(struct deploy *deploy, struct deploy_choice *choice, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    uint32_t count = 0;
    for (uint32_t i = 0; i < manifest->trigger_count; i++) {
        const struct manifest_trigger *trigger = &manifest->triggers[i];
        struct deployed_answer *answer = NULL;
        if (trigger->type != MANIFEST_TRIGGER_HTTP)
            continue;
        choice->specs[count] = (struct route_spec){trigger->http.route.text, trigger->http.is_private};
        if (trigger->http.answer.given && !take_answer(deploy, &trigger->http.answer, &answer, err))
            return false;
        choice->routes[count].answer = answer;
        choice->routes[count++].function = answer ? 0 : choice->functions[trigger->component];
    }
    deploy->deployment.router = &deploy->router;
    deploy->deployment.routes = choice->routes;
    return router_compile(&deploy->router, choice->specs, count, NULL, NULL, err);
}

static bool write_info(struct deploy *deploy, struct str *ret, struct err *err)
{
    const struct manifest_application *application = &deploy->manifest.application;
    struct buf text;
    struct json json = {.out = &text};
    buf_init(&text, INFO_MAX);
    json_object(&json, NULL);
    json_string(&json, "name", application->name.text);
    if (application->version.text.len)
        json_string(&json, "version", application->version.text);
    json_end(&json);
    const char *copy = text.failed ? NULL : deploy_text(deploy, (struct str){(const char *)text.data, text.size});
    *ret = (struct str){copy, text.size};
    buf_free(&text);
    return copy || err_memory(err);
}

/* What is asked of any application of Spin's. */
static bool add_own(struct deploy *deploy, struct err *err)
{
    static const struct http_field plain = {STR("content-type"), STR("text/plain")},
                                   told = {STR("content-type"), STR("application/json")};
    struct deployed_own *own = ARENA_ARRAY(&deploy->arena, struct deployed_own, 2);
    struct str info;
    if (!own)
        return err_memory(err);
    if (!write_info(deploy, &info, err))
        return false;
    own[0] = (struct deployed_own){STR(ROUTE_RESERVED "health"), {200, &plain, 1, STR("OK")}};
    own[1] = (struct deployed_own){STR(ROUTE_RESERVED "info"), {200, &told, 1, info}};
    deploy->deployment.own = own;
    deploy->deployment.own_count = 2;
    return true;
}

static bool choose_timers(struct deploy *deploy, struct deploy_choice *choice, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    uint32_t count = 0;
    for (uint32_t i = 0; i < manifest->trigger_count; i++) {
        const struct manifest_trigger *trigger = &manifest->triggers[i];
        if (trigger->type != MANIFEST_TRIGGER_CRON)
            continue;
        struct deployed_timer *timer = &choice->timers[count++];
        timer->function = choice->functions[trigger->component];
        timer->text = trigger->cron_expression.text;
        if (!cron_parse(timer->text, &timer->cron, err))
            return deploy_at(deploy, trigger->cron_expression.at, err);
    }
    deploy->deployment.timers = choice->timers;
    deploy->deployment.timer_count = count;
    return true;
}

bool deploy_choose(struct deploy *deploy, struct deploy_choice *ret, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    ret->functions = ARENA_ARRAY(&deploy->arena, uint32_t, manifest->component_count);
    ret->specs = ARENA_ARRAY(&deploy->arena, struct route_spec, manifest->trigger_count);
    ret->routes = ARENA_ARRAY(&deploy->arena, struct deployed_route, manifest->trigger_count);
    ret->timers = ARENA_ARRAY(&deploy->arena, struct deployed_timer, manifest->trigger_count);
    ret->function_count = 0;
    if (!ret->functions || !ret->specs || !ret->routes || !ret->timers)
        return err_memory(err);
    return choose_functions(deploy, ret, err) && choose_routes(deploy, ret, err) && add_own(deploy, err) &&
           choose_timers(deploy, ret, err);
}
