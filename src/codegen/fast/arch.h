/* The architecture that code is made for: that of the machine. */
#ifndef MAYFLY_FAST_ARCH_H
#define MAYFLY_FAST_ARCH_H

#if defined(__x86_64__)
#include "codegen/fast/arch_x86_64.h"
#elif defined(__aarch64__)
#include "codegen/fast/arch_aarch64.h"
#endif

#endif
