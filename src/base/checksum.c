/* See checksum.h. Four lanes take two words of each block: their product, folded to 64 bits, goes into the lane by
 * steps that lose nothing of it, so that a changed word changes the lane for good. */
#include "base/checksum.h"

#include <string.h>

/* Odd numbers without pattern: the first digits of the square roots of primes. */
static const uint64_t keys[8] = {
    0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void add_blocks(struct checksum *sum, const uint8_t *bytes, size_t count)
{
    uint64_t lanes[4];
    memcpy(lanes, sum->lanes, sizeof lanes);
    for (; count; count--, bytes += CHECKSUM_BLOCK) {
        uint64_t words[8];
        memcpy(words, bytes, sizeof words);
        for (int i = 0; i < 4; i++)
            lanes[i] = lanes[i] * keys[0] + fold(words[2 * i] ^ keys[i], words[2 * i + 1] ^ keys[i + 4]);
    }
    memcpy(sum->lanes, lanes, sizeof lanes);
}

void checksum_init(struct checksum *sum)
{
    memset(sum, 0, sizeof *sum);
    memcpy(sum->lanes, keys, sizeof sum->lanes);
}

void checksum_add(struct checksum *sum, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    size_t used = sum->size % CHECKSUM_BLOCK, room = CHECKSUM_BLOCK - used;
    sum->size += size;
    if (used && size >= room) {
        memcpy(sum->tail + used, at, room);
        add_blocks(sum, sum->tail, 1);
        at += room;
        size -= room;
        used = 0;
    }
    if (used == 0 && size >= CHECKSUM_BLOCK) {
        add_blocks(sum, at, size / CHECKSUM_BLOCK);
        at += size / CHECKSUM_BLOCK * CHECKSUM_BLOCK;
        size %= CHECKSUM_BLOCK;
    }
    if (size)
        memcpy(sum->tail + used, at, size);
}

void checksum_finish(struct checksum *sum, uint8_t ret_sum[32])
{
    size_t used = sum->size % CHECKSUM_BLOCK;
    uint64_t words[4], all = sum->size;
    memset(sum->tail + used, 0, CHECKSUM_BLOCK - used);
    add_blocks(sum, sum->tail, 1);
    for (int i = 0; i < 8; i++) /* twice around: each word depends on every lane */
        all = words[i % 4] = fold(sum->lanes[i % 4] ^ keys[i], all ^ keys[7 - i]) + all;
    memcpy(ret_sum, words, sizeof words);
}
