/* An outgoing HTTP exchange as both sides see it: the client that has the connection, or who answers without one, and
 * the host functions that a guest calls. Neither side knows more of the other than this page.
 *
 * A call begins with a request head and ends with outbound_face.drop. In between its owner writes the request's body
 * and takes the response's; both directions go on at the same time. Strings are views; the caller's need to last only
 * as long as the function they are given to, the call's until it is dropped. */
#ifndef MAYFLY_WASI_OUTBOUND_H
#define MAYFLY_WASI_OUTBOUND_H

#include "io/resolve.h"
#include "wasi/gen/wasi_http.h"
#include "wasi/message.h"

enum outbound_state {
    OUTBOUND_WAITING,  /* no response yet */
    OUTBOUND_ANSWERED, /* its head is here */
    OUTBOUND_DONE,     /* its body and trailers are too */
    OUTBOUND_FAILED,   /* see `error`; bytes that came before it can still be taken */
};

struct outbound_face;

/* The part of a call that its owner reads. */
struct outbound_call {
    const struct outbound_face *face; /* for all but `begin` */
    enum outbound_state state;
    unsigned status;
    const struct http_field *fields, *trailers;
    uint32_t field_count, trailer_count;
    struct str body; /* received and not taken */
    struct wasi_http_types_error_code error;
    /* Something above changed, or there is room to write: from the loop only, never from inside a function of the
     * face. The call may be dropped in it. */
    void (*changed)(struct outbound_call *call);
    void *owner;
};

enum outbound_body { OUTBOUND_NO_BODY, OUTBOUND_LENGTH, OUTBOUND_CHUNKED };

/* Whom it is for: a server, whoever of this application answers the path, or a component of it. */
enum outbound_to { OUTBOUND_TO_PEER, OUTBOUND_TO_SELF, OUTBOUND_TO_COMPONENT };

struct outbound_request {
    enum outbound_to to;
    struct str component; /* its id, of OUTBOUND_TO_COMPONENT */
    uint32_t function;    /* its number, once it is known */
    void *user;           /* host_user of who asks */
    struct str method, target, authority;
    bool secure;
    struct str host; /* of the authority, without brackets */
    uint16_t port;
    const struct http_field *fields;
    size_t field_count;
    enum outbound_body body;
    uint64_t length;
    const void *tenant; /* connections are kept and used again for calls of the same one only */
    bool refused; /* fail at once, with `refusal` */
    enum wasi_http_types_error_code_tag refusal;
    uint64_t connect_us, first_byte_us, between_us; /* 0: the client's own */
    struct io_resolver *resolver; /* NULL: the host is numeric */
    /* Whether this address, to which the host led, may be used. */
    bool (*permits)(void *owner, const struct ip_endpoint *to);
    void (*changed)(struct outbound_call *call);
    void *owner;
};

struct outbound_face {
    /* NULL: no memory. A call that cannot even begin has failed already. The call may be another face's. */
    struct outbound_call *(*begin)(void *client, const struct outbound_request *request);
    /* How many bytes `write` takes now without piling them up; 0 on a connection that is not there yet, SIZE_MAX when
     * a write would say that it is closed. */
    size_t (*room)(struct outbound_call *call);
    /* False: the peer takes no more. */
    bool (*write)(struct outbound_call *call, struct str bytes);
    /* The request's body ends here. */
    void (*finish)(struct outbound_call *call, const struct http_field *trailers, size_t count);
    /* The request's body will never be whole: the call fails. */
    void (*corrupt)(struct outbound_call *call);
    /* The first `size` bytes of call->body are taken. */
    void (*take)(struct outbound_call *call, size_t size);
    /* Ends the call in any state. */
    void (*drop)(struct outbound_call *call);
};

#endif
