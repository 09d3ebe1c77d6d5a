/* WIT text to the tree of ast.h, by recursive descent; one function per production of WIT.md.
 *
 * Nesting is bounded by WIT_MAX_DEPTH (only types nest), lists by WIT_MAX_ITEMS, memory by the set's arena.
 */
#include "wit/ast.h"
#include "wit/lex.h"

#include <stdarg.h>
#include <stdio.h>

struct parser {
    struct arena *arena;
    struct lexer lexer;
    struct ast_file *file;
    struct err *err;
    uint32_t depth;
};

bool ast_error(struct err *err, const struct ast_file *file, uint32_t line, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, ERR_INVALID, "%.*s:%u: %s", STR_ARG(file->name), line, text);
}

static uint32_t line_of(const struct parser *p)
{
    return p->lexer.token.line;
}

static bool unexpected(struct parser *p, const char *wanted)
{
    struct str found = p->lexer.token.text;
    if (p->lexer.token.kind == TOKEN_END)
        found = STR("end of file");
    err_set(p->err, ERR_MALFORMED, "%.*s:%u: expected %s, found `%.*s`", STR_ARG(p->file->name), line_of(p), wanted,
            (int)(found.len < 60 ? found.len : 60), found.ptr);
    return false;
}

static bool next(struct parser *p)
{
    return lex_next(&p->lexer, p->err);
}

static bool at_punct(const struct parser *p, char c)
{
    return p->lexer.token.kind == TOKEN_PUNCT && p->lexer.token.text.ptr[0] == c;
}

static bool at_word(const struct parser *p, const char *word)
{
    return p->lexer.token.kind == TOKEN_ID && str_eq(p->lexer.token.text, str_of(word));
}

static bool expect(struct parser *p, char c)
{
    char wanted[] = {'`', c, '`', '\0'};
    return at_punct(p, c) ? next(p) : unexpected(p, wanted);
}

/* Consume `c` if it is there; *ret_found says whether. */
static bool accept(struct parser *p, char c, bool *ret_found)
{
    *ret_found = at_punct(p, c);
    return *ret_found ? next(p) : true;
}

static bool accept_word(struct parser *p, const char *word, bool *ret_found)
{
    *ret_found = at_word(p, word);
    return *ret_found ? next(p) : true;
}

static void *make(struct parser *p, size_t size)
{
    void *node = arena_alloc(p->arena, size);
    if (!node)
        err_memory(p->err);
    return node;
}
#define MAKE(p, type) ((type *)make((p), sizeof(type)))

/* Append to a list linked by `next`; `tail` points at the link to fill. */
#define APPEND(tail, node) (*(tail) = (node), (tail) = &(node)->next)

static const char *const keywords[] = {
    "as",  "async",  "bool",   "borrow",  "char",   "constructor", "enum",    "export",    "f32",
    "f64", "flags",  "from",   "func",    "future", "import",      "include", "interface", "list",
    "map", "option", "own",    "package", "record", "resource",    "result",  "s16",       "s32",
    "s64", "s8",     "static", "stream",  "string", "tuple",       "type",    "u16",       "u32",
    "u64", "u8",     "use",    "variant", "with",   "world",
};

bool wit_is_keyword(struct str word)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (str_eq(word, str_of(keywords[i])))
            return true;
    return false;
}

static bool parse_id(struct parser *p, struct str *ret_id)
{
    const struct token *token = &p->lexer.token;
    if (token->kind != TOKEN_ID && token->kind != TOKEN_ESCAPED)
        return unexpected(p, "a name");
    if (token->kind == TOKEN_ID && wit_is_keyword(token->text)) {
        unexpected(p, "a name");
        return err_remedy(p->err, "%.*s is a keyword: write %%%.*s", STR_ARG(token->text), STR_ARG(token->text));
    }
    *ret_id = token->text;
    return next(p);
}

/* --- gates --- */

