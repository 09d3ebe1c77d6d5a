/* Strings at the border: the guest's encoding on one side, UTF-8 on the host's (CanonicalABI.md,
 * "load_string" and "store_string").
 *
 * UTF-8 strings are checked and handed over as views. The other encodings are transcoded: into the arena when
 * lifting, into blocks of the guest's realloc when lowering, with the sequence of reallocations that the
 * specification prescribes.
 */
#include "component/canon.h"
#include "component/unicode.h"

/* --- lifting --- */

static bool latin1_string(struct canon *c, uint32_t at, uint32_t size, struct str *ret_string)
{
    void *room;
    if (!canon_range(c, at, size, 2) || !canon_array(c, 2, size + 1, &room))
        return false;
    uint8_t *to = room;
    for (uint32_t i = 0; i < size; i++)
        to = put_utf8(to, c->memory[at + i]);
    *ret_string = (struct str){room, (size_t)(to - (uint8_t *)room)};
    return true;
}

static bool utf16_string(struct canon *c, uint32_t at, uint32_t count, struct str *ret_string)
{
    void *room;
    uint64_t bytes = 2 * (uint64_t)count;
    if (bytes > CANON_LENGTH_MAX)
        return canon_trap_range(c, at, bytes, 2);
    if (!canon_range(c, at, bytes, 2) || !canon_array(c, 3, (size_t)count + 1, &room))
        return false;
    uint8_t *to = room;
    for (uint32_t i = 0, point; i < count;) {
        if (!next_utf16(c->memory + at, count, &i, &point))
            return canon_trap(c, "string is not UTF-16");
        to = put_utf8(to, point);
    }
    *ret_string = (struct str){room, (size_t)(to - (uint8_t *)room)};
    return true;
}

bool canon_string(struct canon *c, uint32_t at, uint32_t units, struct str *ret_string)
{
    uint32_t encoding = c->env->canon.encoding;
    if (encoding == ENCODING_UTF16 || (encoding == ENCODING_LATIN1_UTF16 && (units & UTF16_TAG)))
        return utf16_string(c, at, encoding == ENCODING_UTF16 ? units : units ^ UTF16_TAG, ret_string);
    if (units > CANON_LENGTH_MAX)
        return canon_trap_range(c, at, units, 1);
    if (encoding == ENCODING_LATIN1_UTF16)
        return latin1_string(c, at, units, ret_string);
    if (!canon_range(c, at, units, 1))
        return false;
    if (!utf8_valid(c->memory + at, units))
        return canon_trap(c, "string is not UTF-8");
    *ret_string = (struct str){(const char *)c->memory + at, units};
    return true;
}

/* --- lowering --- */

static bool shrink(struct canon *c, uint32_t *at, uint32_t old_size, uint32_t new_size)
{
    return new_size == old_size || canon_realloc(c, *at, old_size, 2, new_size, at);
}

static bool store_utf16(struct canon *c, struct str s, uint32_t *ret_at, uint32_t *ret_units)
{
    uint32_t at, worst = 2 * (uint32_t)s.len;
    if (!canon_realloc(c, 0, 0, 2, worst, &at))
        return false;
    uint8_t *to = c->memory + at;
    for (size_t i = 0; i < s.len;)
        to = put_utf16(to, next_utf8((const uint8_t *)s.ptr, s.len, &i));
    uint32_t size = (uint32_t)(to - (c->memory + at));
    if (!shrink(c, &at, worst, size))
        return false;
    *ret_at = at;
    *ret_units = size / 2;
    return true;
}

/* The first `done` units lie at `at` as Latin-1; the rest of `s`, from `from`, does not fit that. */
static bool widen(struct canon *c, struct str s, size_t from, uint32_t at, uint32_t done, uint32_t *ret_at,
                  uint32_t *ret_units)
{
    uint32_t worst = 2 * (uint32_t)s.len;
    if (!canon_realloc(c, at, (uint32_t)s.len, 2, worst, &at))
        return false;
    uint8_t *base = c->memory + at, *to = base + 2 * (size_t)done;
    for (uint32_t i = done; i-- > 0;)
        put_unit(base + 2 * (size_t)i, base[i]);
    while (from < s.len)
        to = put_utf16(to, next_utf8((const uint8_t *)s.ptr, s.len, &from));
    uint32_t size = (uint32_t)(to - base);
    if (!shrink(c, &at, worst, size))
        return false;
    *ret_at = at;
    *ret_units = size / 2 | UTF16_TAG;
    return true;
}

static bool store_latin1(struct canon *c, struct str s, uint32_t *ret_at, uint32_t *ret_units)
{
    uint32_t at, done = 0;
    if (!canon_realloc(c, 0, 0, 2, (uint32_t)s.len, &at))
        return false;
    for (size_t i = 0; i < s.len;) {
        size_t here = i;
        uint32_t point = next_utf8((const uint8_t *)s.ptr, s.len, &i);
        if (point >= 0x100)
            return widen(c, s, here, at, done, ret_at, ret_units);
        c->memory[at + done++] = (uint8_t)point;
    }
    if (!shrink(c, &at, (uint32_t)s.len, done))
        return false;
    *ret_at = at;
    *ret_units = done;
    return true;
}

static bool store_utf8(struct canon *c, struct str s, uint32_t *ret_at, uint32_t *ret_units)
{
    if (!canon_realloc(c, 0, 0, 1, (uint32_t)s.len, ret_at))
        return false;
    if (s.len)
        memcpy(c->memory + *ret_at, s.ptr, s.len);
    *ret_units = (uint32_t)s.len;
    return true;
}

bool canon_store_string(struct canon *c, uint8_t *to, struct str s)
{
    typedef bool store_fn(struct canon * c, struct str s, uint32_t *ret_at, uint32_t *ret_units);
    static store_fn *const stores[] = {
        [ENCODING_UTF8] = store_utf8, [ENCODING_UTF16] = store_utf16, [ENCODING_LATIN1_UTF16] = store_latin1};
    uint32_t at = 0, units = 0;
    if (s.len > CANON_LENGTH_MAX)
        return canon_trap(c, "result string of %zu bytes is too long", s.len);
    if (c->env->canon.encoding > ENCODING_LATIN1_UTF16)
        return canon_trap(c, "unknown string encoding");
    if (!stores[c->env->canon.encoding](c, s, &at, &units))
        return false;
    canon_store_u32(to, at);
    canon_store_u32(to + 4, units);
    return true;
}
