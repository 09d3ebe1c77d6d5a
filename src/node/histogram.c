/* See histogram.h. */
#include "node/histogram.h"

uint64_t histogram_floor(unsigned bucket)
{
    if (bucket >= HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    if (bucket < 16)
        return bucket;
    unsigned power = (bucket - 16) / 8 + 4, eighth = (bucket - 16) % 8;
    return (uint64_t)(8 + eighth) << (power - 3);
}

void histogram_join(struct histogram *histogram, const struct histogram *shared)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->counts[i] += counter_read(&shared->counts[i]);
    histogram->sum += counter_read(&shared->sum);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram_below(histogram, UINT64_MAX) + histogram->counts[HISTOGRAM_BUCKETS - 1];
}

uint64_t histogram_below(const struct histogram *histogram, uint64_t bound)
{
    uint64_t below = 0;
    for (unsigned i = 0, end = histogram_bucket(bound); i < end; i++)
        below += histogram->counts[i];
    return below;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t below = 0, want = (uint64_t)(share * (double)histogram_count(histogram));
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->counts[i];
        if (below > want)
            return histogram_floor(i) + (histogram_floor(i + 1) - histogram_floor(i)) / 2;
    }
    return 0;
}
