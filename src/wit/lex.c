/* See lex.h. The lexer never looks past `end` and never backs up; comments nest without recursion. */
#include "wit/lex.h"

static bool fail(const struct lexer *lexer, struct err *err, const char *message)
{
    return err_set(err, ERR_MALFORMED, "%.*s:%u: %s", STR_ARG(lexer->file), lexer->line, message);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_letter(c) || is_digit(c) || c == '-';
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : '\0';
}

static void skip_line(struct lexer *lexer)
{
    while (lexer->at < lexer->end && *lexer->at != '\n')
        lexer->at++;
}

static bool skip_block(struct lexer *lexer, struct err *err)
{
    uint32_t depth = 0;
    do {
        if (lexer->at >= lexer->end)
            return fail(lexer, err, "comment without end");
        bool open = peek(lexer, 0) == '/' && peek(lexer, 1) == '*';
        bool close = peek(lexer, 0) == '*' && peek(lexer, 1) == '/';
        depth += open;
        depth -= close;
        lexer->line += *lexer->at == '\n';
        lexer->at += open || close ? 2 : 1;
    } while (depth > 0);
    return true;
}

static bool skip_space(struct lexer *lexer, struct err *err)
{
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        if (c == '/' && peek(lexer, 1) == '/') {
            skip_line(lexer);
        } else if (c == '/' && peek(lexer, 1) == '*') {
            if (!skip_block(lexer, err))
                return false;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            lexer->line += c == '\n';
            lexer->at++;
        } else {
            return true;
        }
    }
    return true;
}

static void take(struct lexer *lexer, enum token_kind kind, const char *end)
{
    lexer->token.kind = kind;
    lexer->token.text = (struct str){lexer->at, (size_t)(end - lexer->at)};
    lexer->at = end;
}

/* Words of letters and digits joined by single hyphens, each all lower or all upper case. */
static bool is_kebab(struct str name)
{
    bool lower = false, upper = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '-') {
            if (i == 0 || i + 1 == name.len || name.ptr[i + 1] == '-')
                return false;
            lower = upper = false;
        } else {
            lower |= c >= 'a' && c <= 'z';
            upper |= c >= 'A' && c <= 'Z';
        }
        if (lower && upper)
            return false;
    }
    return name.len > 0 && is_letter(name.ptr[0]);
}

static bool take_name(struct lexer *lexer, enum token_kind kind, struct err *err)
{
    const char *end = lexer->at;
    /* "a->b" has no name "a-" in it. */
    while (end < lexer->end && is_name(*end) && !(*end == '-' && end + 1 < lexer->end && end[1] == '>'))
        end++;
    take(lexer, kind, end);
    return is_kebab(lexer->token.text) ? true : fail(lexer, err, "identifier is not kebab-case");
}

static bool take_string(struct lexer *lexer, struct err *err)
{
    const char *end = ++lexer->at;
    while (end < lexer->end && *end != '"' && *end != '\n')
        end += *end == '\\' && end + 1 < lexer->end ? 2 : 1;
    if (end >= lexer->end || *end != '"')
        return fail(lexer, err, "string without end");
    take(lexer, TOKEN_STRING, end);
    lexer->at++;
    return true;
}

static void take_integer(struct lexer *lexer)
{
    const char *end = lexer->at;
    while (end < lexer->end && is_digit(*end))
        end++;
    take(lexer, TOKEN_INTEGER, end);
}

bool lex_next(struct lexer *lexer, struct err *err)
{
    if (!skip_space(lexer, err))
        return false;
    lexer->token.line = lexer->line;
    char c = peek(lexer, 0);
    if (lexer->at >= lexer->end) {
        take(lexer, TOKEN_END, lexer->end);
    } else if (is_letter(c)) {
        return take_name(lexer, TOKEN_ID, err);
    } else if (c == '%') {
        lexer->at++;
        return take_name(lexer, TOKEN_ESCAPED, err);
    } else if (is_digit(c)) {
        take_integer(lexer);
    } else if (c == '"') {
        return take_string(lexer, err);
    } else if (c == '-' && peek(lexer, 1) == '>') {
        take(lexer, TOKEN_ARROW, lexer->at + 2);
    } else if (strchr("=,:;(){}<>*/.@_", c)) {
        take(lexer, TOKEN_PUNCT, lexer->at + 1);
    } else {
        return fail(lexer, err, "unexpected character");
    }
    return true;
}

bool lex_qualifies(const struct lexer *lexer)
{
    return peek(lexer, 0) == ':' && (is_letter(peek(lexer, 1)) || peek(lexer, 1) == '%');
}

bool lex_version(struct lexer *lexer, struct str *ret_version, struct err *err)
{
    if (!skip_space(lexer, err))
        return false;
    const char *end = lexer->at;
    while (end < lexer->end && (is_name(*end) || *end == '.' || *end == '+'))
        end++;
    while (end > lexer->at && end[-1] == '.') /* the one of `use a:b/c@1.0.0.{d}` */
        end--;
    struct str version = {lexer->at, (size_t)(end - lexer->at)};
    if (version.len == 0 || !is_digit(version.ptr[0]))
        return fail(lexer, err, "expected a version");
    lexer->at = end;
    if (!lex_next(lexer, err))
        return false;
    *ret_version = version;
    return true;
}

/* WIT.md forbids control characters, and characters that change the direction of text. */
static bool forbidden(const unsigned char *c, size_t left)
{
    if (c[0] < 0x20)
        return c[0] != '\n' && c[0] != '\r' && c[0] != '\t';
    if (c[0] == 0x7f || (c[0] == 0xc2 && left > 1 && c[1] < 0xa0))
        return true;
    bool e280 = left > 2 && c[0] == 0xe2 && c[1] == 0x80, e281 = left > 2 && c[0] == 0xe2 && c[1] == 0x81;
    return (e280 && c[2] >= 0xaa && c[2] <= 0xae) || (e281 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

bool lex_start(struct lexer *lexer, struct str file, struct str text, struct err *err)
{
    *lexer = (struct lexer){.file = file, .at = text.ptr, .end = text.ptr + text.len, .line = 1};
    if (!utf8_valid(text.ptr, text.len))
        return fail(lexer, err, "not UTF-8");
    for (size_t i = 0; i < text.len; i++) {
        lexer->line += text.ptr[i] == '\n';
        if (forbidden((const unsigned char *)text.ptr + i, text.len - i))
            return fail(lexer, err, "forbidden control character");
    }
    lexer->line = 1;
    return lex_next(lexer, err);
}
