/* The compiler child's side of job.h: it takes jobs from descriptor 0 until its parent goes.
 *
 * The child is mayfly-compiler, or a fork of the parent where the fast generator is all that is wanted. */
#ifndef MAYFLY_COMPILE_SERVE_H
#define MAYFLY_COMPILE_SERVE_H

#include "compile/build.h"

/* Gives up files, new privileges and core dumps before it reads anything. `best`: the generator of all tiers but
 * TIER_FAST, or NULL in programs that lack it. `dump`: as in struct compile_options. Returns the exit code. */
int compile_serve(generator_fn *best, const char *dump);

#endif
