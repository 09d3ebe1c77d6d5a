/* See watcher.h. Whenever a folder appears all are looked for again: what was put into a new one before it was watched
 * is told then. Identifiers of inotify are given in rising order and the list of folders grows at its end, so that it
 * is in their order. */
#include "develop/watcher.h"

#include "app/glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

/* ---- what is told ---- */

/* Files that editors keep for themselves. */
static bool is_scratch(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    return (len > 4 && strcmp(name + len - 4, ".swp") == 0) || (len && name[len - 1] == '~') ||
           strncmp(name, ".#", 2) == 0;
}

static void tell(const struct watcher *watcher, const char *path)
{
    for (size_t i = 0; i < watcher->pattern_count; i++)
        if (!is_scratch(path) && glob_matches(watcher->patterns[i].text, str_of(path)))
            watcher->changed(watcher->arg, watcher->patterns[i].meaning, path);
}

static void tell_all(const struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->pattern_count; i++)
        watcher->changed(watcher->arg, watcher->patterns[i].meaning, NULL);
}

/* ---- folders ---- */

static struct watched_folder *find(const struct watcher *watcher, int id)
{
    size_t low = 0, high = watcher->folders.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (watcher->folders.items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < watcher->folders.count && watcher->folders.items[low].id == id;
    return found && watcher->folders.items[low].path ? &watcher->folders.items[low] : NULL;
}

static char *join(const char *folder, const char *name)
{
    size_t before = strlen(folder), behind = strlen(name);
    bool slash = before && folder[before - 1] != '/';
    char *path = mem_alloc(before + slash + behind + 1, 1);
    if (!path)
        return NULL;
    memcpy(path, folder, before);
    if (slash)
        path[before] = '/';
    memcpy(path + before + slash, name, behind);
    return path;
}

typedef VEC(char *) path_list;

static bool push(path_list *list, char *path)
{
    char **place = path ? VEC_PUSH(list, WATCHER_FOLDERS_MAX) : NULL;
    if (place)
        *place = path;
    else
        mem_free(path);
    return place != NULL;
}

static bool leads(const struct watcher *watcher, const char *folder)
{
    for (size_t i = 0; i < watcher->pattern_count; i++)
        if (glob_leads(watcher->patterns[i].text, str_of(folder)))
            return true;
    return false;
}

static bool is_folder(int fd, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* Folders in it that may have something, onto the list; its files are told if nobody knew of the folder. */
static bool list_folder(struct watcher *watcher, const char *path, const char *full, bool told, path_list *list)
{
    DIR *folder = opendir(full);
    bool done = true;
    for (struct dirent *entry; folder && done && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *inner = join(path, entry->d_name);
        if (!inner)
            done = false;
        else if (is_folder(dirfd(folder), entry) && leads(watcher, inner)) {
            done = push(list, inner);
            continue;
        } else if (told)
            tell(watcher, inner);
        mem_free(inner);
    }
    if (folder)
        closedir(folder);
    return done;
}

static bool too_many(struct err *err)
{
    err_set(err, ERR_LIMIT, "more than %u folders to watch, or no memory for them", WATCHER_FOLDERS_MAX);
    return err_remedy(err, "let patterns of build.watch begin with the folder that is meant: src/**/*.js");
}

static bool cannot_watch(const char *path, struct err *err)
{
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
        return true; /* it is gone again, or not to be read */
    bool full = errno == ENOSPC;
    err_errno(err, "cannot watch %s", path);
    if (full)
        err_remedy(err, "raise fs.inotify.max_user_watches");
    return false;
}

/* The folder under its place, or a new one, or one that came from elsewhere: *ret_fresh then. */
static bool meet(struct watcher *watcher, int id, const char *path, bool *ret_fresh, struct err *err)
{
    struct watched_folder *folder = find(watcher, id);
    *ret_fresh = !folder || strcmp(folder->path, path) != 0;
    if (folder && *ret_fresh) {
        mem_free(folder->path);
        folder->path = NULL;
    } else if (!folder) {
        folder = VEC_PUSH(&watcher->folders, WATCHER_FOLDERS_MAX);
        if (!folder)
            return too_many(err);
        folder->id = id;
    }
    folder->is_met = true;
    if (*ret_fresh)
        folder->path = join("", path);
    return folder->path || too_many(err);
}

/* Takes `path`. */
static bool look_at(struct watcher *watcher, char *path, bool told, path_list *list, struct err *err)
{
    char *full = path[0] == '/' ? join("", path) : join(watcher->folder, path[0] ? path : ".");
    int id = full ? inotify_add_watch(watcher->fd, full, EVENTS) : -1;
    bool fresh = false, done = true;
    if (!full)
        done = err_memory(err);
    else if (id < 0)
        done = cannot_watch(full, err);
    else
        done = meet(watcher, id, path, &fresh, err) &&
               (list_folder(watcher, path, full, told && fresh, list) || too_many(err));
    mem_free(full);
    mem_free(path);
    return done;
}

/* Where the folders begin in which a pattern may match: "", "..", "../..", "/". */
static bool push_root(path_list *list, struct str pattern)
{
    size_t len = 0;
    if (pattern.len && pattern.ptr[0] == '/')
        len = 1;
    while (str_starts(str_slice(pattern, len, pattern.len), STR("../")))
        len += 3;
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%.*s", len > 1 ? (int)len - 1 : (int)len, pattern.ptr);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return push(list, join("", text));
}

/* What was not met is watched no more. */
static void forget(struct watcher *watcher)
{
    size_t kept = 0;
    for (size_t i = 0; i < watcher->folders.count; i++) {
        struct watched_folder *folder = &watcher->folders.items[i];
        if (folder->path && folder->is_met) {
            watcher->folders.items[kept++] = *folder;
            continue;
        }
        if (folder->path)
            inotify_rm_watch(watcher->fd, folder->id);
        mem_free(folder->path);
    }
    watcher->folders.count = kept;
}

static bool look(struct watcher *watcher, bool told, struct err *err)
{
    path_list list = {0};
    bool done = true;
    for (size_t i = 0; i < watcher->folders.count; i++)
        watcher->folders.items[i].is_met = false;
    for (size_t i = 0; done && i < watcher->pattern_count; i++)
        done = push_root(&list, watcher->patterns[i].text) || too_many(err);
    while (done && list.count)
        done = look_at(watcher, list.items[--list.count], told, &list, err);
    while (list.count)
        mem_free(list.items[--list.count]);
    VEC_FREE(&list);
    forget(watcher);
    return done;
}

/* ---- the face ---- */

bool watcher_open(struct watcher *ret, void (*changed)(void *arg, uint32_t meaning, const char *path), void *arg,
                  struct err *err)
{
    *ret = (struct watcher){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .changed = changed, .arg = arg};
    return ret->fd >= 0 || err_errno(err, "inotify");
}

void watcher_close(struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->folders.count; i++)
        mem_free(watcher->folders.items[i].path);
    VEC_FREE(&watcher->folders);
    if (watcher->fd >= 0)
        close(watcher->fd);
    watcher->fd = -1;
}

bool watcher_set(struct watcher *watcher, const char *folder, const struct watcher_pattern *patterns, size_t count,
                 struct err *err)
{
    watcher->folder = folder;
    watcher->patterns = patterns;
    watcher->pattern_count = count;
    return look(watcher, false, err);
}

/* Returns whether folders must be looked for again. */
static bool take_event(struct watcher *watcher, const struct inotify_event *event)
{
    struct watched_folder *folder = find(watcher, event->wd);
    if (event->mask & IN_Q_OVERFLOW) {
        tell_all(watcher);
        return true;
    }
    if (folder && event->mask & IN_IGNORED) {
        mem_free(folder->path);
        folder->path = NULL;
    }
    if (!folder || !folder->path || !event->len)
        return false;
    char *path = event->mask & IN_ISDIR ? NULL : join(folder->path, event->name);
    if (path)
        tell(watcher, path);
    else if (!(event->mask & IN_ISDIR))
        tell_all(watcher); /* out of memory */
    mem_free(path);
    return event->mask & IN_ISDIR;
}

bool watcher_read(struct watcher *watcher, struct err *err)
{
    _Alignas(struct inotify_event) char events[4096];
    bool again = false;
    for (;;) {
        ssize_t size = read(watcher->fd, events, sizeof events);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break;
        for (char *at = events; at < events + size;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            again |= take_event(watcher, event);
            at += sizeof *event + event->len;
        }
    }
    return !again || look(watcher, true, err);
}
