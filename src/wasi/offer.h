/* What the host offers, asked before anything runs: the same tables that linking uses. */
#ifndef MAYFLY_WASI_OFFER_H
#define MAYFLY_WASI_OFFER_H

#include "base/str.h"
#include "wasm/types.h"

enum offer {
    OFFER_HERE,
    OFFER_OTHER_TYPE, /* there under this name with another type: linking refuses it */
    OFFER_MISSING,    /* linking refuses it */
};

/* A function that a core module imports: WASI 0.1. */
enum offer preview1_offer(struct str module, struct str name, const struct wasm_functype *type);
/* Whether the module's name is one of WASI's, so that nobody else can offer it. */
bool preview1_is_module(struct str module);

/* What an import is for, and how it is granted. */
struct wasi_group {
    const char *name;   /* "files" */
    const char *option; /* of mayfly run: "--dir"; NULL: nothing is granted, the guest has it */
};
/* The group of a function's name, the same pointer for all of a group; NULL for a name of none. `module`: of WASI 0.1,
 * or an interface of WASI 0.2. */
const struct wasi_group *wasi_group_of(struct str module, struct str name);

/* A function that a component imports, by interface (any version behind '@'), name and canonical type text. */
enum offer wasi_offer(struct str interface, struct str name, struct str signature);
/* Dropping a handle to a resource of the host. */
enum offer wasi_offer_drop(struct str interface, struct str name);

#endif
