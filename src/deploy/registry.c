/* Packages of a registry, as the OCI distribution specification has them and as wasm-pkg-tools names them: the
 * repository is NAMESPACE/NAME, behind a prefix that the registry's own description may say, versions are tags, and the
 * first layer of a manifest is the component.
 *
 *     https://REGISTRY/.well-known/wasm-pkg/registry.json    where it is, and the prefix; or nothing
 *     https://HOST/v2/REPOSITORY/tags/list                   the versions, if one is to be chosen
 *     https://HOST/v2/REPOSITORY/manifests/VERSION           the digest
 *     https://HOST/v2/REPOSITORY/blobs/DIGEST                the file
 *
 * Whoever asks for a token (RFC 6750) is told so anonymously: what not everybody may have is refused. All answers are
 * of strangers: digests, hosts and versions have their form, or are errors. */
#include "deploy/fetch_inner.h"

#include "app/words.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json_read.h"

#include <stdio.h>

#define PAGES_MAX 32u /* of a list of tags */
#define TOKEN_MAX ((size_t)16384)
#define TEXT_MAX ((size_t)512) /* of what is taken out of an answer */

struct registry {
    struct fetch_client *client;
    const struct fetch_package *package;
    struct buf url, body, repository, token; /* token: "Bearer ...", or empty */
    char *room; /* FETCH_ANSWER_MAX, for texts of answers */
    char host[TEXT_MAX], prefix[TEXT_MAX], protocol[TEXT_MAX], version[TEXT_MAX], digest[TEXT_MAX];
    uint32_t layers; /* of the manifest, so far */
    struct err *err;
};

static struct str text_of(const struct buf *buf)
{
    return (struct str){(const char *)buf->data, buf->size};
}

/* ---- asking ---- */

static bool wrong_answer(struct registry *registry, const char *what)
{
    char room[URL_SHOWN];
    err_set(registry->err, ERR_MALFORMED, "%s: %s", url_shown(text_of(&registry->url), room), what);
    return err_remedy(registry->err, "see whether that is a registry of components");
}

/* The answer's body is in registry->body. */
static bool ask_once(struct registry *registry, bool led, const struct fetch_sink *sink, struct fetch_answer *ret)
{
    const struct http_field fields[] = {
        {STR("accept"),
         STR("application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*")},
        {STR("authorization"), text_of(&registry->token)}};
    const struct fetch_request request = {.url = text_of(&registry->url),
                                          .led = led,
                                          .fields = fields,
                                          .field_count = registry->token.size ? 2 : 1,
                                          .sink = sink,
                                          .body = &registry->body};
    buf_free(&registry->body);
    if (registry->url.failed)
        return registry->url.full ? wrong_answer(registry, "its URLs are too long") : err_memory(registry->err);
    return fetch_ask(registry->client, &request, ret, registry->err);
}

static bool read_json(struct registry *registry, void (*found)(void *arg, const struct json_read_value *value))
{
    return registry->body.size &&
           json_read_whole(text_of(&registry->body), registry->room, FETCH_ANSWER_MAX, found, registry);
}

/* ---- tokens ---- */

/* A parameter of a challenge: NAME="VALUE". */
static struct str parameter(struct str challenge, struct str name)
{
    for (size_t at = 0; at + name.len + 2 < challenge.len; at++) {
        struct str rest = str_slice(challenge, at, challenge.len);
        bool begins = at == 0 || challenge.ptr[at - 1] == ' ' || challenge.ptr[at - 1] == ',';
        if (!begins || !str_starts(rest, name) || rest.ptr[name.len] != '=' || rest.ptr[name.len + 1] != '"')
            continue;
        rest = str_slice(rest, name.len + 2, rest.len);
        return str_slice(rest, 0, str_find(rest, '"'));
    }
    return STR("");
}

static void found_token(void *arg, const struct json_read_value *value)
{
    struct registry *registry = arg;
    if (value->kind == JSON_READ_STRING && !registry->token.size && value->text.len &&
        (str_eq(value->path, STR("token")) || str_eq(value->path, STR("access_token"))))
        buf_printf(&registry->token, "Bearer %.*s", STR_ARG(value->text));
}

static bool no_token(struct registry *registry)
{
    err_set(registry->err, ERR_UNSUPPORTED, "%s gives %.*s only to those it knows", registry->host,
            STR_ARG(registry->package->name));
    return err_remedy(registry->err,
                      "only what everybody may have can be fetched: put the file beside the manifest and "
                      "write its path");
}

