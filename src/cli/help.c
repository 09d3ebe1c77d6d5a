/* mayfly help: commands and what they take. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define LEFT 28 /* columns of options before their help */

void cli_print_text(const char *text, int column, int indent)
{
    bool first = true;
    while (*text) {
        int word = (int)strcspn(text, " ");
        bool broken = !first && column + 1 + word > WIDTH;
        if (broken) {
            putchar('\n');
            column = 0;
        }
        int blanks = first || broken ? indent - column : 1;
        printf("%*s%.*s", blanks, "", word, text);
        column += blanks + word;
        first = false;
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

int cli_printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_DONE;
    perror("error: cannot write to standard output");
    return CLI_FAILED;
}

int cli_print_buf(const struct buf *text)
{
    if (text->failed) {
        fputs("error: out of memory\n", stderr);
        return CLI_FAILED;
    }
    fwrite(text->data, 1, text->size, stdout);
    return cli_printed();
}

static void print_option(const char *short_name, const char *name, const char *value, const char *help)
{
    char left[96];
    int size = snprintf(left, sizeof left, "  %s%s%s%s%s", short_name ? short_name : "", short_name ? ", " : "", name,
                        value ? " " : "", value ? value : "");
    bool fits = size + 2 <= LEFT;
    fputs(left, stdout);
    if (!fits)
        putchar('\n');
    cli_print_text(help, fits ? size : 0, LEFT);
}

static void print_options(const struct cli_command *command)
{
    for (const struct cli_option *row = cli_option_of(command, cli_option_rows); row;
         row = cli_option_of(command, row + 1))
        print_option(row->short_name, row->name, row->value, row->help);
    print_option("-h", "--help", NULL, "print this");
}

static int help_command(const char *name)
{
    const struct cli_command *command = cli_find_command(name);
    if (!command)
        return cli_usage(NULL, "there is no command '%s'", name);
    printf("usage: mayfly %s [OPTIONS]%s%s\n\n", command->name, command->arguments[0] ? " " : "", command->arguments);
    cli_print_text(command->help, 0, 0);
    if (command->details[0]) {
        putchar('\n');
        cli_print_text(command->details, 0, 0);
    }
    if (cli_alias_of(command))
        printf("\nShort: mayfly %s\n", cli_alias_of(command));
    puts("\noptions:");
    print_options(command);
    return cli_printed();
}

int cli_help(const struct cli_options *options)
{
    if (options->file)
        return help_command(options->file);
    puts("usage: mayfly COMMAND [OPTIONS]\n");
    for (const struct cli_command *command = cli_commands; command->name; command++)
        printf("  %-12s %s\n", command->name, command->help);
    puts("\n'mayfly help COMMAND' says what a command takes, 'mayfly man' prints the manual page.");
    return cli_printed();
}
