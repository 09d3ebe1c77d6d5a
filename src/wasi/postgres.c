/* fermyon:spin/postgres, with connections that are resources (2.0.0) and with addresses instead (no version), and
 * spin:postgres (3), which has dates and times beside. The generator makes types of each; what they have in common is
 * written once. */
#include "wasi/postgres_rows.h"

#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/gen/spin_postgres.h"
#include "wasi/query_tables.h"

static const char no_unsigned[] = "PostgreSQL has no unsigned integers";

/* ---- parameters: false is a trap or, with the outcome a fault, one that cannot be ---- */

static bool cannot(struct query_outcome *outcome, enum query_fault fault, const char *message)
{
    query_fail(outcome, fault, message);
    return false;
}

#define TAKE_OLD(name, NAME)                                                                                           \
    static bool name##_take(struct host *h, const struct name##_parameter_value *value, struct storage_value *ret,     \
                            struct query_outcome *outcome)                                                             \
    {                                                                                                                  \
        switch (value->tag) {                                                                                          \
            POSTGRES_TAKE_COMMON(NAME)                                                                                 \
        default: return cannot(outcome, QUERY_NOT_CONVERTED, no_unsigned);                                             \
        }                                                                                                              \
    }

TAKE_OLD(fermyon_spin_rdbms_types, FERMYON_SPIN_RDBMS_TYPES)
TAKE_OLD(fermyon_spin_2_rdbms_types, FERMYON_SPIN_2_RDBMS_TYPES)
#undef TAKE_OLD

static bool spin_postgres_postgres_take(struct host *h, const struct spin_postgres_postgres_parameter_value *value,
                                        struct storage_value *ret, struct query_outcome *outcome)
{
    switch (value->tag) {
        POSTGRES_TAKE_COMMON(SPIN_POSTGRES_POSTGRES)
    case SPIN_POSTGRES_POSTGRES_PARAMETER_VALUE_DATE:
        return postgres_take_date(h, ret, (struct postgres_date){value->date.f0, value->date.f1, value->date.f2},
                                  outcome);
    case SPIN_POSTGRES_POSTGRES_PARAMETER_VALUE_TIME:
        return postgres_take_time(
            h, ret, (struct postgres_time){value->time.f0, value->time.f1, value->time.f2, value->time.f3}, outcome);
    case SPIN_POSTGRES_POSTGRES_PARAMETER_VALUE_DATETIME:
        return postgres_take_datetime(
            h, ret, (struct postgres_date){value->datetime.f0, value->datetime.f1, value->datetime.f2},
            (struct postgres_time){value->datetime.f3, value->datetime.f4, value->datetime.f5, value->datetime.f6}, "",
            outcome);
    case SPIN_POSTGRES_POSTGRES_PARAMETER_VALUE_TIMESTAMP: return postgres_take_unix(h, ret, value->timestamp, outcome);
    }
    return cannot(outcome, QUERY_NOT_CONVERTED, "a parameter of a type that is not known");
}

/* ---- values: what cannot be read is not supported ---- */

