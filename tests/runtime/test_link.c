/* Linking at run time: what one instance exports is what the other one uses, initializers run in their order and stop
 * at a trap, imports match as the core specification says, and no hostile table of an image gets that far.
 *
 * fixtures/provider.wat offers one thing of each kind, consumer.wat uses them all. */
#include "runtime/link.h"

#include "base/sha256.h"
#include "compile/build.h"
#include "runtime/match.h"
#include "runtime/task.h"
#include "support/generator.h"
#include "wasm/build.h"

#include <sys/mman.h>
#include <unistd.h>

#define PROGRAMS_MAX 64

static struct {
    struct program *programs[PROGRAMS_MAX];
    unsigned count;
    struct slot *first, *provider, *consumer;
    struct task task;
} world;

#define OK(expression, err)                                                                                            \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            fail_msg("%s: %s", #expression, (err).message);                                                            \
    } while (0)

/* ---- making instances ---- */

static struct buf compile(const void *bytes, size_t size)
{
    struct err err = {0};
    struct buf image = build_new();
    const struct compile_options options = {.open = true};
    OK(compile_build(bytes, size, &options, test_generator, &image, &err), err);
    OK(image_check(image.data, image.size, &err), err);
    return image;
}

static bool no_hosts(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                     const void **ret_env, struct err *err)
{
    return err_set(err, ERR_LINK, "no host here");
}

static struct program *load(const void *bytes, size_t size)
{
    struct err err = {0};
    struct buf image = compile(bytes, size);
    int fd = memfd_create("link", MFD_CLOEXEC);
    assert_int_equal(write(fd, image.data, image.size), (ssize_t)image.size);
    buf_free(&image);
    struct program *program = program_load(fd, "link", no_hosts, NULL, &err);
    OK(program, err);
    close(fd);
    assert_true(world.count < PROGRAMS_MAX);
    return world.programs[world.count++] = program;
}

static size_t read_fixture(const char *name, uint8_t bytes[65536])
{
    char path[512];
    snprintf(path, sizeof path, SOURCE_DIR "/tests/runtime/fixtures/%s.wasm", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, 65536, file);
    fclose(file);
    return size;
}

static struct program *load_fixture(const char *name)
{
    static uint8_t bytes[65536];
    return load(bytes, read_fixture(name, bytes));
}

/* Module "p" is the provider, "c" the consumer. */
static bool resolve(void *arg, struct str module, struct str name, struct link_extern *ret_extern)
{
    struct slot *slot = str_eq(module, STR("p")) ? world.provider : str_eq(module, STR("c")) ? world.consumer : NULL;
    return slot && instance_export(slot, name, ret_extern);
}

static struct slot *link_program(struct program *program)
{
    struct err err = {0};
    struct slot *slot = NULL;
    OK(trap_install(&err), err); /* the test framework put its own handlers in place */
    OK(instance_link(world.first, program, resolve, NULL, NULL, &slot, NULL, &err), err);
    return slot;
}

static struct err link_fails(struct program *program)
{
    struct err err = {0};
    struct slot *slot = NULL;
    OK(trap_install(&err), err);
    assert_false(instance_link(world.first, program, resolve, NULL, NULL, &slot, NULL, &err));
    assert_null(slot);
    return err;
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof world);
    world.first = world.provider = link_program(load_fixture("provider"));
    world.consumer = link_program(load_fixture("consumer"));
    return 0;
}

static int tear_down(void **state)
{
    slot_destroy(world.first);
    while (world.count)
        program_unload(world.programs[--world.count]);
    stack_drain();
    return 0;
}

/* ---- using them ---- */

static struct link_extern find(struct slot *slot, const char *name)
{
    struct link_extern found = {0};
    if (!instance_export(slot, str_of(name), &found))
        fail_msg("no export %s", name);
    return found;
}

struct run {
    struct link_extern func;
    union cell v[4];
    bool returned;
};

