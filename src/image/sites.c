/* See sites.h. */
#include "image/sites.h"

static bool take(struct sites *sites, uint32_t *ret)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (sites->at == sites->end)
            return false;
        uint8_t byte = *sites->at++;
        value |= (uint32_t)(byte & 0x7f) << (shift & 31);
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Small numbers of either sign become small numbers. */
static uint32_t fold(uint32_t delta)
{
    return delta << 1 ^ -(delta >> 31);
}

static uint32_t unfold(uint32_t folded)
{
    return folded >> 1 ^ -(folded & 1);
}

bool sites_next(struct sites *sites)
{
    uint32_t code, wasm;
    if (!take(sites, &code) || !take(sites, &wasm))
        return false;
    sites->code_off += code;
    sites->wasm_off += unfold(wasm);
    return true;
}

bool sites_ok(struct sites sites, uint32_t code_end)
{
    uint32_t last = sites.code_off;
    while (sites.at != sites.end) {
        if (!sites_next(&sites) || sites.code_off < last || sites.code_off > code_end)
            return false;
        last = sites.code_off;
    }
    return true;
}

static uint8_t *put(uint8_t *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

uint8_t *sites_put_any(struct sites *sites, uint8_t *to, uint32_t code_off, uint32_t wasm_off)
{
    to = put(put(to, code_off - sites->code_off), fold(wasm_off - sites->wasm_off));
    sites->code_off = code_off;
    sites->wasm_off = wasm_off;
    return to;
}
