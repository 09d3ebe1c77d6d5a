/* wasi:filesystem: what is in a directory. Each stream lists through a descriptor of its own, from the beginning. */
#include "runtime/trap.h"
#include "wasi/filesystem.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct wasi_filesystem_directory_entry_stream {
    struct host_node node;
    struct host_closer closer;
    int fd;
    struct host_block *block; /* entries of the kernel's, from `at` to `end` not told yet */
    uint32_t at, end;
    bool over;
};

typedef struct wasi_filesystem_directory_entry_stream listing;

static void close_listing(struct host *h, struct host_closer *closer)
{
    close(IO_OWNER(closer, listing, closer)->fd);
}

bool wasi_filesystem_types_descriptor_read_directory(
    struct host *h, descriptor *self,
    struct result_wasi_filesystem_directory_entry_stream_wasi_filesystem_types_error_code *ret)
{
    int fd = self->directory ? files_listing(self->at) : -ENOTDIR;
    if (fd < 0)
        return FILESYSTEM_ANSWER(ret, fd);
    listing *list = HOST_NEW(h, listing, NULL);
    if (!list) {
        close(fd);
        return false;
    }
    list->fd = fd;
    list->closer.close = close_listing;
    host_own(h, &list->closer);
    ret->ok = list;
    list->block = host_block_take(h);
    return list->block != NULL;
}

void wasi_filesystem_directory_entry_stream_drop(struct host *h, listing *self)
{
    host_disown(&self->closer);
    close(self->fd);
    host_block_give(h, self->block);
    host_drop_node(h, &self->node, "directory-entry-stream");
}

/* The next entries of the kernel's. False: *ret_code says why, 0 at the end. */
static bool fill(listing *self, int *ret_code)
{
    long size = syscall(SYS_getdents64, self->fd, self->block->bytes, sizeof self->block->bytes);
    *ret_code = size < 0 ? -errno : 0;
    self->over = size <= 0;
    self->at = 0;
    self->end = size > 0 ? (uint32_t)size : 0;
    return size > 0;
}

/* The next entry but the directory itself and its parent; NULL at the end or after an error. */
static const struct dirent64 *next_entry(struct host *h, listing *self, int *ret_code)
{
    *ret_code = 0;
    while (!self->over && guest_goes_on(h->store)) {
        if (self->at == self->end && !fill(self, ret_code))
            break;
        const struct dirent64 *entry = (const void *)(self->block->bytes + self->at);
        self->at += entry->d_reclen;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry;
    }
    return NULL;
}

/* A name that is no string is an error once; what follows it can still be read. */
bool wasi_filesystem_types_directory_entry_stream_read_directory_entry(
    struct host *h, listing *self,
    struct result_option_wasi_filesystem_types_directory_entry_wasi_filesystem_types_error_code *ret)
{
    int code;
    const struct dirent64 *entry = next_entry(h, self, &code);
    if (entry && !utf8_valid(entry->d_name, strlen(entry->d_name)))
        code = -EILSEQ;
    ret->ok.some = entry && !code;
    if (ret->ok.some)
        ret->ok.value = (struct wasi_filesystem_types_directory_entry){filesystem_type(DTTOIF(entry->d_type)),
                                                                       str_of(entry->d_name)};
    return FILESYSTEM_ANSWER(ret, code);
}