/* REALM?service=...&scope=repository:NAME:pull */
static bool get_token(struct registry *registry, struct str challenge)
{
    struct str realm = parameter(challenge, STR("realm")), service = parameter(challenge, STR("service"));
    char realm_text[FETCH_FIELD_MAX];
    struct fetch_answer answer;
    struct url url;
    buf_free(&registry->token);
    if (!str_starts(challenge, STR("Bearer ")) || !url_parse(realm, &url) || !url.secure)
        return no_token(registry);
    snprintf(realm_text, sizeof realm_text, "%.*s", STR_ARG(realm));
    buf_free(&registry->url);
    buf_printf(&registry->url, "%s%sscope=repository%%3A", realm_text, strchr(realm_text, '?') ? "&" : "?");
    url_escape(&registry->url, text_of(&registry->repository));
    buf_printf(&registry->url, "%%3Apull%s", service.len ? "&service=" : "");
    url_escape(&registry->url, service);
    if (!ask_once(registry, true, NULL, &answer))
        return false;
    if (answer.status != 200)
        return no_token(registry);
    if (!read_json(registry, found_token) || !registry->token.size || registry->token.failed ||
        !http_is_value(text_of(&registry->token)))
        return wrong_answer(registry, "there is no token in its answer");
    return true;
}

/* What the registry has at this place of the repository; with a token, if it wants one. */
static bool ask(struct registry *registry, const char *place, const struct fetch_sink *sink, char next[FETCH_FIELD_MAX])
{
    struct fetch_answer answer;
    for (int tries = 0;; tries++) {
        buf_free(&registry->url);
        buf_printf(&registry->url, "https://%s", registry->host);
        if (place[0] != '/')
            buf_printf(&registry->url, "/v2/%.*s/", (int)registry->repository.size, registry->repository.data);
        buf_printf(&registry->url, "%s", place);
        if (!ask_once(registry, true, sink, &answer))
            return false;
        if (answer.status != 401 || tries)
            break;
        if (!get_token(registry, str_of(answer.challenge)))
            return false;
    }
    if (next)
        memcpy(next, answer.next, sizeof answer.next);
    if (answer.status == 401 || answer.status == 403)
        return no_token(registry);
    return answer.status == 200 || fetch_refused(text_of(&registry->url), answer.status, registry->err);
}

/* ---- where it is ---- */

static void keep_text(const struct json_read_value *value, struct str path, char ret[TEXT_MAX])
{
    if (value->kind == JSON_READ_STRING && value->text.len < TEXT_MAX && str_eq(value->path, path) &&
        !memchr(value->text.ptr, 0, value->text.len))
        snprintf(ret, TEXT_MAX, "%.*s", STR_ARG(value->text));
}

static void found_place(void *arg, const struct json_read_value *value)
{
    struct registry *registry = arg;
    keep_text(value, STR("oci.registry"), registry->host);
    keep_text(value, STR("ociRegistry"), registry->host);
    keep_text(value, STR("oci.namespacePrefix"), registry->prefix);
    keep_text(value, STR("ociNamespacePrefix"), registry->prefix);
    keep_text(value, STR("preferredProtocol"), registry->protocol);
}

/* Words of a repository's name: no step upwards, nothing that begins a query. */
static bool is_repository(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr("-_./", c)))
            return false;
        if (c == '.' && (i == 0 || text.ptr[i - 1] == '/' || text.ptr[i - 1] == '.'))
            return false;
    }
    return text.len == 0 || text.ptr[0] != '/';
}

static bool find_repository(struct registry *registry)
{
    struct str named = registry->package->registry, name = registry->package->name;
    size_t colon = str_find(name, ':');
    struct fetch_answer answer;
    buf_printf(&registry->url, "https://%.*s/.well-known/wasm-pkg/registry.json", STR_ARG(named));
    if (!ask_once(registry, false, NULL, &answer))
        return false;
    if (answer.status == 200 && !read_json(registry, found_place))
        registry->host[0] = registry->prefix[0] = registry->protocol[0] = '\0'; /* it says something else there */
    if (registry->protocol[0] && strcmp(registry->protocol, "oci") != 0 && !registry->host[0]) {
        err_set(registry->err, ERR_UNSUPPORTED, "registry %.*s speaks \"%s\", and mayfly only \"oci\"", STR_ARG(named),
                registry->protocol);
        return err_remedy(registry->err, "name a registry of OCI distribution");
    }
    if (!registry->host[0])
        snprintf(registry->host, TEXT_MAX, "%.*s", named.len < TEXT_MAX ? (int)named.len : 0, named.ptr);
    if (!words_registry(str_of(registry->host), NULL) || !is_repository(str_of(registry->prefix)))
        return wrong_answer(registry, "what it says of where packages are has not its form");
    buf_printf(&registry->repository, "%s%.*s/%.*s", registry->prefix, (int)colon, name.ptr,
               (int)(name.len - colon - 1), name.ptr + colon + 1);
    return !registry->repository.failed || err_memory(registry->err);
}

/* ---- which version ---- */

