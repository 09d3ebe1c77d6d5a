/* Function bodies: what a visitor sees, and what the validation algorithm refuses where. */
#include "wasm/build.h"

/* Everything a visitor was told, one word per instruction; a star marks what cannot be reached. */
struct transcript {
    char text[1024];
    uint32_t depths[64], count;
};

static bool note(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct transcript *t = arg;
    size_t used = strlen(t->text);
    snprintf(t->text + used, sizeof t->text - used, "%s%s%s/%u", used ? " " : "", wasm_op_name(op->code),
             op->reachable ? "" : "*", state->operand_count);
    t->depths[t->count++] = state->frame_count;
    return true;
}

static void assert_transcript(struct buf b, const char *expected)
{
    static const struct wasm_visitor visitor = {.op = note};
    struct transcript t = {0};
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, BUILD_MAX);
    if (!wasm_load(b.data, b.size, &arena, &module, &err) || !build_bodies(module, &visitor, &t, &err))
        fail_msg("%s", err.message);
    assert_string_equal(t.text, expected);
    assert_int_equal(t.depths[t.count - 1], 0);
    arena_free(&arena);
    buf_free(&b);
}

static void visited_in_order(void **state)
{
    struct buf b = build_module();
    FUNCTION(&b, 0x41, 1, 0x04, 0x40, 0x01, 0x05, 0x01, 0x0b, 0x0b);
    assert_transcript(b, "i32.const/1 if/0 nop/0 else/0 nop/0 end/0 end/0");
}

/* Code after a branch is not reachable, nor are the blocks in it; after their end it goes on. */
static void reachability(void **state)
{
    struct buf b = build_module();
    FUNCTION(&b, 0x02, 0x40, 0x0c, 0, 0x02, 0x40, 0x01, 0x0b, 0x6a, 0x1a, 0x0b, 0x01, 0x0b);
    assert_transcript(b, "block/0 br/0 block*/0 nop*/0 end*/0 i32.add*/1 drop*/0 end*/0 nop/0 end/0");
    b = build_module();
    FUNCTION(&b, 0x41, 0, 0x04, 0x40, 0x00, 0x05, 0x01, 0x0b, 0x0f, 0x01, 0x0b);
    assert_transcript(b, "i32.const/1 if/0 unreachable/0 else*/0 nop/0 end/0 return/0 nop*/0 end*/0");
}

struct seen {
    unsigned checks;
};

/* Immediates of each kind, as opcodes.def documents them. */
static bool look(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct seen *seen = arg;
    seen->checks++;
    switch (op->code) {
    case OP_I32_CONST: assert_true(op->bits == UINT32_MAX || op->bits == 0); break;
    case OP_I64_CONST: assert_true(op->bits == UINT64_MAX); break;
    case OP_F32_CONST: assert_true(op->bits == 0x40490fdb); break;
    case OP_I32_LOAD8_U:
        assert_int_equal(op->mem.offset, 129);
        assert_int_equal(op->mem.memory, 1);
        assert_int_equal(op->mem.align_log2, 0);
        break;
    case OP_BLOCK:
        assert_int_equal(op->block.type.result_count, 1);
        assert_int_equal(op->block.type.results[0], WASM_REF | WASM_NULLABLE | 0);
        break;
    case OP_BR_TABLE:
        assert_int_equal(op->table.count, 2);
        assert_int_equal(op->table.labels[0], 0);
        assert_int_equal(op->table.labels[1], 1);
        assert_int_equal(op->table.labels[2], 0);
        break;
    case OP_TRY_TABLE:
        assert_int_equal(op->block.catch_count, 1);
        assert_int_equal(op->block.catches[0].kind, 2);
        assert_int_equal(op->block.catches[0].label, 0);
        break;
    case OP_I8X16_EXTRACT_LANE_U: assert_int_equal(op->a, 15); break;
    case OP_V128_CONST: assert_int_equal(op->v128[15], 16); break;
    default: seen->checks--; break;
    }
    return true;
}

static void immediates(void **state)
{
    static const struct wasm_visitor visitor = {.op = look};
    struct seen seen = {0};
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    struct buf b = build_module(), body = build_new();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 3, 1, 0);
    SECTION(&b, 5, 2, 0, 1, 0, 1);
    BYTES(&body, 0, 0x41, 0x7f, 0x2d, 0x40, 1, 0x81, 1, 0x1a, 0x42, 0x7f, 0x1a, 0x43, 0xdb, 0x0f, 0x49, 0x40, 0x1a);
    BYTES(&body, 0x02, 0x63, 0, 0xd0, 0, 0x0b, 0x1a, 0x1f, 0x40, 1, 2, 0, 0x0b);
    BYTES(&body, 0xfd, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0xfd, 22, 15, 0x1a);
    BYTES(&body, 0x03, 0x40, 0x41, 0, 0x0e, 2, 0, 1, 0, 0x0b, 0x0b);
    build_code(&b, body);
    arena_init(&arena, BUILD_MAX);
    if (!wasm_load(b.data, b.size, &arena, &module, &err) || !build_bodies(module, &visitor, &seen, &err))
        fail_msg("0x%llx %s", (unsigned long long)err.offset, err.message);
    assert_int_equal(seen.checks, 10);
    arena_free(&arena);
    buf_free(&b);
}

#define BODY_AT 23 /* offset of the first instruction in what FUNCTION builds */

