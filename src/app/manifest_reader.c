/* See manifest_reader.h. */
#include "app/manifest_reader.h"

#include "base/nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the document ---- */

const struct toml_node *reader_document(struct reader *reader, struct str text)
{
    struct toml_node *root = reader_array(reader, 1, sizeof *root);
    struct toml_mistake mistake;
    struct err inner = {0};
    if (!root || toml_read(reader->arena, text, root, &mistake, &inner))
        return root;
    if (inner.kind == ERR_MEMORY)
        reader_no_memory(reader);
    else
        reader_error(reader, (struct manifest_place){mistake.line, mistake.column}, inner.kind, inner.remedy, "%s",
                     inner.message);
    return NULL;
}

static int by_place(const void *left, const void *right)
{
    const struct manifest_problem *a = left, *b = right;
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    return (a->at.column > b->at.column) - (a->at.column < b->at.column);
}

/* The first error, with its line. */
static bool tell_first(const struct manifest_problems *problems, struct err *err)
{
    size_t i = 0;
    while (i < problems->count && problems->items[i].warning)
        i++;
    if (i == problems->count)
        return err_set(err, ERR_INVALID, "more problems than are kept");
    const struct manifest_problem *problem = &problems->items[i];
    if (problem->at.line)
        err_set(err, problem->err.kind, "line %u: %s", problem->at.line, problem->err.message);
    else
        err_set(err, problem->err.kind, "%s", problem->err.message);
    return err_remedy(err, "%s", problem->err.remedy);
}

bool reader_finish(struct reader *reader, struct err *err)
{
    struct manifest_problems *problems = reader->problems;
    if (problems->count)
        qsort(problems->items, problems->count, sizeof *problems->items, by_place);
    if (reader->no_memory)
        return err_memory(err);
    return problems->error_count == 0 || tell_first(problems, err);
}

/* ---- problems ---- */

struct manifest_place place_of(const struct toml_node *node)
{
    return (struct manifest_place){node->line, node->column};
}

struct manifest_place key_place(const struct toml_node *node)
{
    return node->key_line ? (struct manifest_place){node->key_line, node->key_column} : place_of(node);
}

const char *reader_shown(struct str text, char room[READER_SHOWN])
{
    size_t most = READER_SHOWN - 4, len = text.len < most ? text.len : most;
    while (len < text.len && len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) /* no half of a character */
        len--;
    if (len)
        memcpy(room, text.ptr, len);
    memcpy(room + len, "...", 4);
    if (len == text.len)
        room[len] = '\0';
    return room;
}

void reader_no_memory(struct reader *reader)
{
    reader->no_memory = true;
}

static bool are_kept(const struct reader *reader)
{
    return reader->problems->count < MANIFEST_PROBLEMS_MAX;
}

/* Room for one more, or NULL: there are enough, and it is counted only. */
static struct manifest_problem *note(struct reader *reader, struct manifest_place at, bool warning)
{
    struct manifest_problems *problems = reader->problems;
    problems->error_count += !warning;
    if (!are_kept(reader)) {
        problems->left_out++;
        return NULL;
    }
    struct manifest_problem *problem = VEC_PUSH(problems, MANIFEST_PROBLEMS_MAX);
    if (!problem) {
        reader_no_memory(reader);
        return NULL;
    }
    problem->at = at;
    problem->warning = warning;
    return problem;
}

static void fill(struct manifest_problem *problem, enum err_kind kind, const char *remedy, const char *format,
                 va_list args)
{
    char message[sizeof problem->err.message];
    if (!problem)
        return;
    vsnprintf(message, sizeof message, format, args);
    err_set(&problem->err, kind, "%s", message);
    err_remedy(&problem->err, "%s", remedy ? remedy : "");
}

void reader_error(struct reader *reader, struct manifest_place at, enum err_kind kind, const char *remedy,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(note(reader, at, false), kind, remedy, format, args);
    va_end(args);
}

void reader_warn(struct reader *reader, struct manifest_place at, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(note(reader, at, true), ERR_INVALID, remedy, format, args);
    va_end(args);
}

