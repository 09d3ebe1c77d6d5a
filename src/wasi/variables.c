/* Variables of a component: fermyon:spin/variables (2.0.0), fermyon:spin/config (no version) and wasi:config/store.
 *
 * Their values are texts that were found before any guest ran (host_config), so nothing here waits or fails. A
 * component finds its own and no others, and what is said of a name never has a value in it. */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/gen/wasi_config.h"
#include "wasi/object.h"

#include <stdio.h>

#define NAME_SHOWN 64

/* NULL: there is none. */
static const struct host_variable *find(const struct host *h, struct str name)
{
    const struct host_config *config = h->config;
    for (size_t i = 0; i < config->variable_count; i++)
        if (str_eq(config->variables[i].name, name))
            return &config->variables[i];
    return NULL;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Letters and digits in lower case, a letter first, with single underscores between them. */
static bool name_valid(struct str name)
{
    bool good = name.len && is_letter(name.ptr[0]) && name.ptr[name.len - 1] != '_';
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        good = is_letter(c) || (c >= '0' && c <= '9') || (c == '_' && name.ptr[i - 1] != '_');
    }
    return good;
}

/* What is wrong with a name, in scratch memory. False: trap. */
static bool say(struct host *h, const char *what, struct str name, struct str *ret)
{
    char text[160];
    int shown = name.len < NAME_SHOWN ? (int)name.len : NAME_SHOWN;
    while (shown && (size_t)shown < name.len && ((unsigned char)name.ptr[shown] & 0xc0) == 0x80) /* whole characters */
        shown--;
    size_t size = (size_t)snprintf(text, sizeof text, "\"%.*s\" %s", shown, name.ptr, what);
    const char *copy = arena_copy(&h->scratch, text, size);
    *ret = (struct str){copy, size};
    return copy || host_no_memory(h);
}

static bool say_invalid(struct host *h, struct str name, struct str *ret)
{
    return say(h, "is no name of a variable: lower case, digits and single underscores, a letter first", name, ret);
}

static bool say_undefined(struct host *h, struct str name, struct str *ret)
{
    return say(h, "is not among the variables of this component", name, ret);
}

bool fermyon_spin_2_variables_get(struct host *h, struct str name,
                                  struct result_str_fermyon_spin_2_variables_error *ret)
{
    const struct host_variable *found = find(h, name);
    struct fermyon_spin_2_variables_error *error = &ret->error;
    ret->err = !found;
    if (found) {
        ret->ok = found->value;
        return true;
    }
    if (!name_valid(name)) {
        error->tag = FERMYON_SPIN_2_VARIABLES_ERROR_INVALID_NAME;
        return say_invalid(h, name, &error->invalid_name);
    }
    error->tag = FERMYON_SPIN_2_VARIABLES_ERROR_UNDEFINED;
    return say_undefined(h, name, &error->undefined);
}

bool fermyon_spin_config_get_config(struct host *h, struct str key, struct result_str_fermyon_spin_config_error *ret)
{
    const struct host_variable *found = find(h, key);
    struct fermyon_spin_config_error *error = &ret->error;
    ret->err = !found;
    if (found) {
        ret->ok = found->value;
        return true;
    }
    if (!name_valid(key)) {
        error->tag = FERMYON_SPIN_CONFIG_ERROR_INVALID_KEY;
        return say_invalid(h, key, &error->invalid_key);
    }
    error->tag = FERMYON_SPIN_CONFIG_ERROR_PROVIDER; /* it has no other word for it */
    return say_undefined(h, key, &error->provider);
}

/* Here a name that nobody could give is one that is not there. */
bool wasi_config_store_get(struct host *h, struct str key, struct result_option_str_wasi_config_store_error *ret)
{
    const struct host_variable *found = find(h, key);
    ret->err = false;
    ret->ok.some = found != NULL;
    if (found)
        ret->ok.value = found->value;
    return true;
}

bool wasi_config_store_get_all(struct host *h, struct result_list_tuple_str_str_wasi_config_store_error *ret)
{
    const struct host_config *config = h->config;
    struct tuple_str_str *pairs = ARENA_ARRAY(&h->scratch, struct tuple_str_str, config->variable_count);
    if (!pairs)
        return host_no_memory(h);
    for (size_t i = 0; i < config->variable_count; i++)
        pairs[i] = (struct tuple_str_str){config->variables[i].name, config->variables[i].value};
    ret->err = false;
    ret->ok.ptr = pairs;
    ret->ok.len = config->variable_count;
    return true;
}
