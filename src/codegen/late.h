/* What the late initializers of a unit do (image/late.h), for every generator: instructions and calls of helpers over
 * the generator's operand stack. */
#ifndef MAYFLY_CODEGEN_LATE_H
#define MAYFLY_CODEGEN_LATE_H

#include "codegen/codegen.h"
#include "wasm/body.h"

/* An argument of a helper: a number, or the topmost operand, which is popped; one of them at most. */
struct late_arg {
    enum { LATE_I32, LATE_I64, LATE_TOP } kind;
    uint64_t value;
};

/* What a generator does for it; each returns false with its error set. */
struct late_generator {
    /* The value of a constant expression is pushed. */
    bool (*evaluate)(void *gen, struct wasm_expr expr, wasm_valtype type, struct wasm_body_scratch *scratch);
    bool (*emit)(void *gen, const struct wasm_op *op);
    /* On behalf of what stands at `at` in the module. No result is wanted. */
    bool (*call)(void *gen, uint32_t at, enum helper helper, const struct late_arg *args, unsigned count);
};

/* All of them, in the order of instantiation (core specification, section 4.7.2), and the start function where that is
 * called there. */
bool late_generate(const struct unit *unit, const struct late_generator *generator, void *gen,
                   struct wasm_body_scratch *scratch);

#endif
