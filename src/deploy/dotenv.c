/* See dotenv.h. */
#include "deploy/dotenv.h"

#include "base/buf.h"

#include <stdlib.h>

#define NAME_MAX_BYTES 256u
#define VALUE_MAX ((size_t)1 << 20)

struct lines {
    const char *at, *end;
    uint32_t line;
    struct dotenv *found; /* so far */
    struct str prefix;
    bool wanted; /* the entry that is read has it */
    struct buf value;
    struct arena *arena;
    struct err *err;
};

static bool wrong(struct lines *lines, const char *what, const char *remedy)
{
    err_set(lines->err, ERR_MALFORMED, "line %u: %s", lines->line, what);
    return err_remedy(lines->err, "%s", remedy);
}

static bool is_name(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && ((c >= '0' && c <= '9') || c == '.'));
}

static bool is_end(const struct lines *lines)
{
    return lines->at == lines->end || *lines->at == '\n' ||
           (*lines->at == '\r' && lines->at + 1 < lines->end && lines->at[1] == '\n');
}

static bool is_blank(const struct lines *lines)
{
    return !is_end(lines) && (*lines->at == ' ' || *lines->at == '\t');
}

static void skip_blanks(struct lines *lines)
{
    while (is_blank(lines))
        lines->at++;
}

static void skip_line(struct lines *lines)
{
    while (lines->at < lines->end && *lines->at != '\n')
        lines->at++;
    lines->at += lines->at < lines->end;
    lines->line++;
}

/* ---- values ---- */

static bool put_text(struct lines *lines, struct str text)
{
    if (buf_append(&lines->value, text.ptr, text.len))
        return true;
    return lines->value.full
               ? err_set(lines->err, ERR_LIMIT, "line %u: a value of more than %zu bytes", lines->line, VALUE_MAX)
               : err_memory(lines->err);
}

static bool put(struct lines *lines, char c)
{
    return put_text(lines, (struct str){&c, 1});
}

static bool put_escaped(struct lines *lines)
{
    static const char names[] = "nrt\"'\\$ ", values[] = "\n\r\t\"'\\$ ";
    if (lines->at == lines->end)
        return wrong(lines, "a \\ with nothing behind it", "write \\\\ for one");
    const char *found = memchr(names, *lines->at, sizeof names - 1);
    if (!found)
        return wrong(lines, "a \\ before what needs none", "write \\\\ for one, or put the value in single quotes");
    lines->at++;
    return put(lines, values[found - names]);
}

static bool put_named(struct lines *lines, struct str name)
{
    char key[NAME_MAX_BYTES];
    if (name.len == 0 || name.len >= sizeof key || memchr(name.ptr, '\0', name.len))
        return !lines->wanted || wrong(lines, "a $ with no name behind it", "write \\$ for one");
    memcpy(key, name.ptr, name.len);
    key[name.len] = '\0';
    const char *here = getenv(key);
    const struct str *there = here ? NULL : dotenv_find(lines->found, name);
    return put_text(lines, here ? str_of(here) : there ? *there : (struct str){"", 0});
}

