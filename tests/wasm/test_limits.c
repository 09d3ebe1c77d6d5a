/* Every cap of limits.h, at N and at N + 1. N must not be refused for the cap (what was built may
 * have other faults); N + 1 must be ERR_LIMIT in the cap's words. */
#include "wasm/build.h"

#include "wasm/limits.h"

#include <sys/mman.h>

/* A section of `count` times the same item. */
static void repeat(struct buf *content, uint32_t count, const uint8_t *item, size_t size)
{
    for (uint32_t i = 0; i < count; i++)
        buf_append(content, item, size);
}

#define REPEAT(content, count, ...)                                                                                    \
    do {                                                                                                               \
        const uint8_t item_[] = {__VA_ARGS__};                                                                         \
        repeat((content), (count), item_, sizeof item_);                                                               \
    } while (0)

#define ITEMS(name, id, ...)                                                                                           \
    static void name(struct buf *module, uint32_t n)                                                                   \
    {                                                                                                                  \
        struct buf content = build_new();                                                                              \
        build_u32(&content, n);                                                                                        \
        REPEAT(&content, n, __VA_ARGS__);                                                                              \
        build_section(module, (id), content);                                                                          \
    }

ITEMS(types, 1, 0x5f, 0)
ITEMS(imports, 2, 0, 0, 3, 0x7f, 0)
ITEMS(functions, 3, 0)
ITEMS(tables, 4, 0x70, 0, 0)
ITEMS(memories, 5, 0, 0)
ITEMS(tags, 13, 0, 0)
ITEMS(globals, 6, 0x7f, 0, 0x41, 0, 0x0b)
ITEMS(exports, 7, 0, 0, 0)
ITEMS(elem_segments, 9, 1, 0, 0)
ITEMS(data_segments, 11, 1, 0)

static void custom_sections(struct buf *module, uint32_t n)
{
    REPEAT(module, n, 0, 1, 0);
}

static void name_size(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    build_u32(&content, n);
    REPEAT(&content, n, 'n');
    build_section(module, 0, content);
}

static void params(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    BYTES(&content, 1, 0x60);
    build_u32(&content, n);
    REPEAT(&content, n, 0x7f);
    BYTES(&content, 0);
    build_section(module, 1, content);
}

static void results(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    BYTES(&content, 1, 0x60, 0);
    build_u32(&content, n);
    REPEAT(&content, n, 0x7f);
    build_section(module, 1, content);
}

static void fields(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    BYTES(&content, 1, 0x5f);
    build_u32(&content, n);
    REPEAT(&content, n, 0x7f, 0);
    build_section(module, 1, content);
}

static void subtype_depth(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    build_u32(&content, n + 1);
    BYTES(&content, 0x50, 0, 0x5f, 0);
    for (uint32_t i = 0; i < n; i++)
        BYTES(&content, 0x50, 1, (uint8_t)i, 0x5f, 0);
    build_section(module, 1, content);
}

static void elem_entries(struct buf *module, uint32_t n)
{
    struct buf content = build_new();
    BYTES(&content, 1, 1, 0);
    build_u32(&content, n);
    REPEAT(&content, n, 0);
    build_section(module, 9, content);
}

static void function(struct buf *module, struct buf body)
{
    SECTION(module, 1, 2, 0x60, 0, 0, 0x5e, 0x7f, 0);
    SECTION(module, 3, 1, 0);
    build_code(module, body);
}

static void body_size(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0);
    REPEAT(&body, n - 2, 1);
    BYTES(&body, 0x0b);
    function(module, body);
}

static void locals(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 1);
    build_u32(&body, n);
    BYTES(&body, 0x7f, 0x0b);
    function(module, body);
}

static void labels(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0, 0x41, 0, 0x0e);
    build_u32(&body, n);
    REPEAT(&body, n + 1, 0);
    BYTES(&body, 0x0b);
    function(module, body);
}

