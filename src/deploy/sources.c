/* Components and dependencies that come from elsewhere, by URL or from a registry: fetched before anything is served
 * and before this process knows a secret, and kept in the cache by their digests, so that the next start needs no
 * network. What is used has been hashed since it was opened for this start, whether it was fetched or kept. */
#include "deploy/deploy_inner.h"

#include "app/words.h"
#include "base/log.h"
#include "base/sha256.h"
#include "compile/cache.h"
#include "deploy/fetch.h"
#include "deploy/url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define HASH_ROOM ((size_t)65536)

/* Something that is named in a manifest. */
struct wanted {
    const void *of; /* what names it; its identity */
    struct manifest_place at;
    struct str url, digest;
    struct fetch_package package;
};

/* ---- digests ---- */

static unsigned digit_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Of words_digest's form. */
static void read_digest(struct str text, uint8_t ret[32])
{
    const char *digits = text.ptr + sizeof "sha256:" - 1;
    for (size_t i = 0; i < 32; i++)
        ret[i] = (uint8_t)(digit_value(digits[2 * i]) << 4 | digit_value(digits[2 * i + 1]));
}

#define DIGEST_ROOM (sizeof "sha256:" + 64)

static const char *write_digest(const uint8_t digest[32], char room[DIGEST_ROOM])
{
    memcpy(room, "sha256:", sizeof "sha256:");
    for (size_t i = 0; i < 32; i++)
        snprintf(room + 7 + 2 * i, 3, "%02x", digest[i]);
    return room;
}

/* All that is in the file. */
static bool hash_file(int fd, uint8_t ret[32], struct err *err)
{
    struct sha256 hash;
    char room[HASH_ROOM];
    off_t at = 0;
    ssize_t n;
    sha256_init(&hash);
    while ((n = pread(fd, room, sizeof room, at)) > 0 || (n < 0 && errno == EINTR)) {
        sha256_add(&hash, room, n > 0 ? (size_t)n : 0);
        at += n > 0 ? n : 0;
    }
    if (n < 0)
        return err_errno(err, "cannot read what was fetched");
    sha256_finish(&hash, ret);
    return true;
}

/* ---- what is kept ---- */

/* It is there, and what its name says. */
static bool is_kept(const struct cache_name *name, const uint8_t digest[32])
{
    uint8_t is[32];
    int fd = cache_open(name);
    if (fd < 0)
        return false;
    bool same = hash_file(fd, is, NULL) && memcmp(is, digest, sizeof is) == 0;
    close(fd);
    if (!same) {
        log_line(LOG_WARN, NULL, "%s is damaged, and is fetched again", name->path);
        cache_remove(name);
    }
    return same;
}

static bool not_kept(const struct cache_name *name, struct err *err)
{
    err_set(err, ERR_SYSTEM, "what was fetched cannot be kept as %s", name->path);
    return err_remedy(err, "see whether there is room, and the folder is yours alone; --cache-dir names another");
}

/* ---- fetching ---- */

static const char *shown(const struct wanted *wanted, char room[URL_SHOWN])
{
    if (wanted->url.len)
        return url_shown(wanted->url, room);
    snprintf(room, URL_SHOWN, "%.*s@%.*s", STR_ARG(wanted->package.name), STR_ARG(wanted->package.version));
    return room;
}

static bool wrong_digest(const struct wanted *wanted, const uint8_t is[32], struct err *err)
{
    char text[DIGEST_ROOM], room[URL_SHOWN];
    err_set(err, ERR_INVALID, "%.64s has the digest %s, not %.*s", shown(wanted, room), write_digest(is, text),
            STR_ARG(wanted->digest));
    return err_remedy(err, wanted->url.len ? "it is not used; if it is the right file nevertheless, write its digest"
                                           : "it is not used; try again, or tell those who keep the registry");
}

static void forget_runtime(void *arg)
{
    runtime_config_free(&((struct deploy *)arg)->runtime);
}

