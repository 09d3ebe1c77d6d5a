/* Files that change: what is told of files that are written, replaced and removed, in folders that are there and in
 * those that come later. */
#include "develop/watcher.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char told[8192], top[64];

static void changed(void *arg, uint32_t meaning, const char *path)
{
    size_t size = strlen(told);
    (void)arg;
    snprintf(told + size, sizeof told - size, "%u:%s ", meaning, path ? path : "?");
}

static void put(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void move(const char *from, const char *to)
{
    char old[256], new[256];
    snprintf(old, sizeof old, "%s/%s", top, from);
    snprintf(new, sizeof new, "%s/%s", top, to);
    assert_int_equal(rename(old, new), 0);
}

static void read_events(struct watcher *watcher)
{
    struct err err = {0};
    told[0] = '\0';
    if (!watcher_read(watcher, &err))
        fail_msg("%s", err.message);
}

static int setup(void **state)
{
    (void)state;
    strcpy(top, "/tmp/mayfly-watcher-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", top);
    return system(command);
}

static void open_watcher(struct watcher *watcher, const struct watcher_pattern *patterns, size_t count)
{
    struct err err = {0};
    assert_true(watcher_open(watcher, changed, NULL, &err));
    if (!watcher_set(watcher, top, patterns, count, &err))
        fail_msg("%s", err.message);
}

static void test_files(void **state)
{
    static const struct watcher_pattern patterns[] = {
        {{"src/**/*.c", 10}, 1}, {{"spin.toml", 9}, 2}, {{"target/out/a.wasm", 17}, 3}};
    struct watcher watcher;
    (void)state;
    make_folder("src");
    make_folder("src/inner");
    put("src/old.c");
    open_watcher(&watcher, patterns, 3);
    read_events(&watcher);
    assert_string_equal(told, "");
    put("src/inner/a.c");
    put("src/a.txt");
    put("src/.a.c.swp");
    put("spin.toml");
    read_events(&watcher);
    assert_non_null(strstr(told, "1:src/inner/a.c "));
    assert_non_null(strstr(told, "2:spin.toml "));
    assert_null(strstr(told, "txt"));
    assert_null(strstr(told, "swp"));
    move("src/a.txt", "src/b.c"); /* as editors replace files */
    read_events(&watcher);
    assert_string_equal(told, "1:src/b.c ");
    char path[256];
    snprintf(path, sizeof path, "%s/src/b.c", top);
    unlink(path);
    read_events(&watcher);
    assert_string_equal(told, "1:src/b.c ");
    watcher_close(&watcher);
}

/* What is in a folder that comes later counts, also if it was put there before anybody looked. */
static void test_folders(void **state)
{
    static const struct watcher_pattern patterns[] = {{{"src/**/*.c", 10}, 1}, {{"target/out/a.wasm", 17}, 3}};
    struct watcher watcher;
    (void)state;
    open_watcher(&watcher, patterns, 2);
    make_folder("target");
    make_folder("target/out");
    make_folder("target/other");
    put("target/out/a.wasm");
    read_events(&watcher);
    assert_string_equal(told, "3:target/out/a.wasm ");
    put("target/out/a.wasm");
    read_events(&watcher);
    assert_non_null(strstr(told, "3:target/out/a.wasm "));
    move("target/out", "away");
    read_events(&watcher);
    move("away", "target/out");
    read_events(&watcher);
    assert_non_null(strstr(told, "3:target/out/a.wasm "));
    put("target/out/a.wasm");
    read_events(&watcher);
    assert_non_null(strstr(told, "3:target/out/a.wasm "));
    watcher_close(&watcher);
}

/* Other patterns later: folders that none of them needs are watched no more. */
static void test_set(void **state)
{
    static const struct watcher_pattern before[] = {{{"a/*.c", 5}, 1}}, after[] = {{{"b/*.c", 5}, 7}};
    struct watcher watcher;
    struct err err = {0};
    (void)state;
    make_folder("a");
    make_folder("b");
    open_watcher(&watcher, before, 1);
    put("b/x.c");
    read_events(&watcher);
    assert_string_equal(told, "");
    assert_true(watcher_set(&watcher, top, after, 1, &err));
    put("a/x.c");
    put("b/x.c");
    read_events(&watcher);
    assert_non_null(strstr(told, "7:b/x.c "));
    assert_null(strstr(told, "a/x.c"));
    watcher_close(&watcher);
}

static void test_no_memory(void **state)
{
    static const struct watcher_pattern patterns[] = {{{"**/*.c", 6}, 1}};
    uint64_t live = mem_live();
    (void)state;
    make_folder("a");
    make_folder("a/b");
    for (uint64_t nth = 1;; nth++) {
        struct watcher watcher;
        struct err err = {0};
        mem_fail_at(nth);
        bool done = watcher_open(&watcher, changed, NULL, &err) && watcher_set(&watcher, top, patterns, 1, &err);
        mem_fail_at(0);
        watcher_close(&watcher);
        assert_int_equal(mem_live(), live);
        if (done)
            break;
        assert_true(err.kind != ERR_NONE && nth < 1000);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
