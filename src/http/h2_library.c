/* See h2_library.h. */
#include "http/h2_library.h"

#include "base/library.h"

struct h2_library nghttp2;

bool h2_load(struct err *err)
{
#define SYMBOL(name) {"nghttp2_" #name, (void **)&nghttp2.name},
    static const struct library_symbol symbols[] = {H2_FUNCTIONS(SYMBOL)};
#undef SYMBOL
    static const struct library library = {"libnghttp2.so.14", "no HTTP/2", "install nghttp2 (Debian: libnghttp2-14)",
                                           symbols, sizeof symbols / sizeof *symbols};
    return nghttp2.loaded || (nghttp2.loaded = library_load(&library, err));
}
