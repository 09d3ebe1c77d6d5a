/* See transcode.h. The order of allocations is the specification's, because guests see it: a first guess at the size,
 * room for the worst case when that was wrong, and what is too much given back.
 *
 * The source is read after guest code ran in realloc. If that code can write to it (both sides share a memory), what
 * was found well-formed need not be so any more: readers stop at the end and decode whatever is there, and writers keep
 * to their room by the sizes that they were given, not by what they decode (`struct sink`).
 *
 * Strings may have 256 MiB: work is done in chunks, between which the guest's deadline counts.
 */
#include "component/transcode.h"

#include "component/canon.h"
#include "component/unicode.h"
#include "runtime/trap.h"

#define CHUNK 65536u /* units or bytes */

enum units { UNITS_UTF8, UNITS_UTF16, UNITS_LATIN1 };

struct source {
    const uint8_t *bytes;
    uint32_t count; /* of units */
    enum units units;
};

/* Room in the target's memory that is being filled. */
struct sink {
    uint8_t *at, *end;
};

struct transcoding {
    struct canon from, to;
    struct source source;
    uint32_t at, length; /* the result: pointer, and units with the tag bit */
};

/* ---- the source ---- */

/* May the work go on at unit `i`? Asked at every character, of up to four units, it looks once or more per chunk. */
static bool goes_on(const struct transcoding *t, uint32_t i)
{
    return i % CHUNK >= 4 || guest_goes_on(t->from.store);
}

static bool not_valid(struct transcoding *t)
{
    return canon_trap(&t->from, t->source.units == UNITS_UTF8 ? "string is not UTF-8" : "string is not UTF-16");
}

/* In chunks that end between characters. */
static bool check_utf8(struct transcoding *t)
{
    const uint8_t *at = t->source.bytes, *end = at + t->source.count;
    while (at < end) {
        size_t size = (size_t)(end - at) < CHUNK ? (size_t)(end - at) : CHUNK;
        for (int back = 0; back < 3 && at + size < end && (at[size] & 0xc0) == 0x80; back++)
            size--;
        if (!utf8_valid(at, size))
            return not_valid(t);
        at += size;
        if (!guest_goes_on(t->from.store))
            return false;
    }
    return true;
}

static bool check_utf16(struct transcoding *t)
{
    for (uint32_t i = 0, point; i < t->source.count;) {
        if (!goes_on(t, i))
            return false;
        if (!next_utf16(t->source.bytes, t->source.count, &i, &point))
            return not_valid(t);
    }
    return true;
}

static bool open_source(struct transcoding *t, uint32_t at, uint32_t length)
{
    struct canon *c = &t->from;
    uint32_t encoding = c->env->canon.encoding;
    bool tagged = encoding == ENCODING_LATIN1_UTF16 && (length & UTF16_TAG);
    t->source.units = encoding == ENCODING_UTF8              ? UNITS_UTF8
                      : tagged || encoding == ENCODING_UTF16 ? UNITS_UTF16
                                                             : UNITS_LATIN1;
    t->source.count = tagged ? length ^ UTF16_TAG : length;
    uint64_t bytes = (uint64_t)t->source.count * (t->source.units == UNITS_UTF16 ? 2 : 1);
    if (bytes > CANON_LENGTH_MAX)
        return canon_trap_range(c, at, bytes, 1);
    if (!canon_range(c, at, bytes, encoding == ENCODING_UTF8 ? 1 : 2))
        return false;
    t->source.bytes = c->memory + at;
    return t->source.units == UNITS_UTF8 ? check_utf8(t) : t->source.units == UNITS_UTF16 ? check_utf16(t) : true;
}

/* The code point at unit *i, which moves on and stays within the source. What is not well-formed any more is some
 * code point. */
static uint32_t next_point(const struct source *source, uint32_t *i)
{
    uint32_t point = 0xfffd;
    size_t at = *i;
    switch (source->units) {
    case UNITS_LATIN1: return source->bytes[(*i)++];
    case UNITS_UTF16:
        if (!next_utf16(source->bytes, source->count, i, &point))
            point = 0xfffd;
        return point;
    default:
        point = next_utf8(source->bytes, source->count, &at);
        *i = (uint32_t)at;
        return point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ? 0xfffd : point;
    }
}

