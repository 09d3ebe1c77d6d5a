/* Fuzz target: the tables of an image as a compiler child under foreign control might write them, digest right. What
 * the check lets through is loaded, instances are made of it, and everything in it is looked up; its code is not run,
 * because that is trusted (image/format.h).
 *
 * An input is a list of edits: the first byte chooses the image, then each EDIT_BYTES are one. */
#include "fuzz/fuzz.h"
#include "fuzz/last.h"

#include "base/sha256.h"
#include "codegen/codegen.h"
#include "compile/build.h"
#include "runtime/backtrace.h"
#include "runtime/link.h"
#include "runtime/match.h"
#include "runtime/task.h"

#include <sys/mman.h>

#define EDIT_BYTES 12u
#define EDITS_MAX 8u

static const struct {
    const char *file;
    bool open;
} sources[] = {
    {"tests/contract/fixtures/callee.wasm", false},    {"tests/runtime/fixtures/provider.wasm", true},
    {"tests/runtime/fixtures/consumer.wasm", true},    {"tests/codegen/fixtures/mixed.wasm", false},
    {"tests/e2e/guests/process.wasm", false},          {"examples/hello-c/hello.wasm", false},
    {"tests/component/fixtures/resource.wasm", false},
};
#define IMAGE_COUNT (sizeof sources / sizeof *sources)

static struct buf images[IMAGE_COUNT];
static struct buf other; /* joinable, what others are matched with */

static void make_image(const char *file, bool open, struct buf *ret_image)
{
    static uint8_t bytes[1 << 20];
    char path[512];
    struct err err = {0};
    const struct compile_options options = {.open = open};
    snprintf(path, sizeof path, SOURCE_DIR "/%s", file);
    FILE *in = fopen(path, "rb");
    FUZZ_CHECK(in);
    size_t size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    buf_init(ret_image, (size_t)1 << 28);
    FUZZ_CHECK(compile_build(bytes, size, &options, codegen_llvm, ret_image, &err));
}

static const struct buf *base_image(uint8_t choice)
{
    size_t which = choice % IMAGE_COUNT;
    if (!images[which].data)
        make_image(sources[which].file, sources[which].open, &images[which]);
    if (!other.data)
        make_image(sources[1].file, true, &other);
    return &images[which];
}

/* ---- edits ---- */

static const uint32_t row_sizes[] = {
#define SECTION(name, type) sizeof(type),
    IMAGE_SECTIONS(SECTION)
#undef SECTION
};

/* A place in the header or in a table, a multiple of four, with room for eight bytes; 0: there is none. */
static uint64_t place_of(const struct image_header *header, uint8_t where, uint16_t row)
{
    uint64_t start = offsetof(struct image_header, options), size = sizeof *header - start;
    if (where % 5) {
        where %= IMAGE_SECTION_COUNT;
        start = header->sections[where].offset;
        size = header->sections[where].count * row_sizes[where];
    }
    return size < 8 ? 0 : start + (uint64_t)row * 4 % (size - 7) / 4 * 4;
}

/* `header`: of the image before all edits. */
static void edit(uint8_t *bytes, const struct image_header *header, const uint8_t *how)
{
    uint16_t row, from;
    uint64_t value, old = 0;
    memcpy(&row, how + 1, sizeof row);
    memcpy(&value, how + 4, sizeof value);
    memcpy(&from, &value, sizeof from);
    uint64_t at = place_of(header, how[0], row), source = place_of(header, how[6], from);
    size_t width = how[3] & 1 ? 8 : 4;
    if (!at || !source)
        return;
    memcpy(&old, bytes + at, width);
    switch (how[3] >> 1 & 3) {
    case 0: break;
    case 1: value = old + (uint64_t)(int64_t)(int8_t)how[4]; break;
    case 2: memcpy(&value, bytes + source, width); break;
    default: value = (uint64_t)1 << (how[4] & 63); break;
    }
    memcpy(bytes + at, &value, width);
}

static void seal(uint8_t *bytes, size_t size)
{
    struct image_header *header = (struct image_header *)bytes;
    uint8_t digest[32];
    memset(header->digest, 0, sizeof header->digest);
    sha256(bytes, size, digest);
    memcpy(header->digest, digest, sizeof digest);
}

