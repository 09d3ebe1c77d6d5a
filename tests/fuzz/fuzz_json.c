/* Fuzz target: JSON of strangers. What one reader takes, another takes too; and whatever a server says of itself,
 * `mayfly top` prints text without control characters. */
#include "fuzz/fuzz.h"

#include "base/json_read.h"
#include "cli/top.h"

#include <jansson.h>

static void found(void *arg, const struct json_read_value *value)
{
    (void)arg;
    FUZZ_CHECK(value->path.len <= JSON_READ_PATH && value->text.len <= JSON_READ_TEXT);
    FUZZ_CHECK(value->kind == JSON_READ_STRING || value->text.len == 0);
}

static void check_printed(const struct buf *text)
{
    FUZZ_CHECK(!text->failed);
    for (size_t i = 0; i < text->size; i++)
        FUZZ_CHECK(text->data[i] == '\n' || (text->data[i] >= 0x20 && text->data[i] != 0x7f));
}

/* The other one refuses more (bytes that are not UTF-8, halves of pairs, NUL in names, numbers that are too large), but
 * no text as cut off that this one takes; and of what it takes, this one refuses only what is too deep or has a path
 * that is too long. */
static void compare(struct str text)
{
    json_error_t error;
    bool taken = json_read(text, found, NULL);
    json_t *other = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    FUZZ_CHECK(!taken || other || json_error_code(&error) != json_error_premature_end_of_input);
    FUZZ_CHECK(taken || !other || text.len > JSON_READ_DEPTH);
    json_decref(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct top_reading reading;
    struct buf text;
    uint8_t *copy = fuzz_copy(data, size);
    struct str input = {(const char *)copy, size};
    compare(input);
    if (top_parse(input, &reading)) {
        buf_init(&text, (size_t)1 << 24);
        top_print(&text, &reading, 1000000000);
        check_printed(&text);
        text.size = 0;
        top_print_json(&text, &reading, 1000000000);
        check_printed(&text);
        buf_free(&text);
    }
    free(copy);
    return 0;
}
