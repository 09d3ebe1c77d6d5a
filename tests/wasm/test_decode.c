/* The module's structure: sections and their order, entries, names, and where errors point. */
#include "wasm/build.h"

static void headers(void **state)
{
    struct buf b = build_new();
    BYTES(&b, 0, 'a', 's');
    ASSERT_REFUSED(b, ERR_MALFORMED, 0, "magic header not detected");
    b = build_new();
    BYTES(&b, 0, 'a', 's', 'm', 0x0d, 0, 1, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 4, "unknown binary version");
    ASSERT_VALID(build_module());
}

static void sections(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 14, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 8, "malformed section id 14");
    b = build_module();
    SECTION(&b, 5, 0);
    SECTION(&b, 1, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 11, "unexpected content after last section");
    b = build_module();
    SECTION(&b, 1, 0);
    SECTION(&b, 1, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 11, "unexpected content after last section");
    b = build_module();
    SECTION(&b, 1, 0, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 11, "section size mismatch");
    b = build_module();
    BYTES(&b, 1, 5, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 10, "length out of bounds");
    b = build_module();
    SECTION(&b, 1, 2, 0x60, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 13, "unexpected end");
}

/* Tags stand between memories and globals, the data count between elements and code. */
static void section_order(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 0, 0);
    SECTION(&b, 1, 0);
    SECTION(&b, 2, 0);
    SECTION(&b, 3, 0);
    SECTION(&b, 4, 0);
    SECTION(&b, 5, 0);
    SECTION(&b, 13, 0);
    SECTION(&b, 6, 0);
    SECTION(&b, 7, 0);
    SECTION(&b, 0, 1, 'x', 9, 9, 9);
    SECTION(&b, 9, 0);
    SECTION(&b, 12, 0);
    SECTION(&b, 10, 0);
    SECTION(&b, 11, 0);
    ASSERT_VALID(b);
    b = build_module();
    SECTION(&b, 6, 0);
    SECTION(&b, 13, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 11, "tag section out of order");
}

static void entries(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 2, 1, 0, 0, 5);
    ASSERT_REFUSED(b, ERR_MALFORMED, 13, "malformed import kind");
    b = build_module();
    SECTION(&b, 6, 1, 0x7f, 2, 0x41, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_MALFORMED, 13, "malformed mutability");
    b = build_module();
    SECTION(&b, 5, 1, 8, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 12, "malformed limits flags");
    b = build_module();
    SECTION(&b, 1, 1, 0x61, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 11, "malformed type 0x61");
    b = build_module();
    SECTION(&b, 9, 1, 8);
    ASSERT_REFUSED(b, ERR_MALFORMED, 12, "malformed element segment flags");
    b = build_module();
    SECTION(&b, 11, 1, 3);
    ASSERT_REFUSED(b, ERR_MALFORMED, 12, "malformed data segment flags");
}

static void lengths(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 3, 1, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 18, "function and code section have inconsistent lengths");
    b = build_module();
    SECTION(&b, 10, 1, 2, 0, 0x0b);
    ASSERT_REFUSED(b, ERR_MALFORMED, 12, "function and code section have inconsistent lengths");
    b = build_module();
    SECTION(&b, 12, 1);
    SECTION(&b, 11, 0);
    ASSERT_REFUSED(b, ERR_MALFORMED, 14, "data count and data section have inconsistent lengths");
}

/* --- what a loaded module holds --- */

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

static void index_spaces(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 2, 3, 1, 'm', 1, 'g', 3, 0x7f, 0, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 't', 1, 0x70, 1, 2, 3);
    SECTION(&b, 3, 1, 0);
    SECTION(&b, 4, 1, 0x6f, 4, 9);
    SECTION(&b, 6, 1, 0x7e, 1, 0x42, 0x7f, 0x0b);
    SECTION(&b, 7, 1, 1, 'e', 0, 1);
    SECTION(&b, 8, 1);
    SECTION(&b, 10, 1, 2, 0, 0x0b);
    struct loaded l = load(b);
    const struct wasm_module *m = l.module;
    assert_int_equal(m->import_count, 3);
    assert_int_equal(m->imports[1].kind, WASM_FUNC);
    assert_true(str_eq(m->imports[1].name, STR("f")));
    assert_int_equal(m->func_count, 2);
    assert_int_equal(m->imported_funcs, 1);
    assert_int_equal(m->funcs[0].import, 1);
    assert_int_equal(m->funcs[1].import, WASM_NO_INDEX);
    assert_int_equal(m->funcs[1].size, 2);
    assert_int_equal(m->table_count, 2);
    assert_int_equal(m->tables[0].limits.max, 3);
    assert_true(m->tables[1].limits.is_64 && m->tables[1].limits.max == UINT64_MAX);
    assert_int_equal(m->globals[1].type, WASM_I64);
    assert_int_equal(m->exports[0].index, 1);
    assert_int_equal(m->start, 1);
    assert_true(m->funcs[1].declared);
    assert_false(m->funcs[0].declared);
    unload(&l);
}

