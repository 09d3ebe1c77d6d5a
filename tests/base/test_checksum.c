/* The checksum finds every change of a bit, every cut and every exchange, and does not care in which parts bytes come.
 */
#include "base/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 1000u

static uint8_t bytes[SIZE];

static void sum_of(const uint8_t *from, size_t size, uint8_t ret_sum[32])
{
    struct checksum sum;
    checksum_init(&sum);
    checksum_add(&sum, from, size);
    checksum_finish(&sum, ret_sum);
}

static int make(void **state)
{
    for (uint32_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i < 300 ? 0 : i * i >> 3); /* zeros too: files are full of them */
    return 0;
}

static void test_every_bit(void **state)
{
    uint8_t right[32], other[32];
    sum_of(bytes, SIZE, right);
    for (uint32_t bit = 0; bit < SIZE * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sum_of(bytes, SIZE, other);
        for (int word = 0; word < 4; word++) /* each word says so */
            assert_memory_not_equal(right + 8 * word, other + 8 * word, 8);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_every_length(void **state)
{
    static uint8_t sums[SIZE + 1][32];
    for (uint32_t size = 0; size <= SIZE; size++) {
        sum_of(bytes, size, sums[size]);
        for (uint32_t before = 0; before < size; before++)
            assert_memory_not_equal(sums[size], sums[before], 32);
    }
}

static void test_exchanged(void **state)
{
    uint8_t right[32], other[32], moved[SIZE];
    sum_of(bytes, SIZE, right);
    for (uint32_t step = 8; step <= 256; step *= 2) {
        memcpy(moved, bytes, SIZE);
        memcpy(moved + 384, bytes + 384 + step, step);
        memcpy(moved + 384 + step, bytes + 384, step);
        sum_of(moved, SIZE, other);
        assert_memory_not_equal(right, other, 32);
    }
}

static void test_parts(void **state)
{
    uint8_t right[32], other[32];
    sum_of(bytes, SIZE, right);
    for (size_t part = 1; part < SIZE; part++) {
        struct checksum sum;
        checksum_init(&sum);
        for (size_t at = 0; at < SIZE; at += part)
            checksum_add(&sum, bytes + at, SIZE - at < part ? SIZE - at : part);
        checksum_finish(&sum, other);
        assert_memory_equal(right, other, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_bit, make),
        cmocka_unit_test_setup(test_every_length, make),
        cmocka_unit_test_setup(test_exchanged, make),
        cmocka_unit_test_setup(test_parts, make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
