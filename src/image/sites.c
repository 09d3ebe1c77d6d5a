/* See sites.h. */
#include "image/sites.h"

#include <stddef.h>
#include <string.h>

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

/* What nearly all entries are: two numbers of a byte. Goes past as many as stand here, four at a time, of which it sees
 * the code offsets only; false behind code_end. */
static bool pass_small(struct sites *sites, uint32_t code_end)
{
    static const uint64_t more = 0x8080808080808080, codes = 0x00ff00ff00ff00ff, sum = 0x0001000100010001;
    uint64_t word;
    while (sites->end - sites->at >= (ptrdiff_t)sizeof word) {
        memcpy(&word, sites->at, sizeof word);
        if (word & more)
            return true;
        uint64_t code_off = sites->code_off + ((word & codes) * sum >> 48);
        if (code_off > code_end)
            return false;
        sites->code_off = (uint32_t)code_off;
        sites->at += sizeof word;
    }
    return true;
}

bool sites_ok(struct sites sites, uint32_t code_end)
{
    while (sites.at != sites.end) {
        uint32_t last = sites.code_off;
        if (!pass_small(&sites, code_end))
            return false;
        if (sites.at == sites.end)
            return true;
        if (!sites_next(&sites) || sites.code_off < last || sites.code_off > code_end)
            return false;
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
