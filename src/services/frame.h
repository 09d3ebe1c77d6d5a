/* Messages between a worker and the process of a store or database: frames on a stream.
 *
 *     size 4 | code 4 | id 8 | count 4 | zero 4 | values: `size` bytes
 *     a value: type 1 | integer or real 8, or length 4 and bytes
 *
 * in the machine's own order of bytes, because both ends run on it. A request's code is its operation, an answer's its
 * status (wasi/storage.h). Neither end believes the other: a worker runs guests, and the process of a database runs
 * their statements. Every size has a maximum, types and texts are checked, and what is wrong in one place ends the
 * connection: behind it nothing would be what it seems. */
#ifndef MAYFLY_SERVICES_FRAME_H
#define MAYFLY_SERVICES_FRAME_H

#include "base/buf.h"
#include "wasi/storage.h"

#define FRAME_HEAD 24u
#define FRAME_REQUEST_MAX ((size_t)16 << 20) /* bytes of values */
#define FRAME_ANSWER_MAX ((size_t)32 << 20)
#define FRAME_VALUES_MAX ((uint32_t)1 << 20)

struct frame {
    uint32_t code;
    uint64_t id;
    uint32_t count;
    struct str values; /* as they lie in the reader, until it is filled again */
};

/* A frame that is being written at the end of a buffer. */
struct frame_writer {
    struct buf *out;
    size_t start, max; /* bytes of values at most */
    uint32_t count;
    bool failed; /* more bytes or values than that, or no room for them */
};

void frame_begin(struct frame_writer *writer, struct buf *out, size_t max);
void frame_add(struct frame_writer *writer, const struct storage_value *value);
/* False, with nothing appended, when it failed. */
bool frame_end(struct frame_writer *writer, uint32_t code, uint64_t id);
/* Nothing was appended. */
void frame_cancel(struct frame_writer *writer);
/* All of it at once. */
bool frame_write(struct buf *out, uint32_t code, uint64_t id, const struct storage_value *values, size_t count,
                 size_t max);
/* The values of a frame, whose bytes stay where they are. False: they are malformed. `ret_values` has room for
 * `frame->count`. */
bool frame_values(const struct frame *frame, struct storage_value *ret_values);

/* The same into room that grows with the largest frame; `*room` (NULL at first) is the caller's to free. Also false: no
 * memory. */
bool frame_take(const struct frame *frame, struct storage_value **room, size_t *room_count);

/* Bytes that came and are not taken yet. */
struct frame_reader {
    uint8_t *bytes;
    size_t begin, end, capacity, max; /* `max`: of a frame's values */
};

enum frame_got { FRAME_WHOLE, FRAME_PART, FRAME_BROKEN };

/* The next frame, which is taken. FRAME_PART: more bytes are needed. */
enum frame_got frame_next(struct frame_reader *reader, struct frame *ret_frame);
/* Room for what comes next, as much as the frame that begins there still lacks. False: no memory. Frames that were
 * given out are gone. */
bool frame_room(struct frame_reader *reader, uint8_t **ret_room, size_t *ret_size);
static inline void frame_came(struct frame_reader *reader, size_t size)
{
    reader->end += size;
}
void frame_reader_free(struct frame_reader *reader);

#endif
