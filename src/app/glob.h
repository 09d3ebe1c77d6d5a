/* Patterns of file names, as manifests have them (words_glob says what is one):
 *
 *     ?        one character
 *     *        any of them, or none
 *     [a-z]    one of these; [!a-z] one of the others; an open [ stands for itself
 *     **       as a whole name: folders, any number of them
 *
 * There are three ways to match, because Spin has three: names one by one (`files`), whole paths (`exclude_files`), and
 * paths that are watched. */
#ifndef MAYFLY_APP_GLOB_H
#define MAYFLY_APP_GLOB_H

#include "base/arena.h"
#include "base/str.h"

#define GLOB_ALTERNATIVES_MAX 64u /* patterns that one with braces stands for */

/* Whether there is anything in it that stands for something else. */
bool glob_is_pattern(struct str text);

/* Of one name between slashes; neither has any. */
bool glob_match_name(struct str pattern, struct str name);

/* Of a whole path. `*`, `?` and sets stand for slashes, too, as Spin has it for what is left out. Bounded by the
 * product of both lengths. */
bool glob_match_path(struct str pattern, struct str path);

/* ---- what is watched ----
 *
 * Patterns have besides `{a,b}` for one of them, '\' in front of what stands for itself, and [^a-z]; one that names a
 * folder means all that is in it. Wildcards lead into no folder whose name begins with '.', and not into `target` and
 * `node_modules`, which tools fill: written out they are folders like any other.
 *
 * Patterns and paths have '/' between names, none of them is empty or ".", and ".." stands at the beginning only. */

/* A path without ".", empty names and ".." in the middle, in the arena; NULL: out of memory. */
const char *glob_normal(struct arena *arena, struct str path);
/* The patterns without braces that `pattern` stands for, in the arena, at most GLOB_ALTERNATIVES_MAX. NULL: out of
 * memory. Braces that are not closed, or would be too many, stay as they are. */
const struct str *glob_alternatives(struct arena *arena, struct str pattern, uint32_t *ret_count);

bool glob_matches(struct str pattern, struct str path);
/* Whether what is beneath a folder may match. */
bool glob_leads(struct str pattern, struct str folder);

#endif
