/* Durations in buckets of an eighth of their power of two: constant space, quantiles to about a tenth. */
#ifndef MAYFLY_NODE_HISTOGRAM_H
#define MAYFLY_NODE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 512

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS], total;
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The value below which `share` (0..1) of the entries lie: a bucket's middle. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
