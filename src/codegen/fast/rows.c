/* The table from instruction to emitter. */
#include "codegen/fast/emit.h"

const struct row fast_rows[OP_COUNT] = {
#define ROW(opcode, emitter, argument, ...) [OP_##opcode] = {fast_##emitter, {__VA_ARGS__}, argument},
#include "codegen/fast/emitters.def"
#undef ROW
};
