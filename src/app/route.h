/* Which route of an application answers a path, as Spin decides it.
 *
 *     /a/b        this path
 *     /a/:name/b  one segment in the place of :name, which is captured; it may stop at a dot: /:name.json
 *     /a/...      /a and all paths below it; a '*' as the last segment means the same
 *
 * Segment by segment, what is written out goes before :name, and that before the rest of the path; so an exact route
 * goes before all others and the longest prefix before shorter ones. Of two routes for the same paths the later one
 * wins, and the other is reported. Private routes answer nothing from outside. Slashes in front of a path and behind it
 * make no difference, but those behind are part of what `/...` captures. Bytes are compared as they come: nothing is
 * decoded, and %2e is no dot.
 *
 * Compiled routes are a trie whose edges stand in one hash table, so that a match costs a look-up for each segment,
 * however many routes there are, and allocates nothing. It visits a node of the trie at most once, and of these only
 * what the segments so far lead to: a path of strangers, however long, costs one pass over it unless routes of the
 * application branch between :name and words at many levels. */
#ifndef MAYFLY_APP_ROUTE_H
#define MAYFLY_APP_ROUTE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define ROUTES_MAX 65536u
#define ROUTE_TEXT_MAX 1024u  /* bytes of a pattern */
#define ROUTE_PIECES_MAX 64u  /* between its slashes and dots */
#define ROUTE_CAPTURES_MAX 16u

/* Paths that are the host's own; see route_reserved. */
#define ROUTE_RESERVED "/.well-known/spin/"

struct route_spec {
    struct str pattern;
    bool is_private; /* no pattern then */
};

/* A route as those who build requests need it. */
struct route {
    struct str raw;       /* as written: spin-raw-component-route */
    struct str based;     /* with a slash in front and none behind ("" for "/"): spin-matched-route */
    struct str component; /* `raw` without "/...": spin-component-route */
    struct str *names;    /* of its captures, in their order, as in spin-path-match-NAME: lower case, '-' for '_' */
    uint32_t name_count;
    bool wildcard;
    bool is_private;
};

struct route_match {
    uint32_t route;         /* the index of its specification */
    uint32_t capture_count; /* as many as the route has names; views of the target */
    struct str captures[ROUTE_CAPTURES_MAX];
    struct str path;     /* the target without its query */
    struct str matched;  /* of the path, in front of what `/...` stands for */
    struct str trailing; /* what `/...` stands for, slash included, or empty: spin-path-info */
};

struct route_node;
struct route_edge;

struct router {
    struct arena arena;
    struct route *routes; /* one for each specification */
    uint32_t count;
    struct route_node *nodes;
    size_t node_count, node_capacity;
    struct route_edge *edges;
    size_t edge_mask;
    size_t longest; /* bytes of the longest word of all routes */
    uint64_t seed;
};

/* `replaced` has the same paths as the later `by`. */
typedef void route_duplicate(void *arg, uint32_t replaced, uint32_t by);

/* ERR_INVALID or ERR_LIMIT when it is no pattern. */
bool route_check(struct str pattern, struct err *err);
/* Some path that it answers is the host's own. */
bool route_reserved(struct str pattern);

/* Copies what it needs. `duplicate` may be NULL. */
bool router_compile(struct router *ret, const struct route_spec *specs, size_t count, route_duplicate *duplicate,
                    void *arg, struct err *err);
void router_free(struct router *router);

/* `target`: as in a request line, beginning with '/'; its path ends at '?'. False: no route answers it. */
bool router_match(const struct router *router, struct str target, struct route_match *ret);

#endif
