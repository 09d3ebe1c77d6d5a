/* The process that talks to servers (remote.h) between its files: what leads where (remote_target.c), lines to servers
 * (remote_line.c), sessions of guests (remote_session.c), and what the worker asks (remote.c).
 *
 * A session is in one of these states: it looks its host up, waits for a line, has one that opens, or has one that is
 * ready or busy. One whose line broke has none any more, and says so to whatever is asked. What a store's operation
 * needs is a session that ends with its answer. */
#ifndef MAYFLY_SERVICES_REMOTE_INNER_H
#define MAYFLY_SERVICES_REMOTE_INNER_H

#include "io/resolve.h"
#include "services/line.h"
#include "services/remote.h"
#include "services/wire.h"

#define REMOTE_ENDPOINTS_MAX 8u
#define REMOTE_LISTS 256u
#define MS_US UINT64_C(1000)

enum session_state { SESSION_LOOKUP, SESSION_WAITS, SESSION_OPENS, SESSION_OPEN, SESSION_LOST };

struct session {
    struct session *next, **link; /* in the list of its number */
    struct session *next_waiting, **waiting; /* for a line */
    struct remote *remote;
    enum session_state state;
    int64_t number;
    uint64_t id;  /* of the request that is not answered */
    bool asked;   /* there is one */
    bool once;    /* it ends with its answer */
    struct io_timer timer;
    struct io_lookup lookup;
    struct ip_address addresses[REMOTE_ENDPOINTS_MAX];
    uint32_t address_count, tried;
    struct target *target;
    struct kept_line *line;
    struct frame frame;           /* what is asked when there is a line; of one that ends with its answer */
    struct storage_value *values; /* likewise; their bytes are behind them */
};

/* A line, and whose it is. */
struct kept_line {
    struct kept_line *next, **link;
    struct remote *remote;
    struct session *session; /* NULL: nobody's */
    struct io_timer timer;   /* until then it is kept */
    struct target *target;   /* its own copy */
    struct line *line;
};

struct remote {
    enum storage_kind kind;
    const char *label;
    const struct protocol *protocol;
    const struct remote_nets *nets;
    struct engine_settings settings;
    struct io_loop *loop;
    struct io_watch control;
    struct io_resolver *resolver; /* NULL: numeric hosts only */
    struct wire wire;
    struct io_post turn, freed;
    struct io_timer idle;
    bool broken; /* so is its channel */
    struct target *store; /* the one target of a store */
    struct session *sessions[REMOTE_LISTS];
    struct session *first_waiting, **last_waiting;
    struct kept_line *lines;
    size_t session_count, line_count, kept_count;
    uint32_t *net_sessions; /* of each function */
    struct storage_value *request; /* at hand */
    size_t request_room;
};

/* The kinds: their protocol, and the schemes of their grants, without and with TLS. */
struct remote_kind {
    const struct protocol *protocol;
    enum grant_scheme scheme, secure;
};
extern const struct remote_kind remote_kinds[STORAGE_KINDS];

/* ---- targets ---- */

/* `texts`: host, user, password, path, query; copied. NULL: no memory. */
struct target *target_new(int64_t net, uint16_t port, bool secure, const struct str texts[5]);
struct target *target_copy(const struct target *target);
bool target_same(const struct target *a, const struct target *b);
/* Whether its function may reach it, before its host is looked up; and what that led to. */
bool remote_permits(const struct remote *remote, const struct target *target);
bool remote_permits_address(const struct remote *remote, const struct target *target, const struct ip_address *address);
/* What one function may have of something of which there is `max`: so that nobody has all of it. */
size_t remote_share(const struct remote *remote, size_t max);

/* ---- lines ---- */

/* One for the session. NULL: no memory, or there are too many. */
struct kept_line *remote_new_line(struct session *session);
void remote_free_line(struct kept_line *line);
/* One that nobody has, and that leads there; or NULL. */
struct kept_line *remote_find_line(const struct remote *remote, const struct target *target);
/* One more that leads there may be opened. */
bool remote_has_room(const struct remote *remote, const struct target *target);
/* The session has it no more, and nobody else does: for a while. */
void remote_keep_line(struct kept_line *line);
void remote_take_line(struct kept_line *line, struct session *session);

/* ---- sessions ---- */

/* An answer to the worker: why not, or that it is done. */
void remote_say(struct remote *remote, uint64_t id, enum storage_status status, const char *message);
struct session *session_find(const struct remote *remote, int64_t number);
/* `target` is the session's from here on. NULL: no memory. Say what it is for by its fields, and then: */
struct session *session_new(struct remote *remote, int64_t number, uint64_t id, struct target *target);
/* Find it a line, or make one. */
void session_begin(struct session *session);
/* Of a session that is open. */
void session_ask(struct session *session, uint32_t operation, const struct storage_value *values, size_t count);
/* Its request is answered; it may be gone afterwards. */
void session_answer(struct session *session, enum storage_status status, const char *message);
void session_end(struct session *session);
/* A line came free, maybe: those that wait for one have a look, from the loop. */
void remote_serve_waiting(struct remote *remote);
void remote_on_freed(struct io_post *post);
/* Whatever the line's state is now has its consequences: session and line may be gone afterwards. */
void remote_settle(struct kept_line *kept);

#endif
