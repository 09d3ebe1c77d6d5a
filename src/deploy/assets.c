/* Files that a component may read by pattern, `exclude_files`, and single files: what matches is copied when the
 * application starts, into a folder that is made for it and removed with the deployment, or, if that was killed, by the
 * next one that makes such folders; and the guest finds that as `/`, to be read. So what a component has is decided
 * once, by whoever starts the application: a file that comes later is not there, and no link leads anywhere else.
 *
 * What matches is a regular file within the folder of the manifest, also by way of links. A link that leads out of it
 * is an error: nothing outside is given away because a pattern happens to match a name. `**` does not go into folders
 * that are links. Everything is opened beneath that folder (io/beneath.h), so that nobody can exchange a folder
 * meanwhile. */
#include "deploy/deploy_inner.h"

#include "app/glob.h"
#include "base/file.h"
#include "io/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASSET_FILES_MAX 65536u               /* of a component */
#define ASSET_BYTES_MAX ((uint64_t)4 << 30)  /* likewise */
#define ASSET_DEPTH_MAX 64u                  /* folders inside each other */
#define ASSET_COPY_BYTES ((size_t)1 << 30)   /* of one call of the kernel */
#define ASSET_ROOM ((size_t)65536)
#define FOLDER_MODE 0755 /* workers may be another user; nobody else comes past the folder around it */
#define FILE_MODE 0644
#define WRITABLE 0022 /* by that user, too, where components may write */
#define COPY_NAME "mayfly-files-"
#define COPY_TRIES 8u
#define SWEPT_MAX 4096u /* entries of a folder that are looked at */

/* One pattern on its way through the folders. */
struct search {
    struct deploy *deploy;
    const struct manifest_component *component;
    struct manifest_place at;
    int from, to;        /* the manifest's folder, the copy */
    struct str before;   /* of a path that matches: to be left out */
    struct str behind;   /* to be put in front of the rest, without slashes around it */
    bool excludes;       /* exclude_files holds */
    uint32_t files;
    uint64_t bytes;
    struct err *err;
};

static bool wrong(const struct search *search, const char *path, const char *what, const char *remedy)
{
    err_set(search->err, ERR_INVALID, "%s %s", path, what);
    err_remedy(search->err, "%s", remedy);
    return deploy_at(search->deploy, search->at, search->err);
}

static bool failed(const struct search *search, const char *path, int code)
{
    if (code == -EXDEV)
        return wrong(search, path, "leads out of the folder of the manifest",
                     "copy what it leads to into that folder, or name it as { source, destination }");
    errno = -code;
    err_errno(search->err, "cannot read %s", path);
    return deploy_at(search->deploy, search->at, search->err);
}

/* ---- copying ---- */

static bool join(const struct search *search, const char *path, char ret[PATH_MAX])
{
    const char *rest = path + search->before.len;
    rest += search->before.len && *rest == '/';
    const char *slash = search->behind.len && *rest ? "/" : "";
    int size = snprintf(ret, PATH_MAX, "%.*s%s%s", STR_ARG(search->behind), slash, rest);
    return size < PATH_MAX || wrong(search, path, "has a path that is too long", "give it a shorter one");
}

static bool make_folders(const struct search *search, char *path)
{
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int code = mkdirat(search->to, path, FOLDER_MODE), error = errno;
        if (code == 0 && search->deploy->options.transient)
            code = fchmodat(search->to, path, FOLDER_MODE | WRITABLE, 0);
        *slash = '/';
        if (code != 0 && error != EEXIST)
            return failed(search, path, -error);
    }
    return true;
}

/* A share of the same blocks where the file system can. */
static bool copy_bytes(int from, int to)
{
    char room[ASSET_ROOM];
    ssize_t n;
    do
        n = copy_file_range(from, NULL, to, NULL, ASSET_COPY_BYTES, 0);
    while (n > 0);
    if (n == 0)
        return true;
    if (lseek(from, 0, SEEK_SET) != 0 || lseek(to, 0, SEEK_SET) != 0)
        return false;
    while ((n = read(from, room, sizeof room)) > 0)
        if (!file_write(to, room, (size_t)n))
            return false;
    return n == 0;
}

