/* Memory that runs out while an application is made, looked at and built: said, nothing leaks, and what is done is
 * whole. A template's files are written into a folder of this test. */
#include "develop/build.h"
#include "develop/doctor.h"
#include "develop/template.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NTH_MAX 20000u

static char top[64], path[128];

static int setup(void **state)
{
    (void)state;
    strcpy(top, "/tmp/mayfly-develop-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", top);
    return system(command);
}

static struct template_order order_of(const char *template)
{
    struct err err = {0};
    snprintf(path, sizeof path, "%s/app", top);
    struct template_order order = {
        .template = template_find(template, &err), .name = "app", .folder = path, .overwrite = true};
    for (size_t i = 0; template_parameters[i].name; i++)
        order.values[i] = template_parameters[i].otherwise;
    assert_non_null(order.template);
    return order;
}

/* With and without memory. Every failure says that there was none. */
static bool fails_once(uint64_t nth, bool (*act)(struct err *err))
{
    uint64_t live = mem_live();
    struct err err = {0};
    mem_fail_at(nth);
    bool done = act(&err);
    mem_fail_at(0);
    assert_int_equal(mem_live(), live);
    assert_true(nth < NTH_MAX);
    if (!done && err.kind != ERR_MEMORY)
        fail_msg("allocation %lu: %s", (unsigned long)nth, err.message);
    return !done;
}

static bool make(struct err *err)
{
    struct template_order order = order_of("http-c");
    return template_make(&order, err);
}

static void test_template(void **state)
{
    uint64_t nth = 1;
    (void)state;
    while (fails_once(nth, make))
        nth++;
    assert_true(nth > 5);
    strcat(path, "/spin.toml");
    assert_int_equal(access(path, R_OK), 0);
}

static void write_manifest(const char *text)
{
    snprintf(path, sizeof path, "%s/spin.toml", top);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

#define MANIFEST                                                                                                       \
    "spin_manifest_version = 2\n[application]\nname = \"a\"\n[variables]\nv = { required = true }\n"                   \
    "[[trigger.http]]\nroute = \"/\"\ncomponent = \"a\"\n"                                                             \
    "[component.a]\nsource = \"a.wasm\"\nfiles = [{ source = \"none\", destination = \"/\" }]\n"                       \
    "[component.a.build]\n"

static size_t found;

static bool examine(struct err *err)
{
    struct doctor doctor;
    bool done = doctor_examine(&doctor, &(struct doctor_options){.from = top}, err);
    size_t count = doctor.count;
    doctor_close(&doctor);
    if (!done || count < found)
        return err->kind ? false : err_memory(err); /* what had no room is left out */
    found = count;
    return true;
}

static void test_doctor(void **state)
{
    uint64_t nth = 1;
    (void)state;
    write_manifest(MANIFEST "command = \"no-such-tool-here\"\n");
    found = 0;
    struct err err = {0};
    assert_true(examine(&err));
    assert_int_equal(found, 3); /* a tool, a source, files */
    while (fails_once(nth, examine))
        nth++;
    assert_true(nth > 5);
}

static bool build(struct err *err)
{
    struct project project;
    static const char *const ids[] = {"a"};
    const struct build_choice choice = {ids, 1, false};
    bool done = project_open(&project, top, NULL, err) && build_components(&project, &choice, err);
    project_close(&project);
    return done;
}

static void test_build(void **state)
{
    uint64_t nth = 1;
    (void)state;
    write_manifest(MANIFEST "command = [\"true\", \"true\"]\nworkdir = \".\"\n");
    while (fails_once(nth, build))
        nth++;
    assert_true(nth > 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_template, setup, teardown),
        cmocka_unit_test_setup_teardown(test_doctor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
