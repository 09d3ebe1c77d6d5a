/* mayfly inspect on hostile bytes: truncated and mutated modules, components and images, and allocations that fail.
 * What comes out is a complete error or a whole report: JSON that parses, or text that cannot drive a terminal. Run
 * under AddressSanitizer to see that nothing else is read. MUTATE_SEED repeats a run, MUTATE_COUNT lengthens it. */
#include "cli/inspect.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "compile/build.h"
#include "image/format.h"
#include "support/mutate.h"
#include "support/standin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OUT_MAX ((size_t)64 << 20)

static unsigned good, refused;

/* No control character but the newline; UTF-8 as a whole, which leaves out the single bytes of C1. */
static void expect_harmless(const struct buf *out)
{
    assert_true(out->size > 0 && utf8_valid(out->data, out->size));
    for (size_t i = 0; i < out->size; i++) {
        assert_true(out->data[i] == '\n' || (out->data[i] >= 0x20 && out->data[i] != 0x7f));
        assert_false(out->data[i] == 0xc2 && out->data[i + 1] < 0xa0);
    }
}

/* A reader of JSON that knows only what is well-formed (RFC 8259). */
struct parser {
    const char *at, *end;
};

static void blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n'))
        p->at++;
}

static bool take(struct parser *p, const char *text)
{
    bool there = (size_t)(p->end - p->at) >= strlen(text) && memcmp(p->at, text, strlen(text)) == 0;
    p->at += there ? strlen(text) : 0;
    return there;
}

static void string_(struct parser *p)
{
    assert_true(take(p, "\""));
    while (p->at < p->end && *p->at != '"') {
        assert_true((unsigned char)*p->at >= 0x20 && *p->at != 0x7f);
        if (*p->at++ != '\\')
            continue;
        assert_true(p->at < p->end && strchr("\"\\ntu", *p->at) != NULL);
        for (int i = 0; *p->at == 'u' && i < 4; i++)
            assert_true(p->at + 1 + i < p->end && strchr("0123456789abcdef", p->at[1 + i]) != NULL);
        p->at += *p->at == 'u' ? 5 : 1;
    }
    assert_true(take(p, "\""));
}

static void value(struct parser *p);

static void members(struct parser *p, const char *end, bool named)
{
    blanks(p);
    if (take(p, end))
        return;
    do {
        blanks(p);
        if (named) {
            string_(p);
            assert_true(take(p, ": "));
        }
        value(p);
        blanks(p);
    } while (take(p, ","));
    assert_true(take(p, end));
}

static void value(struct parser *p)
{
    blanks(p);
    if (take(p, "{")) {
        members(p, "}", true);
    } else if (take(p, "[")) {
        members(p, "]", false);
    } else if (p->at < p->end && *p->at == '"') {
        string_(p);
    } else if (!take(p, "true") && !take(p, "false") && !take(p, "null")) {
        assert_true(p->at < p->end && *p->at >= '0' && *p->at <= '9');
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
            p->at++;
    }
}

static void expect_json(const struct buf *out)
{
    struct parser p = {(const char *)out->data, (const char *)out->data + out->size};
    assert_true(utf8_valid(out->data, out->size));
    value(&p);
    blanks(&p);
    assert_ptr_equal(p.at, p.end);
}

/* On a copy that ends where its block ends, so that reading past it is seen. */
static enum err_kind feed(const uint8_t *bytes, size_t size, enum inspect_form form)
{
    struct err err = {.kind = ERR_NONE, .offset = ERR_NO_OFFSET};
    struct buf out;
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    buf_init(&out, OUT_MAX);
    bool done = inspect_bytes("the\x1b[31mfile", copy, size, form, &out, &err);
    if (done && form == INSPECT_JSON)
        expect_json(&out);
    if (done && form != INSPECT_JSON)
        expect_harmless(&out);
    if (!done && (err.kind == ERR_NONE || !err.message[0] || (err.offset != ERR_NO_OFFSET && err.offset > size)))
        fail_msg("an incomplete error: %d `%s` at %llx", err.kind, err.message, (unsigned long long)err.offset);
    buf_free(&out);
    free(copy);
    good += done;
    refused += !done;
    return done ? ERR_NONE : err.kind;
}

static void feed_all(const uint8_t *bytes, size_t size)
{
    for (enum inspect_form form = INSPECT_PEOPLE; form <= INSPECT_WIT; form++)
        feed(bytes, size, form);
}

/* --- inputs --- */

