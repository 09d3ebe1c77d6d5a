/* wasi:filesystem: descriptors, what is known about them, and errors. Paths are in filesystem_path.c, contents in
 * filesystem_io.c, listings in filesystem_list.c; all about the file system itself is in io/. */
#include "wasi/filesystem.h"

#include "base/sha256.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- errors ---- */

enum wasi_filesystem_types_error_code filesystem_error(int code)
{
    static const struct {
        int host;
        enum wasi_filesystem_types_error_code code;
    } rows[] = {
#define ERROR(host, name) {host, WASI_FILESYSTEM_TYPES_ERROR_CODE_##name},
#include "wasi/filesystem_error.def"
#undef ERROR
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].host == -code)
            return rows[i].code;
    return WASI_FILESYSTEM_TYPES_ERROR_CODE_IO;
}

bool wasi_filesystem_types_filesystem_error_code(struct host *h, struct wasi_io_error *err_,
                                                 struct option_wasi_filesystem_types_error_code *ret)
{
    ret->some = err_->system != 0;
    if (ret->some)
        ret->value = filesystem_error(-err_->system);
    return true;
}

/* ---- descriptors ---- */

static void close_descriptor(struct host *h, struct host_closer *closer)
{
    close(IO_OWNER(closer, descriptor, closer)->at.fd);
}

descriptor *filesystem_descriptor(struct host *h, struct files_dir at, bool directory, uint8_t flags, bool owned)
{
    descriptor *self = HOST_NEW(h, descriptor, NULL);
    if (!self)
        return NULL;
    self->at = at;
    self->users = 1;
    self->directory = directory;
    self->closer.close = close_descriptor;
    self->flags = flags;
    if (owned)
        host_own(h, &self->closer);
    return self;
}

void filesystem_leave(struct host *h, descriptor *self)
{
    if (--self->users)
        return;
    if (self->closer.link) {
        host_disown(&self->closer);
        close(self->at.fd);
    }
    host_drop_node(h, &self->node, "descriptor");
}

void wasi_filesystem_descriptor_drop(struct host *h, descriptor *self)
{
    filesystem_leave(h, self);
}

bool wasi_filesystem_preopens_get_directories(struct host *h, struct list_tuple_wasi_filesystem_descriptor_str *ret)
{
    const struct host_config *config = h->config;
    struct tuple_wasi_filesystem_descriptor_str *rows =
        ARENA_ARRAY(&h->scratch, struct tuple_wasi_filesystem_descriptor_str, config->directory_count);
    if (!rows)
        return host_no_memory(h);
    for (size_t i = 0; i < config->directory_count; i++) {
        const struct host_directory *granted = &config->directories[i];
        uint8_t flags = FLAG(READ) | (granted->dir.writable ? FLAG(MUTATE_DIRECTORY) : 0);
        rows[i].f1 = granted->name;
        rows[i].f0 = filesystem_descriptor(h, granted->dir, true, flags, false);
        if (!rows[i].f0)
            return false;
    }
    *ret = (struct list_tuple_wasi_filesystem_descriptor_str){rows, config->directory_count};
    return true;
}

int filesystem_take_file(const descriptor *self, uint8_t flag)
{
    if (self->directory)
        return -EBADF;
    if (flag == FLAG(WRITE) && !self->at.writable)
        return -EROFS;
    return self->flags & flag ? 0 : -EBADF;
}

/* ---- what is known ---- */

enum wasi_filesystem_types_descriptor_type filesystem_type(mode_t mode)
{
    static const struct {
        mode_t mode;
        enum wasi_filesystem_types_descriptor_type type;
    } rows[] = {
        {S_IFREG, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_REGULAR_FILE},
        {S_IFDIR, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_DIRECTORY},
        {S_IFLNK, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_SYMBOLIC_LINK},
        {S_IFIFO, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_FIFO},
        {S_IFSOCK, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_SOCKET},
        {S_IFCHR, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_CHARACTER_DEVICE},
        {S_IFBLK, WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_BLOCK_DEVICE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].mode == (mode & S_IFMT))
            return rows[i].type;
    return WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_UNKNOWN;
}

/* A time before 1970 cannot be said: none. */
static struct option_wasi_clocks_wall_clock_datetime datetime_of(struct timespec time)
{
    struct option_wasi_clocks_wall_clock_datetime ret = {.some = time.tv_sec >= 0};
    if (ret.some)
        ret.value = (struct wasi_clocks_wall_clock_datetime){(uint64_t)time.tv_sec, (uint32_t)time.tv_nsec};
    return ret;
}

struct wasi_filesystem_types_descriptor_stat filesystem_stat(const struct stat *status)
{
    return (struct wasi_filesystem_types_descriptor_stat){
        .type = filesystem_type(status->st_mode),
        .link_count = status->st_nlink,
        .size = (uint64_t)status->st_size,
        .data_access_timestamp = datetime_of(status->st_atim),
        .data_modification_timestamp = datetime_of(status->st_mtim),
        .status_change_timestamp = datetime_of(status->st_ctim),
    };
}

