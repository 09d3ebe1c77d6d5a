/* When a trigger of type cron fires. An expression has six fields, or seven with the year, as the trigger of Spin has
 * them:
 *
 *     second 0-59   minute 0-59   hour 0-23   day 1-31   month 1-12, JAN-DEC   weekday 0-7, SUN-SAT   year 1970-2199
 *
 * A field is a list with commas of: * or ?, N, N-M, and all of these with /STEP, where N/STEP goes on to the field's
 * end. Days may be L (the month's last) and NW (the weekday nearest to N); weekdays N#K (the K-th of the month), N#L
 * and NL (its last). @yearly, @monthly, @weekly, @daily and @hourly stand for whole expressions. Day and weekday must
 * both be right. Times are UTC, in seconds since 1970, without leap seconds. */
#ifndef MAYFLY_APP_CRON_H
#define MAYFLY_APP_CRON_H

#include "base/err.h"
#include "base/str.h"

#define CRON_TEXT_MAX 1024u /* bytes of an expression */
#define CRON_NEVER INT64_MAX

enum cron_field {
    CRON_SECOND,
    CRON_MINUTE,
    CRON_HOUR,
    CRON_DAY,
    CRON_MONTH,
    CRON_WEEKDAY,
    CRON_YEAR,
    CRON_FIELD_COUNT
};

struct cron {
    uint64_t sets[CRON_FIELD_COUNT][4]; /* bit N: the field's lowest value and N more */
    uint32_t nearest; /* bit N: the weekday nearest to day N */
    uint8_t nth[6];   /* weekdays: their first to fifth in the month; [0]: their last */
    bool last_day;
};

/* ERR_INVALID or ERR_LIMIT: it is none, and what is expected. */
bool cron_parse(struct str text, struct cron *ret, struct err *err);
/* The first time that is later than `after`, or CRON_NEVER. */
int64_t cron_next(const struct cron *cron, int64_t after);

#endif
