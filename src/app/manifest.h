/* An application as its manifest describes it: spin.toml, manifest version 2, whole, with every rule that Spin has for
 * it, and the additions of mayfly in tables that Spin ignores ([application.tool.mayfly], [component.ID.tool.mayfly]).
 *
 * The text is of strangers. Reading goes on after a mistake, so that all of them can be reported; each has its place, a
 * message and what to do about it. What a reader gets is complete and checked: ids are ids, what is referred to exists,
 * routes compile, versions and digests have their form, templates name variables that there are.
 *
 * All strings and arrays belong to the manifest. A text that was not given has no pointer; everything that was written
 * knows its place in the file. */
#ifndef MAYFLY_APP_MANIFEST_H
#define MAYFLY_APP_MANIFEST_H

#include "app/toml.h"
#include "base/map.h"

#define MANIFEST_COMPONENTS_MAX 1024u
#define MANIFEST_TRIGGERS_MAX 4096u
#define MANIFEST_VARIABLES_MAX 1024u
#define MANIFEST_LIST_MAX 1024u         /* entries of any other list or table */
#define MANIFEST_DEPENDENCIES_MAX 128u  /* of a component */
#define MANIFEST_PROFILES_MAX 32u       /* of a component */
#define MANIFEST_PROBLEMS_MAX 64u       /* that are kept; the rest is counted */
#define MANIFEST_INSTANCES_MAX 1000000u /* that max_instances may ask for, as on the command line */

#define MANIFEST_NONE UINT32_MAX /* no component */

/* ---- values ---- */

struct manifest_place {
    uint32_t line, column; /* from 1 */
};

struct manifest_text {
    struct str text;
    struct manifest_place at;
};

struct manifest_texts {
    struct manifest_text *items;
    uint32_t count;
    bool given;
    struct manifest_place at;
};

struct manifest_pair {
    struct manifest_text name, value;
};

struct manifest_pairs {
    struct manifest_pair *items;
    uint32_t count;
};

struct manifest_truth {
    bool given, value;
    struct manifest_place at;
};

struct manifest_amount {
    bool given;
    uint64_t value;
    struct manifest_place at;
};

/* ---- mayfly's own: what an option of `mayfly up` says, for one component or as the default for all ---- */

struct manifest_limits {
    struct manifest_amount timeout_ns;   /* timeout = "2s" */
    struct manifest_amount cpu_ns;       /* cpu_time = "500ms" */
    struct manifest_amount memory_bytes; /* max_memory = "64M" */
    struct manifest_amount body_bytes;   /* max_body = "1M" */
    struct manifest_amount instances;    /* max_instances = 100 */
    struct manifest_truth snapshot;      /* snapshot = true */
};

/* ---- components ---- */

enum manifest_source_kind { MANIFEST_SOURCE_NONE, MANIFEST_SOURCE_PATH, MANIFEST_SOURCE_URL, MANIFEST_SOURCE_PACKAGE };

struct manifest_source {
    enum manifest_source_kind kind;
    struct manifest_place at;
    struct manifest_text path;                       /* PATH: relative to the manifest's folder */
    struct manifest_text url, digest;                /* URL: digest "sha256:..." */
    struct manifest_text registry, package, version; /* PACKAGE: registry perhaps not given; one version */
};

/* Files that a component may read: those that a pattern names, or a file or folder at another place. */
struct manifest_mount {
    struct manifest_text pattern;
    struct manifest_text source, destination; /* without a pattern; destination absolute */
};

struct manifest_mounts {
    struct manifest_mount *items;
    uint32_t count;
};

struct manifest_target {
    struct manifest_text name, url, path; /* one of them: an environment that Spin can check components against */
};

struct manifest_targets {
    struct manifest_target *items;
    uint32_t count;
};

struct manifest_build {
    struct manifest_texts commands; /* not given: nothing is built */
    struct manifest_text workdir;
    struct manifest_texts watch;
};

enum manifest_inherit {
    MANIFEST_INHERIT_AI_MODELS = 1,
    MANIFEST_INHERIT_OUTBOUND_HOSTS = 2,
    MANIFEST_INHERIT_ENVIRONMENT = 4,
    MANIFEST_INHERIT_FILES = 8,
    MANIFEST_INHERIT_KEY_VALUE = 16,
    MANIFEST_INHERIT_SQLITE = 32,
    MANIFEST_INHERIT_VARIABLES = 64,
    MANIFEST_INHERIT_ALL = 127,
};

enum manifest_dependency_kind {
    MANIFEST_DEPENDENCY_PACKAGE,   /* version is a requirement; of a registry, perhaps the usual one */
    MANIFEST_DEPENDENCY_PATH,
    MANIFEST_DEPENDENCY_URL,
    MANIFEST_DEPENDENCY_COMPONENT, /* another one of this application, by its source */
};

struct manifest_dependency {
    struct manifest_text name; /* what is imported; of a trigger: none */
    enum manifest_dependency_kind kind;
    struct manifest_place at;
    struct manifest_text version, registry, package; /* package not given: that of the name */
    struct manifest_text path, url, digest;
    struct manifest_text component;
    uint32_t component_index;
    struct manifest_text export_name; /* not given: the import's own */
    bool inherit_given;
    unsigned inherit; /* of what its component has: bits of enum manifest_inherit; all else is denied */
};

struct manifest_dependencies {
    struct manifest_dependency *items;
    uint32_t count;
};

