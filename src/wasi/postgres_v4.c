/* spin:postgres (4): beside what version 3 has uuids, jsonb, decimals, ranges, arrays and intervals, the server's
 * errors as it tells them, and the types of columns that have no case by their names. The functions that are
 * asynchronous are not here. A builder takes no authority of its own yet, which it says. */
#include "wasi/postgres_rows.h"

#include "wasi/gen/spin_postgres_4.h"

#include <stdio.h>

#define NAME(case) SPIN_POSTGRES_4_POSTGRES_##case

struct spin_postgres_4_connection {
    struct service_session session;
};

struct spin_postgres_4_connection_builder {
    struct host_node node;
    struct str address; /* memory of its own */
};

typedef struct spin_postgres_4_connection connection_t;
typedef struct spin_postgres_4_connection_builder builder_t;
typedef struct spin_postgres_4_postgres_parameter_value parameter_t;
typedef struct spin_postgres_4_postgres_db_value value_t;
typedef struct spin_postgres_4_postgres_error error_t;

/* ---- parameters ---- */

/* A text that grows, in scratch memory; its parts are written one by one. */
struct writing {
    char *text;
    size_t size, max;
};

static bool begin_text(struct host *h, struct writing *writing, size_t max)
{
    *writing = (struct writing){arena_alloc(&h->scratch, max + 1), 0, max};
    return writing->text || host_no_memory(h);
}

static void put(struct writing *writing, struct str bytes)
{
    size_t size = bytes.len < writing->max - writing->size ? bytes.len : writing->max - writing->size;
    if (size)
        memcpy(writing->text + writing->size, bytes.ptr, size);
    writing->size += size;
}

static void put_number(struct writing *writing, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    put(writing, str_of(text));
}

/* In quotes, in which two characters need a backslash. */
static void put_quoted(struct writing *writing, struct str text)
{
    put(writing, STR("\""));
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            put(writing, STR("\\"));
        put(writing, str_slice(text, i, i + 1));
    }
    put(writing, STR("\""));
}

static bool give_text(struct storage_value *ret, const struct writing *writing)
{
    *ret = storage_text((struct str){writing->text, writing->size});
    return true;
}

/* Ranges and arrays are written in the same way, whatever is in them. */
#define RANGE(name, size_of, put_one)                                                                                  \
    static bool take_##name(struct host *h, const parameter_t *value, struct storage_value *ret)                       \
    {                                                                                                                  \
        const __typeof__(value->name) *range = &value->name;                                                           \
        struct writing writing;                                                                                        \
        if (!begin_text(h, &writing, 8 + (size_of(range->f0)) + (size_of(range->f1))))                                 \
            return false;                                                                                              \
        bool open = !range->f0.some || range->f0.value.f1 == NAME(RANGE_BOUND_KIND_EXCLUSIVE);                         \
        put(&writing, open ? STR("(") : STR("["));                                                                     \
        if (range->f0.some)                                                                                            \
            put_one(&writing, range->f0.value.f0);                                                                     \
        put(&writing, STR(","));                                                                                       \
        if (range->f1.some)                                                                                            \
            put_one(&writing, range->f1.value.f0);                                                                     \
        open = !range->f1.some || range->f1.value.f1 == NAME(RANGE_BOUND_KIND_EXCLUSIVE);                              \
        put(&writing, open ? STR(")") : STR("]"));                                                                     \
        return give_text(ret, &writing);                                                                               \
    }
#define SIZE_OF_NUMBER(bound) 24u
#define SIZE_OF_TEXT(bound) (2 * (bound).value.f0.len + 2)
RANGE(range_int32, SIZE_OF_NUMBER, put_number)
RANGE(range_int64, SIZE_OF_NUMBER, put_number)
RANGE(range_decimal, SIZE_OF_TEXT, put_quoted)
#undef RANGE

