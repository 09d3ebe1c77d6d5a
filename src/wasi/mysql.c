/* fermyon:spin/mysql, with connections that are resources (2.0.0) and with addresses instead (no version). The
 * generator makes types of each; what they have in common is written once. */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/query_tables.h"

_Static_assert((int)STORAGE_COLUMN_OTHER == FERMYON_SPIN_RDBMS_TYPES_DB_DATA_TYPE_OTHER &&
                   (int)STORAGE_COLUMN_OTHER == FERMYON_SPIN_2_RDBMS_TYPES_DB_DATA_TYPE_OTHER &&
                   (int)STORAGE_COLUMN_STR == FERMYON_SPIN_RDBMS_TYPES_DB_DATA_TYPE_STR &&
                   (int)STORAGE_COLUMN_STR == (int)FERMYON_SPIN_2_RDBMS_TYPES_DB_VALUE_STR,
               "types of columns have the numbers of the interface");

/* A number that no signed one of 64 bits is goes as its digits. False: trap. */
static bool take_unsigned(struct host *h, struct storage_value *ret, uint64_t number)
{
    *ret = storage_integer((int64_t)number);
    return number <= INT64_MAX || query_text(h, ret, "%llu", (unsigned long long)number);
}

static struct storage_value real_of(double real)
{
    return (struct storage_value){.type = STORAGE_REAL, .real = real};
}

static int64_t column_type(int64_t type)
{
    return type >= 0 && type <= STORAGE_COLUMN_OTHER ? type : STORAGE_COLUMN_OTHER;
}

#define GIVE_INTEGER(NAME, TAG, field)                                                                                 \
    case STORAGE_COLUMN_##TAG:                                                                                         \
        if (cell->type == STORAGE_INTEGER) {                                                                           \
            ret.tag = NAME##_DB_VALUE_##TAG;                                                                           \
            ret.field = (__typeof__(ret.field))cell->integer;                                                          \
        }                                                                                                              \
        break;

