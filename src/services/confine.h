/* What an engine's process can still do, whatever runs in it: talk over the sockets that it has and is sent, and end.
 * That of a store or database reads and writes in its folder; one that talks to servers makes sockets, connects to some
 * ports, and reads what the name system is configured with. */
#ifndef MAYFLY_SERVICES_CONFINE_H
#define MAYFLY_SERVICES_CONFINE_H

#include "base/err.h"
#include "io/landlock.h"

/* It never comes off. What the kernel does not have is left out. Libraries must be loaded before. */
bool confine_enter(const char *folder, struct err *err);
/* The same for the network; `ports`: of TCP. */
bool confine_enter_network(const struct landlock_ports *ports, struct err *err);

/* Leave of the environment what names authorities and configures the name system: libraries of services would take
 * users, passwords and keys from there, which are the operator's and not for guests, nor for whom they ask. */
void confine_environment(void);

/* The file of authorities that TLS is checked by: SSL_CERT_FILE, or the system's. It can be read inside. */
const char *confine_authorities(void);

#endif
