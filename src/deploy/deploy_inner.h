/* What the files of this room share while a table is made of a manifest. What is wrong with the manifest is an error
 * that names its line. */
#ifndef MAYFLY_DEPLOY_DEPLOY_INNER_H
#define MAYFLY_DEPLOY_DEPLOY_INNER_H

#include "base/buf.h"
#include "deploy/deploy.h"

/* The functions are the components that some trigger names, in the order of the manifest. */
struct deploy_choice {
    uint32_t *functions; /* of each component: its function, or MANIFEST_NONE */
    struct route_spec *specs;
    struct deployed_route *routes;
    struct deployed_timer *timers;
    uint32_t function_count;
};

/* Triggers of components that are not among those of the options leave the manifest (application.c). */
bool deploy_choose_components(struct deploy *deploy, struct err *err);
/* Functions, routes and timers of all triggers (routes.c). */
bool deploy_choose(struct deploy *deploy, struct deploy_choice *ret, struct err *err);

/* Components and dependencies of these functions that come from elsewhere are in the cache (sources.c). */
bool deploy_fetch(struct deploy *deploy, const struct deploy_choice *choice, struct err *err);
/* Dependencies of one component, likewise. */
bool deploy_fetch_dependencies(struct deploy *deploy, const struct manifest_component *component, struct err *err);
/* Where the one is that this struct manifest_source or manifest_dependency names; NULL: it comes from nowhere else. */
const char *deploy_find_source(const struct deploy *deploy, const void *of);
/* One of them is there no more. */
bool deploy_lacks_source(const struct deploy *deploy);

/* A file that says what is served, about to be read (deploy_changed); it need not be there. The path must last
 * (deploy.c). */
void deploy_watch(struct deploy *deploy, const char *path);

/* What was read of the manifest before, if it was: then it is this one's, and counts as watched (deploy.c). */
bool deploy_take_reading(struct deploy *deploy, struct manifest_problems *problems, bool *ret_done, struct err *err);

/* From a component to its row (component.c). */
bool deploy_component(struct deploy *deploy, const struct manifest_component *component, struct deployed *ret,
                      struct err *err);

/* The folders that it may read, and where it finds them (files.c). */
bool deploy_files(struct deploy *deploy, const struct manifest_component *component, struct host_config *config,
                  struct err *err);
/* One folder with what is copied for it (assets.c). */
bool deploy_assets(struct deploy *deploy, const struct manifest_component *component, struct host_directory *ret,
                   struct err *err);
/* Whether that has what the component's so-many-th entry of `files` names. */
bool deploy_is_copied(struct deploy *deploy, const struct manifest_component *component, uint32_t mount);
/* In the process that made them. */
void deploy_remove_copies(struct deploy *deploy);
/* A path of the manifest, which is relative to its folder. NULL: no memory. */
char *deploy_path(struct deploy *deploy, struct str path);

/* Values of all variables of the manifest (variables.c). */
bool deploy_variables(struct deploy *deploy, struct err *err);
/* Those that a component finds. */
bool deploy_component_variables(struct deploy *deploy, const struct manifest_component *component,
                                struct host_config *config, struct err *err);
/* The text with its variables in place, in `out`. */
bool deploy_expand(struct deploy *deploy, const struct manifest_text *text, struct buf *out, struct err *err);

/* The runtime configuration file, if there is one (runtime.c). */
bool deploy_read_runtime(struct deploy *deploy, struct err *err);
/* Where it says that stores and databases lie. */
bool deploy_place_storage(struct deploy *deploy, struct err *err);

/* Files for what functions print, if there is a folder for them (logs.c). */
bool deploy_open_logs(struct deploy *deploy, struct err *err);
/* Whose prints the log has (logs.c). */
bool deploy_follow(struct deploy *deploy, struct err *err);

/* Of a manifest: functions and routes (application.c). */
bool deploy_application(struct deploy *deploy, struct err *err);
/* Room for so many functions (deploy.c). */
bool deploy_make_room(struct deploy *deploy, uint32_t count, struct err *err);

/* Servers whose channels functions listen to, by the values of variables (subscriptions.c). */
bool deploy_subscriptions(struct deploy *deploy, const struct deploy_choice *choice, struct err *err);

/* A copy with its end. NULL: no memory. */
char *deploy_text(struct deploy *deploy, struct str text);
/* "spin.toml:12: ..." in front of what is wrong; returns false. */
bool deploy_at(const struct deploy *deploy, struct manifest_place at, struct err *err);
/* The manifest asks for `what`, which there is not. */
bool deploy_not_yet(const struct deploy *deploy, struct manifest_place at, const char *what, struct err *err);

#endif
