/* See postgres_rows.h. */
#include "wasi/postgres_rows.h"

static bool no_day(struct query_outcome *outcome)
{
    query_fail(outcome, QUERY_BAD_PARAMETER, "a date or time that does not exist");
    return false;
}

bool postgres_take_date(struct host *h, struct storage_value *ret, struct postgres_date date,
                        struct query_outcome *outcome)
{
    return postgres_is_date(date) ? query_text(h, ret, "%04d-%02u-%02u", date.year, date.month, date.day)
                                  : no_day(outcome);
}

bool postgres_take_time(struct host *h, struct storage_value *ret, struct postgres_time time,
                        struct query_outcome *outcome)
{
    return postgres_is_time(time)
               ? query_text(h, ret, "%02u:%02u:%02u.%09u", time.hour, time.minute, time.second, time.nanosecond)
               : no_day(outcome);
}

bool postgres_take_datetime(struct host *h, struct storage_value *ret, struct postgres_date date,
                            struct postgres_time time, const char *zone, struct query_outcome *outcome)
{
    if (!postgres_is_date(date) || !postgres_is_time(time))
        return no_day(outcome);
    return query_text(h, ret, "%04d-%02u-%02u %02u:%02u:%02u.%09u%s", date.year, date.month, date.day, time.hour,
                      time.minute, time.second, time.nanosecond, zone);
}

bool postgres_take_unix(struct host *h, struct storage_value *ret, int64_t seconds, struct query_outcome *outcome)
{
    struct postgres_date date;
    struct postgres_time time;
    return postgres_unix(seconds, &date, &time) ? postgres_take_datetime(h, ret, date, time, "+00", outcome)
                                                : no_day(outcome);
}
