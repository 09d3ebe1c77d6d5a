/* The calling convention as a test suite: every class of call, exit and interruption, within one image and
 * across two, from LLVM's code and from a hand-assembled second generator, in every combination.
 *
 * fixtures/callee.wat and caller.wat are the two sides. In the combinations of one image they are two units of
 * one plan, linked by direct calls; across two images they are linked at run time in one store. */
#include "compile/build.h"
#include "image/write.h"
#include "runtime/backtrace.h"
#include "runtime/exception.h"
#include "runtime/task.h"
#include "support/standin.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLEE, CALLER, SIDES };

struct combination {
    const char *name;
    bool one_image;
    generator_fn *generate[SIDES];
    uint32_t mix_seed;
};

static const struct combination combinations[] = {
#if MAYFLY_LLVM
    {"one image, LLVM", true, {codegen_llvm, codegen_llvm}, 0},
    {"one image, second generator", true, {standin_generate, standin_generate}, 0},
    {"two images, LLVM calls LLVM", false, {codegen_llvm, codegen_llvm}, 0},
    {"two images, LLVM calls second generator", false, {standin_generate, codegen_llvm}, 0},
    {"two images, second generator calls LLVM", false, {codegen_llvm, standin_generate}, 0},
    {"two images, second generator calls itself", false, {standin_generate, standin_generate}, 0},
    {"two images, LLVM calls the fast generator", false, {codegen_fast, codegen_llvm}, 0},
    {"two images, the fast generator calls LLVM", false, {codegen_llvm, codegen_fast}, 0},
    {"two images, second generator calls the fast one", false, {codegen_fast, standin_generate}, 0},
    {"two images, the fast generator calls the second one", false, {standin_generate, codegen_fast}, 0},
    {"one image, LLVM and the fast generator by chance", true, {codegen_llvm, codegen_llvm}, 1},
    {"one image, LLVM and the fast generator by another chance", true, {codegen_llvm, codegen_llvm}, 2},
    {"two images, both by chance", false, {codegen_llvm, codegen_llvm}, 3},
#endif
    {"one image, the fast generator", true, {codegen_fast, codegen_fast}, 0},
    {"two images, the fast generator calls itself", false, {codegen_fast, codegen_fast}, 0},
};

struct world {
    const struct combination *how;
    struct arena arena;
    uint8_t *bytes[SIDES];
    struct wasm_module *modules[SIDES];
    struct unit units[SIDES];
    struct program *programs[SIDES]; /* one image: the same twice */
    struct slot *slots[SIDES];
    uint64_t contexts[SIDES]; /* from each slot's base */
};

static struct world world;

#define OK(expression, err)                                                                                            \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", #expression, (err).message);                                                            \
    } while (0)

static void read_module(int side)
{
    static const char *const names[] = {"callee", "caller"};
    char path[512];
    struct err err = {0};
    snprintf(path, sizeof path, SOURCE_DIR "/tests/contract/fixtures/%s.wasm", names[side]);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    world.bytes[side] = mem_alloc(1, 65536);
    size_t size = fread(world.bytes[side], 1, 65536, file);
    fclose(file);
    OK(wasm_load(world.bytes[side], size, &world.arena, &world.modules[side], &err), err);
}

/* ---- the host's side of the fixtures ---- */

static bool twice(struct store *store, const void *env, union cell *v)
{
    assert_true(env == &world);
    assert_true(store->guest_fp > store->stack_low && store->guest_fp < store->stack_high);
    v[0].i64 = (int64_t)v[0].i32 * 2 + (int64_t)(v[1].f64 * 4);
    return true;
}

static bool resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                    const void **ret_env, struct err *err)
{
    (void)arg, (void)err;
    assert_true(str_eq(image_str(image, import->name), STR("twice")));
    *ret_fn = twice;
    *ret_env = &world;
    return true;
}

/* ---- building ---- */

static uint32_t export_index(const struct wasm_module *module, struct str name)
{
    for (uint32_t i = 0; i < module->export_count; i++)
        if (str_eq(module->exports[i].name, name))
            return module->exports[i].index;
    fail_msg("no export %.*s", STR_ARG(name));
    return 0;
}

