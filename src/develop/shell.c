/* See shell.h. */
#include "develop/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, up to the program; only calls that a fork may make. */
static void become(const char *path, char *const argv[], const struct shell_options *options, pid_t parent)
{
    static const int restored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD};
    sigset_t blocked;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    for (size_t i = 0; i < sizeof restored / sizeof *restored; i++)
        signal(restored[i], SIG_DFL);
    sigemptyset(&blocked);
    if (options->holds_hangup)
        sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (options->apart && setpgid(0, 0) != 0)
        _exit(127);
    int nothing = options->apart || options->output ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    if (options->output && (dup2(options->output, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0))
        _exit(127);
    if (options->folder && chdir(options->folder) != 0)
        _exit(126);
    execvp(path, argv);
    _exit(127);
}

bool shell_start(const char *path, char *const argv[], const struct shell_options *options, pid_t *ret_pid,
                 struct err *err)
{
    pid_t parent = getpid();
    fflush(NULL); /* what was said before it says something */
    pid_t pid = fork();
    if (pid == 0)
        become(path, argv, options, parent);
    if (pid < 0)
        return err_errno(err, "fork");
    if (options->apart)
        setpgid(pid, pid); /* here too: who signals the group need not wait for the child */
    *ret_pid = pid;
    return true;
}

static bool wait_for(pid_t pid, int *ret_status)
{
    pid_t ended;
    do
        ended = waitpid(pid, ret_status, 0);
    while (ended < 0 && errno == EINTR);
    return ended == pid;
}

bool shell_run(const char *command, const char *folder, int *ret_status, struct err *err)
{
    char *const argv[] = {"sh", "-c", (char *)command, NULL};
    const struct shell_options options = {.folder = folder};
    pid_t pid = -1;
    return shell_start("/bin/sh", argv, &options, &pid, err) &&
           (wait_for(pid, ret_status) || err_errno(err, "waitpid"));
}

bool shell_ask(char *const argv[], const char *folder, struct buf *ret_output)
{
    int pipes[2], status = 0;
    pid_t pid = -1;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return false;
    const struct shell_options options = {.folder = folder, .output = pipes[1]};
    bool started = shell_start(argv[0], argv, &options, &pid, NULL);
    close(pipes[1]);
    while (started) {
        char chunk[4096];
        ssize_t size = read(pipes[0], chunk, sizeof chunk);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0 || !buf_append(ret_output, chunk, (size_t)size))
            break;
    }
    close(pipes[0]);
    return started && wait_for(pid, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const char *shell_status(int status, char room[64])
{
    if (WIFSIGNALED(status))
        snprintf(room, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(room, 64, "status %d", WEXITSTATUS(status));
    return room;
}
