/* Functions return with their context in the register in which they got it, whoever made them (docs/architecture.md,
 * "Calling convention"). The fixture's functions are called with nothing of the runtime in between. */
#include "codegen/codegen.h"
#include "compile/build.h"
#include "runtime/task.h"
#include "runtime/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURE SOURCE_DIR "/tests/codegen/fixtures/keeper.wasm"

static const char *const names[] = {"crowd", "calls", "loop", "recurse", "fixed", "through", "bulk"};

static const struct side {
    const char *name;
    generator_fn *generate;
    int opt_level;
    uint32_t mix_seed;
} sides[] = {
    {"LLVM, -O1", codegen_llvm, 1, 0},
    {"LLVM, -O2", codegen_llvm, 2, 0},
    {"LLVM, -O3", codegen_llvm, 3, 0},
    {"the fast generator", codegen_fast, 0, 0},
    {"both by chance", codegen_llvm, 2, 1},
    {"both by another chance", codegen_llvm, 2, 2},
    {"both by a third chance", codegen_llvm, 2, 3},
};

static bool refuse(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                   const void **ret_env, struct err *err)
{
    (void)arg, (void)image, (void)import, (void)ret_fn, (void)ret_env;
    return err_set(err, ERR_LINK, "no imports here");
}

static struct program *load(const struct side *side)
{
    static uint8_t bytes[65536];
    struct err err = {0};
    const struct compile_options options = {.opt_level = side->opt_level, .mix_seed = side->mix_seed};
    FILE *file = fopen(FIXTURE, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    struct buf image;
    buf_init(&image, (size_t)1 << 24);
    if (!compile_build(bytes, size, &options, side->generate, &image, &err))
        fail_msg("%s: %s", side->name, err.message);
    int fd = memfd_create("context", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    buf_free(&image);
    struct program *program = program_load(fd, "context", refuse, NULL, &err);
    if (!program)
        fail_msg("%s: %s", side->name, err.message);
    close(fd);
    return program;
}

struct run {
    struct program *program;
    struct slot *slot;
    const char *name;
    int32_t arg, result;
    uint64_t before, after;
};

/* The context register behind a call; the stack is aligned as at any call. */
static uint64_t call(uint64_t code, uint64_t context, uint64_t arg, int32_t *ret_result)
{
    uint64_t result = code, after = context;
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "subq $256, %%rsp\n\t"
                     "andq $-16, %%rsp\n\t"
                     "pushq %%rbx\n\t"
                     "pushq %%rbx\n\t"
                     "movq %%rdi, %%r12\n\t"
                     "movq %%rsi, %%r13\n\t"
                     "call *%%rax\n\t"
                     "movq %%r12, %%rdi\n\t"
                     "popq %%rsp"
                     : "+a"(result), "+D"(after), "+S"(arg)
                     :
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
                       "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                       "xmm13", "xmm14", "xmm15", "memory", "cc");
    *ret_result = (int32_t)result;
    return after;
}

static void body(struct task *task)
{
    struct run *run = task->arg;
    const struct image_export *row = program_export(run->program, STR(""), str_of(run->name));
    assert_non_null(row);
    uint64_t reference = slot_funcref(run->slot, run->slot, row);
    run->before = (uint64_t)run->slot->store + FUNCREF_CONTEXT(reference);
    uint64_t base = ((struct context *)run->before)->code_base;
    run->after = call(base + FUNCREF_CODE(reference), run->before, (uint64_t)run->arg, &run->result);
}

static struct task task;

/* Results of all functions, in order. */
static void try_all(const struct side *side, int32_t *ret_results)
{
    struct err err = {0};
    struct program *program = load(side);
    struct slot *slot = slot_open(program, &err);
    assert_non_null(slot);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct run run = {.program = program, .slot = slot, .name = names[i], .arg = 5};
        assert_true(trap_install(&err)); /* the test framework put its own handlers in place */
        assert_true(task_start(&task, slot, body, &run, NULL, &err));
        if (task.state != TASK_DONE || run.after != run.before)
            fail_msg("%s, %s: the context is 0x%llx, not 0x%llx", side->name, names[i], (unsigned long long)run.after,
                     (unsigned long long)run.before);
        ret_results[i] = run.result;
    }
    slot_destroy(slot);
    program_unload(program);
    stack_drain();
}

static void comes_back(void **state)
{
    int32_t expected[sizeof names / sizeof *names], found[sizeof names / sizeof *names];
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        try_all(&sides[i], i ? found : expected);
        if (i)
            assert_memory_equal(found, expected, sizeof found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
