/* What the commands that take a guest share. */
#include "cli/cli.h"

#include "base/text.h"

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

bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err)
{
    return (!options->perf || symbols_for_perf(program, err)) && (!options->gdb || symbols_for_gdb(program, err));
}

static bool add_grants(struct grants *grants, enum grant_kind kind, const struct cli_list *list, struct err *err)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!grants_add(grants, kind, str_of(list->items[i]), err))
            return false;
    return true;
}

bool cli_grants(const struct cli_options *options, struct grants *grants, struct err *err)
{
    return add_grants(grants, GRANT_NET, &options->allow_net, err) &&
           add_grants(grants, GRANT_LISTEN, &options->allow_listen, err) &&
           add_grants(grants, GRANT_OUTBOUND, &options->allow_outbound, err);
}
