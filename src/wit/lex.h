/* Tokens of WIT text (WIT.md, "Lexical structure"), one at a time. */
#ifndef MAYFLY_WIT_LEX_H
#define MAYFLY_WIT_LEX_H

#include "base/err.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ID,      /* identifier or keyword */
    TOKEN_ESCAPED, /* %identifier; text without the % */
    TOKEN_INTEGER,
    TOKEN_STRING,  /* text between the quotes, escapes left as they are */
    TOKEN_ARROW,
    TOKEN_PUNCT,   /* one character */
};

struct token {
    enum token_kind kind;
    struct str text;
    uint32_t line;
};

struct lexer {
    struct str file;
    const char *at, *end; /* behind the current token */
    uint32_t line;
    struct token token; /* the current one */
};

/* Check that the text is UTF-8 without forbidden control characters, and read the first token. */
bool lex_start(struct lexer *lexer, struct str file, struct str text, struct err *err);
bool lex_next(struct lexer *lexer, struct err *err);
/* Read the version that follows the current token (an '@', or the '=' of a gate), and go on to the token
 * behind it. */
bool lex_version(struct lexer *lexer, struct str *ret_version, struct err *err);
/* Whether `:` and a name follow the current token without space: `wasi:io`. */
bool lex_qualifies(const struct lexer *lexer);

#endif
