/* See datum_text.h: a recursive descent guided by the type. Depth is that of the type, which is bounded. */
#include "component/datum_text.h"

#include "component/unicode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BYTES 64u
#define ITEMS_MAX (1u << 20)

struct reading {
    struct str all, rest;
    struct arena *arena;
    struct err *err;
};

static bool wrong(struct reading *r, const struct type *type)
{
    struct buf text;
    buf_init(&text, 200);
    bool named = type_text(type, &text);
    size_t at = r->all.len - r->rest.len;
    err_set(r->err, ERR_USAGE, "character %zu: expected a value of type %.*s", at + 1, named ? (int)text.size : 1,
            named ? (const char *)text.data : "?");
    buf_free(&text);
    return false;
}

static void skip_blanks(struct reading *r)
{
    while (r->rest.len && strchr(" \t\n\r", r->rest.ptr[0]))
        r->rest = str_slice(r->rest, 1, r->rest.len);
}

static bool takes(struct reading *r, char what)
{
    skip_blanks(r);
    if (!r->rest.len || r->rest.ptr[0] != what)
        return false;
    r->rest = str_slice(r->rest, 1, r->rest.len);
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '%';
}

/* A label; `%` in front of it says that it is no keyword. */
static struct str take_word(struct reading *r)
{
    size_t n = 0;
    skip_blanks(r);
    if (r->rest.len && r->rest.ptr[0] == '%')
        r->rest = str_slice(r->rest, 1, r->rest.len);
    while (n < r->rest.len && is_word(r->rest.ptr[n]))
        n++;
    struct str word = str_slice(r->rest, 0, n);
    r->rest = str_slice(r->rest, n, r->rest.len);
    return word;
}

static bool parse(struct reading *r, const struct type *type, struct datum *ret);

/* ---- numbers ---- */

static bool take_number(struct reading *r, char text[NUMBER_BYTES])
{
    size_t n = 0;
    skip_blanks(r);
    while (n < r->rest.len && (is_word(r->rest.ptr[n]) || r->rest.ptr[n] == '.' || r->rest.ptr[n] == '+'))
        n++;
    if (n == 0 || n >= NUMBER_BYTES)
        return false;
    memcpy(text, r->rest.ptr, n);
    text[n] = '\0';
    r->rest = str_slice(r->rest, n, r->rest.len);
    return true;
}

static bool parse_integer(struct reading *r, const struct type *type, struct datum *ret)
{
    char text[NUMBER_BYTES], *end;
    unsigned bits = 8 * type->size;
    bool is_signed =
        type->kind == TYPE_S8 || type->kind == TYPE_S16 || type->kind == TYPE_S32 || type->kind == TYPE_S64;
    if (!take_number(r, text))
        return wrong(r, type);
    bool minus = text[0] == '-';
    errno = 0;
    uint64_t number = strtoull(text + minus, &end, 10);
    uint64_t sign = (uint64_t)1 << (bits - 1), most = minus       ? (is_signed ? sign : 0)
                                                      : is_signed ? sign - 1
                                                                  : sign - 1 + sign;
    if (errno || *end || text[minus] < '0' || text[minus] > '9' || number > most)
        return wrong(r, type);
    ret->bits = minus ? 0 - number : number;
    return true;
}

static bool parse_float(struct reading *r, const struct type *type, struct datum *ret)
{
    char text[NUMBER_BYTES], *end = NULL;
    if (!take_number(r, text))
        return wrong(r, type);
    bool special = strcmp(text, "nan") == 0 || strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0;
    char first = text[text[0] == '-'];
    union cell value = {0};
    if (type->kind == TYPE_F32)
        value.f32 = strtof(text, &end);
    else
        value.f64 = strtod(text, &end);
    if (*end || strpbrk(text, "xX") || (!special && (first < '0' || first > '9')))
        return wrong(r, type);
    ret->bits = type->kind == TYPE_F32 ? value.u32 : value.u64;
    return true;
}