static bool parse_gate_field(struct parser *p, const char *field)
{
    bool version = strcmp(field, "version") == 0;
    struct str ignored;
    if (!expect(p, '('))
        return false;
    if (!at_word(p, field))
        return unexpected(p, field);
    if (!next(p))
        return false;
    if (!version)
        return expect(p, '=') && parse_id(p, &ignored) && expect(p, ')');
    if (!at_punct(p, '='))
        return unexpected(p, "`=`");
    return lex_version(&p->lexer, &ignored, p->err) && expect(p, ')');
}

static bool parse_external_id(struct parser *p)
{
    if (!expect(p, '('))
        return false;
    if (p->lexer.token.kind != TOKEN_STRING)
        return unexpected(p, "a string");
    return next(p) && expect(p, ')');
}

/* Any number of gates; *ret_hidden when one of them is `@unstable`. */
static bool parse_gates(struct parser *p, bool *ret_hidden)
{
    bool hidden = false, unstable, since, deprecated, external;
    while (at_punct(p, '@')) {
        if (!next(p) || !accept_word(p, "unstable", &unstable) || !accept_word(p, "since", &since) ||
            !accept_word(p, "deprecated", &deprecated) || !accept_word(p, "external-id", &external))
            return false;
        if (unstable + since + deprecated + external != 1)
            return unexpected(p, "`since`, `unstable`, `deprecated` or `external-id`");
        if (external ? !parse_external_id(p) : !parse_gate_field(p, unstable ? "feature" : "version"))
            return false;
        hidden |= unstable;
    }
    *ret_hidden = hidden;
    return true;
}

/* --- types --- */

struct type_word {
    const char *word;
    int kind;
    uint8_t min_args, max_args;
};

static const struct type_word type_words[] = {
    {"bool", TYPE_BOOL, 0, 0},     {"s8", TYPE_S8, 0, 0},         {"u8", TYPE_U8, 0, 0},
    {"s16", TYPE_S16, 0, 0},       {"u16", TYPE_U16, 0, 0},       {"s32", TYPE_S32, 0, 0},
    {"u32", TYPE_U32, 0, 0},       {"s64", TYPE_S64, 0, 0},       {"u64", TYPE_U64, 0, 0},
    {"f32", TYPE_F32, 0, 0},       {"f64", TYPE_F64, 0, 0},       {"char", TYPE_CHAR, 0, 0},
    {"string", TYPE_STRING, 0, 0}, {"list", TYPE_LIST, 1, 1},     {"option", TYPE_OPTION, 1, 1},
    {"result", TYPE_RESULT, 0, 2}, {"tuple", TYPE_TUPLE, 1, 255}, {"map", TYPE_MAP, 2, 2},
    {"stream", TYPE_STREAM, 0, 1}, {"future", TYPE_FUTURE, 0, 1}, {"error-context", TYPE_ERROR_CONTEXT, 0, 0},
};

static const struct type_word *type_word(struct str word)
{
    for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++)
        if (str_eq(word, str_of(type_words[i].word)))
            return &type_words[i];
    return NULL;
}

static bool parse_type(struct parser *p, struct ast_type **ret_type);

/* The length in `list<T, N>`. */
static bool parse_length(struct parser *p, struct ast_type *type)
{
    uint64_t value = 0;
    struct str digits = p->lexer.token.text;
    if (p->lexer.token.kind != TOKEN_INTEGER)
        return unexpected(p, "a length");
    for (size_t i = 0; i < digits.len && value <= UINT32_MAX; i++)
        value = value * 10 + (uint64_t)(digits.ptr[i] - '0');
    if (value == 0 || value > UINT32_MAX)
        return ast_error(p->err, p->file, line_of(p), "length of a list must be from 1 to %u", UINT32_MAX);
    type->kind = TYPE_FIXED_LIST;
    type->count = (uint32_t)value;
    return next(p);
}

