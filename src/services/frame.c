/* See frame.h. */
#include "services/frame.h"

#include "base/alloc.h"

#define ROOM_MIN ((size_t)16384) /* that is read into at once */
#define KEPT_MAX ((size_t)65536) /* of a reader that is empty */

/* ---- writing ---- */

void frame_begin(struct frame_writer *writer, struct buf *out, size_t max)
{
    *writer = (struct frame_writer){.out = out, .start = out->size, .max = max};
    writer->failed = !buf_extend(out, FRAME_HEAD);
}

static size_t extent(const struct storage_value *value)
{
    switch (value->type) {
    case STORAGE_NULL: return 1;
    case STORAGE_INTEGER:
    case STORAGE_REAL: return 9;
    default: return 5 + value->bytes.len;
    }
}

void frame_add(struct frame_writer *writer, const struct storage_value *value)
{
    size_t size = extent(value), left = writer->max + FRAME_HEAD - (writer->out->size - writer->start);
    uint8_t *room = NULL;
    writer->failed |= writer->count == FRAME_VALUES_MAX || size > left;
    if (!writer->failed)
        room = buf_extend(writer->out, size);
    if (!room) {
        writer->failed = true;
        return;
    }
    writer->count++;
    room[0] = (uint8_t)value->type;
    if (size == 9 && value->type == STORAGE_INTEGER) {
        memcpy(room + 1, &value->integer, 8);
    } else if (size == 9 && value->type == STORAGE_REAL) {
        memcpy(room + 1, &value->real, 8);
    } else if (size > 1) {
        uint32_t length = (uint32_t)value->bytes.len;
        memcpy(room + 1, &length, 4);
        if (length)
            memcpy(room + 5, value->bytes.ptr, length);
    }
}

void frame_cancel(struct frame_writer *writer)
{
    writer->out->size = writer->start;
    writer->out->failed = writer->out->full = false;
}

bool frame_end(struct frame_writer *writer, uint32_t code, uint64_t id)
{
    uint32_t words[2] = {(uint32_t)(writer->out->size - writer->start - FRAME_HEAD), code},
             rest[2] = {writer->count, 0};
    if (writer->failed) {
        frame_cancel(writer);
        return false;
    }
    uint8_t *head = writer->out->data + writer->start;
    memcpy(head, words, 8);
    memcpy(head + 8, &id, 8);
    memcpy(head + 16, rest, 8);
    return true;
}

bool frame_write(struct buf *out, uint32_t code, uint64_t id, const struct storage_value *values, size_t count,
                 size_t max)
{
    struct frame_writer writer;
    frame_begin(&writer, out, max);
    for (size_t i = 0; i < count && !writer.failed; i++)
        frame_add(&writer, &values[i]);
    return frame_end(&writer, code, id);
}

/* ---- reading ---- */

static bool take(struct str *left, void *ret_bytes, size_t size)
{
    if (left->len < size)
        return false;
    memcpy(ret_bytes, left->ptr, size);
    *left = str_slice(*left, size, left->len);
    return true;
}

static bool take_value(struct str *left, struct storage_value *ret_value)
{
    uint8_t type;
    uint32_t size;
    if (!take(left, &type, 1))
        return false;
    ret_value->type = (enum storage_type)type;
    switch (type) {
    case STORAGE_NULL: return true;
    case STORAGE_INTEGER: return take(left, &ret_value->integer, 8);
    case STORAGE_REAL: return take(left, &ret_value->real, 8);
    case STORAGE_TEXT:
    case STORAGE_BLOB: break;
    default: return false;
    }
    if (!take(left, &size, 4) || left->len < size)
        return false;
    ret_value->bytes = str_slice(*left, 0, size);
    *left = str_slice(*left, size, left->len);
    return type == STORAGE_BLOB || utf8_valid(ret_value->bytes.ptr, size);
}

bool frame_values(const struct frame *frame, struct storage_value *ret_values)
{
    struct str left = frame->values;
    for (uint32_t i = 0; i < frame->count; i++)
        if (!take_value(&left, &ret_values[i]))
            return false;
    return left.len == 0;
}

bool frame_take(const struct frame *frame, struct storage_value **room, size_t *room_count)
{
    if (frame->count > *room_count) {
        void *larger = mem_resize(*room, frame->count, sizeof **room);
        if (!larger)
            return false;
        *room = larger;
        *room_count = frame->count;
    }
    return frame_values(frame, *room);
}

/* Size of the frame that begins there, with its head; 0 when that is not whole. */
static size_t size_of_next(const struct frame_reader *reader)
{
    uint32_t size;
    if (reader->end - reader->begin < FRAME_HEAD)
        return 0;
    memcpy(&size, reader->bytes + reader->begin, 4);
    return FRAME_HEAD + (size_t)size;
}

enum frame_got frame_next(struct frame_reader *reader, struct frame *ret_frame)
{
    size_t size = size_of_next(reader);
    uint32_t rest[2];
    if (size == 0)
        return FRAME_PART;
    const uint8_t *at = reader->bytes + reader->begin;
    memcpy(&ret_frame->code, at + 4, 4);
    memcpy(&ret_frame->id, at + 8, 8);
    memcpy(rest, at + 16, 8);
    ret_frame->count = rest[0];
    /* A value has a byte at least. */
    if (size - FRAME_HEAD > reader->max || rest[1] != 0 || rest[0] > FRAME_VALUES_MAX || rest[0] > size - FRAME_HEAD)
        return FRAME_BROKEN;
    if (reader->end - reader->begin < size)
        return FRAME_PART;
    ret_frame->values = (struct str){(const char *)at + FRAME_HEAD, size - FRAME_HEAD};
    reader->begin += size;
    return FRAME_WHOLE;
}

/* What is there moves to the front. */
static void close_up(struct frame_reader *reader)
{
    size_t left = reader->end - reader->begin;
    if (left && reader->begin)
        memmove(reader->bytes, reader->bytes + reader->begin, left);
    reader->begin = 0;
    reader->end = left;
    if (left == 0 && reader->capacity > KEPT_MAX)
        frame_reader_free(reader);
}

bool frame_room(struct frame_reader *reader, uint8_t **ret_room, size_t *ret_size)
{
    close_up(reader);
    size_t whole = size_of_next(reader), wanted = reader->end + ROOM_MIN;
    if (whole > wanted && whole <= FRAME_HEAD + reader->max)
        wanted = whole;
    if (wanted > reader->capacity) {
        uint8_t *bytes = mem_resize(reader->bytes, wanted, 1);
        if (!bytes)
            return false;
        reader->bytes = bytes;
        reader->capacity = wanted;
    }
    *ret_room = reader->bytes + reader->end;
    *ret_size = reader->capacity - reader->end;
    return true;
}

void frame_reader_free(struct frame_reader *reader)
{
    mem_free(reader->bytes);
    reader->bytes = NULL;
    reader->begin = reader->end = reader->capacity = 0;
}
