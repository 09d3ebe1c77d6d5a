/* wasi:keyvalue@0.2.0-draft2: store, batch and atomics.
 *
 * A compare-and-swap holds the version that its key had when it was made, or when `current` was last asked for: a swap
 * is done if that is still the version, so a value that was changed and changed back fails it too. */
#include "wasi/gen/wasi_keyvalue.h"
#include "wasi/storage_call.h"

#define PAGE_KEYS 1000

struct wasi_keyvalue_bucket {
    struct storage_store store;
};

struct wasi_keyvalue_cas {
    struct host_node node;
    struct storage_store store; /* of its own, with the label that the bucket had */
    struct str key;             /* memory of its own */
    int64_t version;
};

typedef struct wasi_keyvalue_bucket bucket_t;
typedef struct wasi_keyvalue_cas cas_t;
typedef struct wasi_keyvalue_store_error error_t;

static error_t other(struct str message)
{
    return (error_t){.tag = WASI_KEYVALUE_STORE_ERROR_OTHER, .other = message};
}

static error_t error_of(const struct storage_answer *answer)
{
    if (answer->status == STORAGE_NO_SUCH)
        return (error_t){.tag = WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE};
    return other(answer->message);
}

/* ---- store ---- */

bool wasi_keyvalue_store_open(struct host *h, struct str identifier,
                              struct result_wasi_keyvalue_bucket_wasi_keyvalue_store_error *ret)
{
    enum storage_opening opening;
    struct storage_store *store = NULL;
    struct storage_answer answer;
    if (!storage_store_open(h, identifier, &opening, &store, &answer))
        return false;
    ret->err = opening != OPENING_DONE;
    switch (opening) {
    case OPENING_DONE: ret->ok = (bucket_t *)store; break;
    case OPENING_DENIED: ret->error = (error_t){.tag = WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED}; break;
    case OPENING_TABLE_FULL: ret->error = other(STR("too many stores are open")); break;
    case OPENING_FAILED: ret->error = error_of(&answer); break;
    }
    return true;
}

void wasi_keyvalue_bucket_drop(struct host *h, bucket_t *self)
{
    storage_store_drop(h, &self->store, "bucket");
}

bool wasi_keyvalue_store_bucket_get(struct host *h, bucket_t *self, struct str key,
                                    struct result_option_list_u8_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_GET, values, 1, answer, ret);
    ret->ok.some = answer.values[0].type == STORAGE_BLOB;
    if (ret->ok.some)
        ret->ok.value = storage_list(&answer.values[0]);
    return true;
}

bool wasi_keyvalue_store_bucket_set(struct host *h, bucket_t *self, struct str key, struct list_u8 value,
                                    struct result_void_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(key), storage_bytes(value)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_SET, values, 2, answer, ret);
    return true;
}

bool wasi_keyvalue_store_bucket_delete(struct host *h, bucket_t *self, struct str key,
                                       struct result_void_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_DELETE, values, 1, answer, ret);
    return true;
}

bool wasi_keyvalue_store_bucket_exists(struct host *h, bucket_t *self, struct str key,
                                       struct result_bool_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_VERSION, values, 1, answer, ret);
    ret->ok = answer.values[0].integer != 0;
    return true;
}

/* Where a page ended is told by its last key. */
bool wasi_keyvalue_store_bucket_list_keys(struct host *h, bucket_t *self, const struct option_str *cursor,
                                          struct result_wasi_keyvalue_store_key_response_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {cursor->some ? storage_text(cursor->value) : storage_null(),
                                           storage_integer(PAGE_KEYS)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_KEYS, values, 2, answer, ret);
    struct list_str *keys = &ret->ok.keys;
    keys->len = answer.count - 1;
    keys->ptr = storage_texts(h, answer.values, keys->len);
    if (!keys->ptr)
        return false;
    ret->ok.cursor.some = keys->len && answer.values[keys->len].integer != 0;
    if (ret->ok.cursor.some)
        ret->ok.cursor.value = keys->ptr[keys->len - 1];
    return true;
}

/* ---- batch ---- */

/* Keys as values. NULL: trap. */
static struct storage_value *keys_of(struct host *h, struct list_str keys)
{
    struct storage_value *values = ARENA_ARRAY(&h->scratch, struct storage_value, keys.len);
    for (size_t i = 0; values && i < keys.len; i++)
        values[i] = storage_text(keys.ptr[i]);
    if (!values)
        host_no_memory(h);
    return values;
}

/* The keys of what is given back are copies: the guest's memory may have moved. */
static struct str *copy_keys(struct host *h, struct list_str keys)
{
    struct str *copies = ARENA_ARRAY(&h->scratch, struct str, keys.len);
    for (size_t i = 0; copies && i < keys.len; i++) {
        copies[i] = (struct str){arena_copy(&h->scratch, keys.ptr[i].ptr, keys.ptr[i].len), keys.ptr[i].len};
        if (!copies[i].ptr)
            copies = NULL;
    }
    if (!copies)
        host_no_memory(h);
    return copies;
}