static bool parse_type_arg(struct parser *p, struct ast_type **ret_type)
{
    if (!at_punct(p, '_'))
        return parse_type(p, ret_type);
    struct ast_type *type = MAKE(p, struct ast_type);
    if (!type)
        return false;
    type->line = line_of(p);
    type->absent = true;
    *ret_type = type;
    return next(p);
}

/* Between `<` and `>`. */
static bool parse_type_args(struct parser *p, struct ast_type *type, const struct type_word *word)
{
    struct ast_type **tail = &type->args, *arg = NULL;
    uint32_t count = 0;
    for (bool comma = true; !at_punct(p, '>'); count++) {
        if (!comma)
            return unexpected(p, "`,` or `>`");
        if (count >= word->max_args && type->kind == TYPE_LIST)
            return parse_length(p, type) && expect(p, '>');
        if (count >= word->max_args)
            return unexpected(p, "`>`");
        if (!parse_type_arg(p, &arg) || !accept(p, ',', &comma))
            return false;
        if (arg->absent && (word->kind != TYPE_RESULT || count != 0))
            return ast_error(p->err, p->file, arg->line, "`_` stands only for the ok part of a result");
        APPEND(tail, arg);
    }
    if (count < word->min_args || count == 0)
        return unexpected(p, "a type");
    return expect(p, '>');
}

/* own<R> and borrow<R>. */
static bool parse_handle(struct parser *p, struct ast_type *type, enum type_kind kind)
{
    type->kind = (int)kind;
    return next(p) && expect(p, '<') && parse_id(p, &type->name) && expect(p, '>');
}

static bool parse_type_body(struct parser *p, struct ast_type *type)
{
    const struct token *token = &p->lexer.token;
    const struct type_word *word = token->kind == TOKEN_ID ? type_word(token->text) : NULL;
    if (at_word(p, "own") || at_word(p, "borrow"))
        return parse_handle(p, type, at_word(p, "own") ? TYPE_OWN : TYPE_BORROW);
    if (!word) {
        type->kind = AST_NAMED;
        return parse_id(p, &type->name);
    }
    type->kind = word->kind;
    bool open = false;
    if (!next(p) || (word->max_args && !accept(p, '<', &open)))
        return false;
    if (!open)
        return word->min_args == 0 ? true : unexpected(p, "`<`");
    return parse_type_args(p, type, word);
}

static bool parse_type(struct parser *p, struct ast_type **ret_type)
{
    struct ast_type *type = MAKE(p, struct ast_type);
    if (!type)
        return false;
    if (p->depth >= WIT_MAX_DEPTH)
        return ast_error(p->err, p->file, line_of(p), "types nested deeper than %u", WIT_MAX_DEPTH);
    type->line = line_of(p);
    p->depth++;
    bool ok = parse_type_body(p, type);
    p->depth--;
    if (ok)
        *ret_type = type;
    return ok;
}

/* --- lists of fields, cases, names and parameters --- */

enum item_form { ITEM_FIELD, ITEM_CASE, ITEM_NAME };

static bool parse_item(struct parser *p, enum item_form form, struct ast_item *item)
{
    bool open = false;
    item->line = line_of(p);
    if (!parse_id(p, &item->name))
        return false;
    if (form == ITEM_FIELD)
        return expect(p, ':') && parse_type(p, &item->type);
    if (form == ITEM_CASE && !accept(p, '(', &open))
        return false;
    return !open || (parse_type(p, &item->type) && expect(p, ')'));
}

static bool parse_items(struct parser *p, enum item_form form, char open, char close, struct ast_item **ret_items)
{
    struct ast_item *items = NULL, **tail = &items;
    uint32_t count = 0;
    if (!expect(p, open))
        return false;
    for (bool comma = true; !at_punct(p, close); count++) {
        struct ast_item *item = MAKE(p, struct ast_item);
        if (!item)
            return false;
        if (!comma || count >= WIT_MAX_ITEMS)
            return unexpected(p, close == '}' ? "`,` or `}`" : "`,` or `)`");
        if (!parse_item(p, form, item) || !accept(p, ',', &comma))
            return false;
        APPEND(tail, item);
    }
    *ret_items = items;
    return expect(p, close);
}

