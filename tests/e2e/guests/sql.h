/* What guests share that send statements to database servers: parameters and values of Spin's types, by the version of
 * the interface: of spin:postgres@3 (3) or of those before it. */
#include "service.h"

/* ---- parameters; the cases of both variants have one order but for what one lacks ---- */

static _Alignas(8) uint8_t parameters[WORDS][24];
static int version;

static const struct {
    char letter;
    uint8_t old, new; /* the case */
} kinds[] = {{'b', 0, 0},   {'c', 1, 1},    {'s', 2, 2},    {'i', 3, 3},    {'l', 4, 4},
             {'u', 8, 255}, {'f', 9, 5},    {'d', 10, 6},   {'t', 11, 7},   {'x', 12, 8},
             {'D', 255, 9}, {'T', 255, 10}, {'S', 255, 11}, {'U', 255, 12}, {'n', 13, 13}};

static double real_of(size_t at)
{
    double value = 0, scale = 0;
    bool minus = words[at].text[1] == '-';
    for (size_t i = 1 + minus; i < words[at].size; i++) {
        if (words[at].text[i] == '.') {
            scale = 1;
            continue;
        }
        value = value * 10 + (words[at].text[i] - '0');
        scale *= 10;
    }
    return (minus ? -value : value) / (scale ? scale : 1);
}

/* Numbers between commas. */
static void numbers_of(size_t at, int64_t *ret)
{
    for (size_t i = 1; i < words[at].size; i++) {
        char c = words[at].text[i];
        if (c == ',')
            ret++;
        else
            *ret = *ret * 10 + (c - '0');
    }
}

static void take(size_t at, uint8_t *to)
{
    char letter = words[at].size ? words[at].text[0] : 'n';
    int64_t number = number_of(at, 1), parts[8] = {0};
    text_t text = words[at].text + 1;
    size_t size = words[at].size - 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].letter == letter)
            to[0] = version == 3 ? kinds[i].new : kinds[i].old;
    if (letter == 'f') {
        float real = (float)real_of(at);
        __builtin_memcpy(to + 8, &real, 4);
    } else if (letter == 'd') {
        double real = real_of(at);
        __builtin_memcpy(to + 8, &real, 8);
    } else if (letter == 't' || letter == 'x') {
        __builtin_memcpy(to + 8, &text, 4);
        __builtin_memcpy(to + 12, &size, 4);
    } else if (letter == 'D' || letter == 'S') {
        numbers_of(at, parts);
        int32_t year = (int32_t)parts[0];
        uint32_t nano = (uint32_t)parts[6];
        __builtin_memcpy(to + 8, &year, 4);
        for (size_t i = 1; i < 6; i++)
            to[11 + i] = (uint8_t)parts[i];
        if (letter == 'S')
            __builtin_memcpy(to + 20, &nano, 4);
    } else if (letter == 'T') {
        numbers_of(at, parts);
        uint32_t nano = (uint32_t)parts[3];
        for (size_t i = 0; i < 3; i++)
            to[8 + i] = (uint8_t)parts[i];
        __builtin_memcpy(to + 12, &nano, 4);
    } else {
        __builtin_memcpy(to + 8, &number, 8);
    }
}

/* ---- results ---- */

static bool is_error(const uint8_t *at)
{
    static const text_t names[] = {"connection-failed", "bad-parameter", "query-failed", "value-conversion-failed",
                                   "other"};
    if (!ret[0])
        return false;
    status = 500;
    say(names[at[0] - (version == 1)]);
    say(": ");
    say_string(at + 4);
    say("\n");
    return true;
}

static void say_parts(const uint8_t *at, text_t form)
{
    for (; *form; form++) {
        if (*form == 'w') {
            say_number((int32_t)word(at));
            at += 4;
        } else if (*form == 'b') {
            say_number(*at++);
        } else if (*form == '_') {
            at++;
        } else {
            say_bytes(form, 1);
        }
    }
}

static void say_value(const uint8_t *value)
{
    uint8_t tag = value[0];
    float single;
    double real;
    __builtin_memcpy(&single, value + 8, 4);
    __builtin_memcpy(&real, value + 8, 8);
    if (version != 3 && tag >= 5 && tag <= 8) {
        say("u");
        say_number(number(value + 8) & (tag == 5   ? 0xff
                                        : tag == 6 ? 0xffff
                                        : tag == 7 ? INT64_C(0xffffffff)
                                                   : INT64_C(-1)));
        return;
    }
    if (version != 3 && tag >= 9) /* what the newer one has not is between */
        tag = tag >= 13 ? tag : tag - 4;
    switch (tag) {
    case 0: say(value[8] ? "true" : "false"); break;
    case 1: say_number((int8_t)value[8]); break;
    case 2: say_number((int16_t)(value[8] | value[9] << 8)); break;
    case 3: say_number((int32_t)word(value + 8)); break;
    case 4: say_number(number(value + 8)); break;
    case 5:
    case 6:
        say_number((int64_t)((tag == 5 ? (double)single : real) * 1000));
        say("/1000");
        break;
    case 7: say_string(value + 8); break;
    case 8:
        for (uint32_t i = 0; i < word(value + 12); i++) {
            uint8_t byte = *(uint8_t *)(word(value + 8) + i);
            say_bytes(&"0123456789abcdef"[byte >> 4], 1);
            say_bytes(&"0123456789abcdef"[byte & 15], 1);
        }
        break;
    case 9: say_parts(value + 8, "w-b-b"); break;
    case 10: say_parts(value + 8, "b:b:b._w"); break;
    case 11: say_parts(value + 8, "w-b-b b:b:b.___w"); break;
    case 13: say("null"); break;
    default: say("unsupported"); break;
    }
}

static void say_rows(const uint8_t *at)
{
    const uint8_t *columns = (uint8_t *)word(at), *rows = (uint8_t *)word(at + 8);
    for (uint32_t i = 0; i < word(at + 4); i++) {
        say_string(columns + 12 * i);
        say(":");
        say_number(columns[12 * i + 8]);
        say(i + 1 < word(at + 4) ? "|" : "\n");
    }
    for (uint32_t row = 0; row < word(at + 12); row++) {
        const uint8_t *values = (uint8_t *)word(rows + 8 * row);
        uint32_t size = word(rows + 8 * row + 4);
        for (uint32_t i = 0; i < size; i++) {
            say_value(values + (version == 3 ? 24 : 16) * i);
            say(i + 1 < size ? "|" : "\n");
        }
    }
}
