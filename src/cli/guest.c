/* What the commands that take a guest share. */
#include "cli/cli.h"

#include "base/text.h"

#include <stdio.h>

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

struct compile_options cli_compile_options(const struct cli_options *options)
{
    return (struct compile_options){.opt_level = options->opt ? options->opt[0] - '0' : 2, .dump = options->dump};
}

bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err)
{
    return (!options->perf || symbols_for_perf(program, err)) && (!options->gdb || symbols_for_gdb(program, err));
}
