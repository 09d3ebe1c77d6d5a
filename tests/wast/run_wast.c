/* run-wast: files of a WebAssembly test suite (JSON as written by json-from-wast) against the whole engine, from the
 * compiler child to linking at run time.
 *
 * Each file runs in a process of its own, so that a crash costs the rest of that file and nothing else. */
#include "script.h"

#include "base/alloc.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 4096
#define JOBS_MAX 64

static const char usage[] =
    "usage: run-wast [OPTIONS] FILE.json|FOLDER...\n"
    "\n"
    "Runs each file, or every file of a folder, and counts assertions. Ends with 'N passed, N failed'; the exit code\n"
    "is 1 when one failed.\n"
    "\n"
    "  -O0 .. -O3       optimization level of the compiler (2)\n"
    "      --tier TIER  fast, or best, the default\n"
    "      --mix SEED   functions of both generators in one image, by chance\n"
    "  -j, --jobs N     files at a time (one per processor)\n"
    "  -s, --share N    one file in N, others for another SEED; all of them with MAYFLY_TEST_FULL=1\n"
    "  -i, --if-there   a FOLDER that is absent is skipped: exit code 77\n"
    "  -t, --timeout N  seconds for one file (300)\n"
    "  -v, --verbose    tell of every command and every file, not only of failures\n"
    "      --help       this text\n";

static struct {
    struct script_options script;
    int jobs, share;
    bool if_there;
    unsigned timeout;
    char *files[FILES_MAX];
    struct tally *tallies;
    int count;
    struct {
        pid_t pid;
        int file;
    } running[JOBS_MAX];
} run = {.script = {.opt_level = 2}, .share = 1, .timeout = 300};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_file(const char *path)
{
    if (run.count == FILES_MAX)
        return false;
    run.files[run.count] = strdup(path);
    return run.files[run.count++] != NULL;
}

static bool add_folder(const char *path)
{
    int first = run.count;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char name[4096];
        const char *dot = strrchr(entry->d_name, '.');
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (dot && strcmp(dot, ".json") == 0 && !add_file(name))
            break;
    }
    if (!folder)
        return false;
    closedir(folder);
    qsort(run.files + first, (size_t)(run.count - first), sizeof *run.files, compare_names);
    return true;
}

static bool add_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 && run.if_there) {
        printf("skipped: no official suite at %s\n", path);
        exit(77);
    }
    if (stat(path, &status) != 0) {
        fprintf(stderr, "error: %s: no such file\n", path);
        return false;
    }
    return S_ISDIR(status.st_mode) ? add_folder(path) : add_file(path);
}

static void take_share(void)
{
    int kept = 0, first = (int)(run.script.mix_seed % (uint32_t)run.share);
    if (getenv("MAYFLY_TEST_FULL"))
        return;
    for (int i = 0; i < run.count; i++) {
        if (i % run.share == first)
            run.files[kept++] = run.files[i];
        else
            free(run.files[i]);
    }
    run.count = kept;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"tier", required_argument, NULL, 'T'},
        {"mix", required_argument, NULL, 'm'},
        {"jobs", required_argument, NULL, 'j'},
        {"share", required_argument, NULL, 's'},
        {"timeout", required_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"if-there", no_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "O:j:s:t:vi", options, NULL)) != -1;) {
        long number = optarg ? strtol(optarg, NULL, 10) : 0;
        switch (option) {
        case 'T': run.script.tier = strcmp(optarg, "fast") == 0 ? TIER_FAST : TIER_BEST; break;
        case 'm': run.script.tier = TIER_MIXED, run.script.mix_seed = (uint32_t)number; break;
        case 'O': run.script.opt_level = (int)number; break;
        case 'j': run.jobs = (int)number; break;
        case 's': run.share = (int)number; break;
        case 't': run.timeout = (unsigned)number; break;
        case 'i': run.if_there = true; break;
        case 'v': run.script.verbose = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: return false;
        }
    }
    if (run.jobs <= 0)
        run.jobs = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (run.jobs > JOBS_MAX)
        run.jobs = JOBS_MAX;
    return optind < argc && run.share > 0 && run.script.opt_level >= 0 && run.script.opt_level <= 3;
}

/* Each module keeps a descriptor. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void begin(int slot, int file)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(run.timeout);
        raise_limit();
        script_run(run.files[file], &run.script, &run.tallies[file]);
        fflush(stdout);
        _exit(0);
    }
    run.running[slot].pid = pid;
    run.running[slot].file = file;
}

/* Whatever the process did not get to has failed. */
static void settle(int file, int status)
{
    struct tally *tally = &run.tallies[file];
    if (WIFSIGNALED(status))
        printf("%s: ended by signal %d (%s)\n", run.files[file], WTERMSIG(status),
               WTERMSIG(status) == SIGALRM ? "too slow" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        printf("%s: ended with exit code %d\n", run.files[file], WEXITSTATUS(status));
    if (tally->passed + tally->failed < tally->assertions || status != 0)
        tally->failed +=
            tally->passed + tally->failed < tally->assertions ? tally->assertions - tally->passed - tally->failed : 1;
    if (run.script.verbose)
        printf("%s: %u passed, %u failed\n", run.files[file], tally->passed, tally->failed);
}

static void wait_for_one(void)
{
    int status;
    pid_t pid = wait(&status);
    for (int i = 0; i < run.jobs; i++)
        if (pid > 0 && run.running[i].pid == pid) {
            settle(run.running[i].file, status);
            run.running[i].pid = 0;
        }
}

static void run_files(void)
{
    int next = 0, active = 0;
    while (next < run.count || active) {
        for (int i = 0; i < run.jobs && next < run.count; i++)
            if (!run.running[i].pid)
                begin(i, next++);
        wait_for_one();
        active = 0;
        for (int i = 0; i < run.jobs; i++)
            active += run.running[i].pid != 0;
    }
}

static bool count_assertions(void)
{
    size_t size = sizeof *run.tallies * (size_t)(run.count + 1);
    run.tallies = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.tallies == MAP_FAILED)
        return false;
    for (int i = 0; i < run.count; i++) {
        int count = script_count(run.files[i]);
        if (count < 0)
            return false;
        run.tallies[i].assertions = (unsigned)count;
    }
    return true;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    if (!parse(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    for (int i = optind; i < argc; i++)
        if (!add_path(argv[i]))
            return 2;
    take_share();
    if (!count_assertions())
        return 2;
    run_files();
    for (int i = 0; i < run.count; i++) {
        passed += run.tallies[i].passed;
        failed += run.tallies[i].failed;
        free(run.files[i]);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
