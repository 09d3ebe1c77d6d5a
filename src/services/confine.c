/* See confine.h. */
#include "services/confine.h"

#include "io/calls_rows.h"
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Sets of rows. */
enum { CALLS_FILE = 1, CALLS_NETWORK = 2 };

static const struct calls_rule rules[] = {
#include "io/calls_common.def"
#include "services/confine.def"
};

static bool keep_to_folder(const char *folder, struct err *err)
{
    struct landlock landlock;
    bool done = landlock_open(&landlock, LANDLOCK_BIND | LANDLOCK_CONNECT, err) &&
                landlock_permit_path(&landlock, folder, LANDLOCK_READ | LANDLOCK_CHANGE, err) &&
                landlock_enter(&landlock, err);
    landlock_close(&landlock);
    return done;
}

const char *confine_authorities(void)
{
    const char *own = getenv("SSL_CERT_FILE");
    return own && *own ? own : "/etc/ssl/certs/ca-certificates.crt";
}

void confine_environment(void)
{
    static const char *const kept[] = {"SSL_CERT_FILE", "RES_OPTIONS", "LOCALDOMAIN"};
    char *values[sizeof kept / sizeof *kept];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        values[i] = getenv(kept[i]);
    clearenv();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (values[i])
            setenv(kept[i], values[i], 1);
}

static bool keep_to_ports(const struct landlock_ports *ports, struct err *err)
{
    const char *const paths[] = {"/etc/resolv.conf", "/etc/hosts",    "/etc/nsswitch.conf",
                                 "/etc/host.conf",   "/etc/gai.conf", confine_authorities()};
    struct landlock landlock;
    bool done = landlock_open(&landlock, LANDLOCK_BIND | (ports->all ? 0 : LANDLOCK_CONNECT), err) &&
                landlock_permit_ports(&landlock, LANDLOCK_CONNECT, ports, err);
    for (size_t i = 0; done && i < sizeof paths / sizeof *paths; i++)
        done = landlock_permit_path(&landlock, paths[i], LANDLOCK_READ, err);
    done = done && landlock_enter(&landlock, err);
    landlock_close(&landlock);
    return done;
}

static bool give_up(struct err *err)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, "cannot give up new privileges");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return err_errno(err, "cannot turn off core dumps");
    return true;
}

static bool restrict_calls(uint32_t sets, struct err *err)
{
    bool lacking;
    return calls_restrict(rules, sizeof rules / sizeof *rules, sets, &lacking, err);
}

bool confine_enter(const char *folder, struct err *err)
{
    return give_up(err) && keep_to_folder(folder, err) && restrict_calls(CALLS_FILE, err);
}

bool confine_enter_network(const struct landlock_ports *ports, struct err *err)
{
    return give_up(err) && keep_to_ports(ports, err) && restrict_calls(CALLS_NETWORK, err);
}
