/* Image files in memory: text executable, the rest read-only. Programs of one file share its mapping, so that many
 * functions of one component have its code, its tables and its template in the caches once.
 */
#ifndef MAYFLY_RUNTIME_MAPPING_H
#define MAYFLY_RUNTIME_MAPPING_H

#include "image/format.h"

#include <time.h>

struct mapping {
    struct image image;
    struct mapping *next;
    uint64_t size, device, inode;
    struct timespec changed;
    uint32_t users;
    bool told; /* perf has its functions, and its code was moved for that */
};

/* The image in `fd`, whose header is checked here (whoever stored it checked it whole); the caller's until
 * mapping_give. The descriptor may be closed afterwards. NULL: `err` says why. */
struct mapping *mapping_take(int fd, struct err *err);
/* NULL is fine. */
void mapping_give(struct mapping *mapping);

#endif
