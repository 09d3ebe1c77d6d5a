/* Fuzz target: any bytes as the body of a function, in a module that has something of everything. So all of the input
 * is instructions. What is valid is compiled, and the image must pass its check. */
#include "fuzz/fuzz.h"
#include "fuzz/last.h"

#include "compile/build.h"
#include "image/format.h"
#include "support/ways.h"
#include "wasm/rich.h"

#define IMAGE_MAX ((size_t)1 << 28)

static bool is_valid(const struct buf *module)
{
    struct arena arena;
    struct wasm_module *read;
    struct err err = {0};
    uint8_t *copy = fuzz_copy(module->data, module->size);
    const char *difference;
    bool agreed;
    arena_init(&arena, IMAGE_MAX);
    if (!ways_agree(copy, module->size, &agreed, &err, &difference)) {
        fprintf(stderr, "%s\n", difference);
        abort();
    }
    err = (struct err){0};
    bool valid = wasm_load(copy, module->size, &arena, &read, &err) && build_bodies(read, NULL, NULL, &err);
    if (!valid)
        fuzz_check_error(&err, module->size);
    arena_free(&arena);
    free(copy);
    return valid;
}

static void compile(const struct buf *module)
{
    const struct compile_options options = {.open = true};
    struct buf image;
    struct err err = {0};
    buf_init(&image, IMAGE_MAX);
    if (!compile_build(module->data, module->size, &options, codegen_llvm, &image, &err)) {
        fprintf(stderr, "valid, but: offset 0x%llx: %s\n", (unsigned long long)err.offset, err.message);
        FUZZ_CHECK(err.kind == ERR_LIMIT || err.kind == ERR_UNSUPPORTED);
    } else if (!image_check(image.data, image.size, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    buf_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf body = build_new();
    last_keep(data, size);
    buf_append(&body, data, size);
    struct buf module = build_rich_around(body);
    if (is_valid(&module))
        compile(&module);
    buf_free(&module);
    return 0;
}
