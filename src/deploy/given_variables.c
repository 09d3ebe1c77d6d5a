/* Variables of the command line, and of the files that it names (see given.h). */
#include "deploy/given.h"

#include "app/toml.h"
#include "app/words.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json_read.h"
#include "base/vec.h"

#include <stdio.h>

#define VARIABLES_MAX 1024u
#define FILE_MAX ((size_t)1 << 20)

struct collecting {
    struct arena *arena;
    struct err *err;
    bool failed;
    VEC(struct host_variable) rows;
};

static struct host_variable *row_of(struct collecting *collecting, struct str name)
{
    for (size_t i = 0; i < collecting->rows.count; i++)
        if (str_eq(collecting->rows.items[i].name, name))
            return &collecting->rows.items[i];
    return VEC_PUSH(&collecting->rows, VARIABLES_MAX);
}

static bool keep(struct collecting *collecting, struct str *text)
{
    const char *copy = arena_copy(collecting->arena, text->len ? text->ptr : "", text->len + (text->len == 0));
    text->ptr = copy;
    return copy || err_memory(collecting->err);
}

/* Both are copied. */
static bool add(struct collecting *collecting, struct str name, struct str value)
{
    struct err *err = collecting->err;
    if (!words_variable(name, err))
        return err_within(err, "variable \"%.*s\"", (int)(name.len < 64 ? name.len : 64), name.ptr);
    if (!utf8_valid(value.ptr, value.len)) {
        err_set(err, ERR_INVALID, "the value of the variable \"%.*s\" is no UTF-8", STR_ARG(name));
        return err_remedy(err, "components take texts in UTF-8 only");
    }
    struct host_variable row = {name, value}, *place;
    if (!keep(collecting, &row.name) || !keep(collecting, &row.value))
        return false;
    place = row_of(collecting, name);
    if (!place)
        return err_set(err, ERR_LIMIT, "more than %u variables, or no memory", VARIABLES_MAX);
    *place = row;
    return true;
}

/* ---- files of several ---- */

static bool not_texts(struct err *err)
{
    err_set(err, ERR_INVALID, "it must have names of variables with texts, and nothing else");
    return err_remedy(err, "write {\"name\": \"value\"} in JSON, or name = \"value\" in TOML");
}

static void found(void *arg, const struct json_read_value *value)
{
    struct collecting *collecting = arg;
    if (!collecting->failed)
        collecting->failed = value->kind == JSON_READ_STRING && value->path.len
                                 ? !add(collecting, value->path, value->text)
                                 : !not_texts(collecting->err);
}

static bool read_json(struct collecting *collecting, struct str text)
{
    size_t size = text.len ? text.len : 1;
    char *room = mem_alloc(size, 1);
    if (!room)
        return err_memory(collecting->err);
    bool done = json_read_whole(text, room, size, found, collecting);
    explicit_bzero(room, size);
    mem_free(room);
    if (collecting->failed)
        return false;
    return done || err_set(collecting->err, ERR_MALFORMED, "it is no JSON");
}

static bool read_toml(struct collecting *collecting, struct str text)
{
    struct toml_node root;
    struct toml_mistake mistake;
    if (!toml_read(collecting->arena, text, &root, &mistake, collecting->err))
        return mistake.line ? err_within(collecting->err, "line %u", mistake.line) : false;
    for (uint32_t i = 0; i < root.count; i++) {
        const struct toml_node *node = &root.items[i];
        if (node->kind != TOML_TEXT)
            return not_texts(collecting->err) || err_within(collecting->err, "line %u", node->line);
        if (!add(collecting, node->key, node->text))
            return err_within(collecting->err, "line %u", node->key_line);
    }
    return true;
}

/* ---- forms ---- */

static const struct {
    const char *ending;
    bool (*read)(struct collecting *collecting, struct str text);
} readers[] = {{".json", read_json}, {".toml", read_toml}};

static bool ends_in(const char *text, const char *ending)
{
    size_t size = strlen(text), end = strlen(ending);
    return size > end && strcmp(text + size - end, ending) == 0;
}

/* One value, as it is, or what `read` finds. */
static bool read_file(struct collecting *collecting, const char *path, struct str name,
                      bool (*read)(struct collecting *collecting, struct str text))
{
    struct buf buf;
    buf_init(&buf, FILE_MAX);
    bool done = file_read(path, &buf, collecting->err);
    struct str text = {buf.data ? (const char *)buf.data : "", buf.size};
    done = done && (read ? read(collecting, text) : add(collecting, name, text));
    if (buf.data)
        explicit_bzero(buf.data, buf.size);
    buf_free(&buf);
    return done || err_within(collecting->err, "--variable: %s", path);
}

static bool wrong_form(struct err *err, const char *what)
{
    err_set(err, ERR_USAGE, "--variable: %s", what);
    return err_remedy(err, "write NAME=VALUE, NAME=@FILE, @FILE.json or @FILE.toml");
}

static bool take_one(struct collecting *collecting, const char *text)
{
    struct str whole = str_of(text);
    size_t equals = str_find(whole, '=');
    if (text[0] == '@') {
        for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
            if (ends_in(text, readers[i].ending))
                return read_file(collecting, text + 1, (struct str){NULL, 0}, readers[i].read);
        return wrong_form(collecting->err, "a file of variables ends in .json or .toml");
    }
    if (equals == whole.len)
        return wrong_form(collecting->err, "there is no value");
    struct str name = str_slice(whole, 0, equals);
    if (text[equals + 1] == '@')
        return read_file(collecting, text + equals + 2, name, NULL);
    return add(collecting, name, str_slice(whole, equals + 1, whole.len)) || err_within(collecting->err, "--variable");
}

bool given_take_variables(struct given *given, const struct given_texts *wanted, struct arena *arena, struct err *err)
{
    struct collecting collecting = {.arena = arena, .err = err};
    bool done = true;
    for (uint32_t i = 0; done && i < wanted->count; i++)
        done = take_one(&collecting, wanted->items[i]);
    size_t count = collecting.rows.count;
    struct host_variable *rows = done ? ARENA_ARRAY(arena, struct host_variable, count) : NULL;
    if (rows && count)
        memcpy(rows, collecting.rows.items, count * sizeof *rows);
    VEC_FREE(&collecting.rows);
    given->variables = rows;
    given->variable_count = rows ? (uint32_t)count : 0;
    return rows || (done && err_memory(err));
}
