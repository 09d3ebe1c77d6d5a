/* See toml.h. Keys are counted here before the parser sees them: it goes down a level, and later up again, for each
 * part of a dotted key, on the stack. */
#include "app/toml.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/library.h"

#include <limits.h>
#include <stdio.h>

#define PARSER_BYTES_MAX ((size_t)256 << 20) /* at once */

static toml_read_function *read_text;

bool toml_prepare(struct err *err)
{
    static const struct library_symbol symbols[] = {{TOML_READ_NAME, (void **)&read_text}};
    char path[PATH_MAX];
    if (read_text)
        return true;
    if (!file_of_installation("mayfly-toml.so", path)) {
        err_set(err, ERR_UNSUPPORTED, "this installation reads no manifests (mayfly-toml.so is missing)");
        return err_remedy(err, "install mayfly-toml.so beside mayfly or in ../libexec/mayfly");
    }
    const struct library library = {path, "no manifests", "install the mayfly-toml.so of this version", symbols, 1};
    return library_load(&library, err);
}

/* ---- memory ---- */

struct share {
    struct arena *arena;
    size_t used; /* of the parser, now */
    bool failed; /* it got none: whatever it says then means that */
};

/* In front of each block; as long as what it must be aligned to. */
union block_head {
    size_t size;
    max_align_t aligned;
};

static void *take(void *arg, size_t size)
{
    struct share *share = arg;
    bool more = size <= PARSER_BYTES_MAX - share->used;
    union block_head *head = more ? mem_alloc(1, sizeof *head + size) : NULL;
    if (!head) {
        share->failed = true;
        return NULL;
    }
    head->size = size;
    share->used += size;
    return head + 1;
}

static void drop(void *arg, void *block)
{
    struct share *share = arg;
    union block_head *head = (union block_head *)block - 1;
    share->used -= head->size;
    mem_free(head);
}

static void *keep(void *arg, size_t size)
{
    struct share *share = arg;
    void *block = arena_alloc(share->arena, size);
    share->failed |= !block;
    return block;
}

/* ---- keys ---- */

struct scan {
    struct str text;
    size_t at;
    uint32_t line, column;
    unsigned parts; /* of what may be a key */
};

static void step(struct scan *scan, size_t count)
{
    for (; count && scan->at < scan->text.len; count--, scan->at++) {
        bool newline = scan->text.ptr[scan->at] == '\n';
        scan->line += newline;
        scan->column = newline ? 1 : scan->column + 1;
    }
}

static bool ahead(const struct scan *scan, const char *what, size_t size)
{
    return scan->text.len - scan->at >= size && memcmp(scan->text.ptr + scan->at, what, size) == 0;
}

/* From its opening quote to behind the closing one. A string on one line ends with it: the parser refuses that. */
static void skip_string(struct scan *scan)
{
    char quote = scan->text.ptr[scan->at];
    const char three[3] = {quote, quote, quote};
    bool lines = ahead(scan, three, 3);
    step(scan, lines ? 3 : 1);
    while (scan->at < scan->text.len) {
        char c = scan->text.ptr[scan->at];
        if (c == '\\' && quote == '"')
            step(scan, 2);
        else if (!lines && (c == quote || c == '\n')) {
            step(scan, c == quote);
            return;
        } else if (lines && ahead(scan, three, 3)) {
            step(scan, 3);
            while (scan->at < scan->text.len && scan->text.ptr[scan->at] == quote) /* up to two that belong to it */
                step(scan, 1);
            return;
        } else
            step(scan, 1);
    }
}

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == ' ' || c == '\t';
}

/* No key has more than the parts allowed. Strings and comments are passed over as the parser does it; where the two
 * disagree the text is no TOML, and the parser stops there. */
static bool check_keys(struct str text, struct toml_mistake *mistake)
{
    struct scan scan = {.text = text, .line = 1, .column = 1, .parts = 1};
    while (scan.at < text.len) {
        char c = text.ptr[scan.at];
        if (c == '"' || c == '\'') {
            skip_string(&scan);
            continue;
        }
        if (c == '#')
            step(&scan, str_find(str_slice(text, scan.at, text.len), '\n'));
        else
            step(&scan, 1);
        if (c == '.' && ++scan.parts > TOML_KEY_PARTS_MAX) {
            mistake->line = scan.line;
            mistake->column = scan.column - 1;
            snprintf(mistake->text, sizeof mistake->text, "a key of more than %u parts", TOML_KEY_PARTS_MAX);
            return false;
        }
        if (c != '.' && !is_key_byte(c))
            scan.parts = 1;
    }
    return true;
}

/* TOML has no control characters but tabs and line ends, and toml++ does not expect them everywhere. */
static bool check_bytes(struct str text, struct toml_mistake *mistake)
{
    struct scan scan = {.text = text, .line = 1, .column = 1};
    for (; scan.at < text.len; step(&scan, 1)) {
        unsigned char c = (unsigned char)text.ptr[scan.at];
        if ((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r')
            continue;
        mistake->line = scan.line;
        mistake->column = scan.column;
        snprintf(mistake->text, sizeof mistake->text, "a control character");
        return false;
    }
    return true;
}

/* ---- reading ---- */

/* toml++ begins all its messages alike. */
static const char *without_prefix(const char *text)
{
    static const char prefix[] = "Error while parsing ";
    return strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : text;
}

static bool malformed(const struct toml_mistake *mistake, struct err *err)
{
    err_set(err, ERR_MALFORMED, "this is no TOML: %s", without_prefix(mistake->text));
    return err_remedy(err, "https://toml.io says how it is written");
}

static bool too_much(const struct toml_mistake *mistake, struct err *err)
{
    return err_set(err, ERR_LIMIT, "the file has %s", mistake->text);
}

bool toml_read(struct arena *arena, struct str text, struct toml_node *ret_root, struct toml_mistake *ret_mistake,
               struct err *err)
{
    struct share share = {.arena = arena};
    const struct toml_memory memory = {take, drop, keep, &share};
    memset(ret_mistake, 0, sizeof *ret_mistake);
    if (text.len > TOML_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file is larger than %zu bytes", TOML_SIZE_MAX);
    if (!toml_prepare(err))
        return false;
    if (!check_bytes(text, ret_mistake))
        return malformed(ret_mistake, err);
    if (!check_keys(text, ret_mistake))
        return too_much(ret_mistake, err);
    enum toml_result result = read_text(text.len ? text.ptr : "", text.len, &memory, ret_root, ret_mistake);
    if (result == TOML_READ)
        return true;
    if (share.failed || result == TOML_NO_MEMORY)
        return err_memory(err);
    if (result == TOML_TOO_MUCH)
        return too_much(ret_mistake, err);
    return malformed(ret_mistake, err);
}

const struct toml_node *toml_member(const struct toml_node *table, struct str key)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->kind == TOML_TABLE && str_eq(table->items[i].key, key))
            return &table->items[i];
    return NULL;
}

const char *toml_kind_name(enum toml_kind kind)
{
    static const char *const names[] = {
        [TOML_TABLE] = "a table",      [TOML_ARRAY] = "a list",   [TOML_TEXT] = "a string",
        [TOML_INTEGER] = "an integer", [TOML_FLOAT] = "a number", [TOML_BOOLEAN] = "a boolean",
        [TOML_DATE] = "a date"};
    return names[kind];
}