/* ---- what follows the check ---- */

static bool never_called(struct store *store, const void *env, union cell *v)
{
    abort();
}

static bool accept(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                   const void **ret_env, struct err *err)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s%.*s", STR_ARG(image_str(image, import->interface)),
             STR_ARG(image_str(image, import->signature)));
    *ret_fn = never_called;
    *ret_env = NULL;
    return true;
}

/* Any code offset; names and sites, as a backtrace asks for them. */
static void look_up_code(const struct program *program)
{
    const struct image_header *header = program->image.header;
    struct trap_report report = {0};
    char line[256];
    for (uint64_t at = 0; at < header->exec_size; at += 1 + header->exec_size / 64)
        if (report.frame_count < TRAP_FRAMES_MAX)
            report.frames[report.frame_count++] = program->text_low + at;
    for (uint32_t i = 0; i < report.frame_count; i++)
        trap_describe_frame(&report, i, line, sizeof line);
}

static void look_up_types(const struct image *image, const struct image *provider)
{
    for (uint64_t i = 0; i < image_types_count(image); i++)
        for (uint64_t k = 0; k < image_types_count(image) && k < 16; k++)
            image_subtype(image, image_types(image)[i].hash, image_types(image)[k].hash);
    match_types(image, provider);
    for (uint64_t i = 0; i < image_opens_count(image); i++)
        for (uint64_t k = 0; k < image_offers_count(provider); k++)
            match_extern(provider, &image_offers(provider)[k], 1, image, &image_opens(image)[i]);
    for (uint64_t i = 0; i < image_offers_count(image); i++)
        for (uint64_t k = 0; k < image_opens_count(image); k++)
            match_extern(image, &image_offers(image)[i], 1, image, &image_opens(image)[k]);
}

static void look_up_exports(struct slot *slot)
{
    struct link_extern found;
    const struct image *image = &slot->program->image;
    program_export(slot->program, STR("wasi:http/*"), STR("handle"));
    for (uint64_t i = 0; i < image_offers_count(image); i++) {
        const struct image_extern *row = &image_offers(image)[i];
        if (row->open == WASM_NO_INDEX && instance_export(slot, image_str(image, row->name), &found) &&
            found.row->kind != WASM_FUNC && found.row->open == WASM_NO_INDEX) {
            const uint64_t *size = link_size(&found);
            FUZZ_CHECK(link_address(&found) && (!size || *size < UINT64_MAX));
        }
    }
}

static void use_program(struct program *program)
{
    struct err err = {0};
    bool joinable = program->image.header->joinable;
    const struct image provider = {other.data, (const struct image_header *)other.data};
    look_up_code(program);
    look_up_types(&program->image, &provider);
    struct slot *slot = joinable ? slot_open(program, &err) : slot_acquire(program, &err);
    if (!slot) {
        fuzz_check_error(&err, 0);
        return;
    }
    look_up_exports(slot);
    if (joinable)
        slot_destroy(slot);
    else
        slot_release(slot);
}

/* An image with start functions is not loaded unless it is one that is linked first: they would run. */
static void load(const uint8_t *bytes, size_t size)
{
    struct err err = {0};
    const struct image image = {bytes, (const struct image_header *)bytes};
    if (image_starts_count(&image) && !image.header->joinable)
        return;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    struct program *program = program_load(fd, "fuzz", accept, NULL, &err);
    close(fd);
    if (!program) {
        fuzz_check_error(&err, 0);
        return;
    }
    use_program(program);
    program_unload(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size == 0)
        return 0;
    last_keep(data, size);
    const struct buf *base = base_image(data[0]);
    uint8_t *copy = fuzz_copy(base->data, base->size);
    for (size_t i = 0; i < EDITS_MAX && (i + 1) * EDIT_BYTES < size; i++)
        edit(copy, (const struct image_header *)base->data, data + 1 + i * EDIT_BYTES);
    seal(copy, base->size);
    if (image_check(copy, base->size, &err))
        load(copy, base->size);
    else
        fuzz_check_error(&err, 0);
    free(copy);
    return 0;
}
