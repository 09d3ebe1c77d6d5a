/* What loops want in registers. */
#include "codegen/fast/gen.h"

void loop_prepare(struct gen *g, const struct wasm_op *op)
{
    g->regs.dirty |= g->regs.used;
}
