/* Which Wasm instruction machine code belongs to: a stream of bytes per function, because there are a great many and
 * few are ever asked for.
 *
 * An entry says that the code from an offset on, up to the next entry's, belongs to a Wasm byte offset (0: unknown). It
 * is two numbers in LEB128: the code offset less the last one (at first, the function's), unsigned, and the Wasm offset
 * less the last one (at first, 0), signed. */
#ifndef MAYFLY_IMAGE_SITES_H
#define MAYFLY_IMAGE_SITES_H

#include "base/buf.h"

struct sites {
    const uint8_t *at, *end; /* what is left of the stream */
    uint32_t code_off, wasm_off; /* of the entry; before the first: the function's code offset, and 0 */
};

#define SITE_BYTES_MAX 10u

/* The next entry; false at the end, and at bytes that are none. */
bool sites_next(struct sites *sites);
/* Does the stream hold entries only, all of them below `code_end`? */
bool sites_ok(struct sites sites, uint32_t code_end);

/* Write an entry behind the last one, `sites`, at `to`, where SITE_BYTES_MAX bytes may be written; the bytes behind it.
 * `sites` becomes the entry. */
uint8_t *sites_put_any(struct sites *sites, uint8_t *to, uint32_t code_off, uint32_t wasm_off);

static inline uint8_t *sites_put(struct sites *sites, uint8_t *to, uint32_t code_off, uint32_t wasm_off)
{
    uint32_t code = code_off - sites->code_off, wasm = wasm_off - sites->wasm_off;
    if (code >= 0x80 || wasm >= 0x40) /* mostly both are small, and go forward */
        return sites_put_any(sites, to, code_off, wasm_off);
    to[0] = (uint8_t)code;
    to[1] = (uint8_t)(wasm << 1);
    sites->code_off = code_off;
    sites->wasm_off = wasm_off;
    return to + 2;
}

#endif
