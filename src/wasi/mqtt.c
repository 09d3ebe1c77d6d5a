/* fermyon:spin/mqtt@2.0.0: messages to a broker. A connection is made when it is opened, and a message is with the
 * broker as surely as was asked when `publish` returns. */
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/service.h"

#include <stdio.h>

struct fermyon_spin_2_mqtt_connection {
    struct service_session session;
};

typedef struct fermyon_spin_2_mqtt_connection connection_t;
typedef struct fermyon_spin_2_mqtt_error error_t;

static error_t failed(struct str message)
{
    return (error_t){.tag = FERMYON_SPIN_2_MQTT_ERROR_CONNECTION_FAILED, .connection_failed = message};
}

static error_t error_of(const struct service_opened *opened)
{
    switch (opened->opening) {
    case SERVICE_INVALID: return (error_t){.tag = FERMYON_SPIN_2_MQTT_ERROR_INVALID_ADDRESS};
    case SERVICE_CROWDED: return (error_t){.tag = FERMYON_SPIN_2_MQTT_ERROR_TOO_MANY_CONNECTIONS};
    default: return failed(opened->message);
    }
}

/* User and password are those of the call, and the path is the interval. False: trap. */
static bool open_connection(struct host *h, struct str text, struct str user, struct str password, uint64_t interval,
                            struct service_opened *ret)
{
    struct service_address address;
    char *room = arena_alloc(&h->scratch, text.len + 1), digits[24];
    if (!room)
        return host_no_memory(h);
    *ret = (struct service_opened){.opening = SERVICE_INVALID};
    if (!service_address_parse(text, room, &address, NULL) || grant_protocol(address.scheme) != GRANT_MQTT)
        return true;
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)(interval < 65535 ? interval : 65535));
    address.user = user;
    address.password = password;
    address.path = str_of(digits);
    return service_open(h, STORAGE_MQTT, &address, text, HOST_SIZE_OF(connection_t), ret);
}

bool fermyon_spin_2_mqtt_connection_open(struct host *h, struct str address, struct str username, struct str password,
                                         uint64_t keep_alive_interval_in_secs,
                                         struct result_fermyon_spin_2_mqtt_connection_fermyon_spin_2_mqtt_error *ret)
{
    struct service_opened opened;
    if (!open_connection(h, address, username, password, keep_alive_interval_in_secs, &opened))
        return false;
    ret->err = opened.opening != SERVICE_OPEN;
    if (ret->err)
        ret->error = error_of(&opened);
    else
        ret->ok = (connection_t *)opened.session;
    return true;
}

/* A name, and no pattern of names (MQTT 3.1.1, 4.7.1). */
static bool is_topic(struct str topic)
{
    return topic.len && topic.len < 65536 && str_find(topic, '+') == topic.len && str_find(topic, '#') == topic.len &&
           str_find(topic, '\0') == topic.len;
}

bool fermyon_spin_2_mqtt_connection_publish(struct host *h, connection_t *self, struct str topic,
                                            struct list_u8 payload, enum fermyon_spin_2_mqtt_qos qos,
                                            struct result_void_fermyon_spin_2_mqtt_error *ret)
{
    struct storage_value values[] = {storage_null(), storage_text(topic), storage_bytes(payload), storage_integer(qos)};
    struct storage_answer answer;
    ret->err = true;
    ret->error = (error_t){.tag = FERMYON_SPIN_2_MQTT_ERROR_OTHER,
                           .other = STR("a topic has 1 to 65535 bytes, no wildcard and no zero byte")};
    if (!is_topic(topic))
        return true;
    if (!service_ask(h, &self->session, STORAGE_PUBLISH, values, sizeof values / sizeof *values, &answer))
        return false;
    ret->err = answer.status != STORAGE_DONE;
    if (ret->err)
        ret->error = failed(answer.message);
    return true;
}

void fermyon_spin_2_mqtt_connection_drop(struct host *h, connection_t *self)
{
    service_drop(h, &self->session);
}
