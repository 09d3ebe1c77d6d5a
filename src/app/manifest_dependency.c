/* Where components come from, and what they depend on. A dependency has one of several forms; which one, its keys say.
 */
#include "app/manifest_reader.h"
#include "app/words.h"

/* ---- sources ---- */

static bool path_given(struct str path, struct err *err)
{
    if (path.len)
        return true;
    err_set(err, ERR_INVALID, "an empty path");
    return err_remedy(err, "write where the component's file is, from the folder of the manifest");
}

static bool exact_version(struct str text, struct err *err)
{
    struct version version;
    return words_version(text, &version, err);
}

static void read_source_url(struct reader *reader, const struct toml_node *node, struct manifest_source *source)
{
    static const struct reader_key keys[] = {
        READER_REQUIRED(manifest_source, url, "url", take_text),
        READER_REQUIRED(manifest_source, digest, "digest", take_text),
    };
    source->kind = MANIFEST_SOURCE_URL;
    READER_TABLE(reader, node, keys, source);
}

static void read_source_package(struct reader *reader, const struct toml_node *node, struct manifest_source *source)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_source, registry, "registry", take_text),
        READER_REQUIRED(manifest_source, package, "package", take_text),
        READER_REQUIRED(manifest_source, version, "version", take_text),
    };
    source->kind = MANIFEST_SOURCE_PACKAGE;
    READER_TABLE(reader, node, keys, source);
}

static void check_source(struct reader *reader, const struct manifest_source *source)
{
    reader_check(reader, &source->path, "source", path_given);
    reader_check(reader, &source->url, "source", words_url);
    reader_check(reader, &source->digest, "digest", words_digest);
    reader_check(reader, &source->registry, "registry", words_registry);
    reader_check(reader, &source->package, "package", words_package);
    reader_check(reader, &source->version, "version", exact_version);
}

void take_source(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_source *source = into;
    size_t before = reader_enter(reader, node->key);
    source->at = place_of(node);
    if (node->kind == TOML_TEXT) {
        source->kind = MANIFEST_SOURCE_PATH;
        source->path = (struct manifest_text){node->text, place_of(node)};
    } else if (node->kind != TOML_TABLE)
        reader_error(reader, place_of(node), ERR_INVALID,
                     "write a path, { url = ..., digest = ... } or { package = ..., version = ... }",
                     "%s must be a string or a table, not %s", reader->where, toml_kind_name(node->kind));
    else if (toml_member(node, STR("url")) || toml_member(node, STR("digest")))
        read_source_url(reader, node, source);
    else
        read_source_package(reader, node, source);
    check_source(reader, source);
    reader_leave(reader, before);
}

/* ---- what is inherited ---- */

static const struct inherit_name {
    struct str name;
    unsigned bit;
} inherit_names[] = {
    {{"ai_models", 9}, MANIFEST_INHERIT_AI_MODELS},
    {{"allowed_outbound_hosts", 22}, MANIFEST_INHERIT_OUTBOUND_HOSTS},
    {{"environment", 11}, MANIFEST_INHERIT_ENVIRONMENT},
    {{"files", 5}, MANIFEST_INHERIT_FILES},
    {{"key_value_stores", 16}, MANIFEST_INHERIT_KEY_VALUE},
    {{"sqlite_databases", 16}, MANIFEST_INHERIT_SQLITE},
    {{"variables", 9}, MANIFEST_INHERIT_VARIABLES},
};
#define INHERIT_COUNT (sizeof inherit_names / sizeof *inherit_names)

static unsigned inherit_bit(struct reader *reader, const struct manifest_text *text)
{
    char room[256];
    for (size_t i = 0; i < INHERIT_COUNT; i++)
        if (str_eq(text->text, inherit_names[i].name))
            return inherit_names[i].bit;
    reader_error(reader, text->at, ERR_INVALID,
                 reader_nearest(reader, text->text, READER_WORDS(inherit_names, INHERIT_COUNT, name),
                                "ai_models, allowed_outbound_hosts, environment, files, key_value_stores, "
                                "sqlite_databases and variables can be inherited",
                                room),
                 "nothing called \"%s\" can be inherited", SHOWN(text->text));
    return 0;
}

static void take_inherit(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_dependency *dependency = into;
    struct manifest_texts texts = {0};
    dependency->inherit_given = true;
    if (node->kind == TOML_BOOLEAN) {
        dependency->inherit = node->truth ? MANIFEST_INHERIT_ALL : 0;
        return;
    }
    if (node->kind != TOML_ARRAY) {
        reader_error(reader, place_of(node), ERR_INVALID, "write true, false, or a list: [\"environment\", \"files\"]",
                     "\"inherit_configuration\" must be a boolean or a list of strings, not %s",
                     toml_kind_name(node->kind));
        return;
    }
    take_texts(reader, node, &texts);
    for (uint32_t i = 0; i < texts.count; i++)
        dependency->inherit |= inherit_bit(reader, &texts.items[i]);
}

/* ---- the forms of a dependency ---- */

#define INHERIT {"inherit_configuration", take_inherit, 0, false}
#define EXPORT READER_KEY(manifest_dependency, export_name, "export", take_text)

static const struct reader_key package_keys[] = {READER_REQUIRED(manifest_dependency, version, "version", take_text),
                                                 READER_KEY(manifest_dependency, registry, "registry", take_text),
                                                 READER_KEY(manifest_dependency, package, "package", take_text),
                                                 INHERIT, EXPORT};
