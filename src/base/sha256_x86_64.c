/* SHA-256 with the SHA extensions of x86-64: two rounds an instruction. */
#include "base/sha256_blocks.h"

#include <immintrin.h>
#include <sys/platform/x86.h>

bool sha256_is_native(void)
{
    return CPU_FEATURE_ACTIVE(SHA) && CPU_FEATURE_ACTIVE(SSE4_1);
}

/* The state as the instructions want it: {f, e, b, a} and {h, g, d, c}, lowest lane first. */
struct halves {
    __m128i abef, cdgh;
};

__attribute__((target("sha,sse4.1"))) static struct halves take_block(struct halves s, const uint8_t *block)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    struct halves start = s;
    __m128i w[4];
    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + (ptrdiff_t)16 * i)), swap);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        __m128i k = _mm_loadu_si128((const __m128i *)(sha256_constants + (ptrdiff_t)4 * i));
        __m128i sum = _mm_add_epi32(w[i % 4], k);
        s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
        s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12)
            continue;
        __m128i next = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
        w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
    }
    return (struct halves){_mm_add_epi32(s.abef, start.abef), _mm_add_epi32(s.cdgh, start.cdgh)};
}

__attribute__((target("sha,sse4.1"))) void sha256_blocks_native(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    __m128i *low = (__m128i *)state, *high = (__m128i *)(state + 4);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(low), 0xb1), efgh = _mm_shuffle_epi32(_mm_loadu_si128(high), 0x1b);
    struct halves s = {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
    for (; count; count--, blocks += 64)
        s = take_block(s, blocks);
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
    _mm_storeu_si128(low, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(high, _mm_alignr_epi8(dchg, feba, 8));
}
