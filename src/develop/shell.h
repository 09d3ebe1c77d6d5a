/* Commands of others: build commands, as a shell runs them, and programs that tools ask. They get this process's
 * environment and standard streams, and end when it does. */
#ifndef MAYFLY_DEVELOP_SHELL_H
#define MAYFLY_DEVELOP_SHELL_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

struct shell_options {
    const char *folder; /* where to run; NULL: here */
    bool apart;         /* in a process group of its own, without input: its owner passes signals on */
    bool holds_hangup;  /* SIGHUP waits until the program asks for it (`mayfly up` does once it serves) */
    int output;         /* its standard output, and its errors nowhere; 0: as ours */
};

/* Start a program; `path` is no name to be searched for. The process is the caller's to wait for. */
bool shell_start(const char *path, char *const argv[], const struct shell_options *options, pid_t *ret_pid,
                 struct err *err);
/* A command through /bin/sh, to its end: *ret_status as waitpid has it. */
bool shell_run(const char *command, const char *folder, int *ret_status, struct err *err);
/* What a program, searched for in PATH, prints, up to the buffer's maximum. False: there is none, or it fails. */
bool shell_ask(char *const argv[], const char *folder, struct buf *ret_output);
/* "status 2", "signal 9 (Killed)" */
const char *shell_status(int status, char room[64]);

#endif