static void body(struct task *task)
{
    struct run *run = task->arg;
    uint32_t params, results;
    const uint8_t *types = link_signature(&run->func, &params, &results);
    run->returned =
        guest_call(world.first->store, link_funcref(&run->func, world.first), types, params, results, run->v);
}

static struct run call(struct slot *slot, const char *name, int32_t a, int32_t b)
{
    struct err err = {0};
    struct run run = {.func = find(slot, name)};
    run.v[0].i32 = a;
    run.v[1].i32 = b;
    OK(trap_install(&err), err);
    OK(task_start(&world.task, world.first, body, &run, NULL, &err), err);
    assert_int_equal(world.task.state, TASK_DONE);
    return run;
}

#define ASSERT_RETURNS(expected, ...)                                                                                  \
    do {                                                                                                               \
        struct run run_ = call(__VA_ARGS__);                                                                           \
        if (!run_.returned)                                                                                            \
            fail_msg("trapped: %s", trap_text(world.task.report.trap));                                                \
        assert_int_equal(run_.v[0].i32, (expected));                                                                   \
    } while (0)

#define ASSERT_TRAPS(expected, ...)                                                                                    \
    do {                                                                                                               \
        struct run run_ = call(__VA_ARGS__);                                                                           \
        assert_false(run_.returned);                                                                                   \
        assert_string_equal(trap_text(world.task.report.trap), trap_text(expected));                                   \
    } while (0)

static int32_t global(struct slot *slot, const char *name)
{
    struct link_extern found = find(slot, name);
    return ((union cell *)link_address(&found))->i32;
}

/* ---- tests ---- */

static void functions_call_across(void **state)
{
    ASSERT_RETURNS(42, world.consumer, "six times", 7, 0);
    ASSERT_RETURNS(20, world.consumer, "twice again", 10, 0);
    ASSERT_RETURNS(77, world.consumer, "call special", 0, 0);
    assert_int_equal(global(world.provider, "count"), 1102); /* start function and two calls */
    assert_int_equal(global(world.consumer, "count again"), 1102);
    assert_ptr_equal(find(world.consumer, "twice again").slot, world.provider);
}

static void initializers_use_imports(void **state)
{
    assert_int_equal(global(world.consumer, "nine"), 9);
    struct link_extern memory = find(world.provider, "memory");
    assert_memory_equal((char *)link_address(&memory) + 9, "nine", 4);
    ASSERT_RETURNS(30, world.provider, "call", 2, 10); /* thrice, in the table of another */
    ASSERT_RETURNS(20, world.provider, "call", 3, 10);
    ASSERT_RETURNS(20, world.provider, "call", 0, 10); /* its own */
    ASSERT_TRAPS(TRAP_UNINITIALIZED_ELEMENT, world.provider, "call", 1, 10);
    ASSERT_RETURNS(20, world.consumer, "call mine", 0, 10); /* from an imported global */
    ASSERT_TRAPS(TRAP_UNINITIALIZED_ELEMENT, world.consumer, "call mine", 1, 10);
    ASSERT_TRAPS(TRAP_INDIRECT_TYPE, world.consumer, "call mine", 2, 10);
    ASSERT_RETURNS(42, world.consumer, "same reference", 0, 0);
}

static void tables_are_shared(void **state)
{
    ASSERT_RETURNS(1, world.consumer, "put", 1, 0);
    ASSERT_RETURNS(88, world.provider, "call-super", 1, 0); /* a subtype, from another image */
    ASSERT_TRAPS(TRAP_INDIRECT_TYPE, world.provider, "call", 1, 0);
    ASSERT_RETURNS(4, world.consumer, "grow table", 2, 0);
    ASSERT_RETURNS(6, world.consumer, "grow table", 4, 0);
    ASSERT_RETURNS(-1, world.consumer, "grow table", 1, 0); /* the maximum of the one that defines it */
    ASSERT_RETURNS(33, world.provider, "call", 9, 11);
    ASSERT_RETURNS(1, world.consumer, "fill table", 1, 0);
    ASSERT_RETURNS(33, world.provider, "call", 1, 11);
    ASSERT_RETURNS(22, world.provider, "call", 2, 11);
    ASSERT_RETURNS(22, world.provider, "call", 3, 11);
    ASSERT_TRAPS(TRAP_TABLE_BOUNDS, world.consumer, "fill table", 8, 0);
}

