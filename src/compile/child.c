/* See child.h. The child is trusted with nothing: what it answers is sealed first, so that nobody can change it any
 * more, and then checked whole. */
#include "compile/child.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/phase.h"
#include "compile/serve.h"
#include "image/format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPU_SECONDS_DEFAULT 1800u
#define MEMORY_BYTES_DEFAULT (UINT64_C(8) << 30)
#define WALL_PER_CPU 4u       /* on a machine that does other work too */
#define WALL_SECONDS_MORE 60u
#define WALL_CPU_MAX 1000000000u
#define CPU_SECONDS_GRACE 5u /* between the signal that names the limit and the one that cannot be caught */

bool compiler_path(char path[PATH_MAX], struct err *err)
{
    if (file_of_installation("mayfly-compiler", path) && access(path, X_OK) == 0)
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

/* Bytes of addresses that this process has: a fork begins with them. 0 where nobody says. */
static uint64_t addresses(void)
{
    char text[32];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What follows runs in the forked child. `more`: addresses that it has already and that count for nothing. */
static void limit(const struct compiler *compiler, uint64_t more)
{
    const struct rlimit cpu = {compiler->cpu_seconds, (rlim_t)compiler->cpu_seconds + CPU_SECONDS_GRACE};
    const struct rlimit memory = {compiler->memory_bytes + more, compiler->memory_bytes + more};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    if (!__asan_init)
        setrlimit(RLIMIT_AS, &memory);
}

/* Descriptor 0 is the socket, what is printed goes to standard error, and nothing else is open. */
static bool keep_socket(int socket)
{
    return dup2(socket, 0) >= 0 && dup2(STDERR_FILENO, 1) >= 0 && close_range(3, ~0u, 0) == 0;
}

/* Only async-signal-safe calls until exec. */
static void become_compiler(const char *path, char *const *argv, int socket, const struct compiler *compiler)
{
    static char *const no_environment[] = {NULL};
    limit(compiler, 0);
    if (keep_socket(socket))
        execve(path, argv, no_environment);
    _exit(127);
}

/* What a program is told by its environment is no business of a compiler's. */
static void wipe_environment(void)
{
    for (char **variable = environ; variable && *variable; variable++)
        memset(*variable, 0, strlen(*variable));
    environ = NULL;
}

/* The fast generator is in every program, and beginning a new one takes longer than it does: the fork goes on as the
 * compiler. Of the parent it keeps memory and nothing else; handlers would look for guests that it does not run, and a
 * fork has no timers. Only the thread that forks lives on, so others must not hold locks that compiling takes; the C
 * library sees to its own. */
static void serve_here(int socket, const struct compiler *compiler)
{
    static const int handled[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    limit(compiler, addresses());
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
        signal(handled[i], SIG_DFL);
    wipe_environment();
    _exit(keep_socket(socket) ? compile_serve(NULL, NULL) : 127);
}

static bool nothing_stored(const struct compiler *compiler, struct err *err)
{
    return err_remedy(err, compiler->fast ? "no tier takes less; nothing was stored"
                                          : "the fast tier and lower levels (-O0) take less; nothing was stored");
}

static bool over_time(const struct compiler *compiler, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds of processor time", compiler->cpu_seconds);
    return nothing_stored(compiler, err);
}

static bool over_wall_time(const struct compiler *compiler, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %u seconds", compiler->wall_seconds);
    return err_remedy(err, "the machine may be busy with other work; nothing was stored");
}

static bool over_memory(const struct compiler *compiler, struct err *err)
{
    err_set(err, ERR_LIMIT, "compiling took more than %" PRIu64 " MiB of memory", compiler->memory_bytes >> 20);
    return nothing_stored(compiler, err);
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
        return over_time(compiler, err);
    if (WIFSIGNALED(status) && is_memory(compiler, status, &usage))
        return over_memory(compiler, err);
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
    compiler->fast = options->tier == TIER_FAST;
    if (!compiler->fast && !compiler_path(path, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return err_errno(err, "cannot make a socket to the compiler");
    compiler->cpu_seconds = options->cpu_seconds ? options->cpu_seconds : CPU_SECONDS_DEFAULT;
    compiler->wall_seconds =
        compiler->cpu_seconds < WALL_CPU_MAX ? compiler->cpu_seconds * WALL_PER_CPU + WALL_SECONDS_MORE : UINT32_MAX;
    compiler->memory_bytes = memory_limit(options);
    compiler->socket = sockets[0];
    compiler->pid = fork();
    if (compiler->pid == 0 && compiler->fast)
        serve_here(sockets[1], compiler);
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
    size_t size = compile_job_fds(job) * sizeof(int);
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
    return (int64_t)(clock_now_ns() / 1000000);
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
static bool await(struct compiler *compiler, const struct compile_options *options, struct compile_result *ret_result,
                  bool *ret_late)
{
    union {
        struct codegen_progress progress;
        struct compile_result result;
    } said;
    int64_t deadline = now_ms() + (int64_t)compiler->wall_seconds * 1000;
    for (;;) {
        *ret_late = !wait_until(compiler, deadline);
        if (*ret_late)
            return false;
        ssize_t size = recv(compiler->socket, &said, sizeof said, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof said.progress) {
            *ret_result = said.result;
            return size == (ssize_t)sizeof said.result && said.result.magic == COMPILE_RESULT_MAGIC;
        }
        if (options->progress)
            options->progress(options->progress_arg, &said.progress);
    }
}

/* From here on nobody can change the image, however often the child gave its descriptor on: the kernel refuses the seal
 * where one may still write. */
static bool seal(int image_fd, struct err *err)
{
    return fcntl(image_fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0 ||
           err_errno(err, "cannot seal the image");
}

static bool check_image(int image_fd, bool digested, struct err *err)
{
    struct stat status;
    if (!seal(image_fd, err))
        return false;
    if (fstat(image_fd, &status) != 0 || status.st_size <= 0 || (uint64_t)status.st_size > IMAGE_SIZE_MAX)
        return err_set(err, ERR_SYSTEM, "the compiler gave no image");
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot map the image");
    bool good = (digested ? image_check : image_check_tables)(bytes, size, err);
    munmap(bytes, size);
    return good;
}

/* The hash of the source, where it came last. */
static bool complete(int image_fd, const struct compile_options *options, struct err *err)
{
    const off_t at = offsetof(struct image_header, source);
    return !options->source_later || !options->source || pwrite(image_fd, options->source, 32, at) == 32 ||
           err_errno(err, "cannot complete the image");
}

/* The child's answer is an image. */
static bool take_result(struct compile_result *result, int image_fd, const struct compiler *compiler,
                        const struct compile_options *options, struct err *err)
{
    result->err.message[sizeof result->err.message - 1] = '\0';
    result->err.remedy[sizeof result->err.remedy - 1] = '\0';
    if (!result->done && result->err.kind == ERR_MEMORY)
        return over_memory(compiler, err);
    if (!result->done && err)
        *err = result->err;
    return result->done && complete(image_fd, options, err) && check_image(image_fd, !options->undigested, err);
}

static bool make_job(const struct compile_options *options, bool keeps, struct compile_job *ret_job, struct err *err)
{
    struct compile_job job = {.tier = options->tier,
                              .opt_level = options->opt_level,
                              .mix_seed = options->mix_seed,
                              .open = options->open,
                              .undigested = options->undigested,
                              .hashed = options->source || options->source_later,
                              .keeps = keeps,
                              .chosen = options->chosen != NULL};
    const char *host = options->host ? options->host : "";
    if (strlen(host) >= sizeof job.host)
        return err_set(err, ERR_LIMIT, "the names of host modules take more than %zu bytes", sizeof job.host - 1);
    memcpy(job.host, host, strlen(host));
    if (options->source)
        memcpy(job.source, options->source, sizeof job.source);
    *ret_job = job;
    return true;
}

static int new_file(const char *name, unsigned flags, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | flags);
    if (fd < 0)
        err_errno(err, "cannot make a file in memory");
    return fd;
}

static int new_names(const struct compile_options *options, struct err *err)
{
    int fd = new_file("mayfly-chosen", 0, err);
    if (fd < 0 || file_write(fd, options->chosen, options->chosen_count * sizeof *options->chosen))
        return fd;
    close(fd);
    return err_errno(err, "cannot write the names of functions") - 1;
}

static void close_made(int fds[COMPILE_FDS])
{
    static const enum compile_fd made[] = {COMPILE_IMAGE, COMPILE_NEW_PACK, COMPILE_CHOSEN};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (fds[made[i]] >= 0) {
            close(fds[made[i]]);
            fds[made[i]] = -1;
        }
}

/* The descriptors of a job that are made for it; all are there, or none. */
static bool open_job(int fds[COMPILE_FDS], const struct compile_options *options, const struct compile_kept *kept,
                     struct err *err)
{
    bool done = (fds[COMPILE_IMAGE] = new_file("mayfly-image", MFD_ALLOW_SEALING, err)) >= 0;
    if (done && kept) {
        done = (fds[COMPILE_NEW_PACK] = new_file("mayfly-functions", 0, err)) >= 0;
        fds[COMPILE_OLD_PACK] = kept->old_fd >= 0 ? kept->old_fd : fds[COMPILE_NEW_PACK];
    }
    if (done && kept && options->chosen)
        done = (fds[COMPILE_CHOSEN] = new_names(options, err)) >= 0;
    if (!done)
        close_made(fds);
    return done;
}

bool compiler_begin(struct compiler *compiler, int source_fd, const struct compile_options *options,
                    const struct compile_kept *kept, struct err *err)
{
    struct compile_job job;
    int *fds = compiler->fds;
    for (int i = 0; i < COMPILE_FDS; i++)
        fds[i] = -1;
    fds[COMPILE_SOURCE] = source_fd;
    if (compiler->pid && compiler->fast != (options->tier == TIER_FAST))
        compiler_stop(compiler);
    if (!make_job(options, kept != NULL, &job, err) || (!compiler->pid && !start(compiler, options, err)) ||
        !open_job(fds, options, kept, err))
        return false;
    if (send_job(compiler, &job, fds))
        return true;
    ended(compiler, false, err);
    close_made(fds);
    return false;
}

int compiler_end(struct compiler *compiler, const struct compile_options *options, struct compile_kept *kept,
                 struct err *err)
{
    struct compile_result result;
    int *fds = compiler->fds;
    bool late = false, done = false, answered = await(compiler, options, &result, &late);
    phase_end("compiler waited for");
    if (answered)
        done = take_result(&result, fds[COMPILE_IMAGE], compiler, options, err);
    else
        ended(compiler, late, err);
    phase_end("image sealed and checked");
    if (done)
        compiler->counts = result.counts;
    int image_fd = done ? fds[COMPILE_IMAGE] : -1;
    if (kept)
        kept->new_fd = done ? fds[COMPILE_NEW_PACK] : -1;
    if (done)
        fds[COMPILE_IMAGE] = fds[COMPILE_NEW_PACK] = -1; /* the caller's */
    close_made(fds);
    return image_fd;
}

int compiler_run(struct compiler *compiler, int source_fd, const struct compile_options *options,
                 struct compile_kept *kept, struct err *err)
{
    if (kept)
        kept->new_fd = -1;
    return compiler_begin(compiler, source_fd, options, kept, err) ? compiler_end(compiler, options, kept, err) : -1;
}

void compiler_stop(struct compiler *compiler)
{
    if (!compiler->pid)
        return;
    close_made(compiler->fds);
    close(compiler->socket);
    kill(compiler->pid, SIGKILL); /* it has nothing to tidy up */
    while (waitpid(compiler->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    compiler->pid = 0;
}
