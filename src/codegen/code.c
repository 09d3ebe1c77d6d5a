/* The owner of what a generator made: see codegen.h. */
#include "codegen/codegen.h"

#define CODE_SIZE_MAX ((size_t)2 << 30) /* code offsets are 32 bits, and references reach 31 */

void code_init(struct code *code)
{
    *code = (struct code){0};
    buf_init(&code->text, CODE_SIZE_MAX);
}

void code_free(struct code *code)
{
    buf_free(&code->text);
    VEC_FREE(&code->funcs);
    VEC_FREE(&code->sites);
    VEC_FREE(&code->pads);
}
