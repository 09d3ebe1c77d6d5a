/* See resident.h. The descriptor belongs to the address space that it was opened in, and a child would inherit it: so
 * its number stands on a page that the kernel wipes in a child (MADV_WIPEONFORK). */
#include "runtime/resident.h"

#include "image/format.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct opened {
    int fd_after; /* the descriptor and 1; 0: none */
};

static struct opened *opened;

static struct opened *make_opened(void)
{
    void *page = mmap(NULL, IMAGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, IMAGE_PAGE, MADV_WIPEONFORK) == 0)
        return page;
    munmap(page, IMAGE_PAGE);
    return NULL;
}

/* Without the capability that would have the kernel tell, to whoever reads from this descriptor, in which frames of the
 * machine's memory the pages lie. -1: not to be had. */
static int open_plainly(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[_LINUX_CAPABILITY_U32S_3], less[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, all) != 0)
        return -1;
    memcpy(less, all, sizeof less);
    less[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    if (syscall(SYS_capset, &header, less) != 0)
        return -1;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_capset, &header, all) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A system that shows the file and knows nothing would say of every page that it is not there. */
static bool tells_of_written_page(void)
{
    uint64_t row;
    return resident_read((uint64_t)opened, 1, &row) && row & (RESIDENT_PRESENT | RESIDENT_SWAPPED);
}

void resident_open(void)
{
    if (!opened)
        opened = make_opened();
    if (!opened || opened->fd_after)
        return;
    opened->fd_after = open_plainly() + 1;
    if (!tells_of_written_page())
        resident_close();
}

void resident_close(void)
{
    if (!opened || !opened->fd_after)
        return;
    close(opened->fd_after - 1);
    opened->fd_after = 0;
}

bool resident_read(uint64_t low, size_t count, uint64_t *ret_rows)
{
    if (!opened || !opened->fd_after)
        return false;
    size_t size = count * sizeof *ret_rows;
    off_t at = (off_t)(low / IMAGE_PAGE * sizeof *ret_rows);
    return pread(opened->fd_after - 1, ret_rows, size, at) == (ssize_t)size;
}
