/* The C functions that guest code calls for what is too large to be inlined: see image/helpers.def. */
#ifndef MAYFLY_RUNTIME_HELPERS_H
#define MAYFLY_RUNTIME_HELPERS_H

extern const void *const helper_table[];

#endif
