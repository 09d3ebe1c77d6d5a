/* See child.h. The child is trusted with nothing: what it answers is copied first, so that it cannot change it any
 * more, and then checked whole. */
#include "compile/child.h"

#include "compile/job.h"
#include "image/format.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS_DEFAULT 1800u
#define MEMORY_BYTES_DEFAULT (UINT64_C(8) << 30)
#define WALL_PER_CPU 4u       /* on a machine that does other work too */
#define WALL_SECONDS_MORE 60u
#define WALL_CPU_MAX 1000000000u
#define CPU_SECONDS_GRACE 5u /* between the signal that names the limit and the one that cannot be caught */

bool compiler_path(char path[PATH_MAX], struct err *err)
{
    static const char *const places[] = {"mayfly-compiler", "../mayfly-compiler", "../libexec/mayfly/mayfly-compiler"};
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size < 0)
        return err_errno(err, "cannot find this program's own path");
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", self, places[i]) < PATH_MAX && access(path, X_OK) == 0)
            return true;
    err_set(err, ERR_UNSUPPORTED, "this installation has no compiler (mayfly-compiler)");
    return err_remedy(err, "install it beside mayfly, or give an image made by `mayfly compile`");
}

static uint64_t memory_limit(const struct compile_options *options)
{
    if (options->memory_bytes)
        return options->memory_bytes;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3;
    return machine < MEMORY_BYTES_DEFAULT ? machine : MEMORY_BYTES_DEFAULT;
}

/* Programs with AddressSanitizer have this, and reserve more addresses than any limit allows. */
extern void __asan_init(void) __attribute__((weak));

/* Runs in the forked child: descriptor 0, limits, exec. Only async-signal-safe calls. */
static void become_compiler(const char *path, char *const *argv, int socket, const struct compiler *compiler)
{
    static char *const no_environment[] = {NULL};
    const struct rlimit cpu = {compiler->cpu_seconds, (rlim_t)compiler->cpu_seconds + CPU_SECONDS_GRACE};
    const struct rlimit memory = {compiler->memory_bytes, compiler->memory_bytes};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    if (!__asan_init)
        setrlimit(RLIMIT_AS, &memory);
    if (dup2(socket, 0) >= 0 && dup2(STDERR_FILENO, 1) >= 0 && close_range(3, ~0u, 0) == 0)
        execve(path, argv, no_environment);
    _exit(127);
}

static bool over_time(uint32_t cpu_seconds, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds of processor time", cpu_seconds);
    return err_remedy(err, "a lower optimization level (-O0) is faster; nothing was stored");
}

static bool over_wall_time(const struct compiler *compiler, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds", compiler->wall_seconds);
    return err_remedy(err, "the machine may be busy with other work; nothing was stored");
}

static bool over_memory(uint64_t memory_bytes, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %" PRIu64 " MiB of memory", memory_bytes >> 20);
    return err_remedy(err, "a lower optimization level (-O0) takes less; nothing was stored");
}

/* LLVM aborts where it gets no memory. What was resident then is less than the addresses that are counted. */
static bool is_memory(const struct compiler *compiler, int status, const struct rusage *usage)
{
    bool died = WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGSEGV;
    return died && (uint64_t)usage->ru_maxrss * 1024 > compiler->memory_bytes / 4;
}

