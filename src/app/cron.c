/* See cron.h. Reading fills sets, one for each field; the next time is searched from the year down, so that what does
 * not come is found out in as many steps as there are days. */
#include "app/cron.h"

#include <stdio.h>
#include <string.h>

#define DAY_SECONDS 86400
#define YEAR_FIRST 1970u
#define YEAR_LAST 2199u
#define STEP_MAX 9999u
#define WEEKDAY_OF_1970 4u /* the first of January was a Thursday */

struct names {
    const char *const *texts;
    uint32_t count, first; /* what the first of them means */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field {
    const char *name;
    uint32_t low, high;
    struct names names;
    const char *expected;
} fields[CRON_FIELD_COUNT] = {
    [CRON_SECOND] = {"second", 0, 59, {0}, "a second is 0 to 59"},
    [CRON_MINUTE] = {"minute", 0, 59, {0}, "a minute is 0 to 59"},
    [CRON_HOUR] = {"hour", 0, 23, {0}, "an hour is 0 to 23"},
    [CRON_DAY] =
        {"day", 1, 31, {0}, "a day is 1 to 31, L for the last one, or 15W for the weekday nearest to the 15th"},
    [CRON_MONTH] = {"month", 1, 12, {months, 12, 1}, "a month is 1 to 12, or JAN to DEC"},
    [CRON_WEEKDAY] = {"weekday",
                      0,
                      7,
                      {weekdays, 7, 0},
                      "a weekday is 0 to 7 (Sunday is both), or SUN to SAT; FRI#2 is the second one of the month, FRIL "
                      "the last"},
    [CRON_YEAR] = {"year", YEAR_FIRST, YEAR_LAST, {0}, "a year is 1970 to 2199"},
};

static const struct {
    const char *name, *text;
} nicknames[] = {
    {"@yearly", "0 0 0 1 1 *"}, {"@annually", "0 0 0 1 1 *"}, {"@monthly", "0 0 0 1 * *"},
    {"@weekly", "0 0 0 * * 0"}, {"@daily", "0 0 0 * * *"},    {"@hourly", "0 0 * * * *"},
};

/* ---- sets ---- */

static bool has(const struct cron *cron, enum cron_field field, uint32_t value)
{
    uint32_t bit = value - fields[field].low;
    return cron->sets[field][bit / 64] >> (bit % 64) & 1;
}

static void put(struct cron *cron, enum cron_field field, uint32_t value)
{
    uint32_t bit = value - fields[field].low;
    cron->sets[field][bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* ---- reading ---- */

struct parser {
    struct cron *cron;
    enum cron_field field;
    struct err *err;
};

static bool wrong(const struct parser *p, struct str part)
{
    const struct field *field = &fields[p->field];
    err_set(p->err, ERR_INVALID, "\"%.*s\" is no %s", (int)(part.len < 40 ? part.len : 40), part.ptr, field->name);
    return err_remedy(p->err, "%s; also lists (1,2), ranges (1-5), * and steps (*/2, 1-9/2)", field->expected);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(struct str text, const char *name)
{
    for (size_t i = 0; i < text.len; i++)
        if (!name[i] || lower(text.ptr[i]) != name[i])
            return false;
    return name[text.len] == '\0';
}

static bool take_number(struct str text, uint32_t *ret_number)
{
    return str_number(text, 4, ret_number);
}

/* One value of the field, by its number or name. */
static bool take_value(const struct parser *p, struct str text, uint32_t *ret_value)
{
    const struct field *field = &fields[p->field];
    for (uint32_t i = 0; i < field->names.count; i++)
        if (same(text, field->names.texts[i])) {
            *ret_value = field->names.first + i;
            return true;
        }
    return take_number(text, ret_value) && *ret_value >= field->low && *ret_value <= field->high;
}

/* "*", "N" or "N-M"; N alone goes on to the end where there is a step. */
static bool take_range(const struct parser *p, struct str text, bool stepped, uint32_t *ret_low, uint32_t *ret_high)
{
    const struct field *field = &fields[p->field];
    size_t dash = str_find(text, '-');
    if (same(text, "*") || same(text, "?")) {
        *ret_low = field->low;
        *ret_high = field->high;
        return true;
    }
    if (!take_value(p, str_slice(text, 0, dash), ret_low))
        return false;
    *ret_high = stepped ? field->high : *ret_low;
    if (dash == text.len)
        return true;
    if (!take_value(p, str_slice(text, dash + 1, text.len), ret_high))
        return false;
    if (p->field == CRON_WEEKDAY && *ret_high == 0) /* up to Sunday */
        *ret_high = 7;
    return *ret_low <= *ret_high;
}

static bool take_steps(const struct parser *p, struct str part)
{
    uint32_t low, high, step = 1;
    size_t slash = str_find(part, '/');
    bool stepped = slash < part.len;
    if (stepped && (!take_number(str_slice(part, slash + 1, part.len), &step) || step == 0 || step > STEP_MAX))
        return wrong(p, part);
    if (!take_range(p, str_slice(part, 0, slash), stepped, &low, &high))
        return wrong(p, part);
    for (uint32_t value = low; value <= high; value += step)
        put(p->cron, p->field, value);
    return true;
}

/* "L" or "15W" */
static bool take_day(const struct parser *p, struct str part)
{
    uint32_t day;
    if (same(part, "l")) {
        p->cron->last_day = true;
        return true;
    }
    if (lower(part.ptr[part.len - 1]) != 'w' || !take_value(p, str_slice(part, 0, part.len - 1), &day))
        return wrong(p, part);
    p->cron->nearest |= UINT32_C(1) << day;
    return true;
}

/* "FRI#2", "FRI#L" or "FRIL" */
static bool take_weekday(const struct parser *p, struct str part)
{
    size_t hash = str_find(part, '#'), end = hash < part.len ? hash : part.len - 1;
    struct str which = hash < part.len ? str_slice(part, hash + 1, part.len) : STR("l");
    uint32_t weekday, nth = 0;
    bool last = same(which, "l");
    if (!take_value(p, str_slice(part, 0, end), &weekday) || (!last && !take_number(which, &nth)) || nth > 5 ||
        (!last && nth == 0))
        return wrong(p, part);
    p->cron->nth[nth] |= (uint8_t)(1u << weekday % 7);
    return true;
}

static bool take_part(const struct parser *p, struct str part)
{
    char end = part.len ? lower(part.ptr[part.len - 1]) : '\0';
    if (p->field == CRON_DAY && (end == 'l' || end == 'w'))
        return take_day(p, part);
    if (p->field == CRON_WEEKDAY && part.len > 1 && (end == 'l' || str_find(part, '#') < part.len))
        return take_weekday(p, part);
    return take_steps(p, part);
}

static bool take_field(const struct parser *p, struct str text)
{
    for (size_t comma; (comma = str_find(text, ',')) < text.len; text = str_slice(text, comma + 1, text.len))
        if (!take_part(p, str_slice(text, 0, comma)))
            return false;
    return take_part(p, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of *rest, which begins behind it then; empty: there is none. */
static struct str next_word(struct str *rest)
{
    size_t from = 0, to;
    while (from < rest->len && is_blank(rest->ptr[from]))
        from++;
    for (to = from; to < rest->len && !is_blank(rest->ptr[to]);)
        to++;
    struct str word = str_slice(*rest, from, to);
    *rest = str_slice(*rest, to, rest->len);
    return word;
}

static bool wrong_count(uint32_t count, struct err *err)
{
    err_set(err, ERR_INVALID, "it has %u field%s, not six, or seven with the year", count, count == 1 ? "" : "s");
    return err_remedy(err, "%s",
                      count == 5 ? "put the second in front: \"0 */5 * * * *\""
                                 : "write second, minute, hour, day, month and weekday: \"0 */5 * * * *\"");
}

bool cron_parse(struct str text, struct cron *ret, struct err *err)
{
    struct cron cron = {0};
    struct str words[CRON_FIELD_COUNT], word;
    uint32_t count = 0;
    if (text.len > CRON_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "more than %u bytes", CRON_TEXT_MAX);
    for (size_t i = 0; i < sizeof nicknames / sizeof *nicknames; i++)
        if (same(text, nicknames[i].name))
            text = str_of(nicknames[i].text);
    for (; (word = next_word(&text)).len; count++)
        if (count < CRON_FIELD_COUNT)
            words[count] = word;
    if (count != CRON_FIELD_COUNT && count != CRON_YEAR)
        return wrong_count(count, err);
    if (count == CRON_YEAR)
        words[CRON_YEAR] = STR("*");
    for (uint32_t i = 0; i < CRON_FIELD_COUNT; i++) {
        const struct parser parser = {&cron, (enum cron_field)i, err};
        if (!take_field(&parser, words[i]))
            return false;
    }
    if (has(&cron, CRON_WEEKDAY, 7))
        put(&cron, CRON_WEEKDAY, 0);
    *ret = cron;
    return true;
}

/* ---- days ---- */

struct date {
    uint32_t year, month, day;
    int64_t number; /* since 1970 */
};

static bool is_leap(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

static struct date date_of(int64_t number)
{
    struct date date = {YEAR_FIRST, 1, 1, number};
    int64_t rest = number, days;
    for (; date.year <= YEAR_LAST && rest >= (days = is_leap(date.year) ? 366 : 365); date.year++)
        rest -= days;
    for (; date.month < 12 && rest >= (days = month_days(date.year, date.month)); date.month++)
        rest -= days;
    date.day = (uint32_t)rest + 1;
    return date;
}

/* To the first of the next month. */
static void skip_month(struct date *date)
{
    date->number += month_days(date->year, date->month) - date->day + 1;
    date->day = 1;
    date->year += date->month == 12;
    date->month = date->month % 12 + 1;
}

static void skip_day(struct date *date)
{
    if (date->day == month_days(date->year, date->month)) {
        skip_month(date);
        return;
    }
    date->day++;
    date->number++;
}

static uint32_t weekday_of(const struct date *date)
{
    return (uint32_t)((date->number + WEEKDAY_OF_1970) % 7);
}

/* The Friday before or the Monday behind, but within the month. No bit is set for day 0. */
static bool is_nearest(const struct cron *cron, const struct date *date)
{
    uint32_t weekday = weekday_of(date), last = month_days(date->year, date->month);
    if (weekday == 0 || weekday == 6)
        return false;
    if (cron->nearest >> date->day & 1)
        return true;
    bool monday =
        weekday == 1 && ((cron->nearest >> (date->day - 1) & 1) || (date->day == 3 && (cron->nearest >> 1 & 1)));
    bool friday = weekday == 5 && ((date->day < last && (cron->nearest >> (date->day + 1) & 1)) ||
                                   (date->day + 2 == last && (cron->nearest >> last & 1)));
    return monday || friday;
}

static bool day_fits(const struct cron *cron, const struct date *date)
{
    uint32_t weekday = weekday_of(date), nth = (date->day - 1) / 7 + 1, last = month_days(date->year, date->month);
    bool day = has(cron, CRON_DAY, date->day) || (cron->last_day && date->day == last) || is_nearest(cron, date);
    return day && (has(cron, CRON_WEEKDAY, weekday) || (cron->nth[nth] >> weekday & 1) ||
                   (date->day + 7 > last && (cron->nth[0] >> weekday & 1)));
}

/* ---- the next time ---- */

/* From that second of a day on; DAY_SECONDS: not on this day. */
static int64_t time_from(const struct cron *cron, int64_t second)
{
    uint32_t hour = (uint32_t)(second / 3600), minute = (uint32_t)(second / 60 % 60), rest = (uint32_t)(second % 60);
    for (; hour < 24; hour++, minute = rest = 0) {
        if (!has(cron, CRON_HOUR, hour))
            continue;
        for (; minute < 60; minute++, rest = 0) {
            if (!has(cron, CRON_MINUTE, minute))
                continue;
            for (; rest < 60; rest++)
                if (has(cron, CRON_SECOND, rest))
                    return (int64_t)hour * 3600 + minute * 60 + rest;
        }
    }
    return DAY_SECONDS;
}

int64_t cron_next(const struct cron *cron, int64_t after)
{
    int64_t from = after < 0 ? 0 : after < CRON_NEVER ? after + 1 : after, second = from % DAY_SECONDS;
    struct date date = date_of(from / DAY_SECONDS);
    while (date.year <= YEAR_LAST) {
        if (!has(cron, CRON_YEAR, date.year) || !has(cron, CRON_MONTH, date.month)) {
            skip_month(&date);
        } else {
            int64_t found = day_fits(cron, &date) ? time_from(cron, second) : DAY_SECONDS;
            if (found < DAY_SECONDS)
                return date.number * DAY_SECONDS + found;
            skip_day(&date);
        }
        second = 0;
    }
    return CRON_NEVER;
}
