/* Component-level types: the one description that the binary decoder, the WIT resolver, the
 * canonical ABI, the bindings generator, the link check and the printers share.
 *
 * Types are immutable once made and live in an arena. Size, alignment and flattening follow
 * CanonicalABI.md ("Alignment", "Element Size", "Flattening"); `type_finish` computes them.
 */
#ifndef MAYFLY_WIT_TYPE_H
#define MAYFLY_WIT_TYPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wasm/types.h"

enum type_kind {
    TYPE_BOOL,
    TYPE_S8,
    TYPE_U8,
    TYPE_S16,
    TYPE_U16,
    TYPE_S32,
    TYPE_U32,
    TYPE_S64,
    TYPE_U64,
    TYPE_F32,
    TYPE_F64,
    TYPE_CHAR,
    TYPE_STRING,
    TYPE_LIST,       /* element */
    TYPE_FIXED_LIST, /* element, count */
    TYPE_MAP,        /* element is a tuple of key and value */
    TYPE_RECORD,     /* items: named fields */
    TYPE_TUPLE,      /* items: unnamed fields */
    TYPE_VARIANT,    /* items: cases, type NULL where a case has no payload */
    TYPE_ENUM,       /* items: names */
    TYPE_OPTION,     /* items: none, some(element) in the sense of a variant; element */
    TYPE_RESULT,     /* items[0] ok, items[1] error; type NULL where absent */
    TYPE_FLAGS,      /* items: names */
    TYPE_OWN,
    TYPE_BORROW, /* resource */
    TYPE_STREAM,
    TYPE_FUTURE, /* element or NULL */
    TYPE_ERROR_CONTEXT,
};

/* A resource type's identity. Equal iff the pointers are equal within one component or one WIT package
 * set; across them, iff the canonical names are equal. */
struct resource {
    struct str interface; /* "wasi:io/streams" without version for imported ones; empty if defined inside */
    struct str name;      /* "output-stream" */
    uint32_t id;          /* runtime type id, see image/plan.h; WASM_NO_INDEX while unknown */
};

struct type;
struct type_item {
    struct str name;
    const struct type *type;
};

#define TYPE_MAX_FLAT_PARAMS 16
#define TYPE_MAX_FLAT_RESULTS 1
#define TYPE_MAX_FLAGS 32u
#define TYPE_MAX_SIZE ((1u << 28) - 1) /* bytes of one value; no list or string may be longer either */

struct type {
    enum type_kind kind;
    struct str name; /* of the type definition, or empty */
    const struct type *element;
    const struct type_item *items;
    uint32_t count; /* of items, or the length of a fixed-length list */
    const struct resource *resource;
    /* Computed by type_finish: */
    uint32_t size, align;
    uint32_t payload_offset;    /* variant, option, result: where the payload starts */
    uint32_t discriminant_size; /* 1, 2 or 4 */
    bool has_borrow;            /* it or a part of it is a borrow: not allowed in results */
    uint32_t flat_count;        /* may exceed the maxima; then flat is not filled beyond them */
    wasm_valtype flat[TYPE_MAX_FLAT_PARAMS];
};

struct func_param {
    struct str name;
    const struct type *type;
};

struct func_type {
    const struct func_param *params;
    uint32_t param_count;
    const struct type *result; /* NULL for none */
    bool async_;
};

/* Fill in the computed members; false when a size overflows the caps. Elements must be finished. */
bool type_finish(struct type *type, struct err *err);

/* The core signature of a lowered (import) or lifted (export) function, synchronous ABI: "flatten_functype".
 * `ret_params` has room for 17 types. */
struct flat_func {
    wasm_valtype params[TYPE_MAX_FLAT_PARAMS + 1], results[1];
    uint32_t param_count, result_count;
    bool params_indirect, result_indirect; /* passed through memory */
};
void type_flatten_func(const struct func_type *func, bool lower, struct flat_func *ret_flat);

/* Canonical text of a function type: structural, without names of type definitions, so that two
 * functions link iff their texts are equal. Resources are written INTERFACE.NAME without version.
 *     func(borrow<wasi:io/streams.output-stream>, list<u8>) -> result<_, variant{...}>
 * Parameter names are left out; field, case and flag names are kept. */
bool type_func_text(const struct func_type *func, struct buf *ret_text);
bool type_text(const struct type *type, struct buf *ret_text);

/* The kind that canonical text begins with this word for; of the two lists, LIST. */
bool type_kind_of(struct str word, enum type_kind *ret_kind);
/* The runtime id of a resource in canonical text, or WASM_NO_INDEX. */
typedef uint32_t type_resource_fn(void *arg, struct str interface, struct str name);
/* Canonical text of a function type back to the type, in the arena; parameters have no names. ERR_MALFORMED: it is
 * none. Names in it are views into the text. */
bool type_parse(struct str text, struct arena *arena, type_resource_fn *find, void *arg, const struct type **ret_type,
                struct err *err);
bool type_func_parse(struct str text, struct arena *arena, type_resource_fn *find, void *arg,
                     struct func_type *ret_func, struct err *err);

/* What compatible versions have in common (Semantic Versioning): "0.2" of "0.2.12", "3" of "3.1.0"; a pre-release has
 * nothing in common with others. */
struct str version_track(struct str version);
/* Whether what was made for version `wanted` finds itself in `offered`: a pre-release only in itself, whatever became
 * of it. No version at all finds itself in any, no other one in an offer without. */
bool version_fits(struct str offered, struct str wanted);

#endif
