/* mayfly inspect: what a file is, what it needs and whether it will run, without running or compiling it.
 *
 * The file is hostile. It is read by the decoders that the compiler uses, which are bounded; every name in it is
 * escaped on its way to a terminal; and the text has a maximum, because types can be far longer written out than they
 * are in the file. Nothing is printed unless all of it was understood. */
#include "cli/inspect.h"

#include "component/decode.h"
#include "component/world.h"
#include "image/format.h"
#include "wasm/feature.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((off_t)1 << 32) /* of an image; modules have a lower cap of their own */
#define MAKERS_MAX 100000u

/* --- parts of reports --- */

struct str inspect_text(struct inspect *inspect, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = size < 0 ? NULL : arena_alloc(&inspect->arena, (size_t)size + 1);
    if (!text) {
        inspect->report.out->failed = true;
        return STR("");
    }
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return (struct str){text, (size_t)size};
}

void inspect_optional(struct inspect *inspect, const char *key, const char *label, struct str value)
{
    if (value.len)
        report_text(&inspect->report, key, label, value);
    else
        report_null(&inspect->report, key);
}

void inspect_head(struct inspect *inspect, const char *kind, const char *words)
{
    struct report *report = &inspect->report;
    report_object(report, NULL);
    report_number(report, "schema", NULL, 1, NULL);
    report_text(report, "kind", NULL, str_of(kind));
    report_text(report, "file", "file", str_of(inspect->file));
    report_text(report, NULL, "kind", str_of(words));
    report_number(report, "size", "size", inspect->size, "bytes");
}

void inspect_type(struct inspect *inspect, struct buf *text)
{
    report_cell(&inspect->report, "type", buf_str(text));
    inspect->written += text->size;
    inspect->report.out->failed |= text->failed || inspect->written > INSPECT_TEXT_MAX;
    buf_free(text);
}

void inspect_features(struct inspect *inspect, uint32_t set)
{
    struct str words[FEATURE_COUNT];
    uint32_t count = 0;
    for (int i = FEATURE_MVP + 1; i < FEATURE_COUNT; i++)
        if (set & 1u << i)
            words[count++] = str_of(wasm_feature_names[i]);
    report_words(&inspect->report, "features", "features", words, count);
}

/* --- who made it --- */

/* The entry with lengths before its parts, so that different ones differ. */
static struct str maker_key(struct inspect *inspect, const struct wasm_producer *one)
{
    return inspect_text(inspect, "%zu %zu %.*s%.*s%.*s", one->field.len, one->name.len, STR_ARG(one->field),
                        STR_ARG(one->name), STR_ARG(one->version));
}

static bool add_maker(struct inspect *inspect, struct makers *makers, const struct wasm_producer *one)
{
    struct str key = maker_key(inspect, one);
    if (!key.len || map_get(&makers->seen, key, NULL) || makers->count == MAKERS_MAX)
        return key.len || err_memory(inspect->err);
    if (makers->count == makers->capacity) {
        uint32_t grown = makers->capacity ? 2 * makers->capacity : 16;
        struct wasm_producer *items = ARENA_ARRAY(&inspect->arena, struct wasm_producer, grown);
        if (!items)
            return err_memory(inspect->err);
        for (uint32_t i = 0; i < makers->count; i++)
            items[i] = makers->items[i];
        makers->items = items;
        makers->capacity = grown;
    }
    makers->items[makers->count++] = *one;
    return map_put(&makers->seen, key, 0) || err_memory(inspect->err);
}

bool makers_add(struct inspect *inspect, struct makers *makers, struct str contents)
{
    struct wasm_producer *list;
    uint32_t count;
    if (!wasm_read_producers(contents, &inspect->arena, &list, &count, inspect->err))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!add_maker(inspect, makers, &list[i]))
            return false;
    return true;
}

bool makers_add_module(struct inspect *inspect, struct makers *makers, const struct wasm_module *module)
{
    for (uint32_t i = 0; i < module->custom_count; i++) {
        const struct wasm_custom *custom = &module->customs[i];
        struct str contents = {(const char *)module->bytes + custom->start, custom->size};
        if (str_eq(custom->name, STR("producers")) && !makers_add(inspect, makers, contents))
            return false;
    }
    return true;
}

