/* See project.h. */
#include "develop/project.h"

#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)16 << 20) /* of paths and lists; the manifest has its own */

const char *project_text(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (copy && text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

const char *project_file(struct arena *arena, const char *folder, struct str path)
{
    bool alone = (path.len && path.ptr[0] == '/') || strcmp(folder, ".") == 0;
    size_t before = alone ? 0 : strlen(folder) + 1;
    char *text = arena_alloc(arena, before + path.len + 1);
    if (!text)
        return NULL;
    if (before) {
        memcpy(text, folder, before - 1);
        text[before - 1] = '/';
    }
    if (path.len)
        memcpy(text + before, path.ptr, path.len);
    return text;
}

const char *project_folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return slash == path ? "/" : project_text(arena, (struct str){path, (size_t)(slash - path)});
}

const char *project_find(struct arena *arena, const char *from, struct err *err)
{
    struct stat status;
    const char *path = from ? from : ".";
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        size_t len = strlen(path);
        while (len > 1 && path[len - 1] == '/')
            len--;
        const char *folder = project_text(arena, (struct str){path, len});
        path = folder ? project_file(arena, folder, STR("spin.toml")) : NULL;
    } else if (strlen(path) < 5 || strcmp(path + strlen(path) - 5, ".toml") != 0) {
        err_set(err, ERR_SYSTEM, "%s is no manifest", path);
        err_remedy(err, "name a spin.toml, or a folder with one");
        return NULL;
    } else
        path = project_text(arena, str_of(path));
    if (!path)
        return err_memory(err), NULL;
    if (stat(path, &status) == 0)
        return path;
    err_set(err, ERR_SYSTEM, "there is no %s", path);
    err_remedy(err, "name a spin.toml, or a folder with one, with -f; 'mayfly new' makes one");
    return NULL;
}

bool project_read(const char *path, struct buf *out, struct err *err)
{
    char chunk[4096];
    ssize_t size;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    while ((size = read(fd, chunk, sizeof chunk)) > 0 && buf_append(out, chunk, (size_t)size))
        ;
    bool done = size == 0 && !out->failed;
    if (size < 0)
        err_errno(err, "cannot read %s", path);
    else if (out->full)
        err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, out->max);
    else if (out->failed)
        err_memory(err);
    close(fd);
    return done;
}

bool project_replace(const char *path, const struct buf *text, struct err *err)
{
    char fresh[PATH_MAX];
    int size = snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid());
    if (size < 0 || (size_t)size >= sizeof fresh)
        return err_set(err, ERR_LIMIT, "%s: the path is too long", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    bool done = fd >= 0 && file_write(fd, text->data, text->size);
    if (fd >= 0 && close(fd) != 0)
        done = false;
    if (done && rename(fresh, path) == 0)
        return true;
    err_errno(err, "cannot write %s", path);
    if (fd >= 0)
        unlink(fresh);
    return false;
}

static bool read_manifest(struct project *project, const char *profile, struct err *err)
{
    struct manifest_problems problems = {0};
    bool done = manifest_load(&project->manifest, project->path, str_of(profile ? profile : ""), &problems, err);
    manifest_problems_print(&problems, project->path);
    if (!done && problems.error_count && err->kind != ERR_MEMORY)
        err->kind = ERR_NONE;
    manifest_problems_free(&problems);
    return done;
}

bool project_open(struct project *ret, const char *from, const char *profile, struct err *err)
{
    *ret = (struct project){0};
    arena_init(&ret->arena, ARENA_MAX);
    if (!(ret->path = project_find(&ret->arena, from, err)))
        return false;
    if (!(ret->folder = project_folder_of(&ret->arena, ret->path)))
        return err_memory(err);
    return read_manifest(ret, profile, err);
}

void project_close(struct project *project)
{
    manifest_free(&project->manifest);
    arena_free(&project->arena);
}
