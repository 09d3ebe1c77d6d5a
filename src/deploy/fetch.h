/* Files of other machines, which a manifest names by URL and digest, or by package and version.
 *
 * A process of its own asks for one, with the client that guests' requests go out with: what comes from the network is
 * parsed where nothing else is. It is confined before its first connection (services/confine.h), and all that it can do
 * with what it hears is to write it into a file in memory, which is sealed when that process has ended; then it is
 * hashed, and nobody else looks at it before. Servers are asked by http and https, since the digest says what is right
 * and not the server; certificates are checked as guests' are. A server may lead to others, but not from https to http,
 * and from a public address to no private one.
 *
 * Bounded: the file, all else that is read, how often one server leads to another, each phase, and all of it in time.
 */
#ifndef MAYFLY_DEPLOY_FETCH_H
#define MAYFLY_DEPLOY_FETCH_H

#include "base/err.h"
#include "base/str.h"

#define FETCH_REDIRECTS_MAX 10u
#define FETCH_ANSWER_MAX ((size_t)4 << 20) /* bytes of an answer that is no file */

struct fetch_limits {
    uint64_t bytes;    /* of the file, which is in memory until its digest is known */
    uint64_t phase_us; /* connecting, an answer's head, and between its bytes */
    uint64_t total_ms;
    uint64_t silent_ms; /* before the log tells how far it is, and between two times */
};
extern const struct fetch_limits fetch_limits_default;

/* A package of a registry (OCI distribution), whose versions are its tags. */
struct fetch_package {
    struct str registry; /* "host" or "host:port" */
    struct str name;     /* "ns:name" */
    struct str version;
    bool exact; /* it is that version, else what it must be like (app/words.h) */
};

struct fetch_want {
    struct str url;               /* the file at this place; or, if there is none, of the package: */
    struct fetch_package package; /* the file with `digest`; or, if that is empty, the digest of its file as text */
    struct str digest;
    const char *name_servers; /* "ADDRESS[:PORT],...", or NULL: the system's */
    void (*forget)(void *arg); /* called in the process before all else: what it shall not have. May be NULL */
    void *arg;
};

/* A sealed file in memory with all of it, the caller's to close; -1: there is none. */
int fetch_file(const struct fetch_want *want, const struct fetch_limits *limits, struct err *err);

#endif
