/* What the parts of the bindings generator share. */
#ifndef MAYFLY_WIT_GENERATE_H
#define MAYFLY_WIT_GENERATE_H

#include "base/map.h"
#include "wit/bindings.h"

#define GENERATE_MAX_PACKAGES 64u
#define GENERATE_MAX_TEXT (16u << 20)

/* A named type and what it is called in C. */
struct gen_named {
    const struct type *type;
    const char *name;
    uint32_t package;
};

struct gen_resource {
    const struct resource *resource;
    const char *name; /* wasi_io_output_stream */
    const char *id;   /* RESOURCE_WASI_IO_OUTPUT_STREAM */
    uint32_t package; /* that has it in C */
    uint32_t from;    /* that defines it: a draft, or the same one */
};

struct gen_package {
    const struct wit_package *package;
    const char *name;    /* wasi_io; wasi_io_0_3 where there is another version of it */
    uint32_t final;      /* the package that this one is a draft of; or GEN_NO_PACKAGE */
    struct buf types;    /* of the header */
    struct buf protos;
    struct buf helpers;  /* of the source: functions that the glue calls */
    struct buf glue;
    uint64_t includes;   /* bit per package whose header this one needs */
    struct map emitted;  /* helper functions that are there */
};

struct generator {
    const struct wit *wit;
    struct arena arena;
    struct err *err;
    struct gen_package packages[GENERATE_MAX_PACKAGES]; /* in dependency order */
    uint32_t package_count;
    VEC(struct gen_named) named;
    VEC(struct gen_resource) resources;
    uint32_t resource_count; /* without those that are another version's */
    struct buf common; /* types that belong to no package */
    struct map types;  /* names of the C types that are written */
    struct str include;
    struct str implemented;
    bool failed; /* no memory */
};

#define GEN_NO_PACKAGE UINT32_MAX

/* --- generate_name.c: names, in the generator's arena; NULL only when `failed` is set --- */
const char *gen_text(struct generator *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "output-stream" as output_stream, or OUTPUT_STREAM. */
const char *gen_snake(struct generator *g, struct str name);
const char *gen_upper(struct generator *g, struct str name);
/* The same for a member or parameter: words that C or the glue uses get a '_'. */
const char *gen_member(struct generator *g, struct str name);
/* "wasi:io/streams" as wasi_io_streams; behind the name of the package its version, if gen_package.name has it. */
const char *gen_interface(struct generator *g, const struct wit_interface *interface);
const char *gen_function(struct generator *g, const struct wit_interface *interface, const struct wit_func *func);
const struct gen_named *gen_find_named(const struct generator *g, const struct type *type);
const struct gen_resource *gen_find_resource(const struct generator *g, const struct resource *resource);
/* The type's part in names: u8, str, list_u8, wasi_io_streams_stream_error. */
const char *gen_mangle(struct generator *g, const struct type *type);
/* The type in C: uint8_t, struct list_u8, struct wasi_io_pollable *. */
const char *gen_ctype(struct generator *g, const struct type *type);
/* Its declarator for an array element: `const uint8_t *`. */
const char *gen_element_pointer(struct generator *g, const struct type *type);
/* Whether values are passed to functions by const pointer. */
bool gen_by_pointer(const struct type *type);
/* Whether a list of it can be handed over as it lies in memory. */
bool gen_is_view(const struct type *element);

/* --- generate_draft.c: what a draft has in common with the version that it became --- */
bool gen_is_draft_of(const struct wit_package *package, const struct wit_package *final);
/* The resource of that version which stands for one of the draft, by its name; NULL: none. */
const struct gen_resource *gen_final_resource(const struct generator *g, uint32_t package,
                                              const struct resource *resource);
/* The type there of the same name and shape. */
const struct type *gen_final_type(const struct generator *g, uint32_t package, const struct wit_interface *interface,
                                  const struct wit_def *def);
/* The function there of the same name and shape, and its interface. */
const struct wit_func *gen_final_func(const struct generator *g, uint32_t package,
                                      const struct wit_interface *interface, const struct wit_func *func,
                                      const struct wit_interface **ret_interface);

/* --- generate_type.c --- */
/* Write the C type if it has one of its own and is not there yet, after those it is made of. */
void gen_type(struct generator *g, const struct type *type);
/* The packages that a type mentions, as bits. */
uint64_t gen_mentions(const struct generator *g, const struct type *type);

/* --- generate_glue.c --- */
void gen_prototype(struct generator *g, struct gen_package *p, const struct wit_interface *interface,
                   const struct wit_func *func);
void gen_glue(struct generator *g, struct gen_package *p, const struct wit_interface *interface,
              const struct wit_func *func);

/* --- generate_value.c: statements that move one value; helper functions appear as needed --- */
struct gen_place {
    struct gen_package *p;
    struct buf *out;
    int indent; /* levels of four spaces */
};
/* Memory at pointer expression `at` into lvalue `to`. */
void gen_load(struct generator *g, struct gen_place place, const struct type *type, const char *at, const char *to);
/* The cells from `v[cell]` on into lvalue `to`. */
void gen_lift(struct generator *g, struct gen_place place, const struct type *type, uint32_t cell, const char *to);
/* Lvalue `value` into memory at `at`. */
void gen_store(struct generator *g, struct gen_place place, const struct type *type, const char *at, const char *value);
/* Lvalue `value` into the single cell `v[0]`. */
void gen_lower(struct generator *g, struct gen_place place, const struct type *type, const char *value);
/* An own or borrow handle whose index is expression `index`. `lender`: lvalue for what the handle was lent from, or
 * NULL: it is kept in the context. */
void gen_handle(struct generator *g, struct gen_place place, const struct type *type, const char *index,
                const char *lender, const char *to);
/* `if (!(condition)) return false;` */
void gen_check(struct gen_place place, const char *condition);
void gen_line(struct gen_place place, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether lifting it from cells reads memory. */
bool gen_uses_memory(const struct type *type);

#endif
