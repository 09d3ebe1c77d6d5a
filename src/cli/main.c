/* Dispatch, option parsing and help, all from commands.def and options.def. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name, *arguments, *help;
    int (*run)(const struct cli_options *options);
} commands[] = {
#define COMMAND(name, arguments, help) {#name, arguments, help, cli_##name},
#include "cli/commands.def"
#undef COMMAND
};

static const struct option {
    const char *command, *name, *short_name, *value;
    size_t field;
    const char *help;
    bool list;
} option_rows[] = {
#define OPTION(command, name, short_name, value, field, help)                                                          \
    {#command, name, short_name, value, offsetof(struct cli_options, field), help, false},
#define LIST(command, name, short_name, value, field, help)                                                            \
    {#command, name, short_name, value, offsetof(struct cli_options, field), help, true},
#include "cli/options.def"
#undef LIST
#undef OPTION
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    fputs("error: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'mayfly help%s%s'.\n", command ? " " : "", command ? command : "");
    return CLI_USAGE;
}

bool cli_compile_options(const char *command, const struct cli_options *options, struct compile_options *ret_options)
{
    const char *level = options->opt ? options->opt : "2";
    if (level[0] < '0' || level[0] > '3' || level[1]) {
        cli_usage(command, "the optimization level is 0, 1, 2 or 3, not '%s'", level);
        return false;
    }
    *ret_options = (struct compile_options){.opt_level = level[0] - '0', .dump = options->dump};
    return true;
}

bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err)
{
    return (!options->perf || symbols_for_perf(program, err)) && (!options->gdb || symbols_for_gdb(program, err));
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_options(const char *command)
{
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        const struct option *row = &option_rows[i];
        char left[64];
        if (strcmp(row->command, command) != 0)
            continue;
        snprintf(left, sizeof left, "%s%s%s%s%s", row->short_name ? row->short_name : "", row->short_name ? ", " : "",
                 row->name, row->value ? " " : "", row->value ? row->value : "");
        printf("  %-26s %s\n", left, row->help);
    }
}

int cli_help(const struct cli_options *options)
{
    const struct command *command = options->file ? find_command(options->file) : NULL;
    if (options->file && !command)
        return cli_usage(NULL, "there is no command '%s'", options->file);
    if (command) {
        printf("usage: mayfly %s %s [OPTIONS]\n%s\n\n", command->name, command->arguments, command->help);
        print_options(command->name);
        return 0;
    }
    puts("usage: mayfly COMMAND [OPTIONS]\n");
    for (size_t i = 0; i < COUNT(commands); i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("\n'mayfly help COMMAND' lists a command's options.");
    return 0;
}

int cli_version(const struct cli_options *options)
{
    (void)options;
    puts("mayfly " MAYFLY_VERSION);
    return 0;
}

/* `--name`, `--name=value`, `-s` or `-sVALUE`: the row, and the attached value or NULL. */
static const struct option *find_option(const char *command, const char *text, const char **ret_value)
{
    for (size_t i = 0; i < COUNT(option_rows); i++) {
        const struct option *row = &option_rows[i];
        size_t length = strlen(row->name);
        if (strcmp(row->command, command) != 0)
            continue;
        *ret_value = NULL;
        if (strncmp(text, row->name, length) == 0 && (text[length] == '=' || !text[length])) {
            *ret_value = text[length] ? text + length + 1 : NULL;
            return row;
        }
        if (row->short_name && strncmp(text, row->short_name, 2) == 0 && (row->value || !text[2])) {
            *ret_value = text[2] ? text + 2 : NULL;
            return row;
        }
    }
    return NULL;
}

/* False after a usage error. */
static bool keep(const struct option *row, struct cli_options *options, const char *value)
{
    void *field = (char *)options + row->field;
    if (!row->list) {
        *(const char **)field = row->value ? value : "";
        return true;
    }
    struct cli_list *list = field;
    if (list->count == CLI_LIST_MAX)
        return cli_usage(row->command, "%s more than %u times", row->name, CLI_LIST_MAX), false;
    list->items[list->count++] = value;
    return true;
}

/* Returns the number of arguments used, 0 after a usage error. */
static int take_option(const struct command *command, struct cli_options *options, char **argv)
{
    const char *value;
    const struct option *row = find_option(command->name, argv[0], &value);
    if (!row) {
        cli_usage(command->name, "'%s' takes no option '%s'", command->name, argv[0]);
        return 0;
    }
    int used = 1;
    if (row->value && !value) {
        value = argv[1];
        used = 2;
    }
    if (row->value && !value) {
        cli_usage(command->name, "%s needs %s", row->name, row->value);
        return 0;
    }
    return keep(row, options, value) ? used : 0;
}

/* What follows the file belongs to the guest, whatever it looks like. */
static bool takes_args(const struct command *command)
{
    return strstr(command->arguments, "[ARGS]") != NULL;
}

static int run(const struct command *command, char **argv)
{
    struct cli_options options = {0};
    while (*argv) {
        int used = 1;
        if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0)
            return cli_help(&(struct cli_options){.file = command->name});
        if ((*argv)[0] == '-' && (*argv)[1])
            used = take_option(command, &options, argv);
        else if (!options.file)
            options.file = *argv;
        else
            used = (cli_usage(command->name, "'%s' is one argument too many", *argv), 0);
        if (!used)
            return CLI_USAGE;
        argv += used;
        if (options.file && takes_args(command)) {
            options.args = argv;
            break;
        }
    }
    if (!options.file && strncmp(command->arguments, "FILE", 4) == 0)
        return cli_usage(command->name, "'%s' needs a file", command->name);
    return command->run(&options);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return argc < 2 ? cli_usage(NULL, "which command?") : cli_help(&(struct cli_options){0});
    if (strcmp(argv[1], "--version") == 0)
        return cli_version(NULL);
    const struct command *command = find_command(argv[1]);
    return command ? run(command, argv + 2) : cli_usage(NULL, "there is no command '%s'", argv[1]);
}
