/* What generated modules are made of (support/generate.h): each is valid, and together they have every instruction in a
 * place that can be reached, but for the exceptions below. Seed N is DIFFER_SEED + N. */
#include "support/differ.h"
#include "wasm/body.h"
#include "wasm/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEDS 1200u
#define SEED_BYTES 1500

/* Instructions that no generated module has, and why. All of them have their producer today. */
static const struct {
    enum wasm_opcode code;
    const char *why;
} exceptions[] = {{OP_COUNT, "none"}};

struct counts {
    uint32_t produced[OP_COUNT];
    uint32_t locals_max, operands_max, frames_max, targets_max, catches_max;
    uint32_t params_max, results_max;
};

static void raise_to(uint32_t *maximum, uint32_t value)
{
    if (value > *maximum)
        *maximum = value;
}

static bool count_op(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct counts *counts = arg;
    (void)err;
    if (!op->reachable)
        return true;
    counts->produced[op->code]++;
    raise_to(&counts->locals_max, state->local_count);
    raise_to(&counts->operands_max, state->operand_count);
    raise_to(&counts->frames_max, state->frame_count);
    if (op->code == OP_BR_TABLE)
        raise_to(&counts->targets_max, op->table.count);
    if (op->code == OP_TRY_TABLE)
        raise_to(&counts->catches_max, op->block.catch_count);
    return true;
}

static void count_module(uint64_t seed, struct wasm_body_scratch *scratch, struct counts *counts)
{
    static const struct wasm_visitor visitor = {.op = count_op};
    uint8_t entropy[SEED_BYTES];
    struct generated generated;
    struct wasm_module *module;
    struct arena arena;
    struct err err = {0};
    differ_bytes(seed, entropy, sizeof entropy);
    generate_module(entropy, sizeof entropy, &generated);
    arena_init(&arena, (size_t)16 << 20);
    assert_false(generated.module.failed);
    bool valid = wasm_load(generated.module.data, generated.module.size, &arena, &module, &err);
    for (uint32_t i = 0; valid && i < module->func_count; i++) {
        const struct wasm_functype *type = &module->types[module->funcs[i].type].func;
        raise_to(&counts->params_max, type->param_count);
        raise_to(&counts->results_max, type->result_count);
        valid = wasm_body_read(module, i, scratch, &visitor, counts, &err);
    }
    if (!valid)
        fail_msg("DIFFER_SEED=%llu: offset 0x%llx: %s", (unsigned long long)seed, (unsigned long long)err.offset,
                 err.message);
    arena_free(&arena);
    generate_free(&generated);
}

static const char *exception(enum wasm_opcode code)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (exceptions[i].code == code)
            return exceptions[i].why;
    return NULL;
}

static void every_instruction_is_produced(void **state)
{
    (void)state;
    static struct counts counts;
    struct err err = {0};
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(&err);
    const char *text = getenv("DIFFER_SEED");
    uint64_t first = text ? strtoull(text, NULL, 0) : 1;
    unsigned wrong = 0;
    for (uint32_t i = 0; i < SEEDS; i++)
        count_module(first + i, scratch, &counts);
    for (unsigned code = 0; code < OP_COUNT; code++) {
        if ((counts.produced[code] == 0) == (exception(code) != NULL))
            continue;
        print_message("%s: %u times\n", wasm_op_name(code), counts.produced[code]);
        wrong++;
    }
    print_message("at most %u locals, %u operands, %u blocks in each other, %u targets, %u clauses, %u parameters, %u "
                  "results\n",
                  counts.locals_max, counts.operands_max, counts.frames_max, counts.targets_max, counts.catches_max,
                  counts.params_max, counts.results_max);
    assert_int_equal(wrong, 0);
    assert_true(counts.locals_max > 500 && counts.operands_max > 150 && counts.frames_max > 100);
    assert_true(counts.targets_max > 300 && counts.catches_max >= 4);
    assert_true(counts.params_max > 30 && counts.results_max > 30);
    wasm_body_scratch_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_instruction_is_produced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
