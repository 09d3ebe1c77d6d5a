/* What fuzz targets share. A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput; `make fuzz` builds it with
 * libFuzzer, every other build with replay.c, which runs it once on each file of corpus/NAME. */
#ifndef MAYFLY_TESTS_FUZZ_FUZZ_H
#define MAYFLY_TESTS_FUZZ_FUZZ_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(expression) ((expression) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #expression))

static inline __attribute__((noreturn)) void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

/* An error must be complete, and point into the input. */
static inline void fuzz_check_error(const struct err *err, size_t size)
{
    FUZZ_CHECK(err->kind != ERR_NONE && err->message[0] != '\0');
    FUZZ_CHECK(err->offset <= size || err->offset == ERR_NO_OFFSET);
}

/* A block of exactly this size, so that reading behind it is seen. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    FUZZ_CHECK(copy);
    return size ? memcpy(copy, data, size) : copy;
}

#endif
