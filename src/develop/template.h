/* What applications begin with: files that are part of the program (templates/, templates.def), written with a name and
 * values in their places. */
#ifndef MAYFLY_DEVELOP_TEMPLATE_H
#define MAYFLY_DEVELOP_TEMPLATE_H

#include "base/err.h"
#include "base/str.h"

#define TEMPLATE_VALUES_MAX 16u

struct template_info {
    const char *id, *description, *next; /* next: what to do before the first build; "": nothing is built */
    bool wit;
};
/* Ends with a row whose id is NULL. */
extern const struct template_info template_list[];

struct template_parameter {
    const char *name, *question, *otherwise;
    bool (*check)(struct str text, struct err *err);
};
/* Ends with a row whose name is NULL. */
extern const struct template_parameter template_parameters[];

/* NULL: there is none, and `err` says which there are. */
const struct template_info *template_find(const char *id, struct err *err);

struct template_order {
    const struct template_info *template;
    const char *name; /* of the application, or of the component that is added */
    const char *folder; /* where the files go; it is made */
    const char *manifest; /* NULL: a new one in the folder; else the one that the component is added to */
    const char *values[TEMPLATE_VALUES_MAX]; /* of each parameter */
    bool no_vcs, overwrite;
};

/* All files, and then the manifest, which is checked before anything is written. Nothing that is there is overwritten
 * unless that is wanted. */
bool template_make(const struct template_order *order, struct err *err);

/* Of the program; embed.py makes the list, which ends with a row whose path is NULL. */
struct template_file {
    const char *template; /* "": shared */
    const char *path;
    const uint8_t *bytes;
    size_t size;
};
extern const struct template_file template_files[];

#endif
