/* Small messages between the supervisor, the service process, its engines and workers: each whole, over a socket that
 * keeps them apart, maybe with a descriptor. What a worker sends is checked by whoever gets it. */
#ifndef MAYFLY_SERVICES_PARCEL_H
#define MAYFLY_SERVICES_PARCEL_H

#include "io/packet.h"
#include "wasi/storage.h"

#define PARCEL_LABEL_MAX 128u
#define PARCEL_TEXT_MAX 1024u

enum parcel_what {
    PARCEL_GRANT, /* supervisor to service: binding `number` may open what `kind` and `label` name; its folder is `text`
                   */
    PARCEL_CONNECT, /* supervisor to service, with a descriptor: a worker of binding `number` has the other end */
    PARCEL_OPEN, /* worker to service: `kind`, `label`; `number` is the worker's own */
    PARCEL_OPENED, /* the answer: `number`, `status`; a descriptor of the engine when it is STORAGE_DONE */
    PARCEL_CHANNEL, /* service to engine, with a descriptor: somebody who may use what the engine has */
};

struct parcel {
    uint32_t what, kind;
    uint64_t number;
    uint32_t status;
    char label[PARCEL_LABEL_MAX + 1], text[PARCEL_TEXT_MAX + 1];
};

/* Ends of a pair of SOCK_SEQPACKET (packet_pair). */
/* `fd`: sent along, or -1; it stays the caller's. False: the other end is gone, or takes no more. */
bool parcel_send(int end, const struct parcel *parcel, int fd);

/* The next parcel, texts ended and labels of a sound length, and its descriptor or -1, which is the caller's from here
 * on. What is no parcel counts as the end. */
enum packet_got parcel_receive(int end, struct parcel *ret_parcel, int *ret_fd);

/* Copies, cut to the room that there is. */
void parcel_label(struct parcel *parcel, struct str label);
void parcel_text(struct parcel *parcel, const char *text);

#endif
