/* See postgres.h. */
#include "wasi/postgres.h"

#define DAY_US INT64_C(86400000000)
#define EPOCH_DAYS 730425 /* 2000-01-01, from 0000-03-01 */

bool postgres_integer(struct str bytes, size_t size, int64_t *ret)
{
    uint64_t number = 0;
    if (bytes.len != size)
        return false;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (uint8_t)bytes.ptr[i];
    unsigned unused = 64 - 8 * (unsigned)size;
    *ret = (int64_t)(number << unused) >> unused;
    return true;
}

bool postgres_float(struct str bytes, float *ret)
{
    int64_t number;
    if (!postgres_integer(bytes, 4, &number))
        return false;
    uint32_t bits = (uint32_t)number;
    memcpy(ret, &bits, sizeof *ret);
    return true;
}

bool postgres_double(struct str bytes, double *ret)
{
    int64_t number;
    if (!postgres_integer(bytes, 8, &number))
        return false;
    memcpy(ret, &number, sizeof *ret);
    return true;
}

/* Days from 2000-01-01 as a date of the Gregorian calendar: years of it begin in March, eras have 146097 days. */
static struct postgres_date date_of_days(int64_t days)
{
    days += EPOCH_DAYS;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day = days - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    return (struct postgres_date){(int32_t)(year + era * 400 + (month >= 10)),
                                  (uint8_t)(month < 10 ? month + 3 : month - 9),
                                  (uint8_t)(of_year - (153 * month + 2) / 5 + 1)};
}

static struct postgres_time time_of_us(int64_t us)
{
    int64_t seconds = us / 1000000;
    return (struct postgres_time){(uint8_t)(seconds / 3600), (uint8_t)(seconds / 60 % 60), (uint8_t)(seconds % 60),
                                  (uint32_t)(us % 1000000) * 1000};
}

bool postgres_date(struct str bytes, struct postgres_date *ret)
{
    int64_t days;
    if (!postgres_integer(bytes, 4, &days) || days == INT32_MIN || days == INT32_MAX)
        return false;
    *ret = date_of_days(days);
    return true;
}

bool postgres_time(struct str bytes, struct postgres_time *ret)
{
    int64_t us;
    if (!postgres_integer(bytes, 8, &us) || us < 0 || us > DAY_US)
        return false;
    *ret = time_of_us(us);
    return true;
}

bool postgres_datetime(struct str bytes, struct postgres_date *ret_date, struct postgres_time *ret_time)
{
    int64_t us;
    if (!postgres_integer(bytes, 8, &us) || us == INT64_MIN || us == INT64_MAX)
        return false;
    int64_t days = us / DAY_US - (us % DAY_US < 0);
    *ret_date = date_of_days(days);
    *ret_time = time_of_us(us - days * DAY_US);
    return true;
}

bool postgres_unix(int64_t seconds, struct postgres_date *ret_date, struct postgres_time *ret_time)
{
    const int64_t day = 86400, to_1970 = 10957;
    int64_t days = seconds / day - (seconds % day < 0);
    if (days > INT32_MAX || days < INT32_MIN)
        return false;
    *ret_date = date_of_days(days - to_1970);
    *ret_time = time_of_us((seconds - days * day) * 1000000);
    return postgres_is_date(*ret_date);
}

bool postgres_is_date(struct postgres_date date)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.month < 1 || date.month > 12 || date.year < 1 || date.year > 294276)
        return false;
    bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    return date.day >= 1 && date.day <= days[date.month - 1] + (date.month == 2 && leap);
}

bool postgres_is_time(struct postgres_time time)
{
    return time.hour < 24 && time.minute < 60 && time.second < 60 && time.nanosecond < 1000000000;
}

/* ---- numbers of any size: digits of base 10000, from the one of weight `weight` on ---- */

struct numeric {
    int64_t digits, weight, sign, scale; /* the scale: decimal digits behind the point */
    struct str values;
};

static bool read_numeric(struct str bytes, struct numeric *ret)
{
    return bytes.len >= 8 && postgres_integer(str_slice(bytes, 0, 2), 2, &ret->digits) &&
           postgres_integer(str_slice(bytes, 2, 4), 2, &ret->weight) &&
           postgres_integer(str_slice(bytes, 4, 6), 2, &ret->sign) &&
           postgres_integer(str_slice(bytes, 6, 8), 2, &ret->scale) && ret->digits >= 0 && ret->scale >= 0 &&
           bytes.len == 8 + 2 * (size_t)ret->digits && (ret->values = str_slice(bytes, 8, bytes.len), true);
}

/* The digit of weight `weight`; 0 where there is none. -1: malformed. */
static int digit_at(const struct numeric *number, int64_t weight)
{
    int64_t at = number->weight - weight, value;
    if (at < 0 || at >= number->digits)
        return 0;
    if (!postgres_integer(str_slice(number->values, 2 * (size_t)at, 2 * (size_t)at + 2), 2, &value))
        return -1;
    return value >= 0 && value < 10000 ? (int)value : -1;
}

struct text {
    char *bytes;
    size_t size, max;
};

static bool put(struct text *text, char c)
{
    if (text->size == text->max)
        return false;
    text->bytes[text->size++] = c;
    return true;
}

