/* The decoder's state and the parts that its files share. A reader is always on bytes of the whole
 * input, so offsets in errors count from its start.
 */
#ifndef MAYFLY_COMPONENT_DECODER_H
#define MAYFLY_COMPONENT_DECODER_H

#include "component/core.h"
#include "component/names.h"
#include "component/types.h"
#include "wasm/reader.h"

struct decoder {
    struct checker check;
    struct scope *scope; /* innermost */
    struct component *component; /* the one whose definitions are read; NULL inside a type's scope only if none */
    uint32_t nesting, modules, components;
};

/* Primitives. Each sets `check.offset` to where it started, for what is checked next. */
bool decode_fail(struct decoder *d, const struct reader *in, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
bool decode_count(struct decoder *d, struct reader *in, enum component_limit limit, uint32_t *ret);
bool decode_name(struct decoder *d, struct reader *in, struct str *ret);
bool decode_label(struct decoder *d, struct reader *in, const char *what, struct str *ret);
/* A flag byte, 0 or 1. */
bool decode_flag(struct decoder *d, struct reader *in, bool *ret);
/* "invalid leading byte" at the byte before the reader. */
bool decode_bad_byte(struct decoder *d, const struct reader *in, uint8_t byte, const char *what);

bool decode_core_sort(struct decoder *d, struct reader *in, enum sort *ret);
bool decode_sort(struct decoder *d, struct reader *in, enum sort *ret);
/* An index into a space of the current scope, in range. */
bool decode_index(struct decoder *d, struct reader *in, enum sort sort, uint32_t *ret);
const struct entity *scope_entity(const struct decoder *d, enum sort sort, uint32_t index);
/* Append to the index space of entity->sort. */
bool scope_add(struct decoder *d, const struct entity *entity, uint32_t *ret_index);
/* The scope `count` scopes out, or NULL with the error set. */
struct scope *scope_outer(struct decoder *d, uint32_t count);

/* Name and attributes of an import or export. */
bool decode_extern_name(struct decoder *d, struct reader *in, struct extern_decl *ret);
/* `implements` is for instances with plain names. */
bool check_attributes(struct decoder *d, const struct extern_decl *decl);
bool decode_extern_type(struct decoder *d, struct reader *in, struct entity *ret, bool *ret_fresh_resource);
/* Record an import or export of the current scope and enter the types it names. */
bool scope_import(struct decoder *d, const struct extern_decl *decl);
bool scope_export(struct decoder *d, const struct extern_decl *decl);
/* Uniqueness of names and what annotated names promise, when a scope is complete. */
bool scope_finish(struct decoder *d, struct scope *scope);

/* Index spaces: one definition each (the reader is at its first byte). */
bool decode_core_type(struct decoder *d, struct reader *in);
bool decode_type(struct decoder *d, struct reader *in, struct entity *ret);
bool decode_valtype(struct decoder *d, struct reader *in, const struct type **ret);
bool decode_result(struct decoder *d, struct reader *in, const struct type **ret);
bool decode_alias(struct decoder *d, struct reader *in, struct definition *ret, struct entity *ret_entity);
bool decode_canonical(struct decoder *d, struct reader *in, struct canonical *ret, struct entity *ret_entity);

#endif