static bool parse_bool(struct reading *r, const struct type *type, struct datum *ret)
{
    struct str word = take_word(r);
    ret->bits = str_eq(word, STR("true"));
    return ret->bits || str_eq(word, STR("false")) || wrong(r, type);
}

/* ---- characters ---- */

static bool parse_hexadecimal(struct reading *r, uint32_t *ret_point)
{
    uint32_t point = 0, digits = 0;
    if (!takes(r, '{'))
        return false;
    while (r->rest.len && r->rest.ptr[0] != '}' && digits++ < 6) {
        char c = r->rest.ptr[0];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 32) - 'a' + 10);
        if (digit > 15)
            return false;
        point = point << 4 | digit;
        r->rest = str_slice(r->rest, 1, r->rest.len);
    }
    *ret_point = point;
    return digits && takes(r, '}') && point < 0x110000 && (point < 0xd800 || point > 0xdfff);
}

/* One character inside of quotes. */
static bool take_character(struct reading *r, uint32_t *ret_point)
{
    static const char names[] = "nrt\\'\"", codes[] = "\n\r\t\\'\"";
    const uint8_t *at = (const uint8_t *)r->rest.ptr;
    size_t size = r->rest.len ? utf8_sequence(at, r->rest.len) : 0, i = 0;
    if (!size)
        return false;
    *ret_point = next_utf8(at, size, &i);
    r->rest = str_slice(r->rest, size, r->rest.len);
    if (*ret_point != '\\')
        return true;
    if (!r->rest.len)
        return false;
    char name = r->rest.ptr[0];
    r->rest = str_slice(r->rest, 1, r->rest.len);
    if (name == 'u')
        return parse_hexadecimal(r, ret_point);
    const char *found = strchr(names, name);
    if (!found || !name)
        return false;
    *ret_point = (uint8_t)codes[found - names];
    return true;
}

static bool parse_char(struct reading *r, const struct type *type, struct datum *ret)
{
    uint32_t point;
    if (!takes(r, '\'') || !take_character(r, &point) || !r->rest.len || r->rest.ptr[0] != '\'')
        return wrong(r, type);
    r->rest = str_slice(r->rest, 1, r->rest.len);
    ret->bits = point;
    return true;
}

static bool parse_string(struct reading *r, const struct type *type, struct datum *ret)
{
    if (!takes(r, '"'))
        return wrong(r, type);
    uint8_t *room = arena_alloc(r->arena, r->rest.len + 4), *to = room;
    if (!room)
        return err_memory(r->err);
    while (r->rest.len && r->rest.ptr[0] != '"') {
        uint32_t point;
        if (!take_character(r, &point))
            return wrong(r, type);
        to = put_utf8(to, point);
    }
    ret->text = (struct str){(const char *)room, (size_t)(to - room)};
    return takes(r, '"') || wrong(r, type);
}

/* ---- lists and the like ---- */

static struct datum *make_items(struct reading *r, uint32_t count)
{
    struct datum *items = ARENA_ARRAY(r->arena, struct datum, count);
    if (!items)
        err_memory(r->err);
    return items;
}

static bool parse_list(struct reading *r, const struct type *type, struct datum *ret)
{
    uint32_t capacity = 0;
    if (!takes(r, '['))
        return wrong(r, type);
    while (!takes(r, ']')) {
        if (ret->count && !takes(r, ','))
            return wrong(r, type);
        if (ret->count && takes(r, ']'))
            break;
        if (ret->count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            struct datum *items = capacity <= ITEMS_MAX ? make_items(r, capacity) : NULL;
            if (!items)
                return err_set(r->err, ERR_LIMIT, "a list of over %u elements", ITEMS_MAX);
            if (ret->count)
                memcpy(items, ret->items, ret->count * sizeof *items);
            ret->items = items;
        }
        if (!parse(r, type->element, &ret->items[ret->count++]))
            return false;
    }
    return type->kind != TYPE_FIXED_LIST || ret->count == type->count || wrong(r, type);
}

