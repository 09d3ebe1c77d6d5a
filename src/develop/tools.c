/* See tools.h. Commands are looked at as a shell would split them, without running anything of them. What cannot be
 * understood that way is passed over: a wrong warning is worse than none. */
#include "develop/tools.h"

#include "develop/project.h"
#include "develop/shell.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *program, *remedy;
} tools[] = {
#define TOOL(program, remedy) {program, remedy},
#include "develop/tools.def"
#undef TOOL
};

/* Words with which a simple command may begin that are no programs. */
static const char *const builtins[] = {
    "cd", "exec", "export", "set",    "unset", "test", "[",     "echo",  "printf", "true",  "false",  "exit",
    "if", "then", "else",   "fi",     "for",   "do",   "done",  "while", "case",   "esac",  ".",      ":",
    "{",  "}",    "(",      "source", "eval",  "read", "shift", "trap",  "wait",   "umask", "command"};

/* ---- words ---- */

static bool ends_command(char c)
{
    return strchr(";&|\n()", c) != NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind the word, or behind a quoted part of it. */
static size_t word_end(struct str text)
{
    char quote = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '\'' || c == '"')
            quote = c;
        else if (c == '\\')
            i++;
        else if (is_blank(c) || ends_command(c))
            return i;
    }
    return text.len;
}

static struct str from(struct str text, size_t at)
{
    return str_slice(text, at < text.len ? at : text.len, text.len);
}

/* The next word, without what ends it. False: the simple command is over. */
static bool next_word(struct str *rest, struct str *ret_word)
{
    while (rest->len && is_blank(rest->ptr[0]))
        *rest = from(*rest, 1);
    size_t end = word_end(*rest);
    if (!end)
        return false;
    *ret_word = str_slice(*rest, 0, end);
    *rest = from(*rest, end);
    return true;
}

/* To the beginning of the next simple command. */
static void skip_command(struct str *rest)
{
    struct str word;
    while (next_word(rest, &word))
        ;
    while (rest->len && (ends_command(rest->ptr[0]) || is_blank(rest->ptr[0])))
        *rest = from(*rest, 1);
}

static bool is_assignment(struct str word)
{
    size_t equals = str_find(word, '=');
    for (size_t i = 0; i < equals; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789", word.ptr[i]))
            return false;
    return equals && equals < word.len;
}

static bool is_program(struct str word)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (str_eq(word, str_of(builtins[i])))
            return false;
    for (size_t i = 0; i < word.len; i++)
        if (strchr("'\"$`\\*?[~<>#!", word.ptr[i]))
            return false;
    return word.len > 0;
}

bool tools_next(struct str *rest, struct str *ret_program)
{
    while (rest->len) {
        struct str word;
        bool found = next_word(rest, &word);
        while (found && is_assignment(word))
            found = next_word(rest, &word);
        skip_command(rest);
        if (found && is_program(word)) {
            *ret_program = word;
            return true;
        }
    }
    return false;
}

/* ---- programs ---- */

static bool can_run(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool there_in(struct str folder, struct str program)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%.*s/%.*s", STR_ARG(folder), STR_ARG(program));
    return size > 0 && size < (int)sizeof path && can_run(path);
}

bool tools_there(struct str program, const char *folder)
{
    const char *path = getenv("PATH");
    struct str rest = str_of(path ? path : "/usr/bin:/bin");
    if (str_find(program, '/') < program.len)
        return there_in(program.ptr[0] == '/' ? STR("") : str_of(folder), program);
    while (rest.len) {
        size_t end = str_find(rest, ':');
        struct str one = str_slice(rest, 0, end);
        if (there_in(one.len ? one : STR("."), program))
            return true;
        rest = from(rest, end + 1);
    }
    return false;
}

const char *tools_remedy(struct str program)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (str_eq(program, str_of(tools[i].program)))
            return tools[i].remedy;
    return "install it, or put its folder into PATH";
}

/* ---- targets of Rust ---- */

struct str tools_rust_target(struct str command)
{
    struct str rest = command, program, word;
    bool cargo = false, next = false;
    while (tools_next(&rest, &program))
        cargo |= str_eq(program, STR("cargo"));
    for (rest = command; cargo && rest.len; skip_command(&rest))
        while (next_word(&rest, &word)) {
            struct str target = next ? word : str_starts(word, STR("--target=")) ? from(word, 9) : STR("");
            next = str_eq(word, STR("--target"));
            if (str_starts(target, STR("wasm32-")) && is_program(target))
                return target;
        }
    return STR("");
}

bool tools_has_rust_target(struct str target, const char *folder)
{
    char name[128];
    struct buf output;
    struct stat status;
    if (target.len >= sizeof name || !tools_there(STR("rustc"), folder))
        return true;
    memcpy(name, target.ptr, target.len);
    name[target.len] = '\0';
    char *const argv[] = {"rustc", "--print", "target-libdir", "--target", name, NULL};
    buf_init(&output, PATH_MAX);
    bool told = shell_ask(argv, folder, &output) && output.size && output.data[output.size - 1] == '\n';
    if (told)
        output.data[output.size - 1] = '\0';
    bool there = !told || (stat((const char *)output.data, &status) == 0 && S_ISDIR(status.st_mode));
    buf_free(&output);
    return there;
}

/* ---- why ---- */

bool tools_explain(struct str command, const char *folder, struct err *err)
{
    struct str rest = command, program, target = tools_rust_target(command);
    while (tools_next(&rest, &program))
        if (!tools_there(program, folder)) {
            err_remedy(err, "%.*s is not installed: %s", STR_ARG(program), tools_remedy(program));
            return true;
        }
    if (!target.len || tools_has_rust_target(target, folder))
        return false;
    err_remedy(err, "Rust lacks the target %.*s: rustup target add %.*s", STR_ARG(target), STR_ARG(target));
    return true;
}
