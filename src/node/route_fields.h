/* The fields that a function of an application finds in its requests beside the client's: how its route matched, as
 * Spin names them (spin-path-info, spin-full-url, ...). */
#ifndef MAYFLY_NODE_ROUTE_FIELDS_H
#define MAYFLY_NODE_ROUTE_FIELDS_H

#include "http/server.h"
#include "node/deployment.h"

/* Of an exchange that one of the deployment's routes answers. False: no memory. */
bool route_fields(const struct deployment *deployment, const struct http_exchange *x, struct http_added *ret);

#endif
