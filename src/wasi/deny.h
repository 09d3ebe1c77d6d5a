/* Functions of interfaces that are denied: see deny.c. */
#ifndef MAYFLY_WASI_DENY_H
#define MAYFLY_WASI_DENY_H

#include "base/err.h"
#include "component/canon.h"

#define DENY_PREFIX "mayfly:denied/"

bool deny_is(struct str interface);
/* The environment of deny_call for a function of this type. */
bool deny_make(struct arena *arena, const struct canon_env *env, struct str signature, canon_find_fn *find,
               const void **ret_env, struct err *err);
bool deny_call(struct store *store, const void *env, union cell *v);

#endif
