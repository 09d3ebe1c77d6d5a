/* What wasi:filesystem holds on the host's side: descriptors are closed however an activity ends, memory that runs out
 * is a trap and leaks nothing, and errors have the codes of the interface. What guests see of files is in e2e/wasi.py.
 */
#include "wasi/filesystem.h"

#include "base/alloc.h"
#include "support/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ENOUGH ((size_t)1 << 17)

static struct store store;
static struct host_pool *pool;
static struct host *h;
static struct host_config config;
static struct host_directory granted;
static char folder[] = "/tmp/test-files-XXXXXX";
static struct err err;

static int group_begin(void **state)
{
    granted.name = STR("here");
    return mkdtemp(folder) && files_grant(folder, true, &granted.dir, &err) ? 0 : -1;
}

static int group_end(void **state)
{
    unlinkat(granted.dir.fd, "a", 0);
    close(granted.dir.fd);
    return rmdir(folder);
}

static int begin(void **state)
{
    memset(&store, 0, sizeof store);
    config = (struct host_config){.name = "test", .directories = &granted, .directory_count = 1};
    pool = host_pool_new(NULL, NULL, &err);
    h = host_begin(pool, &config, &store, NULL);
    return h ? 0 : -1;
}

static int end(void **state)
{
    if (h)
        host_end(h, false);
    h = NULL;
    host_pool_free(pool);
    return 0;
}

/* What a guest might do; false where it traps. Everything stays open. */
static bool session(void)
{
    struct list_tuple_wasi_filesystem_descriptor_str directories = {0};
    struct result_wasi_filesystem_descriptor_wasi_filesystem_types_error_code opened = {0};
    struct result_wasi_io_input_stream_wasi_filesystem_types_error_code input = {0};
    struct result_wasi_io_output_stream_wasi_filesystem_types_error_code output = {0};
    struct result_wasi_filesystem_directory_entry_stream_wasi_filesystem_types_error_code list = {0};
    struct result_list_u8_wasi_io_streams_stream_error bytes = {0};
    if (!wasi_filesystem_preopens_get_directories(h, &directories))
        return false;
    descriptor *top = directories.ptr[0].f0;
    if (!wasi_filesystem_types_descriptor_open_at(h, top, 0, STR("a"), WASI_FILESYSTEM_TYPES_OPEN_FLAGS_CREATE,
                                                  FLAG(READ) | FLAG(WRITE), &opened))
        return false;
    assert_false(opened.err);
    bool done = wasi_filesystem_types_descriptor_read_via_stream(h, opened.ok, 0, &input) &&
                wasi_filesystem_types_descriptor_append_via_stream(h, opened.ok, &output) &&
                wasi_filesystem_types_descriptor_read_directory(h, top, &list) &&
                wasi_io_streams_input_stream_read(h, input.ok, 100, &bytes);
    if (done)
        wasi_filesystem_descriptor_drop(h, opened.ok); /* its streams keep the file */
    return done;
}

static void test_closed_at_the_end(void **state)
{
    unsigned before = open_descriptors();
    assert_true(session());
    assert_int_equal(open_descriptors(), before + 2); /* the file and the listing */
    host_end(h, false);
    h = NULL;
    assert_int_equal(open_descriptors(), before);
}

/* With every amount of memory left, from nothing to enough. */
static void test_no_memory(void **state)
{
    unsigned before = open_descriptors(), traps = 0;
    for (bool done = false; !done;) {
        char *room = arena_alloc(&h->arena, ENOUGH);
        assert_non_null(room);
        h->arena.next = room;
        h->arena.end = room + (size_t)traps * 64;
        assert_true(h->arena.end <= room + ENOUGH);
        h->arena.max = h->arena.used;
        done = session();
        assert_int_equal(store.trap, done ? TRAP_NONE : TRAP_OUT_OF_MEMORY);
        traps += !done;
        end(NULL);
        assert_int_equal(open_descriptors(), before);
        begin(NULL);
    }
    assert_true(traps > 4);
}

