/* Durations in buckets of an eighth of their power of two: constant space, quantiles to about a tenth.
 *
 * One writes, and others may read at the same time (base/counter.h): they take a copy, and what they say of it agrees
 * with itself, because the number of entries is the sum of the buckets. A copy may hold anything when the writer cannot
 * be trusted: nothing here depends on it. */
#ifndef MAYFLY_NODE_HISTOGRAM_H
#define MAYFLY_NODE_HISTOGRAM_H

#include "base/counter.h"

#define HISTOGRAM_BUCKETS 496u

struct histogram {
    uint64_t sum, counts[HISTOGRAM_BUCKETS];
};

/* Values below 16 have buckets of their own. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < 16)
        return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    return 16 + (power - 4) * 8 + (unsigned)(value >> (power - 3) & 7);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    counter_add(&histogram->counts[histogram_bucket(value)], 1);
    counter_add(&histogram->sum, value);
}

/* The least value of a bucket; of HISTOGRAM_BUCKETS, UINT64_MAX. */
uint64_t histogram_floor(unsigned bucket);
/* Add what is in `shared`, as it is now. */
void histogram_join(struct histogram *histogram, const struct histogram *shared);
/* Entries in all. */
uint64_t histogram_count(const struct histogram *histogram);
/* Entries less than `bound`: all of them when that is the floor of a bucket, else those of the buckets before its own.
 */
uint64_t histogram_below(const struct histogram *histogram, uint64_t bound);
/* The value below which `share` (0..1) of the entries lie: a bucket's middle. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
