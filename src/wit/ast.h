/* WIT text as written: what parse.c makes and resolve.c reads. Everything lives in the set's arena; lists are
 * linked in the order of the text. Items behind an `@unstable` gate are not in it. */
#ifndef MAYFLY_WIT_AST_H
#define MAYFLY_WIT_AST_H

#include "wit/wit.h"

#define WIT_MAX_DEPTH 64u           /* of nested types */
#define WIT_MAX_CHAIN 256u          /* of definitions that lead to another */
#define WIT_MAX_ITEMS 4096u         /* of one list: fields, cases, parameters, definitions, interfaces */
#define WIT_MAX_ARENA (64u << 20)   /* bytes for everything read */
#define WIT_MAX_FILE_SIZE (4u << 20)

/* `name` is a type defined elsewhere; any other value is an enum type_kind. */
#define AST_NAMED (-1)

struct ast_type {
    int kind;
    struct str name;            /* AST_NAMED; own and borrow: the resource */
    struct ast_type *args;      /* linked by next; NULL entries of result are `absent` */
    struct ast_type *next;
    uint32_t count;             /* of a fixed-length list */
    uint32_t line;
    bool absent;                /* `_` */
};

/* A field, case, flag or parameter. */
struct ast_item {
    struct str name;
    struct ast_type *type; /* NULL where there is none */
    uint32_t line;
    struct ast_item *next;
};

struct ast_func {
    struct str name;
    enum wit_func_kind kind;
    struct ast_item *params;
    struct ast_type *result;
    bool async_;
    uint32_t line;
    struct ast_func *next;
};

/* "wasi:io/streams@0.2.0" or a bare "streams". */
struct ast_path {
    struct str package; /* "wasi:io", or empty */
    struct str name;
    struct str version;
    uint32_t line;
};

enum ast_def_kind { DEF_ALIAS, DEF_RECORD, DEF_VARIANT, DEF_ENUM, DEF_FLAGS, DEF_RESOURCE, DEF_USE };

struct ast_def {
    enum ast_def_kind kind;
    struct str name;
    uint32_t line;
    struct ast_item *items; /* record, variant, enum, flags */
    struct ast_type *type;  /* alias */
    struct ast_func *funcs; /* resource */
    struct ast_path path;   /* use: the interface */
    struct str source;      /* use: the name there */
    struct ast_def *next;
    /* Set by the resolver: */
    bool busy;              /* being resolved: meeting it again is a cycle */
    struct wit_def *resolved;
};

struct ast_file;

struct ast_interface {
    struct ast_file *file;
    struct str name;
    uint32_t line;
    struct ast_def *defs;
    struct ast_func *funcs;
    struct ast_interface *next;
    bool busy;
    struct wit_interface *resolved;
};

enum ast_extern_kind { EXTERN_PATH, EXTERN_FUNC, EXTERN_INTERFACE, EXTERN_NAMED_PATH };

struct ast_extern {
    enum ast_extern_kind kind;
    bool export;
    struct str name; /* FUNC, INTERFACE, NAMED_PATH */
    struct ast_path path;
    struct ast_func *func;
    struct ast_interface *interface;
    uint32_t line;
    struct ast_extern *next;
};

struct ast_rename {
    struct str from, to;
    struct ast_rename *next;
};

struct ast_include {
    struct ast_path path;
    struct ast_rename *renames;
    struct ast_include *next;
};

struct ast_world {
    struct ast_interface types; /* its definitions, as those of an interface */
    struct ast_extern *externs;
    struct ast_include *includes;
    struct ast_world *next;
    bool busy;
    struct wit_world *resolved;
};

/* `use a:b/c as d;` at the top of a file. */
struct ast_use {
    struct ast_path path;
    struct str name;
    struct ast_use *next;
};

/* One file, or one nested package of a file. */
struct ast_file {
    struct str name; /* for messages */
    struct str package, version;
    uint32_t line;
    struct ast_use *uses;
    struct ast_interface *interfaces;
    struct ast_world *worlds;
    struct ast_file *next;
    struct wit_package *resolved;
};

/* "FILE:LINE: message"; returns false. */
bool ast_error(struct err *err, const struct ast_file *file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
