/* The generator that tests of the runtime take their guests from: the best that this build has. */
#ifndef MAYFLY_TESTS_GENERATOR_H
#define MAYFLY_TESTS_GENERATOR_H

#include "codegen/codegen.h"

#if MAYFLY_LLVM
#define test_generator codegen_llvm
#else
#define test_generator codegen_fast
#endif

#endif
