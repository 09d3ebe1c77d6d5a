/* The command line: commands.def names the commands, options.def what they take; parser, help, completion and manual
 * page read both. Each command has a file of its own. */
#ifndef MAYFLY_CLI_CLI_H
#define MAYFLY_CLI_CLI_H

#include "base/amount.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "compose/compose.h"
#include "deploy/given.h"
#include "runtime/symbols.h"
#include "runtime/trap.h"

struct deploy_options;
struct deploy_reading;
struct function_limits;

#define CLI_LIST_MAX 256u
#define CLI_ARGS_MAX 4096u

struct cli_list {
    const char *items[CLI_LIST_MAX];
    uint32_t count;
};

struct cli_options {
    const char *file, *second; /* the command's arguments, or NULL */
    const char *listen, *output, *tier, *opt, *dump, *io, *stats, *quiet, *perf, *gdb,
        *json; /* flags: non-NULL when given */
    const char *wit, *invoke, *max_memory, *timeout, *cpu_time, *max_body, *max_instances, *max_stack, *max_handles,
        *workers, *sandbox, *user;
    const char *dns, *admin, *access_log, *log_level, *once, *tls_cert, *tls_key, *snapshot, *profile, *state_dir,
        *runtime_config_file, *find_free_port, *log_dir, *cache_dir, *temp, *truncate_logs, *format, *direct_mounts,
        *transient, *disable_cache, *allow_private;
    const char *build, *up, *skip_build, *skip_generate_wits, *clear, *debounce, *fix, *from, *template, *init,
        *accept_defaults, *no_vcs, *allow_overwrite, *list, *values_file;
    struct cli_list env, variable, dir, preload, allow_net, allow_listen, allow_outbound, key_value_store,
        sqlite_database, key_value, sqlite, component_id, value, known_as, follow;
    char **args; /* what follows the file of a command that takes ARGS, or "--", ended by NULL */
};

/* EXIT(name, code, meaning) */
#define CLI_EXITS(EXIT)                                                                                                \
    EXIT(DONE, 0, "success")                                                                                           \
    EXIT(FAILED, 1, "the input or the environment is at fault; the error says why")                                    \
    EXIT(USAGE, 2, "the command line cannot be understood")                                                            \
    EXIT(TRAPPED, 134, "run, and up of a command: the guest trapped; otherwise the exit code is the guest's own")

enum cli_exit {
#define EXIT(name, code, meaning) CLI_##name = (code),
    CLI_EXITS(EXIT)
#undef EXIT
};

/* --- the tables (table.c) --- */

struct cli_command {
    const char *name;
    const char *arguments; /* "FILE", "FILE [ARGS]", "[PATH] [-- ARGS]", "[ARGS]", "[TEMPLATE] [NAME]", "[COMMAND]",
                              "a|b|c" or nothing */
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

/* By its name or its alias. */
const struct cli_command *cli_find_command(const char *name);
/* Its other name, or NULL. */
const char *cli_alias_of(const struct cli_command *command);
/* The first option of the command from `row` on, or NULL: for (o = cli_option_of(c, cli_option_rows); o;
 * o = cli_option_of(c, o + 1)). */
const struct cli_option *cli_option_of(const struct cli_command *command, const struct cli_option *row);
/* Whether what follows the file belongs to the guest; with nothing but "[ARGS]" all that is no option of the command
 * does. */
bool cli_takes_args(const struct cli_command *command);
/* Whether what follows "--" does. */
bool cli_takes_rest(const struct cli_command *command);
/* Of an option of Spin's that the command does not have: what there is instead, or NULL (spin.def). */
const char *cli_instead_of(const struct cli_command *command, const char *option);
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

/* --- numbers with units (base/amount.h) --- */

/* "1000", "64K", "64KiB", "2G": K, M and G are powers of 1024. */
static inline bool cli_size(const char *text, uint64_t *ret_bytes)
{
    return amount_size(str_of(text), ret_bytes);
}

/* "500ms", "2s", "1m", "1h" */
static inline bool cli_duration(const char *text, uint64_t *ret_ns)
{
    return amount_duration(str_of(text), ret_ns);
}

/* --- what commands share --- */

/* A guest's text for a terminal: control bytes as \xNN, cut with "..." where `size` bytes would not hold it. */
void cli_escape(struct str text, char *escaped, size_t size);

#define COMMAND(name, arguments, help, details) int cli_##name(const struct cli_options *options);
#define ALIAS(name, command)
#include "cli/commands.def"
#undef ALIAS
#undef COMMAND

struct build_choice;
/* Build an application (build.c); `choice` NULL: all of it. Returns the exit code. */
int cli_build_project(const char *from, const char *profile, const struct build_choice *choice);
/* The options of `mayfly up` that another command passes on, with its own file and profile. CLI_DONE, or CLI_USAGE
 * after an error. */
int cli_take_up(const char *command, char **args, const struct cli_options *options, struct cli_options *ret_up);

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

struct given_texts cli_texts(const struct cli_list *list);
/* What the command line gives to a guest, which points into `options`. */
void cli_given(const struct cli_options *options, struct given_options *ret_given);

/* Which application, and what holds for all of its components, likewise. */
void cli_deploy(const struct cli_options *options, struct deploy_options *ret_deploy);

/* As compose_open; shows on a terminal how far a long compile is (progress.c). */
int cli_open(const char *path, const struct composition *composition, const struct compile_options *options,
             struct compile_outcome *ret_outcome, struct err *err);

/* Why a guest ended that did not come to its end by itself, to standard error. */
void cli_print_trap(const struct trap_report *report);

/* `mayfly up` of an application whose trigger is of type command: run it (execute.c). `reading`: of its manifest.
 * Returns the exit code. */
int cli_execute(const struct cli_options *options, const struct compile_options *compile,
                const struct function_limits *limits, struct deploy_reading *reading);

/* Tell perf or gdb of the program's functions, as the command line asks. */
bool cli_symbols(struct program *program, const struct cli_options *options, struct err *err);

#endif
