/* Processors by level of their architecture: what code is made for, and what this machine has. */
#ifndef MAYFLY_CODEGEN_CPU_H
#define MAYFLY_CODEGEN_CPU_H

/* Every generator's target: code runs on any processor of this level or a higher one. */
#define CODEGEN_CPU "x86-64-v2"

/* The level of the processor that this process runs on. */
const char *cpu_level(void);

#endif