#define ARRAY(name, size_of, put_one)                                                                                  \
    static bool take_##name(struct host *h, const parameter_t *value, struct storage_value *ret)                       \
    {                                                                                                                  \
        struct writing writing;                                                                                        \
        size_t size = 8;                                                                                               \
        for (size_t i = 0; i < value->name.len; i++)                                                                   \
            size += 5 + size_of(value->name.ptr[i]);                                                                   \
        if (!begin_text(h, &writing, size))                                                                            \
            return false;                                                                                              \
        put(&writing, STR("{"));                                                                                       \
        for (size_t i = 0; i < value->name.len; i++) {                                                                 \
            if (i)                                                                                                     \
                put(&writing, STR(","));                                                                               \
            if (value->name.ptr[i].some)                                                                               \
                put_one(&writing, value->name.ptr[i].value);                                                           \
            else                                                                                                       \
                put(&writing, STR("NULL"));                                                                            \
        }                                                                                                              \
        put(&writing, STR("}"));                                                                                       \
        return give_text(ret, &writing);                                                                               \
    }
#define SIZE_OF_ELEMENT(element) ((element).some ? 2 * (element).value.len + 2 : 0)
ARRAY(array_int32, SIZE_OF_NUMBER, put_number)
ARRAY(array_int64, SIZE_OF_NUMBER, put_number)
ARRAY(array_decimal, SIZE_OF_ELEMENT, put_quoted)
ARRAY(array_str, SIZE_OF_ELEMENT, put_quoted)
#undef ARRAY

static bool take_times(struct host *h, const parameter_t *value, struct storage_value *ret,
                       struct query_outcome *outcome)
{
    switch (value->tag) {
    case NAME(PARAMETER_VALUE_DATE):
        return postgres_take_date(h, ret, (struct postgres_date){value->date.f0, value->date.f1, value->date.f2},
                                  outcome);
    case NAME(PARAMETER_VALUE_TIME):
        return postgres_take_time(
            h, ret, (struct postgres_time){value->time.f0, value->time.f1, value->time.f2, value->time.f3}, outcome);
    case NAME(PARAMETER_VALUE_DATETIME):
        return postgres_take_datetime(
            h, ret, (struct postgres_date){value->datetime.f0, value->datetime.f1, value->datetime.f2},
            (struct postgres_time){value->datetime.f3, value->datetime.f4, value->datetime.f5, value->datetime.f6}, "",
            outcome);
    default: return postgres_take_unix(h, ret, value->timestamp, outcome);
    }
}

static bool take(struct host *h, const parameter_t *value, struct storage_value *ret, struct query_outcome *outcome)
{
    switch (value->tag) {
        POSTGRES_TAKE_COMMON(SPIN_POSTGRES_4_POSTGRES)
    case NAME(PARAMETER_VALUE_DATE):
    case NAME(PARAMETER_VALUE_TIME):
    case NAME(PARAMETER_VALUE_DATETIME):
    case NAME(PARAMETER_VALUE_TIMESTAMP): return take_times(h, value, ret, outcome);
    case NAME(PARAMETER_VALUE_UUID): return postgres_take(ret, storage_text(value->uuid));
    case NAME(PARAMETER_VALUE_DECIMAL): return postgres_take(ret, storage_text(value->decimal));
    case NAME(PARAMETER_VALUE_JSONB):
        query_fail(outcome, QUERY_BAD_PARAMETER, "a value of jsonb that is not UTF-8");
        if (!utf8_valid(value->jsonb.ptr, value->jsonb.len))
            return false;
        outcome->fault = QUERY_SOUND;
        return postgres_take(ret, storage_text((struct str){(const char *)value->jsonb.ptr, value->jsonb.len}));
    case NAME(PARAMETER_VALUE_RANGE_INT32): return take_range_int32(h, value, ret);
    case NAME(PARAMETER_VALUE_RANGE_INT64): return take_range_int64(h, value, ret);
    case NAME(PARAMETER_VALUE_RANGE_DECIMAL): return take_range_decimal(h, value, ret);
    case NAME(PARAMETER_VALUE_ARRAY_INT32): return take_array_int32(h, value, ret);
    case NAME(PARAMETER_VALUE_ARRAY_INT64): return take_array_int64(h, value, ret);
    case NAME(PARAMETER_VALUE_ARRAY_DECIMAL): return take_array_decimal(h, value, ret);
    case NAME(PARAMETER_VALUE_ARRAY_STR): return take_array_str(h, value, ret);
    case NAME(PARAMETER_VALUE_INTERVAL):
        return query_text(h, ret, "%d months %d days %lld microseconds", value->interval.months, value->interval.days,
                          (long long)value->interval.micros);
    }
    query_fail(outcome, QUERY_NOT_CONVERTED, "a parameter of a type that is not known");
    return false;
}

/* ---- values ---- */