static bool parse_tuple(struct reading *r, const struct type *type, struct datum *ret)
{
    ret->count = type->count;
    ret->items = make_items(r, type->count);
    if (!ret->items)
        return false;
    if (!takes(r, '('))
        return wrong(r, type);
    for (uint32_t i = 0; i < type->count; i++)
        if ((i && !takes(r, ',')) || !parse(r, type->items[i].type, &ret->items[i]))
            return r->err->kind ? false : wrong(r, type);
    takes(r, ',');
    return takes(r, ')') || wrong(r, type);
}

static uint32_t item_named(const struct type *type, struct str name)
{
    uint32_t i = 0;
    while (i < type->count && !str_eq(type->items[i].name, name))
        i++;
    return i;
}

/* Fields in any order; what is left out must be an option. */
static bool parse_record(struct reading *r, const struct type *type, struct datum *ret)
{
    bool *seen = arena_alloc(r->arena, type->count), first = true;
    ret->count = type->count;
    ret->items = make_items(r, type->count);
    if (!ret->items || !seen)
        return err_memory(r->err);
    if (!takes(r, '{'))
        return wrong(r, type);
    while (!takes(r, '}')) {
        if (!first && !takes(r, ','))
            return wrong(r, type);
        if (!first && takes(r, '}'))
            break;
        first = false;
        uint32_t i = item_named(type, take_word(r));
        if (i == type->count || seen[i] || !takes(r, ':'))
            return wrong(r, type);
        seen[i] = true;
        if (!parse(r, type->items[i].type, &ret->items[i]))
            return false;
    }
    for (uint32_t i = 0; i < type->count; i++)
        if (!seen[i] && type->items[i].type->kind != TYPE_OPTION)
            return wrong(r, type);
    return true;
}

static bool parse_case(struct reading *r, const struct type *type, struct datum *ret)
{
    struct str before = r->rest;
    ret->bits = item_named(type, take_word(r));
    if (ret->bits == type->count) {
        r->rest = before;
        return wrong(r, type);
    }
    const struct type *payload = type->items[ret->bits].type;
    if (!payload)
        return true;
    ret->count = 1;
    ret->items = make_items(r, 1);
    if (!ret->items)
        return false;
    if (!takes(r, '('))
        return wrong(r, type);
    return parse(r, payload, ret->items) && (takes(r, ')') || wrong(r, type));
}

static bool parse_flags(struct reading *r, const struct type *type, struct datum *ret)
{
    bool first = true;
    if (!takes(r, '{'))
        return wrong(r, type);
    while (!takes(r, '}')) {
        if (!first && !takes(r, ','))
            return wrong(r, type);
        first = false;
        uint32_t i = item_named(type, take_word(r));
        if (i == type->count)
            return wrong(r, type);
        ret->bits |= (uint64_t)1 << i;
    }
    return true;
}

static bool parse(struct reading *r, const struct type *type, struct datum *ret)
{
    *ret = (struct datum){0};
    switch (type->kind) {
    case TYPE_BOOL: return parse_bool(r, type, ret);
    case TYPE_F32:
    case TYPE_F64: return parse_float(r, type, ret);
    case TYPE_CHAR: return parse_char(r, type, ret);
    case TYPE_STRING: return parse_string(r, type, ret);
    case TYPE_LIST:
    case TYPE_MAP:
    case TYPE_FIXED_LIST: return parse_list(r, type, ret);
    case TYPE_RECORD: return parse_record(r, type, ret);
    case TYPE_TUPLE: return parse_tuple(r, type, ret);
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: return parse_case(r, type, ret);
    case TYPE_FLAGS: return parse_flags(r, type, ret);
    default: return type->kind < TYPE_F32 ? parse_integer(r, type, ret) : wrong(r, type);
    }
}

bool datum_parse(struct str text, const struct type *type, struct arena *arena, struct datum *ret, struct err *err)
{
    struct err ignored = {0};
    struct reading r = {text, text, arena, err ? err : &ignored};
    struct datum datum;
    r.err->kind = ERR_NONE;
    if (!parse(&r, type, &datum))
        return false;
    skip_blanks(&r);
    if (r.rest.len)
        return wrong(&r, type);
    *ret = datum;
    return true;
}

