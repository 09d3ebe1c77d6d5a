/* Building an application: the build command of each component, in its folder, those that others are made of first. */
#ifndef MAYFLY_DEVELOP_BUILD_H
#define MAYFLY_DEVELOP_BUILD_H

#include "develop/project.h"

/* What to build: NULL, all; else so many ids, of which one that is no component is an error. */
struct build_choice {
    const char *const *ids;
    uint32_t count;
    bool undescribed; /* what components depend on is not written (dependencies.h) */
};

/* Tells what it does, on standard error, and ends with the first command that fails. Nothing to build is no error, and
 * said. */
bool build_components(struct project *project, const struct build_choice *choice, struct err *err);

/* The folder where a component is built, from where we are; NULL with `err`: it is absolute, or is none. */
const char *build_folder(struct project *project, const struct manifest_component *component, struct err *err);

#endif
