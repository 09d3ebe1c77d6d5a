/* See storage_call.h.
 *
 * While a call waits its task is suspended, and whatever is on its stack and in the guest's memory may be elsewhere:
 * what the call and the loop point to is an object of the arena, and the request is taken over before. */
#include "wasi/storage_call.h"

#include <stdio.h>

#define LABEL_SHOWN 64

/* A call on its way. */
struct asking {
    struct host_node node;
    struct host_closer closer;
    struct host *host;
    struct storage_call *call; /* NULL: it ended with its activity */
};

static const struct storage_grants no_grants;

static const struct storage_grants *grants_of(const struct host *h)
{
    return h->config->storage ? h->config->storage : &no_grants;
}

/* ---- what is granted ---- */

static void deny(struct host *h, enum storage_kind kind, struct str label)
{
    static const struct {
        const char *what;
        enum host_permit permit;
    } words[STORAGE_LABELED] = {
        [STORAGE_STORE] = {"the key-value store", PERMIT_STORE},
        [STORAGE_DATABASE] = {"the SQLite database", PERMIT_DATABASE},
    };
    struct str shown = str_slice(label, 0, label.len < LABEL_SHOWN ? label.len : LABEL_SHOWN);
    host_denied(h, words[kind].permit, shown, "opening %s \"%.*s\"", words[kind].what, STR_ARG(shown));
}

bool storage_granted(struct host *h, enum storage_kind kind, struct str label)
{
    const struct storage_grants *grants = grants_of(h);
    for (size_t i = 0; i < grants->counts[kind]; i++)
        if (str_eq(grants->labels[kind][i], label))
            return true;
    deny(h, kind, label);
    return false;
}

/* ---- calls ---- */

static void changed(struct storage_call *call)
{
    host_wake(((struct asking *)call->owner)->host);
}

static void drop_call(struct asking *asking)
{
    if (!asking->call)
        return;
    host_disown(&asking->closer);
    grants_of(asking->host)->face->drop(asking->call);
    asking->call = NULL;
}

static void close_call(struct host *h, struct host_closer *closer)
{
    drop_call(IO_OWNER(closer, struct asking, closer));
}

/* NULL: trap, or nobody reaches anything. */
static struct asking *begin(struct host *h, const struct storage_ask *ask)
{
    const struct storage_grants *grants = grants_of(h);
    struct asking *asking = HOST_NEW(h, struct asking, NULL);
    if (!asking)
        return NULL;
    const struct storage_request request = {.kind = ask->kind,
                                            .label = ask->label,
                                            .operation = ask->operation,
                                            .values = ask->values,
                                            .count = ask->count,
                                            .changed = changed,
                                            .owner = asking};
    asking->host = h;
    asking->closer.close = close_call;
    asking->call = grants->face->begin(*grants->client, &request);
    if (asking->call)
        host_own(h, &asking->closer);
    else
        host_no_memory(h);
    return asking->call ? asking : NULL;
}

static size_t bytes_of(const struct storage_value *value)
{
    return value->type >= STORAGE_TEXT ? value->bytes.len : 0;
}

/* The call's values, in scratch memory. False: no memory. */
static bool copy_values(struct host *h, const struct storage_call *call, struct storage_answer *ret_answer)
{
    size_t size = 0;
    for (uint32_t i = 0; i < call->count; i++)
        size += bytes_of(&call->values[i]);
    struct storage_value *values = ARENA_ARRAY(&h->scratch, struct storage_value, call->count);
    char *bytes = arena_alloc(&h->scratch, size);
    if (!values || !bytes)
        return false;
    for (uint32_t i = 0; i < call->count; i++) {
        values[i] = call->values[i];
        size_t length = bytes_of(&values[i]);
        if (length)
            memcpy(bytes, values[i].bytes.ptr, length);
        if (values[i].type >= STORAGE_TEXT)
            values[i].bytes.ptr = bytes;
        bytes += length;
    }
    ret_answer->values = values;
    ret_answer->count = call->count;
    return true;
}

static bool copy_answer(struct host *h, const struct storage_call *call, struct storage_answer *ret_answer)
{
    static const char *const usual[STORAGE_STATUSES] = {
        [STORAGE_NO_SUCH] = "there is no such store", [STORAGE_INVALID] = "the connection is gone",
        [STORAGE_FULL] = "the store is full",         [STORAGE_CROWDED] = "too many calls at once",
        [STORAGE_DENIED] = "it is not granted",       [STORAGE_FAILED] = "the storage service failed",
    };
    *ret_answer = (struct storage_answer){.status = call->status};
    if (call->status == STORAGE_DONE)
        return copy_values(h, call, ret_answer) || host_no_memory(h);
    struct str message = call->message.len ? call->message : str_of(usual[call->status]);
    char *copy = arena_copy(&h->scratch, message.ptr, message.len);
    ret_answer->message = (struct str){copy, message.len};
    return copy || host_no_memory(h);
}

/* The types of an answer's values, a letter each: integer, text, n blob or null. What is before a '*' comes any number
 * of times. The process of a database may be anybody by now. */