/* ---- writing ---- */

static void put(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void put_str(struct buf *out, struct str text)
{
    buf_append(out, text.ptr, text.len);
}

static void write_character(struct buf *out, uint32_t point, char quote)
{
    static const char names[] = "nrt\\", codes[] = "\n\r\t\\";
    uint8_t bytes[4];
    const char *code = point && point < 0x80 ? strchr(codes, (int)point) : NULL;
    if (code)
        buf_printf(out, "\\%c", names[code - codes]);
    else if (point == (uint8_t)quote)
        buf_printf(out, "\\%c", quote);
    else if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        buf_printf(out, "\\u{%x}", point);
    else
        buf_append(out, bytes, (size_t)(put_utf8(bytes, point) - bytes));
}

static void write_string(struct buf *out, struct str text)
{
    put(out, "\"");
    for (size_t i = 0; i < text.len;)
        write_character(out, next_utf8((const uint8_t *)text.ptr, text.len, &i), '"');
    put(out, "\"");
}

/* With as few digits as say it. */
static void write_float(struct buf *out, const struct type *type, uint64_t bits)
{
    bool narrow = type->kind == TYPE_F32;
    union cell value = {.u64 = bits};
    double number = narrow ? (double)value.f32 : value.f64;
    char text[NUMBER_BYTES];
    if (number != number) {
        put(out, "nan");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (narrow ? strtof(text, NULL) == value.f32 : strtod(text, NULL) == number)
            break;
    }
    put(out, text);
}

static void write_items(struct buf *out, const struct type *type, const struct datum *datum, char open, char close)
{
    buf_append(out, &open, 1);
    for (uint32_t i = 0; i < datum->count; i++) {
        if (i)
            put(out, ", ");
        if (type->kind == TYPE_RECORD) {
            put_str(out, type->items[i].name);
            put(out, ": ");
        }
        datum_write(out, type->element ? type->element : type->items[i].type, &datum->items[i]);
    }
    buf_append(out, &close, 1);
}

static void write_case(struct buf *out, const struct type *type, const struct datum *datum)
{
    put_str(out, type->items[datum->bits].name);
    if (!type->items[datum->bits].type)
        return;
    put(out, "(");
    datum_write(out, type->items[datum->bits].type, datum->items);
    put(out, ")");
}

static void write_flags(struct buf *out, const struct type *type, uint64_t bits)
{
    bool first = true;
    put(out, "{");
    for (uint32_t i = 0; i < type->count; i++) {
        if (!(bits >> i & 1))
            continue;
        put(out, first ? "" : ", ");
        put_str(out, type->items[i].name);
        first = false;
    }
    put(out, "}");
}

void datum_write(struct buf *out, const struct type *type, const struct datum *datum)
{
    switch (type->kind) {
    case TYPE_BOOL: put(out, datum->bits ? "true" : "false"); break;
    case TYPE_S8:
    case TYPE_S16:
    case TYPE_S32:
    case TYPE_S64: buf_printf(out, "%" PRId64, (int64_t)datum->bits); break;
    case TYPE_F32:
    case TYPE_F64: write_float(out, type, datum->bits); break;
    case TYPE_CHAR:
        put(out, "'");
        write_character(out, (uint32_t)datum->bits, '\'');
        put(out, "'");
        break;
    case TYPE_STRING: write_string(out, datum->text); break;
    case TYPE_LIST:
    case TYPE_MAP:
    case TYPE_FIXED_LIST: write_items(out, type, datum, '[', ']'); break;
    case TYPE_RECORD: write_items(out, type, datum, '{', '}'); break;
    case TYPE_TUPLE: write_items(out, type, datum, '(', ')'); break;
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: write_case(out, type, datum); break;
    case TYPE_FLAGS: write_flags(out, type, datum->bits); break;
    case TYPE_OWN: put(out, "a resource"); break;
    case TYPE_STREAM: put(out, "a stream"); break;
    case TYPE_FUTURE: put(out, "a future"); break;
    default: buf_printf(out, "%" PRIu64, datum->bits);
    }
}
