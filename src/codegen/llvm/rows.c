/* The table from instruction to emitter. */
#include "codegen/llvm/emit.h"

enum {
#define EMIT(opcode, emitter, kind, arg, name) ROW_##opcode,
#include "codegen/llvm/emitters.def"
#undef EMIT
    ROW_COUNT
};
_Static_assert((int)ROW_COUNT == (int)OP_COUNT, "every instruction has a row");

const struct row emit_rows[OP_COUNT] = {
#define EMIT(opcode, emitter, kind, arg, name) [OP_##opcode] = {emit_##emitter, K_##kind, arg, name},
#include "codegen/llvm/emitters.def"
#undef EMIT
};
