/* Metrics as the text that Prometheus reads (its text-based exposition format, version 0.0.4).
 *
 * Of a histogram a few buckets are exported. Their bounds are powers of two of nanoseconds, which are bounds of ours
 * too (node/histogram.h), so every count is exact; they are cumulative, and the last is the count, because all are of
 * one copy. */
#ifndef MAYFLY_NODE_EXPOSITION_H
#define MAYFLY_NODE_EXPOSITION_H

#include "base/buf.h"
#include "base/str.h"
#include "node/metrics.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Everything, appended. Errors stay in text->failed. */
void exposition_write(struct buf *text, const struct metrics *metrics);

/* A label's value: backslash, double quote and line feed are escaped. What is not well-formed UTF-8 is left out. */
void exposition_label(struct buf *text, struct str value);
/* The lines of a histogram of nanoseconds: NAME_bucket, NAME_sum, NAME_count. `labels`: "a=\"b\"", not empty. */
void exposition_histogram(struct buf *text, const char *name, const char *labels, const struct histogram *histogram);

#endif
