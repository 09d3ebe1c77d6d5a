/* See cpu.h. The C library found out what the processor can when the process started: asking the processor again costs
 * a virtual machine tens of microseconds. */
#include "codegen/cpu.h"

#include <stdbool.h>
#include <stddef.h>

#if defined(__x86_64__)
#include <sys/platform/x86.h>

/* The levels of the System V ABI for x86-64, the highest first; of each the features that the next one lacks. */
static const struct {
    const char *name;
    unsigned count, features[8];
} levels[] = {
    {"x86-64-v4", 5, {x86_cpu_AVX512F, x86_cpu_AVX512BW, x86_cpu_AVX512CD, x86_cpu_AVX512DQ, x86_cpu_AVX512VL}},
    {"x86-64-v3",
     7,
     {x86_cpu_AVX2, x86_cpu_BMI1, x86_cpu_BMI2, x86_cpu_F16C, x86_cpu_FMA, x86_cpu_LZCNT, x86_cpu_MOVBE}},
    {"x86-64-v2", 4, {x86_cpu_SSE4_2, x86_cpu_SSSE3, x86_cpu_POPCNT, x86_cpu_CMPXCHG16B}},
};

/* As x86_cpu_active of the C library's header, which shifts into the sign. */
static bool is_active(unsigned feature)
{
    const struct cpuid_feature *leaf = __x86_get_cpuid_feature_leaf(feature / 128);
    return leaf->active_array[feature % 128 / 32] >> feature % 32 & 1;
}

static bool has_all(unsigned count, const unsigned *features)
{
    for (unsigned i = 0; i < count; i++)
        if (!is_active(features[i]))
            return false;
    return true;
}

const char *cpu_level(void)
{
    const char *level = "x86-64";
    for (size_t i = sizeof levels / sizeof *levels; i-- > 0;) {
        if (!has_all(levels[i].count, levels[i].features))
            break;
        level = levels[i].name;
    }
    return level;
}
#else
const char *cpu_level(void)
{
    return CODEGEN_CPU;
}
#endif
