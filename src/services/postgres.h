/* PostgreSQL: the protocol of a line. libpq speaks it; it is told a numeric address, so that it looks nothing up. */
#ifndef MAYFLY_SERVICES_POSTGRES_H
#define MAYFLY_SERVICES_POSTGRES_H

#include "services/line.h"

/* Statements of guests: STORAGE_QUERY. */
extern const struct protocol postgres_protocol;

#endif
