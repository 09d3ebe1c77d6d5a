/* The base room: arenas, buffers, maps, strings, digests, failing allocations. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/sha256.h"
#include "base/sha256_blocks.h"
#include "base/text.h"
#include "base/vec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static void arenas_give_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    char *a = arena_alloc(&arena, 3), *b = arena_alloc(&arena, 100000);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 16, 0);
    assert_int_equal((uintptr_t)b % 16, 0);
    assert_int_equal(b[99999], 0);
    assert_non_null(arena_alloc(&arena, 0));
    memset(a, 1, 3);
    arena_reset(&arena);
    char *again = arena_alloc(&arena, 3);
    assert_ptr_equal(again, a);
    assert_int_equal(again[0], 0);
    arena_free(&arena);
}

static void arenas_keep_their_maximum(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    assert_non_null(arena_alloc(&arena, 4096));
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    arena_free(&arena);
    assert_null(arena_alloc(&arena, 4097));
    arena_free(&arena);
}

static void buffers_keep_their_maximum(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    assert_true(buf_append(&buf, "0123456789", 10));
    assert_true(buf_align(&buf, 16));
    assert_int_equal(buf.size, 16);
    assert_int_equal(buf.data[15], 0);
    assert_true(buf_printf(&buf, "%d-%s", 7, "x"));
    assert_memory_equal(buf.data + 16, "7-x", 3);
    assert_non_null(buf_extend(&buf, 81));
    assert_false(buf_append(&buf, "y", 1));
    assert_true(buf.failed);
    assert_int_equal(buf.size, 100);
    buf_free(&buf);
}

/* Also one that is smaller than the first block. */
static void small_buffers_keep_their_maximum(void **state)
{
    (void)state;
    for (size_t max = 0; max < 80; max++) {
        struct buf buf;
        buf_init(&buf, max);
        for (size_t i = 0; i < max; i++)
            assert_true(buf_append(&buf, "x", 1));
        assert_false(buf_append(&buf, "abc", 3));
        assert_false(buf_printf(&buf, "%060d", 1));
        assert_int_equal(buf.size, max);
        buf_free(&buf);
    }
}

static void maps_find_what_was_put(void **state)
{
    (void)state;
    struct map map = {0};
    static char keys[2000][8];
    for (uint32_t i = 0; i < 2000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i);
        assert_true(map_put(&map, str_of(keys[i]), i));
    }
    assert_true(map_put(&map, STR("k7"), 70000));
    assert_int_equal(map.count, 2000);
    uint32_t value = 0;
    assert_true(map_get(&map, STR("k1999"), &value));
    assert_int_equal(value, 1999);
    assert_true(map_get(&map, STR("k7"), &value));
    assert_int_equal(value, 70000);
    assert_false(map_get(&map, STR("k2000"), &value));
    assert_true(map_put(&map, STR(""), 5));
    assert_true(map_get(&map, (struct str){NULL, 0}, &value));
    map_free(&map);
}

