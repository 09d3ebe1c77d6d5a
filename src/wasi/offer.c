/* See offer.h: groups of WASI 0.1. */
#include "wasi/offer.h"

static const struct preview1_group arguments = {"arguments", NULL}, environment = {"environment", "--env"},
                                   clocks = {"clocks", NULL}, randomness = {"randomness", NULL},
                                   files = {"files", "--dir"}, streams = {"streams and open files", NULL},
                                   sockets = {"sockets", NULL}, process = {"process", NULL};

/* The first prefix that fits decides. */
static const struct {
    struct str prefix;
    const struct preview1_group *group;
} prefixes[] = {
    {{"args_", 5}, &arguments},    {{"environ_", 8}, &environment}, {{"clock_", 6}, &clocks},
    {{"random_", 7}, &randomness}, {{"path_", 5}, &files},          {{"fd_prestat_", 11}, &files},
    {{"fd_readdir", 10}, &files},  {{"fd_", 3}, &streams},          {{"poll_", 5}, &clocks},
    {{"sock_", 5}, &sockets},      {{"proc_", 5}, &process},        {{"sched_", 6}, &process},
};

const struct preview1_group *preview1_group_of(struct str name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (str_starts(name, prefixes[i].prefix))
            return prefixes[i].group;
    return NULL;
}
