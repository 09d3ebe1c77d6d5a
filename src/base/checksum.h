/* A checksum that finds damage: bits that flipped, parts that are missing or in another place. It is ten times as fast
 * as a cryptographic hash and is none: whoever can write the bytes can write the checksum. */
#ifndef MAYFLY_BASE_CHECKSUM_H
#define MAYFLY_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_BLOCK 64u

struct checksum {
    uint64_t lanes[4];
    uint64_t size; /* bytes added */
    uint8_t tail[CHECKSUM_BLOCK]; /* the last size % CHECKSUM_BLOCK of them */
};

void checksum_init(struct checksum *sum);
/* The parts in which bytes come do not matter. */
void checksum_add(struct checksum *sum, const void *bytes, size_t size);
void checksum_finish(struct checksum *sum, uint8_t ret_sum[32]);

#endif
