/* Numbers with units, as people write them: sizes in bytes or with K, M, G (also KiB, MiB, GiB), durations with ms, s,
 * m, h. */
#ifndef MAYFLY_BASE_AMOUNT_H
#define MAYFLY_BASE_AMOUNT_H

#include "base/str.h"

#define AMOUNT_DURATION_MAX ((uint64_t)1 << 62) /* ns */

/* False: it is none, or too large to be one. */
bool amount_size(struct str text, uint64_t *ret_bytes);
bool amount_duration(struct str text, uint64_t *ret_ns);

#endif
