/* Processors by level of their architecture: what code is made for, and what this machine has. */
#ifndef MAYFLY_CODEGEN_CPU_H
#define MAYFLY_CODEGEN_CPU_H

/* Every generator's target: code runs on any processor of this level or a higher one. */
#if defined(__aarch64__)
#define CODEGEN_CPU "armv8-a"
#else
#define CODEGEN_CPU "x86-64-v2"
#endif

/* The level of the processor that this process runs on. */
const char *cpu_level(void);

#endif
