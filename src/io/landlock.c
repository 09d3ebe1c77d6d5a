/* See landlock.h. The structures stand here because the system's header may be older than the kernel. */
#include "io/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASK_VERSION 1u
#define SCOPES UINT64_C(3) /* abstract sockets, signals: version 6 */
#define FILE_RIGHTS (LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE)

struct rule_set {
    uint64_t files, ports, scopes;
};

struct __attribute__((packed)) path_rule {
    uint64_t rights;
    int32_t fd;
};

struct port_rule {
    uint64_t rights, port;
};

enum { RULE_PATH = 1, RULE_PORT = 2 };

/* All rights to files of a version: 13 in the first. */
static uint64_t rights_of(int version)
{
    int count = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
    return (UINT64_C(1) << count) - 1;
}

bool landlock_open(struct landlock *landlock, unsigned ports, struct err *err)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
    *landlock = (struct landlock){.rules = -1};
    if (version <= 0)
        return version == 0 || errno == ENOSYS || errno == EOPNOTSUPP ||
               err_errno(err, "cannot ask for Landlock's version");
    landlock->version = version;
    landlock->files = rights_of(version);
    landlock->ports = version >= 4 ? ports : 0;
    const struct rule_set set = {landlock->files, landlock->ports, version >= 6 ? SCOPES : 0};
    landlock->rules = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof set, 0);
    return landlock->rules >= 0 || err_errno(err, "cannot make a Landlock rule set");
}

static bool add(const struct landlock *landlock, int kind, const void *rule, struct err *err)
{
    return syscall(SYS_landlock_add_rule, landlock->rules, kind, rule, 0) == 0 ||
           err_errno(err, "cannot make a Landlock rule");
}

bool landlock_permit(const struct landlock *landlock, int fd, uint64_t rights, struct err *err)
{
    struct stat status;
    if (landlock->rules < 0)
        return true;
    if (fstat(fd, &status) != 0)
        return err_errno(err, "cannot make a Landlock rule");
    rights &= landlock->files & (S_ISDIR(status.st_mode) ? UINT64_MAX : FILE_RIGHTS);
    const struct path_rule rule = {rights, fd};
    return rights == 0 || add(landlock, RULE_PATH, &rule, err);
}

bool landlock_permit_path(const struct landlock *landlock, const char *path, uint64_t rights, struct err *err)
{
    int fd = landlock->rules < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return true;
    bool done = landlock_permit(landlock, fd, rights, err);
    close(fd);
    return done;
}

bool landlock_permit_port(const struct landlock *landlock, unsigned what, uint16_t port, struct err *err)
{
    const struct port_rule rule = {what & landlock->ports, port};
    return landlock->rules < 0 || rule.rights == 0 || add(landlock, RULE_PORT, &rule, err);
}

bool landlock_enter(const struct landlock *landlock, struct err *err)
{
    return landlock->rules < 0 || syscall(SYS_landlock_restrict_self, landlock->rules, 0) == 0 ||
           err_errno(err, "cannot enter the Landlock rule set");
}

void landlock_close(struct landlock *landlock)
{
    if (landlock->rules >= 0)
        close(landlock->rules);
    landlock->rules = -1;
}

static bool has_port(const struct landlock_ports *ports, uint32_t port)
{
    for (uint32_t i = 0; i < ports->count; i++)
        if (ports->items[i] == port)
            return true;
    return false;
}

void landlock_add_ports(struct landlock_ports *ports, uint32_t low, uint32_t high)
{
    if (high - low >= LANDLOCK_PORTS_MAX - ports->count)
        ports->all = true;
    for (uint32_t port = low; port <= high && !ports->all; port++)
        if (!has_port(ports, port))
            ports->items[ports->count++] = (uint16_t)port;
}

bool landlock_permit_ports(const struct landlock *landlock, unsigned what, const struct landlock_ports *ports,
                           struct err *err)
{
    for (uint32_t i = 0; i < ports->count && !ports->all; i++)
        if (!landlock_permit_port(landlock, what, ports->items[i], err))
            return false;
    return true;
}
