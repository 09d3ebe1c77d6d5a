/* See sandbox.h. The order counts: what reads files, then what needs privileges, then the privileges themselves, then
 * files and ports, and system calls last. */
#include "node/sandbox.h"

#include "base/log.h"
#include "io/calls_rows.h"
#include "io/landlock.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define PORT_PRIVILEGED_MAX 1023u /* binding to these takes a capability */
#define PORT_DNS 53u
#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* Sets of rules in sandbox.def. */
enum set {
    CALLS_SERVE = 1,
    CALLS_FILES = 2,     /* something of the file system can be reached */
    CALLS_CHANGES = 4,   /* and changed */
    CALLS_SOCKETS = 8,   /* the network can be reached */
    CALLS_DATAGRAMS = 16,
    CALLS_BINDS = 32,
    CALLS_LISTENS = 64,
    CALLS_PERF = 128,
    CALLS_SANITIZER = 256,
};

static const struct calls_rule rules[] = {
#include "io/calls_common.def"
#include "node/sandbox.def"
};

/* Programs with AddressSanitizer have this. They read their own files when they report, and trace themselves. */
extern void __asan_init(void) __attribute__((weak));

static const struct grants no_grants;

static const struct grants *grants_of(const struct deployed *deployed)
{
    return deployed->config.grants ? deployed->config.grants : &no_grants;
}

/* ---- what is granted ---- */

static bool any_writable(const struct host_config *config)
{
    for (size_t i = 0; i < config->directory_count; i++)
        if (config->directories[i].dir.writable)
            return true;
    return false;
}

static uint32_t sets_of_function(const struct deployed *deployed)
{
    const struct grants *grants = grants_of(deployed);
    bool net = grants_any(grants, GRANT_NET), listen = grants_any(grants, GRANT_LISTEN);
    uint32_t sets = 0;
    if (deployed->config.directory_count || grants_names(grants) || grants_tls(grants))
        sets |= CALLS_FILES;
    if (any_writable(&deployed->config))
        sets |= CALLS_CHANGES;
    if (net || listen || grants_any(grants, GRANT_OUTBOUND))
        sets |= CALLS_SOCKETS;
    if (net || listen)
        sets |= CALLS_DATAGRAMS | CALLS_BINDS;
    if (listen)
        sets |= CALLS_LISTENS;
    return sets;
}

static uint32_t sets_of(const struct sandbox_options *options, const struct deployment *deployment)
{
    uint32_t sets = CALLS_SERVE;
    for (uint32_t i = 0; i < deployment->function_count; i++)
        sets |= sets_of_function(&deployment->functions[i]);
    if (options->moves_code)
        sets |= CALLS_PERF;
    if (__asan_init)
        sets |= CALLS_SANITIZER | CALLS_FILES;
    return sets;
}

/* ---- files ---- */

static bool permit_directories(const struct landlock *landlock, const struct host_config *config, struct err *err)
{
    for (size_t i = 0; i < config->directory_count; i++) {
        const struct files_dir *dir = &config->directories[i].dir;
        if (!landlock_permit(landlock, dir->fd, LANDLOCK_READ | (dir->writable ? LANDLOCK_CHANGE : 0), err))
            return false;
    }
    return true;
}

static bool permit_paths(const struct landlock *landlock, const char *const *paths, struct err *err)
{
    for (; *paths; paths++)
        if (!landlock_permit_path(landlock, *paths, LANDLOCK_READ, err))
            return false;
    return true;
}

/* What libraries read while they look names up; they find the same file again only until it is replaced. */
static bool permit_names(const struct landlock *landlock, struct err *err)
{
    static const char *const paths[] = {"/etc/resolv.conf", "/etc/hosts",    "/etc/nsswitch.conf",
                                        "/etc/host.conf",   "/etc/gai.conf", NULL};
    return permit_paths(landlock, paths, err);
}

