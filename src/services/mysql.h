/* MySQL and MariaDB: the protocol of a line. libmariadb speaks it, by those of its functions that do not wait. */
#ifndef MAYFLY_SERVICES_MYSQL_H
#define MAYFLY_SERVICES_MYSQL_H

#include "services/line.h"

/* Statements of guests: STORAGE_QUERY. */
extern const struct protocol mysql_protocol;

#endif
