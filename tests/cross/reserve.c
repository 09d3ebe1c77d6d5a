/* In builds that qemu-user runs: it keeps a record of every page that a program reserves, which for the 4 TiB of a
 * store (runtime/slot.c) is more than the machine has. They are not reserved then, but taken from addresses where
 * nobody else maps anything: what the slots map there is all there is, and the rest is as inaccessible as if it were
 * reserved. */
#include <stdint.h>
#include <sys/mman.h>

#define LARGE ((size_t)1 << 40)
#define FIRST ((uintptr_t)1 << 44)
#define TAKEN_MAX 16

static struct {
    uintptr_t low, high, used; /* mapped so far: up to `used` */
} taken[TAKEN_MAX];

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size);

static void *take(size_t size)
{
    uintptr_t low = FIRST;
    for (int i = 0; i < TAKEN_MAX; low += (taken[i].high - taken[i].low), i++) {
        if (taken[i].used)
            continue;
        if (taken[i].high && taken[i].high - taken[i].low != size)
            continue;
        taken[i].low = taken[i].used = low;
        taken[i].high = low + size;
        return (void *)low;
    }
    return MAP_FAILED;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!address && size >= LARGE && protection == PROT_NONE)
        return take(size);
    uintptr_t end = (uintptr_t)address + size;
    for (int i = 0; i < TAKEN_MAX; i++)
        if ((uintptr_t)address >= taken[i].low && end <= taken[i].high && end > taken[i].used)
            taken[i].used = end;
    return __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t size)
{
    for (int i = 0; i < TAKEN_MAX; i++)
        if (taken[i].used && (uintptr_t)address == taken[i].low && size == taken[i].high - taken[i].low) {
            uintptr_t used = taken[i].used;
            taken[i].used = 0;
            return used == taken[i].low ? 0 : __real_munmap(address, used - taken[i].low);
        }
    return __real_munmap(address, size);
}
