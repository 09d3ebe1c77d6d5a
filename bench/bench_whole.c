/* Whole processes, in turns: how long from spawning to the end.
 *
 *     bench-whole RUNS [--empty FOLDER] COMMAND [ARGS] [-- COMMAND [ARGS]]...
 *
 * Prints the median of each command, in microseconds, and of the ratios to the first one's: round by round, so that
 * what else the machine does falls on all alike; then the same of processor time, children included. FOLDER's files are
 * removed before each run, and XDG_CACHE_HOME is FOLDER. What commands print is thrown away; one that fails ends the
 * bench.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 8
#define RUNS_MAX 100000

extern char **environ;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int remove_file(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind;
    return at->level > 0 ? remove(path) : 0;
}

struct sample {
    double wall, cpu;
};

static double us(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static struct sample run(char **argv, const posix_spawn_file_actions_t *actions)
{
    struct rusage usage;
    pid_t pid;
    int status;
    double start = now_us();
    if (posix_spawn(&pid, argv[0], actions, NULL, argv, environ) != 0) {
        fprintf(stderr, "cannot start %s\n", argv[0]);
        exit(1);
    }
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
        continue;
    double end = now_us();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s failed\n", argv[0]);
        exit(1);
    }
    return (struct sample){end - start, us(usage.ru_utime) + us(usage.ru_stime)};
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static double *take(const struct sample *samples, const struct sample *base, int runs, bool cpu)
{
    double *values = calloc((size_t)runs, sizeof *values);
    for (int i = 0; values && i < runs; i++) {
        values[i] = cpu ? samples[i].cpu : samples[i].wall;
        if (base)
            values[i] /= cpu ? base[i].cpu : base[i].wall;
    }
    return values;
}

static double middle(const struct sample *samples, const struct sample *base, int runs, bool cpu)
{
    double *values = take(samples, base, runs, cpu);
    double result = values ? median(values, runs) : 0;
    free(values);
    return result;
}

static void report(struct sample *samples[COMMANDS_MAX], int commands, int runs)
{
    for (int c = 0; c < commands; c++)
        printf("%d %.0f us, %.2f; processor %.0f us, %.2f\n", c, middle(samples[c], NULL, runs, false),
               middle(samples[c], samples[0], runs, false), middle(samples[c], NULL, runs, true),
               middle(samples[c], samples[0], runs, true));
}

int main(int argc, char **argv)
{
    char **commands[COMMANDS_MAX];
    struct sample *times[COMMANDS_MAX];
    const char *folder = NULL;
    int count = 0, runs = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 0, at = 2;
    if (argc > 4 && strcmp(argv[2], "--empty") == 0) {
        folder = argv[3];
        at = 4;
    }
    for (int i = at; i < argc && count < COMMANDS_MAX; i++)
        if (i == at || !argv[i - 1])
            commands[count++] = &argv[i];
        else if (strcmp(argv[i], "--") == 0)
            argv[i] = NULL;
    if (runs <= 0 || runs > RUNS_MAX || count == 0)
        return fprintf(stderr, "bench-whole RUNS [--empty FOLDER] COMMAND [ARGS] [-- COMMAND [ARGS]]...\n"), 2;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (folder)
        setenv("XDG_CACHE_HOME", folder, 1);
    for (int c = 0; c < count; c++)
        times[c] = calloc((size_t)runs, sizeof **times);
    for (int i = 0; i < runs; i++)
        for (int c = 0; c < count; c++) {
            if (folder)
                nftw(folder, remove_file, 16, FTW_DEPTH | FTW_PHYS);
            times[c][i] = run(commands[c], &actions);
        }
    report(times, count, runs);
    return 0;
}
