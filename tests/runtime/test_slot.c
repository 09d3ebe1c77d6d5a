/* Slots: what an instance wrote is gone in the next one, whatever it wrote, and tracking has its bounds. */
#include "base/alloc.h"
#include "compile/build.h"
#include "runtime/resident.h"
#include "runtime/task.h"
#include "support/standin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES_64K 129u /* more than SLOT_HOT_MAX small pages */

static struct program *program;
static const struct image_memory *memory;
static const struct image_table *table;

static bool no_imports(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                       const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no imports here");
}

/* A module with a memory of 129 pages, "template" at 100000, a global that is 7 and a growable table. */
static const uint8_t module[] = {
    0,   'a', 's', 'm',  1,    0,    0,    0,                                   /* header */
    4,   4,   1,   0x70, 0,    2,                                               /* table: 2 funcref */
    5,   4,   1,   0,    0x81, 1,                                               /* memory: 129 */
    6,   6,   1,   0x7f, 1,    0x41, 7,    0x0b,                                /* global: mut i32 7 */
    11,  16,  1,   0,    0x41, 0xa0, 0x8d, 6,    0x0b, 8,                       /* data at 100000 */
    't', 'e', 'm', 'p',  'l',  'a',  't',  'e',
};

static int image_file(void)
{
    struct err err = {0};
    struct buf image;
    const struct compile_options options = {0};
    buf_init(&image, 1 << 24);
    if (!compile_build(module, sizeof module, &options, standin_generate, &image, &err))
        fail_msg("%s", err.message);
    int fd = memfd_create("slot", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    buf_free(&image);
    return fd;
}

static struct program *loaded(int fd)
{
    struct err err = {0};
    struct program *made = program_load(fd, "slot", no_imports, NULL, &err);
    if (!made)
        fail_msg("%s", err.message);
    return made;
}

static int load(void **state)
{
    (void)state;
    int fd = image_file();
    program = loaded(fd);
    close(fd);
    memory = image_memories(&program->image);
    table = image_tables(&program->image);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    program_unload(program);
    return 0;
}

/* ---- what an instance does, on a guest stack so that the fault handler serves it ---- */

struct work {
    struct slot *slot;
    void (*run)(struct slot *slot, char *bytes);
};

static void body(struct task *task)
{
    struct work *work = task->arg;
    work->run(task->slot, (char *)task->slot->store + memory->base_off);
}

static void instance(void (*run)(struct slot *slot, char *bytes))
{
    struct err err = {0};
    struct task task = {0};
    assert_true(trap_install(&err));
    struct slot *slot = slot_acquire(program, &err);
    if (!slot)
        fail_msg("%s", err.message);
    struct work work = {slot, run};
    assert_true(task_start(&task, slot, body, &work, NULL, &err));
    assert_int_equal(task.state, TASK_DONE);
    slot_release(slot);
}

static unsigned faults_seen;

static void expect_fresh(struct slot *slot, char *bytes)
{
    faults_seen = slot->hot_count;
    assert_int_equal(*(uint64_t *)((char *)slot->store + memory->size_off), (uint64_t)PAGES_64K << 16);
    assert_int_equal(*(uint64_t *)((char *)slot->store + table->length_off), 2);
    assert_memory_equal(bytes + 100000, "template", 8);
    for (uint64_t at = 0; at < (uint64_t)PAGES_64K << 16; at += 8)
        if (at < 100000 - 8 || at >= 100008)
            assert_int_equal(*(uint64_t *)(bytes + at), 0);
}

static void write_here_and_there(struct slot *slot, char *bytes)
{
    memset(bytes, 0x5a, 10);
    memset(bytes + 100000, 0x5a, 20);
    memset(bytes + 65536 * 3 - 2, 0x5a, 4);
    *(uint64_t *)((char *)slot->store + table->length_off) = 99;
}

static void written_pages_come_back(void **state)
{
    (void)state;
    instance(expect_fresh);
    instance(write_here_and_there);
    instance(expect_fresh);
    assert_int_equal(faults_seen, 5); /* four of the memory, one of the mutable part: all known by now */
    instance(write_here_and_there);
    instance(expect_fresh);
    assert_int_equal(faults_seen, 5);
    assert_int_equal(program->slot_count, 1);
}

static void write_everywhere(struct slot *slot, char *bytes)
{
    for (uint64_t at = 0; at < (uint64_t)PAGES_64K << 16; at += IMAGE_PAGE)
        bytes[at] = 1;
    assert_true(slot->overflowed);
    assert_int_equal(slot->hot_count, SLOT_HOT_MAX);
}

static void more_pages_than_are_followed(void **state)
{
    (void)state;
    instance(write_everywhere);
    assert_int_equal(program->slot_count, 0); /* dropped, not restored */
    instance(expect_fresh);
}

static uint64_t grown_at;

static void grow_and_write(struct slot *slot, char *bytes)
{
    uint64_t end = (uint64_t)PAGES_64K << 16, base = (uint64_t)bytes;
    assert_true(slot_grow(slot, base + end, base + end + 65536));
    assert_true(slot_grow(slot, base + end + 65536, base + end + 131072));
    for (uint64_t at = 0; at < 131072; at++)
        assert_int_equal(bytes[end + at], 0);
    memset(bytes + end, 0x77, 131072);
    grown_at = base + end;
}

static void grown_pages_are_dropped(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        instance(grow_and_write);
    instance(expect_fresh);
}

/* Where an instance grew, and the next ones do. */
static uint64_t pages_kept(size_t count)
{
    uint64_t rows[1024], kept = 0;
    assert_true(count <= 1024 && resident_read(grown_at, count, rows));
    for (size_t i = 0; i < count; i++)
        kept += (rows[i] & (RESIDENT_PRESENT | RESIDENT_SWAPPED)) != 0;
    return kept;
}

static void grow_and_touch_one(struct slot *slot, char *bytes)
{
    uint64_t end = (uint64_t)PAGES_64K << 16, low = (uint64_t)bytes + end;
    assert_true(slot_grow(slot, low, low + 65536 * 16));
    assert_int_equal(bytes[end + 100000], 0);
    bytes[end + 100000] = 1;
}

static void grow_and_write_too_much(struct slot *slot, char *bytes)
{
    uint64_t end = (uint64_t)PAGES_64K << 16, low = (uint64_t)bytes + end;
    assert_true(slot_grow(slot, low, low + 65536 * 16));
    memset(bytes + end, 0x77, 65536 * 16);
}

static unsigned shrinking;

static void grow_less_and_less(struct slot *slot, char *bytes)
{
    uint64_t end = (uint64_t)PAGES_64K << 16, low = (uint64_t)bytes + end, size = (uint64_t)shrinking << 16;
    assert_true(slot_grow(slot, low, low + size));
    for (uint64_t at = size - 65536; at < size; at++)
        assert_int_equal(bytes[end + at], 0);
    memset(bytes + end + size - 65536, 0x77, 65536);
}

static void few_grown_pages_are_kept_with_zeros(void **state)
{
    (void)state;
    resident_open();
    for (int i = 0; i < 3; i++) {
        instance(grow_and_write);
        assert_int_equal(pages_kept(1024), 32);
        instance(grow_and_touch_one);
        assert_int_equal(pages_kept(1024), 32);
    }
    instance(grow_and_write_too_much);
    for (shrinking = 16; shrinking; shrinking--) {
        instance(grow_less_and_less);
        assert_int_equal(pages_kept(1024), 16);
    }
    instance(grow_and_write_too_much);
    assert_int_equal(pages_kept(1024), 0);
    instance(grow_and_touch_one);
    assert_int_equal(pages_kept(1024), 1);
    instance(grow_and_write);
    instance(expect_fresh);
    resident_close();
    instance(grow_and_write);
    resident_open();
    assert_int_equal(pages_kept(1024), 0);
    resident_close();
}

/* What a child inherits tells of its parent's memory, so it must not be used. */
static void a_child_knows_nothing_of_its_parents_pages(void **state)
{
    uint64_t row;
    int status;
    (void)state;
    resident_open();
    assert_true(resident_read((uint64_t)module, 1, &row) && row & RESIDENT_PRESENT);
    assert_int_equal(row & ((UINT64_C(1) << 55) - 1), 0); /* not in which frame, whoever asks */
    pid_t child = fork();
    if (child == 0) {
        bool silent = !resident_read((uint64_t)module, 1, &row);
        resident_open();
        _exit(silent && resident_read((uint64_t)module, 1, &row) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    resident_close();
}

static void new_slots_know_what_old_ones_learned(void **state)
{
    (void)state;
    struct err err = {0};
    instance(write_here_and_there);
    struct slot *first = slot_acquire(program, &err), *second = slot_acquire(program, &err);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_true(second->hot_count >= 5);
    slot_release(first);
    slot_release(second);
}

/* 129 pages and two entries at the start, two pages more at the most. */
#define INITIAL (((uint64_t)PAGES_64K << 16) + 2 * sizeof(struct table_entry))

static void grow_up_to_the_limit(struct slot *slot, char *bytes)
{
    uint64_t end = (uint64_t)bytes + ((uint64_t)PAGES_64K << 16);
    assert_int_equal(slot->account->used, INITIAL);
    assert_false(slot_grow(slot, end, end + 65536 * 2 + IMAGE_PAGE));
    assert_true(slot_grow(slot, end, end + 65536));
    assert_false(slot_charge(slot, 65536 + 1));
    assert_true(slot_charge(slot, 65536));
    assert_false(slot_charge(slot, 1));
    assert_false(slot_grow(slot, end + 65536, end + 65536 + IMAGE_PAGE));
    assert_int_equal(slot->account->used, slot->account->max);
}

static void memory_is_counted(void **state)
{
    struct err err = {0};
    program->memory_max = INITIAL + 2 * 65536;
    for (int i = 0; i < 3; i++)
        instance(grow_up_to_the_limit); /* what one instance had, the next one has again */
    while (program->free_slots) {
        struct slot *slot = program->free_slots;
        program->free_slots = slot->next;
        slot_destroy(slot);
    }
    program->memory_max = INITIAL - 1;
    assert_null(slot_acquire(program, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    program->memory_max = 2 * INITIAL + 5; /* of a store: room for two */
    struct slot *first = slot_open(program, &err), *second = slot_join(first, program, &err);
    assert_non_null(second);
    assert_null(slot_join(first, program, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(first->account->used, 2 * INITIAL);
    assert_true(slot_charge(second, 5));
    assert_false(slot_charge(first, 1));
    slot_destroy(first);
    assert_int_equal(program->slot_count, 0);
}

/* More than any reservation of a memory times 256 would have room for below 2^38. */
static void many_slots_of_one_store(void **state)
{
    (void)state;
    struct err err = {0};
    struct slot *first = slot_open(program, &err);
    assert_non_null(first);
    for (int i = 0; i < 600; i++) {
        struct slot *slot = slot_join(first, program, &err);
        if (!slot)
            fail_msg("%d: %s", i, err.message);
        *((char *)slot->store + memory->base_off + 5) = 1; /* writable without a fault */
        const struct context *context = (void *)((char *)slot->store + image_units(&program->image)[0].context);
        assert_ptr_equal(context->store, first->store);
        assert_true((uint64_t)context - (uint64_t)first->store < (uint64_t)CONTEXT_ALIGN << 32);
        assert_ptr_equal(slot_of(first, (uint64_t)slot->store + memory->base_off + 5), slot);
    }
    while (slot_join(first, program, &err))
        continue;
    assert_int_equal(err.kind, ERR_LIMIT);
    slot_destroy(first);
    assert_int_equal(program->slot_count, 0);
}

/* Those that were used lately stay, and the others go when they were not used for a while. */
static void unused_slots_are_given_back(void **state)
{
    (void)state;
    struct err err = {0};
    struct slot *slots[5];
    for (int i = 0; i < 5; i++)
        assert_non_null(slots[i] = slot_acquire(program, &err));
    for (int i = 0; i < 5; i++)
        slot_release(slots[i]);
    assert_int_equal(slot_trim(program), 5);
    assert_ptr_equal(slot_acquire(program, &err), slots[4]);
    slot_release(slots[4]);
    assert_int_equal(slot_trim(program), 1);
    assert_int_equal(program->slot_count, 1);
    struct slot *busy = slot_acquire(program, &err);
    assert_int_equal(slot_trim(program), 0);
    assert_int_equal(program->slot_count, 1); /* one in use stays, whenever it was taken */
    slot_trim(program);
    slot_release(busy);
    assert_int_equal(slot_trim(program), 1);
    assert_int_equal(slot_trim(program), 0);
    assert_int_equal(program->slot_count, 0);
}

/* ---- programs of one file ---- */

static void programs_of_one_file_share_its_mapping(void **state)
{
    (void)state;
    uint64_t live = mem_live();
    int fd = image_file(), other_fd = image_file();
    struct program *first = loaded(fd), *second = loaded(fd), *other = loaded(other_fd);
    assert_ptr_equal(first->image.base, second->image.base);
    assert_ptr_not_equal(first->image.base, other->image.base);
    program_unload(first);
    program = second;
    instance(write_here_and_there);
    instance(expect_fresh);
    first = loaded(fd);
    assert_ptr_equal(first->image.base, second->image.base);
    program_unload(second);
    program_unload(first);
    program_unload(other);
    close(fd);
    close(other_fd);
    assert_int_equal(mem_live(), live);
}

static void a_file_that_was_written_anew_is_another_image(void **state)
{
    (void)state;
    int fd = image_file();
    struct image_header header;
    struct program *before = loaded(fd);
    assert_int_equal(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    usleep(20000); /* as finely as some systems count a file's time */
    assert_int_equal(pwrite(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    struct program *after = loaded(fd);
    assert_ptr_not_equal(after->image.base, before->image.base);
    program_unload(before);
    program_unload(after);
    close(fd);
}

static void without_memory_nothing_is_mapped(void **state)
{
    (void)state;
    struct program *made = NULL;
    uint64_t live = mem_live();
    int fd = image_file();
    for (uint64_t nth = 1; !made; nth++) {
        struct err err = {0};
        mem_fail_once(nth);
        made = program_load(fd, "slot", no_imports, NULL, &err);
        mem_fail_once(0);
        if (!made)
            assert_int_equal(err.kind, ERR_MEMORY);
        assert_true(made || mem_live() == live);
    }
    program_unload(made);
    assert_int_equal(mem_live(), live);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_pages_come_back, load, unload),
        cmocka_unit_test_setup_teardown(more_pages_than_are_followed, load, unload),
        cmocka_unit_test_setup_teardown(grown_pages_are_dropped, load, unload),
        cmocka_unit_test_setup_teardown(few_grown_pages_are_kept_with_zeros, load, unload),
        cmocka_unit_test(a_child_knows_nothing_of_its_parents_pages),
        cmocka_unit_test_setup_teardown(new_slots_know_what_old_ones_learned, load, unload),
        cmocka_unit_test_setup_teardown(many_slots_of_one_store, load, unload),
        cmocka_unit_test_setup_teardown(memory_is_counted, load, unload),
        cmocka_unit_test_setup_teardown(unused_slots_are_given_back, load, unload),
        cmocka_unit_test(programs_of_one_file_share_its_mapping),
        cmocka_unit_test(a_file_that_was_written_anew_is_another_image),
        cmocka_unit_test(without_memory_nothing_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
