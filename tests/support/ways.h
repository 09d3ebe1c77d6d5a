/* Bodies are validated in three ways: by the tables alone, with the quick way past them (wasm/quick.h), and by the fast
 * generator, which walks itself. All must say the same of a module, and see the same in it. */
#ifndef MAYFLY_TEST_WAYS_H
#define MAYFLY_TEST_WAYS_H

#include "base/err.h"

#include <stddef.h>

/* Whether they do; the verdict of the first. Otherwise *ret_difference says what differs, and stays good until the next
 * call. */
bool ways_agree(const uint8_t *bytes, size_t size, bool *ret_valid, struct err *ret_err, const char **ret_difference);

#endif
