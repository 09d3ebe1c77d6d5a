/* See ways.h. */
#include "support/ways.h"

#include "base/arena.h"
#include "codegen/codegen.h"
#include "compile/build.h"
#include "wasm/body.h"

#include <stdio.h>
#include <string.h>

#define ROOM ((size_t)1 << 28)

static char difference[1024];

struct verdict {
    bool valid;
    struct err err;
    uint64_t seen; /* a hash of the instructions */
};

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x100000001b3u;
}

/* Immediates of the shapes that the quick way reads. */
static void mix_immediates(uint64_t *hash, const struct wasm_op *op)
{
    enum wasm_shape shape = wasm_op_shape(op->code);
    if (shape == SHAPE_LOCAL || shape == SHAPE_LABEL || shape == SHAPE_FUNC)
        mix(hash, op->a);
    if (shape == SHAPE_I32 || shape == SHAPE_I64)
        mix(hash, op->bits);
    if (shape >= SHAPE_MEM_0 && shape <= SHAPE_MEM_4) {
        mix(hash, op->mem.offset);
        mix(hash, op->mem.align_log2 | (uint64_t)op->mem.memory << 8);
    }
    if (shape == SHAPE_BLOCK) {
        mix(hash, op->block.type.param_count | (uint64_t)op->block.type.result_count << 32);
        for (uint32_t i = 0; i < op->block.type.result_count; i++)
            mix(hash, op->block.type.results[i]);
    }
}

static bool note(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    uint64_t *hash = arg;
    mix(hash, op->code | (uint64_t)op->offset << 32);
    mix(hash, op->next | (uint64_t)op->reachable << 32);
    mix(hash, state->operand_count | (uint64_t)state->frame_count << 32);
    for (uint32_t i = 0; i < state->operand_count; i++)
        mix(hash, state->operands[i]);
    mix_immediates(hash, op);
    return true;
}

static struct verdict read_bodies(const uint8_t *bytes, size_t size, bool careful)
{
    static const struct wasm_visitor visitor = {.op = note};
    struct verdict verdict = {.seen = 0xcbf29ce484222325u};
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, ROOM);
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(&verdict.err);
    if (careful && scratch)
        wasm_body_careful(scratch);
    verdict.valid = scratch && wasm_load(bytes, size, &arena, &module, &verdict.err);
    for (uint32_t i = verdict.valid ? module->imported_funcs : 0; verdict.valid && i < module->func_count; i++)
        verdict.valid = wasm_body_read(module, i, scratch, &visitor, &verdict.seen, &verdict.err);
    wasm_body_scratch_free(scratch);
    arena_free(&arena);
    return verdict;
}

static struct verdict generate(const uint8_t *bytes, size_t size)
{
    static const struct compile_options options = {.tier = TIER_FAST, .open = true};
    struct verdict verdict = {0};
    struct buf image;
    buf_init(&image, ROOM);
    verdict.valid = compile_build(bytes, size, &options, codegen_fast, &image, &verdict.err);
    buf_free(&image);
    return verdict;
}

static bool is_about_validity(const struct err *err)
{
    return err->kind == ERR_INVALID || err->kind == ERR_MALFORMED;
}

static bool differ(const char *what, const struct verdict *one, const struct verdict *other)
{
    snprintf(difference, sizeof difference, "%s: %s (%s at 0x%llx), by the tables: %s (%s at 0x%llx)%s", what,
             other->valid ? "valid" : "not valid", other->err.message, (unsigned long long)other->err.offset,
             one->valid ? "valid" : "not valid", one->err.message, (unsigned long long)one->err.offset,
             one->seen != other->seen ? ", other instructions" : "");
    return false;
}

static bool same_error(const struct err *one, const struct err *other)
{
    return one->kind == other->kind && one->offset == other->offset && strcmp(one->message, other->message) == 0;
}

bool ways_agree(const uint8_t *bytes, size_t size, bool *ret_valid, struct err *ret_err, const char **ret_difference)
{
    struct verdict tables = read_bodies(bytes, size, true), quick = read_bodies(bytes, size, false);
    *ret_valid = tables.valid;
    *ret_err = tables.err;
    *ret_difference = difference;
    if (tables.valid != quick.valid || tables.seen != quick.seen ||
        (!tables.valid && !same_error(&tables.err, &quick.err)))
        return differ("quickly", &tables, &quick);
    /* The generator has limits of its own, and needs what others need not: those are no verdicts on validity. */
    struct verdict generated = generate(bytes, size);
    if (!generated.valid && !is_about_validity(&generated.err))
        return true;
    if (tables.valid != generated.valid || (!tables.valid && !same_error(&tables.err, &generated.err)))
        return differ("by the fast generator", &tables, &generated);
    return true;
}
