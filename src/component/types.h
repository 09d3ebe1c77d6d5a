/* Making, substituting and matching component-level types (Explainer.md, "Type Checking").
 *
 * All functions: false with the checker's error set when a cap is reached, memory is out or, for the
 * matching ones, the types do not match (ERR_INVALID).
 */
#ifndef MAYFLY_COMPONENT_TYPES_H
#define MAYFLY_COMPONENT_TYPES_H

#include "component/check.h"

/* Words for a kind of value type: "record". */
const char *types_words(enum type_kind kind);

/* The types without parts; once per checker. */
bool types_init(struct checker *c);

/* A node with a number; the caller sets its parts and calls types_finish. NULL when out of memory. */
struct node *types_node(struct checker *c, enum type_kind kind);
bool types_finish(struct checker *c, struct node *node);
/* The pair of key and value of a map, laid out. */
bool types_finish_entry(struct checker *c, struct node *entry);
bool types_finish_func(struct checker *c, struct func *func);

/* What an entity's type says about itself; NULL for core entities. */
const struct shape *types_shape(const struct entity *entity);
/* Account for a part. */
bool types_shape_add(struct checker *c, struct shape *shape, const struct shape *part);

/* A fresh resource type and its first index; recorded in `fresh`. */
struct abstract *types_abstract(struct checker *c, struct abstracts *fresh);
/* Another index for a resource type. */
const struct resource_def *types_resource(struct checker *c, struct abstract *abstract);

/* The entity that an import or export of this type adds to the index space: opened instances, and a
 * copy of its own for a type that gets a name. */
bool types_declare(struct checker *c, struct entity *entity, struct abstracts *fresh);

/* The type of an instance that bundles these exports; takes the list over and sorts it if it is not. */
bool types_bundle(struct checker *c, struct externs *exports, struct abstracts bound,
                  const struct instance_type **ret_instance);

/* The type of a component (or component type) whose scope is complete. */
bool types_component(struct checker *c, const struct scope *scope, struct component_type *ret_component);

/* Replace what `map` holds: abstracts by abstracts, indices and named types by others. */
bool types_substitute(struct checker *c, struct remap *map, struct entity *entity);

/* Enter resource types as variables that are not bound yet. */
bool types_unbind(struct checker *c, const struct abstracts *bound, struct remap *vars);

/* Is `sub` usable where `super` is expected? Bound resource types of `super` are in `vars` with NULL
 * and get what they stand for. */
bool types_match(struct checker *c, const struct entity *sub, const struct entity *super, struct remap *vars);
/* The same for a type that stands alone: its own bound types are variables. */
bool types_conform(struct checker *c, const struct entity *sub, const struct entity *super);

/* The instance that `component` makes of `args` (sorted by name). */
bool types_instantiate(struct checker *c, const struct component_type *component, const struct externs *args,
                       struct abstracts *fresh, const struct instance_type **ret_instance);

/* Whether a resource type occurs that the type does not bind itself. */
bool types_free_resources(struct checker *c, const struct entity *entity, bool *ret_free);

/* Put what was being checked before the message of the error at hand; always false. */
bool types_blame(struct checker *c, const char *what, struct str name);

#endif