/* --- functions --- */

/* `async? func (params) -> result ;` behind the name and its colon. */
static bool parse_func_type(struct parser *p, struct ast_func *func)
{
    bool arrow = false;
    if (!accept_word(p, "async", &func->async_))
        return false;
    if (!at_word(p, "func"))
        return unexpected(p, "`func`");
    if (!next(p) || !parse_items(p, ITEM_FIELD, '(', ')', &func->params))
        return false;
    arrow = p->lexer.token.kind == TOKEN_ARROW;
    return (!arrow || (next(p) && parse_type(p, &func->result))) && expect(p, ';');
}

static struct ast_func *new_func(struct parser *p, enum wit_func_kind kind)
{
    struct ast_func *func = MAKE(p, struct ast_func);
    if (func) {
        func->kind = kind;
        func->line = line_of(p);
    }
    return func;
}

static bool parse_constructor(struct parser *p, struct ast_func *func)
{
    func->kind = WIT_CONSTRUCTOR;
    func->name = STR("constructor");
    if (!next(p) || !parse_items(p, ITEM_FIELD, '(', ')', &func->params))
        return false;
    bool arrow = p->lexer.token.kind == TOKEN_ARROW;
    return (!arrow || (next(p) && parse_type(p, &func->result))) && expect(p, ';');
}

static bool parse_method(struct parser *p, struct ast_func *func)
{
    bool is_static = false;
    if (at_word(p, "constructor"))
        return parse_constructor(p, func);
    if (!parse_id(p, &func->name) || !expect(p, ':') || !accept_word(p, "static", &is_static))
        return false;
    func->kind = is_static ? WIT_STATIC : WIT_METHOD;
    return parse_func_type(p, func);
}

/* --- paths --- */

static bool parse_optional_version(struct parser *p, struct str *version)
{
    return at_punct(p, '@') ? lex_version(&p->lexer, version, p->err) : true;
}

/* The part up to the '/' of "wasi:io/streams", as one view of the text. */
static bool parse_package_id(struct parser *p, struct str *ret_id)
{
    struct str first, last;
    bool colon = true;
    if (!parse_id(p, &first))
        return false;
    last = first;
    if (!at_punct(p, ':'))
        return unexpected(p, "`:`");
    while (at_punct(p, ':'))
        if (!accept(p, ':', &colon) || !parse_id(p, &last))
            return false;
    *ret_id = (struct str){first.ptr, (size_t)(last.ptr + last.len - first.ptr)};
    return true;
}

static bool parse_path(struct parser *p, struct ast_path *path)
{
    path->line = line_of(p);
    if (!lex_qualifies(&p->lexer))
        return parse_id(p, &path->name);
    return parse_package_id(p, &path->package) && expect(p, '/') && parse_id(p, &path->name) &&
           parse_optional_version(p, &path->version);
}

/* --- definitions --- */

static struct ast_def *new_def(struct parser *p, enum ast_def_kind kind)
{
    struct ast_def *def = MAKE(p, struct ast_def);
    if (def) {
        def->kind = kind;
        def->line = line_of(p);
    }
    return def;
}

struct def_word {
    const char *word;
    enum ast_def_kind kind;
    enum item_form form;
};

static const struct def_word def_words[] = {
    {"record", DEF_RECORD, ITEM_FIELD},
    {"variant", DEF_VARIANT, ITEM_CASE},
    {"enum", DEF_ENUM, ITEM_NAME},
    {"flags", DEF_FLAGS, ITEM_NAME},
    {"resource", DEF_RESOURCE, 0},
    {"type", DEF_ALIAS, 0},
    {"use", DEF_USE, 0},
};

