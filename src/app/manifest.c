/* See manifest.h. This file: the order in which a manifest is read, the application, its variables, and what becomes of
 * the problems. Variables come before components, whose templates name them, and components before triggers. */
#include "app/manifest.h"

#include "app/manifest_reader.h"
#include "app/words.h"

#include "base/buf.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX ((size_t)128 << 20)

/* ---- the application ---- */

static void read_target(struct reader *reader, const struct toml_node *node, struct manifest_target *target)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_target, url, "url", take_text),
        READER_KEY(manifest_target, path, "path", take_text),
    };
    if (node->kind == TOML_TEXT) {
        target->name = (struct manifest_text){node->text, place_of(node)};
        return;
    }
    if (node->kind == TOML_TABLE)
        READER_TABLE(reader, node, keys, target);
    if (!target->url.text.ptr == !target->path.text.ptr)
        reader_error(reader, place_of(node), ERR_INVALID,
                     "write \"spin-up:3.3\", { url = \"https://...\" } or { path = \"...\" }",
                     "an entry of %s must be a string, or a table with one of \"url\" and \"path\"", reader->where);
}

void take_targets(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_targets *targets = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    targets->items = reader_array(reader, node->count, sizeof *targets->items);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; targets->items && i < node->count; i++)
        read_target(reader, &node->items[i], &targets->items[targets->count++]);
    reader_leave(reader, before);
}

static void read_http_settings(struct reader *reader, const struct toml_node *node)
{
    static const struct reader_key keys[] = {{"base", take_text, 0, false}};
    struct manifest_text base = {0};
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, &base);
    if (base.text.ptr && !str_eq(base.text, STR("/")))
        reader_error(reader, base.at, ERR_UNSUPPORTED, "write it in front of each route instead",
                     "an application has no base but \"/\"");
    reader_leave(reader, before);
}

static void read_redis_settings(struct reader *reader, const struct toml_node *node, struct manifest_text *address)
{
    static const struct reader_key keys[] = {{"address", take_text, 0, true}};
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, address);
    reader_template(reader, address, "address");
    reader_leave(reader, before);
}

/* Settings of types that others serve are theirs. */
static void take_settings(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_application *application = into;
    take_tables(reader, node, &application->triggers);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; node->kind == TOML_TABLE && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        if (item->kind == TOML_TABLE && str_eq(item->key, STR("http")))
            read_http_settings(reader, item);
        else if (item->kind == TOML_TABLE && str_eq(item->key, STR("redis")))
            read_redis_settings(reader, item, &application->redis_address);
    }
    reader_leave(reader, before);
}

static void take_tools(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_application *application = into;
    take_tables(reader, node, &application->tools);
    read_limits(reader, application->tools, &application->limits);
}

static void check_application(struct reader *reader, const struct manifest_application *application)
{
    struct version version;
    const struct manifest_text *text = &application->version;
    if (application->name.text.ptr && application->name.text.len == 0)
        reader_error(reader, application->name.at, ERR_INVALID, "give the application a name", "an empty name");
    if (text->text.len && !words_version(text->text, &version, NULL))
        reader_warn(reader, text->at, "write MAJOR.MINOR.PATCH: 1.0.0", "version \"%s\" is not a semantic version",
                    SHOWN(text->text));
}

static void take_application(struct reader *reader, const struct toml_node *node, void *into)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_application, name, "name", take_text),
        READER_KEY(manifest_application, version, "version", take_text),
        READER_KEY(manifest_application, description, "description", take_text),
        READER_KEY(manifest_application, authors, "authors", take_texts),
        READER_KEY(manifest_application, targets, "targets", take_targets),
        {"trigger", take_settings, 0, false},
        {"tool", take_tools, 0, false},
    };
    size_t before = reader_enter(reader, node->key);
    READER_TABLE(reader, node, keys, into);
    check_application(reader, into);
    reader_leave(reader, before);
}

/* ---- variables ---- */

