/* What a component imports and exports in the notation of WIT (WIT.md), for people and tools.
 *
 * The binary form names a type where it is exported and refers to it by index elsewhere. Here names are found again: a
 * type that an interface takes from another one is a `use`, one that repeats another of its own is an alias. All names
 * were checked by the decoder to be words, so nothing needs escapes for a terminal; words of WIT get their '%'.
 *
 * Output can be far longer than the component: the buffer's maximum bounds it.
 */
#ifndef MAYFLY_COMPONENT_WORLD_H
#define MAYFLY_COMPONENT_WORLD_H

#include "component/component.h"

struct world;

/* Everything lives in the arena; `err` is where the functions below say what is wrong. */
struct world *world_new(const struct component *component, struct arena *arena, struct err *err);

/* Types on one line, as seen by what `home` imports or exports (NULL: by the component itself). Those of other
 * interfaces are written INTERFACE.{NAME}.
 *     func(self: borrow<output-stream>, contents: list<u8>) -> result<_, stream-error>
 *     record { seconds: u64, nanoseconds: u32 }        wasi:io/error@0.2.12.{error}        resource */
bool world_put_func(struct world *world, const struct extern_decl *home, const struct func *func, struct buf *out);
bool world_put_type(struct world *world, const struct extern_decl *home, const struct extern_decl *decl,
                    struct buf *out);
/* What an import or export of any kind is, in words: "interface", "func", "type", "core module", ... */
const char *world_kind(const struct entity *entity);

/* The whole as a document: package root:component with world root, then the packages of its interfaces. What WIT has
 * no words for (core modules, components, instances inside instances) is ERR_UNSUPPORTED. */
bool world_put_wit(struct world *world, struct buf *out);

/* What one component exports, as another one imports it. */
struct world_import {
    struct world *world;
    struct str name; /* of the import: "ns:name/interface@version", or a plain name */
    const struct extern_decl *exported; /* of the world's component: an interface or a function */
};

/* A document for who is to import these: package root:component with world root, then the packages of their interfaces,
 * and of those whose types they use. Where several components have an interface it is written as the one has it that
 * has most of it. `err` is that of the worlds, too. */
bool world_put_imports(const struct world_import *imports, uint32_t count, struct buf *out, struct err *err);

#endif
