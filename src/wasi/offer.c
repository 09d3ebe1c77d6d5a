/* See offer.h: groups of functions. */
#include "wasi/offer.h"

static const struct wasi_group arguments = {"arguments", NULL}, environment = {"environment", "--env"},
                               clocks = {"clocks", NULL}, randomness = {"randomness", NULL}, files = {"files", "--dir"},
                               streams = {"streams and open files", NULL}, sockets = {"sockets", NULL},
                               process = {"process", NULL}, network = {"network", "--allow-net"},
                               listening = {"listening", "--allow-listen"},
                               requests = {"HTTP requests", "--allow-outbound"},
                               stores = {"key-value stores", "--key-value-store"},
                               databases = {"SQLite databases", "--sqlite-database"},
                               variables = {"variables", "--variable"}, models = {"models", NULL},
                               services = {"services of the network", "--allow-outbound"};

/* The first row whose prefixes fit decides. */
static const struct {
    struct str module, name;
    const struct wasi_group *group;
} rows[] = {
    {STR("wasi:cli/environment"), STR("get-arg"), &arguments},
    {STR("wasi:cli/environment"), STR(""), &environment},
    {STR("wasi:cli/exit"), STR(""), &process},
    {STR("wasi:cli/"), STR(""), &streams},
    {STR("wasi:clocks/"), STR(""), &clocks},
    {STR("wasi:filesystem/"), STR(""), &files},
    {STR("wasi:io/poll"), STR(""), &clocks},
    {STR("wasi:io/"), STR(""), &streams},
    {STR("wasi:random/"), STR(""), &randomness},
    {STR("wasi:http/outgoing-handler"), STR(""), &requests},
    {STR("wasi:sockets/tcp"), STR("[method]tcp-socket.start-listen"), &listening},
    {STR("wasi:sockets/"), STR(""), &network},
    {STR("wasi:config/"), STR(""), &variables},
    {STR("fermyon:spin/variables"), STR(""), &variables},
    {STR("fermyon:spin/config"), STR(""), &variables},
    {STR("wasi:keyvalue/"), STR(""), &stores},
    {STR("fermyon:spin/key-value"), STR(""), &stores},
    {STR("fermyon:spin/sqlite"), STR(""), &databases},
    {STR("spin:sqlite/"), STR(""), &databases},
    {STR("fermyon:spin/llm"), STR(""), &models},
    {STR("fermyon:spin/redis"), STR(""), &services},
    {STR("fermyon:spin/postgres"), STR(""), &services},
    {STR("spin:postgres/"), STR(""), &services},
    {STR("fermyon:spin/mysql"), STR(""), &services},
    {STR("fermyon:spin/mqtt"), STR(""), &services},
    {STR("wasi_"), STR("args_"), &arguments},
    {STR("wasi_"), STR("environ_"), &environment},
    {STR("wasi_"), STR("clock_"), &clocks},
    {STR("wasi_"), STR("random_"), &randomness},
    {STR("wasi_"), STR("path_"), &files},
    {STR("wasi_"), STR("fd_prestat_"), &files},
    {STR("wasi_"), STR("fd_readdir"), &files},
    {STR("wasi_"), STR("fd_"), &streams},
    {STR("wasi_"), STR("poll_"), &clocks},
    {STR("wasi_"), STR("sock_"), &sockets},
    {STR("wasi_"), STR("proc_"), &process},
    {STR("wasi_"), STR("sched_"), &process},
};

const struct wasi_group *wasi_group_of(struct str module, struct str name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_starts(module, rows[i].module) && str_starts(name, rows[i].name))
            return rows[i].group;
    return NULL;
}
