/* See cpu.h. */
#include "codegen/cpu.h"

const char *cpu_level(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4"))
        return "x86-64-v4";
    if (__builtin_cpu_supports("x86-64-v3"))
        return "x86-64-v3";
    return __builtin_cpu_supports("x86-64-v2") ? "x86-64-v2" : "x86-64";
#else
    return "unknown";
#endif
}