bool wasi_keyvalue_batch_get_many(struct host *h, bucket_t *bucket, struct list_str keys,
                                  struct result_list_tuple_str_option_list_u8_wasi_keyvalue_store_error *ret)
{
    struct storage_value *values = keys_of(h, keys);
    struct str *copies = values ? copy_keys(h, keys) : NULL;
    struct storage_answer answer;
    if (!copies)
        return false;
    STORAGE_ASK(h, bucket, STORAGE_GET_MANY, values, keys.len, answer, ret);
    struct tuple_str_option_list_u8 *pairs = ARENA_ARRAY(&h->scratch, struct tuple_str_option_list_u8, answer.count);
    if (!pairs)
        return host_no_memory(h);
    for (uint32_t i = 0; i < answer.count; i++) {
        pairs[i].f0 = copies[i];
        pairs[i].f1.some = answer.values[i].type == STORAGE_BLOB;
        if (pairs[i].f1.some)
            pairs[i].f1.value = storage_list(&answer.values[i]);
    }
    ret->ok.ptr = pairs;
    ret->ok.len = answer.count;
    return true;
}

bool wasi_keyvalue_batch_set_many(struct host *h, bucket_t *bucket, struct list_tuple_str_list_u8 key_values,
                                  struct result_void_wasi_keyvalue_store_error *ret)
{
    struct storage_value *values = ARENA_ARRAY(&h->scratch, struct storage_value, 2 * key_values.len);
    struct storage_answer answer;
    if (!values)
        return host_no_memory(h);
    for (size_t i = 0; i < key_values.len; i++) {
        values[2 * i] = storage_text(key_values.ptr[i].f0);
        values[2 * i + 1] = storage_bytes(key_values.ptr[i].f1);
    }
    STORAGE_ASK(h, bucket, STORAGE_SET_MANY, values, 2 * key_values.len, answer, ret);
    return true;
}

bool wasi_keyvalue_batch_delete_many(struct host *h, bucket_t *bucket, struct list_str keys,
                                     struct result_void_wasi_keyvalue_store_error *ret)
{
    struct storage_value *values = keys_of(h, keys);
    struct storage_answer answer;
    if (!values)
        return false;
    STORAGE_ASK(h, bucket, STORAGE_DELETE_MANY, values, keys.len, answer, ret);
    return true;
}

/* ---- atomics ---- */

bool wasi_keyvalue_atomics_increment(struct host *h, bucket_t *bucket, struct str key, int64_t delta,
                                     struct result_s64_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(key), storage_integer(delta)};
    struct storage_answer answer;
    STORAGE_ASK(h, bucket, STORAGE_INCREMENT, values, 2, answer, ret);
    ret->ok = answer.values[0].integer;
    return true;
}

static void free_cas(struct host *h, cas_t *cas)
{
    host_text_give(h, cas->store.label);
    host_text_give(h, cas->key);
    host_node_free(h, &cas->node);
}

bool wasi_keyvalue_atomics_cas_new(struct host *h, bucket_t *bucket, struct str key,
                                   struct result_wasi_keyvalue_cas_wasi_keyvalue_store_error *ret)
{
    cas_t *cas = HOST_NEW(h, cas_t, NULL);
    struct storage_answer answer;
    if (!cas)
        return false;
    cas->store.label = host_text_take(h, bucket->store.label);
    cas->key = host_text_take(h, key);
    if (!cas->store.label.ptr || !cas->key.ptr)
        return false;
    const struct storage_value values[] = {storage_text(cas->key)};
    if (!storage_store_ask(h, &cas->store, STORAGE_VERSION, values, 1, &answer))
        return false;
    ret->err = answer.status != STORAGE_DONE;
    if (ret->err) {
        ret->error = error_of(&answer);
        free_cas(h, cas);
        return true;
    }
    cas->version = answer.values[0].integer;
    ret->ok = cas;
    return true;
}

void wasi_keyvalue_cas_drop(struct host *h, cas_t *self)
{
    if (host_release(h, &self->node, "cas"))
        free_cas(h, self);
}

bool wasi_keyvalue_atomics_cas_current(struct host *h, cas_t *self,
                                       struct result_option_list_u8_wasi_keyvalue_store_error *ret)
{
    const struct storage_value values[] = {storage_text(self->key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_GET, values, 1, answer, ret);
    self->version = answer.values[1].integer;
    ret->ok.some = answer.values[0].type == STORAGE_BLOB;
    if (ret->ok.some)
        ret->ok.value = storage_list(&answer.values[0]);
    return true;
}

/* The handle is gone; one that failed comes back as a new one, of the version that there is now. */
bool wasi_keyvalue_atomics_swap(struct host *h, cas_t *cas, struct list_u8 value,
                                struct result_void_wasi_keyvalue_atomics_cas_error *ret)
{
    const struct storage_value values[] = {storage_text(cas->key), storage_integer(cas->version), storage_bytes(value)};
    struct storage_answer answer;
    if (!storage_store_ask(h, &cas->store, STORAGE_SWAP, values, 3, &answer))
        return false;
    bool done = answer.status == STORAGE_DONE, swapped = done && answer.values[0].integer != 0;
    ret->err = !swapped;
    if (done && !swapped) {
        cas->version = answer.values[1].integer;
        ret->error.tag = WASI_KEYVALUE_ATOMICS_CAS_ERROR_CAS_FAILED;
        ret->error.cas_failed = cas;
        return true;
    }
    ret->error.tag = WASI_KEYVALUE_ATOMICS_CAS_ERROR_STORE_ERROR;
    if (!done)
        ret->error.store_error = error_of(&answer);
    free_cas(h, cas);
    return true;
}
