/* Files that change, by inotify: each folder in which a pattern may match is watched, also those that appear later.
 *
 * What is told is a path, relative as the patterns are, whose file was written, made, replaced or removed; nothing is
 * said of files that no pattern matches. */
#ifndef MAYFLY_DEVELOP_WATCHER_H
#define MAYFLY_DEVELOP_WATCHER_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

#define WATCHER_FOLDERS_MAX 8192u

struct watcher_pattern {
    struct str text;  /* as develop/glob.h has it */
    uint32_t meaning; /* the owner's */
};

struct watched_folder {
    int id;       /* of inotify: they rise */
    char *path;   /* "src", "../shared"; "" is the folder itself; NULL: no more */
    bool is_met;  /* in this round of looking */
};

struct watcher {
    int fd; /* readable when there is something to take */
    /* For each pattern that matches. `path` NULL: the kernel lost count, anything may have changed. */
    void (*changed)(void *arg, uint32_t meaning, const char *path);
    void *arg;
    /* Private: */
    const char *folder; /* that paths are relative to */
    const struct watcher_pattern *patterns;
    size_t pattern_count;
    VEC(struct watched_folder) folders;
};

bool watcher_open(struct watcher *ret, void (*changed)(void *arg, uint32_t meaning, const char *path), void *arg,
                  struct err *err);
void watcher_close(struct watcher *watcher);
/* What to watch from now on; all of it stays the caller's. Files that are there already are not told. */
bool watcher_set(struct watcher *watcher, const char *folder, const struct watcher_pattern *patterns, size_t count,
                 struct err *err);
/* Tell what happened since. */
bool watcher_read(struct watcher *watcher, struct err *err);

#endif