static void read_variable(struct reader *reader, const struct toml_node *node, struct manifest_variable *variable)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_variable, description, "description", take_text),
        READER_KEY(manifest_variable, fallback, "default", take_text),
        READER_KEY(manifest_variable, required, "required", take_truth),
        READER_KEY(manifest_variable, secret, "secret", take_truth),
    };
    variable->name = (struct manifest_text){node->key, key_place(node)};
    reader_check(reader, &variable->name, "variable", words_variable);
    size_t before = reader_enter(reader, node->key);
    if (READER_TABLE(reader, node, keys, variable) &&
        variable->required.value == (toml_member(node, STR("default")) != NULL))
        reader_error(reader, variable->name.at, ERR_INVALID, "write required = true, or default = \"...\"",
                     variable->required.value ? "variable \"%s\" is required and has a default"
                                              : "variable \"%s\" is not required and has no default",
                     SHOWN(node->key));
    reader_leave(reader, before);
}

static void take_variables(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest *manifest = into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_VARIABLES_MAX))
        return;
    manifest->variables = reader_array(reader, node->count, sizeof *manifest->variables);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; manifest->variables && i < node->count; i++) {
        read_variable(reader, &node->items[i], &manifest->variables[i]);
        if (!map_put(&manifest->variable_map, node->items[i].key, i))
            reader_no_memory(reader);
        manifest->variable_count++;
    }
    reader_leave(reader, before);
}

/* ---- the whole ---- */

static bool is_text(const struct toml_node *node, struct str text)
{
    return node && node->kind == TOML_TEXT && str_eq(node->text, text);
}

/* The version decides what all else means. False: nothing of it can be read. */
static bool check_version(struct reader *reader, const struct toml_node *root)
{
    const struct toml_node *version = toml_member(root, STR("spin_manifest_version"));
    const struct toml_node *old = toml_member(root, STR("spin_version"));
    if (version && version->kind == TOML_INTEGER && version->integer == 2)
        return true;
    if (is_text(version, STR("1")) || old)
        reader_error(reader, key_place(version ? version : old), ERR_UNSUPPORTED,
                     "mayfly doctor --fix makes one of version 2 out of it", "this is a manifest of version 1");
    else if (version)
        reader_error(reader, place_of(version), ERR_INVALID, "write spin_manifest_version = 2",
                     "the version of a manifest is 2");
    else
        reader_error(reader, (struct manifest_place){1, 1}, ERR_INVALID, "begin it with spin_manifest_version = 2",
                     "this is no manifest: it lacks \"spin_manifest_version\"");
    return false;
}

static void pass_over(struct reader *reader, const struct toml_node *node, void *into)
{
    (void)reader;
    (void)node;
    (void)into;
}

static void map_components(struct reader *reader)
{
    for (size_t i = 0; i < reader->components.count; i++)
        if (!map_put(&reader->manifest->component_map, reader->components.items[i].id.text, (uint32_t)i))
            reader_no_memory(reader);
}

static void read_root(struct reader *reader, const struct toml_node *root)
{
    static const struct reader_key keys[] = {
        {"spin_manifest_version", pass_over, 0, true},
        READER_KEY(manifest, application, "application", pass_over),
        {"variables", take_variables, 0, false},
        {"component", pass_over, 0, false},
        {"trigger", pass_over, 0, true},
    };
    const struct toml_node *application = toml_member(root, STR("application"));
    const struct toml_node *components = toml_member(root, STR("component"));
    const struct toml_node *triggers = toml_member(root, STR("trigger"));
    READER_TABLE(reader, root, keys, reader->manifest);
    if (application)
        take_application(reader, application, &reader->manifest->application);
    else
        reader_error(reader, (struct manifest_place){1, 1}, ERR_INVALID, "write [application] and a name",
                     "the manifest lacks \"application\"");
    if (components)
        take_components(reader, components, NULL);
    map_components(reader);
    if (triggers)
        take_triggers(reader, triggers, NULL);
}

/* Arrays that grew move to where the rest is. */
static void keep_arrays(struct reader *reader)
{
    struct manifest *manifest = reader->manifest;
    manifest->components = arena_copy(reader->arena, reader->components.items ? (void *)reader->components.items : "",
                                      reader->components.count * sizeof *reader->components.items);
    manifest->triggers = arena_copy(reader->arena, reader->triggers.items ? (void *)reader->triggers.items : "",
                                    reader->triggers.count * sizeof *reader->triggers.items);
    manifest->component_count = (uint32_t)reader->components.count;
    manifest->trigger_count = (uint32_t)reader->triggers.count;
    if (!manifest->components || !manifest->triggers)
        reader_no_memory(reader);
}