static const struct def_word *at_def(const struct parser *p)
{
    for (size_t i = 0; i < sizeof def_words / sizeof *def_words; i++)
        if (at_word(p, def_words[i].word))
            return &def_words[i];
    return NULL;
}

static bool parse_resource(struct parser *p, struct ast_def *def)
{
    struct ast_func **tail = &def->funcs;
    if (at_punct(p, ';'))
        return next(p);
    if (!expect(p, '{'))
        return false;
    for (bool hidden; !at_punct(p, '}');) {
        struct ast_func *func;
        if (!parse_gates(p, &hidden) || !(func = new_func(p, WIT_METHOD)) || !parse_method(p, func))
            return false;
        if (!hidden)
            APPEND(tail, func);
    }
    return next(p);
}

/* `use path.{a, b as c};`: one definition per name. */
static bool parse_use(struct parser *p, bool hidden, struct ast_def ***tail)
{
    struct ast_path path = {0};
    if (!next(p) || !parse_path(p, &path) || !expect(p, '.') || !expect(p, '{'))
        return false;
    for (bool comma = true, as; !at_punct(p, '}');) {
        struct ast_def *def = new_def(p, DEF_USE);
        if (!def)
            return false;
        if (!comma)
            return unexpected(p, "`,` or `}`");
        def->path = path;
        if (!parse_id(p, &def->source) || !accept_word(p, "as", &as))
            return false;
        def->name = def->source;
        if ((as && !parse_id(p, &def->name)) || !accept(p, ',', &comma))
            return false;
        if (!hidden)
            APPEND(*tail, def);
    }
    return next(p) && expect(p, ';');
}

static bool parse_def_body(struct parser *p, const struct def_word *word, struct ast_def *def)
{
    if (!parse_id(p, &def->name))
        return false;
    if (word->kind == DEF_RESOURCE)
        return parse_resource(p, def);
    if (word->kind == DEF_ALIAS)
        return expect(p, '=') && parse_type(p, &def->type) && expect(p, ';');
    return parse_items(p, word->form, '{', '}', &def->items);
}

static bool parse_def(struct parser *p, const struct def_word *word, bool hidden, struct ast_def ***tail)
{
    if (word->kind == DEF_USE)
        return parse_use(p, hidden, tail);
    struct ast_def *def = new_def(p, word->kind);
    if (!def || !next(p) || !parse_def_body(p, word, def))
        return false;
    if (!hidden)
        APPEND(*tail, def);
    return true;
}

/* --- interfaces and worlds --- */

/* The definitions and functions between `{` and `}`. */
static bool parse_interface_body(struct parser *p, struct ast_interface *interface)
{
    struct ast_def **defs = &interface->defs;
    struct ast_func **funcs = &interface->funcs;
    if (!expect(p, '{'))
        return false;
    for (bool hidden; !at_punct(p, '}');) {
        if (!parse_gates(p, &hidden))
            return false;
        const struct def_word *word = at_def(p);
        if (word) {
            if (!parse_def(p, word, hidden, &defs))
                return false;
            continue;
        }
        struct ast_func *func = new_func(p, WIT_FREE);
        if (!func || !parse_id(p, &func->name) || !expect(p, ':') || !parse_func_type(p, func))
            return false;
        if (!hidden)
            APPEND(funcs, func);
    }
    return next(p);
}

static bool parse_interface(struct parser *p, bool hidden, struct ast_interface ***tail)
{
    struct ast_interface *interface = MAKE(p, struct ast_interface);
    if (!interface)
        return false;
    interface->line = line_of(p);
    interface->file = p->file;
    if (!next(p) || !parse_id(p, &interface->name) || !parse_interface_body(p, interface))
        return false;
    if (!hidden)
        APPEND(*tail, interface);
    return true;
}

