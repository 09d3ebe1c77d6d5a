/* fermyon:spin/key-value, with handles that are resources (2.0.0) and with such that are numbers (no version). */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/storage_call.h"

/* ---- 2.0.0 ---- */

struct fermyon_spin_2_store {
    struct storage_store store;
};

typedef struct fermyon_spin_2_key_value_error error_t;

#define ERROR(name) ((error_t){.tag = FERMYON_SPIN_2_KEY_VALUE_ERROR_##name})

static error_t error_of(const struct storage_answer *answer)
{
    if (answer->status == STORAGE_NO_SUCH)
        return ERROR(NO_SUCH_STORE);
    return (error_t){.tag = FERMYON_SPIN_2_KEY_VALUE_ERROR_OTHER, .other = answer->message};
}

bool fermyon_spin_2_key_value_store_open(struct host *h, struct str label,
                                         struct result_fermyon_spin_2_store_fermyon_spin_2_key_value_error *ret)
{
    enum storage_opening opening;
    struct storage_store *store = NULL;
    struct storage_answer answer;
    if (!storage_store_open(h, label, &opening, &store, &answer))
        return false;
    ret->err = opening != OPENING_DONE;
    switch (opening) {
    case OPENING_DONE: ret->ok = (struct fermyon_spin_2_store *)store; break;
    case OPENING_DENIED: ret->error = ERROR(ACCESS_DENIED); break;
    case OPENING_TABLE_FULL: ret->error = ERROR(STORE_TABLE_FULL); break;
    case OPENING_FAILED: ret->error = error_of(&answer); break;
    }
    return true;
}

void fermyon_spin_2_store_drop(struct host *h, struct fermyon_spin_2_store *self)
{
    storage_store_drop(h, &self->store, "store");
}

bool fermyon_spin_2_key_value_store_get(struct host *h, struct fermyon_spin_2_store *self, struct str key,
                                        struct result_option_list_u8_fermyon_spin_2_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_GET, values, 1, answer, ret);
    ret->ok.some = answer.values[0].type == STORAGE_BLOB;
    if (ret->ok.some)
        ret->ok.value = storage_list(&answer.values[0]);
    return true;
}

bool fermyon_spin_2_key_value_store_set(struct host *h, struct fermyon_spin_2_store *self, struct str key,
                                        struct list_u8 value, struct result_void_fermyon_spin_2_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key), storage_bytes(value)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_SET, values, 2, answer, ret);
    return true;
}

bool fermyon_spin_2_key_value_store_delete(struct host *h, struct fermyon_spin_2_store *self, struct str key,
                                           struct result_void_fermyon_spin_2_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_DELETE, values, 1, answer, ret);
    return true;
}

bool fermyon_spin_2_key_value_store_exists(struct host *h, struct fermyon_spin_2_store *self, struct str key,
                                           struct result_bool_fermyon_spin_2_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_VERSION, values, 1, answer, ret);
    ret->ok = answer.values[0].integer != 0;
    return true;
}

/* All keys: the answer has one value more. */
static const struct storage_value all_keys[] = {{.type = STORAGE_NULL}, {.type = STORAGE_INTEGER, .integer = 0}};

bool fermyon_spin_2_key_value_store_get_keys(struct host *h, struct fermyon_spin_2_store *self,
                                             struct result_list_str_fermyon_spin_2_key_value_error *ret)
{
    struct storage_answer answer;
    STORAGE_ASK(h, self, STORAGE_KEYS, all_keys, 2, answer, ret);
    ret->ok.len = answer.count - 1;
    ret->ok.ptr = storage_texts(h, answer.values, ret->ok.len);
    return ret->ok.ptr != NULL;
}

#undef ERROR

/* ---- without a version ---- */

typedef struct fermyon_spin_key_value_error old_error;

#define ERROR(name) ((old_error){.tag = FERMYON_SPIN_KEY_VALUE_ERROR_##name})

static old_error old_error_of(const struct storage_answer *answer)
{
    if (answer->status == STORAGE_NO_SUCH)
        return ERROR(NO_SUCH_STORE);
    return (old_error){.tag = FERMYON_SPIN_KEY_VALUE_ERROR_IO, .io = answer->message};
}

/* NULL: there is none. */
static struct storage_store *find(const struct host *h, uint32_t number)
{
    return h->tables && number - 1 < STORAGE_OPENED_MAX ? h->tables->stores[number - 1] : NULL;
}