static void test_nothing_granted(void **state)
{
    struct list_tuple_wasi_filesystem_descriptor_str directories = {0};
    config.directory_count = 0;
    assert_true(wasi_filesystem_preopens_get_directories(h, &directories));
    assert_int_equal(directories.len, 0);
}

/* A descriptor that is dropped leaves its memory to the next one. */
static void test_reused(void **state)
{
    struct result_wasi_filesystem_descriptor_wasi_filesystem_types_error_code opened = {0};
    struct list_tuple_wasi_filesystem_descriptor_str directories = {0};
    size_t used = 0;
    assert_true(wasi_filesystem_preopens_get_directories(h, &directories));
    descriptor *top = directories.ptr[0].f0;
    for (int i = 0; i < 3000; i++) {
        assert_true(wasi_filesystem_types_descriptor_open_at(h, top, 0, STR("."), 0, FLAG(READ), &opened));
        wasi_filesystem_descriptor_drop(h, opened.ok);
        used = i == 0 ? h->arena.used : used;
    }
    assert_int_equal(h->arena.used, used);
}

/* A read that gives less than was asked for, because that is more than one gives, has not come to the end. */
static void test_end_of_file(void **state)
{
    const uint64_t size = UINT64_C(3) << 20;
    struct result_wasi_filesystem_descriptor_wasi_filesystem_types_error_code opened = {0};
    struct result_tuple_list_u8_bool_wasi_filesystem_types_error_code part = {0};
    struct list_tuple_wasi_filesystem_descriptor_str directories = {0};
    void_answer changed = {0};
    uint64_t offset = 0;
    assert_true(wasi_filesystem_preopens_get_directories(h, &directories));
    assert_true(wasi_filesystem_types_descriptor_open_at(h, directories.ptr[0].f0, 0, STR("a"),
                                                         WASI_FILESYSTEM_TYPES_OPEN_FLAGS_CREATE,
                                                         FLAG(READ) | FLAG(WRITE), &opened));
    assert_true(wasi_filesystem_types_descriptor_set_size(h, opened.ok, size, &changed));
    for (int reads = 0; reads < 10 && !part.ok.f1; reads++) {
        assert_true(wasi_filesystem_types_descriptor_read(h, opened.ok, UINT64_MAX, offset, &part));
        assert_false(part.err);
        offset += part.ok.f0.len;
    }
    assert_true(part.ok.f1);
    assert_int_equal(offset, size);
    assert_true(wasi_filesystem_types_descriptor_read(h, opened.ok, UINT64_MAX, INT64_MAX, &part));
    assert_true(!part.err && part.ok.f0.len == 0 && part.ok.f1);
    assert_true(wasi_filesystem_types_descriptor_set_size(h, opened.ok, 0, &changed));
}

static void test_errors(void **state)
{
    static const struct {
        int host;
        enum wasi_filesystem_types_error_code code;
    } rows[] = {
        {EACCES, WASI_FILESYSTEM_TYPES_ERROR_CODE_ACCESS},
        {EMFILE, WASI_FILESYSTEM_TYPES_ERROR_CODE_INSUFFICIENT_MEMORY},
        {ENOSPC, WASI_FILESYSTEM_TYPES_ERROR_CODE_INSUFFICIENT_SPACE},
        {EDQUOT, WASI_FILESYSTEM_TYPES_ERROR_CODE_QUOTA},
        {EXDEV, WASI_FILESYSTEM_TYPES_ERROR_CODE_CROSS_DEVICE},
        {ECHILD, WASI_FILESYSTEM_TYPES_ERROR_CODE_IO}, /* of no file */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(filesystem_error(-rows[i].host), rows[i].code);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_closed_at_the_end), TEST(test_no_memory), TEST(test_nothing_granted), TEST(test_reused),
        TEST(test_end_of_file),       TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
