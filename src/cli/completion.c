/* mayfly completion: scripts for three shells, from the tables. What follows the file of a command that takes ARGS is
 * completed as files. */
#include "cli/cli.h"

#include <stdio.h>

#define EACH_COMMAND(command) (const struct cli_command *command = cli_commands; command->name; command++)
#define EACH_OPTION(row, command)                                                                                      \
    (const struct cli_option *row = cli_option_of((command), cli_option_rows); row;                                    \
     row = cli_option_of((command), row + 1))

/* The choices of a list, or the commands, with blanks between. */
static void put_words(const char *value)
{
    struct str rest = str_of(value), choice;
    const char *blank = "";
    if (cli_kind_of(value) == CLI_KIND_COMMAND) {
        for
            EACH_COMMAND(command)
        printf("%s%s", command == cli_commands ? "" : " ", command->name);
        return;
    }
    while (cli_next_choice(&rest, &choice)) {
        printf("%s%.*s", blank, STR_ARG(choice));
        blank = " ";
    }
}

/* --- bash --- */

/* One branch per kind of value; names are before it. */
static void bash_value(const char *value)
{
    switch (cli_kind_of(value)) {
    case CLI_KIND_FILE: puts(") compopt -o default; return ;;"); break;
    case CLI_KIND_FOLDER: puts(") compopt -o dirnames; return ;;"); break;
    case CLI_KIND_TEXT: puts(") return ;;"); break;
    default:
        fputs(") words='", stdout);
        put_words(value);
        puts("' ;;");
    }
}

static void bash_values(void)
{
    for
        EACH_COMMAND(command)
        for
            EACH_OPTION(row, command)
            {
                if (!row->value)
                    continue;
                printf("    %s:%s", command->name, row->name);
                if (row->short_name)
                    printf("|%s:%s", command->name, row->short_name);
                bash_value(row->value);
            }
}

static void bash_options(void)
{
    for
        EACH_COMMAND(command)
        {
            printf("    %s:-*) words='--help", command->name);
        for
            EACH_OPTION(row, command)
        printf(" %s", row->name);
        puts("' ;;");
        }
}

static void bash_arguments(void)
{
    for
        EACH_COMMAND(command)
        {
            if (!command->arguments[0])
                continue;
            printf("    %s:*", command->name);
            bash_value(command->arguments);
        }
}

static void bash_aliases(void)
{
    for
        EACH_COMMAND(command)
    if (cli_alias_of(command))
        printf("    %s) command=%s ;;\n", cli_alias_of(command), command->name);
}

static void print_bash(void)
{
    fputs("# bash completion of mayfly\n"
          "_mayfly() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command=${COMP_WORDS[1]} words=''\n"
          "    COMPREPLY=()\n"
          "    if [ \"$cur\" = = ]; then cur=''\n"
          "    elif [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    [ \"$COMP_CWORD\" -gt 1 ] || command='' prev=''\n"
          "    case $command in\n",
          stdout);
    bash_aliases();
    fputs("    esac\n"
          "    case $command:$prev in\n"
          "    :) words='--help --version ",
          stdout);
    put_words("[COMMAND]");
    puts("' ;;");
    bash_values();
    puts("    *) case $command:$cur in");
    bash_options();
    bash_arguments();
    puts("    esac ;;\n"
         "    esac\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "}\n"
         "complete -F _mayfly mayfly");
}

/* --- zsh --- */