/* Why the child ended without an answer, or is ended. */
static bool ended(struct compiler *compiler, bool late, struct err *err)
{
    int status = 0;
    struct rusage usage = {0};
    close(compiler->socket);
    kill(compiler->pid, SIGKILL); /* one that said something else may live on; one that died stays as it died */
    while (wait4(compiler->pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return err_errno(err, "cannot wait for the compiler");
    compiler->pid = 0;
    if (late)
        return over_wall_time(compiler, err);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return over_time(compiler->cpu_seconds, err);
    if (WIFSIGNALED(status) && is_memory(compiler, status, &usage))
        return over_memory(compiler->memory_bytes, err);
    if (WIFSIGNALED(status)) {
        err_set(err, ERR_SYSTEM, "the compiler was killed by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        return err_remedy(err, "it may have run out of memory or time; nothing was stored");
    }
    return err_set(err, ERR_SYSTEM,
                   WEXITSTATUS(status) == 127 ? "the compiler could not be started"
                                              : "the compiler ended without an answer");
}

static bool start(struct compiler *compiler, const struct compile_options *options, struct err *err)
{
    char path[PATH_MAX];
    char *argv[4] = {"mayfly-compiler", options->dump ? "--dump" : NULL, (char *)options->dump};
    int sockets[2];
    if (!compiler_path(path, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return err_errno(err, "cannot make a socket to the compiler");
    compiler->cpu_seconds = options->cpu_seconds ? options->cpu_seconds : CPU_SECONDS_DEFAULT;
    compiler->wall_seconds =
        compiler->cpu_seconds < WALL_CPU_MAX ? compiler->cpu_seconds * WALL_PER_CPU + WALL_SECONDS_MORE : UINT32_MAX;
    compiler->memory_bytes = memory_limit(options);
    compiler->socket = sockets[0];
    compiler->pid = fork();
    if (compiler->pid == 0)
        become_compiler(path, argv, sockets[1], compiler);
    close(sockets[1]);
    if (compiler->pid > 0)
        return true;
    close(sockets[0]);
    compiler->pid = 0;
    return err_errno(err, "cannot start the compiler");
}

static bool send_job(struct compiler *compiler, const struct compile_job *job, const int *fds)
{
    union compile_job_control control;
    size_t size = (job->keeps ? COMPILE_FDS : COMPILE_OLD_PACK) * sizeof(int);
    struct iovec part = {(void *)job, sizeof *job};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(size)};
    memset(&control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), fds, size);
    return sendmsg(compiler->socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *job;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the child says something; false when it is too late for that. */
static bool wait_until(const struct compiler *compiler, int64_t deadline)
{
    struct pollfd listened = {.fd = compiler->socket, .events = POLLIN};
    for (int64_t left; (left = deadline - now_ms()) > 0;)
        if (poll(&listened, 1, left < INT_MAX ? (int)left : INT_MAX) > 0)
            return true;
    return false;
}

/* Until the child is done; meanwhile it tells how far it is. `ret_late`: it took too long. */
static bool await(struct compiler *compiler, const struct compile_options *options, bool *ret_late)
{
    struct codegen_progress progress;
    int64_t deadline = now_ms() + (int64_t)compiler->wall_seconds * 1000;
    for (;;) {
        *ret_late = !wait_until(compiler, deadline);
        if (*ret_late)
            return false;
        ssize_t size = recv(compiler->socket, &progress, sizeof progress, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof progress)
            return size == 1;
        if (options->progress)
            options->progress(options->progress_arg, &progress);
    }
}

static bool copy_image(int result_fd, int image_fd, uint64_t size, struct err *err)
{
    off_t from = sizeof(struct compile_result);
    for (uint64_t left = size; left;) {
        ssize_t done = sendfile(image_fd, result_fd, &from, left < INT_MAX ? left : INT_MAX);
        if (done <= 0)
            return err_errno(err, "cannot copy the image");
        left -= (uint64_t)done;
    }
    void *bytes = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot map the image");
    bool good = image_check(bytes, size, err);
    munmap(bytes, size ? size : 1);
    return good;
}

/* The child's answer: the image in a memfd of its own, checked whole. */
static int take_result(int result_fd, const struct compiler *compiler, struct codegen_counts *ret_counts,
                       struct err *err)
{
    struct compile_result result;
    struct stat status;
    if (fstat(result_fd, &status) != 0 || pread(result_fd, &result, sizeof result, 0) != sizeof result ||
        result.magic != COMPILE_RESULT_MAGIC || (uint64_t)status.st_size < sizeof result ||
        (uint64_t)status.st_size - sizeof result > IMAGE_SIZE_MAX)
        return err_set(err, ERR_SYSTEM, "the compiler gave no answer") - 1;
    result.err.message[sizeof result.err.message - 1] = '\0';
    result.err.remedy[sizeof result.err.remedy - 1] = '\0';
    if (!result.done && result.err.kind == ERR_MEMORY)
        return over_memory(compiler->memory_bytes, err) - 1;
    if (!result.done) {
        if (err)
            *err = result.err;
        return -1;
    }
    *ret_counts = result.counts;
    int image_fd = memfd_create("mayfly-image", MFD_CLOEXEC);
    if (image_fd < 0)
        return err_errno(err, "cannot make a file in memory") - 1;
    if (copy_image(result_fd, image_fd, (uint64_t)status.st_size - sizeof result, err))
        return image_fd;
    close(image_fd);
    return -1;
}

static bool make_job(const struct compile_options *options, bool keeps, struct compile_job *ret_job, struct err *err)
{
    struct compile_job job = {.tier = options->tier,
                              .opt_level = options->opt_level,
                              .mix_seed = options->mix_seed,
                              .open = options->open,
                              .keeps = keeps};
    const char *host = options->host ? options->host : "";
    if (strlen(host) >= sizeof job.host)
        return err_set(err, ERR_LIMIT, "the names of host modules take more than %zu bytes", sizeof job.host - 1);
    memcpy(job.host, host, strlen(host));
    *ret_job = job;
    return true;
}

static int new_file(const char *name, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        err_errno(err, "cannot make a file in memory");
    return fd;
}

/* The descriptors of a job that were made for it. */
static void close_job(int fds[COMPILE_FDS], bool keep_pack)
{
    close(fds[COMPILE_RESULT]);
    if (fds[COMPILE_NEW_PACK] >= 0 && !keep_pack)
        close(fds[COMPILE_NEW_PACK]);
}

int compiler_run(struct compiler *compiler, int source_fd, const struct compile_options *options,
                 struct compile_kept *kept, struct err *err)
{
    struct compile_job job;
    struct codegen_counts counts = {0};
    bool late = false;
    if (!make_job(options, kept != NULL, &job, err) || (!compiler->pid && !start(compiler, options, err)))
        return -1;
    int image_fd = -1, fds[COMPILE_FDS] = {source_fd, new_file("mayfly-result", err), -1, -1};
    if (fds[COMPILE_RESULT] < 0)
        return -1;
    if (kept) {
        fds[COMPILE_NEW_PACK] = new_file("mayfly-functions", err);
        fds[COMPILE_OLD_PACK] = kept->old_fd >= 0 ? kept->old_fd : fds[COMPILE_NEW_PACK];
    }
    if (kept && fds[COMPILE_NEW_PACK] < 0) {
        close_job(fds, false);
        return -1;
    }
    if (send_job(compiler, &job, fds) && await(compiler, options, &late))
        image_fd = take_result(fds[COMPILE_RESULT], compiler, &counts, err);
    else
        ended(compiler, late, err);
    if (kept) {
        kept->new_fd = image_fd >= 0 ? fds[COMPILE_NEW_PACK] : -1;
        kept->counts = counts;
    }
    close_job(fds, image_fd >= 0);
    return image_fd;
}

void compiler_stop(struct compiler *compiler)
{
    if (!compiler->pid)
        return;
    close(compiler->socket);
    kill(compiler->pid, SIGKILL); /* it has nothing to tidy up */
    while (waitpid(compiler->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    compiler->pid = 0;
}
