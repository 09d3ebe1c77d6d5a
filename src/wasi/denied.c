/* What is said of what was not granted (see object.h): once, in the log, with the words that would permit it.
 *
 * What a guest asked for stands in those words, and people may copy them: so it is quoted for where it would be copied
 * to, a manifest or a shell, and nothing in it ends its quotation. Once means once for all workers of a node: what was
 * said is remembered, as hashes, in memory that they share. A function has a part of that which hardly any other
 * shares, so that one which asks for everything silences nobody else. */
#include "wasi/object.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define VALUE_MAX 512u /* bytes of what was asked for, quoted */

static const struct {
    const char *option, *list;
    const char *before; /* the value, in the list */
    const char *other;  /* neither of both, but this */
} permits[] = {
    [PERMIT_NET] = {"--allow-net", "allowed_outbound_hosts", "*://"},
    [PERMIT_LISTEN] = {"--allow-listen", NULL, ""},
    [PERMIT_OUTBOUND] = {"--allow-outbound", "allowed_outbound_hosts", ""},
    [PERMIT_STORE] = {"--key-value-store", "key_value_stores", ""},
    [PERMIT_DATABASE] = {"--sqlite-database", "sqlite_databases", ""},
    [PERMIT_UNBLOCK] = {.other = GRANT_UNBLOCK},
    [PERMIT_INHERIT] = {.other = "inherit_configuration of that dependency"},
    [PERMIT_NOTHING] = {.other = "nothing does yet"},
};

/* ---- once ---- */

static uint64_t hash_of(uint64_t hash, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Nobody has said it. *ret_last: and there is no room for more. Who breaks a worker may fill the table, no more. */
static bool is_new(struct host_denials *denials, const char *name, struct str words, bool *ret_last)
{
    uint64_t who = hash_of(UINT64_C(0xcbf29ce484222325), str_of(name)), hash = hash_of(who, words) | 1;
    uint64_t *part = denials->hashes[who % HOST_DENIAL_PARTS];
    for (uint32_t i = 0; i < HOST_DENIALS_MAX; i++) {
        uint64_t there = 0;
        *ret_last = i + 1 == HOST_DENIALS_MAX;
        if (__atomic_compare_exchange_n(&part[i], &there, hash, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
        if (there == hash)
            return false;
    }
    return false;
}

/* ---- quoting ---- */

/* As a string of TOML. */
static void quote_toml(const char *before, struct str value, char ret[VALUE_MAX])
{
    size_t n = (size_t)snprintf(ret, VALUE_MAX, "\"%s", before);
    for (size_t i = 0; i < value.len && n + 8 < VALUE_MAX; i++) {
        uint8_t c = (uint8_t)value.ptr[i];
        if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(ret + n, VALUE_MAX - n, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            ret[n++] = '\\';
        ret[n++] = (char)c;
    }
    memcpy(ret + n, "\"", 2);
}

static bool is_plain(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && !strchr("._-:/[]", c))
            return false;
    }
    return value.len > 0 && value.ptr[0] != '-';
}

/* As a word of a shell. */
static void quote_shell(struct str value, char ret[VALUE_MAX])
{
    size_t n = 0;
    if (is_plain(value)) {
        snprintf(ret, VALUE_MAX, "%.*s", STR_ARG(value));
        return;
    }
    ret[n++] = '\'';
    for (size_t i = 0; i < value.len && n + 8 < VALUE_MAX; i++) {
        if (value.ptr[i] == '\'') {
            memcpy(ret + n, "'\\'", 3);
            n += 3;
        }
        ret[n++] = value.ptr[i];
    }
    memcpy(ret + n, "'", 2);
}

static void write_remedy(const struct host_config *config, enum host_permit permit, struct str value, char *text,
                         size_t size)
{
    char quoted[VALUE_MAX];
    if (permits[permit].other) {
        snprintf(text, size, "%s", permits[permit].other);
    } else if (!config->manifest) {
        quote_shell(value, quoted);
        snprintf(text, size, "%s %s", permits[permit].option, quoted);
    } else if (!permits[permit].list) {
        snprintf(text, size, "nothing in a manifest does; serve the component by itself, with %s",
                 permits[permit].option);
    } else {
        quote_toml(permits[permit].before, value, quoted);
        snprintf(text, size, "add %s to %s of component \"%s\" (%s:%u)", quoted, permits[permit].list, config->name,
                 config->manifest, config->manifest_line);
    }
}

void host_denied(struct host *h, enum host_permit permit, struct str value, const char *format, ...)
{
    const struct host_config *config = h->config;
    const struct host_services *services = &h->pool->services;
    struct host_denials *denials = services->denials ? services->denials : &h->pool->denials;
    const char *name = config->name ? config->name : "";
    char what[VALUE_MAX], remedy[2 * VALUE_MAX];
    bool last;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(what, sizeof what, format, args);
    va_end(args);
    write_remedy(config, permit, value, remedy, sizeof remedy);
    struct str words = {what, size < 0 ? 0 : (size_t)size < sizeof what ? (size_t)size : sizeof what - 1};
    if (!is_new(denials, name, words, &last))
        return;
    log_line(LOG_WARN, config->name, "denied: %s; to permit it: %s", what, remedy);
    if (last)
        log_line(LOG_WARN, config->name, "more that is denied will not be logged");
    if (services->denied)
        services->denied(services->arg, config, what, remedy);
}
