/* Reading fixtures and official components. */
#ifndef MAYFLY_TESTS_COMPONENT_LOAD_H
#define MAYFLY_TESTS_COMPONENT_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "component/decode.h"
#include "component/plan.h"

#define FIXTURES SOURCE_DIR "/tests/component/fixtures/"
#define COMPONENTS SOURCE_DIR "/../shared/components/"
#define SUITES SOURCE_DIR "/../shared/conformance/component/"

#define ARENA_MAX ((size_t)256 << 20)

struct input {
    uint8_t *bytes;
    size_t size;
};

/* bytes is NULL where the file is missing. */
static inline struct input input_read(const char *path)
{
    struct input input = {NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return input;
    fseek(file, 0, SEEK_END);
    input.size = (size_t)ftell(file);
    rewind(file);
    input.bytes = mem_alloc(input.size + 1, 1);
    assert_non_null(input.bytes);
    assert_int_equal(fread(input.bytes, 1, input.size, file), input.size);
    fclose(file);
    return input;
}

static inline void input_free(struct input *input)
{
    mem_free(input->bytes);
}

/* A component of the data beside the project; says so when it is not there. */
static inline struct input input_shared(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", COMPONENTS, name);
    struct input input = input_read(path);
    if (!input.bytes)
        print_message("skipped: no shared/components/%s beside the checkout\n", name);
    return input;
}

static inline struct input input_fixture(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", FIXTURES, name);
    struct input input = input_read(path);
    assert_non_null(input.bytes);
    return input;
}

static inline void assert_str(struct str actual, const char *expected)
{
    if (!str_eq(actual, str_of(expected)))
        fail_msg("expected `%s`, got `%.*s`", expected, STR_ARG(actual));
}

#endif
