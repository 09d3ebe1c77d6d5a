/* Streams of sites: what was put comes back, and what is cut or changed is refused or ends. */
#include "image/sites.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 6

static const uint32_t rows[ROWS][2] = {
    {100, 0}, {100, 7}, {101, 5}, {300, UINT32_MAX}, {300 + (1u << 28), 1u << 31}, {UINT32_MAX, 3},
};

static size_t make(uint8_t bytes[ROWS * SITE_BYTES_MAX])
{
    struct sites last = {.code_off = 100};
    uint8_t *end = bytes;
    for (unsigned i = 0; i < ROWS; i++) {
        uint8_t *next = sites_put(&last, end, rows[i][0], rows[i][1]);
        assert_in_range(next - end, 2, SITE_BYTES_MAX);
        end = next;
    }
    return (size_t)(end - bytes);
}

static void what_was_put_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[ROWS * SITE_BYTES_MAX];
    size_t size = make(bytes);
    struct sites sites = {bytes, bytes + size, 100, 0};
    assert_true(sites_ok(sites, UINT32_MAX));
    assert_false(sites_ok(sites, UINT32_MAX - 1));
    for (unsigned i = 0; i < ROWS; i++) {
        assert_true(sites_next(&sites));
        assert_int_equal(sites.code_off, rows[i][0]);
        assert_int_equal(sites.wasm_off, rows[i][1]);
    }
    assert_false(sites_next(&sites));
}

/* A stream that ends within an entry is refused, and so are numbers without an end. */
static void cut_streams_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[ROWS * SITE_BYTES_MAX];
    size_t size = make(bytes), whole = 0;
    for (size_t cut = 0; cut <= size; cut++)
        whole += sites_ok((struct sites){bytes, bytes + cut, 100, 0}, UINT32_MAX);
    assert_int_equal(whole, ROWS + 1); /* as many beginnings as there are entries, and none */
    memset(bytes, 0x80, sizeof bytes);
    assert_false(sites_ok((struct sites){bytes, bytes + sizeof bytes, 0, 0}, UINT32_MAX));
    struct sites endless = {bytes, bytes + sizeof bytes, 0, 0};
    assert_false(sites_next(&endless));
}

/* Code offsets do not go back, though a sum that wraps could. */
static void offsets_only_rise(void **state)
{
    (void)state;
    const uint8_t bytes[] = {5, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0};
    assert_true(sites_ok((struct sites){bytes, bytes + 2, 10, 0}, 20));
    assert_false(sites_ok((struct sites){bytes, bytes + sizeof bytes, 10, 0}, 20));
}

/* One entry after the other, as the definition says. */
static bool plainly_ok(struct sites sites, uint32_t code_end)
{
    while (sites.at != sites.end) {
        uint32_t last = sites.code_off;
        if (!sites_next(&sites) || sites.code_off < last || sites.code_off > code_end)
            return false;
    }
    return true;
}

/* Mostly small numbers, of which several are looked at together; ends around the sum, and cuts everywhere. */
static void many_at_once_are_judged_as_one_by_one(void **state)
{
    (void)state;
    uint8_t bytes[64];
    unsigned good = 0, bad = 0;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        size_t size = (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(rand() % 40 ? rand() % 128 : rand());
        struct sites sites = {bytes, bytes + size, round % 3 ? 5 : UINT32_MAX - 300, 0};
        uint32_t end = round % 3 ? (uint32_t)(rand() % 2000) : UINT32_MAX;
        bool ok = plainly_ok(sites, end);
        assert_int_equal(sites_ok(sites, end), ok);
        good += ok;
        bad += !ok;
    }
    assert_true(good > 1000 && bad > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_comes_back),
        cmocka_unit_test(cut_streams_are_refused),
        cmocka_unit_test(offsets_only_rise),
        cmocka_unit_test(many_at_once_are_judged_as_one_by_one),
    };
    return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