struct manifest_profile {
    struct manifest_text name;
    struct manifest_source source; /* kind NONE: not changed */
    struct manifest_pairs environment;
    struct manifest_dependencies dependencies;
    struct manifest_texts commands;
};

struct manifest_profiles {
    struct manifest_profile *items;
    uint32_t count;
};

struct manifest_component {
    struct manifest_text id;
    bool is_inline; /* written where a trigger names its component; its id is made up as Spin does it */
    struct manifest_place at;
    struct manifest_source source;
    struct manifest_text description;
    struct manifest_pairs variables; /* values are templates */
    struct manifest_pairs environment;
    struct manifest_mounts files;
    struct manifest_texts exclude_files;
    struct manifest_texts
        allowed_outbound_hosts; /* templates, for app/outbound.h; with what allowed_http_hosts meant */
    struct manifest_texts allowed_http_hosts;     /* as written */
    struct manifest_texts key_value_stores, sqlite_databases, ai_models;
    struct manifest_targets targets;
    const struct toml_node *tools; /* of others: a table or NULL */
    struct manifest_limits limits;
    struct manifest_build build;
    struct manifest_truth dependencies_inherit;
    struct manifest_dependencies dependencies;
    struct manifest_profiles profiles;
};

/* ---- triggers ---- */

enum manifest_trigger_type {
    MANIFEST_TRIGGER_HTTP,
    MANIFEST_TRIGGER_REDIS,
    MANIFEST_TRIGGER_CRON,
    MANIFEST_TRIGGER_COMMAND,
    MANIFEST_TRIGGER_OTHER, /* reported; never in a manifest that was read without error */
};

enum manifest_executor { MANIFEST_EXECUTOR_HTTP, MANIFEST_EXECUTOR_WAGI };

struct manifest_answer {
    bool given;
    uint32_t status;
    struct manifest_pairs headers;
    struct manifest_text body;
    struct manifest_place at;
};

struct manifest_http {
    struct manifest_text route; /* app/route.h takes it */
    bool is_private;
    enum manifest_executor executor;
    struct manifest_text argv, entrypoint; /* of Wagi */
    struct manifest_answer answer;         /* instead of a component */
};

struct manifest_redis {
    struct manifest_text channel, address; /* templates; address: the application's where it has none */
};

/* Components or dependencies of a trigger under a name whose meaning depends on its type. */
struct manifest_role {
    struct manifest_text name;
    uint32_t *components;
    uint32_t component_count;
    struct manifest_dependencies dependencies; /* of http: "middleware", outermost first */
};

struct manifest_roles {
    struct manifest_role *items;
    uint32_t count;
};

struct manifest_trigger {
    enum manifest_trigger_type type;
    struct manifest_text type_name;
    struct manifest_text id;
    bool id_given; /* else it was made up as Spin does it */
    struct manifest_place at;
    uint32_t component; /* an index, or MANIFEST_NONE */
    struct manifest_text component_id; /* as written; not given: none, or inline */
    struct manifest_roles components, dependencies;
    struct manifest_http http;
    struct manifest_redis redis;
    struct manifest_text cron_expression;
    const struct toml_node *config; /* all of it */
};

/* ---- the whole ---- */

struct manifest_variable {
    struct manifest_text name, description;
    struct manifest_text fallback; /* "default"; given unless the variable is required */
    struct manifest_truth required, secret;
};

struct manifest_application {
    struct manifest_text name, version, description;
    struct manifest_texts authors;
    struct manifest_targets targets;
    const struct toml_node *triggers; /* settings by type: a table or NULL */
    struct manifest_text redis_address;
    const struct toml_node *tools;
    struct manifest_limits limits;
};

struct manifest {
    struct manifest_application application;
    struct manifest_variable *variables;
    uint32_t variable_count;
    struct manifest_component *components;
    uint32_t component_count;
    struct manifest_trigger *triggers;
    uint32_t trigger_count;
    /* Private: */
    struct arena arena;
    struct map component_map, variable_map;
};

/* ---- reading ---- */

struct manifest_problem {
    struct err err;
    struct manifest_place at; /* line 0: of no place */
    bool warning;             /* the application runs, but perhaps not as was meant */
};

/* Zeroed: none. */
struct manifest_problems {
    struct manifest_problem *items; /* in the order of the file */
    size_t count, capacity;
    size_t error_count, left_out;
};

/* `profile`: of components that have one of that name; empty: none. Fills `problems` (may be NULL) in any case; false
 * when one of them is an error, and `err` then tells the first as "line N: ...". */
bool manifest_read(struct manifest *ret, struct str text, struct str profile, struct manifest_problems *problems,
                   struct err *err);
/* The same of a file. ERR_SYSTEM when it cannot be read. */
bool manifest_load(struct manifest *ret, const char *path, struct str profile, struct manifest_problems *problems,
                   struct err *err);
void manifest_free(struct manifest *manifest);
void manifest_problems_free(struct manifest_problems *problems);

/* Print them to stderr, as "error: PATH:LINE:COLUMN: ..." or "warning: ...", each with its remedy. */
void manifest_problems_print(const struct manifest_problems *problems, const char *path);

/* ---- questions ---- */

/* An index, or MANIFEST_NONE. */
uint32_t manifest_find_component(const struct manifest *manifest, struct str id);
const struct manifest_variable *manifest_find_variable(const struct manifest *manifest, struct str name);
/* A component's limits, with the application's where it has none. */
struct manifest_limits manifest_limits_of(const struct manifest *manifest, const struct manifest_component *component);

#endif
