/* See child.h. The child is trusted with nothing: what it answers is copied first, so that it cannot change it any
 * more, and then checked whole. */
#include "compile/child.h"

#include "compile/job.h"
#include "image/format.h"

#include <errno.h>
#include <limits.h>
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
#include <unistd.h>

#define CPU_SECONDS_DEFAULT 1800u
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

/* Runs in the forked child: descriptor 0, limits, exec. Only async-signal-safe calls. */
static void become_compiler(const char *path, char *const *argv, int socket, uint32_t cpu_seconds)
{
    static char *const no_environment[] = {NULL};
    const struct rlimit cpu = {cpu_seconds, (rlim_t)cpu_seconds + CPU_SECONDS_GRACE};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    if (dup2(socket, 0) >= 0 && dup2(STDERR_FILENO, 1) >= 0 && close_range(3, ~0u, 0) == 0)
        execve(path, argv, no_environment);
    _exit(127);
}

static bool over_time(uint32_t cpu_seconds, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds of processor time", cpu_seconds);
    return err_remedy(err, "a lower optimization level (-O0) is faster; nothing was stored");
}

/* Why the child ended without an answer. */
static bool ended(struct compiler *compiler, struct err *err)
{
    int status = 0;
    while (waitpid(compiler->pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, "cannot wait for the compiler");
    close(compiler->socket);
    compiler->pid = 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return over_time(compiler->cpu_seconds, err);
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
    compiler->socket = sockets[0];
    compiler->pid = fork();
    if (compiler->pid == 0)
        become_compiler(path, argv, sockets[1], compiler->cpu_seconds);
    close(sockets[1]);
    if (compiler->pid > 0)
        return true;
    close(sockets[0]);
    compiler->pid = 0;
    return err_errno(err, "cannot start the compiler");
}

/* One job and its two descriptors, then wait until it is done. */
static bool send_job(struct compiler *compiler, const struct compile_job *job, int source_fd, int result_fd)
{
    char done;
    union compile_job_control control;
    struct iovec part = {(void *)job, sizeof *job};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    memset(&control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const int fds[] = {source_fd, result_fd};
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    if (sendmsg(compiler->socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof *job)
        return false;
    ssize_t size;
    do
        size = recv(compiler->socket, &done, 1, 0);
    while (size < 0 && errno == EINTR);
    return size == 1;
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
static int take_result(int result_fd, struct err *err)
{
    struct compile_result result;
    struct stat status;
    if (fstat(result_fd, &status) != 0 || pread(result_fd, &result, sizeof result, 0) != sizeof result ||
        result.magic != COMPILE_RESULT_MAGIC || (uint64_t)status.st_size < sizeof result ||
        (uint64_t)status.st_size - sizeof result > IMAGE_SIZE_MAX)
        return err_set(err, ERR_SYSTEM, "the compiler gave no answer") - 1;
    result.err.message[sizeof result.err.message - 1] = '\0';
    result.err.remedy[sizeof result.err.remedy - 1] = '\0';
    if (!result.done) {
        if (err)
            *err = result.err;
        return -1;
    }
    int image_fd = memfd_create("mayfly-image", MFD_CLOEXEC);
    if (image_fd < 0)
        return err_errno(err, "cannot make a file in memory") - 1;
    if (copy_image(result_fd, image_fd, (uint64_t)status.st_size - sizeof result, err))
        return image_fd;
    close(image_fd);
    return -1;
}

static bool make_job(const struct compile_options *options, struct compile_job *ret_job, struct err *err)
{
    struct compile_job job = {.opt_level = options->opt_level, .open = options->open};
    const char *host = options->host ? options->host : "";
    if (strlen(host) >= sizeof job.host)
        return err_set(err, ERR_LIMIT, "the names of host modules take more than %zu bytes", sizeof job.host - 1);
    memcpy(job.host, host, strlen(host));
    *ret_job = job;
    return true;
}

int compiler_run(struct compiler *compiler, int source_fd, const struct compile_options *options, struct err *err)
{
    struct compile_job job;
    if (!make_job(options, &job, err) || (!compiler->pid && !start(compiler, options, err)))
        return -1;
    int image_fd = -1, result_fd = memfd_create("mayfly-result", MFD_CLOEXEC);
    if (result_fd < 0)
        return err_errno(err, "cannot make a file in memory") - 1;
    if (send_job(compiler, &job, source_fd, result_fd))
        image_fd = take_result(result_fd, err);
    else
        ended(compiler, err);
    close(result_fd);
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
