/* TLS of connections to servers, where their libraries have none of their own or are to use ours. Every server shows a
 * certificate of an authority that is known (confine.h) for the host that was asked for. */
#ifndef MAYFLY_SERVICES_SECURE_H
#define MAYFLY_SERVICES_SECURE_H

#include "http/tls.h"

/* Load OpenSSL and let it read its configuration, if it is installed: now, for later there is a sandbox. */
void secure_prepare(void);
/* The one of this process, made when it is first needed; the caller must not free it. NULL: it cannot be. */
struct tls_context *secure_context(struct err *err);

#endif
