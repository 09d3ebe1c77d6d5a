/* Linking a program's imports to the host: by interface and name, any 0.2.x to the newest implementation, a draft
 * to itself.
 *
 * What the host does not have, has with another type or in another version is refused, with what comes close to it.
 */
#ifndef MAYFLY_WASI_LINK_H
#define MAYFLY_WASI_LINK_H

#include "base/arena.h"
#include "image/format.h"

/* The environments of a program's imports; lives as long as the program. */
struct wasi_link {
    struct arena arena;
};

void wasi_link_init(struct wasi_link *link);
void wasi_link_free(struct wasi_link *link);

/* A program_resolver (runtime/program.h); `arg` is the struct wasi_link. */
bool wasi_resolve(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                  const void **ret_env, struct err *err);

/* The same for commands that answer requests (wasi/wagi.h): core modules of WASI 0.1 are linked as well. */
bool wasi_resolve_command(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                          const void **ret_env, struct err *err);

/* A core import: of WASI 0.1, or refused. */
bool wasi_resolve_core(struct wasi_link *link, const struct image *image, const struct image_import *import,
                       host_fn **ret_fn, const void **ret_env, struct err *err);

/* The id of a host resource, 0 when there is none of that name. */
uint32_t wasi_resource_id(struct str interface, struct str name);

#endif