static void catches(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0, 0x1f, 0x40);
    build_u32(&body, n);
    REPEAT(&body, n, 2, 0);
    BYTES(&body, 0x0b, 0x0b);
    function(module, body);
}

/* The function's own frame counts. */
static void nesting(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0);
    REPEAT(&body, n - 1, 0x02, 0x40);
    REPEAT(&body, n, 0x0b);
    function(module, body);
}

static void operands(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0);
    REPEAT(&body, n, 0x41, 0);
    BYTES(&body, 0x00, 0x0b);
    function(module, body);
}

static void array_fixed(struct buf *module, uint32_t n)
{
    struct buf body = build_new();
    BYTES(&body, 0);
    REPEAT(&body, n, 0x41, 0);
    BYTES(&body, 0xfb, 8, 1);
    build_u32(&body, n);
    BYTES(&body, 0x1a, 0x0b);
    function(module, body);
}

static void (*const builders[WASM_LIMIT_COUNT])(struct buf *module, uint32_t n) = {
    [WASM_LIMIT_NAME_SIZE] = name_size,
    [WASM_LIMIT_TYPES] = types,
    [WASM_LIMIT_SUBTYPE_DEPTH] = subtype_depth,
    [WASM_LIMIT_PARAMS] = params,
    [WASM_LIMIT_RESULTS] = results,
    [WASM_LIMIT_FIELDS] = fields,
    [WASM_LIMIT_IMPORTS] = imports,
    [WASM_LIMIT_FUNCTIONS] = functions,
    [WASM_LIMIT_TABLES] = tables,
    [WASM_LIMIT_MEMORIES] = memories,
    [WASM_LIMIT_GLOBALS] = globals,
    [WASM_LIMIT_TAGS] = tags,
    [WASM_LIMIT_EXPORTS] = exports,
    [WASM_LIMIT_ELEM_SEGMENTS] = elem_segments,
    [WASM_LIMIT_ELEM_ENTRIES] = elem_entries,
    [WASM_LIMIT_DATA_SEGMENTS] = data_segments,
    [WASM_LIMIT_CUSTOM_SECTIONS] = custom_sections,
    [WASM_LIMIT_BODY_SIZE] = body_size,
    [WASM_LIMIT_LOCALS] = locals,
    [WASM_LIMIT_LABELS] = labels,
    [WASM_LIMIT_CATCHES] = catches,
    [WASM_LIMIT_NESTING] = nesting,
    [WASM_LIMIT_OPERANDS] = operands,
    [WASM_LIMIT_ARRAY_FIXED] = array_fixed,
};

static struct err built(enum wasm_limit limit, uint32_t n)
{
    struct buf module = build_module();
    builders[limit](&module, n);
    return build_check(module);
}

static void every_cap(void **state)
{
    for (unsigned limit = 0; limit < WASM_LIMIT_COUNT; limit++) {
        const struct wasm_limit_info *info = &wasm_limit_infos[limit];
        if (limit == WASM_LIMIT_MODULE_SIZE)
            continue;
        assert_non_null(builders[limit]);
        struct err at = built((enum wasm_limit)limit, info->value);
        struct err over = built((enum wasm_limit)limit, info->value + 1);
        if (at.kind == ERR_LIMIT || over.kind != ERR_LIMIT || !strstr(over.message, info->words))
            fail_msg("%s: at the cap \"%s\", over it \"%s\"", info->words, at.message, over.message);
    }
}

/* Pages that are never written cost nothing. */
static void module_size(void **state)
{
    size_t size = WASM_MAX_MODULE_SIZE;
    struct err err;
    struct arena arena;
    struct wasm_module *module;
    void *zeroes = mmap(NULL, size + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(zeroes, MAP_FAILED);
    arena_init(&arena, BUILD_MAX);
    assert_false(wasm_load(zeroes, size, &arena, &module, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(wasm_load(zeroes, size + 1, &arena, &module, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    arena_free(&arena);
    munmap(zeroes, size + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cap),
        cmocka_unit_test(module_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