static bool copy_to(const struct search *search, int from, const struct stat *status, const char *path)
{
    char name[PATH_MAX];
    const struct timespec times[2] = {status->st_mtim, status->st_mtim};
    if (!join(search, path, name) || !make_folders(search, name))
        return false;
    int to = openat(search->to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (to < 0) /* another pattern had it, too */
        return errno == EEXIST || failed(search, name, -errno);
    mode_t mode = FILE_MODE | (search->deploy->options.transient ? WRITABLE : 0);
    bool done = copy_bytes(from, to) && fchmod(to, mode) == 0 && futimens(to, times) == 0;
    int code = errno;
    close(to);
    return done || failed(search, name, -code);
}

static bool count(struct search *search, const struct stat *status)
{
    search->bytes += (uint64_t)status->st_size;
    if (++search->files <= ASSET_FILES_MAX && search->bytes <= ASSET_BYTES_MAX)
        return true;
    err_set(search->err, ERR_LIMIT, "more than %u files, or 4 GiB, match", ASSET_FILES_MAX);
    err_remedy(search->err, "name what is needed, or a folder as { source, destination }, which is not copied");
    return deploy_at(search->deploy, search->at, search->err);
}

static bool is_excluded(const struct search *search, const char *path)
{
    const struct manifest_texts *all = &search->component->exclude_files;
    for (uint32_t i = 0; search->excludes && i < all->count; i++)
        if (glob_match_path(all->items[i].text, str_of(path)))
            return true;
    return false;
}

/* What matches: a file is taken, anything else is not. */
static bool take(struct search *search, const char *path)
{
    struct stat status;
    if (is_excluded(search, path))
        return true;
    int fd = beneath_open(search->from, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -ENOENT || fd == -ENXIO || fd == -ELOOP) /* a link to nowhere, a socket */
        return true;
    if (fd < 0)
        return failed(search, path, fd);
    bool done = fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
                (count(search, &status) && copy_to(search, fd, &status, path));
    close(fd);
    return done;
}

/* ---- matching ---- */

static bool expand(struct search *search, const char *path, struct str pattern, unsigned depth);

/* `path` and a name in it. False: too long. */
static bool step(const char *path, struct str name, char ret[PATH_MAX])
{
    return snprintf(ret, PATH_MAX, "%s%s%.*s", path, *path ? "/" : "", STR_ARG(name)) < PATH_MAX;
}

static bool is_folder(const struct search *search, const char *path, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(search->from, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* A name of a folder, against the first part of the pattern. */
static bool visit(struct search *search, const char *path, const struct dirent *entry, struct str first,
                  struct str pattern, unsigned depth)
{
    struct str name = str_of(entry->d_name), rest = str_slice(pattern, first.len + 1, pattern.len);
    char inner[PATH_MAX];
    bool any = str_eq(first, STR("**"));
    if (str_eq(name, STR(".")) || str_eq(name, STR("..")) || (!any && !glob_match_name(first, name)))
        return true;
    if (!step(path, name, inner))
        return wrong(search, path, "has paths that are too long", "exclude them");
    if (any)
        return !is_folder(search, inner, entry) || expand(search, inner, pattern, depth + 1);
    return first.len == pattern.len ? take(search, inner) : expand(search, inner, rest, depth + 1);
}

static bool visit_all(struct search *search, const char *path, struct str first, struct str pattern, unsigned depth)
{
    int fd = beneath_open(search->from, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd == -ENOTDIR || fd == -ENOENT || fd == -ELOOP)
        return true;
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        int code = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return failed(search, path, code);
    }
    bool done = true;
    for (const struct dirent *entry; done && (entry = readdir(folder));)
        done = visit(search, path, entry, first, pattern, depth);
    closedir(folder);
    return done;
}

/* What the pattern means below `path`. */
static bool expand(struct search *search, const char *path, struct str pattern, unsigned depth)
{
    struct str first = str_slice(pattern, 0, str_find(pattern, '/'));
    struct str rest = first.len < pattern.len ? str_slice(pattern, first.len + 1, pattern.len) : STR("");
    char inner[PATH_MAX];
    if (depth > ASSET_DEPTH_MAX)
        return wrong(search, path, "has too many folders inside each other", "exclude it");
    if (pattern.len == 0)
        return true;
    if (first.len == 0 || str_eq(first, STR(".")))
        return expand(search, path, rest, depth);
    if (str_eq(first, STR("**"))) /* no folder, or any */
        return (rest.len == 0 || expand(search, path, rest, depth)) && visit_all(search, path, first, pattern, depth);
    if (glob_is_pattern(first))
        return visit_all(search, path, first, pattern, depth);
    if (!step(path, first, inner))
        return wrong(search, path, "has paths that are too long", "exclude them");
    return rest.len ? expand(search, inner, rest, depth + 1) : take(search, inner);
}

/* ---- the forms ---- */

/* A path of the manifest without "./" in front and slashes behind. */
static struct str plain_path(struct str path)
{
    while (str_starts(path, STR("./")))
        path = str_slice(path, 2, path.len);
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

static bool everything_in(struct search *search, const char *path)
{
    return expand(search, path, STR("**/*"), 0);
}

/* 0: nothing is there; else what it is, S_IFDIR for a folder. */
static bool look(const struct search *search, const char *path, mode_t *ret_type)
{
    struct stat status;
    int fd = beneath_open(search->from, path, O_PATH, 0);
    *ret_type = 0;
    if (fd == -ENOENT || fd == -ENOTDIR)
        return true;
    if (fd < 0)
        return failed(search, path, fd);
    if (fstat(fd, &status) == 0)
        *ret_type = status.st_mode & S_IFMT;
    close(fd);
    return true;
}

static bool terminate(const struct search *search, struct str path, char ret[PATH_MAX])
{
    if (path.len >= PATH_MAX) {
        err_set(search->err, ERR_LIMIT, "a path that is too long");
        return deploy_at(search->deploy, search->at, search->err);
    }
    memcpy(ret, path.ptr, path.len);
    ret[path.len] = '\0';
    return true;
}

/* What there is by that name is meant, and else what matches. */
static bool take_pattern(struct search *search, const struct manifest_text *pattern)
{
    struct str text = plain_path(pattern->text);
    char path[PATH_MAX];
    mode_t type;
    search->at = pattern->at;
    search->before = search->behind = STR("");
    search->excludes = true;
    if (!terminate(search, text, path) || !look(search, path, &type))
        return false;
    search->excludes = type == 0 || S_ISDIR(type); /* who names a file wants it */
    if (type)
        return S_ISDIR(type) ? everything_in(search, path) : take(search, path);
    if (glob_is_pattern(text))
        return expand(search, "", text, 0);
    return wrong(search, path, "does not exist, and is no pattern", "paths are relative to the folder of the manifest");
}

static bool take_placement(struct search *search, const struct manifest_mount *mount)
{
    char path[PATH_MAX];
    mode_t type;
    struct str destination = plain_path(mount->destination.text);
    search->at = mount->source.at;
    search->before = plain_path(mount->source.text);
    search->behind = str_slice(destination, destination.len && destination.ptr[0] == '/', destination.len);
    search->excludes = true;
    if (!terminate(search, search->before, path) || !look(search, path, &type))
        return false;
    if (S_ISDIR(type))
        return everything_in(search, path);
    if (type == 0)
        return failed(search, path, -ENOENT);
    search->excludes = false;
    if (search->behind.len == 0 || destination.len < mount->destination.text.len)
        return wrong(search, path, "is a file, and its destination a folder", "write the name that the guest finds");
    return take(search, path);
}

/* ---- the copy ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    remove(path);
    return 0;
}

static void remove_folder(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The folder at `path`, which is this user's and nobody's who lives: locked; -1: it is somebody's, or none of ours. */
static int lock_folder(const char *path)
{
    struct stat held, named;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    if (fstat(fd, &held) == 0 && held.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        lstat(path, &named) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev)
        return fd;
    close(fd);
    return -1;
}

/* Copies whose makers and users were killed before they could remove them: nobody holds their locks any more. */
static void sweep(const char *base)
{
    char path[PATH_MAX];
    DIR *folder = opendir(base);
    const struct dirent *entry;
    for (uint32_t i = 0; folder && i < SWEPT_MAX && (entry = readdir(folder)); i++) {
        if (strncmp(entry->d_name, COPY_NAME, strlen(COPY_NAME)) != 0 ||
            snprintf(path, sizeof path, "%s/%s", base, entry->d_name) >= (int)sizeof path)
            continue;
        int lock = lock_folder(path);
        if (lock < 0)
            continue;
        remove_folder(path);
        close(lock);
    }
    if (folder)
        closedir(folder);
}

/* A new one, locked for as long as a process of ours has it open. Between the two another start may sweep it away. */
static int make_locked(const char *base, char *path, size_t room, struct err *err)
{
    for (unsigned i = 0; i < COPY_TRIES; i++) {
        snprintf(path, room, "%s/" COPY_NAME "XXXXXX", base);
        if (!mkdtemp(path))
            break;
        int lock = lock_folder(path);
        if (lock >= 0)
            return lock;
    }
    return err_errno(err, "cannot make a folder for files in %s", base) - 1;
}

/* A folder that only this user sees, and in it the one that guests see. */
static bool make_copy(struct deploy *deploy, struct files_dir *ret, struct err *err)
{
    const char *own = deploy->options.temp, *usual = getenv("TMPDIR"), *base = own ? own : usual ? usual : "/tmp";
    struct deploy_copy *copy = ARENA_NEW(&deploy->arena, struct deploy_copy);
    size_t room = strlen(base) + sizeof "/" COPY_NAME "XXXXXX/files";
    char *path = arena_alloc(&deploy->arena, room), *inner = arena_alloc(&deploy->arena, room);
    bool transient = deploy->options.transient;
    mode_t mode = FOLDER_MODE | (transient ? WRITABLE : 0);
    if (!copy || !path || !inner)
        return err_memory(err);
    if (!deploy->copies)
        sweep(base);
    int lock = make_locked(base, path, room, err);
    if (lock < 0)
        return false;
    *copy = (struct deploy_copy){deploy->copies, path, getpid(), lock};
    deploy->copies = copy;
    snprintf(inner, room, "%s/files", path);
    if (mkdir(inner, FOLDER_MODE) != 0 || chmod(inner, mode) != 0)
        return err_errno(err, "cannot make %s", inner);
    return files_grant(inner, transient, ret, err);
}

void deploy_remove_copies(struct deploy *deploy)
{
    for (const struct deploy_copy *copy = deploy->copies; copy; copy = copy->next) {
        if (copy->owner == getpid()) /* not its forks */
            remove_folder(copy->path);
        close(copy->lock);
    }
    deploy->copies = NULL;
}

/* ---- all of a component ---- */

/* Not a folder as it is, which is granted where it stands unless components may write. */
static bool is_copied(struct deploy *deploy, const struct manifest_component *component,
                      const struct manifest_mount *mount)
{
    struct stat status;
    const char *path = mount->pattern.text.ptr ? NULL : deploy_path(deploy, mount->source.text);
    return !path || component->exclude_files.count || deploy->options.transient ||
           (stat(path, &status) == 0 && !S_ISDIR(status.st_mode));
}

bool deploy_is_copied(struct deploy *deploy, const struct manifest_component *component, uint32_t mount)
{
    return is_copied(deploy, component, &component->files.items[mount]);
}

bool deploy_assets(struct deploy *deploy, const struct manifest_component *component, struct host_directory *ret,
                   struct err *err)
{
    struct search search = {.deploy = deploy, .component = component, .from = -1, .to = -1, .err = err};
    char *folder = deploy_path(deploy, STR("."));
    if (!folder)
        return err_memory(err);
    if (!make_copy(deploy, &ret->dir, err))
        return false;
    deploy->folders[deploy->folder_count++] = ret->dir.fd;
    ret->name = STR("/");
    search.from = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (search.from < 0)
        return err_errno(err, "cannot open %s", folder);
    search.to = ret->dir.fd;
    bool done = true;
    for (uint32_t i = 0; done && i < component->files.count; i++) {
        const struct manifest_mount *mount = &component->files.items[i];
        if (is_copied(deploy, component, mount))
            done = mount->pattern.text.ptr ? take_pattern(&search, &mount->pattern) : take_placement(&search, mount);
    }
    close(search.from);
    return done;
}
