/* Messages between the supervisor and its processes, over a socket that keeps them apart; a message may carry a
 * descriptor. Both ends are this program, but a worker runs guests: what the supervisor gets from one is checked. */
#ifndef MAYFLY_NODE_CHANNEL_H
#define MAYFLY_NODE_CHANNEL_H

#include "io/packet.h"

enum message_kind {
    MESSAGE_READY,  /* to who began it: this process does its work */
    MESSAGE_FAILED, /* to the supervisor: what it was asked for cannot be done; `err` says why */
    MESSAGE_IMAGE,  /* both ways, with a descriptor: of an image, built or to be served */
    MESSAGE_RELOADED, /* to the supervisor: the images of a reload are all sent */
    MESSAGE_CERTIFICATE, /* both ways, with a descriptor: what connections are to be shown (node/certificate.h) */
    MESSAGE_CHANGED, /* of a supervisor: another node is to follow (node/succession.h) */
    MESSAGE_RETIRE, /* to a supervisor and its workers: accept no more, and end when all is answered */
    MESSAGE_SECURED, /* to the supervisor: a worker's answer to that; a kind of `err` says that it could not */
};

struct message {
    enum message_kind kind;
    uint32_t function; /* of MESSAGE_IMAGE: whose it is, by its index */
    uint32_t number; /* of MESSAGE_IMAGE: its name in samples (runtime/sample.h), or 0; of MESSAGE_CERTIFICATE: the
                        bytes of the certificate, behind which the key is */
    uint64_t generation; /* of MESSAGE_IMAGE to a worker: as metrics count it */
    struct err err;  /* of MESSAGE_FAILED and MESSAGE_SECURED */
};

/* The two ends, close-on-exec and non-blocking. */
bool channel_open(int ret_ends[2], struct err *err);
/* `fd`: sent along, or -1; it stays the caller's. False: the other end is gone, or takes no more. */
bool channel_send(int end, const struct message *message, int fd);
/* The same, but waits until there is room. False: the other end is gone. */
bool channel_send_all(int end, const struct message *message, int fd);

/* The next message, and its descriptor or -1, which is the caller's from here on. What is no message of ours counts as
 * the end. */
enum packet_got channel_receive(int end, struct message *ret_message, int *ret_fd);

#endif
