/* Modules of tests as programs. */
#ifndef MAYFLY_TESTS_LOAD_H
#define MAYFLY_TESTS_LOAD_H

#include "base/buf.h"
#include "runtime/program.h"

/* Compiled by the compiler child, without imports. Fails the test with the error when the module is refused. */
struct program *load_module(const uint8_t *bytes, size_t size, int opt_level);
/* A file, compiled in this process by the best generator that this build has. `resolve`: its imports.
 */
struct program *load_fixture(const char *path, program_resolver *resolve);

#endif