static int fetch(struct deploy *deploy, const struct wanted *wanted, struct str digest, struct err *err)
{
    const struct fetch_want want = {.url = wanted->url,
                                    .package = wanted->package,
                                    .digest = digest,
                                    .name_servers = deploy->given.dns,
                                    .forget = forget_runtime,
                                    .arg = deploy};
    return fetch_file(&want, &fetch_limits_default, err);
}

/* Into the cache, if it is what it should be. */
static bool keep(const struct wanted *wanted, int fd, const uint8_t digest[32], const struct cache_name *name,
                 struct err *err)
{
    uint8_t is[32];
    if (!hash_file(fd, is, err))
        return false;
    if (memcmp(is, digest, sizeof is) != 0)
        return wrong_digest(wanted, is, err);
    cache_store(fd, name);
    return is_kept(name, digest) || not_kept(name, err);
}

static bool bring(struct deploy *deploy, const struct wanted *wanted, struct cache_name *ret_name, struct err *err)
{
    uint8_t digest[32];
    char room[URL_SHOWN];
    read_digest(wanted->digest, digest);
    if (!cache_source(digest, ret_name, err))
        return err_remedy(err, "what is fetched is kept there; --cache-dir names another folder");
    if (is_kept(ret_name, digest))
        return true;
    log_line(LOG_INFO, NULL, "fetching %s", shown(wanted, room));
    int fd = fetch(deploy, wanted, wanted->digest, err);
    bool done = fd >= 0 && keep(wanted, fd, digest, ret_name, err);
    if (fd >= 0)
        close(fd);
    return done;
}

/* ---- packages ---- */

/* The cache remembers which file it is: of a version for ever, of a requirement for when the registry cannot be asked.
 */
static bool name_note(const struct fetch_package *package, struct cache_name *ret_name, struct err *err)
{
    const struct str words[] = {package->registry, package->name, package->exact ? STR("=") : STR(""),
                                package->version};
    struct sha256 hash;
    uint8_t key[32];
    sha256_init(&hash);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        sha256_add(&hash, words[i].ptr, words[i].len);
        sha256_add(&hash, "", 1);
    }
    sha256_finish(&hash, key);
    return cache_note(key, ret_name, err);
}

/* A digest as text, and nothing else. */
static bool read_note(int fd, char ret[DIGEST_ROOM])
{
    char room[DIGEST_ROOM];
    ssize_t size = fd >= 0 ? pread(fd, room, sizeof room, 0) : -1;
    if (size != (ssize_t)sizeof room - 1 || !words_digest((struct str){room, (size_t)size}, NULL))
        return false;
    memcpy(ret, room, (size_t)size);
    ret[size] = '\0';
    return true;
}

