/* Decoding, checking, loading and instantiating while memory runs out: each allocation of a step fails once, with all
 * behind it and alone, and so does each system call that maps memory. What must come back is a complete error; nothing
 * may be left over, and the same step, tried again, succeeds.
 *
 * System calls are caught by the linker (--wrap) and left alone while guest code runs: there a failing one is an answer
 * of the guest's own instruction (memory.grow) or of the fault handler. */
#include "compile/build.h"
#include "component/plan.h"
#include "runtime/link.h"
#include "runtime/snapshot.h"
#include "runtime/task.h"
#include "support/descriptors.h"
#include "wasi/link.h"
#include "wasi/preview1.h"
#include "wasm/decode.h"
#include "wasm/rich.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- system calls that fail ---- */

static uint64_t call_count, call_first, call_last; /* first 0: none fails */

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t from);
int __real_mprotect(void *at, size_t size, int protection);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t from);
int __wrap_mprotect(void *at, size_t size, int protection);

static bool refused(void)
{
    if (task_current)
        return false;
    call_count++;
    errno = ENOMEM;
    return call_first && call_count >= call_first && call_count <= call_last;
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t from)
{
    return refused() ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, from);
}

int __wrap_mprotect(void *at, size_t size, int protection)
{
    return refused() ? -1 : __real_mprotect(at, size, protection);
}

static void fail_calls(uint64_t nth, uint64_t last)
{
    call_first = nth ? call_count + nth : 0;
    call_last = last;
}

static void calls_fail_at(uint64_t nth)
{
    fail_calls(nth, UINT64_MAX);
}

static void calls_fail_once(uint64_t nth)
{
    fail_calls(nth, call_count + nth);
}

static uint64_t calls(void)
{
    return call_count;
}

/* ---- the sweep ---- */

static const struct fault {
    const char *name;
    void (*arm)(uint64_t nth); /* 0: off */
    uint64_t (*count)(void);
    enum err_kind kind;
} faults[] = {
    {"allocations from the Nth on", mem_fail_at, mem_count, ERR_MEMORY},
    {"the Nth allocation", mem_fail_once, mem_count, ERR_MEMORY},
    {"system calls from the Nth on", calls_fail_at, calls, ERR_SYSTEM},
    {"the Nth system call", calls_fail_once, calls, ERR_SYSTEM},
};

/* What runs under faults; `clean` follows whatever came of it. */
struct step {
    const char *name;
    bool (*run)(struct err *err);
    void (*clean)(void);
};

/* Of address space: a reservation that stays is seen in it. */
static uint64_t mapped_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return pages * IMAGE_PAGE;
}

#define MAPPED_NOISE ((uint64_t)1 << 30) /* the sanitizer's own; every reservation of a slot is larger */

struct before {
    uint64_t live, descriptors, mapped;
};

static struct before look(void)
{
    return (struct before){mem_live(), open_descriptors(), mapped_bytes()};
}

static void expect_nothing_left(const struct step *step, uint64_t nth, struct before before)
{
    if (mem_live() != before.live)
        fail_msg("%s: %llu: %lld blocks are left", step->name, (unsigned long long)nth,
                 (long long)(mem_live() - before.live));
    if (open_descriptors() != before.descriptors)
        fail_msg("%s: %llu: a descriptor is left", step->name, (unsigned long long)nth);
    if (mapped_bytes() > before.mapped + MAPPED_NOISE)
        fail_msg("%s: %llu: a reservation is left", step->name, (unsigned long long)nth);
}

static bool acceptable(const struct err *err, const struct fault *fault)
{
    bool trap = fault->kind == ERR_MEMORY && err->kind == ERR_TRAP && strstr(err->message, "out of memory");
    return (err->kind == fault->kind || trap) && err->message[0];
}

/* The step with its Nth fault. False: there are not so many. */
static bool try_fault(const struct step *step, const struct fault *fault, uint64_t nth)
{
    struct err err = {0};
    struct before before = look();
    uint64_t first = fault->count();
    fault->arm(nth);
    bool done = step->run(&err);
    fault->arm(0);
    bool hit = fault->count() - first >= nth;
    step->clean();
    expect_nothing_left(step, nth, before);
    if (done && hit)
        fail_msg("%s: %s: %llu: no error", step->name, fault->name, (unsigned long long)nth);
    if (!done && (!hit || !acceptable(&err, fault)))
        fail_msg("%s: %s: %llu: kind %d, \"%s\"", step->name, fault->name, (unsigned long long)nth, err.kind,
                 err.message);
    return hit;
}

