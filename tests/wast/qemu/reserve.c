/* In builds that qemu-user runs: it keeps a record of every page that a program reserves, which for the 4 TiB of a
 * store (runtime/slot.c) is more than the machine has. They are not reserved then, but taken from addresses where
 * nobody else maps anything: what the slots map there is all there is, and the rest is as inaccessible as if it were
 * reserved. */
#include <stdint.h>
#include <sys/mman.h>

#define LARGE ((size_t)1 << 40)
#define FIRST ((uintptr_t)1 << 44)

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    static uintptr_t next = FIRST;
    if (address || size < LARGE || protection != PROT_NONE)
        return __real_mmap(address, size, protection, flags, fd, offset);
    next += size;
    return (void *)(next - size);
}
