/* Samples of running guests: where in its image a thread is, a few hundred times per second of its processor time.
 *
 * A signal handler writes them, with plain stores, into a ring that others may read meanwhile (it can lie in memory
 * that processes share). Guests are not slowed by more than the signals.
 */
#ifndef MAYFLY_RUNTIME_SAMPLE_H
#define MAYFLY_RUNTIME_SAMPLE_H

#include "base/err.h"

#include <stdint.h>

#define SAMPLE_ROOM 4096u /* a power of two */

/* One writer. A row: the program's sample_number above, the code offset from its image's base below. */
struct samples {
    uint32_t count; /* ever written, modulo 2^32: the row of the next is count % SAMPLE_ROOM */
    uint64_t rows[SAMPLE_ROOM];
};

/* Sample this thread until sample_close: programs whose sample_number is not 0. */
bool sample_open(struct samples *samples, struct err *err);
void sample_close(void);

#endif
