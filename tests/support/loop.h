/* The loop that a test runs on: of the backend that MAYFLY_TEST_IO names (epoll, uring), so that one program tests
 * both. Where the kernel refuses a ring the program says so and is counted as skipped. */
#ifndef MAYFLY_TESTS_SUPPORT_LOOP_H
#define MAYFLY_TESTS_SUPPORT_LOOP_H

#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline enum io_kind test_loop_kind(void)
{
    const char *name = getenv("MAYFLY_TEST_IO");
    return name && strcmp(name, "uring") == 0 ? IO_URING : IO_EPOLL;
}

static inline struct io_loop *test_loop(struct err *err)
{
    struct err why = {0};
    struct io_loop *loop = io_loop_open(test_loop_kind(), &why);
    if (!loop && test_loop_kind() == IO_URING && why.kind == ERR_SYSTEM) {
        printf("skipped: %s\n", why.message);
        exit(77);
    }
    if (!loop && err)
        *err = why;
    return loop;
}

#endif
