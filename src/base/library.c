/* See library.h. */
#include "base/library.h"

#include <dlfcn.h>

bool library_load(const struct library *library, struct err *err)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        err_set(err, ERR_UNSUPPORTED, "%s: %s", library->lacking, dlerror());
        return err_remedy(err, "%s", library->remedy);
    }
    for (size_t i = 0; i < library->symbol_count; i++) {
        *library->symbols[i].to = dlsym(handle, library->symbols[i].name);
        if (!*library->symbols[i].to)
            return err_set(err, ERR_UNSUPPORTED, "%s lacks %s", library->file, library->symbols[i].name);
    }
    return true;
}
