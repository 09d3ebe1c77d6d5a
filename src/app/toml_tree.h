/* A TOML document as a tree, as C and C++ see it: toml_plusplus.cc makes it, toml.c asks for it (toml.h is for
 * everybody else). `struct str` is that of base/str.h, which is C; toml_plusplus.cc has its own. */
#ifndef MAYFLY_APP_TOML_TREE_H
#define MAYFLY_APP_TOML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOML_DEPTH_MAX 32u    /* of a value below the document */
#define TOML_NODES_MAX 65536u /* values, tables and arrays */
#define TOML_MISTAKE_TEXT 256u

enum toml_kind { TOML_TABLE, TOML_ARRAY, TOML_TEXT, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_DATE };

struct toml_node {
    enum toml_kind kind;
    uint32_t line, column;         /* of the value, from 1; columns count characters */
    uint32_t key_line, key_column; /* of its name; 0: it has none */
    struct str key;                /* in a table */
    struct str text;               /* TEXT: without escapes, never with NUL; DATE: as RFC 3339 has it */
    int64_t integer;
    double number;
    bool truth;
    bool listed; /* ARRAY: one of tables, written [[name]] */
    uint32_t count;
    struct toml_node *items; /* TABLE: in the order of the document */
};

enum toml_result {
    TOML_READ,
    TOML_MALFORMED, /* `mistake` says where and what was expected */
    TOML_TOO_MUCH,  /* a cap; `mistake` says which */
    TOML_NO_MEMORY,
};

struct toml_mistake {
    uint32_t line, column; /* 0: of no place */
    char text[TOML_MISTAKE_TEXT];
};

/* Where memory comes from. `take` and `drop` are for the time of the call, `keep` is for the tree. NULL: none left. */
struct toml_memory {
    void *(*take)(void *arg, size_t size);
    void (*drop)(void *arg, void *block);
    void *(*keep)(void *arg, size_t size);
    void *arg;
};

/* The only function of the library. Its name has the number of this interface in it, so that another version's is not
 * taken for it. */
typedef enum toml_result toml_read_function(const char *text, size_t size, const struct toml_memory *memory,
                                            struct toml_node *ret_root, struct toml_mistake *ret_mistake);
#define TOML_READ_NAME "mayfly_toml_read_1"

#endif
