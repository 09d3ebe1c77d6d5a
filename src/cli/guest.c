/* What the commands that take a guest share. */
#include "cli/cli.h"

#include <stdio.h>

void cli_escape(struct str text, char *escaped, size_t size)
{
    size_t n = 0, kept = 0; /* kept: where "..." would still fit */
    for (size_t i = 0; i < text.len && n < size; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        kept = n + 4 <= size ? n : kept;
        n += (size_t)snprintf(escaped + n, size - n, byte < 0x20 || byte == 0x7f ? "\\x%02x" : "%c", byte);
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
