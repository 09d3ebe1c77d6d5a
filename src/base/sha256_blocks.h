/* The compression function of SHA-256 (FIPS 180-4, section 6.2.2), as far as the machine has instructions for it. */
#ifndef MAYFLY_BASE_SHA256_BLOCKS_H
#define MAYFLY_BASE_SHA256_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint32_t sha256_constants[64];

/* Whether sha256_blocks_native may be called. Cheap: asks nothing of the processor that the C library did not. */
bool sha256_is_native(void);
/* Take `count` blocks of 64 bytes into the state. */
void sha256_blocks_portable(uint32_t state[8], const uint8_t *blocks, size_t count);
void sha256_blocks_native(uint32_t state[8], const uint8_t *blocks, size_t count);

#endif
