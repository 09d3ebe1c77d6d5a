/* A small module with something of everything, for tests that damage modules. */
#ifndef MAYFLY_TESTS_WASM_RICH_H
#define MAYFLY_TESTS_WASM_RICH_H

#include "wasm/build.h"

/* Types, imports, tables, memories, tags, segments, around the body of its only function, [i32] -> [i32]; the body is
 * freed. */
static inline struct buf build_rich_around(struct buf body)
{
    struct buf b = build_module();
    SECTION(&b, 1, 4, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0, 0x4e, 2, 0x50, 0, 0x5f, 2, 0x7f, 1, 0x63, 3, 0, 0x5e, 0x78, 1,
            0x60, 1, 0x7f, 0);
    SECTION(&b, 2, 2, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 'g', 3, 0x7f, 0);
    SECTION(&b, 3, 1, 0);
    SECTION(&b, 4, 2, 0x70, 1, 2, 9, 0x40, 0, 0x64, 0x70, 0, 1, 0xd2, 0, 0x0b);
    SECTION(&b, 5, 2, 1, 1, 2, 5, 1, 2);
    SECTION(&b, 13, 1, 0, 4);
    SECTION(&b, 6, 2, 0x7f, 1, 0x41, 1, 0x41, 2, 0x6a, 0x0b, 0x63, 2, 0, 0xfb, 1, 2, 0x0b);
    SECTION(&b, 7, 2, 1, 'a', 0, 1, 1, 'b', 2, 0);
    SECTION(&b, 9, 2, 0, 0x41, 0, 0x0b, 1, 0, 5, 0x70, 1, 0xd0, 0x70, 0x0b);
    SECTION(&b, 12, 1);
    build_code(&b, body);
    SECTION(&b, 11, 1, 0, 0x41, 0, 0x0b, 3, 'a', 'b', 'c');
    SECTION(&b, 0, 4, 'n', 'a', 'm', 'e', 1, 4, 1, 0, 1, 'f');
    return b;
}

/* Blocks, vectors, GC, exceptions, atomics in the body. */
static inline struct buf build_rich(void)
{
    struct buf body = build_new();
    BYTES(&body, 2, 1, 0x7e, 1, 0x64, 2);
    BYTES(&body, 0x20, 0, 0x04, 0x40, 0x41, 4, 0x41, 0, 0x28, 2, 0, 0x6a, 0x1a, 0x05, 0x42, 1, 0x21, 1, 0x0b);
    BYTES(&body, 0x41, 1, 0xd0, 3, 0xfb, 0, 2, 0x21, 2, 0x20, 2, 0xfb, 2, 2, 0, 0x1a);
    BYTES(&body, 0x02, 0x40, 0x1f, 0x40, 1, 2, 0, 0x41, 1, 0x08, 0, 0x0b, 0x0b);
    BYTES(&body, 0x41, 0, 0xfd, 15, 0xfd, 22, 3, 0x1a, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0);
    BYTES(&body, 0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x0e, 2, 0, 1, 0, 0x0b, 0x0b);
    BYTES(&body, 0x42, 0, 0x41, 1, 0x36, 0x42, 1, 8, 0x20, 0, 0x10, 0, 0x41, 0, 0x11, 0, 0, 0x0b);
    return build_rich_around(body);
}

#endif
