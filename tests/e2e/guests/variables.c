/* Answers with the variable that the path names, or with why there is none:
 *
 *     /v2/NAME       fermyon:spin/variables@2.0.0
 *     /old/NAME      fermyon:spin/config
 *     /config/NAME   wasi:config/store, and /all: all of them, a line each
 *
 * It speaks the canonical ABI itself, as storage.c does. */
#define RET_BYTES 64
#include "handler.h"

#define STORE "wasi:config/store@0.2.0-draft-2024-09-27"

IMPORT("fermyon:spin/variables@2.0.0", "get") void variables_get(text_t name, size_t size, void *ret);
IMPORT("fermyon:spin/config", "get-config") void config_get(text_t key, size_t size, void *ret);
IMPORT(STORE, "get") void store_get(text_t key, size_t size, void *ret);
IMPORT(STORE, "get-all") void store_get_all(void *ret);

/* A string, or an error with one. */
static void say_result(const text_t *errors)
{
    if (!ret[0]) {
        say_string(ret + 4);
        return;
    }
    status = 500;
    say(errors[ret[4]]);
    say(": ");
    say_string(ret + 8);
}

static const text_t variables_errors[] = {"invalid-name", "undefined", "provider", "other"};
static const text_t config_errors[] = {"provider", "invalid-key", "invalid-schema", "other"};

static void say_all(void)
{
    store_get_all(ret);
    if (ret[0])
        __builtin_trap();
    const uint8_t *pairs = (uint8_t *)word(ret + 4);
    for (uint32_t i = 0; i < word(ret + 8); i++) {
        say_string(pairs + 16 * i);
        say("=");
        say_string(pairs + 16 * i + 8);
        say("\n");
    }
}

static void say_stored(text_t key, size_t size)
{
    store_get(key, size, ret);
    if (ret[0])
        __builtin_trap();
    if (ret[4])
        say_string(ret + 8);
    else
        status = 404;
}

/* What is behind `prefix`, or NULL. */
static text_t behind(text_t path, size_t size, text_t prefix)
{
    size_t i = 0;
    for (; prefix[i]; i++)
        if (i == size || path[i] != prefix[i])
            return NULL;
    return path + i;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int out)
{
    text_t name;
    request_path(request, ret);
    text_t path = (text_t)word(ret + 4), end = path + word(ret + 8);
    size_t size = (size_t)(end - path);
    if ((name = behind(path, size, "/v2/"))) {
        variables_get(name, (size_t)(end - name), ret);
        say_result(variables_errors);
    } else if ((name = behind(path, size, "/old/"))) {
        config_get(name, (size_t)(end - name), ret);
        say_result(config_errors);
    } else if ((name = behind(path, size, "/config/"))) {
        say_stored(name, (size_t)(end - name));
    } else {
        say_all();
    }
    respond(out);
}
