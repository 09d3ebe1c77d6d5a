/* What a function's first instructions say about its frame. All of ours begin with the frame pointer, then
 * make room with a subtraction, or page by page with a probe of each (LLVM's "probe-stack" attribute). */
#include "codegen/object.h"

/* A step of a prologue: its bytes, with an immediate of `immediate` bytes behind the first `size` of them, and
 * then `tail`. The immediate adds to the frame, or `fixed` bytes do. */
struct step {
    uint8_t size, immediate, tail_size;
    uint8_t fixed;
    uint8_t bytes[8], tail[20];
};

static const struct step steps[] = {
    /* The loop over many pages: mov r11, rsp; sub r11, imm32; sub rsp, 4096; mov qword [rsp], 0; cmp; jne */
    {6, 4, 20, 0, {0x49, 0x89, 0xe3, 0x49, 0x81, 0xeb}, {0x48, 0x81, 0xec, 0, 0x10, 0,    0,    0x48, 0xc7, 0x04,
                                                         0x24, 0,    0,    0, 0,    0x4c, 0x39, 0xdc, 0x75, 0xec}},
    {8, 0, 0, 0, {0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0}, {0}}, /* mov qword [rsp], 0 */
    {3, 4, 0, 0, {0x48, 0x81, 0xec}, {0}},                   /* sub rsp, imm32 */
    {3, 1, 0, 0, {0x48, 0x83, 0xec}, {0}},                   /* sub rsp, imm8 */
    {4, 0, 0, 128, {0x48, 0x83, 0xc4, 0x80}, {0}},           /* add rsp, -128 */
    {1, 0, 0, 8, {0x50}, {0}},                               /* push rax */
};

static const uint8_t entry[] = {0x55, 0x48, 0x89, 0xe5}; /* push rbp; mov rbp, rsp */

static bool matches(const struct step *step, const uint8_t *code, size_t size)
{
    size_t all = (size_t)step->size + step->immediate + step->tail_size;
    return size >= all && memcmp(code, step->bytes, step->size) == 0 &&
           memcmp(code + step->size + step->immediate, step->tail, step->tail_size) == 0;
}

static const struct step *find(const uint8_t *code, size_t size)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (matches(&steps[i], code, size))
            return &steps[i];
    return NULL;
}

uint32_t object_frame_size(const uint8_t *code, size_t size)
{
    uint32_t frame = 0;
    if (size < sizeof entry || memcmp(code, entry, sizeof entry) != 0)
        return UINT32_MAX;
    size_t at = sizeof entry;
    for (const struct step *step; (step = find(code + at, size - at));) {
        uint32_t immediate = 0;
        memcpy(&immediate, code + at + step->size, step->immediate);
        frame += immediate + step->fixed;
        at += (size_t)step->size + step->immediate + step->tail_size;
    }
    return frame;
}
