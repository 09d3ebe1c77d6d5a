/* Values of component-level types as data, for whoever calls exports without generated bindings: `mayfly run --invoke`
 * and the official suite.
 *
 * A datum says nothing about its type; the `struct type` that goes with it says which members count. Data lie in an
 * arena with all they point to.
 */
#ifndef MAYFLY_COMPONENT_DATUM_H
#define MAYFLY_COMPONENT_DATUM_H

#include "component/canon.h"
#include "wit/type.h"

struct datum {
    uint64_t bits; /* scalars (signed ones extended, floats as their bits), flags, the number of a case; handles:
                      the representation */
    struct str text; /* string: UTF-8; of a list of u8 that is given, all of it, if there are no items; of one that
                        comes back likewise, if the function says so */
    struct datum *items; /* elements, fields; of a case its payload */
    uint32_t count; /* of items; of a case 0 or 1 */
};

/* An exported function of a component, ready to be called. */
struct datum_func {
    const struct image *image;
    const struct image_export *row;
    struct canon_env env;
    struct func_type type;
    bool bytes; /* lists of u8 come back as texts; set by who calls */
};

/* The arena holds the types. `hosts` knows the resources of the host (by name without a version); NULL: there are none.
 * ERR_MALFORMED: the image's text is no type; ERR_UNSUPPORTED: it passes what has no datum. */
bool datum_func_open(const struct image *image, const struct image_export *row, canon_find_fn *hosts,
                     struct arena *arena, struct datum_func *ret_func, struct err *err);

/* A value in one memory to another, through data: `from` and `to` are places that were checked. */
bool datum_move(struct canon *from, struct canon *to, const struct type *type, const uint8_t *source, uint8_t *target);

/* Inside a task of a slot of the image, whose store's host is set: call it (CanonicalABI.md, "canon lift", with the
 * host as caller). `args`: func->type.param_count; the result, if the type has one, is made in the arena. False:
 * trapped, and nothing enters the component any more. */
bool datum_call(struct store *store, const struct datum_func *func, const struct datum *args, struct arena *arena,
                struct datum *ret_result);

#endif
