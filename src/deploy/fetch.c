/* The process that fetches a file, as its parent sees it (see fetch.h). */
#include "deploy/fetch_inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS_NS UINT64_C(1000000)

const struct fetch_limits fetch_limits_default = {
    .bytes = UINT64_C(256) << 20, .phase_us = 20000000, .total_ms = 600000, .silent_ms = 3000};

struct fetching {
    const struct fetch_want *want;
    const struct fetch_limits *limits;
    char shown[URL_SHOWN]; /* what, for people */
    int file, reports;     /* reports: our end of the pipe */
    pid_t pid;
    uint64_t began_ms, told_ms;
};

static uint64_t now_ms(void)
{
    return clock_now_ns() / MS_NS;
}

/* ---- the process ---- */

/* Of descriptors it has those of the standard streams and these two. */
static void keep_two(int a, int b)
{
    const int low = a < b ? a : b, high = a < b ? b : a;
    if (low > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)low - 1, 0);
    if (high > low + 1)
        close_range((unsigned)low + 1, (unsigned)high - 1, 0);
    close_range((unsigned)high + 1, ~0u, 0);
}

static bool get_url(struct fetch_client *client, const struct fetch_want *want, const struct fetch_sink *sink,
                    struct err *err)
{
    const struct fetch_request request = {.url = want->url, .sink = sink};
    struct fetch_answer answer;
    return fetch_ask(client, &request, &answer, err) &&
           (answer.status == 200 || fetch_refused(want->url, answer.status, err));
}

static bool get(const struct fetching *fetching, const struct fetch_sink *sink, struct err *err)
{
    const struct fetch_want *want = fetching->want;
    struct fetch_client *client = fetch_client_new(fetching->limits, want->name_servers, err);
    bool done = client && (want->url.len ? get_url(client, want, sink, err) : registry_get(client, want, sink, err));
    fetch_client_free(client);
    return done;
}

static _Noreturn void be_fetcher(const struct fetching *fetching, int reports, pid_t parent)
{
    const struct fetch_want *want = fetching->want;
    const struct fetch_sink sink = {fetching->file, reports};
    const struct rlimit bytes = {fetching->limits->bytes, fetching->limits->bytes};
    struct fetch_report report = {.kind = FETCH_DONE};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGXFSZ, SIG_IGN);
    if (getppid() != parent || setrlimit(RLIMIT_FSIZE, &bytes) != 0)
        _exit(1);
    keep_two(sink.file, sink.reports);
    if (want->forget)
        want->forget(want->arg);
    if (!get(fetching, &sink, &report.err))
        report.kind = FETCH_FAILED;
    ssize_t sent = write(reports, &report, sizeof report);
    _exit(sent == (ssize_t)sizeof report ? 0 : 1);
}

/* ---- what it says ---- */

static bool late(const struct fetching *fetching, struct err *err)
{
    err_set(err, ERR_LIMIT, "%s has not come within %u seconds", fetching->shown,
            (unsigned)(fetching->limits->total_ms / 1000));
    return err_remedy(err, "try again, or put the file beside the manifest and write its path");
}

/* As it came, but for its ends. */
static bool pass_on(struct err said, struct err *err)
{
    said.message[sizeof said.message - 1] = said.remedy[sizeof said.remedy - 1] = '\0';
    err_set(err, said.kind == ERR_NONE ? ERR_SYSTEM : said.kind, "%s", said.message);
    return err_remedy(err, "%s", said.remedy);
}

static void tell_progress(struct fetching *fetching, const struct fetch_report *report)
{
    double done = (double)report->done / 1048576, total = (double)report->total / 1048576;
    uint64_t now = now_ms();
    if (now - fetching->told_ms < fetching->limits->silent_ms)
        return;
    fetching->told_ms = now;
    if (report->total)
        log_line(LOG_INFO, NULL, "fetching %s: %.1f of %.1f MiB", fetching->shown, done, total);
    else
        log_line(LOG_INFO, NULL, "fetching %s: %.1f MiB", fetching->shown, done);
}

/* Up to the last of its reports. */
static bool hear(struct fetching *fetching, struct err *err)
{
    uint64_t end_ms = fetching->began_ms + fetching->limits->total_ms, now;
    struct pollfd wait = {.fd = fetching->reports, .events = POLLIN};
    struct fetch_report report;
    while ((now = now_ms()) < end_ms) {
        if (poll(&wait, 1, (int)(end_ms - now)) <= 0)
            continue;
        ssize_t size = read(fetching->reports, &report, sizeof report);
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof report) /* they are written whole */
            return err_set(err, ERR_SYSTEM, "the process that fetches %s ended early", fetching->shown);
        if (report.kind == FETCH_DONE)
            return true;
        if (report.kind == FETCH_FAILED)
            return pass_on(report.err, err);
        tell_progress(fetching, &report);
    }
    return late(fetching, err);
}

/* ---- */

static bool start(struct fetching *fetching, struct err *err)
{
    int ends[2];
    fetching->file = memfd_create("mayfly-fetched", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fetching->file < 0)
        return err_errno(err, "memfd_create");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, "pipe");
    fetching->reports = ends[0];
    pid_t parent = getpid();
    fetching->pid = fork();
    if (fetching->pid == 0)
        be_fetcher(fetching, ends[1], parent);
    close(ends[1]);
    return fetching->pid > 0 || err_errno(err, "fork");
}

static void end(struct fetching *fetching)
{
    if (fetching->reports >= 0)
        close(fetching->reports);
    if (fetching->pid <= 0)
        return;
    kill(fetching->pid, SIGKILL);
    while (waitpid(fetching->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static bool seal(const struct fetching *fetching, struct err *err)
{
    return fcntl(fetching->file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0 ||
           err_errno(err, "cannot keep what was fetched in memory");
}

int fetch_file(const struct fetch_want *want, const struct fetch_limits *limits, struct err *err)
{
    struct fetching fetching = {.want = want, .limits = limits, .file = -1, .reports = -1, .pid = -1};
    fetching.began_ms = fetching.told_ms = now_ms();
    if (want->url.len)
        url_shown(want->url, fetching.shown);
    else
        url_shown(want->package.name, fetching.shown);
    bool done = start(&fetching, err) && hear(&fetching, err);
    end(&fetching);
    done = done && seal(&fetching, err);
    if (!done && fetching.file >= 0)
        close(fetching.file);
    return done ? fetching.file : -1;
}