static void utf8_is_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "abcdefghijk", "\xc2\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "a\xe2\x82\xac"};
    static const char *const bad[] = {"\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
                                      "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf",
                                      "abcdefgh\xff", "\xe2\x82"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

/* The examples of FIPS 180-4's validation: "abc", and a million times "a". */
static void expect_shown(bool (*put)(struct buf *, struct str), struct str text, const char *expected)
{
    struct buf buf;
    buf_init(&buf, 4096);
    assert_true(put(&buf, text));
    assert_true(buf_append(&buf, "", 1));
    assert_string_equal((const char *)buf.data, expected);
    buf_free(&buf);
}

static void text_of_strangers_is_escaped(void **state)
{
    (void)state;
    char longer[TEXT_NAME_MAX + 2], expected[TEXT_NAME_MAX + 32];
    expect_shown(text_show, STR("a\"\\b \xc3\xa4 \xf0\x9f\x90\x9f"), "a\"\\b \xc3\xa4 \xf0\x9f\x90\x9f");
    expect_shown(text_show, STR("\x1b[2J\r\n\x7f\0"), "\\x1b[2J\\x0d\\x0a\\x7f\\x00");
    expect_shown(text_show, STR("\xc2\x9b\xe2\x80\xae\xef\xbb\xbf\xf3\xa0\x81\x81"),
                 "\\u{9b}\\u{202e}\\u{feff}\\u{e0041}");
    expect_shown(text_show, STR("\xff\xc3(\xed\xa0\x80\xe2\x80"), "\\xff\\xc3(\\xed\\xa0\\x80\\xe2\\x80");
    expect_shown(text_quote, STR("a\"\\b"), "\"a\\\"\\\\b\"");
    expect_shown(text_quote, STR(""), "\"\"");
    memset(longer, 'x', sizeof longer);
    snprintf(expected, sizeof expected, "\"%.*s\"", (int)TEXT_NAME_MAX, longer);
    expect_shown(text_quote, (struct str){longer, TEXT_NAME_MAX}, expected);
    snprintf(expected, sizeof expected, "\"%.*s\"... (%u bytes)", (int)TEXT_NAME_MAX, longer, TEXT_NAME_MAX + 1);
    expect_shown(text_quote, (struct str){longer, TEXT_NAME_MAX + 1}, expected);
}

static void sha256_gives_the_standard_digests(void **state)
{
    (void)state;
    static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf}, million[4] = {0xcd, 0xc7, 0x6e, 0x5c};
    uint8_t digest[32];
    struct sha256 hash;
    sha256("abc", 3, digest);
    assert_memory_equal(digest, abc, 4);
    sha256_init(&hash);
    for (int i = 0; i < 1000000; i++)
        sha256_add(&hash, "a", 1);
    sha256_finish(&hash, digest);
    assert_memory_equal(digest, million, 4);
}

static void allocations_fail_on_request(void **state)
{
    (void)state;
    VEC(int) numbers = {0};
    mem_fail_at(2);
    void *first = mem_alloc(1, 8);
    assert_non_null(first);
    assert_null(mem_alloc(1, 8));
    assert_null(VEC_PUSH(&numbers, 10));
    mem_fail_at(0);
    assert_null(mem_alloc(SIZE_MAX, 2));
    for (int i = 0; i < 10; i++)
        assert_non_null(VEC_PUSH(&numbers, 10));
    assert_null(VEC_PUSH(&numbers, 10));
    VEC_FREE(&numbers);
    mem_free(first);
}

static void one_allocation_fails_on_request(void **state)
{
    (void)state;
    uint64_t live = mem_live();
    mem_fail_once(2);
    void *first = mem_alloc(1, 8);
    assert_non_null(first);
    assert_null(mem_resize(first, 2, 8));
    first = mem_resize(first, 2, 8);
    assert_non_null(first);
    void *second = mem_resize(NULL, 1, 8);
    assert_non_null(second);
    assert_int_equal(mem_live(), live + 2);
    mem_fail_once(0);
    mem_free(first);
    mem_free(second);
    mem_free(NULL);
    assert_int_equal(mem_live(), live);
}

static void errors_are_complete(void **state)
{
    (void)state;
    struct err err;
    assert_false(err_at(&err, ERR_MALFORMED, 17, "bad %s", "thing"));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_int_equal(err.offset, 17);
    assert_string_equal(err.message, "bad thing");
    assert_string_equal(err.remedy, "");
    err_remedy(&err, "do %d", 1);
    assert_string_equal(err.remedy, "do 1");
    assert_false(err_set(NULL, ERR_LIMIT, "nobody listens"));
}

