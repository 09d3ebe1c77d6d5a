/* Modules of tests as programs: compiled by the compiler child, loaded, without imports. */
#ifndef MAYFLY_TESTS_LOAD_H
#define MAYFLY_TESTS_LOAD_H

#include "base/buf.h"
#include "runtime/program.h"

/* Fails the test with the error when the module is refused. */
struct program *load_module(const uint8_t *bytes, size_t size, int opt_level);

#endif
