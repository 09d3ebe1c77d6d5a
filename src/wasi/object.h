/* The inside of a host: its state and the objects behind handles. Shared by the files of this room.
 *
 * Invariants:
 *   - An object lives in the arena. When its handle is dropped the memory is used again for objects of the
 *     same size (host_drop_node), unless something else than its handle and its children may point to it: whoever
 *     that is lets go of it last. The same goes for bytes beside objects (host_bytes_give).
 *   - `node.children` counts the live objects that point to this one; dropping it while there are some traps
 *     (wasi:io/streams and wasi:http/types call them child resources).
 */
#ifndef MAYFLY_WASI_OBJECT_H
#define MAYFLY_WASI_OBJECT_H

#include "base/clock.h"
#include "component/activity.h"
#include "image/context.h"
#include "io/resolve.h"
#include "wasi/gen/wasi_http.h"
#include "wasi/host.h"
#include "wasi/outbound.h"
#include "wasi/trace.h"

struct host_node {
    struct host_node *parent; /* NULL: none, or no more */
    uint32_t children;
    uint16_t size_class;
    bool released; /* its handle is gone; something else may still point to it */
};

/* What must be released when the activity ends: it is then closed, unless it was disowned before. */
struct host_closer {
    void (*close)(struct host *h, struct host_closer *closer);
    struct host_closer *next, **link;
};

/* An address that a granted name led to. */
struct host_named {
    struct ip_address address;
    struct str name;
};

#define HOST_NAMED_MAX 256u /* the last ones of an activity */

/* A page for what is too large for an object. */
struct host_block {
    struct host_block *next; /* of those to be used again */
    _Alignas(16) uint8_t bytes[4096];
};

#define HOST_SIZE_CLASSES 4u  /* objects of up to 64, 128, 192 and 256 bytes */
#define HOST_BYTE_CLASSES 24u /* bytes of objects: powers of two from 16 on; larger ones are not used again */
#define HOST_FOREVER UINT64_MAX
#define HOST_BUFFER_BYTES ((size_t)65536) /* of a read that is quick */

enum response_state {
    RESPONSE_NONE,      /* the outparam is not set */
    RESPONSE_SET,       /* set, nothing sent */
    RESPONSE_STREAMING, /* the head is sent */
    RESPONSE_FAILED,    /* the head is sent and the rest cannot be; or the guest dropped its body */
};

struct host {
    struct arena arena;   /* what lives as long as the activity */
    struct arena scratch; /* of calls: host_scratch */
    struct host_pool *pool;
    struct host *next;
    struct io_timer timer;
    /* From here on cleared when an activity begins. */
    struct store *store;
    const struct host_config *config;
    void *user;
    struct activity activity;
    struct host_node *free[HOST_SIZE_CLASSES]; /* by size class, linked through `parent` */
    void *spare[HOST_BYTE_CLASSES];            /* bytes that were given back, each a pointer to the next */
    struct wasi_http_fields *of_exchange;      /* fields whose items point into it */
    const struct http_request *request;
    struct host_kept *kept; /* the request, once the guest goes on without the exchange; or NULL */
    const struct http_face *face;
    void *exchange;
    enum response_state response_state;
    struct wasi_http_outgoing_response *response;
    struct host_wagi *wagi; /* wagi.c, once it has something to say */
    struct host_module *module; /* wagi_module.c, once a module of WASI 0.1 has asked for something */
    unsigned failure; /* RESPONSE_SET to an error: the status that stands for it */
    bool gone;        /* the exchange broke under us */
    bool tied;        /* to the exchange, which could not be left */
    bool waiting;
    bool again; /* what was asked has more to do: the next wait ends when others had their turn */
    struct host_closer *closers;
    struct host_named *named; /* what this activity may reach because it looked it up: a ring */
    uint32_t named_count, named_next, socket_count, call_count;
    uint32_t store_count, session_count; /* of key-value stores and databases */
    struct storage_tables *tables;       /* of those whose handles are numbers (storage_call.h); or NULL */
    struct host_block *blocks; /* to be used again */
    uint8_t *buffer;           /* host_buffer */
    struct host_standard {     /* a standard stream of a command that the guest may wait for */
        struct io_watch watch;
        struct host *host; /* NULL: the loop does not watch it */
    } standard[3];
    bool exited;
    uint8_t exit_status;
    struct host_text {
        char *bytes; /* of a line that is not ended yet */
        size_t size;
    } text[2];
};

