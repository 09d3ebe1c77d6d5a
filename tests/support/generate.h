/* Valid modules out of any bytes: what a fuzzer mutates, or what a seed is stretched to.
 *
 * The same bytes always make the same module. It imports nothing, ends (every loop and every call burns fuel), and
 * has one answer only: NaNs are made canonical where their bits could be seen. So two code generators, or two
 * levels of one, must agree on results, on the kind of trap and on what is left in memory.
 *
 * The instructions come from wasm/opcodes.def: those with a plain signature by table, the others (control,
 * calls, references, objects, bulk operations, exceptions) each from a function of its own. Relaxed instructions get
 * operands for which they have one right answer. A test counts that none is missing (tests/codegen/test_produced.c).
 */
#ifndef MAYFLY_TESTS_SUPPORT_GENERATE_H
#define MAYFLY_TESTS_SUPPORT_GENERATE_H

#include "base/buf.h"
#include "image/context.h"

#define GENERATE_FUNCS_MAX 8u
#define GENERATE_PARAMS_MAX 40u /* and results */

struct generated_call {
    char name[4]; /* of the export */
    union cell args[GENERATE_PARAMS_MAX];
};

/* Call, in order, the functions in `calls`; before each one "fuel" ([] -> []), which fills the tank; after each one
 * "sum"
 * ([] -> [i64]), which digests memories, tables and globals. */
struct generated {
    struct buf module;
    struct generated_call calls[2 * GENERATE_FUNCS_MAX];
    uint32_t call_count;
};

void generate_module(const uint8_t *bytes, size_t size, struct generated *ret_generated);
void generate_free(struct generated *generated);

#endif
