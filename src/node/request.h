/* A request on its way through a worker, and the worker: for the files of node/ that make up the worker.
 *
 *     worker.c     from the socket to a function
 *     inside.c     from a function to another
 *     events.c     from a timer to a function
 *     subscribers.c   from a server's channels to functions
 *     requests.c   an instance from its beginning to its end
 *     programs.c   what is loaded, and given back
 *     turns.c      who runs when
 *     answer.c     what the client gets, counted and logged
 *
 * A request is in one list at most: fresh (it has no instance yet) or ready (it was preempted, or what it waited for
 * has happened) of its function, asleep of its generation, or blocked of the worker. One in none of them runs.
 */
#ifndef MAYFLY_NODE_REQUEST_H
#define MAYFLY_NODE_REQUEST_H

#include "io/ticks.h"
#include "base/map.h"
#include "http/local.h"
#include "node/access.h"
#include "node/worker.h"
#include "wasi/trace.h"

struct parked;
struct subscriber;

struct event {
    enum event_kind kind;
    int64_t time; /* of a timer: when it fired, in seconds since 1970 */
    struct str channel, message; /* of a subscriber, which keeps them; the channel as it is shown */
    struct subscriber *subscriber;
};

struct request {
    struct task task;
    struct worker *worker;
    struct function *function;
    struct generation *generation; /* of the function; NULL: it has not begun, so it has no slot and no host */
    struct slot *slot;
    struct host *host;
    struct http_exchange *exchange; /* NULL once answered or gone */
    struct request *next, **link;  /* in the pool; among those that have begun, with `link` */
    struct request *after, **before; /* in a list, or NULL */
    struct request_list *list;
    struct parked *parked;         /* the instance, while it is put aside */
    struct io_timer timer;         /* of its end, once it waited */
    bool returned, gone, asleep; /* `asleep`: it waits, and is counted so */
    uint64_t ran;                  /* time stamp counter: so long it ran, as far as its task has stopped */
    uint64_t dispatched, begun, entered, left; /* time stamp counter; 0: not yet */
    bool answered;      /* and counted */
    unsigned status;    /* of an answer that was begun; 0: there is none */
    uint64_t sent;      /* bytes of its body */
    char trace[TRACE_ID_SIZE]; /* once it is gone: the trace that it belonged to, if `traced` */
    bool traced, too_long; /* its body was */
    bool alone; /* its answer is complete, and it goes on: counted among the worker's events */
    uint32_t depth; /* how many requests of functions led to it */
    uint64_t wall_ns; /* from its dispatch: its function's limit, or less */
    struct event event;
    bool well; /* an event: its function did not fail */
};

struct worker {
    struct io_loop *loop;
    struct http_server *server;
    const struct deployment *deployment;
    struct function *functions; /* as many as are deployed, in that order */
    uint32_t loaded; /* so many of them have a program */
    uint32_t sampled; /* so many have an image with a name in samples */
    struct worker_options options;
    struct host_pool *hosts;
    struct http_client *client;
    struct http_service service;
    struct http_local *local;    /* requests that functions make of each other */
    struct str authority;        /* of those to the application itself: where it listens */
    char address[NET_ADDRESS_MAX];
    struct map names;            /* of functions, once one is asked for */
    struct access_log *access; /* or NULL */
    struct metrics_worker *metrics;
    struct request *pool, *live; /* `live`: that have begun */
    struct request_list blocked; /* they would go on, but for others in their slots */
    struct io_post unblock;
    struct request_list leaving; /* they are over, but have so much memory that it is given back in parts */
    struct io_post shed;
    /* events.c: */
    struct io_timer alarm; /* for the next of the times */
    int64_t *times;        /* of each timer of the deployment, or NULL: others fire them */
    int64_t looked;        /* when the times were made */
    uint32_t events;       /* requests of nobody or without a client any more, and messages that lead to some */
    struct subscriber *subscribers; /* one for each subscription, or NULL */
    bool served;           /* the server is drained */
    void (*drained)(void *arg); /* once all is over; or NULL */
    void *drained_arg;
    struct io_timer cooling; /* while there is memory that was used and may not be again */
    /* turns.c: */
    struct function *waiting; /* for a turn */
    struct io_post turn;
    uint64_t slice;     /* ticks that one may have while others wait */
    uint64_t round_us;  /* the turn of the loop that `round` is of */
    uint64_t round;     /* ticks that guests had in it */
    uint64_t floor;     /* of what functions have spent: who begins to wait does so from here */
    /* of requests since it began: */
    uint64_t requests, traps;
    uint64_t began_tsc, began_ns;
    struct histogram starts, pages;
};

/* ---- inside.c ---- */

/* A request may be this many others away from the one that came from outside. */
#define INSIDE_DEPTH_MAX 16u

/* How guests' requests begin: those that stay inside and those that do not. `client` is the worker. */
extern const struct outbound_face inside_face;

/* ---- events.c ---- */