/* Folders separated by colons. */
static bool permit_list(const struct landlock *landlock, const char *list, struct err *err)
{
    char path[PATH_MAX];
    while (list && *list) {
        size_t size = strcspn(list, ":");
        if (size < sizeof path) {
            memcpy(path, list, size);
            path[size] = '\0';
            if (!landlock_permit_path(landlock, path, LANDLOCK_READ, err))
                return false;
        }
        list += size + (list[size] == ':');
    }
    return true;
}

/* Where systems keep certificates of authorities one by one, to be found when a peer names one, and where the links in
 * those folders lead; files of all of them were read when TLS was prepared. No folder of private keys is among them. */
static bool permit_certificates(const struct landlock *landlock, struct err *err)
{
    static const char *const paths[] = {"/etc/ssl/certs",
                                        "/usr/share/ca-certificates",
                                        "/usr/local/share/ca-certificates",
                                        "/etc/ca-certificates/extracted",
                                        "/etc/pki/tls/certs",
                                        "/etc/pki/ca-trust/extracted",
                                        "/usr/share/pki",
                                        NULL};
    return permit_paths(landlock, paths, err) && permit_list(landlock, getenv("SSL_CERT_DIR"), err);
}

static bool any_grants(const struct deployment *deployment, bool (*granted)(const struct grants *grants))
{
    for (uint32_t i = 0; i < deployment->function_count; i++)
        if (granted(grants_of(&deployment->functions[i])))
            return true;
    return false;
}

static bool permit_files(const struct landlock *landlock, const struct deployment *deployment, struct err *err)
{
    for (uint32_t i = 0; i < deployment->function_count; i++)
        if (!permit_directories(landlock, &deployment->functions[i].config, err))
            return false;
    return (!any_grants(deployment, grants_names) || permit_names(landlock, err)) &&
           (!any_grants(deployment, grants_tls) || permit_certificates(landlock, err)) &&
           (!__asan_init || landlock_permit_path(landlock, "/", LANDLOCK_READ, err));
}

/* ---- ports ---- */

static void add_rules(struct landlock_ports *ports, const struct grant_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct grant_rule *rule = &list->items[i];
        if (grant_is_inside(rule))
            continue;
        if (!rule->schemes || (rule->schemes & GRANT_HTTP))
            landlock_add_ports(ports, rule->low, rule->high);
        if (rule->schemes & GRANT_HTTPS)
            landlock_add_ports(ports, rule->secure_low, rule->secure_high);
    }
}

/* Answers that are too long for UDP come by TCP. Servers of the command line may have any port. */
static void find_ports(const struct grants *grants, const char *name_servers, struct landlock_ports *connect,
                       struct landlock_ports *bind)
{
    add_rules(connect, &grants->lists[GRANT_NET]);
    add_rules(connect, &grants->lists[GRANT_OUTBOUND]);
    if (grants_names(grants) && name_servers)
        connect->all = true;
    else if (grants_names(grants))
        landlock_add_ports(connect, PORT_DNS, PORT_DNS);
    add_rules(bind, &grants->lists[GRANT_LISTEN]);
    if (grants_any(grants, GRANT_NET)) /* a port that the kernel picks needs no grant */
        landlock_add_ports(bind, 0, 0);
}

/* ---- Landlock ---- */

static bool lacking(const struct sandbox_options *options, const char *what, struct err *err)
{
    log_line(LOG_DEBUG, NULL, "sandbox: this kernel has no %s", what);
    if (options->mode != SANDBOX_REQUIRE)
        return true;
    err_set(err, ERR_UNSUPPORTED, "--sandbox require: this kernel has no %s", what);
    return err_remedy(err, "--sandbox on takes what the kernel has");
}