static const char *const answers[STORAGE_OPERATIONS] = {
    [STORAGE_OPEN] = "",        [STORAGE_GET] = "ni",      [STORAGE_SET] = "",        [STORAGE_DELETE] = "",
    [STORAGE_VERSION] = "i",    [STORAGE_KEYS] = "t*i",    [STORAGE_GET_MANY] = "n*", [STORAGE_SET_MANY] = "",
    [STORAGE_DELETE_MANY] = "", [STORAGE_INCREMENT] = "i", [STORAGE_SWAP] = "ii",     [STORAGE_SESSION] = "",
    [STORAGE_EXECUTE] = NULL, /* whoever asks looks */
    [STORAGE_LINK] = "",        [STORAGE_PUBLISH] = "",
};

static bool is_of(const struct storage_value *value, char letter)
{
    switch (letter) {
    case 'i': return value->type == STORAGE_INTEGER;
    case 't': return value->type == STORAGE_TEXT;
    default: return value->type == STORAGE_BLOB || value->type == STORAGE_NULL;
    }
}

static bool makes_sense(const struct storage_answer *answer, const char *letters)
{
    size_t length = strlen(letters), star = strcspn(letters, "*"), at = 0;
    bool any = star < length;
    size_t least = any ? length - 2 : length;
    if (any ? answer->count < least : answer->count != least)
        return false;
    for (uint32_t i = 0; i < answer->count; i++) {
        bool repeats = any && at + 1 == star && i < answer->count - (length - star - 1);
        if (any && at + 1 == star && !repeats)
            at += 2;
        if (!is_of(&answer->values[i], letters[at]))
            return false;
        at += !repeats;
    }
    return true;
}

static void check(const struct storage_ask *ask, struct storage_answer *answer)
{
    const char *letters = answers[ask->operation];
    bool sound = answer->status != STORAGE_DONE || !letters || makes_sense(answer, letters);
    if (sound && answer->status == STORAGE_DONE && ask->operation == STORAGE_GET_MANY)
        sound = answer->count == ask->count;
    if (!sound)
        *answer = (struct storage_answer){.status = STORAGE_FAILED, .message = STR("the answer makes no sense")};
}

static bool cannot(struct storage_answer *ret_answer)
{
    *ret_answer =
        (struct storage_answer){.status = STORAGE_NO_SUCH, .message = STR("there is nothing here that reaches it")};
    return true;
}

bool storage_ask(struct host *h, const struct storage_ask *ask, struct storage_answer *ret_answer)
{
    if (!grants_of(h)->client || !*grants_of(h)->client)
        return cannot(ret_answer);
    struct asking *asking = begin(h, ask);
    if (!asking)
        return false;
    bool goes_on = true;
    while (goes_on && asking->call->status == STORAGE_WAITING)
        goes_on = host_wait(h, HOST_FOREVER);
    bool done = goes_on && copy_answer(h, asking->call, ret_answer);
    drop_call(asking);
    host_node_free(h, &asking->node);
    if (done)
        check(ask, ret_answer);
    return done;
}

void storage_tell(struct host *h, const struct storage_ask *ask)
{
    const struct storage_grants *grants = grants_of(h);
    const struct storage_request request = {.kind = ask->kind,
                                            .label = ask->label,
                                            .operation = ask->operation,
                                            .values = ask->values,
                                            .count = ask->count};
    struct storage_call *call =
        grants->client && *grants->client ? grants->face->begin(*grants->client, &request) : NULL;
    if (call)
        grants->face->drop(call);
}

/* ---- key-value stores ---- */

bool storage_store_open(struct host *h, struct str label, enum storage_opening *ret_opening,
                        struct storage_store **ret_store, struct storage_answer *ret_answer)
{
    const struct storage_ask ask = {STORAGE_STORE, label, STORAGE_OPEN, NULL, 0};
    *ret_opening = OPENING_DENIED;
    if (!storage_granted(h, STORAGE_STORE, label))
        return true;
    *ret_opening = OPENING_TABLE_FULL;
    if (h->store_count == STORAGE_OPENED_MAX)
        return true;
    struct storage_store *store = HOST_NEW(h, struct storage_store, NULL);
    if (!store)
        return false;
    store->label = host_text_take(h, label); /* before it waits */
    if (!store->label.ptr || !storage_ask(h, &ask, ret_answer))
        return false;
    h->store_count++; /* a handle's from here on */
    *ret_opening = ret_answer->status == STORAGE_DONE ? OPENING_DONE : OPENING_FAILED;
    if (*ret_opening == OPENING_DONE)
        *ret_store = store;
    else
        storage_store_drop(h, store, "store");
    return true;
}

void storage_store_drop(struct host *h, struct storage_store *store, const char *what)
{
    if (!host_release(h, &store->node, what))
        return;
    h->store_count--;
    host_text_give(h, store->label);
    host_node_free(h, &store->node);
}

bool storage_store_ask(struct host *h, const struct storage_store *store, enum storage_operation operation,
                       const struct storage_value *values, size_t count, struct storage_answer *ret_answer)
{
    const struct storage_ask ask = {STORAGE_STORE, store->label, operation, values, count};
    return storage_ask(h, &ask, ret_answer);
}

struct storage_tables *storage_tables(struct host *h)
{
    if (!h->tables)
        h->tables = ARENA_NEW(&h->arena, struct storage_tables);
    if (!h->tables)
        host_no_memory(h);
    return h->tables;
}

const struct str *storage_texts(struct host *h, const struct storage_value *values, size_t count)
{
    struct str *texts = ARENA_ARRAY(&h->scratch, struct str, count);
    for (size_t i = 0; texts && i < count; i++)
        texts[i] = values[i].bytes;
    if (!texts)
        host_no_memory(h);
    return texts;
}
