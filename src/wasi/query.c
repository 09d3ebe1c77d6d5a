/* See query.h. */
#include "wasi/query.h"

#include <stdarg.h>
#include <stdio.h>

void query_fail(struct query_outcome *outcome, enum query_fault fault, const char *message)
{
    *outcome = (struct query_outcome){.fault = fault, .message = str_of(message)};
}

struct storage_value *query_room(struct host *h, size_t parameters)
{
    struct storage_value *values = ARENA_ARRAY(&h->scratch, struct storage_value, parameters + 2);
    if (!values)
        host_no_memory(h);
    return values;
}

bool query_text(struct host *h, struct storage_value *ret, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t length = size < 0 ? 0 : (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    char *copy = arena_copy(&h->scratch, text, length);
    if (!copy)
        return host_no_memory(h);
    *ret = storage_text((struct str){copy, length});
    return true;
}

/* ---- answers: whoever sends them may be anybody by now ---- */

static bool read_error(const struct storage_value *values, size_t count, struct query_outcome *ret)
{
    if (count < 4 || count % 2 != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (values[i].type != STORAGE_TEXT && !(i == 3 && values[i].type == STORAGE_NULL))
            return false;
    *ret = (struct query_outcome){
        .fault = QUERY_FAILED, .message = values[2].bytes, .error = values, .error_count = count};
    return true;
}

static bool read_rows(const struct storage_value *values, size_t count, struct query_outcome *ret)
{
    if (count < 2 || values[0].type != STORAGE_INTEGER || values[count - 1].type != STORAGE_INTEGER ||
        values[0].integer < 0 || (uint64_t)values[0].integer > (count - 2) / 2)
        return false;
    size_t columns = (size_t)values[0].integer, cells = count - 2 - 2 * columns;
    if (columns ? cells % columns != 0 : cells != 0)
        return false;
    for (size_t i = 0; i < columns; i++)
        if (values[1 + 2 * i].type != STORAGE_TEXT || values[2 + 2 * i].type != STORAGE_INTEGER)
            return false;
    *ret = (struct query_outcome){.columns = values + 1,
                                  .cells = values + 1 + 2 * columns,
                                  .column_count = columns,
                                  .row_count = columns ? cells / columns : 0,
                                  .changes = (uint64_t)values[count - 1].integer};
    return true;
}

static bool read_answer(const struct storage_answer *answer, struct query_outcome *ret)
{
    if (answer->count == 0 || answer->values[0].type != STORAGE_INTEGER)
        return false;
    return answer->values[0].integer == STORAGE_QUERY_ERROR ? read_error(answer->values + 1, answer->count - 1, ret)
                                                            : read_rows(answer->values + 1, answer->count - 1, ret);
}

static enum query_fault fault_of(const struct storage_answer *answer)
{
    if (str_starts(answer->message, STR(STORAGE_EXCEEDS)))
        return QUERY_OTHER;
    return answer->status == STORAGE_INVALID ? QUERY_NOT_CONNECTED : QUERY_FAILED;
}

bool query_run(struct host *h, const struct service_session *session, struct str statement,
               struct storage_value *values, size_t count, struct query_outcome *ret)
{
    struct storage_answer answer;
    values[1] = storage_text(statement);
    if (!service_ask(h, session, STORAGE_QUERY, values, count, &answer))
        return false;
    if (answer.status != STORAGE_DONE)
        *ret = (struct query_outcome){.fault = fault_of(&answer), .message = answer.message};
    else if (!read_answer(&answer, ret))
        query_fail(ret, QUERY_FAILED, "the answer makes no sense");
    return true;
}