void reader_pass(struct reader *reader, struct manifest_place at, const struct err *inner, const char *format, ...)
{
    char what[sizeof inner->message];
    va_list args;
    if (inner->kind == ERR_MEMORY) {
        reader_no_memory(reader);
        return;
    }
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    reader_error(reader, at, inner->kind, inner->remedy, "%s: %s", what, inner->message);
}

const char *reader_nearest(const struct reader *reader, struct str word, struct reader_words words,
                           const char *otherwise, char room[256])
{
    struct nearest nearest = nearest_to(word);
    const char *at = (const char *)words.first;
    for (size_t i = 0; i < words.count && are_kept(reader); i++, at += words.step) {
        struct str candidate;
        memcpy(&candidate, at, sizeof candidate);
        nearest_consider(&nearest, candidate);
    }
    if (nearest.found.len == 0)
        return otherwise;
    snprintf(room, 256, "did you mean \"%s\"?", SHOWN(nearest.found));
    return room;
}

const char *reader_nearest_component(const struct reader *reader, struct str id, char room[256])
{
    struct reader_words words = {NULL, 0, 0};
    if (reader->components.count)
        words = READER_WORDS(reader->components.items, reader->components.count, id.text);
    return reader_nearest(reader, id, words, "declare it as [component.ID]", room);
}

const char *reader_nearest_variable(const struct reader *reader, struct str name, char room[256])
{
    struct reader_words words = {NULL, 0, 0};
    if (reader->manifest->variable_count)
        words = READER_WORDS(reader->manifest->variables, reader->manifest->variable_count, name.text);
    return reader_nearest(reader, name, words, "declare it in [variables]", room);
}

/* ---- where ---- */

size_t reader_enter(struct reader *reader, struct str name)
{
    size_t before = reader->where_size, left = sizeof reader->where - before;
    int more = snprintf(reader->where + before, left, "%s%s", before ? "." : "", SHOWN(name));
    reader->where_size += more < 0 ? 0 : (size_t)more < left ? (size_t)more : left - 1;
    return before;
}

void reader_leave(struct reader *reader, size_t size)
{
    reader->where_size = size;
    reader->where[size] = '\0';
}

static const char *where(const struct reader *reader)
{
    return reader->where_size ? reader->where : reader->title;
}

/* ---- values ---- */

void *reader_array(struct reader *reader, size_t count, size_t size)
{
    void *array = arena_array(reader->arena, count, size);
    if (!array)
        reader_no_memory(reader);
    return array;
}

bool reader_is(struct reader *reader, const struct toml_node *node, enum toml_kind kind)
{
    if (node->kind == kind)
        return true;
    if (node->key.len)
        reader_error(reader, place_of(node), ERR_INVALID, NULL, "\"%s\" in %s must be %s, not %s", SHOWN(node->key),
                     where(reader), toml_kind_name(kind), toml_kind_name(node->kind));
    else
        reader_error(reader, place_of(node), ERR_INVALID, NULL, "an entry of %s must be %s, not %s", where(reader),
                     toml_kind_name(kind), toml_kind_name(node->kind));
    return false;
}

bool reader_fits(struct reader *reader, const struct toml_node *node, uint32_t max)
{
    if (node->count <= max)
        return true;
    if (node->key.len)
        reader_error(reader, key_place(node), ERR_LIMIT, NULL, "\"%s\" has more than %u entries", SHOWN(node->key),
                     max);
    else
        reader_error(reader, place_of(node), ERR_LIMIT, NULL, "%s has more than %u entries", where(reader), max);
    return false;
}

void take_text(struct reader *reader, const struct toml_node *node, void *into)
{
    if (reader_is(reader, node, TOML_TEXT))
        *(struct manifest_text *)into = (struct manifest_text){node->text, place_of(node)};
}

void take_texts(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    if (!reader_is(reader, node, TOML_ARRAY) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    texts->items = reader_array(reader, node->count, sizeof *texts->items);
    texts->given = true;
    texts->at = place_of(node);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; texts->items && i < node->count; i++) {
        take_text(reader, &node->items[i], &texts->items[texts->count]);
        texts->count += node->items[i].kind == TOML_TEXT;
    }
    reader_leave(reader, before);
}