static void memories_are_shared(void **state)
{
    ASSERT_RETURNS(65531, world.consumer, "copy later", 65531, 0);
    ASSERT_TRAPS(TRAP_MEMORY_BOUNDS, world.consumer, "copy later", 65532, 0);
    ASSERT_RETURNS('r', world.provider, "peek", 65535, 0);
    ASSERT_RETURNS(65531, world.consumer, "between", 65531, 5);
    ASSERT_RETURNS('l', world.consumer, "own byte", 0, 0);
    ASSERT_TRAPS(TRAP_MEMORY_BOUNDS, world.consumer, "touch", 65536, 0);
    ASSERT_RETURNS(1, world.consumer, "grow", 2, 0);
    ASSERT_RETURNS(-1, world.consumer, "grow", 2, 0); /* 4 pages at most */
    ASSERT_RETURNS(3, world.consumer, "grow", 1, 0);
    ASSERT_RETURNS(4 * 65536 - 1, world.consumer, "touch", 4 * 65536 - 1, 0);
    ASSERT_RETURNS(1, world.provider, "peek", 4 * 65536 - 1, 0);
}

static void exceptions_cross(void **state)
{
    ASSERT_RETURNS(5, world.consumer, "catch", 5, 0);
}

static void traps_keep_what_came_before(void **state)
{
    struct program *program = load_fixture("trapping");
    struct err err = link_fails(program);
    assert_int_equal(err.kind, ERR_TRAP);
    assert_string_equal(err.message, trap_text(TRAP_TABLE_BOUNDS));
    ASSERT_RETURNS(0, world.provider, "call", 3,
                   0); /* in the table, and its instance lives; its data was not written */
    ASSERT_TRAPS(TRAP_MEMORY_BOUNDS, world.provider, "call", 3, 65536);
}

static void nothing_runs_unlinked(void **state)
{
    struct err err = {0};
    assert_null(slot_acquire(world.programs[1], &err));
    assert_int_equal(err.kind, ERR_LINK);
    struct slot *slot = NULL;
    assert_false(instance_link(NULL, world.programs[1], resolve, NULL, NULL, &slot, NULL, &err)); /* of another store */
    assert_int_equal(err.kind, ERR_LINK);
}

/* ---- matching ---- */

#define I32 0x7f
#define I64 0x7e
#define FUNCREF 0x70
#define MATCHING(name_, ...) {true, name_, {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})}
#define DIFFERENT(name_, ...) {false, name_, {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})}

/* Descriptions of imports (core specification, section 5.5.5) under the types of import_one. */
static const struct {
    bool matches;
    const char *name;
    uint8_t description[8];
    size_t size;
} imports[] = {
    MATCHING("twice", 0, 0),
    DIFFERENT("twice", 0, 1),
    MATCHING("special", 0, 2), /* its type, and the one above */
    MATCHING("special", 0, 3),
    DIFFERENT("special", 0, 1),
    DIFFERENT("special", 0, 4), /* equal but final: another type */
    DIFFERENT("twice", 2, 0, 1),
    MATCHING("table", 1, FUNCREF, 0, 0),
    MATCHING("table", 1, FUNCREF, 1, 4, 10),
    DIFFERENT("table", 1, FUNCREF, 0, 5),
    DIFFERENT("table", 1, FUNCREF, 1, 0, 9),
    DIFFERENT("table", 1, FUNCREF, 4, 0),
    DIFFERENT("table", 1, 0x6f, 0, 0),
    DIFFERENT("table", 1, 0x63, 0, 0, 0), /* (ref null 0) */
    MATCHING("memory", 2, 0, 1),
    MATCHING("memory", 2, 1, 0, 4),
    DIFFERENT("memory", 2, 0, 2),
    DIFFERENT("memory", 2, 1, 1, 3),
    DIFFERENT("memory", 2, 3, 1, 4), /* shared */
    DIFFERENT("memory", 2, 4, 1), /* 64-bit */
    MATCHING("seven", 3, I32, 0),
    DIFFERENT("seven", 3, I32, 1),
    DIFFERENT("seven", 3, I64, 0),
    MATCHING("count", 3, I32, 1),
    DIFFERENT("count", 3, I32, 0),
    MATCHING("twice-ref", 3, 0x64, 0, 0), /* (ref 0) and what is above it */
    MATCHING("twice-ref", 3, 0x63, 0, 0),
    MATCHING("twice-ref", 3, FUNCREF, 0),
    DIFFERENT("twice-ref", 3, FUNCREF, 1),
    DIFFERENT("twice-ref", 3, 0x64, 2, 0),
    DIFFERENT("twice-ref", 3, 0x6e, 0),
    DIFFERENT("twice-ref", 3, 0x73, 0), /* nofunc is below it */
    MATCHING("tag", 4, 0, 5),
    DIFFERENT("tag", 4, 0, 6),
};

