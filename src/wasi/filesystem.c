/* wasi:filesystem, as far as a function has one: no directory is granted, so no descriptor ever exists and only
 * what needs none can be called. */
#include "wasi/gen/wasi_filesystem.h"
#include "wasi/object.h"

bool wasi_filesystem_preopens_get_directories(struct host *h, struct list_tuple_wasi_filesystem_descriptor_str *ret)
{
    *ret = (struct list_tuple_wasi_filesystem_descriptor_str){0};
    return true;
}

/* No stream of ours fails with an error of a file. */
bool wasi_filesystem_types_filesystem_error_code(struct host *h, struct wasi_io_error *err_,
                                                 struct option_wasi_filesystem_types_error_code *ret)
{
    ret->some = false;
    return true;
}