static const struct reader_key path_keys[] = {READER_REQUIRED(manifest_dependency, path, "path", take_text), INHERIT,
                                              EXPORT};
static const struct reader_key url_keys[] = {READER_REQUIRED(manifest_dependency, url, "url", take_text),
                                             READER_REQUIRED(manifest_dependency, digest, "digest", take_text), INHERIT,
                                             EXPORT};
static const struct reader_key component_keys[] = {
    READER_REQUIRED(manifest_dependency, component, "component", take_text), INHERIT, EXPORT};

static const struct form {
    struct str key; /* that tells this form from others; the first one is all that is left */
    enum manifest_dependency_kind kind;
    const struct reader_key *keys;
    size_t count;
} forms[] = {
    {{"version", 7}, MANIFEST_DEPENDENCY_PACKAGE, package_keys, sizeof package_keys / sizeof *package_keys},
    {{"path", 4}, MANIFEST_DEPENDENCY_PATH, path_keys, sizeof path_keys / sizeof *path_keys},
    {{"url", 3}, MANIFEST_DEPENDENCY_URL, url_keys, sizeof url_keys / sizeof *url_keys},
    {{"component", 9}, MANIFEST_DEPENDENCY_COMPONENT, component_keys, sizeof component_keys / sizeof *component_keys},
};
#define FORM_COUNT (sizeof forms / sizeof *forms)

static const struct form *form_of(struct reader *reader, const struct toml_node *node)
{
    const struct form *found = NULL;
    for (size_t i = 0; i < FORM_COUNT; i++) {
        if (!toml_member(node, forms[i].key))
            continue;
        if (found) {
            reader_error(reader, key_place(node), ERR_INVALID, "a dependency comes from one place",
                         "%s has both \"%s\" and \"%s\"", reader->where, found->key.ptr, forms[i].key.ptr);
            return NULL;
        }
        found = &forms[i];
    }
    return found ? found : &forms[0];
}

static void check_forms(struct reader *reader, const struct manifest_dependency *dependency)
{
    reader_check(reader, &dependency->version, "version", words_requirement);
    reader_check(reader, &dependency->registry, "registry", words_registry);
    reader_check(reader, &dependency->package, "package", words_package);
    reader_check(reader, &dependency->path, "path", path_given);
    reader_check(reader, &dependency->url, "url", words_url);
    reader_check(reader, &dependency->digest, "digest", words_digest);
    reader_check(reader, &dependency->component, "component", words_kebab);
}

/* The keys behind the last one are those of components only: a trigger's dependency has no `export`. */
static void read_table(struct reader *reader, const struct toml_node *node, bool named,
                       struct manifest_dependency *dependency)
{
    const struct form *form = form_of(reader, node);
    if (!form)
        return;
    dependency->kind = form->kind;
    reader_table(reader, node, form->keys, form->count - !named, dependency);
    if (!named && form->kind == MANIFEST_DEPENDENCY_PACKAGE && !dependency->package.text.ptr)
        reader_error(reader, place_of(node), ERR_INVALID,
                     "write which package: { package = \"ns:name\", version = \"1.0\" }", "%s lacks \"package\"",
                     reader->where);
    check_forms(reader, dependency);
}

static void read_dependency(struct reader *reader, const struct toml_node *node, bool named,
                            struct manifest_dependency *dependency)
{
    dependency->at = place_of(node);
    dependency->component_index = MANIFEST_NONE;
    if (node->kind == TOML_TABLE) {
        read_table(reader, node, named, dependency);
        return;
    }
    dependency->kind = MANIFEST_DEPENDENCY_PACKAGE;
    if (node->kind == TOML_TEXT && named) {
        dependency->version = (struct manifest_text){node->text, place_of(node)};
        check_forms(reader, dependency);
        return;
    }
    reader_error(reader, place_of(node), ERR_INVALID,
                 "write { version = ... }, { path = ... }, { url = ..., digest = ... } or { component = ... }",
                 "%s must be a table%s, not %s", reader->where, named ? " or a version" : "",
                 toml_kind_name(node->kind));
}

static bool import_name(struct str text, struct err *err)
{
    struct words_import import;
    return words_import(text, &import, err);
}

/* Those whose name is none are not stored: later checks take names for good. */
void take_dependencies(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_dependencies *all = into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_DEPENDENCIES_MAX))
        return;
    all->items = reader_array(reader, node->count, sizeof *all->items);
    size_t outer = reader_enter(reader, node->key);
    for (uint32_t i = 0; all->items && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        struct manifest_dependency dependency = {.name = {item->key, key_place(item)}};
        size_t before = reader_enter(reader, item->key);
        read_dependency(reader, item, true, &dependency);
        if (reader_check(reader, &dependency.name, "dependency", import_name))
            all->items[all->count++] = dependency;
        reader_leave(reader, before);
    }
    reader_leave(reader, outer);
}

void take_chain(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_dependencies *all = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, MANIFEST_DEPENDENCIES_MAX))
        return;
    all->items = reader_array(reader, node->count, sizeof *all->items);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; all->items && i < node->count; i++)
        read_dependency(reader, &node->items[i], false, &all->items[all->count++]);
    reader_leave(reader, before);
}