#define GIVE(name, NAME, more)                                                                                         \
    static struct name##_db_value name##_give(const struct storage_value *cell, int64_t type)                          \
    {                                                                                                                  \
        struct name##_db_value ret = {.tag = NAME##_DB_VALUE_UNSUPPORTED};                                             \
        int64_t number;                                                                                                \
        if (cell->type != STORAGE_BLOB)                                                                                \
            return (struct name##_db_value){.tag = NAME##_DB_VALUE_DB_NULL};                                           \
        switch (type) {                                                                                                \
            POSTGRES_GIVE_COMMON(NAME)                                                                                 \
            more default : break;                                                                                      \
        }                                                                                                              \
        return ret;                                                                                                    \
    }

/* Dates and times, in spin:postgres. */
static void give_date(const struct storage_value *cell, struct spin_postgres_postgres_db_value *ret)
{
    struct postgres_date date;
    if (!postgres_date(cell->bytes, &date))
        return;
    ret->tag = SPIN_POSTGRES_POSTGRES_DB_VALUE_DATE;
    ret->date.f0 = date.year;
    ret->date.f1 = date.month;
    ret->date.f2 = date.day;
}

static void give_time(const struct storage_value *cell, struct spin_postgres_postgres_db_value *ret)
{
    struct postgres_time time;
    if (!postgres_time(cell->bytes, &time))
        return;
    ret->tag = SPIN_POSTGRES_POSTGRES_DB_VALUE_TIME;
    ret->time.f0 = time.hour;
    ret->time.f1 = time.minute;
    ret->time.f2 = time.second;
    ret->time.f3 = time.nanosecond;
}

static void give_datetime(const struct storage_value *cell, struct spin_postgres_postgres_db_value *ret)
{
    struct postgres_date date;
    struct postgres_time time;
    if (!postgres_datetime(cell->bytes, &date, &time))
        return;
    ret->tag = SPIN_POSTGRES_POSTGRES_DB_VALUE_DATETIME;
    ret->datetime.f0 = date.year;
    ret->datetime.f1 = date.month;
    ret->datetime.f2 = date.day;
    ret->datetime.f3 = time.hour;
    ret->datetime.f4 = time.minute;
    ret->datetime.f5 = time.second;
    ret->datetime.f6 = time.nanosecond;
}

#define GIVE_TIMES                                                                                                     \
    case POSTGRES_DATE: give_date(cell, &ret); break;                                                                  \
    case POSTGRES_TIME: give_time(cell, &ret); break;                                                                  \
    case POSTGRES_TIMESTAMP:                                                                                           \
    case POSTGRES_TIMESTAMPTZ: give_datetime(cell, &ret); break;

GIVE(fermyon_spin_rdbms_types, FERMYON_SPIN_RDBMS_TYPES, )
GIVE(fermyon_spin_2_rdbms_types, FERMYON_SPIN_2_RDBMS_TYPES, )
GIVE(spin_postgres_postgres, SPIN_POSTGRES_POSTGRES, GIVE_TIMES)
#undef GIVE

/* ---- what is the same but for the names ---- */

#define PLAIN(type) (type)
#define VERSION(name, NAME, more)                                                                                      \
    static enum name##_db_data_type name##_type(int64_t type)                                                          \
    {                                                                                                                  \
        switch (type) {                                                                                                \
            POSTGRES_TYPE_COMMON(PLAIN, NAME)                                                                          \
            more default : return NAME##_DB_DATA_TYPE_OTHER;                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    QUERY_TABLES(name)

#define TYPE_TIMES                                                                                                     \
    case POSTGRES_DATE: return SPIN_POSTGRES_POSTGRES_DB_DATA_TYPE_DATE;                                               \
    case POSTGRES_TIME: return SPIN_POSTGRES_POSTGRES_DB_DATA_TYPE_TIME;                                               \
    case POSTGRES_TIMESTAMP:                                                                                           \
    case POSTGRES_TIMESTAMPTZ: return SPIN_POSTGRES_POSTGRES_DB_DATA_TYPE_DATETIME;

VERSION(fermyon_spin_rdbms_types, FERMYON_SPIN_RDBMS_TYPES, )
VERSION(fermyon_spin_2_rdbms_types, FERMYON_SPIN_2_RDBMS_TYPES, )
VERSION(spin_postgres_postgres, SPIN_POSTGRES_POSTGRES, TYPE_TIMES)
#undef VERSION

_Static_assert(FERMYON_SPIN_2_RDBMS_TYPES_ERROR_VALUE_CONVERSION_FAILED == QUERY_NOT_CONVERTED - QUERY_NOT_CONNECTED &&
                   SPIN_POSTGRES_POSTGRES_ERROR_QUERY_FAILED == QUERY_FAILED - QUERY_NOT_CONNECTED &&
                   FERMYON_SPIN_2_RDBMS_TYPES_ERROR_OTHER == QUERY_OTHER - QUERY_NOT_CONNECTED &&
                   FERMYON_SPIN_POSTGRES_PG_ERROR_QUERY_FAILED == (int)QUERY_FAILED,
               "faults are in the order of the errors");

QUERY_CONNECTIONS(fermyon_spin_2_postgres, fermyon_spin_2_rdbms_types, fermyon_spin_2_postgres_connection,
                  STORAGE_POSTGRES, u64, QUERY_GIVES_CHANGES)
QUERY_CONNECTIONS(spin_postgres_postgres, spin_postgres_postgres, spin_postgres_connection, STORAGE_POSTGRES, u64,
                  QUERY_GIVES_CHANGES)
QUERY_ADDRESSES(fermyon_spin_postgres, fermyon_spin_rdbms_types, fermyon_spin_postgres_pg_error, STORAGE_POSTGRES, u64,
                QUERY_GIVES_CHANGES)
