/* Spin's first HTTP interface, fermyon:spin/inbound-http: a function gets a whole request and returns a whole response,
 * both as values. Applications that were built before WASI 0.2 export it. */
#ifndef MAYFLY_WASI_HTTP_SPIN_H
#define MAYFLY_WASI_HTTP_SPIN_H

#include "component/datum.h"

#define HTTP_SPIN_INTERFACE STR("fermyon:spin/inbound-http")
#define HTTP_SPIN_FUNCTION STR("handle-request")
/* Whether the function has the interface's type, by its text in the image. */
bool http_spin_is(struct str signature);

/* Inside the request's task: wait for all of its body, call `func` with it and make what comes back the response.
 * False: trap. */
bool http_spin_handle(struct host *h, const struct datum_func *func);

#endif
