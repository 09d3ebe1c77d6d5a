/* Values of an application's variables, which are found before any process of the node is, and what becomes of them:
 * texts of the manifest that name them, and what components find in their interfaces.
 *
 * Sources are asked one after the other, and the first that has a value gives it: the command line, the providers of
 * the runtime configuration in their order, the environment with the file .env, the manifest's default. A variable that
 * none of them has is an error before anything is served. Values may be secrets, so no message has one in it. */
#include "deploy/deploy_inner.h"

#include "app/template.h"
#include "base/file.h"
#include "base/log.h"
#include "base/nearest.h"
#include "deploy/dotenv.h"
#include "deploy/vault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "SPIN_VARIABLE"
#define KEY_MAX 512u /* bytes of a variable's name in the environment */
#define DOTENV_MAX ((size_t)1 << 20)
#define TEXT_MAX ((size_t)1 << 20) /* of a text with its variables in place */

static const struct manifest_variable *variable_at(const struct deploy *deploy, uint32_t index)
{
    return &deploy->manifest.variables[index];
}

/* Index of the variable, or MANIFEST_NONE. */
static uint32_t index_of(const struct deploy *deploy, struct str name)
{
    const struct manifest_variable *variable = manifest_find_variable(&deploy->manifest, name);
    return variable ? (uint32_t)(variable - deploy->manifest.variables) : MANIFEST_NONE;
}

/* A copy, for as long as the deployment. */
static bool give(struct deploy *deploy, uint32_t index, struct str value, struct err *err)
{
    if (!utf8_valid(value.ptr, value.len))
        return err_set(err, ERR_INVALID, "the value of the variable \"%.*s\" is no UTF-8",
                       STR_ARG(variable_at(deploy, index)->name.text));
    const char *copy = arena_copy(&deploy->arena, value.len ? value.ptr : "", value.len + !value.len);
    deploy->values[index] = (struct str){copy, value.len};
    return copy || err_memory(err);
}

/* ---- sources ---- */

static void warn_unknown(const struct deploy *deploy, struct str name)
{
    struct nearest nearest = nearest_to(name);
    for (uint32_t i = 0; i < deploy->manifest.variable_count; i++)
        nearest_consider(&nearest, variable_at(deploy, i)->name.text);
    log_line(LOG_WARN, NULL, "--variable: the application has no variable \"%.*s\"%s%.*s%s", STR_ARG(name),
             nearest.found.len ? ": did you mean \"" : "", STR_ARG(nearest.found), nearest.found.len ? "\"?" : "");
}

static bool fill_given(struct deploy *deploy, struct err *err)
{
    for (uint32_t i = 0; i < deploy->given.variable_count; i++) {
        const struct host_variable *given = &deploy->given.variables[i];
        uint32_t index = index_of(deploy, given->name);
        if (index == MANIFEST_NONE)
            warn_unknown(deploy, given->name);
        else if (!give(deploy, index, given->value, err))
            return false;
    }
    return true;
}

static bool fill_static(struct deploy *deploy, const struct runtime_provider *provider, struct err *err)
{
    for (uint32_t i = 0; i < provider->values.count; i++) {
        const struct manifest_pair *pair = &provider->values.items[i];
        uint32_t index = index_of(deploy, pair->name.text);
        if (index != MANIFEST_NONE && !deploy->values[index].ptr && !give(deploy, index, pair->value.text, err))
            return false;
    }
    return true;
}

/* PREFIX_NAME, the name in upper case. False: it is too long to be one. */
static bool key_of(struct str prefix, struct str name, char ret_key[KEY_MAX])
{
    size_t size = prefix.len + 1 + name.len;
    if (size >= KEY_MAX)
        return false;
    memcpy(ret_key, prefix.ptr, prefix.len);
    ret_key[prefix.len] = '_';
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        ret_key[prefix.len + 1 + i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    ret_key[size] = '\0';
    return true;
}

/* One that is not there has nothing in it. */
static bool read_dotenv(struct deploy *deploy, const char *path, struct str prefix, struct dotenv *ret, struct err *err)
{
    struct buf text;
    deploy_watch(deploy, path);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    buf_init(&text, DOTENV_MAX);
    bool done = file_read(path, &text, err) &&
                dotenv_read(ret, (struct str){(const char *)text.data, text.size}, prefix, &deploy->arena, err);
    if (text.data)
        explicit_bzero(text.data, text.size);
    buf_free(&text);
    return done || err_within(err, "%s", path);
}

/* The process's environment, then the file (NULL: none). */
static bool fill_from(struct deploy *deploy, struct str prefix, const char *path, struct err *err)
{
    struct dotenv dotenv = {0};
    char key[KEY_MAX];
    if (path && !read_dotenv(deploy, path, prefix, &dotenv, err))
        return false;
    for (uint32_t i = 0; i < deploy->manifest.variable_count; i++) {
        if (deploy->values[i].ptr || !key_of(prefix, variable_at(deploy, i)->name.text, key))
            continue;
        const char *here = getenv(key);
        const struct str *there = here ? NULL : dotenv_find(&dotenv, str_of(key));
        if ((here || there) && !give(deploy, i, here ? str_of(here) : *there, err))
            return false;
    }
    return true;
}

static bool fill_environment(struct deploy *deploy, const struct runtime_provider *provider, struct err *err)
{
    struct str prefix = provider->prefix.text.ptr ? provider->prefix.text : STR(PREFIX);
    const char *path = NULL;
    if (provider->dotenv_path.text.ptr && !(path = deploy_text(deploy, provider->dotenv_path.text)))
        return err_memory(err);
    return fill_from(deploy, prefix, path, err);
}

static bool fill_vault(struct deploy *deploy, const struct runtime_provider *provider, struct err *err)
{
    deploy->asks_vault = true;
    uint32_t count = deploy->manifest.variable_count, asked = 0;
    struct vault_secret *secrets = ARENA_ARRAY(&deploy->arena, struct vault_secret, count);
    uint32_t *indexes = ARENA_ARRAY(&deploy->arena, uint32_t, count);
    if (!secrets || !indexes)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++)
        if (!deploy->values[i].ptr) {
            secrets[asked].name = variable_at(deploy, i)->name.text;
            indexes[asked++] = i;
        }
    if (asked && !vault_read(provider, secrets, asked, &deploy->arena, err))
        return false;
    for (uint32_t i = 0; i < asked; i++)
        if (secrets[i].value.ptr && !give(deploy, indexes[i], secrets[i].value, err))
            return false;
    return true;
}

