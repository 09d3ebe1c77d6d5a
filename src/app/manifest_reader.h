/* What the files manifest_*.c and runtime_config.c share: tables are read by descriptions of their keys, and whatever
 * is wrong is noted and passed over.
 *
 * Whoever reads stores only what has the right form, so that later checks need not ask again. Lack of memory is noted
 * once; readers go on with nothing. */
#ifndef MAYFLY_APP_MANIFEST_READER_H
#define MAYFLY_APP_MANIFEST_READER_H

#include "app/manifest.h"
#include "base/vec.h"

#define READER_SHOWN 72u /* bytes of a name in a message, with terminator */

struct reader {
    const char *title; /* of the document: "the manifest" */
    struct manifest *manifest;
    struct arena *arena;
    struct manifest_problems *problems;
    VEC(struct manifest_component) components;
    VEC(struct manifest_trigger) triggers;
    bool no_memory;
    char where[160]; /* the table that is read: "component.hello" */
    size_t where_size;
};

/* ---- the document ---- */

/* The text as a tree, in the reader's arena. NULL: noted. */
const struct toml_node *reader_document(struct reader *reader, struct str text);
/* Put what was noted in the order of the file. False: there is an error, and `err` is the first, with its line. */
bool reader_finish(struct reader *reader, struct err *err);

/* ---- problems ---- */

struct manifest_place place_of(const struct toml_node *node);
struct manifest_place key_place(const struct toml_node *node);
void reader_no_memory(struct reader *reader);

/* Note an error; `remedy` may be NULL. */
void reader_error(struct reader *reader, struct manifest_place at, enum err_kind kind, const char *remedy,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
void reader_warn(struct reader *reader, struct manifest_place at, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Note an error that another function found: "WHAT: its message". */
void reader_pass(struct reader *reader, struct manifest_place at, const struct err *inner, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* For messages: at most so many bytes of a text, "..." for the rest. */
const char *reader_shown(struct str text, char room[READER_SHOWN]);
#define SHOWN(str) reader_shown((str), (char[READER_SHOWN]){0})

/* Texts that are members of what follows each other in an array. */
struct reader_words {
    const struct str *first;
    size_t count, step; /* bytes from one to the next */
};
#define READER_WORDS(items, count, member) ((struct reader_words){&(items)->member, (count), sizeof *(items)})

/* "did you mean ...?" as a remedy, or what else to say. Nothing is compared for problems that are not kept. */
const char *reader_nearest(const struct reader *reader, struct str word, struct reader_words words,
                           const char *otherwise, char room[256]);
/* The same of the application's components and variables. */
const char *reader_nearest_component(const struct reader *reader, struct str id, char room[256]);
const char *reader_nearest_variable(const struct reader *reader, struct str name, char room[256]);

/* ---- the table that is read, for messages ---- */

size_t reader_enter(struct reader *reader, struct str name);
void reader_leave(struct reader *reader, size_t size);

/* ---- values ---- */

/* Zeroed, or NULL: noted. */
void *reader_array(struct reader *reader, size_t count, size_t size);
/* The node is of that kind; else it is noted. */
bool reader_is(struct reader *reader, const struct toml_node *node, enum toml_kind kind);
/* It has at most so many entries; else it is noted. */
bool reader_fits(struct reader *reader, const struct toml_node *node, uint32_t max);

typedef void reader_take(struct reader *reader, const struct toml_node *node, void *into);
reader_take take_text;    /* struct manifest_text */
reader_take take_texts;   /* struct manifest_texts; one string is no list */
reader_take take_truth;   /* struct manifest_truth */
reader_take take_pairs;   /* struct manifest_pairs: a table of strings */
reader_take take_command; /* struct manifest_texts: a string or a list of strings */
reader_take take_tables;  /* const struct toml_node *: a table of tables */

struct reader_key {
    const char *name;
    reader_take *take;
    size_t offset; /* of what it fills, in what the table fills */
    bool required;
};

#define READER_KEY(type, member, name, take) {name, take, offsetof(struct type, member), false}
#define READER_REQUIRED(type, member, name, take) {name, take, offsetof(struct type, member), true}

/* False: it is no table, and reader->where says which. Unknown keys and missing ones are noted. */
bool reader_table(struct reader *reader, const struct toml_node *node, const struct reader_key *keys, size_t count,
                  void *into);
#define READER_TABLE(reader, node, keys, into)                                                                         \
    reader_table((reader), (node), (keys), sizeof(keys) / sizeof *(keys), (into))

/* Check a text with a function of words.h; what is wrong is noted. Texts that are not given are right. */
bool reader_check(struct reader *reader, const struct manifest_text *text, const char *what,
                  bool (*check)(struct str text, struct err *err));

/* The same for a template: its braces, and that its variables are declared. */
bool reader_template(struct reader *reader, const struct manifest_text *text, const char *what);

/* ---- parts of the manifest, each in a file of its own ---- */

reader_take take_source;       /* struct manifest_source */
reader_take take_targets;      /* struct manifest_targets */
reader_take take_dependencies; /* struct manifest_dependencies: a table by what is imported */
reader_take take_chain;        /* the same, a list without names: of a trigger */
reader_take take_component;    /* struct manifest_component, but for its id */
reader_take take_components;   /* all of them, into the reader; `into` is not used */
reader_take take_triggers;     /* the same */
/* Of the table "tool" whatever mayfly has there. */
void read_limits(struct reader *reader, const struct toml_node *tools, struct manifest_limits *into);

/* Ids for triggers and inline components that have none, as Spin makes them. */
void name_triggers(struct reader *reader);

void apply_profile(struct reader *reader, struct str profile);
/* What concerns more than one value. */
void check_manifest(struct reader *reader);

#endif