/* Inside single quotes, in a description in brackets. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh_value(const char *value)
{
    switch (cli_kind_of(value)) {
    case CLI_KIND_FILE: fputs(":file:_files'", stdout); break;
    case CLI_KIND_FOLDER: fputs(":folder:_files -/'", stdout); break;
    case CLI_KIND_TEXT: fputs(":value: '", stdout); break;
    default:
        fputs(":choice:(", stdout);
        put_words(value);
        fputs(")'", stdout);
    }
}

/* One name of an option; the other one excludes it unless it may be given more than once. */
static void zsh_option(const struct cli_option *row, const char *name, const char *other)
{
    fputs(" \\\n            '", stdout);
    if (row->list)
        putchar('*');
    else if (other)
        printf("(%s)", other);
    printf("%s%s[", name, !row->value ? "" : name[1] == '-' ? "=" : "+");
    zsh_text(row->help);
    putchar(']');
    if (row->value)
        zsh_value(row->value);
    else
        putchar('\'');
}

static void zsh_command(const struct cli_command *command)
{
    const char *alias = cli_alias_of(command);
    printf("    %s%s%s)\n        _arguments -S '(- *)--help[print what it takes]'", command->name, alias ? "|" : "",
           alias ? alias : "");
    for
        EACH_OPTION(row, command)
        {
            zsh_option(row, row->name, row->short_name);
            if (row->short_name)
                zsh_option(row, row->short_name, row->name);
        }
    if (command->arguments[0]) {
        fputs(cli_takes_args(command) ? " \\\n            '*" : " \\\n            '1", stdout);
        zsh_value(command->arguments);
    }
    puts(" ;;");
}

static void print_zsh(void)
{
    fputs("#compdef mayfly\n"
          "_mayfly() {\n"
          "    local -a commands=(\n",
          stdout);
    for
        EACH_COMMAND(command)
        {
            printf("        '%s:", command->name);
            zsh_text(command->help);
            puts("'");
        }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $words[1] in\n",
          stdout);
    for
        EACH_COMMAND(command)
    zsh_command(command);
    puts("    esac\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _mayfly ]; then _mayfly \"$@\"; else compdef _mayfly mayfly; fi");
}

/* --- fish --- */

static void fish_text(const char *text)
{
    putchar('\'');
    for (; *text; text++)
        printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    putchar('\'');
}

static void fish_value(const char *value)
{
    switch (cli_kind_of(value)) {
    case CLI_KIND_FILE: fputs(" -F", stdout); break;
    case CLI_KIND_FOLDER: fputs(" -f -a '(__fish_complete_directories)'", stdout); break;
    case CLI_KIND_TEXT: fputs(" -f", stdout); break;
    default:
        fputs(" -f -a '", stdout);
        put_words(value);
        putchar('\'');
    }
}

static void fish_condition(const struct cli_command *command)
{
    const char *alias = cli_alias_of(command);
    printf("complete -c mayfly -n '__fish_seen_subcommand_from %s%s%s'", command->name, alias ? " " : "",
           alias ? alias : "");
}

static void fish_option(const struct cli_command *command, const struct cli_option *row)
{
    fish_condition(command);
    printf(" -l %s", row->name + 2);
    if (row->short_name)
        printf(" -s %s", row->short_name + 1);
    if (row->value) {
        fputs(" -r", stdout);
        fish_value(row->value);
    }
    fputs(" -d ", stdout);
    fish_text(row->help);
    putchar('\n');
}

static void fish_command(const struct cli_command *command)
{
    printf("complete -c mayfly -n __fish_use_subcommand -a %s -d ", command->name);
    fish_text(command->help);
    putchar('\n');
    for
        EACH_OPTION(row, command)
    fish_option(command, row);
    if (!command->arguments[0])
        return;
    fish_condition(command);
    fish_value(command->arguments);
    putchar('\n');
}

static void print_fish(void)
{
    puts("# fish completion of mayfly\n"
         "complete -c mayfly -f\n"
         "complete -c mayfly -l help -s h -d 'print what there is'\n"
         "complete -c mayfly -n __fish_use_subcommand -l version -d 'print the version'");
    for
        EACH_COMMAND(command)
    fish_command(command);
}

static const struct {
    const char *name;
    void (*print)(void);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

int cli_completion(const struct cli_options *options)
{
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, options->file) == 0)
            shells[i].print();
    return cli_printed();
}