static struct plan *make_plan(struct unit *units, uint32_t count)
{
    struct plan *plan = ARENA_NEW(&world.arena, struct plan);
    plan->units = units;
    plan->unit_count = count;
    plan->imports = ARENA_ARRAY(&world.arena, struct host_import, 4);
    plan->exports = ARENA_ARRAY(&world.arena, struct plan_export, 64);
    const struct canon_options none = {
        WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, WASM_NO_INDEX, 0};
    for (uint32_t u = 0; u < count; u++) {
        const struct wasm_module *module = units[u].module;
        units[u].imports = ARENA_ARRAY(&world.arena, struct unit_import, module->import_count);
        for (uint32_t i = 0; i < module->import_count; i++) {
            const struct wasm_import *import = &module->imports[i];
            struct unit_import by = {.from = IMPORT_OPEN};
            if (str_eq(import->module, STR("host"))) {
                by = (struct unit_import){.from = IMPORT_HOST, .host = plan->import_count};
                plan->imports[plan->import_count++] =
                    (struct host_import){.kind = HOST_CORE,
                                         .interface = import->module,
                                         .name = import->name,
                                         .options = none,
                                         .resource_type = WASM_NO_INDEX,
                                         .dtor_unit = WASM_NO_INDEX,
                                         .dtor = WASM_NO_INDEX,
                                         .type = wasm_func_type(module, import->index)};
            } else if (count == SIDES) {
                by = (struct unit_import){
                    .from = IMPORT_UNIT, .unit = CALLEE, .index = export_index(units[CALLEE].module, import->name)};
            }
            units[u].imports[i] = by;
        }
        for (uint32_t i = 0; i < module->export_count; i++)
            if (module->exports[i].kind == WASM_FUNC)
                plan->exports[plan->export_count++] =
                    (struct plan_export){.interface = u == 0 && count == SIDES ? STR("callee") : STR(""),
                                         .name = module->exports[i].name,
                                         .unit = u,
                                         .func = module->exports[i].index,
                                         .options = none};
    }
    return plan;
}

static struct program *build(struct unit *units, uint32_t count, generator_fn *generate)
{
    struct err err = {0};
    struct geometry geometry;
    struct code code;
    struct buf image;
    struct codegen_options options = {.opt_level = 2, .mix_seed = world.how->mix_seed};
    const uint8_t source[32] = {0};
    struct plan *plan = make_plan(units, count);
    OK(layout_compute(units, count, 0, &world.arena, &geometry, &err), err);
    code_init(&code);
    buf_init(&image, (size_t)1 << 30);
    OK(generate(units, count, &options, &code, &err), err);
    struct image_sink sink = compile_buffer(&image);
    OK(compile_write(plan, &geometry, &code, source, 0, &sink, &err), err);
    OK(image_check(image.data, image.size, &err), err);
    int fd = memfd_create("contract", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    struct program *program = program_load(fd, "contract", resolve, NULL, &err);
    OK(program, err);
    close(fd);
    code_free(&code);
    buf_free(&image);
    return program;
}

static void *in_slot(int side, struct place place)
{
    return (char *)world.slots[side]->store + world.contexts[side] + place.off;
}

static const struct image_export *find(int side, const char *name)
{
    bool named = side == CALLEE && world.how->one_image;
    const struct image_export *row =
        program_export(world.programs[side], named ? STR("callee") : STR(""), str_of(name));
    assert_non_null(row);
    return row;
}

static uint64_t reference(int side, const char *name)
{
    return slot_funcref(world.slots[side], world.slots[CALLEE], find(side, name));
}

/* Link the caller's open imports to the callee, as a host does at run time. */
static void link_at_run_time(void)
{
    const struct wasm_module *module = world.modules[CALLER];
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct wasm_import *import = &module->imports[i];
        char name[64];
        if (str_eq(import->module, STR("host")))
            continue;
        snprintf(name, sizeof name, "%.*s", STR_ARG(import->name));
        if (import->kind == WASM_FUNC) {
            uint64_t off = world.contexts[CALLER] + (uint64_t)world.units[CALLER].funcs[import->index].off;
            slot_link_func(world.slots[CALLER], world.slots[CALLEE], off, reference(CALLEE, name));
        } else {
            struct place tag = world.units[CALLEE].tags[export_index(world.modules[CALLEE], import->name)];
            uint64_t address = (uint64_t)in_slot(CALLEE, tag);
            memcpy(in_slot(CALLER, world.units[CALLER].tags[import->index]), &address, sizeof address);
        }
    }
}

/* ---- running ---- */

struct run {
    int side;
    const char *name;
    union cell v[4];
    bool returned;
    void (*before)(void), (*after)(void);
};

