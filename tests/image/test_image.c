/* Images: what the writer makes passes the check, damage is found, and no table of a damaged image that
 * carries a right digest gets past the structural checks. */
#include "compile/build.h"
#include "image/format.h"
#include "support/standin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf image;

static int make_image(void **state)
{
    (void)state;
    static uint8_t source[65536];
    struct err err = {0};
    FILE *file = fopen(SOURCE_DIR "/tests/contract/fixtures/callee.wasm", "rb");
    assert_non_null(file);
    size_t size = fread(source, 1, sizeof source, file);
    fclose(file);
    buf_init(&image, (size_t)1 << 30);
    const struct compile_options options = {.opt_level = 2};
    if (!compile_build(source, size, &options, standin_generate, &image, &err))
        fail_msg("%s", err.message);
    return 0;
}

static int free_image(void **state)
{
    (void)state;
    buf_free(&image);
    return 0;
}

static struct err check(const uint8_t *bytes, uint64_t size)
{
    struct err err = {0};
    bool good = image_check(bytes, size, &err);
    assert_int_equal(good, err.kind == ERR_NONE);
    return err;
}

static void written_images_pass(void **state)
{
    (void)state;
    assert_int_equal(check(image.data, image.size).kind, ERR_NONE);
}

static void equal_inputs_make_equal_images(void **state)
{
    struct buf first = image;
    make_image(state);
    assert_int_equal(first.size, image.size);
    assert_memory_equal(first.data, image.data, image.size);
    buf_free(&first);
}

static void truncated_images_are_refused(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < image.size; size += size < 2048 ? 1 : 509) {
        uint8_t *cut = malloc(size ? size : 1);
        memcpy(cut, image.data, size);
        assert_int_not_equal(check(cut, size).kind, ERR_NONE);
        free(cut);
    }
}

static void damaged_images_are_refused(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < image.size; at += 97) {
        image.data[at] ^= 0x10;
        assert_int_not_equal(check(image.data, image.size).kind, ERR_NONE);
        image.data[at] ^= 0x10;
    }
    assert_int_equal(check(image.data, image.size).kind, ERR_NONE);
}

static void seal(uint8_t *bytes, uint64_t size)
{
    struct image_header *header = (struct image_header *)bytes;
    image_digest(bytes, size, header->digest);
}

/* A compiler child under foreign control may write any table with a right digest: numbers at random places
 * become extreme, and the check must answer without reading outside the image. */
static void forged_tables_are_refused_or_harmless(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 7, 4095, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 40};
    unsigned seed = 20261124, refused = 0;
    printf("           seed %u\n", seed);
    const struct image_header *header = (const struct image_header *)image.data;
    uint64_t tables = header->sections[0].offset;
    for (int round = 0; round < 3000; round++) {
        uint8_t *copy = malloc(image.size);
        memcpy(copy, image.data, image.size);
        uint64_t span = image.size - tables - 8;
        uint64_t at = rand_r(&seed) % 3 ? tables + (uint64_t)rand_r(&seed) % span
                                        : 128 + (uint64_t)rand_r(&seed) % (sizeof *header - 136);
        memcpy(copy + (at & ~(uint64_t)3), &values[(size_t)rand_r(&seed) % (sizeof values / sizeof *values)],
               rand_r(&seed) % 2 ? 8 : 4);
        seal(copy, image.size);
        refused += check(copy, image.size).kind != ERR_NONE;
        free(copy);
    }
    assert_true(refused > 300);
}

static void lookups_find_functions_and_sites(void **state)
{
    (void)state;
    struct image view = {image.data, (const struct image_header *)image.data};
    assert_true(image_funcs_count(&view) > 5);
    for (uint64_t i = 0; i < image_funcs_count(&view); i++) {
        const struct image_func *func = &image_funcs(&view)[i];
        assert_ptr_equal(image_find_func(&view, func->code_off), func);
        assert_ptr_equal(image_find_func(&view, func->code_off + func->code_size - 1), func);
        assert_true(image_find_site(&view, func->code_off + func->code_size - 1) != 0);
    }
    assert_null(image_find_func(&view, 0));
    assert_int_equal(image_find_site(&view, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_images_pass),
        cmocka_unit_test(equal_inputs_make_equal_images),
        cmocka_unit_test(truncated_images_are_refused),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(forged_tables_are_refused_or_harmless),
        cmocka_unit_test(lookups_find_functions_and_sites),
    };
    return cmocka_run_group_tests(tests, make_image, free_image);
}
