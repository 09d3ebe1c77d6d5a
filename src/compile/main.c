/* The compiler child: the only program that links LLVM.
 *
 *     mayfly-compiler [--dump STAGE]   descriptor 0: compile/job.h
 *
 * It is started by compile/child.c and trusted with nothing: before it reads a source it gives up file systems, new
 * privileges and core dumps.
 */
#include "compile/build.h"
#include "compile/jail.h"
#include "compile/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;
    while (size) {
        ssize_t done = write(fd, p, size);
        if (done <= 0)
            return false;
        p += done;
        size -= (size_t)done;
    }
    return true;
}

static bool compile(int source_fd, const struct compile_options *options, struct buf *image, struct err *err)
{
    struct stat status;
    if (fstat(source_fd, &status) != 0)
        return err_errno(err, "cannot read the source");
    size_t size = (size_t)status.st_size;
    void *source = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, source_fd, 0);
    if (source == MAP_FAILED)
        return err_errno(err, "cannot map the source");
    bool done = compile_build(source, size, options, codegen_llvm, image, err);
    munmap(source, size ? size : 1);
    return done;
}

/* The next job and its descriptors; false at the end. */
static bool next_job(struct compile_job *ret_job, int ret_fds[2])
{
    union compile_job_control control;
    struct iovec part = {ret_job, sizeof *ret_job};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t size;
    do
        size = recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (size != (ssize_t)sizeof *ret_job || !header || header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return false;
    memcpy(ret_fds, CMSG_DATA(header), 2 * sizeof(int));
    return true;
}

static bool run_job(const struct compile_job *job, const char *dump, const struct err *jailed, const int fds[2])
{
    struct compile_result result = {.magic = COMPILE_RESULT_MAGIC, .err = *jailed};
    const struct compile_options options = {
        .opt_level = job->opt_level, .open = job->open, .host = job->host, .dump = dump};
    struct buf image;
    buf_init(&image, (size_t)4 << 30);
    result.done = jailed->kind == ERR_NONE && compile(fds[0], &options, &image, &result.err);
    bool written =
        write_all(fds[1], &result, sizeof result) && (!result.done || write_all(fds[1], image.data, image.size));
    buf_free(&image);
    return written;
}

/* In the jail LeakSanitizer cannot see the process, and what it would say of that spoils the answer. Without it
 * nobody calls this. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

int main(int argc, char **argv)
{
    struct compile_job job;
    struct err jailed = {0};
    int fds[2];
    const char *dump = argc == 3 && strcmp(argv[1], "--dump") == 0 ? argv[2] : NULL;
    if (argc > 1 && !dump) {
        fprintf(stderr, "mayfly-compiler is started by mayfly\n");
        return 2;
    }
    jail_enter(&jailed);
    while (next_job(&job, fds)) {
        bool answered = run_job(&job, dump, &jailed, fds) && send(STDIN_FILENO, "", 1, MSG_NOSIGNAL) == 1;
        close(fds[0]);
        close(fds[1]);
        if (!answered)
            return 1;
    }
    return 0;
}