/* Behind `import NAME :`. */
static bool parse_extern_type(struct parser *p, struct ast_extern *item)
{
    if (at_word(p, "func") || at_word(p, "async")) {
        item->kind = EXTERN_FUNC;
        if (!(item->func = new_func(p, WIT_FREE)))
            return false;
        item->func->name = item->name;
        return parse_func_type(p, item->func);
    }
    if (at_word(p, "interface")) {
        item->kind = EXTERN_INTERFACE;
        if (!(item->interface = MAKE(p, struct ast_interface)))
            return false;
        *item->interface = (struct ast_interface){.file = p->file, .name = item->name, .line = item->line};
        return next(p) && parse_interface_body(p, item->interface);
    }
    item->kind = EXTERN_NAMED_PATH;
    return parse_path(p, &item->path) && expect(p, ';');
}

static bool parse_extern(struct parser *p, bool hidden, struct ast_extern ***tail)
{
    struct ast_extern *item = MAKE(p, struct ast_extern);
    if (!item)
        return false;
    item->export = at_word(p, "export");
    item->line = line_of(p);
    if (!next(p) || !parse_path(p, &item->path))
        return false;
    bool named = false;
    if (!item->path.package.len && !accept(p, ':', &named))
        return false;
    item->name = item->path.name;
    if (named ? !parse_extern_type(p, item) : !expect(p, ';'))
        return false;
    if (!hidden)
        APPEND(*tail, item);
    return true;
}

static bool parse_renames(struct parser *p, struct ast_include *include)
{
    struct ast_rename **tail = &include->renames;
    if (!next(p) || !expect(p, '{'))
        return false;
    for (bool comma = true, as; !at_punct(p, '}');) {
        struct ast_rename *rename = MAKE(p, struct ast_rename);
        if (!rename)
            return false;
        if (!comma || !parse_id(p, &rename->from) || !accept_word(p, "as", &as))
            return comma ? false : unexpected(p, "`,` or `}`");
        if (!as)
            return unexpected(p, "`as`");
        if (!parse_id(p, &rename->to) || !accept(p, ',', &comma))
            return false;
        APPEND(tail, rename);
    }
    return next(p);
}

static bool parse_include(struct parser *p, bool hidden, struct ast_include ***tail)
{
    struct ast_include *include = MAKE(p, struct ast_include);
    if (!include || !next(p) || !parse_path(p, &include->path))
        return false;
    bool with = at_word(p, "with");
    if (with ? !parse_renames(p, include) : !expect(p, ';'))
        return false;
    if (with && at_punct(p, ';') && !next(p))
        return false;
    if (!hidden)
        APPEND(*tail, include);
    return true;
}

struct world_tails {
    struct ast_def **defs;
    struct ast_extern **externs;
    struct ast_include **includes;
};

static bool parse_world_item(struct parser *p, struct world_tails *tails)
{
    bool hidden;
    if (!parse_gates(p, &hidden))
        return false;
    const struct def_word *word = at_def(p);
    if (word)
        return parse_def(p, word, hidden, &tails->defs);
    if (at_word(p, "import") || at_word(p, "export"))
        return parse_extern(p, hidden, &tails->externs);
    if (at_word(p, "include"))
        return parse_include(p, hidden, &tails->includes);
    return unexpected(p, "`import`, `export`, `include`, `use` or a type");
}

static bool parse_world(struct parser *p, bool hidden, struct ast_world ***tail)
{
    struct ast_world *world = MAKE(p, struct ast_world);
    if (!world)
        return false;
    struct world_tails tails = {&world->types.defs, &world->externs, &world->includes};
    world->types.line = line_of(p);
    world->types.file = p->file;
    if (!next(p) || !parse_id(p, &world->types.name) || !expect(p, '{'))
        return false;
    while (!at_punct(p, '}'))
        if (!parse_world_item(p, &tails))
            return false;
    if (!hidden)
        APPEND(*tail, world);
    return next(p);
}

/* --- files --- */

