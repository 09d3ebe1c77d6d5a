/* Fuzz target: manifests of strangers. What is refused is refused with complete problems, each at a place in the text;
 * what is taken is whole: everything refers to something, and the other readers of the application take it too. The
 * first line may be "#PROFILE", which is then read with the rest. */
#include "fuzz/fuzz.h"

#include "app/manifest.h"
#include "app/outbound.h"
#include "app/route.h"
#include "app/template.h"
#include "app/words.h"

static uint32_t count_lines(struct str text)
{
    uint32_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static void check_problems(const struct manifest_problems *problems, struct str text)
{
    size_t errors = 0;
    for (size_t i = 0; i < problems->count; i++) {
        const struct manifest_problem *problem = &problems->items[i];
        FUZZ_CHECK(problem->err.kind != ERR_NONE && problem->err.message[0]);
        FUZZ_CHECK(problem->at.line <= count_lines(text));
        FUZZ_CHECK(i == 0 || problem[-1].at.line <= problem->at.line);
        errors += !problem->warning;
    }
    FUZZ_CHECK(problems->count <= MANIFEST_PROBLEMS_MAX && errors <= problems->error_count);
    FUZZ_CHECK(problems->left_out == 0 || problems->count == MANIFEST_PROBLEMS_MAX);
}

static void check_text(const struct manifest_text *text)
{
    FUZZ_CHECK(text->text.ptr && !memchr(text->text.ptr, 0, text->text.len));
}

static void check_dependencies(const struct manifest *manifest, const struct manifest_dependencies *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        const struct manifest_dependency *d = &all->items[i];
        FUZZ_CHECK(d->inherit <= MANIFEST_INHERIT_ALL);
        FUZZ_CHECK(d->kind != MANIFEST_DEPENDENCY_COMPONENT || d->component_index < manifest->component_count);
        FUZZ_CHECK(d->kind != MANIFEST_DEPENDENCY_PATH || d->path.text.len);
        FUZZ_CHECK(d->kind != MANIFEST_DEPENDENCY_URL || words_digest(d->digest.text, NULL));
        FUZZ_CHECK(d->kind != MANIFEST_DEPENDENCY_PACKAGE || words_requirement(d->version.text, NULL));
    }
}

static void check_component(const struct manifest *manifest, const struct manifest_component *c)
{
    struct outbound outbound;
    check_text(&c->id);
    FUZZ_CHECK(words_kebab(c->id.text, NULL) && c->source.kind != MANIFEST_SOURCE_NONE);
    FUZZ_CHECK(&manifest->components[manifest_find_component(manifest, c->id.text)] == c);
    for (uint32_t i = 0; i < c->allowed_outbound_hosts.count; i++) {
        struct str host = c->allowed_outbound_hosts.items[i].text;
        FUZZ_CHECK(template_check(host, NULL, NULL, NULL));
        FUZZ_CHECK(!template_is_literal(host) || outbound_parse(host, &outbound, NULL));
    }
    for (uint32_t i = 0; i < c->files.count; i++)
        FUZZ_CHECK(c->files.items[i].pattern.text.ptr || c->files.items[i].destination.text.ptr[0] == '/');
    check_dependencies(manifest, &c->dependencies);
    manifest_limits_of(manifest, c);
}

static void check_trigger(const struct manifest *manifest, const struct manifest_trigger *t)
{
    check_text(&t->id);
    FUZZ_CHECK(t->type != MANIFEST_TRIGGER_OTHER);
    FUZZ_CHECK(t->component < manifest->component_count ||
               (t->type == MANIFEST_TRIGGER_HTTP && t->http.answer.given && t->component == MANIFEST_NONE));
    FUZZ_CHECK(t->type != MANIFEST_TRIGGER_HTTP || t->http.is_private == !t->http.route.text.ptr);
    FUZZ_CHECK(t->type != MANIFEST_TRIGGER_HTTP || t->http.is_private || route_check(t->http.route.text, NULL));
    for (uint32_t i = 0; i < t->components.count; i++)
        for (uint32_t k = 0; k < t->components.items[i].component_count; k++)
            FUZZ_CHECK(t->components.items[i].components[k] < manifest->component_count);
    for (uint32_t i = 0; i < t->dependencies.count; i++)
        check_dependencies(manifest, &t->dependencies.items[i].dependencies);
}

static void check_manifest(const struct manifest *manifest)
{
    check_text(&manifest->application.name);
    for (uint32_t i = 0; i < manifest->variable_count; i++)
        FUZZ_CHECK(manifest->variables[i].required.value == !manifest->variables[i].fallback.text.ptr);
    for (uint32_t i = 0; i < manifest->component_count; i++)
        check_component(manifest, &manifest->components[i]);
    for (uint32_t i = 0; i < manifest->trigger_count; i++)
        check_trigger(manifest, &manifest->triggers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest manifest;
    struct manifest_problems problems = {0};
    struct err err = {0};
    uint8_t *copy = fuzz_copy(data, size);
    struct str text = {(const char *)copy, size}, profile = {"", 0};
    FUZZ_CHECK(toml_prepare(&err)); /* or nothing would be tried */
    if (size && data[0] == '#')
        profile = str_slice(text, 1, str_find(text, '\n'));
    bool done = manifest_read(&manifest, text, profile, &problems, &err);
    check_problems(&problems, text);
    FUZZ_CHECK(done == (problems.error_count == 0));
    free(copy); /* nothing of the text is kept */
    if (done) {
        check_manifest(&manifest);
        manifest_free(&manifest);
    } else
        fuzz_check_error(&err, size);
    manifest_problems_free(&problems);
    return 0;
}