static void body(struct task *task)
{
    struct run *run = task->arg;
    const struct image_export *row = find(run->side, run->name);
    const uint8_t *types = image_bytes(&world.programs[run->side]->image) + row->types_first;
    uint64_t funcref = reference(run->side, run->name);
    if (run->before)
        run->before();
    run->returned = guest_call(world.slots[CALLEE]->store, funcref, types, row->param_count, row->result_count, run->v);
    if (run->after)
        run->after();
}

static struct task task;

static void begin(struct run *run)
{
    struct err err = {0};
    OK(trap_install(&err), err); /* the test framework put its own handlers in place */
    OK(task_start(&task, world.slots[CALLEE], body, run, NULL, &err), err);
}

static struct run call(int side, const char *name, int32_t a, int32_t b)
{
    struct run run = {.side = side, .name = name};
    run.v[0].i32 = a;
    run.v[1].i32 = b;
    begin(&run);
    assert_int_equal(task.state, TASK_DONE);
    return run;
}

#define ASSERT_RETURNS(expected, ...)                                                                                  \
    do {                                                                                                               \
        struct run run_ = call(__VA_ARGS__);                                                                           \
        if (!run_.returned)                                                                                            \
            fail_msg("trapped: %s %s", trap_text(task.report.trap), task.report.message);                              \
        assert_int_equal(run_.v[0].i32, (expected));                                                                   \
    } while (0)

#define ASSERT_TRAPS(expected, ...)                                                                                    \
    do {                                                                                                               \
        struct run run_ = call(__VA_ARGS__);                                                                           \
        assert_false(run_.returned);                                                                                   \
        assert_string_equal(trap_text(task.report.trap), trap_text(expected));                                         \
    } while (0)

