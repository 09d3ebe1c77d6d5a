/* The macros of the tables of system calls (calls.h), and the headers that their values are from. The row's words are
 * pasted here and nowhere else, because some of them are macros elsewhere. */
#ifndef MAYFLY_IO_CALLS_ROWS_H
#define MAYFLY_IO_CALLS_ROWS_H

#include "io/calls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define CALLS_NAMESPACES                                                                                               \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

#define IF(argument, test, value) {argument, CALLS_##test, value}
#define RULE_IF(set, name, verdict, ...) {__NR_##name, CALLS_##verdict, CALLS_##set, {__VA_ARGS__}},
#define RULE(set, name, verdict) {__NR_##name, CALLS_##verdict, CALLS_##set, {{0}}},
#define ALLOW_IF(set, name, ...) {__NR_##name, CALLS_ALLOW, CALLS_##set, {__VA_ARGS__}},
#define ALLOW(set, name) {__NR_##name, CALLS_ALLOW, CALLS_##set, {{0}}},

#endif