typedef bool fill(struct deploy *deploy, const struct runtime_provider *provider, struct err *err);
static fill *const fillers[RUNTIME_PROVIDER_TYPES] = {
    [RUNTIME_STATIC] = fill_static, [RUNTIME_ENVIRONMENT] = fill_environment, [RUNTIME_VAULT] = fill_vault};

static bool fill_configured(struct deploy *deploy, struct err *err)
{
    for (uint32_t i = 0; i < deploy->runtime.provider_count; i++) {
        const struct runtime_provider *provider = &deploy->runtime.providers[i];
        if (!fillers[provider->type](deploy, provider, err))
            return err_within(err, "%s:%u", deploy->options.runtime_config, provider->at.line);
    }
    return true;
}

/* What is left must have a default. */
static bool fill_rest(struct deploy *deploy, struct err *err)
{
    char key[KEY_MAX];
    for (uint32_t i = 0; i < deploy->manifest.variable_count; i++) {
        const struct manifest_variable *variable = variable_at(deploy, i);
        if (deploy->values[i].ptr)
            continue;
        if (variable->fallback.text.ptr) {
            deploy->values[i] = variable->fallback.text;
            continue;
        }
        bool fits = key_of(STR(PREFIX), variable->name.text, key);
        err_set(err, ERR_INVALID, "the variable %.*s has no value", STR_ARG(variable->name.text));
        err_remedy(err, "give --variable %.*s=VALUE, or set %s", STR_ARG(variable->name.text),
                   fits ? key : "one of its sources");
        return deploy_at(deploy, variable->name.at, err);
    }
    return true;
}

bool deploy_variables(struct deploy *deploy, struct err *err)
{
    const char *dotenv = deploy_path(deploy, STR(".env"));
    deploy->values = ARENA_ARRAY(&deploy->arena, struct str, deploy->manifest.variable_count);
    if (!deploy->values || !dotenv)
        return err_memory(err);
    return fill_given(deploy, err) && fill_configured(deploy, err) && fill_from(deploy, STR(PREFIX), dotenv, err) &&
           fill_rest(deploy, err);
}

/* ---- what they are for ---- */

static bool resolve(void *arg, struct str name, struct str *ret_value, struct err *err)
{
    const struct deploy *deploy = arg;
    uint32_t index = index_of(deploy, name);
    if (index == MANIFEST_NONE)
        return err_set(err, ERR_INVALID, "there is no variable \"%.*s\"", STR_ARG(name));
    *ret_value = deploy->values[index];
    return true;
}

bool deploy_expand(struct deploy *deploy, const struct manifest_text *text, struct buf *out, struct err *err)
{
    out->size = 0;
    return template_expand(text->text, resolve, deploy, out, err) || deploy_at(deploy, text->at, err);
}

bool deploy_component_variables(struct deploy *deploy, const struct manifest_component *component,
                                struct host_config *config, struct err *err)
{
    const struct manifest_pairs *pairs = &component->variables;
    struct host_variable *rows = ARENA_ARRAY(&deploy->arena, struct host_variable, pairs->count);
    struct buf room;
    bool done = rows || err_memory(err);
    buf_init(&room, TEXT_MAX);
    for (uint32_t i = 0; done && i < pairs->count; i++) {
        done = deploy_expand(deploy, &pairs->items[i].value, &room, err);
        const char *copy =
            done ? arena_copy(&deploy->arena, room.size ? (const char *)room.data : "", room.size + !room.size) : NULL;
        done = done && (copy || err_memory(err));
        rows[i] = (struct host_variable){pairs->items[i].name.text, {copy, room.size}};
    }
    if (room.data)
        explicit_bzero(room.data, room.size);
    buf_free(&room);
    config->variables = rows;
    config->variable_count = pairs->count;
    return done;
}