/* (import "p" name description), under the provider's types and three more. */
static struct buf import_one(const char *name, const uint8_t *description, size_t size)
{
    struct buf module = build_module(), section = build_new();
    SECTION(&module, 1, 7, 0x60, 1, I32, 1, I32, /* 0 */
            0x60, 1, I64, 1, I32, /* 1 */
            0x50, 0, 0x60, 0, 1, I32, /* 2: sub */
            0x50, 1, 2, 0x60, 0, 1, I32, /* 3: sub 2 */
            0x60, 0, 1, I32, /* 4 */
            0x60, 1, I32, 0, /* 5 */
            0x60, 1, I64, 0); /* 6 */
    BYTES(&section, 1, 1, 'p', (uint8_t)strlen(name));
    buf_append(&section, name, strlen(name));
    buf_append(&section, description, size);
    build_section(&module, 2, section);
    return module;
}

static void imports_match_by_type(void **state)
{
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++) {
        struct buf module = import_one(imports[i].name, imports[i].description, imports[i].size);
        struct program *program = load(module.data, module.size);
        struct err err = {0};
        struct slot *slot;
        bool linked = instance_link(world.first, program, resolve, NULL, NULL, &slot, NULL, &err);
        if (linked != imports[i].matches)
            fail_msg("import %zu, of %s: %s", i, imports[i].name, linked ? "matches" : err.message);
        if (!linked)
            assert_non_null(strstr(err.message, "incompatible import type"));
        buf_free(&module);
    }
}

static void imports_must_exist(void **state)
{
    struct buf module = import_one("absent", (const uint8_t[]){0, 0}, 2);
    struct err err = link_fails(load(module.data, module.size));
    assert_int_equal(err.kind, ERR_LINK);
    assert_string_equal(err.message, "unknown import p.absent");
    buf_free(&module);
}

static void sizes_are_those_of_now(void **state)
{
    ASSERT_RETURNS(1, world.consumer, "grow", 1, 0);
    ASSERT_RETURNS(4, world.consumer, "grow table", 3, 0);
    struct buf memory = import_one("memory", (const uint8_t[]){2, 0, 2}, 3);
    struct buf table = import_one("table", (const uint8_t[]){1, FUNCREF, 0, 7}, 4);
    link_program(load(memory.data, memory.size));
    link_program(load(table.data, table.size));
    buf_free(&memory);
    buf_free(&table);
}

/* ---- hostile images ---- */

static void seal(struct buf *image)
{
    struct image_header *header = (struct image_header *)image->data;
    memset(header->digest, 0, sizeof header->digest);
    uint8_t digest[32];
    sha256(image->data, image->size, digest);
    memcpy(header->digest, digest, sizeof digest);
}

static bool still_good(struct buf *image)
{
    seal(image);
    return image_check(image->data, image->size, NULL);
}