/* Values of one version from and to values of the storage, and rows. `name`, `NAME`: of the types in C. */
#define VERSION(name, NAME)                                                                                            \
    static bool name##_take(struct host *h, const struct name##_parameter_value *value, struct storage_value *ret,     \
                            struct query_outcome *outcome)                                                             \
    {                                                                                                                  \
        switch (value->tag) {                                                                                          \
        case NAME##_PARAMETER_VALUE_BOOLEAN: *ret = storage_integer(value->boolean); break;                            \
        case NAME##_PARAMETER_VALUE_INT8: *ret = storage_integer(value->int8); break;                                  \
        case NAME##_PARAMETER_VALUE_INT16: *ret = storage_integer(value->int16); break;                                \
        case NAME##_PARAMETER_VALUE_INT32: *ret = storage_integer(value->int32); break;                                \
        case NAME##_PARAMETER_VALUE_INT64: *ret = storage_integer(value->int64); break;                                \
        case NAME##_PARAMETER_VALUE_UINT8: *ret = storage_integer(value->uint8); break;                                \
        case NAME##_PARAMETER_VALUE_UINT16: *ret = storage_integer(value->uint16); break;                              \
        case NAME##_PARAMETER_VALUE_UINT32: *ret = storage_integer(value->uint32); break;                              \
        case NAME##_PARAMETER_VALUE_UINT64: return take_unsigned(h, ret, value->uint64);                               \
        case NAME##_PARAMETER_VALUE_FLOATING32: *ret = real_of(value->floating32); break;                              \
        case NAME##_PARAMETER_VALUE_FLOATING64: *ret = real_of(value->floating64); break;                              \
        case NAME##_PARAMETER_VALUE_STR: *ret = storage_text(value->str); break;                                       \
        case NAME##_PARAMETER_VALUE_BINARY: *ret = storage_bytes(value->binary); break;                                \
        default: *ret = storage_null(); break;                                                                         \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    static struct name##_db_value name##_give(const struct storage_value *cell, int64_t type)                          \
    {                                                                                                                  \
        struct name##_db_value ret = {.tag = NAME##_DB_VALUE_UNSUPPORTED};                                             \
        if (cell->type == STORAGE_NULL)                                                                                \
            return (struct name##_db_value){.tag = NAME##_DB_VALUE_DB_NULL};                                           \
        switch (type) {                                                                                                \
            GIVE_INTEGER(NAME, INT8, int8)                                                                             \
            GIVE_INTEGER(NAME, INT16, int16)                                                                           \
            GIVE_INTEGER(NAME, INT32, int32)                                                                           \
            GIVE_INTEGER(NAME, INT64, int64)                                                                           \
            GIVE_INTEGER(NAME, UINT8, uint8)                                                                           \
            GIVE_INTEGER(NAME, UINT16, uint16)                                                                         \
            GIVE_INTEGER(NAME, UINT32, uint32)                                                                         \
            GIVE_INTEGER(NAME, UINT64, uint64)                                                                         \
        case STORAGE_COLUMN_FLOATING32:                                                                                \
            if (cell->type == STORAGE_REAL) {                                                                          \
                ret.tag = NAME##_DB_VALUE_FLOATING32;                                                                  \
                ret.floating32 = (float)cell->real;                                                                    \
            }                                                                                                          \
            break;                                                                                                     \
        case STORAGE_COLUMN_FLOATING64:                                                                                \
            if (cell->type == STORAGE_REAL) {                                                                          \
                ret.tag = NAME##_DB_VALUE_FLOATING64;                                                                  \
                ret.floating64 = cell->real;                                                                           \
            }                                                                                                          \
            break;                                                                                                     \
        case STORAGE_COLUMN_STR:                                                                                       \
            if (cell->type == STORAGE_BLOB && utf8_valid(cell->bytes.ptr, cell->bytes.len)) {                          \
                ret.tag = NAME##_DB_VALUE_STR;                                                                         \
                ret.str = cell->bytes;                                                                                 \
            }                                                                                                          \
            break;                                                                                                     \
        case STORAGE_COLUMN_BINARY:                                                                                    \
            if (cell->type == STORAGE_BLOB) {                                                                          \
                ret.tag = NAME##_DB_VALUE_BINARY;                                                                      \
                ret.binary = storage_list(cell);                                                                       \
            }                                                                                                          \
            break;                                                                                                     \
        default: break;                                                                                                \
        }                                                                                                              \
        return ret;                                                                                                    \
    }                                                                                                                  \
    static enum name##_db_data_type name##_type(int64_t type)                                                          \
    {                                                                                                                  \
        return (enum name##_db_data_type)column_type(type);                                                            \
    }                                                                                                                  \
    QUERY_TABLES(name)

VERSION(fermyon_spin_rdbms_types, FERMYON_SPIN_RDBMS_TYPES)
VERSION(fermyon_spin_2_rdbms_types, FERMYON_SPIN_2_RDBMS_TYPES)
#undef VERSION
#undef GIVE_INTEGER

_Static_assert(FERMYON_SPIN_2_RDBMS_TYPES_ERROR_VALUE_CONVERSION_FAILED == QUERY_NOT_CONVERTED - QUERY_NOT_CONNECTED &&
                   FERMYON_SPIN_MYSQL_MYSQL_ERROR_QUERY_FAILED == (int)QUERY_FAILED,
               "faults are in the order of the errors");

QUERY_CONNECTIONS(fermyon_spin_2_mysql, fermyon_spin_2_rdbms_types, fermyon_spin_2_mysql_connection, STORAGE_MYSQL,
                  void, QUERY_GIVES_NOTHING)
QUERY_ADDRESSES(fermyon_spin_mysql, fermyon_spin_rdbms_types, fermyon_spin_mysql_mysql_error, STORAGE_MYSQL, void,
                QUERY_GIVES_NOTHING)
