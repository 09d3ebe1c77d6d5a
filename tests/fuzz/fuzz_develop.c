/* Fuzz target: what the tools of developers read of strangers. The first line is a pattern, the second a path, the
 * third a build command, and the rest a manifest of version 1. Whatever a pattern matches is in folders that it leads
 * into, words of a command are within it, and what an upgrade writes is TOML, and no manifest of version 1. */
#include "fuzz/fuzz.h"

#include "app/toml.h"
#include "app/glob.h"
#include "develop/tools.h"
#include "develop/upgrade.h"

static struct str line_of(struct str *rest)
{
    size_t end = str_find(*rest, '\n');
    struct str line = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end < rest->len ? end + 1 : end, rest->len);
    return line;
}

static void check_pattern(struct arena *arena, struct str pattern, struct str path)
{
    uint32_t count = 0;
    const char *normal = glob_normal(arena, path), *normal_pattern = glob_normal(arena, pattern);
    if (!normal || !normal_pattern)
        return;
    struct str text = str_of(normal);
    FUZZ_CHECK(text.len <= path.len);
    const char *again = glob_normal(arena, text);
    FUZZ_CHECK(!again || strcmp(again, normal) == 0);
    const struct str *all = glob_alternatives(arena, str_of(normal_pattern), &count);
    FUZZ_CHECK(!all || (count && count <= GLOB_ALTERNATIVES_MAX));
    for (uint32_t i = 0; all && i < count; i++) {
        if (!glob_matches(all[i], text))
            continue;
        for (size_t k = 1; k < text.len; k++)
            FUZZ_CHECK(text.ptr[k] != '/' || glob_leads(all[i], str_slice(text, 0, k)));
    }
}

static void check_command(struct str command)
{
    struct str rest = command, program;
    size_t left = rest.len + 1;
    while (tools_next(&rest, &program)) {
        FUZZ_CHECK(program.len && program.ptr >= command.ptr && program.ptr + program.len <= command.ptr + command.len);
        FUZZ_CHECK(rest.len < left);
        left = rest.len;
    }
    struct str target = tools_rust_target(command);
    FUZZ_CHECK(!target.len || str_starts(target, STR("wasm32-")));
    for (size_t i = 0; i < target.len; i++)
        FUZZ_CHECK(!strchr("'\"$`\\;&|() \t", target.ptr[i]));
}

static void check_upgrade(struct arena *arena, struct str text)
{
    struct err err = {0};
    struct buf out;
    struct toml_node root;
    struct toml_mistake mistake;
    buf_init(&out, TOML_SIZE_MAX);
    bool old = upgrade_needed(text);
    if (upgrade_text(text, &out, &err)) {
        struct str made = {(const char *)out.data, out.size};
        FUZZ_CHECK(toml_read(arena, made, &root, &mistake, &err) || err.kind == ERR_LIMIT || err.kind == ERR_MEMORY);
        FUZZ_CHECK(!old || !upgrade_needed(made));
    } else
        fuzz_check_error(&err, text.len);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct arena arena;
    arena_init(&arena, (size_t)16 << 20);
    struct str pattern = line_of(&rest), path = line_of(&rest), command = line_of(&rest);
    if (!memchr(data, 0, size)) {
        check_pattern(&arena, pattern, path);
        check_command(command);
    }
    check_upgrade(&arena, rest);
    arena_free(&arena);
    return 0;
}
