/* What a process that runs guests can still do, by what its function was granted: each act in a child of its own. */
#include "node/sandbox.h"

#include "io/calls_rows.h"
#include "io/landlock.h"
#include "support/confined.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#define PAGE 4096u
#define NOBODY 65534u
#define NO_PORT 9u /* nobody listens, and no test grants it */

/* The sandbox of a sanitizer's program keeps what the sanitizer needs: acts that it cannot refuse stand apart. */
extern void __asan_init(void) __attribute__((weak));

static char top[] = "/tmp/mayfly-sandbox-XXXXXX";
static struct host_directory dirs[2]; /* top/fixed, top/open */
static struct grants grants;
static struct deployed function;
static const struct deployment deployment = {.functions = &function, .function_count = 1};
static struct host_config *const config = &function.config;
static struct sandbox_options options;
static int listener, code_fd;
static uint16_t port;   /* of `listener` */
static uint16_t unused; /* below the range that the kernel picks from, so nobody gets it by chance */

static bool confine(void *arg)
{
    struct err err = {0};
    bool done = sandbox_enter(&options, &deployment, &err);
    if (!done)
        fprintf(stderr, "%s\n", err.message);
    return done;
}

static int outcome(int (*act)(void *arg))
{
    return outcome_of(confine, NULL, act, NULL);
}

static void grant(enum grant_kind kind, const char *form, unsigned number)
{
    char text[64];
    struct err err = {0};
    snprintf(text, sizeof text, form, number);
    assert_true(grants_add(&grants, kind, str_of(text), &err));
    config->grants = &grants;
}

static int grant_nothing(void **state)
{
    grants_free(&grants);
    grants = (struct grants){0};
    function = (struct deployed){.config.name = "test"};
    options = (struct sandbox_options){.mode = SANDBOX_REQUIRE};
    return 0;
}

/* ---- acts ---- */

static int open_flags(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return errno_of(fd);
}

static int read_passwd(void *arg)
{
    return open_flags("/etc/passwd", O_RDONLY);
}

static int write_tmp(void *arg)
{
    return open_flags("/tmp/mayfly-sandbox-escaped", O_WRONLY | O_CREAT);
}

static int open_own_memory(void *arg)
{
    return open_flags("/proc/self/mem", O_RDWR);
}

static int open_by_openat2(void *arg)
{
    const struct open_how how = {.flags = O_RDONLY};
    return errno_of(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how));
}

static int stat_by_path(void *arg)
{
    struct stat status;
    return errno_of(stat("/etc/passwd", &status));
}

static int change_mode(void *arg)
{
    return errno_of(chmod(top, 0777));
}

static int run_program(void *arg)
{
    char *const nothing[] = {NULL};
    return errno_of(execve("/bin/true", nothing, nothing));
}

static int fork_plainly(void *arg)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return errno_of(pid);
}

