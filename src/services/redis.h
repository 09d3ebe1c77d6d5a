/* Redis: the protocol of a line, key-value stores that a Redis server keeps, and its channels. hiredis reads what the
 * server sends. */
#ifndef MAYFLY_SERVICES_REDIS_H
#define MAYFLY_SERVICES_REDIS_H

#include "http/tls.h"
#include "services/line.h"

#include <hiredis/hiredis.h>

#define REDIS_FUNCTIONS(X)                                                                                             \
    X(redisReaderCreate)                                                                                               \
    X(redisReaderFree)                                                                                                 \
    X(redisReaderFeed)                                                                                                 \
    X(redisReaderGetReply)                                                                                             \
    X(freeReplyObject)

struct redis_library {
#define FIELD(name) __typeof__(&name) name;
    REDIS_FUNCTIONS(FIELD)
#undef FIELD
    bool loaded;
};
extern struct redis_library redis;

/* ERR_UNSUPPORTED: hiredis is not installed. */
bool redis_load(struct err *err);

#define REDIS_STORE_BATCH 1000 /* keys of a step through all of them */

struct redis_line {
    struct line line;
    struct tls *tls; /* or NULL */
    bool agreed;     /* TLS is, if it is to be */
    redisReader *reader;
    redisReplyObjectFunctions functions; /* the library's, with limits */
    struct buf out;
    size_t sent;
    size_t fed;        /* bytes since the last whole reply */
    uint32_t expected; /* replies that are on their way */
    uint32_t greeting; /* of these, those to what was said first */
    /* Takes the next reply of the request. */
    void (*take)(struct redis_line *line, const redisReply *reply);
    struct redis_store_step *step; /* of an operation of a store, or NULL */
    bool pushes; /* the server may speak without being asked */
    bool full;   /* nothing is read for now */
};

/* Commands of guests: STORAGE_COMMAND. */
extern const struct protocol redis_protocol;
/* Operations of key-value stores (wasi/storage.h). A value's version is made of the value: one that was changed and
 * changed back has the version that it had. Keys that are not UTF-8 are not listed. */
extern const struct protocol redis_store_protocol;

/* Channels that a line listens to: STORAGE_LISTEN (redis_subscription.c). */
extern const struct protocol redis_subscription_protocol;

/* ---- between them ---- */

/* The next command has so many words. */
void redis_command(struct redis_line *line, size_t words);
void redis_word(struct redis_line *line, struct str word);
/* All commands are written: send them. `take` is called for each reply, and sets the state with the last. */
void redis_go(struct redis_line *line, void (*take)(struct redis_line *line, const redisReply *reply));
/* The server's error, as the answer's. */
void redis_refused(struct redis_line *line, const redisReply *reply);
void redis_open(struct line *base, const struct ip_endpoint *to);
void redis_step(struct line *base, unsigned events);
void redis_close(struct line *base);

#endif
