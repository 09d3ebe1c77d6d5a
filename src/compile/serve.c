/* See serve.h. The parent trusts this side with nothing; see child.c. */
#include "compile/serve.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/phase.h"
#include "compile/jail.h"
#include "compile/job.h"
#include "compile/sink.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACK_MAX ((size_t)4 << 30)

/* A file as bytes; *ret_bytes is NULL for an empty one. */
static bool map_file(int fd, struct str *ret_bytes, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_errno(err, "cannot read the source");
    size_t size = (size_t)status.st_size;
    void *bytes = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (bytes == MAP_FAILED)
        return err_errno(err, "cannot map the source");
    *ret_bytes = (struct str){bytes, size};
    return true;
}

static void unmap_file(struct str bytes)
{
    if (bytes.len)
        munmap((void *)bytes.ptr, bytes.len);
}

/* Ten times a second at most; a parent that does not listen is not waited for. */
static void tell_progress(void *arg, const struct codegen_progress *progress)
{
    static uint64_t last;
    uint64_t now = clock_now_ns();
    if (now - last < NS_PER_S / 10)
        return;
    last = now;
    send(STDIN_FILENO, progress, sizeof *progress, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The next job and its descriptors, -1 where there is none; false at the end. */
static bool next_job(struct compile_job *ret_job, int ret_fds[COMPILE_FDS])
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
    if (size != (ssize_t)sizeof *ret_job || !header)
        return false;
    size_t count = compile_job_fds(ret_job);
    if (header->cmsg_len != CMSG_LEN(count * sizeof(int)))
        return false;
    memset(ret_fds, 0xff, COMPILE_FDS * sizeof(int));
    memcpy(ret_fds, CMSG_DATA(header), count * sizeof(int));
    return true;
}

static bool generate(const int fds[COMPILE_FDS], struct compile_options *options, generator_fn *generator,
                     struct err *err)
{
    static const uint8_t nothing[8];
    static const struct codegen_name none;
    struct str source = {0}, pack = {0}, chosen = {0};
    struct file_sink file;
    const struct image_sink sink = file_sink_open(&file, fds[COMPILE_IMAGE], 0, !options->undigested);
    struct err ignored;
    if (!map_file(fds[COMPILE_SOURCE], &source, err))
        return false;
    if (fds[COMPILE_OLD_PACK] >= 0 && map_file(fds[COMPILE_OLD_PACK], &pack, &ignored))
        options->old_pack = pack;
    if (fds[COMPILE_CHOSEN] >= 0 && map_file(fds[COMPILE_CHOSEN], &chosen, &ignored)) {
        options->chosen = chosen.len ? (const struct codegen_name *)chosen.ptr : &none;
        options->chosen_count = (uint32_t)(chosen.len / sizeof *options->chosen);
    }
    bool done =
        compile_to(source.len ? (const uint8_t *)source.ptr : nothing, source.len, options, generator, &sink, err);
    unmap_file(source);
    unmap_file(pack);
    unmap_file(chosen);
    return done;
}

static bool answer(const struct compile_result *result)
{
    return send(STDIN_FILENO, result, sizeof *result, MSG_NOSIGNAL) == (ssize_t)sizeof *result;
}

/* What the parent is told, once. */
struct answering {
    struct compile_result result;
    bool said;
};

/* Nobody waits for memory that is given back. */
static void answer_early(void *arg)
{
    struct answering *answering = arg;
    answering->result.done = true;
    answering->said = answer(&answering->result);
}

static bool run_job(const struct compile_job *job, generator_fn *best, const char *dump, const int fds[COMPILE_FDS],
                    struct answering *answering)
{
    struct compile_result *result = &answering->result;
    struct buf pack;
    struct compile_options options = {.tier = (enum codegen_tier)job->tier,
                                      .opt_level = job->opt_level,
                                      .mix_seed = job->mix_seed,
                                      .open = job->open,
                                      .host = job->host,
                                      .dump = dump,
                                      .undigested = job->undigested,
                                      .source = job->hashed ? job->source : NULL,
                                      .ret_pack = job->keeps ? &pack : NULL,
                                      .ret_counts = &result->counts,
                                      .written = job->keeps ? NULL : answer_early,
                                      .written_arg = answering,
                                      .progress = tell_progress};
    generator_fn *generator = options.tier == TIER_FAST ? codegen_fast : best;
    if (!generator)
        return err_set(&result->err, ERR_UNSUPPORTED, "this process has no optimizing generator");
    buf_init(&pack, PACK_MAX);
    bool done = generate(fds, &options, generator, &result->err);
    if (done && job->keeps && !file_write(fds[COMPILE_NEW_PACK], pack.data, pack.size))
        done = err_errno(&result->err, "cannot write the compiled functions");
    buf_free(&pack);
    return done;
}

int compile_serve(generator_fn *best, const char *dump)
{
    struct compile_job job;
    struct err jailed = {0};
    int fds[COMPILE_FDS];
    jail_enter(&jailed);
    phase_end("compiler in its jail");
    while (next_job(&job, fds)) {
        struct answering answering = {.result = {.magic = COMPILE_RESULT_MAGIC, .err = jailed}};
        bool done = jailed.kind == ERR_NONE && run_job(&job, best, dump, fds, &answering);
        answering.result.done = done;
        for (int i = 0; i < COMPILE_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        if (!answering.said && !answer(&answering.result))
            return 1;
    }
    return 0;
}
