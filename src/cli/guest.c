/* What the commands that take a guest share. */
#include "cli/cli.h"

struct compile_options cli_compile_options(const struct cli_options *options)
{
    return (struct compile_options){.opt_level = options->opt ? options->opt[0] - '0' : 2, .dump = options->dump};
}

bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err)
{
    return (!options->perf || symbols_for_perf(program, err)) && (!options->gdb || symbols_for_gdb(program, err));
}