static void succeed(const struct step *step)
{
    struct err err = {0};
    if (!step->run(&err))
        fail_msg("%s: without a fault: %s", step->name, err.message);
    step->clean();
}

static void sweep(const struct step *step)
{
    uint64_t counts[sizeof faults / sizeof *faults];
    succeed(step); /* what is kept once and for all is there from now on */
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        uint64_t nth = 1;
        while (try_fault(step, &faults[i], nth)) {
            succeed(step);
            nth++;
        }
        counts[i] = nth - 1;
    }
    print_message("%s: %llu allocations, %llu system calls, each failed with all behind it and alone\n", step->name,
                  (unsigned long long)counts[1], (unsigned long long)counts[3]);
}

/* ---- inputs ---- */

static struct buf input; /* of the steps that read bytes */
static struct arena arena;

static struct buf read_file(const char *name)
{
    char path[512];
    struct buf file = build_new();
    snprintf(path, sizeof path, SOURCE_DIR "/%s", name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    size_t size = (size_t)ftell(in);
    rewind(in);
    void *bytes = buf_extend(&file, size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, in), size);
    fclose(in);
    return file;
}

static void clean_arena(void)
{
    arena_free(&arena);
}

static void sweep_input(struct buf bytes, const struct step *step)
{
    input = bytes;
    arena_init(&arena, BUILD_MAX);
    sweep(step);
    buf_free(&input);
}

/* ---- decode, validate, lay out, write ---- */

static bool decode(struct err *err)
{
    struct wasm_module *module;
    return wasm_decode(input.data, input.size, &arena, &module, err);
}

static bool validate(struct err *err)
{
    struct wasm_module *module;
    return wasm_load(input.data, input.size, &arena, &module, err) && build_bodies(module, NULL, NULL, err);
}

static bool lay_out(struct err *err)
{
    const struct plan_options options = {.open = true};
    struct wasm_module *module;
    struct plan *plan;
    struct geometry geometry;
    return wasm_load(input.data, input.size, &arena, &module, err) &&
           plan_module(module, &options, &arena, &plan, err) &&
           layout_compute(plan->units, plan->unit_count, plan->handle_tables, &arena, &geometry, err);
}

static bool plan_component(struct err *err)
{
    struct plan *plan;
    struct geometry geometry;
    return component_plan(input.data, input.size, &arena, &plan, err) &&
           layout_compute(plan->units, plan->unit_count, plan->handle_tables, &arena, &geometry, err);
}

static void modules(void **state)
{
    static const struct step steps[] = {
        {"decode", decode, clean_arena}, {"validate", validate, clean_arena}, {"layout", lay_out, clean_arena}};
    static const char *const files[] = {"tests/runtime/fixtures/consumer.wasm", "tests/e2e/guests/process.wasm",
                                        "tests/codegen/fixtures/hints.wasm", "tests/codegen/fixtures/mixed.wasm"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        sweep_input(build_rich(), &steps[i]);
        for (size_t k = 0; k < sizeof files / sizeof *files; k++)
            sweep_input(read_file(files[k]), &steps[i]);
    }
}