static void segments(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 2, 1, 0, 0, 0, 0);
    SECTION(&b, 4, 1, 0x70, 0, 9);
    SECTION(&b, 5, 1, 0, 1);
    SECTION(&b, 9, 3, 0, 0x41, 3, 0x0b, 1, 0, 5, 0x70, 1, 0xd2, 0, 0x0b, 3, 0, 1, 0);
    SECTION(&b, 11, 2, 0, 0x41, 8, 0x0b, 2, 'h', 'i', 1, 1, '!');
    struct loaded l = load(b);
    const struct wasm_module *m = l.module;
    assert_int_equal(m->elem_count, 3);
    assert_int_equal(m->elems[0].mode, WASM_ACTIVE);
    assert_int_equal(m->elems[0].funcs[0], 0);
    assert_int_equal(m->elems[1].mode, WASM_PASSIVE);
    assert_non_null(m->elems[1].exprs);
    assert_int_equal(wasm_const_eval(m, m->elems[1].exprs[0]).kind, WASM_CONST_FUNC);
    assert_int_equal(m->elems[2].mode, WASM_DECLARED);
    assert_memory_equal(m->bytes + m->datas[0].start, "hi", 2);
    assert_int_equal(wasm_const_eval(m, m->datas[0].offset).v[0], 8);
    assert_int_equal(m->datas[1].mode, WASM_PASSIVE);
    unload(&l);
}

/* The second name is malformed UTF-8: the first stays, the module loads. */
static void name_section(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    SECTION(&b, 0, 4, 'n', 'a', 'm', 'e', 0, 3, 2, 'm', 'y', 1, 8, 2, 1, 2, 'f', '1', 0, 1, 0xff);
    struct loaded l = load(b);
    assert_true(str_eq(l.module->name, STR("my")));
    assert_true(str_eq(l.module->func_names[1], STR("f1")));
    assert_int_equal(l.module->func_names[0].len, 0);
    assert_true(str_eq(l.module->customs[0].name, STR("name")));
    unload(&l);
}

/* Offsets count from the start of the body; the third hint goes backwards, which ends the reading. */
static void branch_hints(void **state)
{
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x60, 1, 0x7f, 0);
    SECTION(&b, 3, 1, 0);
    SECTION(&b, 0, 25, 'm', 'e', 't', 'a', 'd', 'a', 't', 'a', '.', 'c', 'o', 'd', 'e', '.', 'b', 'r', 'a', 'n', 'c',
            'h', '_', 'h', 'i', 'n', 't', 1, 0, 3, 3, 1, 1, 8, 1, 0, 8, 1, 1);
    SECTION(&b, 10, 1, 12, 0, 0x20, 0, 0x04, 0x40, 0x0b, 0x20, 0, 0x0d, 0, 0x01, 0x0b);
    struct loaded l = load(b);
    uint32_t body = l.module->funcs[0].body;
    assert_int_equal(l.module->branch_hint_count, 2);
    assert_int_equal(l.module->bytes[body + 3], 0x04);
    assert_true(wasm_branch_hint(l.module, body + 3)->taken);
    assert_int_equal(l.module->bytes[body + 8], 0x0d);
    assert_false(wasm_branch_hint(l.module, body + 8)->taken);
    assert_null(wasm_branch_hint(l.module, body + 4));
    assert_null(wasm_branch_hint(l.module, body + 9));
    unload(&l);
}

/* Whatever stands there, the module loads: a function or an offset that does not exist, an unknown value, an end in
 * the middle, counts without contents. */
static void branch_hints_are_not_trusted(void **state)
{
    static const uint8_t wrong[][6] = {{1, 1, 1, 1, 1, 1}, {1, 0, 1, 2, 1, 1},          {1, 0, 1, 0, 1, 2},
                                       {1, 0, 1, 0, 2, 0}, {0xff, 0xff, 0xff, 0, 0, 0}, {1, 0, 0xff, 0x7f, 0x80, 0x80}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buf b = build_module(), section = build_new();
        SECTION(&b, 1, 1, 0x60, 0, 0);
        SECTION(&b, 3, 1, 0);
        BYTES(&section, 25);
        buf_append(&section, "metadata.code.branch_hint", 25);
        buf_append(&section, wrong[i], sizeof wrong[i]);
        build_section(&b, 0, section);
        SECTION(&b, 10, 1, 2, 0, 0x0b);
        struct loaded l = load(b);
        assert_int_equal(l.module->branch_hint_count, 0);
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),       cmocka_unit_test(sections),
        cmocka_unit_test(section_order), cmocka_unit_test(entries),
        cmocka_unit_test(lengths),       cmocka_unit_test(index_spaces),
        cmocka_unit_test(segments),      cmocka_unit_test(name_section),
        cmocka_unit_test(branch_hints),  cmocka_unit_test(branch_hints_are_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