/* The newest that is permitted. */
static void found_tag(void *arg, const struct json_read_value *value)
{
    struct registry *registry = arg;
    struct version version, best;
    if (value->kind != JSON_READ_STRING || !str_eq(value->path, STR("tags[]")) || value->text.len >= TEXT_MAX ||
        !words_version(value->text, &version, NULL) || !version_meets(&version, registry->package->version))
        return;
    if (!registry->version[0] ||
        (words_version(str_of(registry->version), &best, NULL) && version_compare(&version, &best) > 0))
        snprintf(registry->version, TEXT_MAX, "%.*s", STR_ARG(value->text));
}

/* <...>; rel="next": where the list goes on, which is at this registry. `*ret_more`: it does. */
static bool next_page(struct registry *registry, const char *link, char ret[FETCH_FIELD_MAX], bool *ret_more)
{
    struct str text = str_of(link);
    struct url url;
    size_t end = str_find(text, '>');
    *ret_more = end < text.len && text.ptr[0] == '<' && strstr(link + end, "rel=\"next\"");
    if (!*ret_more)
        return true;
    text = str_slice(text, 1, end);
    if (url_parse(text, &url) && str_eq(url.authority, str_of(registry->host)))
        text = url.rest;
    snprintf(ret, FETCH_FIELD_MAX, "%.*s", STR_ARG(text));
    return (ret[0] == '/' && ret[1] != '/') || wrong_answer(registry, "its list of versions goes on elsewhere");
}

static bool find_version(struct registry *registry)
{
    const struct fetch_package *package = registry->package;
    char place[FETCH_FIELD_MAX] = "tags/list", link[FETCH_FIELD_MAX];
    bool more = true;
    if (package->exact) {
        snprintf(registry->version, TEXT_MAX, "%.*s", package->version.len < TEXT_MAX ? (int)package->version.len : 0,
                 package->version.ptr);
        return true;
    }
    for (unsigned page = 0; more && page < PAGES_MAX; page++) {
        if (!ask(registry, place, NULL, link))
            return false;
        if (!read_json(registry, found_tag))
            return wrong_answer(registry, "its list of versions is no JSON");
        if (!next_page(registry, link, place, &more))
            return false;
    }
    if (registry->version[0])
        return true;
    err_set(registry->err, ERR_LINK, "%s has no version of %.*s that is %.*s", registry->host, STR_ARG(package->name),
            STR_ARG(package->version));
    return err_remedy(registry->err, "see which versions there are");
}

/* ---- which file ---- */

static void found_layer(void *arg, const struct json_read_value *value)
{
    struct registry *registry = arg;
    registry->layers += value->kind == JSON_READ_ELEMENT && str_eq(value->path, STR("layers[]"));
    if (registry->layers == 1)
        keep_text(value, STR("layers[].digest"), registry->digest);
}

static bool find_digest(struct registry *registry)
{
    char place[TEXT_MAX + sizeof "manifests/"];
    snprintf(place, sizeof place, "manifests/%s", registry->version);
    if (!ask(registry, place, NULL, NULL))
        return false;
    if (!read_json(registry, found_layer) || !words_digest(str_of(registry->digest), NULL))
        return wrong_answer(registry, "its manifest has no component as its first layer");
    return true;
}

static bool get_file(struct registry *registry, struct str digest, const struct fetch_sink *sink)
{
    char place[TEXT_MAX];
    snprintf(place, sizeof place, "blobs/%.*s", STR_ARG(digest));
    return ask(registry, place, sink, NULL);
}

/* ---- */

static bool get(struct registry *registry, const struct fetch_want *want, const struct fetch_sink *sink)
{
    if (!find_repository(registry))
        return false;
    if (want->digest.len)
        return get_file(registry, want->digest, sink);
    return find_version(registry) && find_digest(registry) &&
           (file_write(sink->file, registry->digest, strlen(registry->digest)) ||
            err_errno(registry->err, "cannot keep what is fetched"));
}

bool registry_get(struct fetch_client *client, const struct fetch_want *want, const struct fetch_sink *sink,
                  struct err *err)
{
    struct registry *registry = mem_alloc(1, sizeof *registry);
    if (!registry)
        return err_memory(err);
    *registry = (struct registry){.client = client, .package = &want->package, .err = err};
    registry->room = mem_alloc(FETCH_ANSWER_MAX, 1);
    buf_init(&registry->url, URL_MAX);
    buf_init(&registry->body, FETCH_ANSWER_MAX);
    buf_init(&registry->repository, 4 * TEXT_MAX);
    buf_init(&registry->token, TOKEN_MAX);
    bool done = registry->room ? get(registry, want, sink) : err_memory(err);
    buf_free(&registry->url);
    buf_free(&registry->body);
    buf_free(&registry->repository);
    buf_free(&registry->token);
    mem_free(registry->room);
    mem_free(registry);
    return done;
}
