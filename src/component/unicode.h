/* Code points, one at a time, in the encodings of strings (CanonicalABI.md, "load_string" and "store_string").
 * Readers of UTF-8 count on bytes that were found well-formed, but read nothing beyond the end in any case. */
#ifndef MAYFLY_COMPONENT_UNICODE_H
#define MAYFLY_COMPONENT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UTF16_TAG 0x80000000u /* of a length in latin1+utf16 */

static inline uint8_t *put_utf8(uint8_t *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (uint8_t)point;
    } else if (point < 0x800) {
        *to++ = (uint8_t)(0xc0 | point >> 6);
        *to++ = (uint8_t)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (uint8_t)(0xe0 | point >> 12);
        *to++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (point & 0x3f));
    } else {
        *to++ = (uint8_t)(0xf0 | point >> 18);
        *to++ = (uint8_t)(0x80 | (point >> 12 & 0x3f));
        *to++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (point & 0x3f));
    }
    return to;
}

/* Bytes that put_utf8 writes. */
static inline uint32_t utf8_size(uint32_t point)
{
    return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

static inline uint16_t get_unit(const uint8_t *at)
{
    uint16_t unit;
    memcpy(&unit, at, sizeof unit);
    return unit;
}

static inline uint8_t *put_unit(uint8_t *to, uint32_t unit)
{
    uint16_t narrow = (uint16_t)unit;
    memcpy(to, &narrow, sizeof narrow);
    return to + sizeof narrow;
}

static inline uint8_t *put_utf16(uint8_t *to, uint32_t point)
{
    if (point < 0x10000)
        return put_unit(to, point);
    to = put_unit(to, 0xd800 + ((point - 0x10000) >> 10));
    return put_unit(to, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

/* The code point at unit *i of `count`, which moves on; false: a surrogate without its partner. */
static inline bool next_utf16(const uint8_t *units, uint32_t count, uint32_t *i, uint32_t *ret_point)
{
    uint32_t unit = get_unit(units + 2 * (size_t)(*i)++);
    if (unit < 0xd800 || unit > 0xdfff) {
        *ret_point = unit;
        return true;
    }
    if (unit > 0xdbff || *i >= count)
        return false;
    uint32_t low = get_unit(units + 2 * (size_t)(*i)++);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    *ret_point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* The code point at byte *i of `size`, which moves on. */
static inline uint32_t next_utf8(const uint8_t *bytes, size_t size, size_t *i)
{
    uint8_t lead = bytes[(*i)++];
    uint32_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t point = lead & (more == 0 ? 0x7f : 0x3f >> more);
    for (; more > 0 && *i < size; more--)
        point = point << 6 | (bytes[(*i)++] & 0x3f);
    return point;
}

#endif