static bool is_short(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Behind a $. */
static bool put_variable(struct lines *lines)
{
    const char *from = lines->at;
    bool braces = from < lines->end && *from == '{';
    if (!braces) {
        while (lines->at < lines->end && is_short(*lines->at))
            lines->at++;
        return put_named(lines, (struct str){from, (size_t)(lines->at - from)});
    }
    while (lines->at < lines->end && *lines->at != '}' && *lines->at != '\n')
        lines->at++;
    if (lines->at == lines->end || *lines->at != '}')
        return wrong(lines, "a ${ that does not end", "write ${NAME}, or \\$ for a $");
    return put_named(lines, (struct str){from + 1, (size_t)(lines->at++ - from - 1)});
}

/* Behind the quote that opens it. */
static bool take_quoted(struct lines *lines, char quote)
{
    uint32_t opened = lines->line;
    while (lines->at < lines->end) {
        char c = *lines->at++;
        if (c == quote)
            return true;
        if (quote == '"' && (c == '$' || c == '\\')) {
            if (!(c == '$' ? put_variable : put_escaped)(lines))
                return false;
            continue;
        }
        lines->line += c == '\n';
        if (!put(lines, c))
            return false;
    }
    lines->line = opened;
    return wrong(lines, "a quote that does not end", "close it, or write \\ before it");
}

static bool take_plain(struct lines *lines, char c)
{
    if (c == '$')
        return put_variable(lines);
    return c == '\\' ? put_escaped(lines) : put(lines, c);
}

/* Up to a blank that is in no quotes; behind that there may be a comment only. */
static bool take_value(struct lines *lines)
{
    bool first = true;
    while (!is_end(lines) && !is_blank(lines) && !(first && *lines->at == '#')) {
        char c = *lines->at++;
        first = false;
        if (c == '"' || c == '\'' ? !take_quoted(lines, c) : !take_plain(lines, c))
            return false;
    }
    skip_blanks(lines);
    return is_end(lines) || *lines->at == '#' ||
           wrong(lines, "something behind the value", "put a value with blanks in quotes");
}

/* ---- lines ---- */

static struct str take_name(struct lines *lines)
{
    const char *from = lines->at;
    while (lines->at < lines->end && is_name(*lines->at, lines->at == from))
        lines->at++;
    return (struct str){from, (size_t)(lines->at - from)};
}

/* The word `export`, which some write before a name, is no name if another follows. */
static struct str take_exported(struct lines *lines)
{
    struct str name = take_name(lines);
    if (!str_eq(name, STR("export")) || !is_blank(lines))
        return name;
    skip_blanks(lines);
    return lines->at < lines->end && *lines->at == '=' ? name : take_name(lines);
}

static bool take_entry(struct lines *lines, struct dotenv_entry *entry)
{
    struct str name = take_exported(lines);
    lines->value.size = 0;
    lines->wanted = str_starts(name, lines->prefix);
    skip_blanks(lines);
    if (!name.len || lines->at == lines->end || *lines->at != '=')
        return wrong(lines, "no NAME=VALUE", "write a name, = and a value, or # before a comment");
    lines->at++;
    skip_blanks(lines);
    if (!take_value(lines))
        return false;
    size_t size = lines->value.size;
    entry->name = (struct str){arena_copy(lines->arena, name.ptr, name.len), name.len};
    entry->value =
        (struct str){arena_copy(lines->arena, size ? (const char *)lines->value.data : "", size + !size), size};
    return (entry->name.ptr && entry->value.ptr) || err_memory(lines->err);
}

static uint32_t count_lines(struct str text)
{
    uint32_t count = 1;
    for (size_t i = 0; i < text.len && count <= DOTENV_ENTRIES_MAX; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static bool read_lines(struct lines *lines, struct dotenv *ret, uint32_t max)
{
    while (lines->at < lines->end) {
        skip_blanks(lines);
        if (!is_end(lines) && *lines->at != '#') {
            if (ret->count == max)
                return err_set(lines->err, ERR_LIMIT, "it has more than %u lines", DOTENV_ENTRIES_MAX);
            if (!take_entry(lines, &ret->items[ret->count]))
                return false;
            ret->count++;
        }
        skip_line(lines);
    }
    return true;
}

bool dotenv_read(struct dotenv *ret, struct str text, struct str prefix, struct arena *arena, struct err *err)
{
    struct lines lines = {
        .at = text.ptr, .end = text.ptr + text.len, .line = 1, .prefix = prefix, .arena = arena, .err = err};
    uint32_t max = count_lines(text);
    if (max > DOTENV_ENTRIES_MAX)
        max = DOTENV_ENTRIES_MAX;
    struct dotenv dotenv = {.items = ARENA_ARRAY(arena, struct dotenv_entry, max)};
    if (!dotenv.items)
        return err_memory(err);
    lines.found = &dotenv;
    buf_init(&lines.value, VALUE_MAX);
    bool done = read_lines(&lines, &dotenv, max);
    if (lines.value.data)
        explicit_bzero(lines.value.data, lines.value.size);
    buf_free(&lines.value);
    if (done)
        *ret = dotenv;
    return done;
}

const struct str *dotenv_find(const struct dotenv *dotenv, struct str name)
{
    for (uint32_t i = dotenv->count; i > 0; i--)
        if (str_eq(dotenv->items[i - 1].name, name))
            return &dotenv->items[i - 1].value;
    return NULL;
}
