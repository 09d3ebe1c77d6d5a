/* The application that a developer works on: where its manifest is, and what it says. */
#ifndef MAYFLY_DEVELOP_PROJECT_H
#define MAYFLY_DEVELOP_PROJECT_H

#include "app/manifest.h"
#include "base/buf.h"

struct project {
    const char *path;   /* of the manifest: "spin.toml", "folder/spin.toml" */
    const char *folder; /* that its paths are relative to: ".", "folder" */
    struct manifest manifest;
    struct arena arena;
};

/* The manifest that `from` means: a file, or a folder with one; NULL: the folder where we are. NULL with `err`: there
 * is none. The text is of the arena. */
const char *project_find(struct arena *arena, const char *from, struct err *err);
/* The folder that a path is in, without a slash behind it: "." where it names none. NULL: out of memory. */
const char *project_folder_of(struct arena *arena, const char *path);
/* Find and read it. What is wrong with a manifest is printed, and then `err` has no more to say (kind ERR_NONE). End
 * with project_close in any case. `profile` may be NULL. */
bool project_open(struct project *ret, const char *from, const char *profile, struct err *err);
void project_close(struct project *project);

/* A whole file, behind what the buffer has. */
bool project_read(const char *path, struct buf *out, struct err *err);
/* Write a file: who reads it meanwhile sees what was there before, or all of the text. */
bool project_replace(const char *path, const struct buf *text, struct err *err);
/* A path of the manifest from where we are, ended by NUL, in the arena; NULL: out of memory. */
const char *project_file(struct arena *arena, const char *folder, struct str path);
/* A copy ended by NUL; NULL: out of memory. */
const char *project_text(struct arena *arena, struct str text);

#endif
