/* wasi:filesystem by path: the flags of the interface here, the file system in io/files.c. */
#include "wasi/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define OPEN(name) WASI_FILESYSTEM_TYPES_OPEN_FLAGS_##name

/* A directory and a path in it. */
static int take_place(const descriptor *self, struct str path, char ret_path[PATH_MAX])
{
    return self->directory ? files_take_path(path.ptr, path.len, ret_path) : -ENOTDIR;
}

static bool follows(uint8_t path_flags)
{
    return path_flags & WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW;
}

/* ---- open-at ---- */

static int open_flags(uint8_t path_flags, uint8_t open, uint8_t flags)
{
    int access = !(flags & FLAG(WRITE)) ? O_RDONLY : flags & FLAG(READ) ? O_RDWR : O_WRONLY;
    return access | (follows(path_flags) ? 0 : O_NOFOLLOW) | (open & OPEN(CREATE) ? O_CREAT : 0) |
           (open & OPEN(DIRECTORY) ? O_DIRECTORY : 0) | (open & OPEN(EXCLUSIVE) ? O_EXCL : 0) |
           (open & OPEN(TRUNCATE) ? O_TRUNC : 0);
}

/* Whether anything may be opened like this, before looking what there is. */
static int admit(const descriptor *self, uint8_t open, uint8_t flags)
{
    bool changes = flags & (FLAG(WRITE) | FLAG(MUTATE_DIRECTORY)) || open & (OPEN(CREATE) | OPEN(TRUNCATE));
    if (changes && !self->at.writable)
        return -EROFS;
    return open & OPEN(DIRECTORY) && open & (OPEN(CREATE) | OPEN(EXCLUSIVE) | OPEN(TRUNCATE)) ? -EINVAL : 0;
}

/* What the descriptor of a directory may do is not what was asked for but what the grant says: libraries open
 * directories without mutate-directory and change what is in them. */
static uint8_t flags_for(const descriptor *self, uint8_t flags, bool directory)
{
    flags &= (uint8_t)~FLAG(MUTATE_DIRECTORY);
    return directory ? flags | (self->flags & FLAG(MUTATE_DIRECTORY)) : flags;
}

bool wasi_filesystem_types_descriptor_open_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path, uint8_t open, uint8_t flags,
    struct result_wasi_filesystem_descriptor_wasi_filesystem_types_error_code *ret)
{
    char name[PATH_MAX];
    mode_t type = 0;
    int code = take_place(self, path, name);
    code = code ? code : admit(self, open, flags);
    code = code ? code : files_open(self->at, name, open_flags(path_flags, open, flags), &type);
    if (code < 0)
        return FILESYSTEM_ANSWER(ret, code);
    bool directory = type == S_IFDIR;
    struct files_dir at = {code, self->at.writable, self->at.grant};
    ret->ok = filesystem_descriptor(h, at, directory, flags_for(self, flags, directory), true);
    if (!ret->ok)
        close(code);
    return ret->ok != NULL;
}

/* ---- what is known ---- */

static int status_at(const descriptor *self, uint8_t path_flags, struct str path, struct stat *ret_status)
{
    char name[PATH_MAX];
    int code = take_place(self, path, name);
    return code ? code : files_stat(self->at, name, follows(path_flags), ret_status);
}

bool wasi_filesystem_types_descriptor_stat_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path,
    struct result_wasi_filesystem_types_descriptor_stat_wasi_filesystem_types_error_code *ret)
{
    struct stat status;
    int code = status_at(self, path_flags, path, &status);
    if (!code)
        ret->ok = filesystem_stat(&status);
    return FILESYSTEM_ANSWER(ret, code);
}

bool wasi_filesystem_types_descriptor_metadata_hash_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path,
    struct result_wasi_filesystem_types_metadata_hash_value_wasi_filesystem_types_error_code *ret)
{
    struct stat status;
    int code = status_at(self, path_flags, path, &status);
    if (!code)
        ret->ok = filesystem_hash(&status);
    return FILESYSTEM_ANSWER(ret, code);
}

