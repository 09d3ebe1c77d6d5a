/* The table from instruction to emitter. */
#include "codegen/llvm/emit.h"

const struct row emit_rows[OP_COUNT] = {
#define EMIT(opcode, emitter, kind, arg, name) [OP_##opcode] = {emit_##emitter, K_##kind, arg, name},
#include "codegen/llvm/emitters.def"
#undef EMIT
};
