/* See histogram.h. Values below 16 have buckets of their own. */
#include "node/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < 16)
        return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    return 16 + (power - 4) * 8 + (unsigned)(value >> (power - 3) & 7);
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned power = (bucket - 16) / 8 + 4, eighth = (bucket - 16) % 8;
    return ((uint64_t)(8 + eighth) << (power - 3)) + ((uint64_t)1 << (power - 3)) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t below = 0, want = (uint64_t)(share * (double)histogram->total);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->counts[i];
        if (below > want)
            return middle_of(i);
    }
    return 0;
}