/* ---- the target ---- */

static struct sink sink_at(const struct transcoding *t, uint32_t done, uint32_t size)
{
    return (struct sink){t->to.memory + t->at + done, t->to.memory + t->at + size};
}

/* All of the source from unit `i` on. Stops where the room ends. False: the guest must end. */
static bool put_all_utf8(struct transcoding *t, uint32_t i, struct sink *sink)
{
    while (i < t->source.count) {
        if (!goes_on(t, i))
            return false;
        uint32_t point = next_point(&t->source, &i);
        if ((size_t)(sink->end - sink->at) < utf8_size(point))
            return true;
        sink->at = put_utf8(sink->at, point);
    }
    return true;
}

static bool put_all_utf16(struct transcoding *t, uint32_t i, struct sink *sink)
{
    while (i < t->source.count) {
        if (!goes_on(t, i))
            return false;
        uint32_t point = next_point(&t->source, &i);
        if (sink->end - sink->at < (point < 0x10000 ? 2 : 4))
            return true;
        sink->at = put_utf16(sink->at, point);
    }
    return true;
}

static bool allocate(struct transcoding *t, uint32_t align, uint32_t size)
{
    return canon_realloc(&t->to, 0, 0, align, size, &t->at);
}

/* A block that stays where realloc put it, of `size` bytes, is cut to what was used. */
static bool shrink(struct transcoding *t, uint32_t size, uint32_t align, uint32_t used)
{
    return used >= size || canon_realloc(&t->to, t->at, size, align, used, &t->at);
}

/* ---- one function for each pair of encodings ---- */

/* Units of the same width. */
static bool copy_units(struct transcoding *t, uint32_t align)
{
    uint32_t size = t->source.count * (t->source.units == UNITS_UTF16 ? 2 : 1);
    if (!allocate(t, align, size))
        return false;
    /* Where both sides share a memory the two may overlap: then all at once. */
    const uint8_t *from = t->source.bytes;
    uint8_t *to = t->to.memory + t->at;
    uint32_t chunk = to < from + size && from < to + size ? size : 16 * CHUNK;
    for (uint32_t done = 0, part; done < size; done += part) {
        part = size - done < chunk ? size - done : chunk;
        memmove(to + done, from + done, part);
        if (!guest_goes_on(t->from.store))
            return false;
    }
    t->length = t->source.count;
    return true;
}

static bool latin1_to_utf16(struct transcoding *t)
{
    if (!allocate(t, 2, 2 * t->source.count))
        return false;
    for (uint32_t i = 0; i < t->source.count; i++) {
        if (!goes_on(t, i))
            return false;
        put_unit(t->to.memory + t->at + 2 * (size_t)i, t->source.bytes[i]);
    }
    t->length = t->source.count;
    return true;
}

/* From UTF-16 or Latin-1: as long as the string is ASCII, a unit is a byte. */
static bool to_utf8(struct transcoding *t)
{
    uint32_t count = t->source.count, worst = count * (t->source.units == UNITS_UTF16 ? 3 : 2);
    if (!allocate(t, 1, count))
        return false;
    for (uint32_t i = 0; i < count;) {
        if (!goes_on(t, i))
            return false;
        uint32_t here = i, point = next_point(&t->source, &i);
        if (point >= 0x80) {
            if (!canon_realloc(&t->to, t->at, count, 1, worst, &t->at))
                return false;
            struct sink sink = sink_at(t, here, worst);
            if (!put_all_utf8(t, here, &sink))
                return false;
            t->length = (uint32_t)(sink.at - (t->to.memory + t->at));
            return shrink(t, worst, 1, t->length);
        }
        t->to.memory[t->at + here] = (uint8_t)point;
    }
    t->length = count;
    return true;
}

