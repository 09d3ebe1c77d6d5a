/* What a module is said to need: instructions, types, limits and segments, each by a module that has nothing else. */
#include "wasm/build.h"
#include "wasm/feature.h"

static uint32_t features(struct buf b)
{
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    uint32_t set = 0;
    arena_init(&arena, BUILD_MAX);
    if (!wasm_load(b.data, b.size, &arena, &module, &err) || !wasm_features(module, &set, &err))
        fail_msg("offset %llx: %s", (unsigned long long)err.offset, err.message);
    arena_free(&arena);
    buf_free(&b);
    return set;
}

#define F(feature) (1u << FEATURE_##feature)
#define EXPECT(set, ...)                                                                                               \
    do {                                                                                                               \
        struct buf b = build_module();                                                                                 \
        __VA_ARGS__;                                                                                                   \
        assert_int_equal(features(b), (set));                                                                          \
    } while (0)

static void instructions(void **state)
{
    EXPECT(F(MVP), FUNCTION(&b, 0x0b));
    EXPECT(F(MVP) | F(SIGN_EXTENSION), FUNCTION(&b, 0x41, 0, 0xc0, 0x1a, 0x0b));
    EXPECT(F(MVP) | F(SATURATING), FUNCTION(&b, 0x43, 0, 0, 0, 0, 0xfc, 0, 0x1a, 0x0b));
    EXPECT(F(MVP) | F(REFERENCES), FUNCTION(&b, 0xd0, 0x70, 0x1a, 0x0b));
    EXPECT(F(MVP) | F(REFERENCES) | F(GC), FUNCTION(&b, 0xd0, 0x6e, 0x1a, 0x0b));
    EXPECT(F(MVP) | F(TAIL_CALL), FUNCTION(&b, 0x12, 0, 0x0b));
    EXPECT(F(MVP) | F(THREADS), FUNCTION(&b, 0xfe, 0x03, 0, 0x0b));
    EXPECT(F(MVP) | F(SIMD), FUNCTION(&b, 0x41, 0, 0xfd, 0x0f, 0x1a, 0x0b));
}

static void types(void **state)
{
    EXPECT(0, SECTION(&b, 1, 1, 0x60, 0, 1, 0x7f));
    EXPECT(F(MULTI_VALUE), SECTION(&b, 1, 1, 0x60, 0, 2, 0x7f, 0x7f));
    EXPECT(F(SIMD), SECTION(&b, 1, 1, 0x60, 1, 0x7b, 0));
    EXPECT(F(REFERENCES), SECTION(&b, 1, 1, 0x60, 1, 0x6f, 0));
    EXPECT(F(GC), SECTION(&b, 1, 1, 0x5f, 1, 0x7f, 0));
    EXPECT(F(GC), SECTION(&b, 1, 1, 0x50, 0, 0x60, 0, 0));
    EXPECT(F(EXCEPTIONS), SECTION(&b, 1, 1, 0x60, 1, 0x69, 0));
    EXPECT(F(FUNC_REFS), SECTION(&b, 1, 2, 0x60, 0, 0, 0x60, 1, 0x63, 0, 0));
    EXPECT(F(FUNC_REFS) | F(REFERENCES), SECTION(&b, 1, 1, 0x60, 1, 0x64, 0x70, 0));
    EXPECT(F(EXCEPTIONS), SECTION(&b, 1, 1, 0x60, 0, 0); SECTION(&b, 13, 1, 0, 0));
}

static void limits(void **state)
{
    EXPECT(0, SECTION(&b, 5, 1, 0, 1));
    EXPECT(F(MULTI_MEMORY), SECTION(&b, 5, 2, 0, 1, 0, 1));
    EXPECT(F(MEMORY64), SECTION(&b, 5, 1, 4, 1));
    EXPECT(F(THREADS), SECTION(&b, 5, 1, 3, 1, 2));
    EXPECT(0, SECTION(&b, 4, 1, 0x70, 0, 1));
    EXPECT(F(MEMORY64), SECTION(&b, 4, 1, 0x70, 4, 1));
    EXPECT(F(REFERENCES), SECTION(&b, 4, 2, 0x70, 0, 1, 0x70, 0, 1));
    EXPECT(F(REFERENCES), SECTION(&b, 4, 1, 0x6f, 0, 1));
}

static void globals_and_segments(void **state)
{
    EXPECT(F(MVP), SECTION(&b, 6, 1, 0x7f, 1, 0x41, 7, 0x0b));
    EXPECT(F(MVP) | F(MUTABLE_GLOBALS), SECTION(&b, 6, 1, 0x7f, 1, 0x41, 7, 0x0b); SECTION(&b, 7, 1, 1, 'g', 3, 0));
    EXPECT(F(MUTABLE_GLOBALS), SECTION(&b, 2, 1, 1, 'm', 1, 'g', 3, 0x7f, 1));
    EXPECT(F(MVP) | F(EXTENDED_CONST), SECTION(&b, 6, 1, 0x7f, 0, 0x41, 7, 0x41, 7, 0x6a, 0x0b));
    EXPECT(F(MVP) | F(GC), SECTION(&b, 6, 1, 0x6c, 0, 0x41, 7, 0xfb, 0x1c, 0x0b));
    EXPECT(F(BULK), SECTION(&b, 11, 1, 1, 0));
    EXPECT(F(MVP), SECTION(&b, 5, 1, 0, 1); SECTION(&b, 11, 1, 0, 0x41, 0, 0x0b, 0));
    EXPECT(F(MVP) | F(MEMORY64), SECTION(&b, 5, 1, 4, 1); SECTION(&b, 11, 1, 0, 0x42, 0, 0x0b, 0));
    EXPECT(F(MVP), SECTION(&b, 4, 1, 0x70, 0, 1); SECTION(&b, 9, 1, 0, 0x41, 0, 0x0b, 0));
}

static void bodies_are_validated(void **state)
{
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    struct buf b = build_module();
    uint32_t set = 7;
    FUNCTION(&b, 0x6a, 0x0b);
    arena_init(&arena, BUILD_MAX);
    assert_true(wasm_load(b.data, b.size, &arena, &module, &err));
    assert_false(wasm_features(module, &set, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(err.offset != ERR_NO_OFFSET);
    assert_int_equal(set, 7);
    arena_free(&arena);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions),
        cmocka_unit_test(types),
        cmocka_unit_test(limits),
        cmocka_unit_test(globals_and_segments),
        cmocka_unit_test(bodies_are_validated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
