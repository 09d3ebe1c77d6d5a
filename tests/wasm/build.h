/* Modules for tests, written byte by byte into a buf. */
#ifndef MAYFLY_TESTS_WASM_BUILD_H
#define MAYFLY_TESTS_WASM_BUILD_H

#include "base/buf.h"
#include "wasm/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUILD_MAX ((size_t)1 << 30)

#define BYTES(b, ...)                                                                                                  \
    do {                                                                                                               \
        const uint8_t bytes_[] = {__VA_ARGS__};                                                                        \
        buf_append((b), bytes_, sizeof bytes_);                                                                        \
    } while (0)

static inline void build_u32(struct buf *b, uint32_t value)
{
    do {
        uint8_t byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        buf_append(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline struct buf build_new(void)
{
    struct buf b;
    buf_init(&b, BUILD_MAX);
    return b;
}

static inline struct buf build_module(void)
{
    struct buf b = build_new();
    BYTES(&b, 0, 'a', 's', 'm', 1, 0, 0, 0);
    return b;
}

/* A section with the contents of `content`, which is freed. */
static inline void build_section(struct buf *module, uint8_t id, struct buf content)
{
    BYTES(module, id);
    build_u32(module, (uint32_t)content.size);
    buf_append(module, content.data, content.size);
    buf_free(&content);
}

#define SECTION(module, id, ...)                                                                                       \
    do {                                                                                                               \
        struct buf content_ = build_new();                                                                             \
        BYTES(&content_, __VA_ARGS__);                                                                                 \
        build_section((module), (id), content_);                                                                       \
    } while (0)

/* A code section with one body, which is freed. */
static inline void build_code(struct buf *module, struct buf body)
{
    struct buf section = build_new();
    BYTES(&section, 1);
    build_u32(&section, (uint32_t)body.size);
    buf_append(&section, body.data, body.size);
    buf_free(&body);
    build_section(module, 10, section);
}

/* One function of type 0, [] -> [], whose body has no locals and these bytes. */
#define FUNCTION(module, ...)                                                                                          \
    do {                                                                                                               \
        struct buf body_ = build_new();                                                                                \
        BYTES(&body_, 0, __VA_ARGS__);                                                                                 \
        SECTION((module), 1, 1, 0x60, 0, 0);                                                                           \
        SECTION((module), 3, 1, 0);                                                                                    \
        build_code((module), body_);                                                                                   \
    } while (0)

static inline bool build_bodies(const struct wasm_module *module, const struct wasm_visitor *visitor, void *arg,
                                struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    bool valid = scratch != NULL;
    for (uint32_t i = module->imported_funcs; valid && i < module->func_count; i++)
        valid = wasm_body_read(module, i, scratch, visitor, arg, err);
    wasm_body_scratch_free(scratch);
    return valid;
}

/* Load and read all bodies; `b` is freed. */
static inline struct err build_check(struct buf b)
{
    struct err err = {0};
    struct arena arena;
    struct wasm_module *module;
    arena_init(&arena, BUILD_MAX * 2);
    assert_false(b.failed);
    if (wasm_load(b.data, b.size, &arena, &module, &err))
        build_bodies(module, NULL, NULL, &err);
    arena_free(&arena);
    buf_free(&b);
    return err;
}

#define ASSERT_REFUSED(module, expected_kind, expected_offset, words)                                                  \
    do {                                                                                                               \
        struct err err_ = build_check(module);                                                                         \
        if (!strstr(err_.message, (words)))                                                                            \
            fail_msg("expected \"%s\", got \"%s\"", (words), err_.message);                                            \
        assert_int_equal(err_.kind, (expected_kind));                                                                  \
        assert_int_equal(err_.offset, (expected_offset));                                                              \
    } while (0)

#define ASSERT_VALID(module)                                                                                           \
    do {                                                                                                               \
        struct err err_ = build_check(module);                                                                         \
        if (err_.kind != ERR_NONE)                                                                                     \
            fail_msg("offset 0x%llx: %s", (unsigned long long)err_.offset, err_.message);                              \
    } while (0)

#endif
