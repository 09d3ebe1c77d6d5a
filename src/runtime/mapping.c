/* See mapping.h. */
#include "runtime/mapping.h"

#include "base/alloc.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mapping *mappings;

/* A file that was written anew in its place is another image. */
static bool is_of(const struct mapping *mapping, const struct stat *status)
{
    return mapping->inode == status->st_ino && mapping->device == status->st_dev &&
           mapping->size == (uint64_t)status->st_size && mapping->changed.tv_sec == status->st_ctim.tv_sec &&
           mapping->changed.tv_nsec == status->st_ctim.tv_nsec;
}

static struct mapping *find(const struct stat *status)
{
    struct mapping *mapping = mappings;
    while (mapping && !is_of(mapping, status))
        mapping = mapping->next;
    return mapping;
}

/* Mapped executable from the file, never made so: a process that gave up making code of data can do it. */
static bool map_text(uint8_t *base, int fd, const struct image_header *header, struct err *err)
{
    void *text = base + header->code_offset;
    int protection = PROT_READ | PROT_EXEC;
    return header->exec_size == 0 ||
           mmap(text, header->exec_size, protection, MAP_PRIVATE | MAP_FIXED, fd, (off_t)header->code_offset) == text ||
           err_errno(err, "cannot make the image executable");
}

/* The first one of its file. */
static struct mapping *map(int fd, const struct stat *status, const struct image_header *header, struct err *err)
{
    struct mapping *mapping = mem_alloc(1, sizeof *mapping);
    if (!mapping) {
        err_memory(err);
        return NULL;
    }
    uint8_t *base = mmap(NULL, header->file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        err_errno(err, "cannot map the image");
    } else if (map_text(base, fd, header, err)) {
        *mapping = (struct mapping){.base = base,
                                    .header = (const void *)base,
                                    .next = mappings,
                                    .size = header->file_size,
                                    .device = status->st_dev,
                                    .inode = status->st_ino,
                                    .changed = status->st_ctim};
        return mappings = mapping;
    } else {
        munmap(base, header->file_size);
    }
    mem_free(mapping);
    return NULL;
}

struct mapping *mapping_take(int fd, struct err *err)
{
    struct stat status;
    struct image_header header;
    if (fstat(fd, &status) != 0) {
        err_errno(err, "cannot read the image");
        return NULL;
    }
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header) {
        err_set(err, ERR_MALFORMED, "not a mayfly image");
        return NULL;
    }
    if (!image_check_header(&header, (uint64_t)status.st_size, err))
        return NULL;
    struct mapping *mapping = find(&status);
    if (!mapping)
        mapping = map(fd, &status, &header, err);
    if (mapping)
        mapping->users++;
    return mapping;
}

void mapping_give(struct mapping *mapping)
{
    if (!mapping || --mapping->users)
        return;
    struct mapping **at = &mappings;
    while (*at != mapping)
        at = &(*at)->next;
    *at = mapping->next;
    munmap((void *)mapping->base, mapping->size);
    mem_free(mapping);
}
