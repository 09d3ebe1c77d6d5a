/* What becomes of an act in a child process that gave up something first. Included once per program. */
#ifndef MAYFLY_TESTS_SUPPORT_CONFINED_H
#define MAYFLY_TESTS_SUPPORT_CONFINED_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED(signal) (1000 + (signal))
#define NOT_CONFINED 254
#define ODD 255 /* an act that failed otherwise than by an error number */

/* 0, the errno that the act returned, or KILLED(signal). */
static int outcome_of(bool (*confine)(void *arg), void *arg, int (*act)(void *arg), void *act_arg)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(confine(arg) ? act(act_arg) : NOT_CONFINED);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return ODD;
    return WIFSIGNALED(status) ? KILLED(WTERMSIG(status)) : WEXITSTATUS(status);
}

/* What a system call answered, as an act returns it. */
static int errno_of(long result)
{
    return result < 0 ? errno : 0;
}

#endif
