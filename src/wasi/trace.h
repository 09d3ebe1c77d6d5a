/* The trace that a request belongs to (W3C Trace Context): read for the logs, and passed on unchanged with requests
 * that its function sends, as by one who takes no part in the trace (section 4.3). */
#ifndef MAYFLY_WASI_TRACE_H
#define MAYFLY_WASI_TRACE_H

#include "wasi/message.h"

#define TRACE_ID_SIZE 32u /* hexadecimal digits */

/* The value of traceparent. ptr NULL: there is none, more than one, or one that is not valid (section 3.2.2). */
struct str trace_parent(const struct http_request *request);
/* The trace id in it; ptr NULL as above. */
struct str trace_id(const struct http_request *request);

/* NAME, or with an id NAME and the id, for who speaks of a request in the log. */
#define TRACE_SCOPE_SIZE 160u
const char *trace_scope(const char *name, struct str id, char room[TRACE_SCOPE_SIZE]);

#endif