void take_command(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_texts *texts = into;
    if (node->kind == TOML_ARRAY) {
        take_texts(reader, node, into);
        return;
    }
    if (node->kind != TOML_TEXT) {
        reader_error(reader, place_of(node), ERR_INVALID, NULL,
                     "\"%s\" in %s must be a string or a list of strings, not %s", SHOWN(node->key), where(reader),
                     toml_kind_name(node->kind));
        return;
    }
    texts->items = reader_array(reader, 1, sizeof *texts->items);
    if (!texts->items)
        return;
    texts->given = true;
    texts->count = 1;
    texts->at = place_of(node);
    take_text(reader, node, &texts->items[0]);
}

void take_truth(struct reader *reader, const struct toml_node *node, void *into)
{
    if (reader_is(reader, node, TOML_BOOLEAN))
        *(struct manifest_truth *)into = (struct manifest_truth){true, node->truth, place_of(node)};
}

void take_pairs(struct reader *reader, const struct toml_node *node, void *into)
{
    struct manifest_pairs *pairs = into;
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    pairs->items = reader_array(reader, node->count, sizeof *pairs->items);
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; pairs->items && i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        if (!reader_is(reader, item, TOML_TEXT))
            continue;
        struct manifest_pair *pair = &pairs->items[pairs->count++];
        pair->name = (struct manifest_text){item->key, key_place(item)};
        pair->value = (struct manifest_text){item->text, place_of(item)};
    }
    reader_leave(reader, before);
}

void take_tables(struct reader *reader, const struct toml_node *node, void *into)
{
    if (!reader_is(reader, node, TOML_TABLE) || !reader_fits(reader, node, MANIFEST_LIST_MAX))
        return;
    *(const struct toml_node **)into = node;
    size_t before = reader_enter(reader, node->key);
    for (uint32_t i = 0; i < node->count; i++)
        reader_is(reader, &node->items[i], TOML_TABLE);
    reader_leave(reader, before);
}

/* ---- tables ---- */

static void unknown_key(struct reader *reader, const struct toml_node *node, const struct reader_key *keys,
                        size_t count)
{
    struct nearest nearest = nearest_to(node->key);
    char remedy[256];
    size_t n = 0;
    for (size_t i = 0; i < count && are_kept(reader); i++)
        nearest_consider(&nearest, str_of(keys[i].name));
    if (nearest.found.len)
        snprintf(remedy, sizeof remedy, "did you mean \"%s\"?", SHOWN(nearest.found));
    else
        for (size_t i = 0; i < count && n < sizeof remedy; i++) {
            int more = snprintf(remedy + n, sizeof remedy - n, "%s%s", i ? ", " : "it may have ", keys[i].name);
            n += more < 0 ? 0 : (size_t)more;
        }
    reader_error(reader, key_place(node), ERR_INVALID, remedy, "unknown key \"%s\" in %s", SHOWN(node->key),
                 where(reader));
}

bool reader_table(struct reader *reader, const struct toml_node *node, const struct reader_key *keys, size_t count,
                  void *into)
{
    if (node->kind != TOML_TABLE) {
        reader_error(reader, place_of(node), ERR_INVALID, NULL, "%s must be a table, not %s", where(reader),
                     toml_kind_name(node->kind));
        return false;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        const struct toml_node *item = &node->items[i];
        size_t key = 0;
        while (key < count && !str_eq(item->key, str_of(keys[key].name)))
            key++;
        if (key == count)
            unknown_key(reader, item, keys, count);
        else
            keys[key].take(reader, item, (char *)into + keys[key].offset);
    }
    for (size_t key = 0; key < count; key++)
        if (keys[key].required && !toml_member(node, str_of(keys[key].name)))
            reader_error(reader, key_place(node), ERR_INVALID, NULL, "%s lacks \"%s\"", where(reader), keys[key].name);
    return true;
}

bool reader_check(struct reader *reader, const struct manifest_text *text, const char *what,
                  bool (*check)(struct str text, struct err *err))
{
    struct err inner = {0};
    if (!text->text.ptr || check(text->text, &inner))
        return true;
    reader_pass(reader, text->at, &inner, "%s \"%s\"", what, SHOWN(text->text));
    return false;
}