static void components(void **state)
{
    static const struct step step = {"component", plan_component, clean_arena};
    static const char *const files[] = {"examples/hello-c/hello.wasm", "examples/hello-rust/hello.wasm",
                                        "tests/component/fixtures/resource.wasm", "tests/component/fixtures/host.wasm"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        sweep_input(read_file(files[i]), &step);
}

/* ---- images ---- */

static struct buf image;

static bool build(struct err *err)
{
    const struct compile_options options = {.open = true};
    return compile_build(input.data, input.size, &options, codegen_llvm, &image, err);
}

static void clean_image(void)
{
    buf_free(&image);
}

/* The generator goes beyond loading and instantiating; a small module will do in the usual run. */
static void building(void **state)
{
    static const struct step step = {"build", build, clean_image};
    image = build_new();
    sweep_input(build_rich(), &step);
    if (getenv("MAYFLY_TEST_FULL"))
        sweep_input(read_file("tests/runtime/fixtures/consumer.wasm"), &step);
}

static bool generate_fast(const struct unit *units, uint32_t count, const struct codegen_options *options,
                          struct code *ret_code, struct err *err)
{
    struct codegen_options alone = *options;
    alone.threads = 1;
    return codegen_fast(units, count, &alone, ret_code, err);
}

static bool build_fast(struct err *err)
{
    const struct compile_options options = {.tier = TIER_FAST, .open = true};
    return compile_build(input.data, input.size, &options, generate_fast, &image, err);
}

static void building_fast(void **state)
{
    static const struct step step = {"build fast", build_fast, clean_image};
    static const char *const files[] = {"tests/runtime/fixtures/consumer.wasm", "tests/e2e/guests/process.wasm",
                                        "tests/codegen/fixtures/mixed.wasm"};
    image = build_new();
    sweep_input(build_rich(), &step);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        sweep_input(read_file(files[i]), &step);
}

static struct buf compile(struct buf source, bool open)
{
    struct err err = {0};
    struct buf made = build_new();
    const struct compile_options options = {.open = open};
    if (!compile_build(source.data, source.size, &options, codegen_llvm, &made, &err))
        fail_msg("%s", err.message);
    buf_free(&source);
    return made;
}

static int file_of(struct buf made)
{
    int fd = memfd_create("faults", MFD_CLOEXEC);
    assert_int_equal(write(fd, made.data, made.size), (ssize_t)made.size);
    buf_free(&made);
    return fd;
}

static void checking_allocates_nothing(void **state)
{
    struct err err = {0};
    struct buf made = compile(read_file("tests/e2e/guests/echo.wasm"), false);
    uint64_t count = mem_count();
    assert_true(image_check(made.data, made.size, &err));
    assert_int_equal(mem_count(), count);
    buf_free(&made);
}

/* ---- load, take a slot ---- */

static int image_fd;
static program_resolver *resolver;
static struct wasi_link wasi;
static struct program *program;
static struct slot *slot;

static bool no_hosts(void *arg, const struct image *of, const struct image_import *import, host_fn **ret_fn,
                     const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no host here");
}

static bool load(struct err *err)
{
    program = program_load(image_fd, "faults", resolver, &wasi, err);
    return program != NULL;
}

static void start_body(struct task *task)
{
    *(bool *)task->arg = program_start(task->slot);
}

static bool start(struct err *err)
{
    struct task task = {0};
    bool started = false;
    return task_start(&task, slot, start_body, &started, NULL, err) &&
           (started || err_set(err, ERR_TRAP, "%s", trap_text(task.report.trap)));
}

static bool acquire(struct err *err)
{
    slot = slot_acquire(program, err);
    return slot && (!program->start_each_time || resolver != no_hosts || start(err));
}

static void clean_slot(void)
{
    if (slot)
        slot_destroy(slot);
    slot = NULL;
    stack_drain();
}

static void clean_program(void)
{
    if (program)
        program_unload(program);
    program = NULL;
    wasi_link_free(&wasi);
    stack_drain();
}

/* Also a slot that finds pages which earlier instances wrote. */
static void sweep_slots(void)
{
    static const struct step step = {"slot", acquire, clean_slot};
    struct err err = {0};
    assert_true(load(&err));
    sweep(&step);
    program->hot[program->hot_count++] = program->image.header->fixed_size;
    sweep(&step);
    clean_program();
}

static void sweep_program(struct buf source, program_resolver *resolve)
{
    static const struct step step = {"load", load, clean_program};
    image_fd = file_of(compile(source, false));
    resolver = resolve;
    wasi_link_init(&wasi);
    sweep(&step);
    sweep_slots();
    close(image_fd);
}

/* Its start function makes objects, more of them than there is room for from the start; a global needs one before. */
static struct buf starting_module(void)
{
    struct buf module = build_module(), code = build_new();
    SECTION(&module, 1, 2, 0x5f, 1, 0x7f, 0, 0x60, 0, 0);
    SECTION(&module, 3, 1, 1);
    SECTION(&module, 5, 1, 0, 1);
    SECTION(&module, 6, 1, 0x63, 0, 1, 0x41, 1, 0xfb, 0, 0, 0x0b);
    SECTION(&module, 8, 0);
    BYTES(&code, 1, 1, 0x7f, 0x03, 0x40, 0x41, 5, 0xfb, 0, 0, 0x24, 0);
    BYTES(&code, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41, 0xa0, 0x9c, 1, 0x49, 0x0d, 0, 0x0b);
    BYTES(&code, 0x41, 0, 0x41, 7, 0x36, 2, 0, 0x0b);
    build_code(&module, code);
    return module;
}

/* Its start function keeps an exception in a global, so that it runs in each instance. */
static struct buf throwing_module(void)
{
    struct buf module = build_module(), code = build_new();
    SECTION(&module, 1, 1, 0x60, 0, 0);
    SECTION(&module, 3, 1, 0);
    SECTION(&module, 13, 1, 0, 0);
    SECTION(&module, 6, 1, 0x69, 1, 0xd0, 0x69, 0x0b);
    SECTION(&module, 8, 0);
    BYTES(&code, 0, 0x02, 0x69, 0x1f, 0x40, 1, 3, 0, 0x08, 0, 0x0b, 0x00, 0x0b, 0x24, 0, 0x0b);
    build_code(&module, code);
    return module;
}

static void programs(void **state)
{
    sweep_program(read_file("tests/e2e/guests/process.wasm"), preview1_resolve);
    sweep_program(read_file("tests/e2e/guests/leak.wasm"), wasi_resolve);
    sweep_program(read_file("examples/hello-rust/hello.wasm"), wasi_resolve);
    sweep_program(starting_module(), no_hosts);
    sweep_program(throwing_module(), no_hosts);
}

/* ---- link and instantiate ---- */

#define LINKED_MAX 5u

static struct linked {
    struct program *programs[LINKED_MAX];
    struct slot *slots[LINKED_MAX];
    uint32_t count;
} linked;

/* Module "p" is the first. */
static bool find(void *arg, struct str module, struct str name, struct link_extern *ret_extern)
{
    return linked.slots[0] && instance_export(linked.slots[0], name, ret_extern);
}

static bool link_all(struct err *err)
{
    for (uint32_t i = 0; i < linked.count; i++)
        if (!instance_link(linked.slots[0], linked.programs[i], find, NULL, NULL, &linked.slots[i], NULL, err))
            return false;
    return true;
}

static void clean_links(void)
{
    if (linked.slots[0])
        slot_destroy(linked.slots[0]);
    memset(linked.slots, 0, sizeof linked.slots);
    stack_drain();
}

static void add_linked(struct buf source)
{
    struct err err = {0};
    int fd = file_of(compile(source, true));
    struct program *made = program_load(fd, "faults", no_hosts, NULL, &err);
    if (!made)
        fail_msg("%s", err.message);
    close(fd);
    linked.programs[linked.count++] = made;
}

static bool link_last(struct err *err)
{
    struct slot *made = NULL;
    return instance_link(linked.slots[0], linked.programs[1], find, NULL, NULL, &made, NULL, err);
}

/* A store in which an instance could not be made is as it was before, and takes the instance later. */
static void expect_same_store(const struct fault *fault)
{
    static const struct step step = {"link once more", link_last, NULL};
    struct err err;
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        stack_drain();
        struct before before = look();
        uint64_t next = linked.slots[0]->region->next, used = linked.slots[0]->account->used;
        fault->arm(nth);
        done = link_last(&err);
        fault->arm(0);
        if (done)
            continue;
        expect_nothing_left(&step, nth, before);
        assert_true(acceptable(&err, fault));
        assert_int_equal(linked.slots[0]->region->next, next);
        assert_int_equal(linked.slots[0]->account->used, used);
    }
}

