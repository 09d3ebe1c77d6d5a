/* See secure.h. */
#include "services/secure.h"

#include "base/library.h"
#include "services/confine.h"

#include <stdint.h>

void secure_prepare(void)
{
    static int (*init)(uint64_t options, const void *settings);
    static const struct library_symbol symbols[] = {{"OPENSSL_init_ssl", (void **)&init}};
    static const struct library library = {"libssl.so.3", "no TLS", "install OpenSSL 3 (Debian: libssl3)", symbols, 1};
    if (tls_prepare(NULL) && library_load(&library, NULL))
        init(0, NULL);
}

struct tls_context *secure_context(struct err *err)
{
    static struct tls_context *context;
    if (!context)
        context = tls_context_new(confine_authorities(), err);
    return context;
}
