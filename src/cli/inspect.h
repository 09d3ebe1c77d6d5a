/* mayfly inspect: what its files share. Each kind of file has one that reads it and reports. */
#ifndef MAYFLY_CLI_INSPECT_H
#define MAYFLY_CLI_INSPECT_H

#include "base/arena.h"
#include "base/map.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "component/component.h"
#include "wasi/offer.h"
#include "wasm/producers.h"

/* A file that was read, whole. `err` is set where a function below fails. */
struct inspect {
    const char *file; /* its name, for people */
    const uint8_t *bytes;
    size_t size;
    struct arena arena;
    struct report report;
    uint64_t written; /* bytes of types in words, also of those that people see the beginning of */
    struct err *err;
};

#define INSPECT_TEXT_MAX ((size_t)64 << 20)
#define INSPECT_ARENA_MAX ((size_t)2 << 30)

enum inspect_form { INSPECT_PEOPLE, INSPECT_JSON, INSPECT_WIT };
/* The whole command on bytes in memory: a core module, a component or an image, by how they begin. False: they are
 * wrong, and `out` holds nothing that is worth printing. */
bool inspect_bytes(const char *file, const uint8_t *bytes, size_t size, enum inspect_form form, struct buf *out,
                   struct err *err);

bool inspect_module(struct inspect *inspect);
bool inspect_component(struct inspect *inspect);
bool inspect_image(struct inspect *inspect);

/* --- what a file needs to run (inspect_needs.c) --- */

struct need {
    struct str module, name;
    const char *problem; /* in words */
};

struct needs_list {
    struct need *items;
    uint32_t count;
};

#define NEEDS_GROUPS_MAX 16u

/* `command` runs it if `obstacle` is empty. */
struct needs {
    const char *command; /* "run" or "up" */
    uint32_t entries; /* of a component; bit i: it exports entry i of those that inspect_needs.c lists */
    struct str obstacle;
    struct needs_list missing;
    struct str *preload; /* names of modules that others must offer */
    uint32_t preload_count;
    const struct wasi_group *groups[NEEDS_GROUPS_MAX];
    uint32_t group_count;
    uint32_t asked; /* bit i: it has start functions and imports the interface i of those that inspect_needs.c lists */
};

bool needs_of_module(struct inspect *inspect, const struct wasm_module *module, struct needs *ret_needs);
bool needs_of_component(struct inspect *inspect, struct needs *ret_needs);
struct image;
bool needs_of_image(struct inspect *inspect, const struct image *image, struct needs *ret_needs);
/* How to run it and what to grant, and behind the rest what is missing. */
void needs_report(struct inspect *inspect, const struct needs *needs);
void needs_report_missing(struct inspect *inspect, const struct needs *needs);

/* --- parts of reports (inspect.c) --- */

/* Text in the arena. Empty where memory is out, which fails the report's buffer. */
struct str inspect_text(struct inspect *inspect, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "FILE: a core module, 123 bytes" and what every report begins with. */
void inspect_head(struct inspect *inspect, const char *kind, const char *words);
/* A cell "type" with what was written into `text`, which is freed. */
void inspect_type(struct inspect *inspect, struct buf *text);
/* A set of wasm/feature.h. */
void inspect_features(struct inspect *inspect, uint32_t set);
/* A text, or null. */
void inspect_optional(struct inspect *inspect, const char *key, const char *label, struct str value);

/* Who made a file, by its `producers` sections: any number of them, each entry once. */
struct makers {
    struct wasm_producer *items;
    uint32_t count, capacity;
    struct map seen; /* the caller's to free */
};
bool makers_add(struct inspect *inspect, struct makers *makers, struct str contents);
bool makers_add_module(struct inspect *inspect, struct makers *makers, const struct wasm_module *module);
void makers_report(struct inspect *inspect, const struct makers *makers);

/* --- core modules, also those in components (inspect_module.c) --- */

/* Bytes of function bodies, and of data segments. */
uint64_t module_code_size(const struct wasm_module *module);
uint64_t module_data_size(const struct wasm_module *module);

#endif
