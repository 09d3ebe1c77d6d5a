/* What happens in the process that fetches a file (see fetch.h). */
#ifndef MAYFLY_DEPLOY_FETCH_INNER_H
#define MAYFLY_DEPLOY_FETCH_INNER_H

#include "base/buf.h"
#include "deploy/fetch.h"
#include "deploy/url.h"

#define FETCH_FIELD_MAX 2048u /* bytes of a field that is kept */

enum fetch_report_kind { FETCH_PROGRESS, FETCH_DONE, FETCH_FAILED };

/* What it says of itself, over a pipe: FAILED and DONE once, as the last. */
struct fetch_report {
    uint32_t kind;
    uint64_t done, total; /* bytes; total 0: nobody knows */
    struct err err;       /* of FAILED */
};

/* Where a file goes. */
struct fetch_sink {
    int file, reports; /* descriptors */
};

struct fetch_request {
    struct str url;
    bool led; /* a server said where this is, not the manifest */
    const struct http_field *fields; /* for this server, not for those that it leads to */
    size_t field_count;
    const struct fetch_sink *sink; /* NULL: the answer goes into `body` */
    struct buf *body;
};

struct fetch_answer {
    unsigned status; /* of another than 200 the body is not taken */
    char challenge[FETCH_FIELD_MAX], next[FETCH_FIELD_MAX]; /* www-authenticate, link; empty: not given, or too long */
};

struct fetch_client;
/* The process is confined from then on. */
struct fetch_client *fetch_client_new(const struct fetch_limits *limits, const char *name_servers, struct err *err);
/* NULL is fine. */
void fetch_client_free(struct fetch_client *client);
bool fetch_ask(struct fetch_client *client, const struct fetch_request *request, struct fetch_answer *ret,
               struct err *err);
/* What an answer that is not 200 means; ERR_SYSTEM: it may be another one later. */
bool fetch_refused(struct str url, unsigned status, struct err *err);

/* Of a package: its file, or the digest of it, into the sink (registry.c). */
bool registry_get(struct fetch_client *client, const struct fetch_want *want, const struct fetch_sink *sink,
                  struct err *err);

#endif
