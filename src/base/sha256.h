/* SHA-256 (FIPS 180-4): names images in the store and gives types their canonical ids. */
#ifndef MAYFLY_BASE_SHA256_H
#define MAYFLY_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t total;
    uint8_t block[64];
};

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t size);
void sha256_finish(struct sha256 *hash, uint8_t ret_digest[32]);
void sha256(const void *bytes, size_t size, uint8_t ret_digest[32]);

#endif
