/* Types, their identity and order; constant expressions; module-level rules and where errors point. */
#include "wasm/build.h"

struct loaded {
    struct buf bytes;
    struct arena arena;
    struct wasm_module *module;
};

static struct loaded load(struct buf bytes)
{
    struct loaded l = {.bytes = bytes};
    struct err err = {0};
    arena_init(&l.arena, BUILD_MAX);
    if (!wasm_load(bytes.data, bytes.size, &l.arena, &l.module, &err))
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    return l;
}

static void unload(struct loaded *l)
{
    arena_free(&l->arena);
    buf_free(&l->bytes);
}

/* Types 0 and 1 are one structural type, 2 and 3 a group, 4 and 5 the same group again, 6 is the
 * group's first member alone. */
static struct loaded type_zoo(void)
{
    struct buf b = build_module();
    SECTION(&b, 1, 5, 0x60, 1, 0x7f, 0, 0x60, 1, 0x7f, 0, 0x4e, 2, 0x5f, 1, 0x63, 3, 0, 0x5e, 0x64, 2, 1, 0x4e, 2, 0x5f,
            1, 0x63, 5, 0, 0x5e, 0x64, 4, 1, 0x5f, 1, 0x63, 3, 0);
    return load(b);
}

static void identity(void **state)
{
    struct loaded l = type_zoo();
    const struct wasm_type *t = l.module->types;
    assert_int_equal(l.module->type_count, 7);
    assert_int_equal(t[1].canonical, 0);
    assert_int_equal(t[2].canonical, 2);
    assert_int_equal(t[4].canonical, 2);
    assert_int_equal(t[5].canonical, 3);
    assert_int_equal(t[6].canonical, 6);
    assert_true(t[0].hash != 0 && t[0].hash == t[1].hash && t[2].hash == t[4].hash && t[3].hash == t[5].hash);
    assert_true(t[2].hash != t[3].hash && t[2].hash != t[6].hash);
    unload(&l);
}

/* The hash is the same in a module where the type has another index and other neighbours. */
static void identity_across_modules(void **state)
{
    struct loaded l = type_zoo(), other;
    struct buf b = build_module(), one = build_new(), two = build_new();
    SECTION(&b, 1, 2, 0x60, 0, 0, 0x4e, 2, 0x5f, 1, 0x63, 2, 0, 0x5e, 0x64, 1, 1);
    other = load(b);
    assert_true(l.module->types[3].hash == other.module->types[2].hash);
    assert_true(wasm_type_hash(l.module, 5, &one) == wasm_type_hash(other.module, 2, &two));
    assert_true(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
    buf_free(&one);
    buf_free(&two);
    unload(&l);
    unload(&other);
}

#define NULLABLE(heap) (WASM_REF | WASM_NULLABLE | (heap))

static void subtyping(void **state)
{
    struct loaded l = type_zoo();
    const struct wasm_module *m = l.module;
    assert_true(wasm_subtype(m, WASM_I32, WASM_I32));
    assert_false(wasm_subtype(m, WASM_I32, WASM_I64));
    assert_true(wasm_subtype(m, WASM_REF | 0, WASM_FUNCREF));
    assert_false(wasm_subtype(m, NULLABLE(0), WASM_REF | HEAP_FUNC));
    assert_true(wasm_subtype(m, WASM_REF | 2, NULLABLE(HEAP_STRUCT)));
    assert_true(wasm_subtype(m, WASM_REF | 2, NULLABLE(HEAP_EQ)));
    assert_true(wasm_subtype(m, WASM_REF | 3, NULLABLE(HEAP_ANY)));
    assert_false(wasm_subtype(m, WASM_REF | 3, NULLABLE(HEAP_STRUCT)));
    assert_true(wasm_subtype(m, NULLABLE(4), NULLABLE(2)));
    assert_false(wasm_subtype(m, NULLABLE(6), NULLABLE(2)));
    assert_true(wasm_subtype(m, NULLABLE(HEAP_NONE), NULLABLE(3)));
    assert_true(wasm_subtype(m, NULLABLE(HEAP_NOFUNC), NULLABLE(0)));
    assert_false(wasm_subtype(m, NULLABLE(HEAP_NONE), NULLABLE(0)));
    assert_true(wasm_subtype(m, NULLABLE(HEAP_I31), NULLABLE(HEAP_EQ)));
    assert_false(wasm_subtype(m, NULLABLE(HEAP_ANY), NULLABLE(HEAP_EQ)));
    assert_true(wasm_subtype(m, NULLABLE(HEAP_NOEXN), WASM_EXNREF));
    assert_true(wasm_subtype(m, NULLABLE(HEAP_NOEXTERN), WASM_EXTERNREF));
    assert_false(wasm_subtype(m, WASM_EXTERNREF, NULLABLE(HEAP_ANY)));
    unload(&l);
}

static void supertypes(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 2, 0x5f, 0, 0x50, 1, 0, 0x5f, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 13, "supertype 0 is final");
    b = build_module();
    SECTION(&b, 1, 2, 0x50, 0, 0x5f, 1, 0x7f, 0, 0x50, 1, 0, 0x5f, 1, 0x7e, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 17, "does not match its supertype");
    b = build_module();
    SECTION(&b, 1, 1, 0x50, 1, 0, 0x5f, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "a supertype must come first");
    b = build_module();
    SECTION(&b, 1, 1, 0x50, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x5f, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 18, "unknown index");
    b = build_module();
    SECTION(&b, 1, 1, 0x60, 1, 0x63, 1, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "unknown type 1");
    b = build_module();
    SECTION(&b, 1, 2, 0x50, 0, 0x5f, 1, 0x6e, 0, 0x50, 1, 0, 0x5f, 2, 0x6d, 0, 0x78, 1);
    ASSERT_VALID(b);
}

