/* The owner of what a generator made: see codegen.h. */
#include "codegen/codegen.h"

#include "image/sites.h"

#define CODE_SIZE_MAX ((size_t)2 << 30) /* code offsets are 32 bits, and references reach 31 */

void code_init(struct code *code)
{
    *code = (struct code){0};
    buf_init(&code->text, CODE_SIZE_MAX);
    buf_init(&code->site_bytes, CODE_SIZE_MAX);
}

void code_free(struct code *code)
{
    buf_free(&code->text);
    VEC_FREE(&code->funcs);
    VEC_FREE(&code->sites);
    VEC_FREE(&code->parts);
    buf_free(&code->site_bytes);
    if (code->close)
        code->close(code->owner);
    VEC_FREE(&code->pads);
}

/* Sites of a function begin in it. */
static bool encode(struct code *code, struct code_func *func, size_t *next)
{
    struct sites last = {.code_off = func->code_off};
    func->sites_first = (uint32_t)code->site_bytes.size;
    for (; *next < code->sites.count; ++*next) {
        const struct code_site *site = &code->sites.items[*next];
        uint8_t bytes[SITE_BYTES_MAX];
        if (site->code_off >= func->code_off + func->code_size)
            break;
        if (site->code_off < func->code_off)
            continue;
        uint8_t *end = sites_put(&last, bytes, site->code_off, site->wasm_off);
        if (!buf_append(&code->site_bytes, bytes, (size_t)(end - bytes)))
            return false;
    }
    func->sites_size = (uint32_t)code->site_bytes.size - func->sites_first;
    return true;
}

bool code_encode_sites(struct code *code, struct err *err)
{
    size_t next = 0;
    for (size_t i = 0; code->sites.count && i < code->funcs.count; i++)
        if (!encode(code, &code->funcs.items[i], &next))
            return err_memory(err);
    return true;
}
