/* What is asked of a Vault, and what its answers mean (see vault.h). */
#include "deploy/vault.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json_read.h"
#include "deploy/url.h"
#include "http/client.h"
#include "io/resolve.h"

#define PHASE_US UINT64_C(10000000) /* connecting, the answer's head, and between its bytes */
#define TARGET_MAX ((size_t)8192)

struct vault_client {
    const struct runtime_provider *provider;
    const struct vault_server *server;
    struct io_loop *loop;
    struct http_client *http;
    struct io_resolver *resolver; /* NULL: the host is an address */
    struct buf target, body, value;
    char *room; /* VAULT_BODY_MAX, for texts of the answer */
    bool found;
};

/* ---- where ---- */

static bool wrong_url(struct err *err)
{
    err_set(err, ERR_INVALID, "the url of Vault is not one that can be asked");
    return err_remedy(err, "write https://HOST[:PORT]");
}

static bool is_path(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || text.ptr[i] == '?' || text.ptr[i] == '#')
            return false;
    return true;
}

bool vault_parse(struct str url, struct vault_server *ret, struct err *err)
{
    struct url parsed;
    if (!url_parse(url, &parsed) || !is_path(parsed.rest))
        return wrong_url(err);
    struct vault_server server = {parsed.secure, parsed.authority, parsed.host, parsed.rest, parsed.port};
    while (server.base.len && server.base.ptr[server.base.len - 1] == '/')
        server.base.len--;
    *ret = server;
    return true;
}

/* ---- life ---- */

struct vault_client *vault_client_new(const struct runtime_provider *provider, const struct vault_server *server,
                                      struct err *err)
{
    struct vault_client *client = mem_alloc(1, sizeof *client);
    struct ip_address address;
    if (!client) {
        err_memory(err);
        return NULL;
    }
    *client = (struct vault_client){.provider = provider, .server = server};
    buf_init(&client->target, TARGET_MAX);
    buf_init(&client->body, VAULT_BODY_MAX);
    buf_init(&client->value, VAULT_BODY_MAX);
    client->room = mem_alloc(VAULT_BODY_MAX, 1);
    client->loop = client->room ? io_loop_new(err) : NULL;
    client->http = client->loop ? http_client_new(client->loop, err) : NULL;
    bool named = !ip_parse(server->host, &address);
    if (client->http && named)
        client->resolver = io_resolver_new(client->loop, NULL, err);
    if (client->http && (!named || client->resolver))
        return client;
    if (!client->room)
        err_memory(err);
    vault_client_free(client);
    return NULL;
}

void vault_client_free(struct vault_client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    io_resolver_free(client->resolver);
    io_loop_free(client->loop);
    buf_free(&client->target);
    buf_free(&client->body);
    buf_free(&client->value);
    mem_free(client->room);
    mem_free(client);
}

/* ---- a request ---- */

/* BASE/v1/MOUNT/data/[PREFIX/]NAME */
static bool write_target(struct vault_client *client, struct str name, struct err *err)
{
    struct buf *target = &client->target;
    struct str prefix = client->provider->prefix.text;
    buf_free(target);
    buf_printf(target, "%.*s/v1/", STR_ARG(client->server->base));
    url_escape(target, client->provider->mount.text);
    buf_printf(target, "/data/");
    url_escape(target, prefix);
    buf_printf(target, prefix.len ? "/" : "");
    url_escape(target, name);
    if (target->failed && !target->full)
        return err_memory(err);
    return !target->failed || err_set(err, ERR_LIMIT, "the path of a secret has more than %zu bytes", TARGET_MAX);
}

static bool permits(void *owner, const struct ip_endpoint *to)
{
    (void)owner;
    (void)to; /* whoever wrote the configuration may reach it */
    return true;
}

static void changed(struct outbound_call *call)
{
    io_stop(((struct vault_client *)call->owner)->loop);
}

