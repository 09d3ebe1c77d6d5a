/* fermyon:spin/redis, with connections that are resources (2.0.0) and with addresses instead (no version), where each
 * call has a connection of its own.
 *
 * Commands go to the server as words, and what it answers comes back as it is: these functions name the commands and
 * look at the form of the replies. A reply that is an error of types is told as one. */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/service.h"

struct fermyon_spin_2_redis_connection {
    struct service_session session;
};

/* The errors of 2.0.0; without a version they are all one. */
enum fault { INVALID_ADDRESS, TOO_MANY, TYPE_ERROR, OTHER, SOUND };

_Static_assert((int)OTHER == FERMYON_SPIN_2_REDIS_ERROR_OTHER &&
                   (int)TYPE_ERROR == FERMYON_SPIN_2_REDIS_ERROR_TYPE_ERROR,
               "errors have the numbers of the interface");

/* What came of a command. */
struct outcome {
    enum fault fault;
    struct str message; /* of OTHER */
    const struct storage_value *values;
    uint32_t count;
};

/* A command: places for the session and a flag, and its words. */
struct command {
    struct storage_value *values; /* scratch memory */
    size_t count;
};

/* NULL values: trap. */
static struct command new_command(struct host *h, struct str name, size_t words)
{
    struct command command = {ARENA_ARRAY(&h->scratch, struct storage_value, words + 3), 2};
    if (!command.values)
        host_no_memory(h);
    else
        command.values[command.count++] = storage_blob(name);
    return command;
}

static void add_word(struct command *command, struct str word)
{
    command->values[command->count++] = storage_blob(word);
}

static struct str bytes_of(struct list_u8 list)
{
    return (struct str){(const char *)list.ptr, list.len};
}

/* ---- replies ---- */

static struct outcome wrong(const char *message)
{
    return (struct outcome){.fault = OTHER, .message = str_of(message)};
}

static struct outcome outcome_of(const struct storage_answer *answer)
{
    if (answer->status == STORAGE_DONE)
        return (struct outcome){.fault = SOUND, .values = answer->values, .count = answer->count};
    bool type = str_starts(answer->message, STR("WRONGTYPE ")) ||
                str_starts(answer->message, STR("ERR value is not an integer"));
    return (struct outcome){.fault = type ? TYPE_ERROR : OTHER, .message = answer->message};
}

/* `outcome` is of one value of the type, or becomes an error. */
static bool is_one(struct outcome *outcome, enum storage_type type)
{
    if (outcome->fault == SOUND && (outcome->count != 1 || outcome->values[0].type != type))
        *outcome = wrong("the server answered what this command does not");
    return outcome->fault == SOUND;
}

/* A bulk or nothing. */
static bool is_payload(struct outcome *outcome)
{
    return (outcome->fault == SOUND && outcome->count == 1 && outcome->values[0].type == STORAGE_NULL) ||
           is_one(outcome, STORAGE_BLOB);
}

/* Not negative, and at most `max`. */
static bool is_count(struct outcome *outcome, int64_t max)
{
    if (is_one(outcome, STORAGE_INTEGER) && (outcome->values[0].integer < 0 || outcome->values[0].integer > max))
        *outcome = wrong("the server counted to a number that is none");
    return outcome->fault == SOUND;
}

static bool are_texts(struct outcome *outcome)
{
    for (uint32_t i = 0; outcome->fault == SOUND && i < outcome->count; i++) {
        const struct storage_value *value = &outcome->values[i];
        if (value->type != STORAGE_BLOB)
            *outcome = wrong("the server answered what this command does not");
        else if (!utf8_valid(value->bytes.ptr, value->bytes.len))
            *outcome = wrong("a member of the set is not UTF-8");
    }
    return outcome->fault == SOUND;
}

