/* mayfly man: the manual page, as roff (man(7)), from the tables. */
#include "cli/cli.h"

#include <stdio.h>

static const struct {
    const char *name, *meaning;
} files[] = {
    {"$XDG_CACHE_HOME/mayfly, ~/.cache/mayfly",
     "The cache of images and of components that were fetched: private to the user. Remove it at any time."},
    {"PREFIX/libexec/mayfly/mayfly-toml.so",
     "What reads manifests, loaded when there is one. Beside the program is a place for it too."},
    {"PREFIX/libexec/mayfly/mayfly-compiler",
     "The compiler, started when a source is not in the cache. Beside the program is a place for it too. Images run "
     "without it."},
    {"/tmp/perf-PID.map", "Written by --perf. Nobody else removes it."},
};

static const struct {
    const char *command;
    const char *path, *type, *meaning;
} json_rows[] = {
#define JSON(command, path, type, meaning) {#command, path, type, meaning},
#include "cli/json.def"
#undef JSON
};

static const struct {
    int code;
    const char *meaning;
} exits[] = {
#define EXIT(name, code, meaning) {code, meaning},
    CLI_EXITS(EXIT)
#undef EXIT
};

/* Text as it is: nothing in it is a request, hyphens and quotes stay what they are. */
static void put(const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '-': fputs("\\-", stdout); break;
        case '\\': fputs("\\e", stdout); break;
        case '\'': fputs("\\(aq", stdout); break;
        case '.': fputs("\\&.", stdout); break;
        default: putchar(*text);
        }
}

static void paragraph(const char *text)
{
    puts(".PP");
    put(text);
    putchar('\n');
}

static void bold(const char *text)
{
    fputs("\\fB", stdout);
    put(text);
    fputs("\\fR", stdout);
}

static void item(const char *name, const char *text)
{
    puts(".TP");
    bold(name);
    putchar('\n');
    put(text);
    putchar('\n');
}

static void print_option(const struct cli_option *row)
{
    puts(".TP");
    if (row->short_name) {
        bold(row->short_name);
        fputs(", ", stdout);
    }
    bold(row->name);
    if (row->value) {
        fputs(" \\fI", stdout);
        put(row->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put(row->help);
    puts(row->list ? "\n(may be given more than once)" : "");
}

static void print_command(const struct cli_command *command)
{
    const struct cli_option *row = cli_option_of(command, cli_option_rows);
    printf(".SS \"mayfly %s%s%s%s\"\n", command->name, row ? " [OPTIONS]" : "", command->arguments[0] ? " " : "",
           command->arguments);
    put(command->help);
    putchar('\n');
    if (command->details[0])
        paragraph(command->details);
    if (cli_alias_of(command))
        printf(".PP\nShort: mayfly %s\n", cli_alias_of(command));
    for (; row; row = cli_option_of(command, row + 1))
        print_option(row);
}

/* `before` and `after`: what stands around the name in the title. */
static void print_json_rows(const char *before, const char *name, const char *after)
{
    bool first = true;
    for (size_t i = 0; i < sizeof json_rows / sizeof *json_rows; i++) {
        if (strcmp(json_rows[i].command, name) != 0)
            continue;
        if (first)
            printf(".SS \"mayfly %s%s%s\"\n", before, name, after);
        first = false;
        puts(".TP");
        bold(json_rows[i].path);
        printf(" (%s)\n", json_rows[i].type);
        put(json_rows[i].meaning);
        putchar('\n');
    }
}

static void print_ends(void)
{
    puts(".SH \"EXIT STATUS\"");
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", exits[i].code);
        item(code, exits[i].meaning);
    }
    puts(".SH FILES");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        item(files[i].name, files[i].meaning);
    puts(".SH \"JSON OUTPUT\"");
    paragraph("In a path, [] is each element of an array. Later versions may add members; a change of meaning raises "
              "the number in schema.");
    for (const struct cli_command *command = cli_commands; command->name; command++)
        print_json_rows("", command->name, " \\-\\-json");
    print_json_rows("up \\-\\-admin: /", "status", "");
    print_json_rows("up \\-\\-admin: /", "application", "");
    print_json_rows("up \\-\\-", "access", "\\-log");
    print_json_rows("up \\-\\-", "format", " json");
}

int cli_man(const struct cli_options *options)
{
    (void)options;
    puts(".TH MAYFLY 1 \"\" \"mayfly " MAYFLY_VERSION "\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n"
         "mayfly \\- run WebAssembly components and modules as functions\n.SH SYNOPSIS\n"
         ".B mayfly\n.I COMMAND\n[OPTIONS] [ARGUMENTS]\n.SH DESCRIPTION");
    put("mayfly compiles a WebAssembly component or module to a native image, ahead of time, and runs each request or "
        "command in a fresh instance of it. A guest has what its command line grants and nothing else.\n");
    paragraph("An option's value may follow it as the next argument, after =, or directly after a short name: --opt 2, "
              "--opt=2, -O 2, -O2. -- ends the options.");
    puts(".SH COMMANDS");
    for (const struct cli_command *command = cli_commands; command->name; command++)
        print_command(command);
    print_ends();
    return cli_printed();
}