static struct buf read_file(const char *path)
{
    char full[1024];
    struct buf bytes;
    buf_init(&bytes, (size_t)16 << 20);
    snprintf(full, sizeof full, "%s/%s", SOURCE_DIR, path);
    FILE *file = fopen(full, "rb");
    if (!file)
        fail_msg("no %s", full);
    for (uint8_t block[4096];;) {
        size_t size = fread(block, 1, sizeof block, file);
        if (!size)
            break;
        assert_true(buf_append(&bytes, block, size));
    }
    fclose(file);
    return bytes;
}

static struct buf make_image(bool open)
{
    struct err err = {0};
    struct buf source = read_file("tests/contract/fixtures/callee.wasm"), image;
    const struct compile_options options = {.opt_level = 2, .open = open};
    buf_init(&image, (size_t)64 << 20);
    if (!compile_build(source.data, source.size, &options, standin_generate, &image, &err))
        fail_msg("%s", err.message);
    buf_free(&source);
    return image;
}

/* A module whose every name is hostile, with something of each list in the report. */
static const uint8_t hostile[] = {
    0,    'a',  's', 'm',  1,    0,    0,    0,    1,    4,   1,   0x60, 0,    0,   2,    13,  1,    4,
    0x1b, '[',  '2', 'J',  4,    '"',  '\\', 0xc2, 0x9b, 0,   0,   3,    2,    1,   0,    4,   4,    1,
    0x70, 0,    1,   5,    4,    1,    1,    1,    2,    6,   6,   1,    0x7f, 1,   0x41, 0,   0x0b, 7,
    10,   1,    6,   0xe2, 0x80, 0xae, '\r', '\n', 'x',  0,   1,   8,    1,    1,   10,   4,   1,    2,
    0,    0x0b, 0,   18,   9,    'p',  'r',  'o',  'd',  'u', 'c', 'e',  'r',  's', 1,    1,   '\t', 1,
    1,    0x7f, 1,   'v',  0,    10,   4,    'n',  'a',  'm', 'e', 0,    3,    2,   0x1b, 'c',
};

static const char *const components[] = {
    "tests/component/fixtures/plain.wasm", "tests/component/fixtures/shim.wasm",
    "tests/component/fixtures/pair.wasm",  "tests/component/fixtures/resource.wasm",
    "tests/component/fixtures/types.wasm", "tests/component/fixtures/async.wasm",
};
#define COMPONENT_COUNT (sizeof components / sizeof *components)

/* --- tests --- */

static void whole(void **state)
{
    (void)state;
    assert_int_equal(feed(hostile, sizeof hostile, INSPECT_PEOPLE), ERR_NONE);
    assert_int_equal(feed(hostile, sizeof hostile, INSPECT_JSON), ERR_NONE);
    assert_int_equal(feed(hostile, sizeof hostile, INSPECT_WIT), ERR_UNSUPPORTED);
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        struct buf bytes = read_file(components[i]);
        for (enum inspect_form form = INSPECT_PEOPLE; form <= INSPECT_WIT; form++)
            assert_int_equal(feed(bytes.data, bytes.size, form), ERR_NONE);
        buf_free(&bytes);
    }
    for (int open = 0; open < 2; open++) {
        struct buf image = make_image(open);
        assert_int_equal(feed(image.data, image.size, INSPECT_PEOPLE), ERR_NONE);
        assert_int_equal(feed(image.data, image.size, INSPECT_JSON), ERR_NONE);
        buf_free(&image);
    }
}

static void truncated(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof hostile; size++)
        feed_all(hostile, size);
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        struct buf bytes = read_file(components[i]);
        for (size_t size = 0; size < bytes.size; size++)
            feed_all(bytes.data, size);
        buf_free(&bytes);
    }
    struct buf image = make_image(true);
    for (size_t size = 0; size < image.size; size += size < 2048 ? 7 : 997)
        assert_int_not_equal(feed(image.data, size, INSPECT_PEOPLE), ERR_NONE);
    buf_free(&image);
}

static void mutated_modules(void **state)
{
    static struct corpus corpus;
    uint64_t first = mutate_seed();
    uint32_t count = mutate_count(2000, 40000);
    (void)state;
    good = refused = 0;
    for (int i = 0; i < 8; i++)
        corpus_add(&corpus, hostile, sizeof hostile, sizeof hostile);
    corpus_fill(&corpus, SOURCE_DIR, (size_t)128 << 10);
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(first + i);
        size_t size;
        uint8_t *bytes = mutate_any(&corpus, &dice, &size);
        assert_non_null(bytes);
        feed(bytes, size, i % 2 ? INSPECT_JSON : INSPECT_PEOPLE);
        free(bytes);
    }
    corpus_free(&corpus);
    print_message("%u reports, %u refused\n", good, refused);
}

