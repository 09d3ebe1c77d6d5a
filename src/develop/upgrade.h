/* Manifests of version 1, as Spin had them before: the same application in version 2. */
#ifndef MAYFLY_DEVELOP_UPGRADE_H
#define MAYFLY_DEVELOP_UPGRADE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Whether a text is a manifest of version 1. */
bool upgrade_needed(struct str text);
/* Comments and the order of lines are not kept. What version 1 does not have is an error with its line. */
bool upgrade_text(struct str text, struct buf *ret_text, struct err *err);

#endif
