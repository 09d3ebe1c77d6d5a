/* Values of PostgreSQL in the binary forms in which the server sends them, and the numbers of their types. */
#ifndef MAYFLY_WASI_POSTGRES_H
#define MAYFLY_WASI_POSTGRES_H

#include "base/str.h"

enum postgres_type {
    POSTGRES_BOOL = 16,
    POSTGRES_BYTEA = 17,
    POSTGRES_INT8 = 20,
    POSTGRES_INT2 = 21,
    POSTGRES_INT4 = 23,
    POSTGRES_TEXT = 25,
    POSTGRES_FLOAT4 = 700,
    POSTGRES_FLOAT8 = 701,
    POSTGRES_BPCHAR = 1042,
    POSTGRES_VARCHAR = 1043,
    POSTGRES_DATE = 1082,
    POSTGRES_TIME = 1083,
    POSTGRES_TIMESTAMP = 1114,
    POSTGRES_TIMESTAMPTZ = 1184,
    POSTGRES_TEXT_ARRAY = 1009,
    POSTGRES_INT4_ARRAY = 1007,
    POSTGRES_BPCHAR_ARRAY = 1014,
    POSTGRES_VARCHAR_ARRAY = 1015,
    POSTGRES_INT8_ARRAY = 1016,
    POSTGRES_INTERVAL = 1186,
    POSTGRES_NUMERIC_ARRAY = 1231,
    POSTGRES_NUMERIC = 1700,
    POSTGRES_UUID = 2950,
    POSTGRES_JSONB = 3802,
    POSTGRES_INT4_RANGE = 3904,
    POSTGRES_NUM_RANGE = 3906,
    POSTGRES_INT8_RANGE = 3926,
};

struct postgres_bound {
    bool there, inclusive;
    struct str bytes;
};

/* Elements of an array, one after the other. */
struct postgres_array {
    uint32_t count; /* that are still to come */
    struct str rest;
};

struct postgres_date {
    int32_t year;
    uint8_t month, day;
};

struct postgres_time {
    uint8_t hour, minute, second;
    uint32_t nanosecond;
};

/* The number that `bytes`, 2, 4 or 8 of them, are. False: another size. */
bool postgres_integer(struct str bytes, size_t size, int64_t *ret);
bool postgres_float(struct str bytes, float *ret);
bool postgres_double(struct str bytes, double *ret);
/* False: not of that form, or before or after all days: infinity. */
bool postgres_date(struct str bytes, struct postgres_date *ret);
bool postgres_time(struct str bytes, struct postgres_time *ret);
bool postgres_datetime(struct str bytes, struct postgres_date *ret_date, struct postgres_time *ret_time);
#define POSTGRES_NUMERIC_MAX 16384u /* bytes of its text */
/* The decimal text of a number. False: it is malformed, or larger than `size`. */
bool postgres_numeric(struct str bytes, char *room, size_t size, size_t *ret_size);
bool postgres_interval(struct str bytes, int64_t *ret_us, int32_t *ret_days, int32_t *ret_months);
/* An empty range has no bounds. */
bool postgres_range(struct str bytes, struct postgres_bound *ret_lower, struct postgres_bound *ret_upper);
/* False: malformed, or of several dimensions. */
bool postgres_array(struct str bytes, struct postgres_array *ret);
/* ptr NULL: a null. False: malformed. */
bool postgres_element(struct postgres_array *array, struct str *ret);
/* The name of a type, or NULL. */
const char *postgres_type_name(int64_t type);
/* Seconds since 1970. False: beyond all days. */
bool postgres_unix(int64_t seconds, struct postgres_date *ret_date, struct postgres_time *ret_time);
/* There is such a day, such a time. */
bool postgres_is_date(struct postgres_date date);
bool postgres_is_time(struct postgres_time time);

#endif
