/* The bindings generator: WIT packages become C types, prototypes and glue.
 *
 * Per package PKG ("wasi:io" is wasi_io; of several versions of one package all but the lowest have theirs in the name,
 * wasi_io_0_3; so has a draft, a pre-release of a version that is there too, which has in C only what it does not
 * share with that one, see generate_draft.c):
 *     PKG.h          a struct, enum or constants per type; a prototype per function and per resource's drop
 *     PKG.c          glue per implemented function: checks, lifts, calls the prototype, lowers
 * and for all together:
 *     common.h       types made of built-in ones only; the ids of the resources
 *     interfaces.h   declares the tables
 *     interfaces.c   every function and resource by name, with its canonical type text and glue, sorted
 *
 * Output depends on the input only: files come in dependency order of packages, everything else in the
 * order of the text.
 */
#ifndef MAYFLY_WIT_BINDINGS_H
#define MAYFLY_WIT_BINDINGS_H

#include "base/vec.h"
#include "wit/wit.h"

struct bindings_file {
    char name[96];
    struct buf text;
};

struct bindings {
    VEC(struct bindings_file) files;
};

/* `include`: the folder of the output as #include lines name it. `implemented`: one `INTERFACE FUNCTION` or
 * `INTERFACE *` per line ('#' starts a comment; INTERFACE@VERSION means that one only); what is not in it gets no glue.
 * A resource's drop is the function `[resource-drop]NAME`. The resources of `wit` get their ids. */
bool bindings_generate(const struct wit *wit, struct str include, struct str implemented, struct bindings *ret_bindings,
                       struct err *err);
void bindings_free(struct bindings *bindings);

#endif
