/* wasi:random. Bytes come from the kernel, a page at a time: a small request costs no system call. Bytes are
 * erased when they are handed out. The insecure interfaces give the same bytes: there is nothing faster that
 * would be worth its own state, and hash seeds must not be foreseeable by who sends the keys. */
#include "wasi/gen/wasi_random.h"
#include "runtime/trap.h"
#include "wasi/object.h"

#include <errno.h>
#include <sys/random.h>

#define PART ((size_t)256 << 10) /* between two looks at the guest's deadline */

/* False: trap. */
static bool from_kernel(struct host *h, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    while (size) {
        ssize_t n = getrandom(at, size < PART ? size : PART, 0);
        if ((n >= 0 || errno == EINTR) && !guest_goes_on(h->store))
            return false;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return host_trap(h, "no random bytes: %m");
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool take(struct host *h, void *bytes, size_t size)
{
    struct host_pool *pool = h->pool;
    if (size > sizeof pool->random / 4)
        return from_kernel(h, bytes, size);
    if (size > pool->random_left) {
        if (!from_kernel(h, pool->random, sizeof pool->random))
            return false;
        pool->random_left = sizeof pool->random;
    }
    uint8_t *at = pool->random + sizeof pool->random - pool->random_left;
    memcpy(bytes, at, size);
    memset(at, 0, size);
    pool->random_left -= size;
    return true;
}

bool wasi_random_random_get_random_bytes(struct host *h, uint64_t len, struct list_u8 *ret)
{
    if (len > HOST_RANDOM_MAX)
        return host_trap(h, "%llu random bytes at once, more than %llu", (unsigned long long)len,
                         (unsigned long long)HOST_RANDOM_MAX);
    uint8_t *bytes = arena_alloc(&h->scratch, (size_t)len);
    if (!bytes)
        return host_no_memory(h);
    *ret = (struct list_u8){bytes, (size_t)len};
    return take(h, bytes, (size_t)len);
}

bool wasi_random_random_get_random_u64(struct host *h, uint64_t *ret)
{
    return take(h, ret, sizeof *ret);
}

bool wasi_random_insecure_get_insecure_random_bytes(struct host *h, uint64_t len, struct list_u8 *ret)
{
    return wasi_random_random_get_random_bytes(h, len, ret);
}

bool wasi_random_insecure_get_insecure_random_u64(struct host *h, uint64_t *ret)
{
    return wasi_random_random_get_random_u64(h, ret);
}

bool wasi_random_insecure_seed_insecure_seed(struct host *h, struct tuple_u64_u64 *ret)
{
    return take(h, ret, sizeof *ret);
}
