/* The inside of a composition, shared by its files:
 *
 *     compose.c    what is linked with what
 *     parts.c      files, and what of the host each of them imports
 *     interface.c  the types of the interfaces that the outer component imports
 *     emit.c       its bytes
 *     offer.c      what dependencies have for a component that is not there yet
 */
#ifndef MAYFLY_COMPOSE_INNER_H
#define MAYFLY_COMPOSE_INNER_H

#include "app/words.h"
#include "base/alloc.h"
#include "component/check.h"
#include "compose/compose.h"

struct part;
struct group;

/* One of the imports that are joined to a group. */
struct use {
    struct use *next;
    const struct part *part;
    const struct extern_decl *decl;
};

enum group_state { GROUP_NEW, GROUP_OPEN, GROUP_WRITTEN };

/* An interface that the outer component imports: what parts import under its name, in any compatible version. */
struct group {
    struct group *next;
    struct str name; /* as the outer component has it */
    struct str interface, track; /* without a version; what compatible versions have in common */
    bool denied;
    struct use *uses, **last;
    enum group_state state;
    uint32_t instance; /* in the outer component, once written */
};

/* Where a type of a part has its name. `group` NULL: in an interface that a dependency satisfies. */
struct naming {
    struct group *group;
    struct str name;
};

/* What an import of a part is given. */
struct link {
    struct group *group; /* of the host; or NULL: */
    const struct part *from;
    const struct extern_decl *export;
};

struct part {
    const char *path;
    const struct compose_dependency *dependency; /* NULL: the main one */
    uint8_t *bytes;
    size_t size;
    const struct component *component;
    struct link *links; /* of each import */
    struct remap names; /* of each type that it imports, by number: struct naming */
    uint32_t number;    /* among the parts */
    uint32_t instance;  /* in the outer component */
};

/* A type of a group that has an index in the outer component. */
struct outer_type {
    struct outer_type *next;
    const struct group *group;
    struct str name;
    uint32_t index;
};

struct compose {
    struct checker check; /* its arena and its error are those of the composition */
    struct part *parts; /* dependencies first, the main one last */
    uint32_t part_count;
    struct group *groups, **last_group;
    struct outer_type *outer_types;
    struct buf *out;
    uint32_t types, instances, components, funcs; /* that the outer component has so far */
};

/* ---- compose.c ---- */

#define COMPOSE_ARENA_MAX ((size_t)2 << 30) /* of what is decoded, which is larger than the files */

/* Whether the dependency of this name stands for an import. */
bool compose_stands_for(const struct words_import *dependency, struct str import);
/* "spin.toml:12: ..." in front of what is wrong; false. */
bool compose_blame(struct compose *c, const struct compose_dependency *dependency);
/* A dependency lacks what should satisfy an import; false. */
bool compose_no_export(struct compose *c, const struct part *part, struct str import);

/* ---- parts.c ---- */

/* Read and decode a part whose path and dependency are set. */
bool part_open(struct compose *c, struct part *part);
void part_close(struct part *part);
/* The import is the host's: it belongs to a group from here on. */
bool part_join(struct compose *c, struct part *part, uint32_t import);
/* Where its imported types have their names: once all imports have their links. */
bool part_name_types(struct compose *c, struct part *part);

/* ---- interface.c ---- */

/* Import the group, if that was not done yet. */
bool group_write(struct compose *c, struct group *group);
/* The index of a type of a group in the outer component. */
bool group_type(struct compose *c, const struct naming *naming, uint32_t *ret_index);

/* ---- emit.c ---- */

/* The outer component, whose parts have all their links. */
bool emit(struct compose *c);
/* One section with these bytes; takes the buffer over. */
bool emit_section(struct compose *c, uint8_t id, struct buf *body);
void emit_byte(struct buf *out, uint8_t byte);
void emit_number(struct buf *out, uint64_t number);
/* A type index, which shares its place with the codes of plain types. */
void emit_type_index(struct buf *out, uint32_t index);
void emit_text(struct buf *out, struct str text);

enum emit_section {
    EMIT_COMPONENT = 4,
    EMIT_INSTANCE = 5,
    EMIT_ALIAS = 6,
    EMIT_TYPE = 7,
    EMIT_IMPORT = 10,
    EMIT_EXPORT = 11
};
enum emit_sort { EMIT_SORT_FUNC = 1, EMIT_SORT_TYPE = 3, EMIT_SORT_COMPONENT = 4, EMIT_SORT_INSTANCE = 5 };

#endif
