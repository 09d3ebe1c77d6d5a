/* What a component depends on, described for its build: the file spin-dependencies.wit in the folder where it is built,
 * from which bindings are made, as by the SDKs of Spin. */
#ifndef MAYFLY_DEVELOP_DEPENDENCIES_H
#define MAYFLY_DEVELOP_DEPENDENCIES_H

#include "develop/project.h"

/* Write it, unless it is as it would be; said when it changes. A component without dependencies has none: one that a
 * build has written is removed. A file that somebody wrote stays as it is. What cannot be described is said, and no
 * error: not every build reads the file. */
void dependencies_describe(struct project *project, const struct manifest_component *component, const char *folder);

#endif
