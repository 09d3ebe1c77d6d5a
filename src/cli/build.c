/* mayfly build: run the build commands of an application, and serve it then if that is asked for. */
#include "cli/cli.h"

#include "develop/build.h"

#include <stdio.h>

int cli_build_project(const char *from, const char *profile, const struct build_choice *choice)
{
    struct project project;
    struct err err = {0};
    bool done = project_open(&project, from, profile, &err) && build_components(&project, choice, &err);
    if (!done && err.kind)
        err_print(&err, NULL);
    project_close(&project);
    return done ? CLI_DONE : CLI_FAILED;
}

int cli_take_up(const char *command, char **args, const struct cli_options *options, struct cli_options *ret_up)
{
    static char *nothing[] = {NULL};
    if (cli_parse(cli_find_command("up"), args ? args : nothing, ret_up) != CLI_PARSE_DONE)
        return CLI_USAGE;
    if (ret_up->file)
        return cli_usage(command, "'%s' is one argument too many: -f names the application", ret_up->file);
    ret_up->file = options->file;
    if (!ret_up->profile)
        ret_up->profile = options->profile;
    return CLI_DONE;
}

int cli_build(const struct cli_options *options)
{
    struct cli_options up;
    if (options->args && options->args[0] && !options->up)
        return cli_usage("build", "'%s' is an argument of 'up', which --up asks for", options->args[0]);
    if (options->up && cli_take_up("build", options->args, options, &up) != CLI_DONE)
        return CLI_USAGE;
    const struct build_choice choice = {options->component_id.items, options->component_id.count,
                                        options->skip_generate_wits != NULL};
    int code = cli_build_project(options->file, options->profile, &choice);
    return code == CLI_DONE && options->up ? cli_up(&up) : code;
}
