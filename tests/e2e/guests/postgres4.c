/* Does what the path says with a PostgreSQL server, by spin:postgres@4, and answers with the outcome:
 *
 *     /open|build|root/ADDRESS/query|execute/STATEMENT[/PARAMETER...]     in one connection; more behind a ;
 *
 * `root` gives the builder an authority first. A parameter is a letter and its value: i a number of 32 bits, t text, u
 * uuid, j jsonb, N decimal, r R D ranges of 32 and 64 bits and decimals (two bounds between commas, the first
 * inclusive; one may be empty), a A arrays of 32 and 64 bits, d of decimals, s of texts (between commas; ~ is a null),
 * v an interval (months, days, microseconds), n null. */
#include "service.h"

#define PG "spin:postgres/postgres@4.2.0"

IMPORT(PG, "[constructor]connection-builder") int builder_new(text_t address, size_t size);
IMPORT(PG, "[method]connection-builder.set-ca-root") void builder_root(int self, text_t text, size_t size, void *ret);
IMPORT(PG, "[method]connection-builder.build") void builder_build(int self, void *ret);
IMPORT(PG, "[resource-drop]connection-builder") void builder_drop(int self);
IMPORT(PG, "[static]connection.open") void open4(text_t address, size_t size, void *ret);
IMPORT(PG, "[method]connection.query")
void query4(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(PG, "[method]connection.execute")
void execute4(int self, text_t statement, size_t size, const void *params, size_t count, void *ret);
IMPORT(PG, "[resource-drop]connection") void drop4(int self);

#define VALUE 56 /* bytes of a value, whose payload is behind eight of them */

/* ---- parameters ---- */

static _Alignas(8) uint8_t parameters[16][VALUE];

/* The parts of a word behind its letter, between commas. */
static struct word parts[16];

static size_t cut(size_t at)
{
    size_t number = 0;
    parts[0] = (struct word){words[at].text + 1, 0};
    for (size_t i = 1; i < words[at].size; i++) {
        if (words[at].text[i] == ',')
            parts[++number] = (struct word){words[at].text + i + 1, 0};
        else
            parts[number].size++;
    }
    return number + 1;
}

static int64_t part_number(size_t at)
{
    struct word word = parts[at];
    bool minus = word.size && word.text[0] == '-';
    int64_t value = 0;
    for (size_t i = minus; i < word.size; i++)
        value = value * 10 + (word.text[i] - '0');
    return minus ? -value : value;
}

static void put(uint8_t *to, int64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void put_text(uint8_t *to, struct word word)
{
    __builtin_memcpy(to, &word.text, 4);
    __builtin_memcpy(to + 4, &word.size, 4);
}

/* `bound`: bytes of an option; `at`: where its value is in it; `size` of a number, 0: a text. */
static void put_range(uint8_t *to, size_t bound, size_t at, size_t size)
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t *option = to + i * bound;
        option[0] = parts[i].size != 0;
        if (size)
            put(option + at, part_number(i), size);
        else
            put_text(option + at, parts[i]);
        option[at + (size ? size : 8)] = i == 1; /* exclusive */
    }
}

static void put_array(uint8_t *to, size_t number, size_t each, size_t at, size_t size)
{
    uint8_t *items = cabi_realloc(NULL, 0, 8, number * each);
    for (size_t i = 0; i < number; i++) {
        uint8_t *item = items + i * each;
        item[0] = !(parts[i].size == 1 && parts[i].text[0] == '~');
        if (size)
            put(item + at, item[0] ? part_number(i) : 0, size);
        else
            put_text(item + at, parts[i]);
    }
    put(to, (int64_t)(size_t)items, 4);
    put(to + 4, (int64_t)number, 4);
}

