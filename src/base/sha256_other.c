/* SHA-256 on machines whose instructions for it nobody has written for: sha256.c does all. */
#include "base/sha256_blocks.h"

bool sha256_is_native(void)
{
    return false;
}

void sha256_blocks_native(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    (void)state, (void)blocks, (void)count;
}