typedef struct image_extern row_opens, row_offers;
typedef struct image_memory row_memories;
typedef struct image_table row_tables;
typedef struct image_type row_types;

/* Set a field of a row to something else: the check must refuse the image. */
#define FORGE(bytes, section, row, field, value)                                                                       \
    do {                                                                                                               \
        const struct image_header *header_ = (const struct image_header *)(bytes)->data;                               \
        row_##section *at_ = (row_##section *)((bytes)->data + header_->sections[IMAGE_##section].offset) + (row);     \
        row_##section saved_ = *at_;                                                                                   \
        at_->field = (value);                                                                                          \
        if (still_good(bytes))                                                                                         \
            fail_msg("%s[%d]." #field " = %s passes", #section, (int)(row), #value);                                   \
        *at_ = saved_;                                                                                                 \
    } while (0)

static int row_of(const struct image_extern *rows, uint64_t count, enum wasm_extern_kind kind)
{
    for (uint64_t i = 0; i < count; i++)
        if (rows[i].kind == kind)
            return (int)i;
    return -1;
}

static void forge_row(struct buf *image, enum wasm_extern_kind kind)
{
    struct image view = {image->data, (const struct image_header *)image->data};
    const struct image_header *header = view.header;
    int open = row_of(image_opens(&view), image_opens_count(&view), kind);
    int offer = row_of(image_offers(&view), image_offers_count(&view), kind);
    assert_true(open >= 0);
    FORGE(image, opens, open, place, 0);
    FORGE(image, opens, open, place, header->fixed_size - 8);
    FORGE(image, opens, open, place, header->fixed_size);
    FORGE(image, opens, open, place, image_opens(&view)[open].place + 4);
    FORGE(image, opens, open, kind, 5);
    FORGE(image, opens, open, page_log2, 64);
    FORGE(image, opens, open, name.offset, UINT32_MAX);
    FORGE(image, opens, open, module.size, UINT32_MAX);
    FORGE(image, opens, open, type, 0x3fffff00 | 0x40);
    if (offer < 0)
        return;
    FORGE(image, offers, offer, kind, 6);
    FORGE(image, offers, offer, open, (uint32_t)image_opens_count(&view));
    if (kind == WASM_FUNC || kind == WASM_TAG)
        FORGE(image, offers, offer, type, (uint32_t)image_types_count(&view));
}

static void forged_externs_are_refused(void **state)
{
    static uint8_t bytes[65536];
    size_t size = read_fixture("consumer", bytes);
    struct buf image = compile(bytes, size);
    for (int kind = WASM_FUNC; kind <= WASM_TAG; kind++)
        forge_row(&image, kind);
    FORGE(&image, memories, 0, words_off, 8);
    FORGE(&image, memories, 0, owner, 1);
    FORGE(&image, tables, 0, words_off, UINT64_MAX - 7);
    FORGE(&image, types, 0, encoding_size, UINT32_MAX);
    FORGE(&image, types, 0, types_first, UINT32_MAX);
    ((struct image_header *)image.data)->joinable = 0;
    assert_false(still_good(&image));
    buf_free(&image);
    size = read_fixture("provider", bytes);
    image = compile(bytes, size);
    struct image view = {image.data, (const struct image_header *)image.data};
    for (int i = 0; i < (int)image_offers_count(&view); i++) {
        FORGE(&image, offers, i, place, UINT64_MAX);
        FORGE(&image, offers, i, place, view.header->slot_size);
        FORGE(&image, offers, i, open, 0);
    }
    FORGE(&image, memories, 0, size_off, image_memories(&view)[0].size_off + 4);
    FORGE(&image, tables, 0, length_off, image_tables(&view)[0].length_off + 4);
    FORGE(&image, tables, 0, entries_off, image_tables(&view)[0].entries_off + 1);
    buf_free(&image);
}

typedef struct image_import row_imports;
typedef struct image_export row_exports;

/* Handles of the host's resources hold pointers: no function of the component may make them. And the memory that the
 * host writes to is one of the image's. */
static void forged_resources_and_options_are_refused(void **state)
{
    uint8_t bytes[4096];
    FILE *file = fopen(SOURCE_DIR "/tests/component/fixtures/resource.wasm", "rb");
    assert_non_null(file);
    struct buf image = compile(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    struct image view = {image.data, (const struct image_header *)image.data};
    int makers = 0;
    for (int i = 0; i < (int)image_imports_count(&view); i++) {
        FORGE(&image, imports, i, resource_type, 1);
        FORGE(&image, imports, i, canon.memory_off, 0);
        makers += image_imports(&view)[i].kind == HOST_RESOURCE_NEW;
        if (image_imports(&view)[i].kind == HOST_RESOURCE_NEW)
            FORGE(&image, imports, i, resource_type, WASM_NO_INDEX);
    }
    for (int i = 0; i < (int)image_exports_count(&view); i++)
        FORGE(&image, exports, i, canon.memory_off, view.header->fixed_size);
    assert_int_not_equal(makers, 0);
    buf_free(&image);
}

/* Numbers at random places of the tables become extreme: the check answers without reading outside the image. */
static void randomly_forged_images_are_refused_or_harmless(void **state)
{
    static uint8_t bytes[65536];
    static const uint64_t values[] = {0, 1, 7, 4095, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 40};
    unsigned seed = 20261124, refused = 0;
    struct buf image = compile(bytes, read_fixture("consumer", bytes));
    const struct image_header *header = (const struct image_header *)image.data;
    const enum image_section sections[] = {IMAGE_types, IMAGE_opens, IMAGE_offers, IMAGE_memories, IMAGE_tables};
    const size_t sizes[] = {sizeof(struct image_type), sizeof(struct image_extern), sizeof(struct image_extern),
                            sizeof(struct image_memory), sizeof(struct image_table)};
    for (int round = 0; round < 2000; round++) {
        size_t which = (size_t)rand_r(&seed) % (sizeof sections / sizeof *sections);
        struct image_range range = header->sections[sections[which]];
        uint8_t *copy = malloc(image.size); /* its own block, so that a sanitizer sees its end */
        memcpy(copy, image.data, image.size);
        uint64_t at = range.offset + (uint64_t)rand_r(&seed) % (range.count * sizes[which] - 8);
        memcpy(copy + (at & ~(uint64_t)3), &values[(size_t)rand_r(&seed) % (sizeof values / sizeof *values)],
               rand_r(&seed) % 2 ? 8 : 4);
        struct buf forged = {.data = copy, .size = image.size};
        refused += !still_good(&forged);
        free(copy);
    }
    assert_true(refused > 300);
    buf_free(&image);
}

/* What a hash stands for is compared when images meet. */
static void collisions_are_refused(void **state)
{
    static uint8_t bytes[65536];
    struct buf image = compile(bytes, read_fixture("provider", bytes));
    struct image view = {image.data, (const struct image_header *)image.data};
    struct buf other = build_new();
    buf_append(&other, image.data, image.size);
    struct image copy = {other.data, (const struct image_header *)other.data};
    assert_true(match_types(&view, &copy));
    const struct image_type *type = &image_types(&copy)[0];
    other.data[copy.header->sections[IMAGE_bytes].offset + type->encoding_first] ^= 1;
    assert_false(match_types(&view, &copy));
    buf_free(&image);
    buf_free(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(functions_call_across),
        TEST(initializers_use_imports),
        TEST(tables_are_shared),
        TEST(memories_are_shared),
        TEST(exceptions_cross),
        TEST(traps_keep_what_came_before),
        TEST(nothing_runs_unlinked),
        TEST(imports_match_by_type),
        TEST(imports_must_exist),
        TEST(sizes_are_those_of_now),
        cmocka_unit_test(forged_externs_are_refused),
        cmocka_unit_test(forged_resources_and_options_are_refused),
        cmocka_unit_test(randomly_forged_images_are_refused_or_harmless),
        cmocka_unit_test(collisions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