static bool make_rules(struct landlock *landlock, const struct sandbox_options *options,
                       const struct deployment *deployment, struct err *err)
{
    struct landlock_ports connect = {0}, bind = {0};
    for (uint32_t i = 0; i < deployment->function_count; i++)
        find_ports(grants_of(&deployment->functions[i]), options->name_servers, &connect, &bind);
    if (!landlock_open(landlock, (connect.all ? 0 : LANDLOCK_CONNECT) | (bind.all ? 0 : LANDLOCK_BIND), err))
        return false;
    log_line(LOG_DEBUG, NULL, "sandbox: Landlock, version %d", landlock->version);
    return (landlock->version || lacking(options, "Landlock", err)) && permit_files(landlock, deployment, err) &&
           landlock_permit_ports(landlock, LANDLOCK_CONNECT, &connect, err) &&
           landlock_permit_ports(landlock, LANDLOCK_BIND, &bind, err);
}

/* ---- privileges ---- */

/* A grant that the kernel would refuse to anybody without the capability. */
static bool binds_privileged(const struct grants *grants)
{
    const struct grant_list *list = &grants->lists[GRANT_LISTEN];
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].high && list->items[i].low <= PORT_PRIVILEGED_MAX)
            return true;
    return false;
}

/* The signal that comes with the supervisor's death is forgotten with the user: ask for it again. */
static bool change_user(const struct sandbox_options *options, struct err *err)
{
    if (!options->change_user)
        return true;
    if (setgroups(0, NULL) != 0 || setresgid(options->group, options->group, options->group) != 0 ||
        setresuid(options->user, options->user, options->user) != 0)
        return err_errno(err, "cannot become another user");
    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 || err_errno(err, "cannot end with the supervisor");
}

static bool get_capabilities(struct __user_cap_data_struct ret_sets[2], struct err *err)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capget, &header, ret_sets) == 0 || err_errno(err, "cannot read the capabilities");
}

/* Of what is permitted none but `kept` stays. */
static bool set_capabilities(uint32_t kept, struct err *err)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    if (!get_capabilities(sets, err))
        return false;
    kept &= sets[0].permitted;
    memset(sets, 0, sizeof sets);
    sets[0].effective = sets[0].permitted = kept;
    return syscall(SYS_capset, &header, sets) == 0 || err_errno(err, "cannot give up capabilities");
}

/* Without the right to it there is nothing that a new program could get. */
static void empty_bounds(void)
{
    for (unsigned long number = 0; prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0; number++)
        continue;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static bool give_up(const struct sandbox_options *options, const struct deployment *deployment, struct err *err)
{
    uint32_t kept = any_grants(deployment, binds_privileged) ? 1u << CAP_NET_BIND_SERVICE : 0;
    const struct rlimit none = {0, 0};
    empty_bounds();
    if (prctl(PR_SET_KEEPCAPS, kept != 0, 0, 0, 0) != 0)
        return err_errno(err, "cannot keep a capability");
    if (!change_user(options, err) || !set_capabilities(kept, err))
        return false;
    if (prctl(PR_SET_DUMPABLE, options->inspected, 0, 0, 0) != 0 ||
        (!options->inspected && setrlimit(RLIMIT_CORE, &none) != 0))
        return err_errno(err, "cannot decide on core dumps");
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || err_errno(err, "cannot give up new privileges");
}

/* ---- */

static bool restrict_calls(const struct sandbox_options *options, const struct deployment *deployment, struct err *err)
{
    bool lacks = false;
    return calls_restrict(rules, sizeof rules / sizeof *rules, sets_of(options, deployment), &lacks, err) &&
           (!lacks || lacking(options, "filters of system calls", err));
}

bool sandbox_enter(const struct sandbox_options *options, const struct deployment *deployment, struct err *err)
{
    struct landlock landlock;
    if (options->mode == SANDBOX_OFF)
        return change_user(options, err);
    bool done = make_rules(&landlock, options, deployment, err) && give_up(options, deployment, err) &&
                landlock_enter(&landlock, err);
    landlock_close(&landlock);
    return done && restrict_calls(options, deployment, err);
}