static bool ask_old(struct host *h, uint32_t number, enum storage_operation operation,
                    const struct storage_value *values, size_t count, struct storage_answer *ret_answer,
                    old_error *ret_error, bool *ret_failed)
{
    struct storage_store *store = find(h, number);
    *ret_failed = true;
    *ret_error = ERROR(INVALID_STORE);
    if (!store)
        return true;
    if (!storage_store_ask(h, store, operation, values, count, ret_answer))
        return false;
    *ret_failed = ret_answer->status != STORAGE_DONE;
    if (*ret_failed)
        *ret_error = old_error_of(ret_answer);
    return true;
}

#define ASK_OLD(h, number, operation, values, count, answer, ret)                                                      \
    do {                                                                                                               \
        if (!ask_old(h, number, operation, values, count, &(answer), &(ret)->error, &(ret)->err))                      \
            return false;                                                                                              \
        if ((ret)->err)                                                                                                \
            return true;                                                                                               \
    } while (0)

static uint32_t take_number(struct storage_tables *tables, struct storage_store *store)
{
    uint32_t at = 0;
    while (tables->stores[at]) /* there is room: stores are counted */
        at++;
    tables->stores[at] = store;
    return at + 1;
}

bool fermyon_spin_key_value_open(struct host *h, struct str name, struct result_u32_fermyon_spin_key_value_error *ret)
{
    enum storage_opening opening;
    struct storage_store *store = NULL;
    struct storage_answer answer;
    struct storage_tables *tables = storage_tables(h);
    if (!tables || !storage_store_open(h, name, &opening, &store, &answer))
        return false;
    ret->err = opening != OPENING_DONE;
    switch (opening) {
    case OPENING_DONE: ret->ok = take_number(tables, store); break;
    case OPENING_DENIED: ret->error = ERROR(ACCESS_DENIED); break;
    case OPENING_TABLE_FULL: ret->error = ERROR(STORE_TABLE_FULL); break;
    case OPENING_FAILED: ret->error = old_error_of(&answer); break;
    }
    return true;
}

bool fermyon_spin_key_value_get(struct host *h, uint32_t store_, struct str key,
                                struct result_list_u8_fermyon_spin_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    ASK_OLD(h, store_, STORAGE_GET, values, 1, answer, ret);
    ret->err = answer.values[0].type != STORAGE_BLOB;
    if (ret->err)
        ret->error = ERROR(NO_SUCH_KEY);
    else
        ret->ok = storage_list(&answer.values[0]);
    return true;
}

bool fermyon_spin_key_value_set(struct host *h, uint32_t store_, struct str key, struct list_u8 value,
                                struct result_void_fermyon_spin_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key), storage_bytes(value)};
    struct storage_answer answer;
    ASK_OLD(h, store_, STORAGE_SET, values, 2, answer, ret);
    return true;
}

bool fermyon_spin_key_value_delete(struct host *h, uint32_t store_, struct str key,
                                   struct result_void_fermyon_spin_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    ASK_OLD(h, store_, STORAGE_DELETE, values, 1, answer, ret);
    return true;
}

bool fermyon_spin_key_value_exists(struct host *h, uint32_t store_, struct str key,
                                   struct result_bool_fermyon_spin_key_value_error *ret)
{
    const struct storage_value values[] = {storage_text(key)};
    struct storage_answer answer;
    ASK_OLD(h, store_, STORAGE_VERSION, values, 1, answer, ret);
    ret->ok = answer.values[0].integer != 0;
    return true;
}

bool fermyon_spin_key_value_get_keys(struct host *h, uint32_t store_,
                                     struct result_list_str_fermyon_spin_key_value_error *ret)
{
    struct storage_answer answer;
    ASK_OLD(h, store_, STORAGE_KEYS, all_keys, 2, answer, ret);
    ret->ok.len = answer.count - 1;
    ret->ok.ptr = storage_texts(h, answer.values, ret->ok.len);
    return ret->ok.ptr != NULL;
}

bool fermyon_spin_key_value_close(struct host *h, uint32_t store_)
{
    struct storage_store *store = find(h, store_);
    if (!store)
        return true;
    h->tables->stores[store_ - 1] = NULL;
    storage_store_drop(h, store, "store");
    return true;
}