static bool utf8_to_utf16(struct transcoding *t)
{
    uint32_t worst = 2 * t->source.count;
    if (!allocate(t, 2, worst))
        return false;
    struct sink sink = sink_at(t, 0, worst);
    if (!put_all_utf16(t, 0, &sink))
        return false;
    uint32_t used = (uint32_t)(sink.at - (t->to.memory + t->at));
    t->length = used / 2;
    return shrink(t, worst, 2, used);
}

/* The first `done` characters lie in the target as Latin-1; the source from unit `i` on does not fit that. */
static bool widen(struct transcoding *t, uint32_t i, uint32_t done)
{
    uint32_t count = t->source.count, worst = 2 * count;
    if (!canon_realloc(&t->to, t->at, count, 2, worst, &t->at))
        return false;
    uint8_t *base = t->to.memory + t->at;
    for (uint32_t j = done; j-- > 0;)
        put_unit(base + 2 * (size_t)j, base[j]);
    struct sink sink = sink_at(t, 2 * done, worst);
    if (!put_all_utf16(t, i, &sink))
        return false;
    uint32_t used = (uint32_t)(sink.at - base);
    t->length = used / 2 | UTF16_TAG;
    return shrink(t, worst, 2, used);
}

static bool to_latin1_or_utf16(struct transcoding *t)
{
    uint32_t count = t->source.count, done = 0;
    if (!allocate(t, 2, count))
        return false;
    for (uint32_t i = 0; i < count;) {
        if (!goes_on(t, i))
            return false;
        uint32_t here = i, point = next_point(&t->source, &i);
        if (point >= 0x100)
            return widen(t, here, done);
        t->to.memory[t->at + done++] = (uint8_t)point;
    }
    t->length = done;
    return shrink(t, count, 2, done);
}

/* UTF-16 that is tagged as such in latin1+utf16 most likely does not fit Latin-1. */
static bool probably_utf16(struct transcoding *t)
{
    uint32_t count = t->source.count;
    bool wide = false;
    if (!copy_units(t, 2))
        return false;
    uint8_t *base = t->to.memory + t->at;
    for (uint32_t i = 0; i < count && !wide; i++) {
        if (!goes_on(t, i))
            return false;
        wide = get_unit(base + 2 * (size_t)i) >= 0x100;
    }
    if (wide) {
        t->length = count | UTF16_TAG;
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!goes_on(t, i))
            return false;
        base[i] = base[2 * (size_t)i];
    }
    return canon_realloc(&t->to, t->at, 2 * count, 1, count, &t->at);
}

static bool transcode(struct transcoding *t)
{
    enum units units = t->source.units;
    switch (t->to.env->canon.encoding) {
    case ENCODING_UTF8: return units == UNITS_UTF8 ? copy_units(t, 1) : to_utf8(t);
    case ENCODING_UTF16:
        return units == UNITS_UTF16 ? copy_units(t, 2) : units == UNITS_UTF8 ? utf8_to_utf16(t) : latin1_to_utf16(t);
    default:
        if (t->from.env->canon.encoding != ENCODING_LATIN1_UTF16)
            return to_latin1_or_utf16(t);
        return units == UNITS_LATIN1 ? copy_units(t, 2) : probably_utf16(t);
    }
}

static void open_side(struct canon *c, struct store *store, const struct canon_env *env)
{
    *c = (struct canon){.store = store, .env = env, .host = store->host, .handles = canon_handles(store, env)};
    if (env->canon.memory_off == UINT64_MAX)
        return;
    c->memory = (uint8_t *)store + env->canon.memory_off;
    canon_refresh(c);
}

bool fuse_string(struct store *store, const void *env, union cell *v)
{
    const struct canon_env *e = env;
    struct transcoding t = {0};
    open_side(&t.from, store, e);
    open_side(&t.to, store, e->peer);
    if (!open_source(&t, v[0].u32, v[1].u32) || !transcode(&t))
        return false;
    v[0].u32 = t.at;
    v[1].u32 = t.length;
    return guest_goes_on(store);
}
