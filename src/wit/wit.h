/* A set of WIT packages: read from text, resolved into component types.
 *
 *     struct wit wit;
 *     wit_init(&wit);
 *     wit_add(&wit, name, text, &err)      for each file
 *     wit_resolve(&wit, &err)
 *     ... wit.packages ...
 *     wit_free(&wit);
 *
 * Grammar: WIT.md of the component model. `@since` and `@deprecated` gates are read and dropped, items
 * behind `@unstable` are left out. Errors say FILE:LINE. Everything the set shows lives as long as it does;
 * file names and texts are the caller's and must live as long too.
 */
#ifndef MAYFLY_WIT_WIT_H
#define MAYFLY_WIT_WIT_H

#include "wit/type.h"

/* A type by name: defined here, or brought in by `use` (`foreign`). Either `type` or `resource` is set. */
struct wit_def {
    struct str name;
    const struct type *type;
    struct resource *resource;
    bool foreign;
    bool alias; /* `type a = b;` */
};

enum wit_func_kind { WIT_FREE, WIT_METHOD, WIT_STATIC, WIT_CONSTRUCTOR };

struct wit_func {
    struct str name;       /* as imported: "[method]output-stream.write" */
    struct str short_name; /* "write"; of a constructor the resource's name */
    enum wit_func_kind kind;
    const struct resource *resource; /* of a method, static function or constructor */
    struct func_type type;
};

struct wit_package;

struct wit_interface {
    const struct wit_package *package;
    struct str name; /* "streams" */
    struct str id;   /* "wasi:io/streams", no version */
    const struct wit_def *defs;
    uint32_t def_count;
    const struct wit_func *funcs; /* free functions first, then those of each resource, in text order */
    uint32_t func_count;
};

/* What a world imports or exports: an interface or a function. */
struct wit_extern {
    struct str name; /* the plain name, or the interface's id */
    const struct wit_interface *interface;
    const struct wit_func *func;
};

struct wit_world {
    struct str name;
    const struct wit_extern *imports, *exports;
    uint32_t import_count, export_count;
};

struct wit_package {
    struct str id;      /* "wasi:io" */
    struct str version; /* "0.2.12", or empty */
    const struct wit_interface **interfaces;
    uint32_t interface_count;
    const struct wit_world **worlds;
    uint32_t world_count;
};

struct ast_file;

struct wit {
    struct arena arena;
    struct ast_file *files;
    const struct wit_package **packages; /* after wit_resolve: in the order they were added */
    uint32_t package_count;
};

void wit_init(struct wit *wit);
void wit_free(struct wit *wit);
/* Read one file. Nested packages become packages of the set. */
bool wit_add(struct wit *wit, struct str file, struct str text, struct err *err);
/* Resolve all names. Once, after the last wit_add. */
bool wit_resolve(struct wit *wit, struct err *err);
/* The interface named e.g. "wasi:io/streams" (no version: the first package of that name), or NULL. */
const struct wit_interface *wit_find(const struct wit *wit, struct str id);
/* Whether a name must be written %NAME, because the text has a meaning of its own for the word. */
bool wit_is_keyword(struct str word);

#endif
