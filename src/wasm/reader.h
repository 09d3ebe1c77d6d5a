/* Bounded reading of the binary format's primitives (core specification, section 5.2).
 *
 * A reader is a window [at, end) on the bytes of a module that start at `base`; nothing outside the
 * window is read. Every function returns false with the reader's `err` set (which may be NULL) and
 * leaves its out-parameter unchanged on failure. Offsets in errors count from `base`.
 */
#ifndef MAYFLY_WASM_READER_H
#define MAYFLY_WASM_READER_H

#include "base/err.h"
#include "base/str.h"
#include "wasm/limits.h"
#include "wasm/types.h"

struct reader {
    const uint8_t *base, *at, *end;
    struct err *err;
};

static inline uint32_t reader_offset(const struct reader *in)
{
    return (uint32_t)(in->at - in->base);
}

static inline size_t reader_left(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

/* Set the error at the reader's current offset. */
void reader_report(const struct reader *in, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
void reader_report_limit(const struct reader *in, enum wasm_limit limit) __attribute__((cold));
void reader_report_end(const struct reader *in) __attribute__((cold));

/* The same as expressions that are false, which the compiler can see. */
#define reader_fail(in, ...) (reader_report((in), __VA_ARGS__), false)
#define reader_limit(in, limit) (reader_report_limit((in), (limit)), false)
#define reader_end(in) (reader_report_end(in), false)

bool reader_leb_u32(struct reader *in, uint32_t *ret);
bool reader_leb_s32(struct reader *in, int32_t *ret);
bool reader_u64(struct reader *in, uint64_t *ret);
bool reader_s33(struct reader *in, int64_t *ret);
bool reader_s64(struct reader *in, int64_t *ret);

static inline bool reader_u8(struct reader *in, uint8_t *ret)
{
    if (in->at == in->end)
        return reader_end(in);
    *ret = *in->at++;
    return true;
}

/* The usual case, one byte, is decided here. */
static inline bool reader_u32(struct reader *in, uint32_t *ret)
{
    if (in->at != in->end && *in->at < 0x80) {
        *ret = *in->at++;
        return true;
    }
    return reader_leb_u32(in, ret);
}

static inline bool reader_s32(struct reader *in, int32_t *ret)
{
    if (in->at != in->end && *in->at < 0x80) {
        *ret = (int8_t)(uint8_t)(*in->at++ << 1) >> 1;
        return true;
    }
    return reader_leb_s32(in, ret);
}

/* A view of the next `size` bytes. */
bool reader_bytes(struct reader *in, size_t size, const uint8_t **ret);
/* The next `size` bytes as a window of their own. */
bool reader_window(struct reader *in, size_t size, struct reader *ret);
/* A length and that many bytes of UTF-8 (section 5.2.4). */
bool reader_name(struct reader *in, struct str *ret);
/* A count of things that take a byte at least, under a cap. */
bool reader_count(struct reader *in, enum wasm_limit limit, uint32_t *ret);

/* Types (section 5.3). Indices are only known to be under WASM_MAX_TYPES. */
bool reader_heaptype(struct reader *in, wasm_heaptype *ret);
bool reader_reftype(struct reader *in, wasm_valtype *ret);
bool reader_valtype(struct reader *in, wasm_valtype *ret);
/* A field's type: a value type, i8 or i16. */
bool reader_storage(struct reader *in, wasm_valtype *ret);
/* A block type: *ret_index is a type index, or WASM_NO_INDEX and *ret_value is the one result,
 * WASM_BOT for none. */
bool reader_blocktype(struct reader *in, uint32_t *ret_index, wasm_valtype *ret_value);

#endif
