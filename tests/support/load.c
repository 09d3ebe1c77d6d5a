/* See load.h. */
#include "support/load.h"

#include "base/file.h"
#include "compile/build.h"
#include "compile/client.h"
#include "support/generator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static bool refuse(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                   const void **ret_env, struct err *err)
{
    (void)arg, (void)image, (void)import, (void)ret_fn, (void)ret_env;
    return err_set(err, ERR_LINK, "no imports here");
}

struct program *load_module(const uint8_t *bytes, size_t size, int opt_level)
{
    struct err err = {0};
    const struct compile_options options = {.opt_level = opt_level};
    int source = memfd_create("source", MFD_CLOEXEC);
    assert_true(file_write(source, bytes, size));
    int image = compile_run(source, &options, &err);
    struct program *program = image >= 0 ? program_load(image, "test", refuse, NULL, &err) : NULL;
    if (!program)
        fail_msg("offset 0x%llx: %s", (unsigned long long)err.offset, err.message);
    close(source);
    close(image);
    return program;
}

struct program *load_fixture(const char *path, program_resolver *resolve)
{
    static uint8_t bytes[65536];
    struct err err = {0};
    const struct compile_options options = {.opt_level = 2};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    struct buf image;
    buf_init(&image, (size_t)1 << 24);
    if (!compile_build(bytes, size, &options, test_generator, &image, &err))
        fail_msg("%s: %s", path, err.message);
    int fd = memfd_create("fixture", MFD_CLOEXEC);
    assert_true(file_write(fd, image.data, image.size));
    buf_free(&image);
    struct program *program = program_load(fd, "fixture", resolve, NULL, &err);
    if (!program)
        fail_msg("%s: %s", path, err.message);
    close(fd);
    return program;
}
