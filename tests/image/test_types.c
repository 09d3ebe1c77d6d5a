/* The type table of an image: equal types once, whichever unit defines them; supertypes are rows; a forged collision of
 * hashes is refused. */
#include "base/alloc.h"
#include "image/format.h"
#include "image/unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* (type (sub (func))) (type (sub 0 (func))) (type (func (param i32))), the last one twice */
static const uint8_t bytes[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x14,
                                0x04, 0x50, 0x00, 0x60, 0x00, 0x00, 0x50, 0x01, 0x00, 0x60,
                                0x00, 0x00, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x01, 0x7f, 0x00};

static struct arena arena;
static struct unit units[2];

static void load(void)
{
    struct err err = {0};
    arena_init(&arena, (size_t)1 << 20);
    for (int i = 0; i < 2; i++) {
        struct wasm_module *module;
        if (!wasm_load(bytes, sizeof bytes, &arena, &module, &err))
            fail_msg("%s", err.message);
        units[i] = (struct unit){.module = module, .index = (uint32_t)i};
    }
}

static void equal_types_are_one_row(void **state)
{
    (void)state;
    struct type_table table;
    struct err err = {0};
    load();
    assert_true(types_collect(units, 2, &arena, &table, &err));
    assert_int_equal(table.count, 3);
    for (uint32_t i = 1; i < table.count; i++)
        assert_true(table.rows[i - 1].hash < table.rows[i].hash);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(units[0].types[i], units[1].types[i]);
    assert_int_equal(units[0].types[2], units[0].types[3]);
    assert_int_equal(table.rows[units[0].types[1]].super, units[0].types[0]);
    assert_int_equal(table.rows[units[0].types[0]].super, WASM_NO_INDEX);
    arena_free(&arena);
}

static void collisions_are_refused(void **state)
{
    (void)state;
    struct type_table table;
    for (int unit = 0; unit < 2; unit++) { /* a new type with a known hash, a known type with another's */
        struct err err = {0};
        load();
        units[unit].module->types[2].hash = units[unit].module->types[0].hash;
        assert_false(types_collect(units, 2, &arena, &table, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_types_are_one_row),
        cmocka_unit_test(collisions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
