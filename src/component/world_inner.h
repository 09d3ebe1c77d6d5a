/* What the files behind world.h share: where types are named, and the view from which they are written. */
#ifndef MAYFLY_COMPONENT_WORLD_INNER_H
#define MAYFLY_COMPONENT_WORLD_INNER_H

#include "component/check.h"
#include "component/names.h"
#include "component/types.h"
#include "component/world.h"

#define VIEW_INDENT 2u

/* The first place that names a type. */
struct naming {
    const struct extern_decl *interface; /* the import or export whose type has it; NULL: the component itself */
    struct str name;
};

/* A type that an interface takes from another one, and what it calls it. */
struct use {
    const struct naming *place;
    struct str local;
};

struct uses {
    struct use *items;
    uint32_t count, capacity;
};

/* Several imports and exports may be of one interface, each with a part of it. */
struct part {
    const struct externs *externs;
    const struct part *next;
};

/* Who refers to types: an interface or the component, with the names that it has for them. */
struct view {
    struct world *world;
    struct buf *out;
    const struct extern_decl *home; /* an import or export of the interface; NULL: the component */
    struct str id;                  /* of the interface, or empty */
    const struct part *parts;       /* what has names here */
    struct remap names;             /* struct str by number of a value or resource type */
    const void *subject;            /* of who writes its body */
    bool document;                  /* others' types are brought in by a `use`, else written INTERFACE.{NAME} */
    struct uses uses;
    uint32_t indent;
};

/* One that is written once, whatever the component does with it. */
struct interface {
    struct world *world;
    struct str id;
    const struct extern_decl *home;
    struct part *parts, *last;
};

struct members;

struct world {
    struct checker check;
    const struct component *component;
    struct remap places; /* struct naming by number of a value or resource type */
    struct view line;    /* of the one-line functions */
    struct part line_parts[2];
};

/* Kind of the declaration: a type, by `def`. */
static inline bool is_type(const struct extern_decl *decl, enum def_type_kind def)
{
    return decl->type.sort == SORT_TYPE && decl->type.def == def;
}

/* The number by which a named type is found; 0 for what is not a value or resource type. */
static inline uint32_t number_of(const struct extern_decl *decl)
{
    return is_type(decl, DEF_VALUE)      ? decl->type.value->shape.number
           : is_type(decl, DEF_RESOURCE) ? decl->type.resource->abstract->number
                                         : 0;
}

/* The interface that an import or export is of: its name or what it implements; empty for one without a name. */
struct str world_interface(const struct extern_decl *decl);

/* The names of the view's own types. */
bool view_enter(struct view *view);
bool view_put(struct view *view, const char *text);
bool view_line(struct view *view);
/* A word, with '%' where WIT would take it for one of its own. */
bool view_word(struct view *view, struct str word);
bool view_type(struct view *view, const struct type *type);
/* "(a: u8) -> u8"; from parameter `first` on. */
bool view_signature(struct view *view, const struct func_type *func, uint32_t first, bool result);
/* " -> u8", or nothing. */
bool view_result(struct view *view, const struct func_type *func);
/* Where the thing that a declaration names was named before, seen from here: under a name of this view (*ret_alias), or
 * in another interface (*ret_place). Both NULL: it is new. */
void view_origin(struct view *view, const struct extern_decl *decl, const struct str **ret_alias,
                 const struct naming **ret_place);
/* "{ a: u8, b }" of a record, variant, enum or flags; in documents a line each. */
bool view_items(struct view *view, const struct type *type);

/* --- of documents (world_wit.c) --- */

/* namespace:package/interface@version, words of WIT escaped. */
bool view_path(struct view *view, struct str path);
/* "name: func(a: u8);" with `kind` before the word; from parameter `first` on. */
bool view_function(struct view *view, struct str name, const char *kind, const struct func *func, uint32_t first);
/* What `write` makes of the view, behind the `use` lines that it turned out to need. */
bool view_body(struct view *view, bool (*write)(struct view *view, struct members *members));
/* Definitions of all types of the view. */
bool view_types(struct view *view, struct members *members);
/* " { ... }" of an interface. */
bool view_interface(struct view *view);
struct view interface_view(const struct interface *interface, struct buf *out);
/* Interfaces of one package and version stand side by side when they are sorted by both; for qsort. */
int interface_order(const void *a, const void *b);
/* The packages of interfaces that are in this order. */
bool view_packages(struct view *view, const struct interface *all, uint32_t count);

#endif
