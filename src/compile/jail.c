/* See jail.h. Limits on time and memory are set by the parent before exec (client.c). */
#include "compile/jail.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Access rights of Landlock's first version; later ones only add to what is denied. */
#define EVERY_FILE_RIGHT ((UINT64_C(1) << 13) - 1)

static bool deny_files(struct err *err)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = EVERY_FILE_RIGHT};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP || err_errno(err, "cannot make a Landlock rule set");
    bool done = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close(ruleset);
    return done || err_errno(err, "cannot enter the Landlock rule set");
}

bool jail_enter(struct err *err)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, "cannot give up new privileges");
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return err_errno(err, "cannot turn off core dumps");
    return deny_files(err);
}
