/* A component and those that it depends on, as one component: what `dependencies` of a manifest mean.
 *
 *     (component                          what the parts import, each interface once
 *       (import "wasi:..." ...)           interfaces that a dependency does not inherit, under mayfly:denied/
 *       (component $dependency) ...       the parts as they are
 *       (component $main)
 *       (instance (instantiate $dependency (with "wasi:..." ...)))
 *       (instance (instantiate $main (with "wasi:..." ...) (with "a:b/c" (export of $dependency)))))
 *                                         what the main one exports
 *
 * The result is a component like any other, made in memory: compiler, images and cache know nothing of dependencies. It
 * is validated whole, so that an export that does not fit its import is found before anything is compiled.
 *
 * Imports are named as the Component Model names them: a dependency stands for one import (ns:name/interface@version)
 * or for all of a package; versions that are compatible stand for each other. */
#ifndef MAYFLY_COMPOSE_COMPOSE_H
#define MAYFLY_COMPOSE_COMPOSE_H

#include "compile/client.h"

#define COMPOSE_DEPENDENCIES_MAX 128u
#define COMPOSE_BYTES_MAX ((size_t)1 << 30) /* of the whole */

/* What a dependency may import of the host, beyond what everybody may. */
enum compose_inherit {
    COMPOSE_FREE = 0, /* it is there for everybody */
    COMPOSE_AI_MODELS = 1,
    COMPOSE_OUTBOUND_HOSTS = 2,
    COMPOSE_ENVIRONMENT = 4,
    COMPOSE_FILES = 8,
    COMPOSE_KEY_VALUE = 16,
    COMPOSE_SQLITE = 32,
    COMPOSE_VARIABLES = 64,
    COMPOSE_ALL = 127,
};

struct compose_dependency {
    struct str name;        /* what is imported: "ns:name", "ns:name/interface@1.2.3" or a plain name */
    struct str export_name; /* what satisfies it; empty: the export of the import's name */
    const char *path;
    const char *place; /* "spin.toml:12", for messages */
    unsigned inherit;  /* enum compose_inherit */
};

struct composition {
    const struct compose_dependency *items;
    uint32_t count;
};

/* The whole in the buffer. `path`: of the main component. Errors begin with the place of the dependency that they are
 * about. */
bool compose_bytes(const char *path, const struct composition *composition, struct buf *ret_bytes, struct err *err);

/* As compile_open, of the whole; `composition` NULL: of the file itself. */
int compose_open(const char *path, const struct composition *composition, const struct compile_options *options,
                 struct compile_outcome *ret_outcome, struct err *err);

/* What the dependencies have for a component that is still to be built: a WIT document whose world root imports it. Of
 * a dependency that names a package these are all the package's interfaces. Errors as above. */
bool compose_put_offer(const struct composition *composition, struct buf *out, struct err *err);

#endif
