/* Targets: see remote_inner.h. */
#include "base/alloc.h"
#include "services/mqtt.h"
#include "services/mysql.h"
#include "services/postgres.h"
#include "services/redis.h"
#include "services/remote_inner.h"

const struct remote_kind remote_kinds[STORAGE_KINDS] = {
    [STORAGE_STORE] = {&redis_store_protocol, GRANT_REDIS, GRANT_REDISS},
    [STORAGE_REDIS] = {&redis_protocol, GRANT_REDIS, GRANT_REDISS},
    [STORAGE_POSTGRES] = {&postgres_protocol, GRANT_POSTGRES, GRANT_POSTGRES},
    [STORAGE_MYSQL] = {&mysql_protocol, GRANT_MYSQL, GRANT_MYSQL},
    [STORAGE_MQTT] = {&mqtt_protocol, GRANT_MQTT, GRANT_MQTTS},
    [STORAGE_SUBSCRIPTION] = {&redis_subscription_protocol, GRANT_REDIS, GRANT_REDISS},
};

struct target *target_new(int64_t net, uint16_t port, bool secure, const struct str texts[5])
{
    size_t size = 0;
    for (size_t i = 0; i < 5; i++)
        size += texts[i].len;
    struct target *target = mem_alloc(1, sizeof *target + size);
    if (!target)
        return NULL;
    struct str *const fields[] = {&target->host, &target->user, &target->password, &target->path, &target->query};
    char *at = target->text;
    for (size_t i = 0; i < 5; i++) {
        if (texts[i].len)
            memcpy(at, texts[i].ptr, texts[i].len);
        *fields[i] = (struct str){at, texts[i].len};
        at += texts[i].len;
    }
    target->net = net;
    target->port = port;
    target->secure = secure;
    return target;
}

struct target *target_copy(const struct target *target)
{
    const struct str texts[] = {target->host, target->user, target->password, target->path, target->query};
    return target_new(target->net, target->port, target->secure, texts);
}

bool target_same(const struct target *a, const struct target *b)
{
    return a->net == b->net && a->port == b->port && a->secure == b->secure && str_eq(a->host, b->host) &&
           str_eq(a->user, b->user) && str_eq(a->password, b->password) && str_eq(a->path, b->path) &&
           str_eq(a->query, b->query);
}

static const struct grants *grants_of(const struct remote *remote, const struct target *target)
{
    const struct remote_nets *nets = remote->nets;
    bool known = nets && target->net >= 0 && (uint64_t)target->net < nets->count;
    return known ? nets->items[target->net] : NULL;
}

static enum grant_scheme scheme_of(const struct remote *remote, const struct target *target)
{
    const struct remote_kind *kind = &remote_kinds[remote->kind];
    return target->secure ? kind->secure : kind->scheme;
}

bool remote_permits(const struct remote *remote, const struct target *target)
{
    return grants_service(grants_of(remote, target), scheme_of(remote, target), target->host, target->port);
}

bool remote_permits_address(const struct remote *remote, const struct target *target, const struct ip_address *address)
{
    const struct ip_endpoint to = {.address = *address, .port = target->port};
    return target->net < 0 ||
           grants_service_address(grants_of(remote, target), scheme_of(remote, target), target->host, &to);
}

size_t remote_share(const struct remote *remote, size_t max)
{
    size_t count = remote->nets ? remote->nets->count : 1;
    return count < 2 ? max : max / (count < REMOTE_SHARES ? count : REMOTE_SHARES);
}
