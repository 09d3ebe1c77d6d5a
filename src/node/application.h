/* What a node serves as JSON, for its page and other programs: routes, functions, and what each of them is given and
 * may take; src/cli/json.def describes it under `application`. It stays as it is as long as the node.
 *
 * Of variables there are the names only, of hosts what the manifest says: values may be secrets. */
#ifndef MAYFLY_NODE_APPLICATION_H
#define MAYFLY_NODE_APPLICATION_H

#include "base/buf.h"
#include "node/deployment.h"

#define APPLICATION_SCHEMA 1u

/* Appended. `url`: where requests are accepted. Errors stay in text->failed. */
void application_write(struct buf *text, const struct deployment *deployment, const char *url);

#endif