static void instances(void **state)
{
    static const struct step step = {"link", link_all, clean_links};
    struct err err;
    add_linked(read_file("tests/runtime/fixtures/provider.wasm"));
    add_linked(read_file("tests/runtime/fixtures/consumer.wasm"));
    add_linked(starting_module());
    add_linked(throwing_module());
    sweep(&step);
    assert_true(link_all(&err));
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        expect_same_store(&faults[i]);
    clean_links();
    while (linked.count)
        program_unload(linked.programs[--linked.count]);
}

/* ---- WASI ---- */

static struct preview1 process;

static bool grant(struct err *err)
{
    struct files_dir here, there;
    return preview1_init(&process, err) && files_grant(SOURCE_DIR, false, &here, err) &&
           preview1_grant(&process, here, "here", err) && files_grant(SOURCE_DIR "/tests", true, &there, err) &&
           preview1_grant(&process, there, "there", err);
}

static void clean_process(void)
{
    preview1_free(&process);
    memset(&process, 0, sizeof process);
}

static void directories(void **state)
{
    static const struct step step = {"grant", grant, clean_process};
    sweep(&step);
}

static bool install(struct err *err)
{
    return trap_install(err);
}

static void nothing(void)
{
}

static void handlers(void **state)
{
    static const struct step step = {"handlers", install, nothing};
    assert_true(try_fault(&step, &faults[3], 1)); /* before they are there */
    sweep(&step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers), cmocka_unit_test(modules),       cmocka_unit_test(components),
        cmocka_unit_test(building), cmocka_unit_test(building_fast), cmocka_unit_test(checking_allocates_nothing),
        cmocka_unit_test(programs), cmocka_unit_test(instances),     cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
