/* See value.h. */
#include "cli/value.h"

#include "wasm/types.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- integers ---- */

/* Takes a sign off the text; true: it was a minus. */
static bool take_sign(const char **text)
{
    bool minus = **text == '-';
    if (minus || **text == '+')
        ++*text;
    return minus;
}

/* Digits alone, decimal or 0x...: what strtoull takes besides is refused. */
static bool parse_digits(const char *text, uint64_t *ret_number)
{
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *digits = base == 16 ? text + 2 : text;
    char *end;
    errno = 0;
    if (!isxdigit((unsigned char)*digits) || (base == 16 && tolower((unsigned char)digits[1]) == 'x'))
        return false;
    *ret_number = strtoull(digits, &end, base);
    return !*end && errno == 0;
}

static bool parse_int(const char *text, unsigned bits, union cell *ret_value)
{
    bool minus = take_sign(&text);
    uint64_t number, sign = (uint64_t)1 << (bits - 1), most = minus ? sign : sign - 1 + sign;
    if (!parse_digits(text, &number) || number > most)
        return false;
    ret_value->u64 = minus ? 0 - number : number;
    return true;
}

static bool parse_i32(const char *text, union cell *ret_value)
{
    return parse_int(text, 32, ret_value);
}

static bool parse_i64(const char *text, union cell *ret_value)
{
    return parse_int(text, 64, ret_value);
}

static void write_i32(struct buf *out, const union cell *value)
{
    buf_printf(out, "%" PRId32, value->i32);
}

static void write_i64(struct buf *out, const union cell *value)
{
    buf_printf(out, "%" PRId64, value->i64);
}

/* ---- floats: as bits, so that a NaN passes through no register ---- */

struct format {
    unsigned fraction, exponent; /* bits */
};

static const struct format f32_format = {23, 8}, f64_format = {52, 11};

static uint64_t infinity(struct format f)
{
    return (((uint64_t)1 << f.exponent) - 1) << f.fraction;
}

static uint64_t quiet(struct format f)
{
    return (uint64_t)1 << (f.fraction - 1);
}

/* What stands behind a sign and is no number: inf, nan, nan:0x... */
static bool parse_special(const char *text, struct format f, uint64_t *ret_bits)
{
    uint64_t payload = quiet(f);
    if (strcmp(text, "inf") == 0) {
        *ret_bits = infinity(f);
        return true;
    }
    if (strncmp(text, "nan:0x", 6) == 0) {
        if (!parse_digits(text + 4, &payload) || payload == 0 || payload >> f.fraction)
            return false;
    } else if (strcmp(text, "nan") != 0) {
        return false;
    }
    *ret_bits = infinity(f) | payload;
    return true;
}

/* Starts like a number, not like a word or blank that strtod takes besides. */
static bool is_number(const char *text)
{
    return isdigit((unsigned char)text[0]) || (text[0] == '.' && isdigit((unsigned char)text[1]));
}

static bool parse_f32(const char *text, union cell *ret_value)
{
    uint64_t sign = take_sign(&text) ? (uint64_t)1 << 31 : 0, bits = 0;
    char *end;
    if (!is_number(text) && !parse_special(text, f32_format, &bits))
        return false;
    if (!bits) {
        union cell number = {.f32 = strtof(text, &end)};
        bits = number.u32;
        if (*end || bits == infinity(f32_format))
            return false;
    }
    ret_value->u64 = sign | bits;
    return true;
}

static bool parse_f64(const char *text, union cell *ret_value)
{
    uint64_t sign = take_sign(&text) ? (uint64_t)1 << 63 : 0, bits = 0;
    char *end;
    if (!is_number(text) && !parse_special(text, f64_format, &bits))
        return false;
    if (!bits) {
        union cell number = {.f64 = strtod(text, &end)};
        bits = number.u64;
        if (*end || bits == infinity(f64_format))
            return false;
    }
    ret_value->u64 = sign | bits;
    return true;
}

/* The sign, and the rest unless it is a number. True: it is none. */
static bool write_special(struct buf *out, uint64_t bits, struct format f)
{
    uint64_t rest = bits & (((uint64_t)1 << (f.fraction + f.exponent)) - 1), payload = rest ^ infinity(f);
    if (rest != bits)
        buf_append(out, "-", 1);
    if (rest < infinity(f))
        return false;
    if (rest == infinity(f))
        return buf_append(out, "inf", 3), true;
    buf_append(out, "nan", 3);
    if (payload != quiet(f))
        buf_printf(out, ":0x%" PRIx64, payload);
    return true;
}

static void write_f32(struct buf *out, const union cell *value)
{
    const union cell magnitude = {.u32 = value->u32 & 0x7fffffff};
    char text[64];
    if (write_special(out, value->u32, f32_format))
        return;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)magnitude.f32);
        const union cell again = {.f32 = strtof(text, NULL)};
        if (again.u32 == magnitude.u32)
            break;
    }
    buf_append(out, text, strlen(text));
}

static void write_f64(struct buf *out, const union cell *value)
{
    const union cell magnitude = {.u64 = value->u64 & ~((uint64_t)1 << 63)};
    char text[64];
    if (write_special(out, value->u64, f64_format))
        return;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, magnitude.f64);
        const union cell again = {.f64 = strtod(text, NULL)};
        if (again.u64 == magnitude.u64)
            break;
    }
    buf_append(out, text, strlen(text));
}