#define REFUSED(kind, at, words, ...)                                                                                  \
    do {                                                                                                               \
        struct buf b_ = build_module();                                                                                \
        FUNCTION(&b_, __VA_ARGS__);                                                                                    \
        ASSERT_REFUSED(b_, kind, BODY_AT + (at), words);                                                               \
    } while (0)

static void malformed_bodies(void **state)
{
    REFUSED(ERR_MALFORMED, 1, "unexpected end", 0x01);
    REFUSED(ERR_MALFORMED, 1, "illegal opcode 0x06", 0x01, 0x06, 0x40, 0x0b);
    REFUSED(ERR_MALFORMED, 0, "illegal opcode 0xfc 0x63", 0xfc, 0x63, 0x0b);
    REFUSED(ERR_MALFORMED, 0, "illegal opcode 0xff", 0xff, 0x0b);
    REFUSED(ERR_MALFORMED, 1, "bytes after the end", 0x0b, 0x01);
    REFUSED(ERR_MALFORMED, 0, "else without if", 0x05, 0x0b);
    REFUSED(ERR_MALFORMED, 1, "data count section required", 0x01, 0xfc, 9, 0, 0x0b);
}

static void invalid_bodies(void **state)
{
    REFUSED(ERR_INVALID, 0, "i32.add: type mismatch: expected i32 but the stack is empty", 0x6a, 0x0b);
    REFUSED(ERR_INVALID, 4, "expected i32, found i64", 0x42, 0, 0x41, 0, 0x6a, 0x1a, 0x0b);
    REFUSED(ERR_INVALID, 2, "values left on the stack", 0x41, 0, 0x0b);
    REFUSED(ERR_INVALID, 0, "unknown local 0", 0x20, 0, 0x0b);
    REFUSED(ERR_INVALID, 0, "unknown label 1", 0x0c, 1, 0x0b);
    REFUSED(ERR_INVALID, 2, "unknown memory 0", 0x41, 0, 0x28, 2, 0, 0x1a, 0x0b);
    REFUSED(ERR_INVALID, 0, "undeclared function reference 0", 0xd2, 0, 0x1a, 0x0b);
    REFUSED(ERR_INVALID, 0, "unknown function 9", 0x10, 9, 0x0b);
    REFUSED(ERR_INVALID, 1, "invalid result arity", 0x00, 0x1c, 0, 0x0b);
}

/* In dead code operands come from nowhere, but what is there must still fit. */
static void polymorphism(void **state)
{
    struct buf b = build_module();
    FUNCTION(&b, 0x00, 0x6a, 0x7c, 0x1a, 0x0b);
    ASSERT_REFUSED(b, ERR_INVALID, BODY_AT + 2, "expected i64, found i32");
    b = build_module();
    FUNCTION(&b, 0x00, 0x1b, 0xd1, 0x6a, 0x1a, 0xd4, 0x1a, 0x0b);
    ASSERT_VALID(b);
    REFUSED(ERR_INVALID, 3, "stack is empty", 0x00, 0x02, 0x40, 0x1a, 0x0b, 0x0b);
}

/* A local of a type without default must be set on the path that reads it. */
static void unset_locals(void **state)
{
    struct buf b = build_module(), body = build_new();
    SECTION(&b, 1, 1, 0x60, 1, 0x64, 0x70, 0);
    SECTION(&b, 3, 1, 0);
    BYTES(&body, 1, 1, 0x64, 0x70, 0x20, 0, 0x21, 1, 0x20, 1, 0x1a, 0x0b);
    build_code(&b, body);
    ASSERT_VALID(b);
    b = build_module();
    body = build_new();
    SECTION(&b, 1, 1, 0x60, 1, 0x64, 0x70, 0);
    SECTION(&b, 3, 1, 0);
    BYTES(&body, 1, 1, 0x64, 0x70, 0x02, 0x40, 0x20, 0, 0x21, 1, 0x0b, 0x20, 1, 0x1a, 0x0b);
    build_code(&b, body);
    ASSERT_REFUSED(b, ERR_INVALID, 35, "uninitialized local 1");
}

static void many_locals(void **state)
{
    struct buf b = build_module(), body = build_new();
    SECTION(&b, 1, 1, 0x60, 0, 0);
    SECTION(&b, 3, 1, 0);
    BYTES(&body, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 1, 0x7f, 0x0b);
    build_code(&b, body);
    ASSERT_REFUSED(b, ERR_MALFORMED, 30, "too many locals");
}

/* An expression that waits for an instance is visited like a body. */
static void constant_expression(void **state)
{
    static const struct wasm_visitor visitor = {.op = note};
    struct transcript t = {0};
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    struct buf b = build_module();
    SECTION(&b, 1, 1, 0x5f, 1, 0x7f, 0);
    SECTION(&b, 6, 1, 0x63, 0, 0, 0x41, 1, 0xfb, 0, 0, 0x0b);
    arena_init(&arena, BUILD_MAX);
    assert_true(wasm_load(b.data, b.size, &arena, &module, &err));
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(&err);
    const struct wasm_global *global = &module->globals[0];
    assert_true(wasm_expr_read(module, global->init, global->type, scratch, &visitor, &t, &err));
    assert_string_equal(t.text, "i32.const/1 struct.new/1 end/1");
    wasm_body_scratch_free(scratch);
    arena_free(&arena);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visited_in_order), cmocka_unit_test(reachability),   cmocka_unit_test(immediates),
        cmocka_unit_test(malformed_bodies), cmocka_unit_test(invalid_bodies), cmocka_unit_test(polymorphism),
        cmocka_unit_test(unset_locals),     cmocka_unit_test(many_locals),    cmocka_unit_test(constant_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
