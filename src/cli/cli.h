/* The command line: commands.def names the commands, options.def what they take; parser, help, completion and manual
 * page read both. Each command has a file of its own. */
#ifndef MAYFLY_CLI_CLI_H
#define MAYFLY_CLI_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "compile/client.h"
#include "runtime/symbols.h"
#include "wasi/grants.h"

#define CLI_LIST_MAX 256u
#define CLI_ARGS_MAX 4096u

struct cli_list {
    const char *items[CLI_LIST_MAX];
    uint32_t count;
};

struct cli_options {
    const char *file; /* the command's argument, or NULL */
    const char *listen, *output, *tier, *opt, *dump, *io, *stats, *quiet, *perf, *gdb,
        *json; /* flags: non-NULL when given */
    const char *wit, *invoke, *max_memory, *timeout, *cpu_time, *max_body, *max_instances, *max_stack, *max_handles,
        *workers, *sandbox, *user;
    const char *dns, *admin, *access_log, *log_level, *once, *tls_cert, *tls_key, *snapshot;
    struct cli_list env, dir, preload, allow_net, allow_listen, allow_outbound;
    char **args; /* what follows the file of a command that takes ARGS, ended by NULL */
};

/* EXIT(name, code, meaning) */
#define CLI_EXITS(EXIT)                                                                                                \
    EXIT(DONE, 0, "success")                                                                                           \
    EXIT(FAILED, 1, "the input or the environment is at fault; the error says why")                                    \
    EXIT(USAGE, 2, "the command line cannot be understood")                                                            \
    EXIT(TRAPPED, 134, "run: the guest trapped; otherwise the exit code is the guest's own")

enum cli_exit {
#define EXIT(name, code, meaning) CLI_##name = (code),
    CLI_EXITS(EXIT)
#undef EXIT
};

/* --- the tables (table.c) --- */

struct cli_command {
    const char *name;
    const char *arguments; /* "FILE", "FILE [ARGS]", "[COMMAND]", "a|b|c" or nothing */
    const char *help;      /* one line */
    const char *details;   /* sentences, or nothing */
    int (*run)(const struct cli_options *options);
};

struct cli_option {
    const char *command;
    const char *name, *short_name; /* "--opt"; "-O" or NULL */
    const char *value;             /* what it takes: "FILE", "a|b|c", ...; NULL for a flag */
    size_t field;                  /* in struct cli_options */
    const char *help;
    bool list; /* may be given more than once */
};

/* Both end with a row whose name is NULL. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_option_rows[];

const struct cli_command *cli_find_command(const char *name);
/* The first option of the command from `row` on, or NULL: for (o = cli_option_of(c, cli_option_rows); o;
 * o = cli_option_of(c, o + 1)). */
const struct cli_option *cli_option_of(const struct cli_command *command, const struct cli_option *row);
/* Whether what follows the file belongs to the guest. */
bool cli_takes_args(const struct cli_command *command);
/* "a|b|c" lists all that is allowed. */
bool cli_is_choice(const char *value);
/* Takes the next choice of the list off *rest; false at its end. */
bool cli_next_choice(struct str *rest, struct str *ret_choice);

enum cli_kind { CLI_KIND_TEXT, CLI_KIND_CHOICE, CLI_KIND_FILE, CLI_KIND_FOLDER, CLI_KIND_COMMAND };
/* What a value or argument is, by its word in the table; for completion. */
enum cli_kind cli_kind_of(const char *value);

/* --- parsing (parse.c) --- */

enum cli_parsed { CLI_PARSE_DONE, CLI_PARSE_HELP, CLI_PARSE_WRONG };
/* Fill in what `argv` (behind the command's name, ended by NULL) asks for; prints what is wrong. */
enum cli_parsed cli_parse(const struct cli_command *command, char **argv, struct cli_options *ret_options);

/* The whole program; returns the exit code. */
int cli_main(int argc, char **argv);

/* Print what is wrong and where help is; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- numbers with units (amount.c) --- */

#define CLI_DURATION_MAX ((uint64_t)1 << 62) /* ns */

/* "1000", "64K", "64KiB", "2G": K, M and G are powers of 1024. */
bool cli_size(const char *text, uint64_t *ret_bytes);
/* "500ms", "2s", "1m", "1h" */
bool cli_duration(const char *text, uint64_t *ret_ns);

/* --- what commands share --- */

/* A guest's text for a terminal: control bytes as \xNN, cut with "..." where `size` bytes would not hold it. */
void cli_escape(struct str text, char *escaped, size_t size);

#define COMMAND(name, arguments, help, details) int cli_##name(const struct cli_options *options);
#include "cli/commands.def"
#undef COMMAND

/* Text in lines of at most 80 columns, indented, then a newline; `column`: where the first line already stands. */
void cli_print_text(const char *text, int column, int indent);
/* Print what was collected; CLI_FAILED and an error if that failed, here or before. */
int cli_print_buf(const struct buf *text);
/* CLI_DONE when standard output took everything. */
int cli_printed(void);

/* The compile options that the command line asks for; `otherwise`: the tier when it names none. CLI_DONE, or CLI_USAGE
 * after an error. */
int cli_compile_options(const char *command, const struct cli_options *options, enum codegen_tier otherwise,
                        struct compile_options *ret_compile);

/* What of the network the command line permits. False: ERR_USAGE; grants_free in any case. */
bool cli_grants(const struct cli_options *options, struct grants *grants, struct err *err);

/* As compile_open; shows on a terminal how far a long compile is (progress.c). */
int cli_open(const char *path, const struct compile_options *options, struct compile_outcome *ret_outcome,
             struct err *err);

/* Tell perf or gdb of the program's functions, as the command line asks. */
bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err);

#endif