/* A guest shall not learn where things are outside. */
bool wasi_filesystem_types_descriptor_readlink_at(struct host *h, descriptor *self, struct str path,
                                                  struct result_str_wasi_filesystem_types_error_code *ret)
{
    char name[PATH_MAX], *text = arena_alloc(&h->scratch, PATH_MAX);
    if (!text)
        return host_no_memory(h);
    ssize_t size = take_place(self, path, name);
    size = size ? size : files_read_link(self->at, name, text, PATH_MAX);
    if (size > 0 && text[0] == '/')
        size = -EPERM;
    if (size > 0 && !utf8_valid(text, (size_t)size))
        size = -EILSEQ;
    if (size >= 0)
        ret->ok = (struct str){text, (size_t)size};
    return FILESYSTEM_ANSWER(ret, size);
}

/* ---- changes ---- */

bool wasi_filesystem_types_descriptor_set_times_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path,
    const struct wasi_filesystem_types_new_timestamp *data_access_timestamp,
    const struct wasi_filesystem_types_new_timestamp *data_modification_timestamp, void_answer *ret)
{
    char name[PATH_MAX];
    struct timespec times[2];
    int code = take_place(self, path, name);
    code = code ? code : filesystem_times(data_access_timestamp, data_modification_timestamp, times);
    code = code ? code : files_set_times(self->at, name, follows(path_flags), times);
    return FILESYSTEM_ANSWER(ret, code);
}

typedef int change_name(struct files_dir dir, const char *path);

static bool change(const descriptor *self, struct str path, change_name *call, void_answer *ret)
{
    char name[PATH_MAX];
    int code = take_place(self, path, name);
    code = code ? code : call(self->at, name);
    return FILESYSTEM_ANSWER(ret, code);
}

bool wasi_filesystem_types_descriptor_create_directory_at(struct host *h, descriptor *self, struct str path,
                                                          void_answer *ret)
{
    return change(self, path, files_make_directory, ret);
}

bool wasi_filesystem_types_descriptor_remove_directory_at(struct host *h, descriptor *self, struct str path,
                                                          void_answer *ret)
{
    return change(self, path, files_remove_directory, ret);
}

bool wasi_filesystem_types_descriptor_unlink_file_at(struct host *h, descriptor *self, struct str path,
                                                     void_answer *ret)
{
    return change(self, path, files_unlink, ret);
}

bool wasi_filesystem_types_descriptor_symlink_at(struct host *h, descriptor *self, struct str old_path,
                                                 struct str new_path, void_answer *ret)
{
    char target[PATH_MAX], name[PATH_MAX];
    int code = take_place(self, new_path, name);
    code = code ? code : files_take_path(old_path.ptr, old_path.len, target);
    code = code ? code : files_symlink(self->at, target, name);
    return FILESYSTEM_ANSWER(ret, code);
}

typedef int change_names(struct files_dir from, const char *path, struct files_dir to, const char *new_path);

static bool change_both(const descriptor *self, struct str path, const descriptor *other, struct str new_path,
                        change_names *call, void_answer *ret)
{
    char name[PATH_MAX], new_name[PATH_MAX];
    int code = take_place(self, path, name);
    code = code ? code : take_place(other, new_path, new_name);
    code = code ? code : call(self->at, name, other->at, new_name);
    return FILESYSTEM_ANSWER(ret, code);
}

/* A link to what a link names cannot be made in one step, so it is not offered. */
bool wasi_filesystem_types_descriptor_link_at(struct host *h, descriptor *self, uint8_t old_path_flags,
                                              struct str old_path, descriptor *new_descriptor, struct str new_path,
                                              void_answer *ret)
{
    if (follows(old_path_flags))
        return FILESYSTEM_ANSWER(ret, -EINVAL);
    return change_both(self, old_path, new_descriptor, new_path, files_link, ret);
}

bool wasi_filesystem_types_descriptor_rename_at(struct host *h, descriptor *self, struct str old_path,
                                                descriptor *new_descriptor, struct str new_path, void_answer *ret)
{
    return change_both(self, old_path, new_descriptor, new_path, files_rename, ret);
}