struct host_pool {
    struct io_loop *loop;
    struct host_runtime runtime;
    struct host *free;
    uint32_t free_count;
    struct host_services services;
    struct io_resolver *resolver; /* made when the first name is asked for */
    int64_t last_session; /* number of the last one of a database */
    uint32_t socket_count, socket_max; /* of all activities: half of the descriptors that this process may have */
    struct host_denials denials; /* where there are none that others share */
    uint64_t clock_base_ns; /* monotonic clock of guests starts here */
    size_t random_left;
    uint8_t random[4096]; /* the last `random_left` bytes are unused */
};

/* --- host.c --- */
/* A zeroed object, child of `parent` (or NULL); NULL after setting the trap. */
void *host_new(struct host *h, size_t size, struct host_node *parent);
#define HOST_NEW(h, type, parent) ((type *)host_new((h), HOST_SIZE_OF(type), (parent)))
#define HOST_SIZE_OF(type)                                                                                             \
    sizeof(struct {                                                                                                    \
        type object;                                                                                                   \
        _Static_assert(sizeof(type) <= HOST_SIZE_CLASSES * 64, "objects have a size class");                           \
    })
/* The handle of an object is gone: detach it from its parent. False, with the trap set, when it has children.
 * `what` names it. */
bool host_release(struct host *h, struct host_node *node, const char *what);
/* Nothing points to the object any more: use its memory again. */
void host_node_free(struct host *h, struct host_node *node);
/* Both at once. */
void host_drop_node(struct host *h, struct host_node *node, const char *what);
/* Bytes that an object has beside itself, not zeroed; NULL, without a trap, when there are none left. */
void *host_bytes_take(struct host *h, size_t size);
/* The largest that were given back, of `least` bytes or more; NULL: there are none. */
void *host_bytes_left(struct host *h, size_t least, size_t *ret_size);
/* Use them again. `size` is what was asked for. NULL is fine. */
void host_bytes_give(struct host *h, const void *bytes, size_t size);
/* Set the trap; false. */
bool host_trap(struct host *h, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
bool host_no_memory(struct host *h) __attribute__((cold));
/* Give up the processor until `deadline_ns` of the machine's monotonic clock, or until resumed. False: trap. */
bool host_wait(struct host *h, uint64_t deadline_ns);
/* From the loop: something happened that the guest may wait for. It may run, and end: `h` may be gone afterwards. */
void host_wake(struct host *h);
/* From now on the host's end closes it; until host_disown. */
void host_own(struct host *h, struct host_closer *closer);
void host_disown(struct host_closer *closer);
/* What permits: an option and, where there is a manifest, an entry in one of a component's lists (denied.c). */
enum host_permit {
    PERMIT_NET,
    PERMIT_LISTEN,
    PERMIT_OUTBOUND,
    PERMIT_STORE,
    PERMIT_DATABASE,
    PERMIT_UNBLOCK,
    PERMIT_INHERIT,
    PERMIT_NOTHING
};
/* Say, once for each text, what was denied and what would permit it: `permit` with this value. */
void host_denied(struct host *h, enum host_permit permit, struct str value, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* Who speaks in the log for this activity: the function, and the trace of its request (wasi/trace.h). */
const char *host_scope(const struct host *h, char room[TRACE_SCOPE_SIZE]);
/* The resolver of the pool; NULL, after a line in the log, when there can be none. */
struct io_resolver *host_resolver(struct host *h);
/* A block, not zeroed; NULL after setting the trap. Given back it is used again. */
struct host_block *host_block_take(struct host *h);
void host_block_give(struct host *h, struct host_block *block);
/* Room for the bytes that a call reads and returns, not zeroed: until the next call that asks for it. NULL after
 * setting the trap. */
uint8_t *host_buffer(struct host *h, size_t size);
/* A copy of its own memory, to be given back by host_text_give; ptr NULL after setting the trap. */
struct str host_text_take(struct host *h, struct str text);
void host_text_give(struct host *h, struct str text);

/* --- text.c: standard output and error --- */
void host_text_write(struct host *h, enum host_stream stream, struct str text);
void host_text_end(struct host *h);

/* --- standard.c: the standard streams of a command --- */
/* The loop watches none any more. */
void host_standard_end(struct host *h);

/* --- http_response.c --- */
/* Send what there is of the body; false when the connection or the response is broken. */
bool response_push(struct host *h);
bool response_complete(const struct host *h);
enum host_outcome response_end(struct host *h);

/* --- streams and pollables (io.c) --- */
struct wasi_io_error {
    struct host_node node;
    struct str message;
    int system; /* errno, or 0: the system had nothing to do with it */
    bool has_code;
    struct wasi_http_types_error_code code;
};

/* What the system says, as an error of a stream; NULL after setting the trap. `code`: a negated errno. */
struct wasi_io_error *error_of_system(struct host *h, int code);

struct input_kind {
    /* Up to `size` bytes as a view that lasts until the next call; an empty view means nothing yet, a failed
     * read sets *ret_closed, and *ret_why when there is more to say. False: trap. */
    bool (*read)(struct host *h, struct wasi_io_input_stream *s, uint64_t size, struct str *ret_bytes, bool *ret_closed,
                 struct wasi_io_error **ret_why);
    /* A read will not be empty. NULL: it never is, or blocks on its own. */
    bool (*ready)(struct host *h, struct wasi_io_input_stream *s);
    /* Optional. The handle is being dropped. */
    void (*drop)(struct host *h, struct wasi_io_input_stream *s);
};

struct wasi_io_input_stream {
    struct host_node node;
    const struct input_kind *kind;
    void *source;    /* the kind's */
    uint64_t offset; /* in a file */
    bool closed;     /* a read failed */
};
extern const struct input_kind input_nothing;  /* at its end from the beginning */
extern const struct input_kind input_standard; /* of a command */
extern const struct input_kind input_request;  /* the request's body */

struct output_kind {
    /* How much may be written now; 0: wait. */
    size_t (*room)(struct host *h, struct wasi_io_output_stream *s);
    /* Take all of it, or fill *ret_why (NULL: closed) and return false. The trap may be set instead. */
    bool (*write)(struct host *h, struct wasi_io_output_stream *s, struct str bytes, struct wasi_io_error **ret_why);
    /* Optional. The handle is being dropped: may wait for what was written to go out. */
    void (*drop)(struct host *h, struct wasi_io_output_stream *s);
    /* A write may wait in the kernel and what it took is out: blocking writes ask for no room, and nothing is flushed.
     */
    bool direct;
};

struct wasi_io_output_stream {
    struct host_node node;
    const struct output_kind *kind;
    uint64_t permit; /* what check-write allowed and write has not used */
    bool closed;
    enum host_stream text;
    struct wasi_http_outgoing_body *body;
    void *target; /* the kind's */
    uint64_t offset; /* in a file */
};

extern const struct output_kind output_standard; /* of a command; `text` says which */
extern const struct output_kind output_text; /* of a function: to the log */

/* Ready when `ready` says so, and never later than `deadline_ns`. */
struct wasi_io_pollable {
    struct host_node node;
    bool (*ready)(struct host *h, const struct wasi_io_pollable *p);
    void *object;
    uint64_t deadline_ns;
};
struct wasi_io_pollable *pollable_new(struct host *h, struct host_node *parent,
                                      bool (*ready)(struct host *h, const struct wasi_io_pollable *p), void *object,
                                      uint64_t deadline_ns);
bool pollable_always(struct host *h, const struct wasi_io_pollable *p);
bool pollable_never(struct host *h, const struct wasi_io_pollable *p);

/* --- wasi:http/types ---
 * Fields, or a view of others, whose items it shares: those stay until the last that shows them is gone. What is viewed
 * never changes. */
struct wasi_http_fields {
    struct host_node node;
    bool immutable;
    bool of_message; /* items point into the exchange: none are left when it is gone */
    uint16_t count, capacity;
    uint32_t users; /* itself and its views */
    uint32_t bytes;
    struct http_field *items;
    struct wasi_http_fields *of; /* of a view: what it shows */
    struct wasi_http_fields *next, **link; /* of_message: in the host's list */
};
/* An immutable view of a message's fields without those that guests may not see or set. */
struct wasi_http_fields *fields_of_message(struct host *h, const struct http_field *from, uint32_t count,
                                           struct host_node *parent);
/* Likewise of the request, with what is added to its fields. */
struct wasi_http_fields *fields_of_request(struct host *h, const struct http_added *added, struct host_node *parent);
/* The same, copied: fields that outlive what they come from. */
struct wasi_http_fields *fields_copied(struct host *h, const struct http_field *from, uint32_t count,
                                       struct host_node *parent);
struct wasi_http_fields *fields_view(struct host *h, struct wasi_http_fields *of, struct host_node *parent);
/* One more, fit for a field. False: trap. */
bool fields_append(struct host *h, struct wasi_http_fields *fields, struct str name, struct str value);
/* Who holds fields that have no handle lets go of them. */
void fields_leave(struct host *h, struct wasi_http_fields *fields);
/* The exchange is gone. */
void fields_lose_exchange(struct host *h);

struct wasi_http_incoming_request {
    struct host_node node;
    bool consumed;
};

/* A request whose exchange is over, of which nothing is coming any more; in the arena, with all its texts. */
struct host_kept {
    struct http_request request;
    struct http_added added;
};

/* Set the trap of who asks for what went with its client; false. */
bool request_lost(struct host *h);
/* Before the exchange ends: copy what the guest may still ask of the request, which is that of the host from now on.
 * False: there is no memory, the guest has too many fields of it, or it may not leave; nothing has changed. */
bool request_part(struct host *h);
/* The first `size` bytes of the body that are here are done with. */
void request_take(struct host *h, size_t size);

struct wasi_http_response_outparam {
    struct host_node node;
};

/* An outgoing request on its way. What shows the guest its response (future, response, body, trailers) and what writes
 * its body hold it; without the former the call ends. */
struct outgoing_call {
    struct host_node node;
    struct host_closer closer;
    struct host *host;
    struct outbound_call *call; /* NULL: ended */
    uint32_t readers, writers;
    bool secure;
    struct str authority, name; /* memory of its own; the host in it */
    struct wasi_http_outgoing_body *body; /* that a handle still writes */
    char *bytes; /* of the body before the call began: they count as long as the client may hold a copy */
    size_t capacity;
};

/* --- http_outgoing.c --- */
/* One reader or writer less. With the writer, whose handle is gone, goes the body. */
void outgoing_leave(struct outgoing_call *call, bool reader);
struct wasi_http_incoming_body {
    struct host_node node;
    bool streamed;
    struct outgoing_call *call; /* of a response; NULL: of the request */
};

struct wasi_http_future_trailers {
    struct host_node node;
    bool taken;
    struct outgoing_call *call; /* of a response; NULL: of the request */
};

/* Responses and bodies outlive their handles: they are kept until the activity ends. */
struct wasi_http_outgoing_response {
    struct host_node node;
    unsigned status;
    struct wasi_http_fields *fields;
    struct wasi_http_outgoing_body *body; /* NULL until asked for */
};

enum body_state { BODY_OPEN, BODY_FINISHED, BODY_CORRUPT };

/* An outgoing request, until it is handed over. */
struct wasi_http_outgoing_request {
    struct host_node node;
    struct wasi_http_types_method method;
    struct option_str path, authority; /* these texts, and `other` of the method and the scheme: memory of its own */
    struct option_wasi_http_types_scheme scheme;
    struct wasi_http_fields *fields;
    struct wasi_http_outgoing_body *body; /* NULL until asked for */
};

struct wasi_http_outgoing_body {
    struct host_node node;
    enum body_state state;
    bool streamed, sized, flushed;
    uint64_t length; /* that content-length promises, if `sized` */
    uint64_t written; /* in all */
    char *bytes; /* not sent yet */
    size_t size, capacity;
    struct wasi_http_fields *trailers;
    bool of_request;
    struct outgoing_call *call; /* of a request on its way */
};
extern const struct output_kind output_body;
/* The number in the content-length field; false when there is none. */
bool fields_length(const struct wasi_http_fields *fields, uint64_t *ret_length);

#endif