static bool parse_top_use(struct parser *p, struct ast_use ***tail)
{
    struct ast_use *use = MAKE(p, struct ast_use);
    bool as;
    if (!use || !next(p) || !parse_path(p, &use->path) || !accept_word(p, "as", &as))
        return false;
    use->name = use->path.name;
    if (as && !parse_id(p, &use->name))
        return false;
    APPEND(*tail, use);
    return expect(p, ';');
}

struct file_tails {
    struct ast_use **uses;
    struct ast_interface **interfaces;
    struct ast_world **worlds;
};

static bool parse_package_item(struct parser *p, struct file_tails *tails)
{
    bool hidden;
    if (!parse_gates(p, &hidden))
        return false;
    if (at_word(p, "use"))
        return parse_top_use(p, &tails->uses);
    if (at_word(p, "interface"))
        return parse_interface(p, hidden, &tails->interfaces);
    if (at_word(p, "world"))
        return parse_world(p, hidden, &tails->worlds);
    return unexpected(p, "`interface`, `world`, `use` or `package`");
}

static struct ast_file *new_file(struct parser *p, struct str name)
{
    struct ast_file *file = MAKE(p, struct ast_file);
    if (file)
        file->name = name;
    return file;
}

static bool parse_package_decl(struct parser *p, struct ast_file *file)
{
    file->line = line_of(p);
    return next(p) && parse_package_id(p, &file->package) && parse_optional_version(p, &file->version);
}

/* `package a:b@1.0.0 { ... }` inside a file: `nested` is behind its declaration. */
static bool parse_nested(struct parser *p, struct ast_file *nested, struct ast_file ***files)
{
    struct ast_file *outer = p->file;
    struct file_tails tails = {&nested->uses, &nested->interfaces, &nested->worlds};
    p->file = nested;
    bool ok = expect(p, '{');
    while (ok && !at_punct(p, '}'))
        ok = parse_package_item(p, &tails);
    p->file = outer;
    if (ok)
        APPEND(*files, nested);
    return ok && next(p);
}

/* A `package` at the top: the file's own when it is first and ends in `;`. */
static bool parse_package(struct parser *p, bool first, struct ast_file ***files)
{
    struct ast_file *nested = new_file(p, p->file->name);
    if (!nested || !parse_package_decl(p, nested))
        return false;
    if (!at_punct(p, ';'))
        return parse_nested(p, nested, files);
    if (!first)
        return unexpected(p, "`{`");
    p->file->package = nested->package;
    p->file->version = nested->version;
    return next(p);
}

static bool parse_file(struct parser *p, struct ast_file ***files)
{
    struct ast_file *file = p->file;
    struct file_tails tails = {&file->uses, &file->interfaces, &file->worlds};
    for (bool first = true; p->lexer.token.kind != TOKEN_END; first = false)
        if (at_word(p, "package") ? !parse_package(p, first, files) : !parse_package_item(p, &tails))
            return false;
    return true;
}

bool wit_add(struct wit *wit, struct str name, struct str text, struct err *err)
{
    struct parser p = {.arena = &wit->arena, .err = err};
    if (text.len > WIT_MAX_FILE_SIZE)
        return err_set(err, ERR_LIMIT, "%.*s: larger than %u bytes", STR_ARG(name), WIT_MAX_FILE_SIZE);
    struct ast_file **tail = &wit->files;
    while (*tail)
        tail = &(*tail)->next;
    struct ast_file *nested = NULL, **nested_tail = &nested;
    p.file = new_file(&p, name);
    if (!p.file || !lex_start(&p.lexer, name, text, err) || !parse_file(&p, &nested_tail))
        return false;
    struct ast_file *file = p.file;
    if (!file->package.len && (file->interfaces || file->worlds || !nested))
        return ast_error(err, file, 1, "file without a package declaration");
    if (file->package.len) {
        *tail = file;
        tail = &file->next;
    }
    *tail = nested;
    return true;
}
