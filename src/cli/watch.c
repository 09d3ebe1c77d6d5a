/* mayfly watch: serve an application while it is worked on. */
#include "cli/cli.h"

#include "base/clock.h"
#include "develop/watch.h"

#define DEBOUNCE_NS (100 * NS_PER_S / 1000)
#define DEBOUNCE_MAX_NS (60 * NS_PER_S)

/* A number is one of milliseconds. */
static bool take_debounce(const char *text, uint64_t *ret_ns)
{
    uint64_t ms;
    if (cli_duration(text, ret_ns))
        return *ret_ns <= DEBOUNCE_MAX_NS;
    if (!cli_size(text, &ms) || ms > DEBOUNCE_MAX_NS / (NS_PER_S / 1000))
        return false;
    *ret_ns = ms * (NS_PER_S / 1000);
    return true;
}

int cli_watch(const struct cli_options *options)
{
    struct cli_options up;
    struct err err = {0};
    struct watch_options watch = {.from = options->file,
                                  .profile = options->profile,
                                  .up_args = options->args,
                                  .debounce_ns = DEBOUNCE_NS,
                                  .clear = options->clear != NULL,
                                  .skip_build = options->skip_build != NULL};
    if (options->debounce && !take_debounce(options->debounce, &watch.debounce_ns))
        return cli_usage("watch", "--debounce takes milliseconds, at most 60000");
    if (cli_take_up("watch", options->args, options, &up) != CLI_DONE)
        return CLI_USAGE;
    if (watch_run(&watch, &err))
        return CLI_DONE;
    if (err.kind)
        err_print(&err, NULL);
    return CLI_FAILED;
}