void makers_report(struct inspect *inspect, const struct makers *makers)
{
    struct report *report = &inspect->report;
    struct str *words = ARENA_ARRAY(&inspect->arena, struct str, makers->count);
    for (uint32_t i = 0; words && i < makers->count; i++)
        words[i] = inspect_text(inspect, "%.*s%s%.*s (%.*s)", STR_ARG(makers->items[i].name),
                                makers->items[i].version.len ? " " : "", STR_ARG(makers->items[i].version),
                                STR_ARG(makers->items[i].field));
    report->out->failed |= !words;
    report_words(report, NULL, "made by", words, words ? makers->count : 0);
    if (!report->programs)
        return;
    report_list(report, "producers", NULL, makers->count);
    for (uint32_t i = 0; i < makers->count; i++) {
        report_row(report);
        report_cell(report, "field", makers->items[i].field);
        report_cell(report, "name", makers->items[i].name);
        report_cell(report, "version", makers->items[i].version);
        report_row_end(report);
    }
    report_list_end(report);
}

/* --- the file --- */

static uint64_t magic_of(const struct inspect *inspect)
{
    uint64_t magic = 0;
    memcpy(&magic, inspect->bytes, inspect->size < sizeof magic ? inspect->size : sizeof magic);
    return magic;
}

static bool report(struct inspect *inspect)
{
    bool done = magic_of(inspect) == IMAGE_MAGIC              ? inspect_image(inspect)
                : component_is(inspect->bytes, inspect->size) ? inspect_component(inspect)
                                                              : inspect_module(inspect);
    if (done)
        report_end(&inspect->report);
    return done;
}

static bool world_text(struct inspect *inspect)
{
    struct component *component;
    if (magic_of(inspect) == IMAGE_MAGIC || !component_is(inspect->bytes, inspect->size)) {
        err_set(inspect->err, ERR_UNSUPPORTED, "--wit is for components");
        return err_remedy(inspect->err, "leave --wit out to see what this file is");
    }
    if (!component_decode(inspect->bytes, inspect->size, &inspect->arena, &component, inspect->err))
        return false;
    struct world *world = world_new(component, &inspect->arena, inspect->err);
    return world && world_put_wit(world, inspect->report.out);
}

bool inspect_bytes(const char *file, const uint8_t *bytes, size_t size, enum inspect_form form, struct buf *out,
                   struct err *err)
{
    struct inspect inspect = {.file = file, .bytes = bytes, .size = size, .err = err};
    report_init(&inspect.report, out, form == INSPECT_JSON);
    arena_init(&inspect.arena, INSPECT_ARENA_MAX);
    bool done = form == INSPECT_WIT ? world_text(&inspect) : report(&inspect);
    arena_free(&inspect.arena);
    if (done && out->failed)
        return err_set(err, ERR_LIMIT, "more than %zu MiB of text, or no memory for them", INSPECT_TEXT_MAX >> 20);
    return done;
}

static bool read_file(const struct cli_options *options, int fd, struct buf *out, struct err *err)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "cannot open the file");
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_SYSTEM, "not a regular file");
    if (status.st_size > FILE_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file is larger than 4 GiB");
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot read the file");
    enum inspect_form form = options->wit ? INSPECT_WIT : options->json ? INSPECT_JSON : INSPECT_PEOPLE;
    bool done = inspect_bytes(options->file, bytes, size, form, out, err);
    munmap(bytes, size ? size : 1);
    return done;
}

int cli_inspect(const struct cli_options *options)
{
    struct err err = {.offset = ERR_NO_OFFSET};
    struct buf text;
    if (options->json && options->wit)
        return cli_usage("inspect", "--wit is text: it cannot be combined with --json");
    buf_init(&text, INSPECT_TEXT_MAX);
    int fd = open(options->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool done = read_file(options, fd, &text, &err);
    if (fd >= 0)
        close(fd);
    if (!done)
        err_print(&err, options->file);
    int code = done ? cli_print_buf(&text) : CLI_FAILED;
    buf_free(&text);
    return code;
}
