/* The command line: commands.def names the commands, options.def what they take; each has a file of its own.
 * Exit codes: 0, 1 for input or environment, 2 for usage; of run: the guest's own, or 134 after a trap. */
#ifndef MAYFLY_CLI_CLI_H
#define MAYFLY_CLI_CLI_H

#include "base/err.h"
#include "compile/client.h"
#include "runtime/symbols.h"

#define CLI_LIST_MAX 256u
#define CLI_ARGS_MAX 4096u

struct cli_list {
    const char *items[CLI_LIST_MAX];
    uint32_t count;
};

struct cli_options {
    const char *file; /* the command's argument, or NULL */
    const char *listen, *output, *opt, *dump, *stats, *quiet, *perf, *gdb; /* flags: non-NULL when given */
    struct cli_list env;
    char **args; /* what follows the file of a command that takes ARGS, ended by NULL */
};

#define CLI_FAILED 1
#define CLI_USAGE 2
#define CLI_TRAPPED 134

#define COMMAND(name, arguments, help) int cli_##name(const struct cli_options *options);
#include "cli/commands.def"
#undef COMMAND

/* Print what is wrong and where help is; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The compile options that the command line asks for; false after printing what is wrong. */
bool cli_compile_options(const char *command, const struct cli_options *options, struct compile_options *ret_options);

/* Tell perf or gdb of the program's functions, as the command line asks. */
bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err);

#endif