static void read_document(struct reader *reader, struct str text, struct str profile)
{
    const struct toml_node *root = reader_document(reader, text);
    if (!root || !check_version(reader, root))
        return;
    read_root(reader, root);
    name_triggers(reader);
    apply_profile(reader, profile);
    if (!reader->no_memory)
        check_manifest(reader);
    keep_arrays(reader);
}

bool manifest_read(struct manifest *ret, struct str text, struct str profile, struct manifest_problems *problems,
                   struct err *err)
{
    struct manifest manifest = {0};
    struct manifest_problems own = {0};
    struct reader reader = {.title = "the manifest",
                            .manifest = &manifest,
                            .arena = &manifest.arena,
                            .problems = problems ? problems : &own};
    arena_init(&manifest.arena, ARENA_MAX);
    read_document(&reader, text, profile);
    VEC_FREE(&reader.components);
    VEC_FREE(&reader.triggers);
    bool done = reader_finish(&reader, err);
    manifest_problems_free(&own);
    if (done)
        *ret = manifest;
    else
        manifest_free(&manifest);
    return done;
}

/* ---- files ---- */

static bool read_bytes(int fd, struct buf *into, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_errno(err, "cannot read the manifest");
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_SYSTEM, "the manifest is not a regular file");
    if (status.st_size > (off_t)TOML_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the manifest is larger than %zu bytes", TOML_SIZE_MAX);
    for (;;) {
        char chunk[4096];
        ssize_t size = read(fd, chunk, sizeof chunk);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return err_errno(err, "cannot read the manifest");
        if (size == 0)
            return true;
        if (!buf_append(into, chunk, (size_t)size))
            return into->full ? err_set(err, ERR_LIMIT, "the manifest is larger than %zu bytes", TOML_SIZE_MAX)
                              : err_memory(err);
    }
}

bool manifest_load(struct manifest *ret, const char *path, struct str profile, struct manifest_problems *problems,
                   struct err *err)
{
    struct buf text;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "cannot open the manifest");
    buf_init(&text, TOML_SIZE_MAX);
    bool done = read_bytes(fd, &text, err) &&
                manifest_read(ret, (struct str){(const char *)text.data, text.size}, profile, problems, err);
    buf_free(&text);
    close(fd);
    return done;
}

void manifest_free(struct manifest *manifest)
{
    map_free(&manifest->component_map);
    map_free(&manifest->variable_map);
    arena_free(&manifest->arena);
    memset(manifest, 0, sizeof *manifest);
}

void manifest_problems_free(struct manifest_problems *problems)
{
    VEC_FREE(problems);
    memset(problems, 0, sizeof *problems);
}

void manifest_problems_print(const struct manifest_problems *problems, const char *path)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    for (size_t i = 0; i < problems->count; i++) {
        const struct manifest_problem *problem = &problems->items[i];
        buf_printf(&out, "%s: ", problem->warning ? "warning" : "error");
        text_show(&out, str_of(path));
        if (problem->at.line)
            buf_printf(&out, ":%u:%u", problem->at.line, problem->at.column);
        buf_printf(&out, ": ");
        text_show(&out, str_of(problem->err.message));
        buf_printf(&out, "\n");
        text_show(&out, str_of(problem->err.remedy));
        buf_printf(&out, problem->err.remedy[0] ? "\n" : "");
    }
    if (problems->left_out)
        buf_printf(&out, "and %zu more\n", problems->left_out);
    if (out.size)
        fwrite(out.data, 1, out.size, stderr);
    buf_free(&out);
}

/* ---- questions ---- */

uint32_t manifest_find_component(const struct manifest *manifest, struct str id)
{
    uint32_t index = MANIFEST_NONE;
    map_get(&manifest->component_map, id, &index);
    return index;
}

const struct manifest_variable *manifest_find_variable(const struct manifest *manifest, struct str name)
{
    uint32_t index = 0;
    return map_get(&manifest->variable_map, name, &index) ? &manifest->variables[index] : NULL;
}
