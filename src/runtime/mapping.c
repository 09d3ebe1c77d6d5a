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

static bool read_header(int fd, const struct stat *status, struct image_header *ret, struct err *err)
{
    if (pread(fd, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret)
        return err_set(err, ERR_MALFORMED, "not a mayfly image");
    return image_check_header(ret, (uint64_t)status->st_size, err);
}

/* NULL: not mapped. */
static uint8_t *map_file(int fd, const struct image_header *header, struct err *err)
{
    uint8_t *base = mmap(NULL, header->file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        err_errno(err, "cannot map the image");
        return NULL;
    }
    if (map_text(base, fd, header, err))
        return base;
    munmap(base, header->file_size);
    return NULL;
}

/* The first one of its file. */
static struct mapping *map(int fd, const struct stat *status, struct err *err)
{
    struct image_header header;
    if (!read_header(fd, status, &header, err))
        return NULL;
    struct mapping *mapping = mem_alloc(1, sizeof *mapping);
    if (!mapping) {
        err_memory(err);
        return NULL;
    }
    uint8_t *base = map_file(fd, &header, err);
    if (!base) {
        mem_free(mapping);
        return NULL;
    }
    *mapping = (struct mapping){.image = {base, (const void *)base},
                                .next = mappings,
                                .size = header.file_size,
                                .device = status->st_dev,
                                .inode = status->st_ino,
                                .changed = status->st_ctim};
    return mappings = mapping;
}

struct mapping *mapping_take(int fd, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        err_errno(err, "cannot read the image");
        return NULL;
    }
    struct mapping *mapping = find(&status);
    if (!mapping)
        mapping = map(fd, &status, err);
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
    munmap((void *)mapping->image.base, mapping->size);
    mem_free(mapping);
}
