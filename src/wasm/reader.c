/* See reader.h. The slow paths of LEB128 are one loop for each signedness, told apart by width. */
#include "wasm/reader.h"

#include <stdarg.h>
#include <stdio.h>

const struct wasm_limit_info wasm_limit_infos[WASM_LIMIT_COUNT] = {
#define LIMIT(name, value, words) [WASM_LIMIT_##name] = {value, words},
    WASM_LIMITS(LIMIT)
#undef LIMIT
};

void reader_report(const struct reader *in, enum err_kind kind, const char *format, ...)
{
    char message[sizeof in->err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    err_at(in->err, kind, reader_offset(in), "%s", message);
}

void reader_report_limit(const struct reader *in, enum wasm_limit limit)
{
    const struct wasm_limit_info *info = &wasm_limit_infos[limit];
    reader_report(in, ERR_LIMIT, "more than %u %s", info->value, info->words);
}

void reader_report_end(const struct reader *in)
{
    reader_report(in, ERR_MALFORMED, "unexpected end");
}

/* Whether the bits of a number's last byte above its width are the ones they must be. */
static bool last_byte(struct reader *in, uint8_t byte, bool fits)
{
    if (byte & 0x80)
        return reader_fail(in, ERR_MALFORMED, "integer representation too long");
    return fits || reader_fail(in, ERR_MALFORMED, "integer too large");
}

static bool leb_unsigned(struct reader *in, unsigned width, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte;
        if (!reader_u8(in, &byte))
            return false;
        if (shift + 7 > width && !last_byte(in, byte, byte >> (width - shift) == 0))
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    *ret = value;
    return true;
}

static bool sign_fits(uint8_t byte, unsigned bits)
{
    int top = ((int8_t)(uint8_t)(byte << 1) >> 1) >> (bits - 1);
    return top == 0 || top == -1;
}

static bool leb_signed(struct reader *in, unsigned width, int64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte;
        if (!reader_u8(in, &byte))
            return false;
        if (shift + 7 > width && !last_byte(in, byte, sign_fits(byte, width - shift)))
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (byte & 0x40 && shift + 7 < 64)
                value |= UINT64_MAX << (shift + 7);
            break;
        }
    }
    *ret = (int64_t)value;
    return true;
}

bool reader_leb_u32(struct reader *in, uint32_t *ret)
{
    uint64_t value;
    if (!leb_unsigned(in, 32, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

bool reader_leb_s32(struct reader *in, int32_t *ret)
{
    int64_t value;
    if (!leb_signed(in, 32, &value))
        return false;
    *ret = (int32_t)value;
    return true;
}

bool reader_u64(struct reader *in, uint64_t *ret)
{
    return leb_unsigned(in, 64, ret);
}

bool reader_s33(struct reader *in, int64_t *ret)
{
    return leb_signed(in, 33, ret);
}

bool reader_s64(struct reader *in, int64_t *ret)
{
    return leb_signed(in, 64, ret);
}

bool reader_bytes(struct reader *in, size_t size, const uint8_t **ret)
{
    if (size > reader_left(in))
        return reader_fail(in, ERR_MALFORMED, "unexpected end: %zu bytes wanted, %zu left", size, reader_left(in));
    *ret = in->at;
    in->at += size;
    return true;
}

bool reader_window(struct reader *in, size_t size, struct reader *ret)
{
    const uint8_t *start;
    if (!reader_bytes(in, size, &start))
        return false;
    *ret = (struct reader){in->base, start, in->at, in->err};
    return true;
}

bool reader_name(struct reader *in, struct str *ret)
{
    uint32_t size;
    const uint8_t *bytes;
    if (!reader_u32(in, &size) || !reader_bytes(in, size, &bytes))
        return false;
    in->at = bytes;
    if (size > WASM_MAX_NAME_SIZE)
        return reader_limit(in, WASM_LIMIT_NAME_SIZE);
    if (!utf8_valid(bytes, size))
        return reader_fail(in, ERR_MALFORMED, "malformed UTF-8 encoding");
    in->at = bytes + size;
    *ret = (struct str){(const char *)bytes, size};
    return true;
}

bool reader_count(struct reader *in, enum wasm_limit limit, uint32_t *ret)
{
    uint32_t count;
    if (!reader_u32(in, &count))
        return false;
    if (count > reader_left(in))
        return reader_fail(in, ERR_MALFORMED, "unexpected end: %u items do not fit in %zu bytes", count,
                           reader_left(in));
    if (count > wasm_limit_infos[limit].value)
        return reader_limit(in, limit);
    *ret = count;
    return true;
}

static bool is_abstract(uint8_t code)
{
    return code >= (uint8_t)HEAP_EXN && code <= (uint8_t)HEAP_NOEXN;
}

static bool is_number(uint8_t code)
{
    return code >= WASM_V128 && code <= WASM_I32;
}

static bool type_index(struct reader *in, uint32_t *ret)
{
    int64_t index;
    struct reader ahead = *in;
    if (!reader_s33(&ahead, &index))
        return false;
    if (index < 0)
        return reader_fail(in, ERR_MALFORMED, "malformed heap type");
    if (index >= WASM_MAX_TYPES)
        return reader_fail(in, ERR_INVALID, "unknown type %lld", (long long)index);
    *ret = (uint32_t)index;
    in->at = ahead.at;
    return true;
}

bool reader_heaptype(struct reader *in, wasm_heaptype *ret)
{
    if (in->at == in->end)
        return reader_end(in);
    if (!is_abstract(*in->at))
        return type_index(in, ret);
    *ret = WASM_HEAP_ABSTRACT | *in->at++;
    return true;
}

enum { CODE_REF_NULL = 0x63, CODE_REF = 0x64, CODE_EMPTY = 0x40 };

bool reader_reftype(struct reader *in, wasm_valtype *ret)
{
    if (in->at == in->end)
        return reader_end(in);
    uint8_t code = *in->at;
    wasm_heaptype heap = WASM_HEAP_ABSTRACT | code;
    bool spelled = code == CODE_REF || code == CODE_REF_NULL;
    if (!spelled && !is_abstract(code))
        return reader_fail(in, ERR_MALFORMED, "malformed reference type 0x%02x", code);
    in->at++;
    if (spelled && !reader_heaptype(in, &heap))
        return false;
    *ret = WASM_REF | (code == CODE_REF ? 0 : WASM_NULLABLE) | heap;
    return true;
}

bool reader_valtype(struct reader *in, wasm_valtype *ret)
{
    if (in->at == in->end || !is_number(*in->at))
        return reader_reftype(in, ret);
    *ret = *in->at++;
    return true;
}

bool reader_storage(struct reader *in, wasm_valtype *ret)
{
    if (in->at == in->end || (*in->at != WASM_I8 && *in->at != WASM_I16))
        return reader_valtype(in, ret);
    *ret = *in->at++;
    return true;
}

bool reader_blocktype(struct reader *in, uint32_t *ret_index, wasm_valtype *ret_value)
{
    if (in->at == in->end)
        return reader_end(in);
    uint8_t code = *in->at;
    if (code < 0x40 || code >= 0x80) {
        *ret_value = WASM_BOT;
        return type_index(in, ret_index);
    }
    *ret_index = WASM_NO_INDEX;
    if (code != CODE_EMPTY)
        return reader_valtype(in, ret_value);
    *ret_value = WASM_BOT;
    in->at++;
    return true;
}
