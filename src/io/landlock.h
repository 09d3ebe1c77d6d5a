/* What of files and TCP this process may still reach: Landlock, as far as the kernel has it. A rule set denies all that
 * it handles and no rule permits; what is open stays open. It is inherited and never comes off. */
#ifndef MAYFLY_IO_LANDLOCK_H
#define MAYFLY_IO_LANDLOCK_H

#include "base/err.h"

#include <stdint.h>

/* Rights, by the numbers of the kernel's interface; the versions of it in which they came. */
#define LANDLOCK_WRITE_FILE UINT64_C(0x2)
#define LANDLOCK_READ_FILE UINT64_C(0x4)
#define LANDLOCK_READ_FOLDER UINT64_C(0x8)
#define LANDLOCK_REMOVE UINT64_C(0x30) /* folders and files */
#define LANDLOCK_MAKE UINT64_C(0x1180) /* folders, regular files, symbolic links; no device, pipe or socket */
#define LANDLOCK_REFER UINT64_C(0x2000) /* names that move between folders: 2; before, none may */
#define LANDLOCK_TRUNCATE UINT64_C(0x4000) /* 3 */
#define LANDLOCK_READ (LANDLOCK_READ_FILE | LANDLOCK_READ_FOLDER)
#define LANDLOCK_CHANGE (LANDLOCK_WRITE_FILE | LANDLOCK_REMOVE | LANDLOCK_MAKE | LANDLOCK_REFER | LANDLOCK_TRUNCATE)

#define LANDLOCK_BIND 1u /* TCP sockets to a port: 4 */
#define LANDLOCK_CONNECT 2u /* TCP sockets to a port: 4 */

struct landlock {
    int version; /* 0: this kernel has none, and the functions below do nothing */
    int rules; /* a descriptor, or -1 */
    uint64_t files;
    unsigned ports; /* what is handled */
};

/* Handle all that there is to do with files, `ports` of TCP, and signals and abstract sockets of processes outside. */
bool landlock_open(struct landlock *landlock, unsigned ports, struct err *err);
/* Permit `rights` on the file or the folder and all below it; of a file those that a file can have. */
bool landlock_permit(const struct landlock *landlock, int fd, uint64_t rights, struct err *err);
/* The same by name; what is not there is not permitted. */
bool landlock_permit_path(const struct landlock *landlock, const char *path, uint64_t rights, struct err *err);
bool landlock_permit_port(const struct landlock *landlock, unsigned what, uint16_t port, struct err *err);
/* PR_SET_NO_NEW_PRIVS must be set. */
bool landlock_enter(const struct landlock *landlock, struct err *err);
void landlock_close(struct landlock *landlock);

/* Ports that are permitted together; more than the kernel shall be told of are all. */
#define LANDLOCK_PORTS_MAX 64u
struct landlock_ports {
    uint16_t items[LANDLOCK_PORTS_MAX];
    uint32_t count;
    bool all;
};
void landlock_add_ports(struct landlock_ports *ports, uint32_t low, uint32_t high);
/* When they are all, `what` must not be handled. */
bool landlock_permit_ports(const struct landlock *landlock, unsigned what, const struct landlock_ports *ports,
                           struct err *err);

#endif
