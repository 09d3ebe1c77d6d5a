/* Arguments to options. Accepted: `--name VALUE`, `--name=VALUE`, `-s VALUE`, `-sVALUE`; `--` ends the options; what
 * follows the file of a command that takes ARGS is the guest's, whatever it looks like. A command that takes nothing
 * but ARGS for another one passes on all from the first word that is no option of its own; one with "[-- ARGS]" what
 * stands behind "--". */
#include "cli/cli.h"

#include "base/nearest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    fputs("error: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n'mayfly help%s%s' says what there is\n", command ? " " : "", command ? command : "");
    return CLI_USAGE;
}

static int no_command(const char *name)
{
    struct nearest nearest = nearest_to(str_of(name));
    for (const struct cli_command *command = cli_commands; command->name; command++)
        nearest_consider(&nearest, str_of(command->name));
    if (nearest.found.len)
        return cli_usage(NULL, "there is no command '%s'; did you mean '%.*s'?", name, STR_ARG(nearest.found));
    return cli_usage(NULL, "there is no command '%s'", name);
}

static void no_option(const struct cli_command *command, const char *text)
{
    struct nearest nearest = nearest_to((struct str){text, strcspn(text, "=")});
    const char *instead = cli_instead_of(command, text);
    for (const struct cli_option *row = cli_option_of(command, cli_option_rows); row;
         row = cli_option_of(command, row + 1))
        nearest_consider(&nearest, str_of(row->name));
    if (instead)
        cli_usage(command->name, "'%s' of mayfly has no '%.*s', which Spin's has: %s", command->name,
                  (int)strcspn(text, "="), text, instead);
    else if (nearest.found.len)
        cli_usage(command->name, "'%s' takes no option '%s'; did you mean '%.*s'?", command->name, text,
                  STR_ARG(nearest.found));
    else
        cli_usage(command->name, "'%s' takes no option '%s'", command->name, text);
}

/* --- options --- */

/* The row, and the attached value or NULL. */
static const struct cli_option *find_option(const struct cli_command *command, const char *text, const char **ret_value)
{
    for (const struct cli_option *row = cli_option_of(command, cli_option_rows); row;
         row = cli_option_of(command, row + 1)) {
        size_t length = strlen(row->name);
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

static bool allowed(const char *choices, const char *value)
{
    struct str rest = str_of(choices), choice;
    while (cli_next_choice(&rest, &choice))
        if (str_eq(choice, str_of(value)))
            return true;
    return false;
}

/* False after a usage error. */
static bool keep(const struct cli_option *row, struct cli_options *options, const char *value)
{
    void *field = (char *)options + row->field;
    if (value && cli_is_choice(row->value) && !allowed(row->value, value))
        return cli_usage(row->command, "%s takes %s, not '%s'", row->name, row->value, value), false;
    if (field == &options->file && options->file)
        return cli_usage(row->command, "'%s' is one argument too many", value), false;
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
static int take_option(const struct cli_command *command, struct cli_options *options, char **argv)
{
    const char *value;
    const struct cli_option *row = find_option(command, argv[0], &value);
    int used = 1;
    if (!row)
        return no_option(command, argv[0]), 0;
    if (!row->value && value)
        return cli_usage(command->name, "%s takes no value", row->name), 0;
    if (row->value && !value) {
        value = argv[1];
        used = 2;
    }
    if (row->value && !value)
        return cli_usage(command->name, "%s needs %s", row->name, row->value), 0;
    return keep(row, options, value) ? used : 0;
}

static bool take_argument(const struct cli_command *command, struct cli_options *options, const char *text)
{
    bool two = strstr(command->arguments, "[NAME]") != NULL;
    if (options->file && two && !options->second) {
        options->second = text;
        return true;
    }
    if (options->file || !command->arguments[0])
        return cli_usage(command->name, "'%s' is one argument too many", text), false;
    if (cli_is_choice(command->arguments) && !allowed(command->arguments, text))
        return cli_usage(command->name, "'%s' takes %s, not '%s'", command->name, command->arguments, text), false;
    options->file = text;
    return true;
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

static enum cli_parsed finish(const struct cli_command *command, const struct cli_options *options)
{
    uint32_t args = 0;
    while (options->args && options->args[args] && args <= CLI_ARGS_MAX)
        args++;
    if (args > CLI_ARGS_MAX)
        return cli_usage(command->name, "more than %u arguments for the guest", CLI_ARGS_MAX), CLI_PARSE_WRONG;
    if (options->file || !command->arguments[0] || command->arguments[0] == '[')
        return CLI_PARSE_DONE;
    int word = (int)strcspn(command->arguments, " ");
    cli_usage(command->name, "'%s' needs %.*s", command->name, word, command->arguments);
    return CLI_PARSE_WRONG;
}

/* All arguments are another command's. */
static bool only_args(const struct cli_command *command)
{
    return strcmp(command->arguments, "[ARGS]") == 0;
}

static bool begins_args(const struct cli_command *command, const char *text)
{
    const char *value;
    return only_args(command) && !is_help(text) && !find_option(command, text, &value) &&
           !cli_instead_of(command, text);
}

enum cli_parsed cli_parse(const struct cli_command *command, char **argv, struct cli_options *ret_options)
{
    bool ended = false; /* by `--` */
    *ret_options = (struct cli_options){0};
    while (*argv) {
        int used = 1;
        if (begins_args(command, *argv)) {
            ret_options->args = argv + (strcmp(*argv, "--") == 0);
            break;
        }
        if (ended || (*argv)[0] != '-' || !(*argv)[1])
            used = take_argument(command, ret_options, *argv);
        else if (strcmp(*argv, "--") == 0)
            ended = true;
        else if (is_help(*argv))
            return CLI_PARSE_HELP;
        else
            used = take_option(command, ret_options, argv);
        if (!used)
            return CLI_PARSE_WRONG;
        argv += used;
        if (ended && cli_takes_rest(command)) {
            ret_options->args = argv;
            break;
        }
        if (ret_options->file && cli_takes_args(command) && !only_args(command)) {
            ret_options->args = argv;
            break;
        }
    }
    return finish(command, ret_options);
}

static int run(const struct cli_command *command, char **argv)
{
    struct cli_options options;
    switch (cli_parse(command, argv, &options)) {
    case CLI_PARSE_DONE: return command->run(&options);
    case CLI_PARSE_HELP: return cli_help(&(struct cli_options){.file = command->name});
    default: return CLI_USAGE;
    }
}

int cli_main(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage(NULL, "which command?");
    if (is_help(argv[1]))
        return cli_help(&(struct cli_options){0});
    if (strcmp(argv[1], "--version") == 0)
        return cli_version(&(struct cli_options){0});
    const struct cli_command *command = cli_find_command(argv[1]);
    return command ? run(command, argv + 2) : no_command(argv[1]);
}
