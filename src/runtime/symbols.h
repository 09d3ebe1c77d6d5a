/* What perf and gdb are told of guest code, when the user asks for it; a process that was not asked pays nothing.
 *
 * perf reads names from a text file, /tmp/perf-PID.map, for code in anonymous memory only, so the program's text is
 * moved there. gdb reads an object file in memory (symbols_elf.c) that is registered through its JIT interface
 * (GDB manual, "JIT Compilation Interface"). Names come from guests: control characters in them become '?'.
 */
#ifndef MAYFLY_RUNTIME_SYMBOLS_H
#define MAYFLY_RUNTIME_SYMBOLS_H

#include "base/buf.h"
#include "runtime/program.h"

/* Make this process's map file now; later the process may no longer be able to. */
bool symbols_prepare_perf(struct err *err);
/* Append the program's functions to this process's map file, and move its text to anonymous memory. Call it before
 * the program runs. */
bool symbols_for_perf(struct program *program, struct err *err);

/* Register the program's functions with a debugger that is or will be attached. */
bool symbols_for_gdb(const struct program *program, struct err *err);

/* What program_unload calls: the registration ends. */
void symbols_forget(const struct program *program);

/* A function's name as text, ended by a zero byte: its own, or wasm0.function7, wasm0.import3. */
#define SYMBOL_NAME_MAX 512u
void symbols_name(const struct image *image, const struct image_func *func, char ret_name[SYMBOL_NAME_MAX]);

/* symbols_elf.c: an ELF object of the program's symbols, unwind information and line table, in which the line number
 * is the Wasm byte offset. False when memory is short. */
bool symbols_elf(const struct program *program, struct buf *ret_elf);

#endif