/* Any reply as a list of results; the types of both versions have one form. */
#define RESULTS(name, NAME)                                                                                            \
    static bool name##_results(struct host *h, const struct outcome *outcome, struct list_##name *ret)                 \
    {                                                                                                                  \
        struct name *results = ARENA_ARRAY(&h->scratch, struct name, outcome->count);                                  \
        for (uint32_t i = 0; results && i < outcome->count; i++) {                                                     \
            const struct storage_value *value = &outcome->values[i];                                                   \
            switch (value->type) {                                                                                     \
            case STORAGE_INTEGER: results[i] = (struct name){.tag = NAME##_INT64, .int64 = value->integer}; break;     \
            case STORAGE_TEXT: results[i] = (struct name){.tag = NAME##_STATUS, .status = value->bytes}; break;        \
            case STORAGE_BLOB: results[i] = (struct name){.tag = NAME##_BINARY, .binary = storage_list(value)}; break; \
            default: results[i] = (struct name){.tag = NAME##_NIL}; break;                                             \
            }                                                                                                          \
        }                                                                                                              \
        *ret = (struct list_##name){results, outcome->count};                                                          \
        return results || host_no_memory(h);                                                                           \
    }

RESULTS(fermyon_spin_redis_types_redis_result, FERMYON_SPIN_REDIS_TYPES_REDIS_RESULT)
RESULTS(fermyon_spin_2_redis_redis_result, FERMYON_SPIN_2_REDIS_REDIS_RESULT)
#undef RESULTS

/* ---- commands, whichever version asks ---- */

/* False: trap. `clean`: it leaves nothing behind in the connection. */
static bool run(struct host *h, const struct service_session *session, const struct command *command, bool clean,
                struct outcome *ret)
{
    struct storage_answer answer;
    if (!command->values)
        return false;
    command->values[1] = storage_integer(clean);
    if (!service_ask(h, session, STORAGE_COMMAND, command->values, command->count, &answer))
        return false;
    *ret = outcome_of(&answer);
    return true;
}

static struct command command_of(struct host *h, const char *name, struct str key)
{
    struct command command = new_command(h, str_of(name), 1);
    if (command.values)
        add_word(&command, key);
    return command;
}

static struct command command_with(struct host *h, const char *name, struct str key, struct list_u8 payload)
{
    struct command command = new_command(h, str_of(name), 2);
    if (command.values) {
        add_word(&command, key);
        add_word(&command, bytes_of(payload));
    }
    return command;
}

/* `key` may have no bytes and no place: then there is none. */
static struct command command_many(struct host *h, const char *name, const struct str *key, struct list_str words)
{
    struct command command = new_command(h, str_of(name), words.len + 1);
    if (!command.values)
        return command;
    if (key)
        add_word(&command, *key);
    for (size_t i = 0; i < words.len; i++)
        add_word(&command, words.ptr[i]);
    return command;
}

/* ---- 2.0.0 ---- */

typedef struct fermyon_spin_2_redis_connection connection_t;
typedef struct fermyon_spin_2_redis_error error_t;

static error_t error_of(const struct outcome *outcome)
{
    return (error_t){.tag = (enum fermyon_spin_2_redis_error_tag)outcome->fault, .other = outcome->message};
}

bool fermyon_spin_2_redis_connection_open(struct host *h, struct str address,
                                          struct result_fermyon_spin_2_redis_connection_fermyon_spin_2_redis_error *ret)
{
    static const enum fault faults[] = {[SERVICE_OPEN] = SOUND,
                                        [SERVICE_INVALID] = INVALID_ADDRESS,
                                        [SERVICE_DENIED] = INVALID_ADDRESS,
                                        [SERVICE_CROWDED] = TOO_MANY,
                                        [SERVICE_FAILED] = OTHER};
    struct service_opened opened;
    if (!service_open_text(h, STORAGE_REDIS, address, HOST_SIZE_OF(connection_t), &opened))
        return false;
    const struct outcome outcome = {.fault = faults[opened.opening], .message = opened.message};
    ret->err = outcome.fault != SOUND;
    if (ret->err)
        ret->error = error_of(&outcome);
    else
        ret->ok = (connection_t *)opened.session;
    return true;
}

void fermyon_spin_2_redis_connection_drop(struct host *h, connection_t *self)
{
    service_drop(h, &self->session);
}

/* Run it, and take the reply if `form` has nothing against it. */
#define RUN(asked, clean, form, take)                                                                                  \
    do {                                                                                                               \
        const struct command words = (asked);                                                                          \
        struct outcome outcome;                                                                                        \
        if (!run(h, &self->session, &words, (clean), &outcome))                                                        \
            return false;                                                                                              \
        ret->err = !(form);                                                                                            \
        if (ret->err) {                                                                                                \
            ret->error = error_of(&outcome);                                                                           \
            return true;                                                                                               \
        }                                                                                                              \
        take;                                                                                                          \
        return true;                                                                                                   \
    } while (0)

bool fermyon_spin_2_redis_connection_publish(struct host *h, connection_t *self, struct str channel,
                                             struct list_u8 payload, struct result_void_fermyon_spin_2_redis_error *ret)
{
    RUN(command_with(h, "PUBLISH", channel, payload), true, is_one(&outcome, STORAGE_INTEGER), );
}

bool fermyon_spin_2_redis_connection_get(struct host *h, connection_t *self, struct str key,
                                         struct result_option_list_u8_fermyon_spin_2_redis_error *ret)
{
    RUN(command_of(h, "GET", key), true, is_payload(&outcome), ret->ok.some = outcome.values[0].type == STORAGE_BLOB;
        if (ret->ok.some) ret->ok.value = storage_list(&outcome.values[0]));
}

bool fermyon_spin_2_redis_connection_set(struct host *h, connection_t *self, struct str key, struct list_u8 value,
                                         struct result_void_fermyon_spin_2_redis_error *ret)
{
    RUN(command_with(h, "SET", key, value), true, is_one(&outcome, STORAGE_TEXT), );
}

bool fermyon_spin_2_redis_connection_incr(struct host *h, connection_t *self, struct str key,
                                          struct result_s64_fermyon_spin_2_redis_error *ret)
{
    RUN(command_of(h, "INCR", key), true, is_one(&outcome, STORAGE_INTEGER), ret->ok = outcome.values[0].integer);
}

bool fermyon_spin_2_redis_connection_del(struct host *h, connection_t *self, struct list_str keys,
                                         struct result_u32_fermyon_spin_2_redis_error *ret)
{
    RUN(command_many(h, "DEL", NULL, keys), true, is_count(&outcome, UINT32_MAX),
        ret->ok = (uint32_t)outcome.values[0].integer);
}

bool fermyon_spin_2_redis_connection_sadd(struct host *h, connection_t *self, struct str key, struct list_str values,
                                          struct result_u32_fermyon_spin_2_redis_error *ret)
{
    RUN(command_many(h, "SADD", &key, values), true, is_count(&outcome, UINT32_MAX),
        ret->ok = (uint32_t)outcome.values[0].integer);
}

bool fermyon_spin_2_redis_connection_srem(struct host *h, connection_t *self, struct str key, struct list_str values,
                                          struct result_u32_fermyon_spin_2_redis_error *ret)
{
    RUN(command_many(h, "SREM", &key, values), true, is_count(&outcome, UINT32_MAX),
        ret->ok = (uint32_t)outcome.values[0].integer);
}

bool fermyon_spin_2_redis_connection_smembers(struct host *h, connection_t *self, struct str key,
                                              struct result_list_str_fermyon_spin_2_redis_error *ret)
{
    RUN(command_of(h, "SMEMBERS", key), true, are_texts(&outcome),
        ret->ok = ((struct list_str){storage_texts(h, outcome.values, outcome.count), outcome.count});
        if (!ret->ok.ptr) return false);
}

static struct command any_command(struct host *h, struct str name,
                                  const struct list_fermyon_spin_2_redis_redis_parameter *arguments)
{
    struct command command = new_command(h, name, arguments->len);
    for (size_t i = 0; command.values && i < arguments->len; i++) {
        const struct fermyon_spin_2_redis_redis_parameter *argument = &arguments->ptr[i];
        if (argument->tag == FERMYON_SPIN_2_REDIS_REDIS_PARAMETER_INT64)
            command.values[command.count++] = storage_integer(argument->int64);
        else
            add_word(&command, bytes_of(argument->binary));
    }
    return command;
}

bool fermyon_spin_2_redis_connection_execute(
    struct host *h, connection_t *self, struct str command, struct list_fermyon_spin_2_redis_redis_parameter arguments,
    struct result_list_fermyon_spin_2_redis_redis_result_fermyon_spin_2_redis_error *ret)
{
    RUN(any_command(h, command, &arguments), false, outcome.fault == SOUND,
        return fermyon_spin_2_redis_redis_result_results(h, &outcome, &ret->ok));
}

#undef RUN

/* ---- without a version ---- */

struct old_connection {
    struct service_session session;
};

/* `command` in a connection for this call. False: trap. */
static bool run_alone(struct host *h, struct str address, const struct command *command, bool clean,
                      struct outcome *ret)
{
    struct service_opened opened;
    if (!command->values || !service_open_text(h, STORAGE_REDIS, address, HOST_SIZE_OF(struct old_connection), &opened))
        return false;
    *ret = (struct outcome){.fault = OTHER, .message = opened.message};
    if (opened.opening != SERVICE_OPEN)
        return true;
    bool done = run(h, opened.session, command, clean, ret);
    if (done)
        service_drop(h, opened.session);
    return done;
}

#define RUN(asked, clean, form, take)                                                                                  \
    do {                                                                                                               \
        const struct command words = (asked);                                                                          \
        struct outcome outcome;                                                                                        \
        if (!run_alone(h, address, &words, (clean), &outcome))                                                         \
            return false;                                                                                              \
        ret->err = !(form);                                                                                            \
        if (ret->err) {                                                                                                \
            ret->error = FERMYON_SPIN_REDIS_TYPES_ERROR_ERROR;                                                         \
            return true;                                                                                               \
        }                                                                                                              \
        take;                                                                                                          \
        return true;                                                                                                   \
    } while (0)

bool fermyon_spin_redis_publish(struct host *h, struct str address, struct str channel, struct list_u8 payload,
                                struct result_void_fermyon_spin_redis_types_error *ret)
{
    RUN(command_with(h, "PUBLISH", channel, payload), true, is_one(&outcome, STORAGE_INTEGER), );
}

bool fermyon_spin_redis_get(struct host *h, struct str address, struct str key,
                            struct result_list_u8_fermyon_spin_redis_types_error *ret)
{
    RUN(command_of(h, "GET", key), true, is_payload(&outcome),
        ret->ok = outcome.values[0].type == STORAGE_BLOB ? storage_list(&outcome.values[0]) : (struct list_u8){0});
}

bool fermyon_spin_redis_set(struct host *h, struct str address, struct str key, struct list_u8 value,
                            struct result_void_fermyon_spin_redis_types_error *ret)
{
    RUN(command_with(h, "SET", key, value), true, is_one(&outcome, STORAGE_TEXT), );
}

bool fermyon_spin_redis_incr(struct host *h, struct str address, struct str key,
                             struct result_s64_fermyon_spin_redis_types_error *ret)
{
    RUN(command_of(h, "INCR", key), true, is_one(&outcome, STORAGE_INTEGER), ret->ok = outcome.values[0].integer);
}

bool fermyon_spin_redis_del(struct host *h, struct str address, struct list_str keys,
                            struct result_s64_fermyon_spin_redis_types_error *ret)
{
    RUN(command_many(h, "DEL", NULL, keys), true, is_count(&outcome, INT64_MAX), ret->ok = outcome.values[0].integer);
}

bool fermyon_spin_redis_sadd(struct host *h, struct str address, struct str key, struct list_str values,
                             struct result_s64_fermyon_spin_redis_types_error *ret)
{
    RUN(command_many(h, "SADD", &key, values), true, is_count(&outcome, INT64_MAX),
        ret->ok = outcome.values[0].integer);
}

bool fermyon_spin_redis_srem(struct host *h, struct str address, struct str key, struct list_str values,
                             struct result_s64_fermyon_spin_redis_types_error *ret)
{
    RUN(command_many(h, "SREM", &key, values), true, is_count(&outcome, INT64_MAX),
        ret->ok = outcome.values[0].integer);
}

bool fermyon_spin_redis_smembers(struct host *h, struct str address, struct str key,
                                 struct result_list_str_fermyon_spin_redis_types_error *ret)
{
    RUN(command_of(h, "SMEMBERS", key), true, are_texts(&outcome),
        ret->ok = ((struct list_str){storage_texts(h, outcome.values, outcome.count), outcome.count});
        if (!ret->ok.ptr) return false);
}

static struct command any_old_command(struct host *h, struct str name,
                                      const struct list_fermyon_spin_redis_types_redis_parameter *arguments)
{
    struct command command = new_command(h, name, arguments->len);
    for (size_t i = 0; command.values && i < arguments->len; i++) {
        const struct fermyon_spin_redis_types_redis_parameter *argument = &arguments->ptr[i];
        if (argument->tag == FERMYON_SPIN_REDIS_TYPES_REDIS_PARAMETER_INT64)
            command.values[command.count++] = storage_integer(argument->int64);
        else
            add_word(&command, bytes_of(argument->binary));
    }
    return command;
}

bool fermyon_spin_redis_execute(
    struct host *h, struct str address, struct str command,
    struct list_fermyon_spin_redis_types_redis_parameter arguments,
    struct result_list_fermyon_spin_redis_types_redis_result_fermyon_spin_redis_types_error *ret)
{
    RUN(any_old_command(h, command, &arguments), false, outcome.fault == SOUND,
        return fermyon_spin_redis_types_redis_result_results(h, &outcome, &ret->ok));
}
