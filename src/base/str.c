/* See str.h. */
#include "base/str.h"

size_t utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool narrow = (lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f) || (lead == 0xf0 && p[1] < 0x90) ||
                  (lead == 0xf4 && p[1] > 0x8f);
    return narrow ? 0 : size;
}

bool utf8_valid(const void *bytes, size_t size)
{
    const uint8_t *p = bytes, *end = p + size;
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080ull) == 0)) {
            p += 8;
            continue;
        }
        size_t step = utf8_sequence(p, (size_t)(end - p));
        if (step == 0)
            return false;
        p += step;
    }
    return true;
}