/* Timers fire and channels are listened to once the loop runs, if this worker is to do that. */
bool events_open(struct worker *worker, struct err *err);
/* An event of the function begins; false: it does not, and the log says why. */
bool event_begin(struct worker *worker, uint32_t function, const struct event *event);
/* What leads to events is over. */
void event_settled(struct worker *worker);
/* Nothing begins any more. */
void events_close(struct worker *worker);
/* Inside the task of an event: call what handles it. */
void event_call(struct request *request);
/* The event is over, and was not well if it has not been called. */
void event_over(const struct request *request);
/* The server is drained: `drained` is told once there are no events either. */
void events_drain(void *arg);

/* ---- subscribers.c ---- */

bool subscribers_open(struct worker *worker, struct err *err);
/* Messages that are here already are handled, others are not asked for. */
void subscribers_close(struct worker *worker);
/* Now, when no event runs any more. */
void subscribers_free(struct worker *worker);
/* An event of its message is over. */
void subscriber_told(struct subscriber *subscriber);

/* ---- requests.c ---- */

/* A request of the function, without an exchange; NULL: it has as many as it may, or there is no memory. */
struct request *request_new(struct worker *worker, struct function *function, uint64_t dispatched);
/* Begin with it now or in its turn. It may be gone afterwards. */
void request_dispatch(struct request *request);
/* Begin with a request whose function has a program, `began` being the time of now: an instance runs until it ends or
 * waits. The request may be gone afterwards. */
void request_begin(struct request *request, uint64_t began);
/* Its task is over: complete the response, restore the slot. */
void request_finish(struct request *request);
/* It still waits, or was stopped, and will not go on. Its exchange is gone. */
void request_abandon(struct request *request);
/* What a request that is over still has is given back now. */
void requests_leave(struct worker *worker);
void requests_open(struct worker *worker);
/* One that has not begun will not: the client, if there is one, gets this status. */
void request_turn_away(struct request *request, unsigned status);
/* The same without a word: its exchange is not there any more. */
void request_drop(struct request *request);
/* The client is gone; the exchange is still there, but not afterwards. */
void request_gone(struct request *request);
/* Free what is in the pool but for so many. Whether there was any. */
bool requests_free(struct worker *worker, uint32_t kept);

/* ---- programs.c ---- */

/* A loading that is under way goes on, or one begins if the function has no program: for a slice. What cannot be loaded
 * turns away those that wait for it. */
void worker_load_step(struct worker *worker, struct function *function);
/* It cannot be loaded, or not begin: say so in the log, and to who looks at the page. */
void function_failed(const struct worker *worker, const struct function *function, const char *what,
                     const struct err *err);
/* It could not be loaded a moment ago: nobody tries again so soon. */
bool program_failed_just_now(const struct worker *worker, struct function *function);
uint32_t programs_slots(const struct worker *worker);
/* Something was used that can be given back later. */
void programs_warm(struct worker *worker);

/* ---- turns.c ---- */

void list_add(struct request_list *list, struct request *request);
/* Out of whichever list it is in. */
void list_leave(struct request *request);

/* A request of the function may run now, without waiting for a turn. */
bool turn_is_now(struct worker *worker, struct function *function);
/* A request that has not begun waits for its turn. */
void turn_wait(struct request *request);
/* What it waited for has happened: it goes on now or in its turn. */
void turn_resume(struct request *request);
/* It waits no more: it is not counted as asleep. */
void turn_wake(struct request *request);
/* It goes on now, or is blocked. */
void turn_run(struct request *request);
/* The function ran, since `began`. */
void turn_charge(struct worker *worker, struct function *function, uint64_t began);
/* Its task ran since `began` and stopped. */
void turn_stopped(struct request *request, uint64_t began);
/* After its requests were taken out of lists, or put into some. */
void turn_settle(struct worker *worker, struct function *function);
void turns_open(struct worker *worker);
void turns_close(struct worker *worker);
/* So that a request of the function can begin: one that has waited long gives up its slot. */
void turn_make_room(struct generation *generation);
/* Into its slot again, whoever is there. False: not now. */
bool turn_bring_back(struct request *request);
/* What is left of the limits of a request. */
uint64_t request_wall_left_ns(const struct request *request);
uint64_t request_cpu_left_ns(const struct request *request);

/* ---- answer.c ---- */

/* How guests answer: http/server.h, counted. For struct request. */
extern const struct http_face request_face;
/* The function, and the trace that the request belongs to. */
const char *request_scope(const struct request *request, char room[TRACE_SCOPE_SIZE]);
/* The guest gave no answer, or not to its end. The exchange is gone then. */
void answer_fail(struct request *request, unsigned status);
/* The client is gone; its exchange is still there. */
void answer_lost(struct request *request);
/* An answer without an instance; `function` NULL: none was found. */
void answer_refusal(struct worker *worker, const struct function *function, const struct http_exchange *x,
                    unsigned status);
/* What the request took, when its task is over. `ended`: because its client is gone. */
void answer_count_end(const struct request *request, enum trap trap, bool ended);
/* When the guest returned, or now. */
static inline uint64_t request_end_ticks(const struct request *request)
{
    return request->left ? request->left : ticks_now();
}

double worker_ns_per_tick(const struct worker *worker);

#endif
