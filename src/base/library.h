/* Libraries that are loaded when somebody first needs them, so that a program that never does needs none of them. */
#ifndef MAYFLY_BASE_LIBRARY_H
#define MAYFLY_BASE_LIBRARY_H

#include "base/err.h"

#include <stddef.h>

/* `to`: the pointer to the function, which has the type of its declaration. */
struct library_symbol {
    const char *name;
    void **to;
};

struct library {
    const char *file;   /* "libssl.so.3" */
    const char *lacking; /* what cannot be done without it: "no TLS" */
    const char *remedy; /* "install OpenSSL 3 (Debian: libssl3)" */
    const struct library_symbol *symbols;
    size_t symbol_count;
};

/* Load it and find all symbols; it stays for the rest of the process. ERR_UNSUPPORTED: it is not there, or lacks one.
 */
bool library_load(const struct library *library, struct err *err);

#endif
