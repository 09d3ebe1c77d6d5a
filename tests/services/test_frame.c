/* Frames: what is written is read, and what is malformed in any way is refused. */
#include "services/frame.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct storage_value sample[] = {
    {.type = STORAGE_NULL},
    {.type = STORAGE_INTEGER, .integer = INT64_MIN},
    {.type = STORAGE_REAL, .real = -0.5},
    {.type = STORAGE_TEXT,
     .bytes = {"gr\xc3\xbc\xc3\x9f"
               "e",
               7}},
    {.type = STORAGE_BLOB, .bytes = {"\0\xff", 2}},
    {.type = STORAGE_TEXT, .bytes = {"", 0}},
};
#define SAMPLES (sizeof sample / sizeof *sample)

static struct buf write_sample(void)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_true(frame_write(&out, 7, 0x1122334455667788, sample, SAMPLES, 1 << 19));
    return out;
}

/* Give the reader `size` bytes. */
static void feed(struct frame_reader *reader, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (size) {
        uint8_t *room;
        size_t part;
        assert_true(frame_room(reader, &room, &part));
        part = part < size ? part : size;
        memcpy(room, from, part);
        frame_came(reader, part);
        from += part;
        size -= part;
    }
}

static void check_sample(const struct frame *frame)
{
    struct storage_value values[SAMPLES];
    assert_int_equal(frame->code, 7);
    assert_true(frame->id == 0x1122334455667788);
    assert_int_equal(frame->count, SAMPLES);
    assert_true(frame_values(frame, values));
    for (size_t i = 0; i < SAMPLES; i++)
        assert_int_equal(values[i].type, sample[i].type);
    assert_true(values[1].integer == INT64_MIN && values[2].real == -0.5);
    for (size_t i = 3; i < SAMPLES; i++)
        assert_true(str_eq(values[i].bytes, sample[i].bytes));
}

static void test_there_and_back(void **state)
{
    struct buf out = write_sample();
    struct frame_reader reader = {.max = 1 << 19};
    struct frame frame;
    for (unsigned i = 0; i < 3; i++)
        feed(&reader, out.data, out.size);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(frame_next(&reader, &frame), FRAME_WHOLE);
        check_sample(&frame);
    }
    assert_int_equal(frame_next(&reader, &frame), FRAME_PART);
    frame_reader_free(&reader);
    buf_free(&out);
}

/* Byte by byte. */
static void test_parts(void **state)
{
    struct buf out = write_sample();
    struct frame_reader reader = {.max = 1 << 19};
    struct frame frame;
    for (size_t i = 0; i < out.size; i++) {
        assert_int_equal(frame_next(&reader, &frame), FRAME_PART);
        feed(&reader, out.data + i, 1);
    }
    assert_int_equal(frame_next(&reader, &frame), FRAME_WHOLE);
    check_sample(&frame);
    frame_reader_free(&reader);
    buf_free(&out);
}

/* Values that do not fit are not written in part. */
static void test_maxima(void **state)
{
    struct buf out;
    buf_init(&out, 1000);
    assert_false(frame_write(&out, 1, 1, sample, SAMPLES, 42)); /* they take 43 bytes */
    assert_int_equal(out.size, 0);
    assert_true(frame_write(&out, 1, 1, sample, SAMPLES, 43));
    size_t size = out.size;
    for (unsigned i = 0; frame_write(&out, 1, i, sample, SAMPLES, 100); i++)
        size = out.size;
    assert_int_equal(out.size, size);
    assert_false(out.failed);
    buf_free(&out);
    struct storage_value *many = test_calloc(FRAME_VALUES_MAX + 1, sizeof *many);
    buf_init(&out, (size_t)4 << 20);
    assert_true(frame_write(&out, 1, 1, many, FRAME_VALUES_MAX, (size_t)2 << 20));
    assert_false(frame_write(&out, 1, 1, many, FRAME_VALUES_MAX + 1, (size_t)2 << 20));
    test_free(many);
    buf_free(&out);
}

static enum frame_got got_of(const struct buf *out, size_t max)
{
    struct frame_reader reader = {.max = max};
    struct frame frame;
    struct storage_value values[SAMPLES + 1];
    feed(&reader, out->data, out->size);
    enum frame_got got = frame_next(&reader, &frame);
    if (got == FRAME_WHOLE && (frame.count > SAMPLES + 1 || !frame_values(&frame, values)))
        got = FRAME_BROKEN;
    frame_reader_free(&reader);
    return got;
}

static void test_malformed(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } rows[] = {
        {3, 0x7f},                 /* a size over the maximum */
        {16, SAMPLES + 1},         /* a value more than there are */
        {16, SAMPLES - 1},         /* bytes behind the last */
        {18, 0x20},                /* more values than any frame has */
        {20, 1},                   /* what is zero */
        {FRAME_HEAD, 5},           /* no type */
        {FRAME_HEAD + 1 + 9 + 9 + 1, 8}, /* a length that leads into the next value */
        {FRAME_HEAD + 1 + 9 + 9 + 4, 0xff}, /* and one behind the end */
        {FRAME_HEAD + 1 + 9 + 9 + 5 + 3, 'x'}, /* half of a character */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = write_sample();
        assert_int_equal(got_of(&out, 1 << 19), FRAME_WHOLE);
        out.data[rows[i].at] = rows[i].byte;
        if (got_of(&out, 1 << 19) != FRAME_BROKEN)
            fail_msg("row %zu is taken", i);
        buf_free(&out);
    }
    struct buf out = write_sample();
    assert_int_equal(got_of(&out, 42), FRAME_BROKEN);
    buf_free(&out);
}

/* Memory that cannot be had is an answer. */
static void test_no_memory(void **state)
{
    struct frame_reader reader = {.max = 1 << 19};
    struct buf out;
    uint8_t *room;
    size_t size;
    buf_init(&out, 1000);
    mem_fail_at(1);
    assert_false(frame_room(&reader, &room, &size));
    assert_false(frame_write(&out, 1, 1, sample, SAMPLES, 500));
    mem_fail_at(0);
    assert_int_equal(out.size, 0);
    assert_true(frame_room(&reader, &room, &size));
    assert_true(frame_write(&out, 1, 1, sample, SAMPLES, 500));
    frame_reader_free(&reader);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_parts),     cmocka_unit_test(test_maxima),
        cmocka_unit_test(test_malformed),      cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
