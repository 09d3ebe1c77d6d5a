/* A second code generator for tests: hand-assembled x86-64, one frame cell per local and operand.
 *
 * It keeps the same contract as the real ones (docs/architecture.md, "Calling convention") by an independent
 * implementation, so that the contract tests compare two readings of it. It knows the instructions of
 * tests/contract/fixtures and refuses others by name.
 */
#ifndef MAYFLY_TESTS_SUPPORT_STANDIN_H
#define MAYFLY_TESTS_SUPPORT_STANDIN_H

#include "codegen/codegen.h"

bool standin_generate(const struct unit *units, uint32_t count, const struct codegen_options *options,
                      struct code *ret_code, struct err *err);

#endif