static void take(size_t at, uint8_t *to)
{
    struct word all = {words[at].text + 1, words[at].size - 1};
    size_t number = cut(at);
    uint8_t *payload = to + 8;
    switch (words[at].text[0]) {
    case 'i': to[0] = 3, put(payload, part_number(0), 4); break;
    case 't': to[0] = 7, put_text(payload, all); break;
    case 'u': to[0] = 13, put_text(payload, all); break;
    case 'j': to[0] = 14, put_text(payload, all); break;
    case 'N': to[0] = 15, put_text(payload, all); break;
    case 'r': to[0] = 16, put_range(payload, 12, 4, 4); break;
    case 'R': to[0] = 17, put_range(payload, 24, 8, 8); break;
    case 'D': to[0] = 18, put_range(payload, 16, 4, 0); break;
    case 'a': to[0] = 19, put_array(payload, number, 8, 4, 4); break;
    case 'A': to[0] = 20, put_array(payload, number, 16, 8, 8); break;
    case 'd': to[0] = 21, put_array(payload, number, 12, 4, 0); break;
    case 's': to[0] = 22, put_array(payload, number, 12, 4, 0); break;
    case 'v':
        to[0] = 23;
        put(payload, part_number(2), 8);
        put(payload + 8, part_number(1), 4);
        put(payload + 12, part_number(0), 4);
        break;
    default: to[0] = 24; break;
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
    say(names[at[0]]);
    say(": ");
    if (at[0] != 2 || at[4] == 0) {
        say_string(at[0] == 2 ? at + 8 : at + 4);
        say("\n");
        return true;
    }
    for (size_t i = 2; i <= 5; i++) { /* as-text, severity, code, message */
        say_string(at + 8 + 8 * (i - 2));
        say("|");
    }
    if (at[40])
        say_string(at + 44);
    const uint8_t *extras = (uint8_t *)word(at + 52);
    for (uint32_t i = 0; i < word(at + 56); i++)
        if (*(char *)word(extras + 16 * i) == 'c') { /* column, constraint */
            say("|");
            say_string(extras + 16 * i);
            say("=");
            say_string(extras + 16 * i + 8);
        }
    say("\n");
    return true;
}

static void say_one(const uint8_t *at, size_t size)
{
    if (size == 4)
        say_number((int32_t)word(at));
    else if (size == 8)
        say_number(number(at));
    else
        say_string(at);
}

static void say_range(const uint8_t *at, size_t bound, size_t place, size_t size)
{
    const uint8_t *upper = at + bound;
    say(at[0] && !at[place + (size ? size : 8)] ? "[" : "(");
    if (at[0])
        say_one(at + place, size);
    say(",");
    if (upper[0])
        say_one(upper + place, size);
    say(upper[0] && !upper[place + (size ? size : 8)] ? "]" : ")");
}

static void say_array(const uint8_t *at, size_t each, size_t place, size_t size)
{
    say("{");
    for (uint32_t i = 0; i < word(at + 4); i++) {
        const uint8_t *item = (uint8_t *)word(at) + each * i;
        if (i)
            say(",");
        if (item[0])
            say_one(item + place, size);
        else
            say("~");
    }
    say("}");
}

static void say_value(const uint8_t *value)
{
    const uint8_t *payload = value + 8;
    switch (value[0]) {
    case 0: say(payload[0] ? "true" : "false"); break;
    case 3: say_number((int32_t)word(payload)); break;
    case 4: say_number(number(payload)); break;
    case 7:
    case 8:
    case 13:
    case 14:
    case 15: say_string(payload); break;
    case 9:
        say_number((int32_t)word(payload));
        say("-");
        say_number(payload[4]);
        break;
    case 11:
        say_number((int32_t)word(payload));
        say(" ");
        say_number(payload[6]);
        break;
    case 16: say_range(payload, 12, 4, 4); break;
    case 17: say_range(payload, 24, 8, 8); break;
    case 18: say_range(payload, 16, 4, 0); break;
    case 19: say_array(payload, 8, 4, 4); break;
    case 20: say_array(payload, 16, 8, 8); break;
    case 21:
    case 22: say_array(payload, 12, 4, 0); break;
    case 23:
        say_number((int32_t)word(payload + 12));
        say("m");
        say_number((int32_t)word(payload + 8));
        say("d");
        say_number(number(payload));
        break;
    case 24: say("null"); break;
    default:
        say("unsupported ");
        say_number(word(payload + 4));
        break;
    }
}

static void say_rows(const uint8_t *at)
{
    const uint8_t *columns = (uint8_t *)word(at), *rows = (uint8_t *)word(at + 8);
    for (uint32_t i = 0; i < word(at + 4); i++) {
        say_string(columns + 20 * i);
        say(":");
        if (columns[20 * i + 8] == 24)
            say_string(columns + 20 * i + 12);
        else
            say_number(columns[20 * i + 8]);
        say(i + 1 < word(at + 4) ? "|" : "\n");
    }
    for (uint32_t row = 0; row < word(at + 12); row++) {
        const uint8_t *values = (uint8_t *)word(rows + 8 * row);
        uint32_t size = word(rows + 8 * row + 4);
        for (uint32_t i = 0; i < size; i++) {
            say_value(values + VALUE * i);
            say(i + 1 < size ? "|" : "\n");
        }
    }
}

static bool make_connection(void)
{
    if (is(0, "open")) {
        open4(WORD(1), ret);
        return !is_error(ret + 4);
    }
    int builder = builder_new(WORD(1));
    if (is(0, "root")) {
        builder_root(builder, WORD(1), ret);
        is_error(ret + 4);
    }
    builder_build(builder, ret);
    bool made = !is_error(ret + 4);
    builder_drop(builder);
    return made;
}

static void act(void)
{
    if (!make_connection())
        return;
    int self = (int)word(ret + 4);
    for (size_t at = 2, end; at < count; at = end + 1) {
        for (end = at; end < count && !is(end, ";"); end++)
            if (end > at + 1)
                take(end, parameters[end - at - 2]);
        size_t size = end - at - 2;
        if (is(at, "query")) {
            query4(self, WORD(at + 1), parameters, size, ret);
            if (!is_error(ret + 4))
                say_rows(ret + 4);
        } else {
            execute4(self, WORD(at + 1), parameters, size, ret);
            if (!is_error(ret + 8)) {
                say_number(number(ret + 8));
                say(" rows\n");
            }
        }
    }
    drop4(self);
}
