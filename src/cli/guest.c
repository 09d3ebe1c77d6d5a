/* What the commands that take a guest share. */
#include "cli/cli.h"

#include "base/text.h"
#include "deploy/deploy.h"
#include "runtime/backtrace.h"

#include <stdio.h>
#include <string.h>

void cli_escape(struct str text, char *escaped, size_t size)
{
    char shown[TEXT_SHOWN];
    size_t n = 0, kept = 0; /* kept: where "..." would still fit */
    for (size_t i = 0; i < text.len && n < size;) {
        kept = n + 4 <= size ? n : kept;
        i += text_next(text, i, shown);
        n += (size_t)snprintf(escaped + n, size - n, "%s", shown);
    }
    if (n >= size)
        snprintf(escaped + kept, size - kept, "...");
    else
        escaped[n] = '\0';
}

/* A level is one of the best tier. */
static enum codegen_tier tier_of(const struct cli_options *options, enum codegen_tier otherwise)
{
    if (options->tier)
        return strcmp(options->tier, "fast") == 0 ? TIER_FAST : TIER_BEST;
    return options->opt ? TIER_BEST : otherwise;
}

int cli_compile_options(const char *command, const struct cli_options *options, enum codegen_tier otherwise,
                        struct compile_options *ret_compile)
{
    enum codegen_tier tier = tier_of(options, otherwise);
    if (tier == TIER_FAST && options->opt)
        return cli_usage(command, "--opt has no meaning with --tier fast, which does not optimize");
    if (tier == TIER_FAST && options->dump)
        return cli_usage(command, "--dump has no meaning with --tier fast, which has no stages");
    *ret_compile = (struct compile_options){.tier = tier,
                                            .best_if_kept = !options->tier,
                                            .opt_level = options->opt ? options->opt[0] - '0' : 2,
                                            .dump = options->dump};
    return CLI_DONE;
}

void cli_print_trap(const struct trap_report *report)
{
    char line[256], escaped[sizeof line];
    fprintf(stderr, "trap: %s%s%s\n", trap_text(report->trap), report->message[0] ? ": " : "", report->message);
    for (uint32_t i = 0, alike; i < report->frame_count; i += alike) {
        alike = trap_frames_alike(report, i);
        trap_describe_frame(report, i, line, sizeof line);
        cli_escape(str_of(line), escaped, sizeof escaped);
        fprintf(stderr, "%s\n", escaped);
        if (alike > 1)
            fprintf(stderr, "     ... %u times more\n", alike - 1);
    }
}

bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err)
{
    return (!options->perf || symbols_for_perf(program, err)) && (!options->gdb || symbols_for_gdb(program, err));
}

_Static_assert(CLI_LIST_MAX <= GIVEN_LIST_MAX && CLI_ARGS_MAX <= GIVEN_ARGS_MAX, "what a guest is given has room");

struct given_texts cli_texts(const struct cli_list *list)
{
    return (struct given_texts){list->items, list->count};
}

void cli_given(const struct cli_options *options, struct given_options *ret_given)
{
    *ret_given = (struct given_options){
        .file = options->file,
        .args = options->invoke ? NULL : options->args, /* parameters are not the guest's arguments */
        .env = cli_texts(&options->env),
        .variable = cli_texts(&options->variable),
        .dir = cli_texts(&options->dir),
        .allow_net = cli_texts(&options->allow_net),
        .allow_listen = cli_texts(&options->allow_listen),
        .allow_outbound = cli_texts(&options->allow_outbound),
        .key_value_store = cli_texts(&options->key_value_store),
        .sqlite_database = cli_texts(&options->sqlite_database),
        .dns = options->dns,
        .state_dir = options->state_dir,
    };
}

void cli_deploy(const struct cli_options *options, struct deploy_options *ret_deploy)
{
    cli_given(options, &ret_deploy->given);
    ret_deploy->profile = options->profile;
    ret_deploy->runtime_config = options->runtime_config_file;
    ret_deploy->temp = options->temp;
    ret_deploy->memory_given = options->max_memory != NULL;
    ret_deploy->components = cli_texts(&options->component_id);
    ret_deploy->direct_mounts = options->direct_mounts != NULL;
    ret_deploy->allow_private = options->allow_private != NULL;
    ret_deploy->transient = options->transient != NULL;
}