static void json_is_well_formed(void **state)
{
    (void)state;
    struct buf buf;
    struct json json = {.out = &buf};
    static const char *const expected = "{\n  \"a\": [],\n  \"b\": [\n    18446744073709551615,\n    \"\\\"\\\\\\n"
                                        "\\u0001\\u007f\\u009b\xc3\xa4\",\n    null\n  ],\n  \"c\\\"\": true,\n"
                                        "  \"d\": \"\\ufffdx\"\n}\n";
    buf_init(&buf, 1000);
    json_object(&json, NULL);
    json_array(&json, "a");
    json_end(&json);
    json_array(&json, "b");
    json_number(&json, NULL, UINT64_MAX);
    json_string(&json, NULL, STR("\"\\\n\x01\x7f\xc2\x9b\xc3\xa4"));
    json_null(&json, NULL);
    json_end(&json);
    json_bool(&json, "c\"", true);
    json_string(&json, "d", STR("\xffx"));
    json_end(&json);
    assert_false(buf.failed);
    buf_append(&buf, "", 1);
    assert_string_equal((const char *)buf.data, expected);
    buf_free(&buf);
}

static void json_has_a_depth(void **state)
{
    (void)state;
    struct buf buf;
    struct json json = {.out = &buf};
    buf_init(&buf, 10000);
    for (unsigned i = 0; i < JSON_DEPTH; i++)
        json_array(&json, NULL);
    assert_false(buf.failed);
    json_array(&json, NULL);
    assert_true(buf.failed);
    buf_free(&buf);
}

static void sha256_by_instruction_and_by_hand_agree(void **state)
{
    (void)state;
    uint8_t blocks[64 * 40];
    uint32_t one[8] = {1, 2, 3, 4, 5, 6, 7, 0xffffffff}, other[8];
    memcpy(other, one, sizeof one);
    for (size_t i = 0; i < sizeof blocks; i++)
        blocks[i] = (uint8_t)(i * i >> 3);
    sha256_blocks_portable(one, blocks, 40);
    if (sha256_is_native())
        sha256_blocks_native(other, blocks, 40);
    else
        sha256_blocks_portable(other, blocks, 40);
    assert_memory_equal(one, other, sizeof one);
}

/* However the bytes are cut. */
static void sha256_in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[300], whole[32], pieces[32];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    sha256(bytes, sizeof bytes, whole);
    for (size_t first = 0; first <= sizeof bytes; first++)
        for (size_t second = 1; second <= 130; second += 43) {
            struct sha256 hash;
            sha256_init(&hash);
            sha256_add(&hash, bytes, first);
            for (size_t at = first; at < sizeof bytes; at += second)
                sha256_add(&hash, bytes + at, sizeof bytes - at < second ? sizeof bytes - at : second);
            sha256_finish(&hash, pieces);
            assert_memory_equal(whole, pieces, sizeof whole);
        }
}

static void files_are_written_whole_or_not(void **state)
{
    (void)state;
    static uint8_t bytes[100000], read_back[sizeof bytes];
    FILE *file = tmpfile();
    memset(bytes, 7, sizeof bytes);
    assert_true(file_write(fileno(file), bytes, sizeof bytes) && file_write(fileno(file), NULL, 0));
    assert_int_equal(pread(fileno(file), read_back, sizeof read_back, 0), sizeof bytes);
    assert_memory_equal(bytes, read_back, sizeof bytes);
    fclose(file);
    FILE *full = fopen("/dev/full", "we");
    assert_false(file_write(fileno(full), bytes, 1));
    assert_int_equal(errno, ENOSPC);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_well_formed),
        cmocka_unit_test(json_has_a_depth),
        cmocka_unit_test(arenas_give_zeroed_aligned_memory),
        cmocka_unit_test(arenas_keep_their_maximum),
        cmocka_unit_test(buffers_keep_their_maximum),
        cmocka_unit_test(small_buffers_keep_their_maximum),
        cmocka_unit_test(maps_find_what_was_put),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(text_of_strangers_is_escaped),
        cmocka_unit_test(sha256_gives_the_standard_digests),
        cmocka_unit_test(sha256_by_instruction_and_by_hand_agree),
        cmocka_unit_test(sha256_in_pieces),
        cmocka_unit_test(allocations_fail_on_request),
        cmocka_unit_test(one_allocation_fails_on_request),
        cmocka_unit_test(errors_are_complete),
        cmocka_unit_test(files_are_written_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