static struct outbound_call *begin(struct vault_client *client)
{
    const struct vault_server *server = client->server;
    const struct http_field fields[] = {{STR("x-vault-request"), STR("true")},
                                        {STR("x-vault-token"), client->provider->token.text}};
    const struct outbound_request request = {
        .method = STR("GET"),
        .target = {(const char *)client->target.data, client->target.size},
        .authority = server->authority,
        .secure = server->secure,
        .host = server->host,
        .port = server->port,
        .fields = fields,
        .field_count = sizeof fields / sizeof *fields,
        .body = OUTBOUND_NO_BODY,
        .tenant = client,
        .connect_us = PHASE_US,
        .first_byte_us = PHASE_US,
        .between_us = PHASE_US,
        .resolver = client->resolver,
        .permits = permits,
        .changed = changed,
        .owner = client,
    };
    return http_client_face.begin(client->http, &request);
}

/* Taking may bring more at once. */
static bool take_body(struct vault_client *client, struct outbound_call *call, struct err *err)
{
    for (size_t size; (size = call->body.len) > 0; http_client_face.take(call, size))
        if (!buf_append(&client->body, call->body.ptr, size))
            return client->body.full ? err_set(err, ERR_LIMIT, "Vault's answer has more than %zu bytes", VAULT_BODY_MAX)
                                     : err_memory(err);
    return true;
}

static bool say_failure(const struct outbound_call *call, struct err *err)
{
    return err_set(err, ERR_SYSTEM, "Vault cannot be asked: %s", url_failure(call));
}

/* The whole answer into client->body. */
static bool exchange(struct vault_client *client, unsigned *ret_status, struct err *err)
{
    struct outbound_call *call = begin(client);
    bool done = call || err_memory(err);
    buf_free(&client->body);
    while (done) {
        done = take_body(client, call, err);
        if (!done || call->state >= OUTBOUND_DONE)
            break;
        done = io_run(client->loop, err);
    }
    if (done && call->state == OUTBOUND_FAILED)
        done = say_failure(call, err);
    if (done)
        *ret_status = call->status;
    if (call)
        http_client_face.drop(call);
    return done;
}

/* ---- an answer ---- */

static void found(void *arg, const struct json_read_value *value)
{
    struct vault_client *client = arg;
    if (client->found || value->kind != JSON_READ_STRING || !str_eq(value->path, STR("data.data.value")))
        return;
    client->found = true;
    buf_append(&client->value, value->text.ptr, value->text.len);
}

static bool read_value(struct vault_client *client, struct str name, struct err *err)
{
    struct buf *body = &client->body;
    client->found = false;
    buf_free(&client->value);
    if (!body->size || !json_read_whole((struct str){(const char *)body->data, body->size}, client->room,
                                        VAULT_BODY_MAX, found, client))
        return err_set(err, ERR_MALFORMED, "Vault's answer is no JSON");
    if (client->found)
        return !client->value.failed || err_memory(err);
    err_set(err, ERR_INVALID, "Vault's secret \"%.*s\" has no text \"value\"", STR_ARG(name));
    return err_remedy(err, "write it with: vault kv put MOUNT/NAME value=...");
}

static bool refused(struct vault_client *client, unsigned status, struct str name, struct err *err)
{
    err_set(err, ERR_SYSTEM, "Vault answers %u when it is asked for \"%.*s\"", status, STR_ARG(name));
    if (status == 403)
        return err_remedy(err, "give a token that may read %.*s/data/...", STR_ARG(client->provider->mount.text));
    if (status >= 300 && status < 400)
        return err_remedy(err, "give the url of the server that it leads to");
    return err_remedy(err, status == 503 ? "unseal it" : "see its log");
}

bool vault_ask(struct vault_client *client, struct str name, struct str *ret_value, struct err *err)
{
    unsigned status = 0;
    if (!write_target(client, name, err) || !exchange(client, &status, err))
        return false;
    *ret_value = (struct str){NULL, 0};
    if (status == 404)
        return true;
    if (status != 200)
        return refused(client, status, name, err);
    if (!read_value(client, name, err))
        return false;
    *ret_value = (struct str){client->value.data ? (const char *)client->value.data : "", client->value.size};
    return true;
}
