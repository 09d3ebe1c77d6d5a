/* What the compiler child writes before the image. Both ends are the same build. */
#ifndef MAYFLY_COMPILE_RESULT_H
#define MAYFLY_COMPILE_RESULT_H

#include "base/err.h"

#define COMPILE_RESULT_MAGIC 0x746c7573657266ull

struct compile_result {
    uint64_t magic;
    uint64_t done;  /* 1: the image follows; 0: err is set */
    struct err err;
};

#endif