static int set_up(void **state)
{
    struct err err = {0};
    memset(&world, 0, sizeof world);
    world.how = *state;
    arena_init(&world.arena, (size_t)64 << 20);
    for (int side = 0; side < SIDES; side++) {
        read_module(side);
        world.units[side].module = world.modules[side];
    }
    if (world.how->one_image) {
        world.programs[CALLEE] = world.programs[CALLER] = build(world.units, SIDES, world.how->generate[CALLEE]);
    } else {
        for (int side = 0; side < SIDES; side++)
            world.programs[side] = build(&world.units[side], 1, world.how->generate[side]);
    }
    OK(world.slots[CALLEE] = slot_open(world.programs[CALLEE], &err), err);
    world.slots[CALLER] = world.slots[CALLEE];
    for (int side = 0; side < SIDES; side++)
        world.contexts[side] = world.units[side].context;
    if (!world.how->one_image) {
        OK(world.slots[CALLER] = slot_join(world.slots[CALLEE], world.programs[CALLER], &err), err);
        link_at_run_time();
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    slot_destroy(world.slots[CALLEE]);
    program_unload(world.programs[CALLEE]);
    if (!world.how->one_image)
        program_unload(world.programs[CALLER]);
    for (int side = 0; side < SIDES; side++)
        mem_free(world.bytes[side]);
    arena_free(&world.arena);
    stack_drain();
    return 0;
}

/* ---- the classes ---- */

static void calls_with_registers_and_spills(void **state)
{
    (void)state;
    /* (n+3+5+7) + (2+4) + (6+8) + trunc(3 + 18 + 34) */
    ASSERT_RETURNS(11 + 15 + 6 + 14 + 55, CALLER, "call", 11, 0);
}

static void host_calls(void **state)
{
    (void)state;
    ASSERT_RETURNS(2 * 21 + 1, CALLER, "host", 21, 0);
}

/* Put a function into a table, as table.set does. */
static void set_entry(int table_side, uint32_t index, int side, const char *name)
{
    const struct table_place *table = &world.units[table_side].tables[0];
    struct slot *slot = world.slots[table_side];
    struct table_entry entry = {reference(side, name), 0};
    memcpy(&entry.type_hash, (const char *)world.programs[side]->image.base + FUNCREF_CODE(entry.reference) - 8, 8);
    char *at = (char *)in_slot(table_side, table->entries) + index * sizeof entry;
    struct err err = {0};
    OK(trap_install(&err), err);
    task_current = &task; /* the first write to a page of the slot is the fault handler's */
    task.slot = world.slots[CALLEE];
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    memcpy(at, &entry, sizeof entry);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    task_current = NULL;
    assert_non_null(slot);
}

static void indirect_calls(void **state)
{
    (void)state;
    set_entry(CALLER, 0, CALLEE, "fault");
    set_entry(CALLER, 1, CALLER, "fault");
    set_entry(CALLER, 2, CALLEE, "poke");
    ASSERT_RETURNS(7, CALLER, "indirect", 0, 0);
    ASSERT_RETURNS(8, CALLER, "indirect", 0, 1);
    ASSERT_TRAPS(TRAP_INDIRECT_TYPE, CALLER, "indirect", 0, 2);
    ASSERT_TRAPS(TRAP_UNDEFINED_ELEMENT, CALLER, "indirect", 0, 4);
    ASSERT_TRAPS(TRAP_UNDEFINED_ELEMENT, CALLER, "indirect", 0, -1);
}

static void tail_calls(void **state)
{
    (void)state;
    ASSERT_RETURNS(105, CALLER, "tail", 5, 0);
    set_entry(CALLEE, 0, CALLER, "bounce");
    set_entry(CALLER, 0, CALLEE, "bounce");
    ASSERT_RETURNS(42, CALLEE, "bounce", 1000000, 0); /* no stack holds a million frames */
    ASSERT_RETURNS(41, CALLEE, "bounce", 1000001, 0);
}

static void exceptions(void **state)
{
    (void)state;
    ASSERT_RETURNS(1005, CALLER, "catch", 5, 0);
    ASSERT_TRAPS(TRAP_UNCAUGHT_EXCEPTION, CALLER, "uncaught", 5, 0);
    ASSERT_RETURNS(1006, CALLER, "catch", 6, 0);
}

static void traps_with_backtraces(void **state)
{
    (void)state;
    ASSERT_RETURNS(8, CALLER, "fault", 0, 0);
    ASSERT_TRAPS(TRAP_UNREACHABLE, CALLER, "fault", 1, 0);
    char inner[200], outer[200];
    assert_true(task.report.frame_count >= 2);
    trap_describe_frame(&task.report, 0, inner, sizeof inner);
    trap_describe_frame(&task.report, 1, outer, sizeof outer);
    assert_non_null(strstr(inner, " fault "));
    assert_non_null(strstr(outer, " middle "));
    assert_null(strstr(inner, "offset 0x0)"));
    assert_null(strstr(outer, "offset 0x0)"));
    ASSERT_RETURNS(8, CALLER, "fault", 0, 0);
}

static void stack_overflow(void **state)
{
    (void)state;
    ASSERT_TRAPS(TRAP_STACK_OVERFLOW, CALLER, "recurse", 0, 0);
    assert_int_equal(task.report.frame_count, TRAP_FRAMES_MAX);
    ASSERT_RETURNS(7, CALLEE, "fault", 0, 0);
}

static void memory_bounds(void **state)
{
    (void)state;
    ASSERT_RETURNS(0, CALLER, "peek", 65532, 0);
    ASSERT_TRAPS(TRAP_MEMORY_BOUNDS, CALLER, "peek", 65533, 0);
    ASSERT_TRAPS(TRAP_MEMORY_BOUNDS, CALLER, "peek", -1, 0);
}

static int32_t work_without_interruption(int32_t rounds)
{
    struct run run = call(CALLER, "work", rounds, 0);
    assert_true(run.returned);
    return run.v[0].i32;
}

/* The backtrace goes out to the function that was called, wherever it begins. */
static void assert_outermost(const char *name, uint64_t where)
{
    assert_true(task.report.frame_count > 0);
    const struct image *image = &world.programs[CALLER]->image;
    uint64_t pc = task.report.frames[task.report.frame_count - 1];
    const struct image_func *func = image_find_func(image, (uint32_t)(pc - (uint64_t)image->base));
    if (!func || func->code_off != FUNCREF_CODE(find(CALLER, name)->funcref))
        fail_msg("the backtrace does not go out to %s when it ends at instruction %llu", name,
                 (unsigned long long)where);
}

#if defined(__x86_64__)
/* ---- preemption at every instruction: the trap flag raises SIGTRAP behind each ---- */

static uint64_t interruptions;

/* Going on after a preemption raises the signal once more before the interrupted instruction. */
static void on_step(int number, siginfo_t *info, void *raw)
{
    static uint64_t last;
    ucontext_t *context = raw;
    uint64_t pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    (void)number, (void)info;
    if (!program_of(pc))
        return;
    bool again = pc == last;
    last = 0;
    if (again || !task_preempt_at(context))
        return;
    last = pc;
    interruptions++;
}

static void trap_flag_on(void)
{
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static void trap_flag_off(void)
{
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static int32_t work_interrupted(int32_t rounds)
{
    struct run run = {.side = CALLER, .name = "work", .before = trap_flag_on, .after = trap_flag_off};
    run.v[0].i32 = rounds;
    begin(&run);
    while (task.state == TASK_PREEMPTED) {
        trap_flag_off();
        /* What the loop and other tasks do to registers meanwhile. */
        __asm__ volatile(
            "pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
                : "xmm0", "xmm1", "xmm7", "xmm15");
        task_resume(&task);
    }
    trap_flag_off();
    assert_int_equal(task.state, TASK_DONE);
    assert_true(run.returned);
    return run.v[0].i32;
}

static void preemption(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
    const int32_t rounds = 20;
    /* The counter in memory goes on between calls of the same instance, so each run adds the same sum. */
    const int32_t sum = rounds * (rounds + 1) / 2, floats = rounds / 2;
    assert_int_equal(work_without_interruption(rounds), sum + floats);
    assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
    interruptions = 0;
    assert_int_equal(work_interrupted(rounds), 2 * sum + floats);
    sigaction(SIGTRAP, &old, NULL);
    assert_int_equal(work_without_interruption(rounds), 3 * sum + floats);
    assert_true(interruptions > (uint64_t)rounds * 10);
    printf("           preempted %llu times\n", (unsigned long long)interruptions);
}

/* ---- the end of the guest's time at every instruction ---- */

static uint64_t steps, end_at; /* instructions behind which nothing and something happens */
static bool in_text_only;

static void on_step_end(int number, siginfo_t *info, void *raw)
{
    ucontext_t *context = raw;
    (void)number, (void)info;
    if (in_text_only && !program_of((uint64_t)context->uc_mcontext.gregs[REG_RIP]))
        return;
    if (steps++ >= end_at)
        trap_interrupt(context, TRAP_DEADLINE);
}

/* End the function behind its n-th instruction: for all n where the guest's own count, for fewer and fewer where the
 * host's count as well. */
static void end_everywhere(const char *name, int32_t argument, bool text_only)
{
    struct run run = {.returned = false};
    in_text_only = text_only;
    for (end_at = 0; !run.returned; end_at += 1 + (text_only ? 0 : end_at / 2)) {
        run = (struct run){.side = CALLER, .name = name, .before = trap_flag_on, .after = trap_flag_off};
        run.v[0].i32 = argument;
        steps = 0;
        begin(&run);
        assert_int_equal(task.state, TASK_DONE);
        if (run.returned)
            break;
        assert_int_equal(task.report.trap, TRAP_DEADLINE);
        assert_outermost(name, end_at);
    }
    assert_true(end_at > 4);
}

static void interruption(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = on_step_end, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
    assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
    end_everywhere("work", 1, true);
    end_everywhere("fault", 0, true);
    end_everywhere("host", 21, false);
    sigaction(SIGTRAP, &old, NULL);
    ASSERT_RETURNS(2 * 21 + 1, CALLER, "host", 21, 0);
}

#else
/* ---- preemption, and the end of the guest's time, at every instruction: a breakpoint there raises SIGTRAP once ----
 */

#define BREAKPOINT 0xd4200000u /* brk #0 */
#define FIRST_INSTRUCTION 0xa9bf7bfdu

static uint32_t *breakpoint, below;
static bool hit, ends_there;

static void write_instruction(uint32_t *at, uint32_t instruction)
{
    *at = instruction;
    __builtin___clear_cache((char *)at, (char *)(at + 1));
}

static void on_breakpoint(int number, siginfo_t *info, void *raw)
{
    ucontext_t *context = raw;
    (void)number, (void)info;
    assert_true(context->uc_mcontext.pc == (uint64_t)breakpoint);
    write_instruction(breakpoint, below);
    hit = true;
    if (ends_there)
        trap_interrupt(context, TRAP_DEADLINE);
    else
        assert_true(task_preempt_at(context));
}

typedef void try_fn(const char *name);

/* Try with a breakpoint at an instruction; false: it was not reached. */
static bool try_at(uint32_t *at, try_fn *try, const char *name)
{
    breakpoint = at;
    below = *at;
    hit = false;
    write_instruction(at, BREAKPOINT);
    try(name);
    if (!hit)
        write_instruction(at, below);
    return hit;
}

static unsigned try_function(uint32_t *code, uint32_t size, try_fn *try, const char *name)
{
    unsigned hits = 0;
    for (uint32_t i = 0; i < size / sizeof *code && *code == FIRST_INSTRUCTION; i++)
        hits += try_at(code + i, try, name);
    return hits;
}

/* At each instruction of all programs; how many were reached. */
static unsigned try_everywhere(try_fn *try, const char *name)
{
    struct sigaction action = {.sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old;
    unsigned hits = 0;
    assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
    for (int side = 0; side < (world.how->one_image ? 1 : SIDES); side++) {
        const struct image *image = &world.programs[side]->image;
        uint8_t *base = (uint8_t *)(uintptr_t)image->base, *text = base + image->header->code_offset;
        assert_int_equal(mprotect(text, image->header->exec_size, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
        for (uint64_t i = 0; i < image_funcs_count(image); i++)
            hits += try_function((uint32_t *)(base + image_funcs(image)[i].code_off), image_funcs(image)[i].code_size,
                                 try, name);
        assert_int_equal(mprotect(text, image->header->exec_size, PROT_READ | PROT_EXEC), 0);
    }
    sigaction(SIGTRAP, &old, NULL);
    return hits;
}

#define ROUNDS 3
static int32_t works;

/* The counter in memory goes on between calls of the same instance, so each run adds the same sum. */
static void work_preempted(const char *name)
{
    struct run run = {.side = CALLER, .name = name};
    run.v[0].i32 = ROUNDS;
    begin(&run);
    while (task.state == TASK_PREEMPTED) {
        /* What the loop and other tasks do to registers meanwhile. */
        __asm__ volatile("movi v0.16b, #255; movi v15.16b, #255; movi v31.16b, #255; cmp xzr, xzr" ::
                             : "v0", "v15", "v31", "cc");
        task_resume(&task);
    }
    assert_int_equal(task.state, TASK_DONE);
    assert_true(run.returned);
    assert_int_equal(run.v[0].i32, ++works * (ROUNDS * (ROUNDS + 1) / 2) + ROUNDS / 2);
}

static void preemption(void **state)
{
    (void)state;
    works = 0;
    work_preempted("work");
    ends_there = false;
    unsigned hits = try_everywhere(work_preempted, "work");
    assert_true(hits > 50);
    works++;
    assert_int_equal(work_without_interruption(ROUNDS), works * (ROUNDS * (ROUNDS + 1) / 2) + ROUNDS / 2);
    printf("           preempted %u times\n", hits);
}

static void end_once(const char *name)
{
    struct run run = call(CALLER, name, 1, 0);
    if (!hit)
        return;
    assert_false(run.returned);
    assert_int_equal(task.report.trap, TRAP_DEADLINE);
    assert_outermost(name, (uint64_t)breakpoint);
}

static void interruption(void **state)
{
    static const char *const names[] = {"work", "fault", "host"};
    (void)state;
    ends_there = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(try_everywhere(end_once, names[i]) > 10);
    ASSERT_RETURNS(2 * 21 + 1, CALLER, "host", 21, 0);
}
#endif

#define CLASSES(CLASS)                                                                                                 \
    CLASS(calls_with_registers_and_spills)                                                                             \
    CLASS(host_calls)                                                                                                  \
    CLASS(indirect_calls)                                                                                              \
    CLASS(tail_calls)                                                                                                  \
    CLASS(exceptions)                                                                                                  \
    CLASS(traps_with_backtraces)                                                                                       \
    CLASS(stack_overflow)                                                                                              \
    CLASS(memory_bounds)                                                                                               \
    CLASS(preemption)                                                                                                  \
    CLASS(interruption)

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    static const struct CMUnitTest classes[] = {
#define CLASS(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down),
        CLASSES(CLASS)
#undef CLASS
    };
    struct CMUnitTest tests[COUNT(combinations) * COUNT(classes)];
    char names[COUNT(tests)][128];
    for (size_t i = 0; i < COUNT(tests); i++) {
        const struct combination *how = &combinations[i / COUNT(classes)];
        tests[i] = classes[i % COUNT(classes)];
        tests[i].initial_state = (void *)how;
        snprintf(names[i], sizeof names[i], "%s: %s", how->name, classes[i % COUNT(classes)].name);
        tests[i].name = names[i];
    }
    return _cmocka_run_group_tests("contract", tests, COUNT(tests), NULL, NULL);
}