/* ---- vectors ---- */

static bool parse_v128(const char *text, union cell *ret_value)
{
    union cell value = {0};
    size_t size = strlen(text);
    if (size < 3 || size > 34 || text[0] != '0' || text[1] != 'x')
        return false;
    for (const char *at = text + 2; *at; at++) {
        if (!isxdigit((unsigned char)*at))
            return false;
        uint64_t digit = (uint64_t)(isdigit((unsigned char)*at) ? *at - '0' : tolower((unsigned char)*at) - 'a' + 10);
        value.lanes[1] = value.lanes[1] << 4 | value.lanes[0] >> 60;
        value.lanes[0] = value.lanes[0] << 4 | digit;
    }
    *ret_value = value;
    return true;
}

static void write_v128(struct buf *out, const union cell *value)
{
    buf_printf(out, "0x%016" PRIx64 "%016" PRIx64, value->lanes[1], value->lanes[0]);
}

/* ---- references ---- */

static bool parse_null(const char *text, union cell *ret_value)
{
    ret_value->u64 = 0;
    return strcmp(text, "null") == 0;
}

static void write_kind(struct buf *out, const char *kind, const union cell *value)
{
    const char *text = value->u64 ? kind : "null";
    buf_append(out, text, strlen(text));
}

/* An odd reference is no object (image/heap.h). */
static void write_any(struct buf *out, const union cell *value)
{
    write_kind(out, value->u64 & 1 ? "i31" : "object", value);
}

/* ---- types ---- */

static const struct type {
    const char *name, *kind; /* `kind`: of a reference that is not null; NULL: `write` says it */
    bool (*parse)(const char *text, union cell *ret_value);
    void (*write)(struct buf *out, const union cell *value);
} types[IMAGE_TYPE_NEVER_NULL] = {
    [WASM_I32] = {"i32", NULL, parse_i32, write_i32},
    [WASM_I64] = {"i64", NULL, parse_i64, write_i64},
    [WASM_F32] = {"f32", NULL, parse_f32, write_f32},
    [WASM_F64] = {"f64", NULL, parse_f64, write_f64},
    [WASM_V128] = {"v128", NULL, parse_v128, write_v128},
#define REF(heap, name, kind) [(heap) & 0x7f] = {name, kind, parse_null, NULL}
    REF(HEAP_FUNC, "func", "function"),
    REF(HEAP_NOFUNC, "nullfunc", "function"),
    REF(HEAP_EXTERN, "extern", "external value"),
    REF(HEAP_NOEXTERN, "nullextern", "external value"),
    REF(HEAP_NONE, "null", "object"),
    REF(HEAP_I31, "i31", "i31"),
    REF(HEAP_STRUCT, "struct", "structure"),
    REF(HEAP_ARRAY, "array", "array"),
    REF(HEAP_EXN, "exn", "exception"),
    REF(HEAP_NOEXN, "nullexn", "exception"),
#undef REF
    [HEAP_ANY & 0x7f] = {"any", NULL, parse_null, write_any},
    [HEAP_EQ & 0x7f] = {"eq", NULL, parse_null, write_any},
};

static const struct type *type_of(uint8_t code)
{
    const struct type *type = &types[code % IMAGE_TYPE_NEVER_NULL];
    return type->name ? type : NULL;
}

bool value_parse(uint8_t code, const char *text, union cell *ret_value)
{
    const struct type *type = type_of(code);
    union cell value = {0};
    if (!type || code & IMAGE_TYPE_NEVER_NULL || !type->parse(text, &value))
        return false;
    *ret_value = value;
    return true;
}

void value_write(struct buf *out, uint8_t code, const union cell *value)
{
    const struct type *type = type_of(code);
    if (type && type->write)
        type->write(out, value);
    else
        write_kind(out, type ? type->kind : "unknown", value);
}

void value_type_name(uint8_t code, char text[VALUE_TYPE_BYTES])
{
    const struct type *type = type_of(code);
    const char *name = type ? type->name : "unknown";
    bool reference = type && type->parse == parse_null;
    bool never_null = reference && code & IMAGE_TYPE_NEVER_NULL;
    snprintf(text, VALUE_TYPE_BYTES, "%s%s%s", never_null ? "(ref " : "", name,
             never_null  ? ")"
             : reference ? "ref"
                         : "");
}

static void write_types(struct buf *out, const uint8_t *codes, uint32_t count)
{
    buf_append(out, "(", 1);
    for (uint32_t i = 0; i < count; i++) {
        char type[VALUE_TYPE_BYTES];
        value_type_name(codes[i], type);
        buf_printf(out, "%s%s", i ? ", " : "", type);
    }
    buf_append(out, ")", 1);
}

void value_signature(const uint8_t *codes, uint32_t params, uint32_t results, char *text, size_t size)
{
    struct buf out;
    buf_init(&out, 65536);
    write_types(&out, codes, params);
    buf_append(&out, " -> ", 4);
    write_types(&out, codes + params, results);
    snprintf(text, size, "%.*s", (int)out.size, out.size ? (const char *)out.data : "");
    if (out.size >= size)
        memcpy(text + size - 4, "...", 4);
    buf_free(&out);
}