static void module_rules(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 5, 1, 1, 2, 1);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "size minimum must not be greater than maximum");
    b = build_module();
    SECTION(&b, 5, 1, 0, 0x81, 0x80, 0x04);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "memory size");
    b = build_module();
    SECTION(&b, 5, 1, 2, 1);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "shared memory must have maximum");
    b = build_module();
    SECTION(&b, 4, 1, 0x64, 0x70, 0, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "needs an initializer");
    b = build_module();
    SECTION(&b, 5, 1, 0, 1);
    SECTION(&b, 7, 2, 1, 'x', 2, 0, 1, 'x', 2, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 20, "duplicate export name \"x\"");
    b = build_module();
    SECTION(&b, 7, 1, 1, 'x', 3, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 11, "unknown global 0");
    b = build_module();
    SECTION(&b, 8, 0xff, 0xff, 0xff, 0xff, 0x0f);
    ASSERT_REFUSED(b, ERR_INVALID, 15, "unknown index");
    b = build_module();
    SECTION(&b, 8, 3);
    ASSERT_REFUSED(b, ERR_INVALID, 10, "unknown function 3");
    b = build_module();
    SECTION(&b, 1, 1, 0x60, 0, 1, 0x7f);
    SECTION(&b, 13, 1, 0, 0);
    ASSERT_REFUSED(b, ERR_INVALID, 18, "non-empty tag result type");
}

/* An imported global of a type that does not exist, used before its turn by a table. */
static void types_before_use(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 2, 1, 0, 0, 3, 0x63, 0x7, 0);
    SECTION(&b, 4, 1, 0x40, 0, 0x70, 0, 1, 0x23, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, 14, "unknown type 7");
}

static void constants_refused(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 6, 1, 0x7f, 0, 0x41, 0, 0x45, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, 15, "constant expression required");
    b = build_module();
    SECTION(&b, 6, 1, 0x7f, 0, 0x23, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, 13, "unknown global 0");
    b = build_module();
    SECTION(&b, 6, 2, 0x7f, 1, 0x41, 0, 0x0b, 0x7f, 0, 0x23, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, 18, "mutable");
    b = build_module();
    SECTION(&b, 6, 1, 0x7e, 0, 0x41, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, 15, "expected i64, found i32");
}

static void constants_evaluated(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 2, 1, 0, 0, 3, 0x7f, 0);
    SECTION(&b, 6, 7, 0x7f, 0, 0x41, 5, 0x41, 7, 0x6b, 0x41, 3, 0x6c, 0x0b, /* (5 - 7) * 3 */
            0x7f, 0, 0x23, 1, 0x41, 6, 0x6a, 0x0b,                       /* + 6 */
            0x7f, 0, 0x23, 0, 0x0b,                                      /* the import */
            0x7f, 0, 0x23, 0, 0x41, 1, 0x6a, 0x0b,                       /* the import + 1 */
            0x70, 0, 0xd0, 0x70, 0x0b,                                   /* null */
            0x6c, 0, 0x41, 1, 0xfb, 0x1c, 0x0b,                          /* i31 */
            0x7f, 0, 0x23, 3, 0x0b);                                     /* the import again */
    struct loaded l = load(b);
    const struct wasm_global *g = l.module->globals;
    assert_int_equal(g[1].value.kind, WASM_CONST_BITS);
    assert_int_equal(g[1].value.v[0], 0xfffffffa);
    assert_int_equal(g[2].value.v[0], 0);
    assert_int_equal(g[3].value.kind, WASM_CONST_GLOBAL);
    assert_int_equal(g[4].value.kind, WASM_CONST_EXPR);
    assert_int_equal(g[5].value.kind, WASM_CONST_NULL);
    assert_int_equal(g[6].value.kind, WASM_CONST_EXPR);
    assert_int_equal(g[7].value.kind, WASM_CONST_GLOBAL);
    assert_int_equal(g[7].value.index, 0);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity),          cmocka_unit_test(identity_across_modules),
        cmocka_unit_test(subtyping),         cmocka_unit_test(supertypes),
        cmocka_unit_test(module_rules),      cmocka_unit_test(types_before_use),
        cmocka_unit_test(constants_refused), cmocka_unit_test(constants_evaluated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
