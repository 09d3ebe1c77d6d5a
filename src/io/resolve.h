/* Names to addresses, without blocking: c-ares on the worker's loop, loaded when the first name is asked for, so that
 * what looks nothing up links and costs nothing. It reads /etc/hosts and /etc/resolv.conf as the system's resolver
 * does.
 *
 * Invariants: a lookup reports once, from the loop, never from inside io_lookup_start; after io_lookup_cancel never.
 * Whether the asker may have the addresses is not decided here. */
#ifndef MAYFLY_IO_RESOLVE_H
#define MAYFLY_IO_RESOLVE_H

#include "io/address.h"
#include "io/loop.h"

#define IO_LOOKUP_MAX 32u     /* addresses of one answer */
#define IO_NAME_MAX 253u      /* bytes of a name (RFC 1035, section 2.3.4) */
#define IO_LOOKUPS_MAX 1024u  /* under way at once */

struct io_resolver;
struct io_query;

enum io_lookup_result {
    IO_LOOKUP_FOUND,
    IO_LOOKUP_NO_NAME,   /* the name does not exist, or has no address */
    IO_LOOKUP_TEMPORARY, /* no server answered, or not now */
    IO_LOOKUP_TIMEOUT,
    IO_LOOKUP_FAILED,    /* a server refused, or answered nonsense; or no resolver could be made */
};

struct io_lookup {
    void (*done)(struct io_lookup *lookup);
    enum io_lookup_result result;
    uint32_t count;
    struct ip_address addresses[IO_LOOKUP_MAX]; /* in the order to try them (RFC 6724); no mapped ones */
    /* Private: */
    struct io_post post;
    struct io_loop *loop;
    struct io_query *query; /* NULL when it is not under way */
};

/* `servers`: "ADDRESS[:PORT],..." instead of the system's, or NULL; the text stays the caller's. */
struct io_resolver *io_resolver_new(struct io_loop *loop, const char *servers, struct err *err);
/* All lookups must be over or cancelled. NULL is fine. */
void io_resolver_free(struct io_resolver *resolver);

/* `lookup->done` is the caller's; the rest is set here. The name is one that io_name_valid takes. */
void io_lookup_start(struct io_resolver *resolver, struct io_lookup *lookup, struct str name);
/* Does nothing when it is not under way. */
void io_lookup_cancel(struct io_lookup *lookup);

/* Letters, digits, hyphens and underscores in labels of 1 to 63 bytes, a dot at the end or not (RFC 1123, section 2.1);
 * a last label of digits only would be an address that is none. */
bool io_name_valid(struct str name);

#endif