/* `count` decimal digits of the four that the digit has, from `from` on. */
static bool put_digits(struct text *text, int digit, int from, int64_t count)
{
    static const int powers[] = {1000, 100, 10, 1};
    bool done = digit >= 0;
    for (int i = from; done && i < 4 && i < from + count; i++)
        done = put(text, (char)('0' + digit / powers[i] % 10));
    return done;
}

static bool put_number(struct text *text, const struct numeric *number)
{
    int64_t weight = number->weight < 0 ? 0 : number->weight, left = number->scale;
    int first = digit_at(number, weight);
    bool done = number->sign != 0x4000 || put(text, '-');
    done = done && put_digits(text, first, first >= 1000 ? 0 : first >= 100 ? 1 : first >= 10 ? 2 : 3, 4);
    while (done && --weight >= 0)
        done = put_digits(text, digit_at(number, weight), 0, 4);
    if (left > 0)
        done = done && put(text, '.');
    for (weight = -1; done && left > 0; weight--, left -= 4)
        done = put_digits(text, digit_at(number, weight), 0, left);
    return done;
}

bool postgres_numeric(struct str bytes, char *room, size_t size, size_t *ret_size)
{
    struct text text = {room, 0, size};
    struct numeric number;
    if (!read_numeric(bytes, &number) || (number.sign != 0 && number.sign != 0x4000)) /* not a number, infinity */
        return false;
    bool done = put_number(&text, &number);
    *ret_size = text.size;
    return done;
}

/* ---- others ---- */

bool postgres_interval(struct str bytes, int64_t *ret_us, int32_t *ret_days, int32_t *ret_months)
{
    int64_t days, months;
    if (bytes.len != 16 || !postgres_integer(str_slice(bytes, 0, 8), 8, ret_us) ||
        !postgres_integer(str_slice(bytes, 8, 12), 4, &days) || !postgres_integer(str_slice(bytes, 12, 16), 4, &months))
        return false;
    *ret_days = (int32_t)days;
    *ret_months = (int32_t)months;
    return true;
}

/* Bytes behind their length, which is negative for a null. */
static bool take_sized(struct str *rest, struct str *ret)
{
    int64_t size;
    if (rest->len < 4 || !postgres_integer(str_slice(*rest, 0, 4), 4, &size))
        return false;
    *rest = str_slice(*rest, 4, rest->len);
    if (size > (int64_t)rest->len)
        return false;
    *ret = size < 0 ? (struct str){NULL, 0} : str_slice(*rest, 0, (size_t)size);
    *rest = str_slice(*rest, ret->len, rest->len);
    return true;
}

bool postgres_range(struct str bytes, struct postgres_bound *ret_lower, struct postgres_bound *ret_upper)
{
    enum { EMPTY = 1, LOWER_INCLUSIVE = 2, UPPER_INCLUSIVE = 4, LOWER_INFINITE = 8, UPPER_INFINITE = 16 };
    if (bytes.len == 0)
        return false;
    unsigned flags = (uint8_t)bytes.ptr[0];
    struct str rest = str_slice(bytes, 1, bytes.len);
    *ret_lower = (struct postgres_bound){!(flags & (EMPTY | LOWER_INFINITE)), flags & LOWER_INCLUSIVE, {NULL, 0}};
    *ret_upper = (struct postgres_bound){!(flags & (EMPTY | UPPER_INFINITE)), flags & UPPER_INCLUSIVE, {NULL, 0}};
    return (!ret_lower->there || (take_sized(&rest, &ret_lower->bytes) && ret_lower->bytes.ptr)) &&
           (!ret_upper->there || (take_sized(&rest, &ret_upper->bytes) && ret_upper->bytes.ptr));
}

bool postgres_array(struct str bytes, struct postgres_array *ret)
{
    int64_t dimensions, count = 0;
    if (bytes.len < 12 || !postgres_integer(str_slice(bytes, 0, 4), 4, &dimensions))
        return false;
    if (dimensions == 1 && (bytes.len < 20 || !postgres_integer(str_slice(bytes, 12, 16), 4, &count)))
        return false;
    if (dimensions < 0 || dimensions > 1 || count < 0 || (uint64_t)count > bytes.len / 4)
        return false;
    *ret = (struct postgres_array){(uint32_t)count, str_slice(bytes, dimensions ? 20 : 12, bytes.len)};
    return true;
}

bool postgres_element(struct postgres_array *array, struct str *ret)
{
    array->count--;
    return take_sized(&array->rest, ret);
}

const char *postgres_type_name(int64_t type)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {18, "char"},           {19, "name"},        {26, "oid"},        {114, "json"},        {142, "xml"},
        {600, "point"},         {601, "lseg"},       {602, "path"},      {603, "box"},         {604, "polygon"},
        {628, "line"},          {650, "cidr"},       {705, "unknown"},   {718, "circle"},      {774, "macaddr8"},
        {790, "money"},         {829, "macaddr"},    {869, "inet"},      {1000, "_bool"},      {1001, "_bytea"},
        {1005, "_int2"},        {1021, "_float4"},   {1022, "_float8"},  {1115, "_timestamp"}, {1182, "_date"},
        {1185, "_timestamptz"}, {1266, "timetz"},    {1560, "bit"},      {1562, "varbit"},     {2249, "record"},
        {2278, "void"},         {2951, "_uuid"},     {3614, "tsvector"}, {3615, "tsquery"},    {3807, "_jsonb"},
        {3908, "tsrange"},      {3910, "tstzrange"}, {3912, "daterange"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == type)
            return names[i].name;
    return NULL;
}