static bool recall(const struct cache_name *name, char ret[DIGEST_ROOM])
{
    int fd = cache_open(name);
    bool done = read_note(fd, ret);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool ask_registry(struct deploy *deploy, const struct wanted *wanted, const struct cache_name *name,
                         char ret[DIGEST_ROOM], struct err *err)
{
    char room[URL_SHOWN];
    struct err why = {0};
    log_line(LOG_INFO, NULL, "asking %.*s for %s", STR_ARG(wanted->package.registry), shown(wanted, room));
    int fd = fetch(deploy, wanted, STR(""), &why);
    if (fd < 0 && why.kind == ERR_SYSTEM && recall(name, ret)) {
        log_line(LOG_WARN, NULL, "%s: what was found last time is used, because: %s", room, why.message);
        return true;
    }
    bool done = read_note(fd, ret);
    if (done)
        cache_store(fd, name);
    else if (fd >= 0)
        err_set(&why, ERR_MALFORMED, "%s: the process that asks for it gave no digest", room);
    if (fd >= 0)
        close(fd);
    if (!done)
        *err = why;
    return done;
}

/* Which file the package's is. */
static bool choose(struct deploy *deploy, struct wanted *wanted, struct err *err)
{
    struct cache_name name;
    char *digest = arena_alloc(&deploy->arena, DIGEST_ROOM);
    if (!digest)
        return err_memory(err);
    if (!wanted->package.registry.len) {
        err_set(err, ERR_UNSUPPORTED, "package %.*s is of no registry", STR_ARG(wanted->package.name));
        return err_remedy(err, "write which: registry = \"HOST\"");
    }
    if (!name_note(&wanted->package, &name, err))
        return false;
    if (!(wanted->package.exact && recall(&name, digest)) && !ask_registry(deploy, wanted, &name, digest, err))
        return false;
    wanted->digest = str_of(digest);
    return true;
}

/* ---- what the manifest names ---- */

static bool add(struct deploy *deploy, struct wanted *wanted, struct err *err)
{
    struct cache_name name;
    struct deploy_source *source = ARENA_NEW(&deploy->arena, struct deploy_source);
    if (!source)
        return err_memory(err);
    if ((!wanted->url.len && !choose(deploy, wanted, err)) || !bring(deploy, wanted, &name, err))
        return deploy_at(deploy, wanted->at, err);
    *source = (struct deploy_source){deploy->sources, wanted->of, deploy_text(deploy, str_of(name.path))};
    deploy->sources = source;
    return source->path || err_memory(err);
}

static bool add_source(struct deploy *deploy, const struct manifest_source *source, struct err *err)
{
    struct wanted wanted = {.of = source, .at = source->at, .url = source->url.text, .digest = source->digest.text};
    wanted.package = (struct fetch_package){source->registry.text, source->package.text, source->version.text, true};
    return source->kind == MANIFEST_SOURCE_PATH || deploy_find_source(deploy, source) || add(deploy, &wanted, err);
}

/* The package of a dependency that names none is that of the import. */
static struct str package_of(const struct manifest_dependency *dependency)
{
    struct words_import import = {0};
    if (dependency->package.text.len)
        return dependency->package.text;
    words_import(dependency->name.text, &import, NULL);
    return import.package;
}

static bool add_dependency(struct deploy *deploy, const struct manifest_dependency *dependency, struct err *err)
{
    struct wanted wanted = {
        .of = dependency, .at = dependency->at, .url = dependency->url.text, .digest = dependency->digest.text};
    if (dependency->kind == MANIFEST_DEPENDENCY_PATH)
        return true;
    if (dependency->kind == MANIFEST_DEPENDENCY_COMPONENT)
        return add_source(deploy, &deploy->manifest.components[dependency->component_index].source, err);
    wanted.package =
        (struct fetch_package){dependency->registry.text, package_of(dependency), dependency->version.text, false};
    return add(deploy, &wanted, err);
}

bool deploy_fetch_dependencies(struct deploy *deploy, const struct manifest_component *component, struct err *err)
{
    for (uint32_t i = 0; i < component->dependencies.count; i++)
        if (!add_dependency(deploy, &component->dependencies.items[i], err))
            return false;
    return true;
}

bool deploy_fetch(struct deploy *deploy, const struct deploy_choice *choice, struct err *err)
{
    const struct manifest *manifest = &deploy->manifest;
    for (uint32_t i = 0; i < manifest->component_count; i++) {
        const struct manifest_component *component = &manifest->components[i];
        if (choice->functions[i] == MANIFEST_NONE)
            continue;
        if (!add_source(deploy, &component->source, err) || !deploy_fetch_dependencies(deploy, component, err))
            return false;
    }
    return true;
}

const char *deploy_find_source(const struct deploy *deploy, const void *of)
{
    for (const struct deploy_source *source = deploy->sources; source; source = source->next)
        if (source->of == of)
            return source->path;
    return NULL;
}

bool deploy_lacks_source(const struct deploy *deploy)
{
    for (const struct deploy_source *source = deploy->sources; source; source = source->next)
        if (access(source->path, R_OK) != 0)
            return true;
    return false;
}