static int clone_namespace(void *arg)
{
    return errno_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static int clone_newer(void *arg)
{
    return errno_of(syscall(SYS_clone3, NULL, 0));
}

static int leave_namespace(void *arg)
{
    return errno_of(unshare(CLONE_NEWNET));
}

static int trace_parent(void *arg)
{
    return errno_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_parent(void *arg)
{
    return errno_of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int signal_parent(void *arg)
{
    return errno_of(kill(getppid(), 0));
}

static int signal_parent_thread(void *arg)
{
    return errno_of(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int end_by_signal(void *arg)
{
    abort();
}

static int count_events(void *arg)
{
    struct perf_event_attr attr = {.size = sizeof attr};
    return errno_of(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int load_bpf(void *arg)
{
    return errno_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int handle_faults(void *arg)
{
    return errno_of(syscall(SYS_userfaultfd, 0));
}

static int add_key(void *arg)
{
    return errno_of(syscall(SYS_add_key, "user", "mayfly", "x", 1, -1));
}

static int mount_over(void *arg)
{
    return errno_of(syscall(SYS_mount, "none", top, "tmpfs", 0, NULL));
}

static int map(int protection, int flags, int fd)
{
    return mmap(NULL, PAGE, protection, MAP_PRIVATE | flags, fd, 0) == MAP_FAILED ? errno : 0;
}

static int map_data(void *arg)
{
    return map(PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
}

static int map_writable_code(void *arg)
{
    return map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_ANONYMOUS, -1);
}

static int map_new_code(void *arg)
{
    return map(PROT_READ | PROT_EXEC, MAP_ANONYMOUS, -1);
}

static int map_writable_image(void *arg)
{
    return map(PROT_WRITE | PROT_EXEC, 0, code_fd);
}

static int map_image(void *arg)
{
    return map(PROT_READ | PROT_EXEC, 0, code_fd);
}

static int protect(int protection)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? ODD : errno_of(mprotect(page, PAGE, protection));
}

static int protect_data(void *arg)
{
    return protect(PROT_READ);
}

static int protect_code(void *arg)
{
    return protect(PROT_READ | PROT_EXEC);
}

static int protect_writable_code(void *arg)
{
    return protect(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int make_file_in_memory(void *arg)
{
    return errno_of(memfd_create("code", 0));
}

static int open_ring(void *arg)
{
    return errno_of(syscall(SYS_io_uring_setup, 1, NULL));
}

/* Of a ring only that it begins is left: what it may do was decided before. */
static int widen_ring(void *arg)
{
    return errno_of(syscall(SYS_io_uring_register, code_fd, IORING_REGISTER_RESTRICTIONS, NULL, 0));
}

static int enable_ring(void *arg)
{
    return errno_of(syscall(SYS_io_uring_register, code_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
}

static int call_of_tomorrow(void *arg)
{
    return errno_of(syscall(CALLS_LAST + 1));
}

static int raise_limit(void *arg)
{
    const struct rlimit limit = {100, 100};
    return errno_of(setrlimit(RLIMIT_NOFILE, &limit));
}

static int read_limit(void *arg)
{
    struct rlimit limit;
    return errno_of(getrlimit(RLIMIT_NOFILE, &limit));
}

static int type_at_terminal(void *arg)
{
    char c = 'x';
    return errno_of(ioctl(0, TIOCSTI, &c));
}

static int become_root(void *arg)
{
    return errno_of(setuid(0));
}

static int open_socket(int family, int type, int protocol)
{
    return errno_of(socket(family, type, protocol));
}

static int open_tcp(void *arg)
{
    return open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) + open_socket(AF_INET6, SOCK_STREAM, 0);
}

static int open_udp(void *arg)
{
    return open_socket(AF_INET, SOCK_DGRAM, 0);
}

static int open_local(void *arg)
{
    return open_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int open_netlink(void *arg)
{
    return open_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int open_raw(void *arg)
{
    return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

/* The kernel's rules for TCP do not hold for it. */
static int open_multipath(void *arg)
{
    return open_socket(AF_INET, SOCK_STREAM, 262);
}

static int address_call(int (*call)(int, const struct sockaddr *, socklen_t), uint16_t at)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? ODD : errno_of(call(fd, (struct sockaddr *)&to, sizeof to));
}

static int connect_there(void *arg)
{
    return address_call(connect, port);
}

static int connect_elsewhere(void *arg)
{
    return address_call(connect, NO_PORT);
}

static int bind_picked(void *arg)
{
    return address_call(bind, 0);
}

static int bind_elsewhere(void *arg)
{
    return address_call(bind, unused);
}

static int bind_low(void *arg)
{
    return address_call(bind, 81);
}

static int listen_picked(void *arg)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? ODD : errno_of(listen(fd, 1));
}

/* Sending can connect as well. */
static int send_fast_open(void *arg)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? ODD : errno_of(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to));
}

static int attach_filter(void *arg)
{
    struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &code};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? ODD : errno_of(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

struct expected {
    int (*act)(void *arg);
    const char *name;
    int outcome;
    bool sanitizer_may; /* see __asan_init */
};
#define ACT(name, outcome) {name, #name, outcome, false}
#define ACT_UNLESS_SANITIZER(name, outcome) {name, #name, outcome, true}

static void expect_all(const struct expected *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].sanitizer_may && __asan_init)
            continue;
        int got = outcome(rows[i].act);
        if (got != rows[i].outcome)
            fail_msg("%s: %d, not %d", rows[i].name, got, rows[i].outcome);
    }
}
#define EXPECT(rows) expect_all(rows, sizeof rows / sizeof *rows)

/* ---- tests ---- */

/* The kernel that this runs on has it all. */
static void test_machine(void **state)
{
    struct landlock landlock;
    struct err err = {0};
    assert_true(landlock_open(&landlock, 0, &err));
    assert_true(landlock.version >= 4);
    landlock_close(&landlock);
}

/* Without any grant. Without the sandbox every act but the odd ones succeeds here, so it is what refuses them. */
static void test_nothing(void **state)
{
    static const struct expected rows[] = {
        ACT_UNLESS_SANITIZER(read_passwd, EPERM),
        ACT_UNLESS_SANITIZER(write_tmp, EPERM),
        ACT_UNLESS_SANITIZER(open_own_memory, EPERM),
        ACT_UNLESS_SANITIZER(open_by_openat2, EPERM),
        ACT_UNLESS_SANITIZER(stat_by_path, EPERM),
        ACT(change_mode, EPERM),
        ACT(run_program, KILLED(SIGSYS)),
        ACT_UNLESS_SANITIZER(fork_plainly, EPERM),
        ACT(clone_namespace, KILLED(SIGSYS)),
        ACT(clone_newer, ENOSYS),
        ACT(leave_namespace, KILLED(SIGSYS)),
        ACT_UNLESS_SANITIZER(trace_parent, KILLED(SIGSYS)),
        ACT(read_parent, KILLED(SIGSYS)),
        ACT(signal_parent, EPERM),
        ACT(signal_parent_thread, EPERM),
        ACT(end_by_signal, KILLED(SIGABRT)),
        ACT(count_events, KILLED(SIGSYS)),
        ACT(load_bpf, KILLED(SIGSYS)),
        ACT(handle_faults, KILLED(SIGSYS)),
        ACT(add_key, KILLED(SIGSYS)),
        ACT(mount_over, KILLED(SIGSYS)),
        ACT(map_data, 0),
        ACT(map_writable_code, EPERM),
        ACT(map_new_code, EPERM),
        ACT(map_writable_image, EPERM),
        ACT(map_image, 0),
        ACT(protect_data, 0),
        ACT(protect_code, EPERM),
        ACT(protect_writable_code, EPERM),
        ACT(make_file_in_memory, EPERM),
        ACT(open_ring, EPERM),
        ACT(widen_ring, EPERM),
        ACT(enable_ring, EOPNOTSUPP),
        ACT(call_of_tomorrow, ENOSYS),
        ACT_UNLESS_SANITIZER(raise_limit, EPERM),
        ACT(read_limit, 0),
        ACT(type_at_terminal, EPERM),
        ACT(become_root, EPERM),
        ACT(open_tcp, 0),
        ACT(open_udp, EPERM),
        ACT(open_local, EPERM),
        ACT(open_netlink, EPERM),
        ACT(open_raw, EPERM),
        ACT(open_multipath, EPERM),
        ACT(connect_there, EPERM),
        ACT(bind_picked, EPERM),
        ACT(listen_picked, EPERM),
        ACT(send_fast_open, EPERM),
        ACT(attach_filter, EPERM),
    };
    EXPECT(rows);
    options.mode = SANDBOX_OFF;
    assert_int_equal(outcome(read_passwd), 0);
    assert_int_equal(outcome(signal_parent), 0);
    assert_int_equal(outcome(protect_code), 0);
    assert_int_equal(outcome(connect_there), 0);
}

/* ---- directories ---- */

static int read_fixed(void *arg)
{
    mode_t type;
    int fd = files_open(dirs[0].dir, "sub/file", O_RDONLY, &type);
    return fd < 0 ? -fd : 0;
}

/* As somebody would who no longer asks io/files.h. */
static int write_fixed(void *arg)
{
    return errno_of(openat(dirs[0].dir.fd, "sub/file", O_WRONLY));
}

static int truncate_fixed(void *arg)
{
    return errno_of(openat(dirs[0].dir.fd, "sub/file", O_RDONLY | O_TRUNC));
}

static int remove_fixed(void *arg)
{
    return errno_of(unlinkat(dirs[0].dir.fd, "sub/file", 0));
}

static int climb_out(void *arg)
{
    return errno_of(openat(dirs[0].dir.fd, "../secret", O_RDONLY));
}

static int change_open(void *arg)
{
    struct files_dir dir = dirs[1].dir;
    mode_t type;
    int fd = files_open(dir, "made", O_RDWR | O_CREAT | O_TRUNC, &type);
    if (fd < 0 || write(fd, "x", 1) != 1 || files_make_directory(dir, "folder") ||
        files_rename(dir, "made", dir, "folder/moved"))
        return ODD;
    if (files_symlink(dir, "folder/moved", "link") || files_link(dir, "folder/moved", dir, "other") ||
        files_set_times(dir, "other", true, NULL))
        return ODD;
    if (files_unlink(dir, "link") || files_unlink(dir, "other") || files_unlink(dir, "folder/moved"))
        return ODD;
    return -files_remove_directory(dir, "folder");
}

static int make_pipe_open(void *arg)
{
    return errno_of(mkfifoat(dirs[1].dir.fd, "pipe", 0600));
}

static int mode_open(void *arg)
{
    return errno_of(fchmodat(dirs[1].dir.fd, "file", 04755, 0));
}

static void test_read_only(void **state)
{
    static const struct expected rows[] = {
        ACT(read_fixed, 0),
        ACT(write_fixed, EACCES),
        ACT(truncate_fixed, EACCES),
        ACT(remove_fixed, EPERM),
        ACT_UNLESS_SANITIZER(climb_out, EACCES),
        ACT_UNLESS_SANITIZER(read_passwd, EACCES),
        ACT(write_tmp, EACCES),
        ACT(open_own_memory, EACCES),
        ACT(connect_there, EPERM),
    };
    config->directories = dirs;
    config->directory_count = 1;
    EXPECT(rows);
}

static void test_writable(void **state)
{
    static const struct expected rows[] = {
        ACT(read_fixed, 0),     ACT(write_fixed, EACCES),         ACT(remove_fixed, EACCES),
        ACT(change_open, 0),    ACT(make_pipe_open, EPERM),       ACT(mode_open, EPERM),
        ACT(write_tmp, EACCES), ACT(run_program, KILLED(SIGSYS)),
    };
    config->directories = dirs;
    config->directory_count = 2;
    EXPECT(rows);
}

/* ---- the network ---- */

static int read_hosts(void *arg)
{
    return open_flags("/etc/hosts", O_RDONLY);
}

static int read_certificates(void *arg)
{
    return open_flags("/etc/ssl/certs", O_RDONLY | O_DIRECTORY);
}

static void test_connect(void **state)
{
    static const struct expected rows[] = {
        ACT(connect_there, 0),
        ACT(connect_elsewhere, EACCES),
        ACT(open_udp, 0),
        ACT(open_multipath, EPERM),
        ACT(send_fast_open, EPERM),
        ACT(bind_picked, 0),
        ACT(bind_elsewhere, EACCES),
        ACT(listen_picked, EPERM),
        ACT(open_local, EPERM),
        ACT_UNLESS_SANITIZER(read_hosts, EPERM),
    };
    grant(GRANT_NET, "127.0.0.1:%u", port);
    EXPECT(rows);
    grant(GRANT_NET, "127.0.0.1:*", 0);
    assert_int_equal(outcome(connect_elsewhere), ECONNREFUSED);
}

static void test_listen(void **state)
{
    static const struct expected rows[] = {
        ACT(bind_elsewhere, 0),
        ACT(bind_picked, EACCES),
        ACT(listen_picked, 0),
        ACT(connect_there, EACCES),
    };
    grant(GRANT_LISTEN, "127.0.0.1:%u", unused);
    EXPECT(rows);
}

/* A port that takes a capability is bound to by whoever was granted it, and by nobody else. */
static void test_privileged(void **state)
{
    assert_int_equal(geteuid(), 0);
    grant(GRANT_LISTEN, "127.0.0.1:%u", 81);
    assert_int_equal(outcome(bind_low), 0);
    options.change_user = true;
    options.user = options.group = NOBODY;
    assert_int_equal(outcome(bind_low), 0);
}

static void test_names(void **state)
{
    static const struct expected rows[] = {
        ACT(read_hosts, 0),
        ACT_UNLESS_SANITIZER(read_passwd, EACCES),
        ACT_UNLESS_SANITIZER(read_certificates, EACCES),
        ACT(bind_picked, EPERM),
    };
    grant(GRANT_OUTBOUND, "http://localhost:%u", port);
    EXPECT(rows);
    assert_int_equal(outcome(connect_there), 0);
    assert_int_equal(outcome(connect_elsewhere), EACCES);
}

static void test_certificates(void **state)
{
    grant(GRANT_OUTBOUND, "https://127.0.0.1:%u", port);
    assert_int_equal(outcome(read_certificates), 0);
    if (!__asan_init)
        assert_int_equal(outcome(read_passwd), EACCES);
}

/* ---- who it is ---- */

/* Of /proc/PID/status of a child in the sandbox: what stands behind `name`. */
static void read_status(pid_t pid, const char *name, char ret_text[64])
{
    char path[64], line[256];
    size_t size = strlen(name);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    ret_text[0] = '\0';
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, size) == 0 && line[size] == ':')
            snprintf(ret_text, 64, "%.*s", (int)strcspn(line + size + 2, "\n"), line + size + 2);
    fclose(file);
}

/* A child in the sandbox that waits until it is let go. */
static pid_t hold(int *ret_leash)
{
    int told[2], held[2];
    char byte = 0;
    assert_true(pipe(told) == 0 && pipe(held) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(held[1]);
        bool done = confine(NULL) && write(told[1], &byte, 1) == 1 && read(held[0], &byte, 1) == 0;
        _exit(done ? 0 : 1);
    }
    close(told[1]);
    close(held[0]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    *ret_leash = held[1];
    return pid;
}

static void let_go(pid_t pid, int leash)
{
    int status = 1;
    close(leash);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void expect_status(const char *const (*rows)[2], size_t count)
{
    char text[64];
    int leash;
    pid_t pid = hold(&leash);
    for (size_t i = 0; i < count; i++) {
        read_status(pid, rows[i][0], text);
        assert_string_equal(text, rows[i][1]);
    }
    let_go(pid, leash);
}

/* Whose the process is to those who would look into it: root's where nobody else may. */
static uid_t owner(void)
{
    struct stat status;
    char path[64];
    int leash;
    pid_t pid = hold(&leash);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    assert_int_equal(stat(path, &status), 0);
    let_go(pid, leash);
    return status.st_uid;
}

static void test_status(void **state)
{
    static const char *const rows[][2] = {
        {"CapEff", "0000000000000000"},
        {"CapPrm", "0000000000000000"},
        {"CapInh", "0000000000000000"},
        {"CapBnd", "0000000000000000"},
        {"CapAmb", "0000000000000000"},
        {"NoNewPrivs", "1"},
        {"Seccomp", "2"},
    };
    static const char *const user[][2] = {
        {"Uid", "65534\t65534\t65534\t65534"},
        {"Gid", "65534\t65534\t65534\t65534"},
        {"Groups", " "},
        {"CapPrm", "0000000000000000"},
    };
    expect_status(rows, sizeof rows / sizeof *rows);
    options.change_user = true;
    options.user = options.group = NOBODY;
    expect_status(user, sizeof user / sizeof *user);
}

/* As on a kernel that lacks a system call. */
static bool confine_without(void *arg)
{
    int lacking = *(int *)arg;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)lacking, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    struct err err = {0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return false;
    return sandbox_enter(&options, &deployment, &err) || err.kind != ERR_UNSUPPORTED;
}

/* What the kernel lacks is done without, or refused; the rest holds. */
static void test_lacking(void **state)
{
    static int landlock = SYS_landlock_create_ruleset, filters = SYS_seccomp;
    config->directories = dirs;
    config->directory_count = 1;
    assert_int_equal(outcome_of(confine_without, &landlock, read_passwd, NULL), NOT_CONFINED);
    assert_int_equal(outcome_of(confine_without, &filters, read_passwd, NULL), NOT_CONFINED);
    options.mode = SANDBOX_ON;
    assert_int_equal(outcome_of(confine_without, &landlock, read_passwd, NULL), 0);
    assert_int_equal(outcome_of(confine_without, &landlock, run_program, NULL), KILLED(SIGSYS));
    assert_int_equal(outcome_of(confine_without, &filters, write_tmp, NULL), EACCES);
    assert_int_equal(outcome_of(confine_without, &filters, protect_code, NULL), 0);
}

static int death_signal(void *arg)
{
    int number = 0;
    prctl(PR_GET_PDEATHSIG, &number);
    return number;
}

/* Nobody changes what cannot be changed back: the supervisor's death still ends a worker of another user. */
static void test_user_alone(void **state)
{
    options.mode = SANDBOX_OFF;
    options.change_user = true;
    options.user = options.group = NOBODY;
    assert_int_equal(outcome(death_signal), SIGTERM);
    assert_int_equal(outcome(become_root), EPERM);
}

/* Nobody but root looks into a process and nothing dumps it, unless it was asked for; for perf it may move code. */
static void test_inspected(void **state)
{
    options.change_user = true;
    options.user = options.group = NOBODY;
    assert_int_equal(owner(), 0);
    options.inspected = true;
    assert_int_equal(owner(), NOBODY);
    assert_int_equal(outcome(protect_code), EPERM);
    options.moves_code = true;
    assert_int_equal(outcome(protect_code), 0);
    assert_int_equal(outcome(protect_writable_code), EPERM);
    assert_int_equal(outcome(map_new_code), EPERM);
}

static void make(const char *name, bool folder)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", top, name);
    int fd = folder ? mkdir(path, 0755) : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    if (!folder)
        close(fd);
}

/* A port of loopback that nobody is bound to; 0 when there is none. */
static uint16_t find_unused(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (uint16_t candidate = 20000; candidate < 20100; candidate++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        at.sin_port = htons(candidate);
        bool taken = bind(fd, (struct sockaddr *)&at, sizeof at) != 0;
        close(fd);
        if (!taken)
            return candidate;
    }
    return 0;
}

static int set_up(void **state)
{
    static const char *const folders[] = {"fixed", "fixed/sub", "open"}, *const files[] = {"secret", "fixed/sub/file",
                                                                                           "open/file"};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    struct err err = {0};
    char path[128];
    if (!mkdtemp(top))
        return -1;
    for (int i = 0; i < 3; i++)
        make(folders[i], true);
    for (int i = 0; i < 3; i++)
        make(files[i], false);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", top, i ? "open" : "fixed");
        assert_true(files_grant(path, i == 1, &dirs[i].dir, &err));
    }
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 64) == 0);
    getsockname(listener, (struct sockaddr *)&at, &size);
    port = ntohs(at.sin_port);
    unused = find_unused();
    code_fd = memfd_create("image", 0);
    return unused == 0 || code_fd < 0 || ftruncate(code_fd, PAGE) != 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"fixed/sub/file", "open/file", "secret", "fixed/sub", "fixed", "open", ""};
    char path[128];
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "%s/%s", top, names[i]);
        if (remove(path) != 0)
            return -1;
    }
    return grant_nothing(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, grant_nothing)
    const struct CMUnitTest tests[] = {
        TEST(test_machine),    TEST(test_nothing),    TEST(test_read_only), TEST(test_writable),     TEST(test_connect),
        TEST(test_listen),     TEST(test_privileged), TEST(test_names),     TEST(test_certificates), TEST(test_status),
        TEST(test_user_alone), TEST(test_inspected),  TEST(test_lacking),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