static bool read_int32(struct host *h, struct str bytes, int32_t *ret)
{
    int64_t number;
    bool good = postgres_integer(bytes, 4, &number);
    *ret = (int32_t)number;
    return good;
}

static bool read_int64(struct host *h, struct str bytes, int64_t *ret)
{
    return postgres_integer(bytes, 8, ret);
}

static bool read_text(struct host *h, struct str bytes, struct str *ret)
{
    *ret = bytes;
    return utf8_valid(bytes.ptr, bytes.len);
}

/* No memory is as if it could not be read: the call that brought it fails soon. */
static bool read_decimal(struct host *h, struct str bytes, struct str *ret)
{
    char text[POSTGRES_NUMERIC_MAX];
    size_t size;
    if (!postgres_numeric(bytes, text, sizeof text, &size))
        return false;
    char *copy = arena_copy(&h->scratch, text, size);
    *ret = (struct str){copy, size};
    return copy;
}

#define RANGE(name, TAG, read)                                                                                         \
    static void give_##name(struct host *h, const struct storage_value *cell, value_t *ret)                            \
    {                                                                                                                  \
        struct postgres_bound lower, upper;                                                                            \
        value_t made = {.tag = NAME(DB_VALUE_##TAG)};                                                                  \
        if (!postgres_range(cell->bytes, &lower, &upper) ||                                                            \
            (lower.there && !read(h, lower.bytes, &made.name.f0.value.f0)) ||                                          \
            (upper.there && !read(h, upper.bytes, &made.name.f1.value.f0)))                                            \
            return;                                                                                                    \
        made.name.f0.some = lower.there;                                                                               \
        made.name.f0.value.f1 = (enum spin_postgres_4_postgres_range_bound_kind) !lower.inclusive;                     \
        made.name.f1.some = upper.there;                                                                               \
        made.name.f1.value.f1 = (enum spin_postgres_4_postgres_range_bound_kind) !upper.inclusive;                     \
        *ret = made;                                                                                                   \
    }
RANGE(range_int32, RANGE_INT32, read_int32)
RANGE(range_int64, RANGE_INT64, read_int64)
RANGE(range_decimal, RANGE_DECIMAL, read_decimal)
#undef RANGE

#define ARRAY(name, TAG, type, read)                                                                                   \
    static void give_##name(struct host *h, const struct storage_value *cell, value_t *ret)                            \
    {                                                                                                                  \
        struct postgres_array array;                                                                                   \
        if (!postgres_array(cell->bytes, &array))                                                                      \
            return;                                                                                                    \
        size_t count = array.count;                                                                                    \
        struct type *items = ARENA_ARRAY(&h->scratch, struct type, count);                                             \
        for (size_t i = 0; items && i < count; i++) {                                                                  \
            struct str bytes;                                                                                          \
            if (!postgres_element(&array, &bytes) || (bytes.ptr && !read(h, bytes, &items[i].value)))                  \
                return;                                                                                                \
            items[i].some = bytes.ptr != NULL;                                                                         \
        }                                                                                                              \
        if (items)                                                                                                     \
            *ret = (value_t){.tag = NAME(DB_VALUE_##TAG), .name = {items, count}};                                     \
    }
ARRAY(array_int32, ARRAY_INT32, option_s32, read_int32)
ARRAY(array_int64, ARRAY_INT64, option_s64, read_int64)
ARRAY(array_decimal, ARRAY_DECIMAL, option_str, read_decimal)
ARRAY(array_str, ARRAY_STR, option_str, read_text)
#undef ARRAY

static void give_date(struct host *h, const struct storage_value *cell, value_t *ret)
{
    struct postgres_date date;
    if (postgres_date(cell->bytes, &date))
        *ret = (value_t){.tag = NAME(DB_VALUE_DATE), .date = {date.year, date.month, date.day}};
}

static void give_time(struct host *h, const struct storage_value *cell, value_t *ret)
{
    struct postgres_time time;
    if (postgres_time(cell->bytes, &time))
        *ret = (value_t){.tag = NAME(DB_VALUE_TIME), .time = {time.hour, time.minute, time.second, time.nanosecond}};
}

static void give_datetime(struct host *h, const struct storage_value *cell, value_t *ret)
{
    struct postgres_date date;
    struct postgres_time time;
    if (postgres_datetime(cell->bytes, &date, &time))
        *ret = (value_t){
            .tag = NAME(DB_VALUE_DATETIME),
            .datetime = {date.year, date.month, date.day, time.hour, time.minute, time.second, time.nanosecond}};
}

static void give_uuid(struct host *h, const struct storage_value *cell, value_t *ret)
{
    char *text = cell->bytes.len == 16 ? arena_alloc(&h->scratch, 40) : NULL;
    size_t at = 0;
    for (size_t i = 0; text && i < 16; i++) {
        bool behind = i == 4 || i == 6 || i == 8 || i == 10;
        at += (size_t)snprintf(text + at, 4, behind ? "-%02x" : "%02x", (uint8_t)cell->bytes.ptr[i]);
    }
    if (text)
        *ret = (value_t){.tag = NAME(DB_VALUE_UUID), .uuid = {text, at}};
}

/* Behind the number of its form. */
static void give_jsonb(struct host *h, const struct storage_value *cell, value_t *ret)
{
    if (cell->bytes.len && cell->bytes.ptr[0] == 1)
        *ret = (value_t){.tag = NAME(DB_VALUE_JSONB),
                         .jsonb = {(const uint8_t *)cell->bytes.ptr + 1, cell->bytes.len - 1}};
}

static void give_decimal(struct host *h, const struct storage_value *cell, value_t *ret)
{
    struct str text;
    if (read_decimal(h, cell->bytes, &text))
        *ret = (value_t){.tag = NAME(DB_VALUE_DECIMAL), .decimal = text};
}

static void give_interval(struct host *h, const struct storage_value *cell, value_t *ret)
{
    value_t made = {.tag = NAME(DB_VALUE_INTERVAL)};
    if (postgres_interval(cell->bytes, &made.interval.micros, &made.interval.days, &made.interval.months))
        *ret = made;
}

/* The types that only some versions have. */
static const struct more {
    int type;
    enum spin_postgres_4_postgres_db_data_type_tag tag;
    void (*give)(struct host *h, const struct storage_value *cell, value_t *ret);
} more[] = {
    {POSTGRES_DATE, NAME(DB_DATA_TYPE_DATE), give_date},
    {POSTGRES_TIME, NAME(DB_DATA_TYPE_TIME), give_time},
    {POSTGRES_TIMESTAMP, NAME(DB_DATA_TYPE_DATETIME), give_datetime},
    {POSTGRES_TIMESTAMPTZ, NAME(DB_DATA_TYPE_DATETIME), give_datetime},
    {POSTGRES_UUID, NAME(DB_DATA_TYPE_UUID), give_uuid},
    {POSTGRES_JSONB, NAME(DB_DATA_TYPE_JSONB), give_jsonb},
    {POSTGRES_NUMERIC, NAME(DB_DATA_TYPE_DECIMAL), give_decimal},
    {POSTGRES_INT4_RANGE, NAME(DB_DATA_TYPE_RANGE_INT32), give_range_int32},
    {POSTGRES_INT8_RANGE, NAME(DB_DATA_TYPE_RANGE_INT64), give_range_int64},
    {POSTGRES_NUM_RANGE, NAME(DB_DATA_TYPE_RANGE_DECIMAL), give_range_decimal},
    {POSTGRES_INT4_ARRAY, NAME(DB_DATA_TYPE_ARRAY_INT32), give_array_int32},
    {POSTGRES_INT8_ARRAY, NAME(DB_DATA_TYPE_ARRAY_INT64), give_array_int64},
    {POSTGRES_NUMERIC_ARRAY, NAME(DB_DATA_TYPE_ARRAY_DECIMAL), give_array_decimal},
    {POSTGRES_TEXT_ARRAY, NAME(DB_DATA_TYPE_ARRAY_STR), give_array_str},
    {POSTGRES_VARCHAR_ARRAY, NAME(DB_DATA_TYPE_ARRAY_STR), give_array_str},
    {POSTGRES_BPCHAR_ARRAY, NAME(DB_DATA_TYPE_ARRAY_STR), give_array_str},
    {POSTGRES_INTERVAL, NAME(DB_DATA_TYPE_INTERVAL), give_interval},
};

static const struct more *find_more(int64_t type)
{
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].type == type)
            return &more[i];
    return NULL;
}

static value_t give(struct host *h, const struct storage_value *cell, int64_t type)
{
    value_t ret = {.tag = NAME(DB_VALUE_UNSUPPORTED)};
    const struct more *row = find_more(type);
    int64_t number;
    if (cell->type != STORAGE_BLOB)
        return (value_t){.tag = NAME(DB_VALUE_DB_NULL)};
    ret.unsupported = storage_list(cell);
    if (row)
        row->give(h, cell, &ret);
    switch (type) {
        POSTGRES_GIVE_COMMON(SPIN_POSTGRES_4_POSTGRES)
    default: break;
    }
    return ret;
}

#define TYPE(case) ((struct spin_postgres_4_postgres_db_data_type){.tag = (case)})

static struct spin_postgres_4_postgres_db_data_type type_of(struct host *h, int64_t type)
{
    const struct more *row = find_more(type);
    struct storage_value text = storage_text(STR("?"));
    const char *name = postgres_type_name(type);
    switch (type) {
        POSTGRES_TYPE_COMMON(TYPE, SPIN_POSTGRES_4_POSTGRES)
    default: break;
    }
    if (row)
        return TYPE(row->tag);
    if (!name)
        query_text(h, &text, "%lld", (long long)type);
    return (struct spin_postgres_4_postgres_db_data_type){.tag = NAME(DB_DATA_TYPE_OTHER),
                                                          .other = name ? str_of(name) : text.bytes};
}

static bool give_rows(struct host *h, const struct query_outcome *outcome, struct spin_postgres_4_postgres_row_set *ret)
{
    size_t count = outcome->column_count, rows = outcome->row_count;
    struct spin_postgres_4_postgres_column *columns =
        ARENA_ARRAY(&h->scratch, struct spin_postgres_4_postgres_column, count);
    struct list_spin_postgres_4_postgres_db_value *lines =
        ARENA_ARRAY(&h->scratch, struct list_spin_postgres_4_postgres_db_value, rows);
    value_t *cells = ARENA_ARRAY(&h->scratch, value_t, rows * count);
    if (!columns || !lines || !cells)
        return host_no_memory(h);
    for (size_t i = 0; i < count; i++)
        columns[i] = (struct spin_postgres_4_postgres_column){outcome->columns[2 * i].bytes,
                                                              type_of(h, outcome->columns[2 * i + 1].integer)};
    for (size_t i = 0; i < rows * count; i++)
        cells[i] = give(h, &outcome->cells[i], outcome->columns[2 * (i % count) + 1].integer);
    for (size_t i = 0; i < rows; i++)
        lines[i] = (struct list_spin_postgres_4_postgres_db_value){cells + i * count, count};
    ret->columns = (struct list_spin_postgres_4_postgres_column){columns, count};
    ret->rows = (struct list_list_spin_postgres_4_postgres_db_value){lines, rows};
    return true;
}

/* ---- errors ---- */

static bool give_server_error(struct host *h, const struct query_outcome *outcome, error_t *ret)
{
    const struct storage_value *error = outcome->error;
    size_t pairs = (outcome->error_count - 4) / 2;
    struct tuple_str_str *extras = ARENA_ARRAY(&h->scratch, struct tuple_str_str, pairs);
    struct storage_value text;
    if (!extras || !query_text(h, &text, "%.*s: %.*s (%.*s)", STR_ARG(error[0].bytes),
                               (int)(error[2].bytes.len < 400 ? error[2].bytes.len : 400), error[2].bytes.ptr,
                               STR_ARG(error[1].bytes)))
        return host_no_memory(h);
    for (size_t i = 0; i < pairs; i++)
        extras[i] = (struct tuple_str_str){error[4 + 2 * i].bytes, error[5 + 2 * i].bytes};
    if (!utf8_valid(text.bytes.ptr, text.bytes.len)) /* it was cut */
        text = error[2];
    struct spin_postgres_4_postgres_db_error *to = &ret->query_failed.db_error;
    *ret = (error_t){.tag = NAME(ERROR_QUERY_FAILED)};
    ret->query_failed.tag = NAME(QUERY_ERROR_DB_ERROR);
    to->as_text = text.bytes;
    to->severity = error[0].bytes;
    to->code = error[1].bytes;
    to->message = error[2].bytes;
    to->detail.some = error[3].type == STORAGE_TEXT;
    to->detail.value = to->detail.some ? error[3].bytes : (struct str){NULL, 0};
    to->extras = (struct list_tuple_str_str){extras, pairs};
    return true;
}

static bool give_error(struct host *h, const struct query_outcome *outcome, error_t *ret)
{
    if (outcome->error)
        return give_server_error(h, outcome, ret);
    *ret = (error_t){.tag = (enum spin_postgres_4_postgres_error_tag)((int)outcome->fault - (int)QUERY_NOT_CONNECTED)};
    if (outcome->fault == QUERY_FAILED)
        ret->query_failed =
            (struct spin_postgres_4_postgres_query_error){.tag = NAME(QUERY_ERROR_TEXT), .text = outcome->message};
    else
        ret->other = outcome->message;
    return true;
}

/* ---- connections ---- */

typedef struct result_spin_postgres_4_connection_spin_postgres_4_postgres_error opened_t;

bool spin_postgres_4_postgres_connection_open(struct host *h, struct str address, opened_t *ret)
{
    struct service_opened opened;
    if (!service_open_text(h, STORAGE_POSTGRES, address, HOST_SIZE_OF(connection_t), &opened))
        return false;
    ret->err = opened.opening != SERVICE_OPEN;
    if (ret->err)
        ret->error = (error_t){.tag = NAME(ERROR_CONNECTION_FAILED), .connection_failed = opened.message};
    else
        ret->ok = (connection_t *)opened.session;
    return true;
}

void spin_postgres_4_connection_drop(struct host *h, connection_t *self)
{
    service_drop(h, &self->session);
}

static bool run(struct host *h, connection_t *self, struct str statement,
                const struct list_spin_postgres_4_postgres_parameter_value *parameters, struct query_outcome *ret)
{
    struct storage_value *values = query_room(h, parameters->len);
    *ret = (struct query_outcome){0};
    for (size_t i = 0; values && i < parameters->len; i++)
        if (!take(h, &parameters->ptr[i], &values[i + 2], ret))
            return ret->fault != QUERY_SOUND; /* or a trap */
    return values && query_run(h, &self->session, statement, values, parameters->len + 2, ret);
}

bool spin_postgres_4_postgres_connection_query(
    struct host *h, connection_t *self, struct str statement,
    struct list_spin_postgres_4_postgres_parameter_value params,
    struct result_spin_postgres_4_postgres_row_set_spin_postgres_4_postgres_error *ret)
{
    struct query_outcome outcome;
    if (!run(h, self, statement, &params, &outcome))
        return false;
    ret->err = outcome.fault != QUERY_SOUND;
    return ret->err ? give_error(h, &outcome, &ret->error) : give_rows(h, &outcome, &ret->ok);
}

bool spin_postgres_4_postgres_connection_execute(struct host *h, connection_t *self, struct str statement,
                                                 struct list_spin_postgres_4_postgres_parameter_value params,
                                                 struct result_u64_spin_postgres_4_postgres_error *ret)
{
    struct query_outcome outcome;
    if (!run(h, self, statement, &params, &outcome))
        return false;
    ret->err = outcome.fault != QUERY_SOUND;
    if (ret->err)
        return give_error(h, &outcome, &ret->error);
    ret->ok = outcome.changes;
    return true;
}

/* ---- builders ---- */

bool spin_postgres_4_postgres_connection_builder_constructor(struct host *h, struct str address, builder_t **ret)
{
    builder_t *builder = HOST_NEW(h, builder_t, NULL);
    if (!builder)
        return false;
    builder->address = host_text_take(h, address);
    *ret = builder;
    return builder->address.ptr != NULL;
}

bool spin_postgres_4_postgres_connection_builder_set_ca_root(struct host *h, builder_t *self, struct str certificate,
                                                             struct result_void_spin_postgres_4_postgres_error *ret)
{
    ret->err = true;
    ret->error = (error_t){.tag = NAME(ERROR_OTHER),
                           .other = STR("an authority of a guest's own is not offered yet: give it to mayfly in "
                                        "SSL_CERT_FILE")};
    return true;
}

bool spin_postgres_4_postgres_connection_builder_build(struct host *h, builder_t *self, opened_t *ret)
{
    return spin_postgres_4_postgres_connection_open(h, self->address, ret);
}

void spin_postgres_4_connection_builder_drop(struct host *h, builder_t *self)
{
    if (!host_release(h, &self->node, "connection-builder"))
        return;
    host_text_give(h, self->address);
    host_node_free(h, &self->node);
}
