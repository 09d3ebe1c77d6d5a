/* Stands in for the C library's, which some guests' lack: the programs here define how they throw, and never do. */
#ifndef MAYFLY_BENCH_SETJMP_H
#define MAYFLY_BENCH_SETJMP_H
typedef int jmp_buf;
#endif
