/* Which system calls this process may still make: tables of rules, made into a filter of seccomp(2).
 *
 * A call that no rule permits fails with EPERM; one that came after this table with ENOSYS, so that libraries take the
 * older way; one that only an attacker makes (calls_hostile.def) kills the process, and so does any call of another
 * architecture. A filter is inherited and never comes off.
 *
 * Of the rules for a call those of the sets that are asked for count, and the first one whose checks all hold decides;
 * one without checks says what becomes of the rest. A check sees the argument, not what it points to.
 */
#ifndef MAYFLY_IO_CALLS_H
#define MAYFLY_IO_CALLS_H

#include "base/err.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define CALLS_LAST 462    /* the newest call that these tables know of: mseal */
#define CALLS_CHECKS_MAX 3
#define CALLS_CODE_MAX 1024 /* instructions of a filter */

enum calls_verdict {
    CALLS_DENY,  /* EPERM */
    CALLS_LACK,  /* ENOSYS */
    CALLS_ALLOW,
    CALLS_KILL,  /* SIGSYS, which nothing catches */
};

/* What must hold of the lower 32 bits of an argument. */
enum calls_test {
    CALLS_ANY,      /* nothing */
    CALLS_IS,       /* == value */
    CALLS_WITHIN,   /* no bit outside of value */
    CALLS_WITHOUT,  /* no bit of value */
    CALLS_WITH,     /* all bits of value */
    CALLS_TOUCHING, /* some bit of value */
    CALLS_ZERO,     /* all 64 bits are zero */
    CALLS_SELF,     /* this process's number */
};

struct calls_check {
    uint8_t argument; /* from 0 */
    uint8_t test;     /* enum calls_test */
    uint32_t value;
};

struct calls_rule {
    int call;         /* -1: this machine has no such call */
    uint8_t verdict;  /* enum calls_verdict */
    uint32_t sets;    /* that the rule is of */
    struct calls_check checks[CALLS_CHECKS_MAX]; /* without gaps */
};

/* The filter of the rules that are of one of `sets`. Returns its length, or 0 when it does not fit. */
size_t calls_compile(const struct calls_rule *rules, size_t count, uint32_t sets,
                     struct sock_filter ret_code[CALLS_CODE_MAX]);

/* Compile it and enter it. *ret_lacking: this kernel has no filters, and nothing changed. PR_SET_NO_NEW_PRIVS must be
 * set. */
bool calls_restrict(const struct calls_rule *rules, size_t count, uint32_t sets, bool *ret_lacking, struct err *err);

/* Tables are files *.def; calls_rows.h says how a row is written. Rows of calls_common.def are of every set. */
#define CALLS_ALL UINT32_MAX

/* What only some architectures have. */
#ifndef __NR_access
#define __NR_access (-1)
#endif
#ifndef __NR_epoll_wait
#define __NR_epoll_wait (-1)
#endif
#ifndef __NR_getdents
#define __NR_getdents (-1)
#endif
#ifndef __NR_ioperm
#define __NR_ioperm (-1)
#endif
#ifndef __NR_iopl
#define __NR_iopl (-1)
#endif
#ifndef __NR_kexec_file_load
#define __NR_kexec_file_load (-1)
#endif
#ifndef __NR_lstat
#define __NR_lstat (-1)
#endif
#ifndef __NR_modify_ldt
#define __NR_modify_ldt (-1)
#endif
#ifndef __NR_open
#define __NR_open (-1)
#endif
#ifndef __NR_pipe
#define __NR_pipe (-1)
#endif
#ifndef __NR_poll
#define __NR_poll (-1)
#endif
#ifndef __NR_readlink
#define __NR_readlink (-1)
#endif
#ifndef __NR_renameat
#define __NR_renameat (-1)
#endif
#ifndef __NR_stat
#define __NR_stat (-1)
#endif
#ifndef __NR_time
#define __NR_time (-1)
#endif
#ifndef __NR_unlink
#define __NR_unlink (-1)
#endif
#ifndef __NR_uselib
#define __NR_uselib (-1)
#endif

#endif
