/* What the versions of PostgreSQL's interface share: parameters as the server reads them, and the rows of the tables by
 * which the generated types of each version are made. Only their files include it. */
#ifndef MAYFLY_WASI_POSTGRES_ROWS_H
#define MAYFLY_WASI_POSTGRES_ROWS_H

#include "wasi/postgres.h"
#include "wasi/query.h"

/* ---- parameters: false is a trap or, with the outcome a fault, one that cannot be ---- */

static inline bool postgres_take(struct storage_value *ret, struct storage_value value)
{
    *ret = value;
    return true;
}

static inline bool postgres_take_bool(struct storage_value *ret, bool value)
{
    return postgres_take(ret, storage_text(value ? STR("t") : STR("f")));
}

static inline bool postgres_take_real(struct host *h, struct storage_value *ret, double real, int digits)
{
    return query_text(h, ret, "%.*g", digits, real);
}

bool postgres_take_date(struct host *h, struct storage_value *ret, struct postgres_date date,
                        struct query_outcome *outcome);
bool postgres_take_time(struct host *h, struct storage_value *ret, struct postgres_time time,
                        struct query_outcome *outcome);
/* `zone`: behind it, or "". */
bool postgres_take_datetime(struct host *h, struct storage_value *ret, struct postgres_date date,
                            struct postgres_time time, const char *zone, struct query_outcome *outcome);
bool postgres_take_unix(struct host *h, struct storage_value *ret, int64_t seconds, struct query_outcome *outcome);

/* Cases that all versions have; `NAME`: of the interface in C. */
#define POSTGRES_TAKE_COMMON(NAME)                                                                                     \
    case NAME##_PARAMETER_VALUE_BOOLEAN: return postgres_take_bool(ret, value->boolean);                               \
    case NAME##_PARAMETER_VALUE_INT8: return query_text(h, ret, "%d", value->int8);                                    \
    case NAME##_PARAMETER_VALUE_INT16: return query_text(h, ret, "%d", value->int16);                                  \
    case NAME##_PARAMETER_VALUE_INT32: return query_text(h, ret, "%d", value->int32);                                  \
    case NAME##_PARAMETER_VALUE_INT64: return query_text(h, ret, "%lld", (long long)value->int64);                     \
    case NAME##_PARAMETER_VALUE_FLOATING32: return postgres_take_real(h, ret, value->floating32, 9);                   \
    case NAME##_PARAMETER_VALUE_FLOATING64: return postgres_take_real(h, ret, value->floating64, 17);                  \
    case NAME##_PARAMETER_VALUE_STR: return postgres_take(ret, storage_text(value->str));                              \
    case NAME##_PARAMETER_VALUE_BINARY: return postgres_take(ret, storage_bytes(value->binary));                       \
    case NAME##_PARAMETER_VALUE_DB_NULL: return postgres_take(ret, storage_null());

/* ---- values: what cannot be read is not supported ---- */

/* A type of the server, in all versions. */
#define POSTGRES_GIVE_INTEGER(type, size, NAME, TAG, field)                                                            \
    case type:                                                                                                         \
        if (postgres_integer(cell->bytes, (size), &number)) {                                                          \
            ret.tag = NAME##_DB_VALUE_##TAG;                                                                           \
            ret.field = (__typeof__(ret.field))number;                                                                 \
        }                                                                                                              \
        break;

#define POSTGRES_GIVE_COMMON(NAME)                                                                                     \
    case POSTGRES_BOOL:                                                                                                \
        if (cell->bytes.len == 1) {                                                                                    \
            ret.tag = NAME##_DB_VALUE_BOOLEAN;                                                                         \
            ret.boolean = cell->bytes.ptr[0] != 0;                                                                     \
        }                                                                                                              \
        break;                                                                                                         \
        POSTGRES_GIVE_INTEGER(POSTGRES_INT2, 2, NAME, INT16, int16)                                                    \
        POSTGRES_GIVE_INTEGER(POSTGRES_INT4, 4, NAME, INT32, int32)                                                    \
        POSTGRES_GIVE_INTEGER(POSTGRES_INT8, 8, NAME, INT64, int64)                                                    \
    case POSTGRES_FLOAT4:                                                                                              \
        if (postgres_float(cell->bytes, &ret.floating32))                                                              \
            ret.tag = NAME##_DB_VALUE_FLOATING32;                                                                      \
        break;                                                                                                         \
    case POSTGRES_FLOAT8:                                                                                              \
        if (postgres_double(cell->bytes, &ret.floating64))                                                             \
            ret.tag = NAME##_DB_VALUE_FLOATING64;                                                                      \
        break;                                                                                                         \
    case POSTGRES_TEXT:                                                                                                \
    case POSTGRES_VARCHAR:                                                                                             \
    case POSTGRES_BPCHAR:                                                                                              \
        if (utf8_valid(cell->bytes.ptr, cell->bytes.len)) {                                                            \
            ret.tag = NAME##_DB_VALUE_STR;                                                                             \
            ret.str = cell->bytes;                                                                                     \
        }                                                                                                              \
        break;                                                                                                         \
    case POSTGRES_BYTEA:                                                                                               \
        ret.tag = NAME##_DB_VALUE_BINARY;                                                                              \
        ret.binary = storage_list(cell);                                                                               \
        break;

/* ---- types of columns; `make`: a macro, of a case a type ---- */

#define POSTGRES_TYPE_COMMON(make, NAME)                                                                               \
    case POSTGRES_BOOL: return make(NAME##_DB_DATA_TYPE_BOOLEAN);                                                      \
    case POSTGRES_INT2: return make(NAME##_DB_DATA_TYPE_INT16);                                                        \
    case POSTGRES_INT4: return make(NAME##_DB_DATA_TYPE_INT32);                                                        \
    case POSTGRES_INT8: return make(NAME##_DB_DATA_TYPE_INT64);                                                        \
    case POSTGRES_FLOAT4: return make(NAME##_DB_DATA_TYPE_FLOATING32);                                                 \
    case POSTGRES_FLOAT8: return make(NAME##_DB_DATA_TYPE_FLOATING64);                                                 \
    case POSTGRES_TEXT:                                                                                                \
    case POSTGRES_VARCHAR:                                                                                             \
    case POSTGRES_BPCHAR: return make(NAME##_DB_DATA_TYPE_STR);                                                        \
    case POSTGRES_BYTEA: return make(NAME##_DB_DATA_TYPE_BINARY);

#endif