/* The same in every process, so that guests may keep it; of a digest, so that it does not tell what went in. */
struct wasi_filesystem_types_metadata_hash_value filesystem_hash(const struct stat *status)
{
    const uint64_t inputs[] = {status->st_dev, status->st_ino, (uint64_t)status->st_size,
                               (uint64_t)status->st_mtim.tv_sec, (uint64_t)status->st_mtim.tv_nsec};
    struct wasi_filesystem_types_metadata_hash_value value;
    uint8_t digest[32];
    sha256(inputs, sizeof inputs, digest);
    memcpy(&value, digest, sizeof value);
    return value;
}

static int status_of(const descriptor *self, struct stat *ret_status)
{
    return fstat(self->at.fd, ret_status) == 0 ? 0 : -errno;
}

bool wasi_filesystem_types_descriptor_stat(
    struct host *h, descriptor *self,
    struct result_wasi_filesystem_types_descriptor_stat_wasi_filesystem_types_error_code *ret)
{
    struct stat status;
    int code = status_of(self, &status);
    if (!code)
        ret->ok = filesystem_stat(&status);
    return FILESYSTEM_ANSWER(ret, code);
}

bool wasi_filesystem_types_descriptor_metadata_hash(
    struct host *h, descriptor *self,
    struct result_wasi_filesystem_types_metadata_hash_value_wasi_filesystem_types_error_code *ret)
{
    struct stat status;
    int code = status_of(self, &status);
    if (!code)
        ret->ok = filesystem_hash(&status);
    return FILESYSTEM_ANSWER(ret, code);
}

bool wasi_filesystem_types_descriptor_is_same_object(struct host *h, descriptor *self, descriptor *other, bool *ret)
{
    struct stat mine, others;
    *ret = status_of(self, &mine) == 0 && status_of(other, &others) == 0 && mine.st_dev == others.st_dev &&
           mine.st_ino == others.st_ino;
    return true;
}

bool wasi_filesystem_types_descriptor_get_type(
    struct host *h, descriptor *self,
    struct result_wasi_filesystem_types_descriptor_type_wasi_filesystem_types_error_code *ret)
{
    ret->ok = filesystem_type(self->directory ? S_IFDIR : S_IFREG); /* nothing else is opened */
    return true;
}

bool wasi_filesystem_types_descriptor_get_flags(
    struct host *h, descriptor *self,
    struct result_wasi_filesystem_types_descriptor_flags_wasi_filesystem_types_error_code *ret)
{
    ret->ok = self->flags;
    return true;
}

/* ---- what changes a file ---- */

bool wasi_filesystem_types_descriptor_set_size(struct host *h, descriptor *self, uint64_t size, void_answer *ret)
{
    int code = filesystem_take_file(self, FLAG(WRITE));
    code = code ? code : file_set_size(self->at.fd, size);
    return FILESYSTEM_ANSWER(ret, code);
}

static int time_of(const struct wasi_filesystem_types_new_timestamp *from, struct timespec *ret_time)
{
    const struct wasi_clocks_wall_clock_datetime *when = &from->timestamp;
    switch (from->tag) {
    case WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NO_CHANGE: *ret_time = (struct timespec){0, UTIME_OMIT}; return 0;
    case WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW: *ret_time = (struct timespec){0, UTIME_NOW}; return 0;
    default: break;
    }
    if (when->nanoseconds >= NS_PER_S)
        return -EINVAL;
    if (when->seconds > INT64_MAX)
        return -EOVERFLOW;
    *ret_time = (struct timespec){(time_t)when->seconds, (long)when->nanoseconds};
    return 0;
}

int filesystem_times(const struct wasi_filesystem_types_new_timestamp *access,
                     const struct wasi_filesystem_types_new_timestamp *modification, struct timespec ret_times[2])
{
    int code = time_of(access, &ret_times[0]);
    return code ? code : time_of(modification, &ret_times[1]);
}

bool wasi_filesystem_types_descriptor_set_times(
    struct host *h, descriptor *self, const struct wasi_filesystem_types_new_timestamp *data_access_timestamp,
    const struct wasi_filesystem_types_new_timestamp *data_modification_timestamp, void_answer *ret)
{
    struct timespec times[2];
    int code = filesystem_times(data_access_timestamp, data_modification_timestamp, times);
    if (!code)
        code = self->at.writable ? file_set_times(self->at.fd, times) : -EROFS;
    return FILESYSTEM_ANSWER(ret, code);
}

/* ---- the system's caches ---- */

bool wasi_filesystem_types_descriptor_advise(struct host *h, descriptor *self, uint64_t offset, uint64_t length,
                                             enum wasi_filesystem_types_advice advice, void_answer *ret)
{
    int code = self->directory ? -EBADF : file_advise(self->at.fd, offset, length, (uint32_t)advice);
    return FILESYSTEM_ANSWER(ret, code);
}

/* Of what was not opened to be written there is nothing to sync, and no guest shall make the disk busy by that. */
static int synced(const descriptor *self, bool data)
{
    bool changes = self->at.writable && (self->directory || self->flags & FLAG(WRITE));
    return changes ? file_sync(self->at.fd, self->directory, data) : 0;
}

bool wasi_filesystem_types_descriptor_sync(struct host *h, descriptor *self, void_answer *ret)
{
    return FILESYSTEM_ANSWER(ret, synced(self, false));
}

bool wasi_filesystem_types_descriptor_sync_data(struct host *h, descriptor *self, void_answer *ret)
{
    return FILESYSTEM_ANSWER(ret, synced(self, true));
}
