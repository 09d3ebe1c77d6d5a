/* The rows of commands.def, options.def and spin.def, and how to ask them. */
#include "cli/cli.h"

#include <stddef.h>
#include <string.h>

const struct cli_command cli_commands[] = {
#define COMMAND(name, arguments, help, details) {#name, arguments, help, details, cli_##name},
#define ALIAS(name, command)
#include "cli/commands.def"
#undef ALIAS
#undef COMMAND
    {0},
};

static const struct {
    const char *name, *command;
} aliases[] = {
#define COMMAND(name, arguments, help, details)
#define ALIAS(name, command) {#name, #command},
#include "cli/commands.def"
#undef ALIAS
#undef COMMAND
};

const struct cli_option cli_option_rows[] = {
#define OPTION(command, name, short_name, value, field, help)                                                          \
    {#command, name, short_name, value, offsetof(struct cli_options, field), help, false},
#define LIST(command, name, short_name, value, field, help)                                                            \
    {#command, name, short_name, value, offsetof(struct cli_options, field), help, true},
#include "cli/options.def"
#undef LIST
#undef OPTION
    {0},
};

const struct cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i].name, name) == 0)
            name = aliases[i].command;
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

const char *cli_alias_of(const struct cli_command *command)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i].command, command->name) == 0)
            return aliases[i].name;
    return NULL;
}

const struct cli_option *cli_option_of(const struct cli_command *command, const struct cli_option *row)
{
    while (row->name && strcmp(row->command, command->name) != 0)
        row++;
    return row->name ? row : NULL;
}

static const struct {
    const char *command, *name, *instead;
} spins[] = {
#define SPIN(command, name, help) {#command, name, help},
#include "cli/spin.def"
#undef SPIN
};

const char *cli_instead_of(const struct cli_command *command, const char *option)
{
    struct str name = {option, strcspn(option, "=")};
    for (size_t i = 0; i < sizeof spins / sizeof *spins; i++)
        if (strcmp(spins[i].command, command->name) == 0 && str_eq(str_of(spins[i].name), name))
            return spins[i].instead;
    return NULL;
}

bool cli_takes_args(const struct cli_command *command)
{
    return strstr(command->arguments, "[ARGS]") != NULL;
}

bool cli_takes_rest(const struct cli_command *command)
{
    return strstr(command->arguments, "[-- ARGS]") != NULL;
}

bool cli_is_choice(const char *value)
{
    return strchr(value, '|') != NULL;
}

bool cli_next_choice(struct str *rest, struct str *ret_choice)
{
    if (!rest->len)
        return false;
    size_t end = str_find(*rest, '|');
    *ret_choice = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end < rest->len ? end + 1 : end, rest->len);
    return true;
}

static const struct {
    const char *word;
    enum cli_kind kind;
} kinds[] = {
    {"FILE", CLI_KIND_FILE}, {"[PATH]", CLI_KIND_FILE}, /* or a folder, which completion of files offers as well */
    {"PATH", CLI_KIND_FILE}, {"FOLDER", CLI_KIND_FOLDER}, {"[COMMAND]", CLI_KIND_COMMAND},
};

enum cli_kind cli_kind_of(const char *value)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(value, kinds[i].word, strlen(kinds[i].word)) == 0)
            return kinds[i].kind;
    return cli_is_choice(value) ? CLI_KIND_CHOICE : CLI_KIND_TEXT;
}
