/* See jail.h. Limits on time and memory are set by the parent before exec (child.c). */
#include "compile/jail.h"

#include "io/calls_rows.h"
#include "io/landlock.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static const struct calls_rule rules[] = {
#include "compile/jail.def"
#include "io/calls_common.def"
};

static bool deny_files(struct err *err)
{
    struct landlock landlock;
    bool done = landlock_open(&landlock, LANDLOCK_BIND | LANDLOCK_CONNECT, err) && landlock_enter(&landlock, err);
    landlock_close(&landlock);
    return done;
}

bool jail_enter(struct err *err)
{
    const struct rlimit none = {0, 0};
    bool lacking;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, "cannot give up new privileges");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return err_errno(err, "cannot turn off core dumps");
    return deny_files(err) && calls_restrict(rules, sizeof rules / sizeof *rules, CALLS_ALL, &lacking, err);
}