static size_t edit(struct dice *dice, uint8_t *bytes, size_t size)
{
    for (uint32_t i = 0, edits = 1 + dice_roll(dice, 3); i < edits && size > 9; i++) {
        size_t at = 8 + dice_roll(dice, (uint32_t)size - 8);
        switch (dice_roll(dice, 3)) {
        case 0: bytes[at] = (uint8_t)dice_roll(dice, 256); break;
        case 1: bytes[at] ^= (uint8_t)(1u << dice_roll(dice, 8)); break;
        default: memmove(bytes + at, bytes + at + 1, size - at - 1); size--;
        }
    }
    return size;
}

/* Gentler: components, and the module above. */
static void mutated_a_little(void **state)
{
    uint64_t first = mutate_seed();
    uint32_t count = mutate_count(6000, 100000);
    struct buf all[COMPONENT_COUNT + 1];
    (void)state;
    good = refused = 0;
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        all[i] = read_file(components[i]);
    buf_init(&all[COMPONENT_COUNT], sizeof hostile);
    buf_append(&all[COMPONENT_COUNT], hostile, sizeof hostile);
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(first + i);
        const struct buf *from = &all[i % (COMPONENT_COUNT + 1)];
        uint8_t *bytes = malloc(from->size);
        assert_non_null(bytes);
        memcpy(bytes, from->data, from->size);
        feed(bytes, edit(&dice, bytes, from->size), (enum inspect_form)(i / (COMPONENT_COUNT + 1) % 3));
        free(bytes);
    }
    for (size_t i = 0; i <= COMPONENT_COUNT; i++)
        buf_free(&all[i]);
    print_message("%u reports, %u refused\n", good, refused);
}

static void seal(uint8_t *bytes, size_t size)
{
    struct image_header *header = (struct image_header *)bytes;
    uint8_t digest[32];
    memset(header->digest, 0, sizeof header->digest);
    sha256(bytes, size, digest);
    memcpy(header->digest, digest, sizeof digest);
}

/* Images with a right digest and numbers at random places. */
static void forged_images(void **state)
{
    static const uint64_t values[] = {0, 1, 7, 4095, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 40};
    uint64_t first = mutate_seed();
    uint32_t count = mutate_count(2000, 20000);
    struct buf images[] = {make_image(false), make_image(true)};
    (void)state;
    good = refused = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(first + i);
        const struct buf *from = &images[i % 2];
        uint64_t tables_end = ((const struct image_header *)from->data)->code_offset;
        uint8_t *bytes = malloc(from->size);
        assert_non_null(bytes);
        memcpy(bytes, from->data, from->size);
        uint64_t at = 16 + dice_roll(&dice, (uint32_t)tables_end - 24);
        memcpy(bytes + at / 4 * 4, &values[dice_roll(&dice, sizeof values / sizeof *values)],
               dice_roll(&dice, 2) ? 8 : 4);
        seal(bytes, from->size);
        feed(bytes, from->size, i / 2 % 2 ? INSPECT_JSON : INSPECT_PEOPLE);
        free(bytes);
    }
    buf_free(&images[0]);
    buf_free(&images[1]);
    print_message("%u reports, %u refused\n", good, refused);
}

/* Every allocation fails once: an error about memory or room, or the same answer where it was not needed. */
static void out_of_memory_with(const uint8_t *bytes, size_t size, enum inspect_form form)
{
    uint64_t before = mem_count();
    enum err_kind usual = feed(bytes, size, form);
    uint64_t count = mem_count() - before;
    for (uint64_t nth = 1; nth <= count; nth++) {
        mem_fail_at(nth);
        enum err_kind kind = feed(bytes, size, form);
        mem_fail_at(0);
        if (kind != ERR_MEMORY && kind != ERR_LIMIT && kind != usual)
            fail_msg("allocation %llu of %llu: kind %d", (unsigned long long)nth, (unsigned long long)count, kind);
    }
}

static void out_of_memory(void **state)
{
    (void)state;
#ifndef MAYFLY_ALLOC_CHECK
    print_message("skipped: this build cannot fail allocations\n");
    return;
#endif
    for (enum inspect_form form = INSPECT_PEOPLE; form <= INSPECT_WIT; form++) {
        out_of_memory_with(hostile, sizeof hostile, form);
        for (size_t i = 0; i < COMPONENT_COUNT; i++) {
            struct buf bytes = read_file(components[i]);
            out_of_memory_with(bytes.data, bytes.size, form);
            buf_free(&bytes);
        }
    }
    struct buf image = make_image(true);
    out_of_memory_with(image.data, image.size, INSPECT_PEOPLE);
    buf_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),           cmocka_unit_test(truncated),
        cmocka_unit_test(mutated_modules), cmocka_unit_test(mutated_a_little),
        cmocka_unit_test(forged_images),   cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
