/* The error contract, kept by every room.
 *
 * A function that can fail returns bool (or a pointer, NULL on failure) and takes a caller-owned
 * `struct err *`. The struct is untouched on success and complete on failure: kind, location and
 * message are all set. Out-parameters are named `ret_*` and are unchanged on failure. Nothing
 * aborts on bad input or on lack of memory.
 */
#ifndef MAYFLY_BASE_ERR_H
#define MAYFLY_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_kind {
    ERR_NONE,
    ERR_MALFORMED,   /* bytes that do not decode */
    ERR_INVALID,     /* decodes, does not validate */
    ERR_UNSUPPORTED, /* correct, but something this build lacks; the message names it */
    ERR_LIMIT,       /* a cap was reached; the message names the cap and its value */
    ERR_MEMORY,      /* an allocation failed */
    ERR_SYSTEM,      /* a system call failed; the message holds the call and strerror */
    ERR_LINK,        /* an import is missing or of another type */
    ERR_TRAP,        /* the guest trapped */
    ERR_USAGE,       /* a command line that cannot be understood */
};

#define ERR_NO_OFFSET UINT64_MAX

struct err {
    enum err_kind kind;
    uint64_t offset;   /* byte offset in the input, or ERR_NO_OFFSET */
    char message[320]; /* what is wrong: no trailing newline or full stop */
    char remedy[256];  /* one line that says what to do about it; may be empty */
};

/* Fill `err` and return false, so that a caller can write `return err_set(...)`. `err` may be
 * NULL where a caller does not care why. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool err_at(struct err *err, enum err_kind kind, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* ERR_SYSTEM with ": strerror(errno)" appended to the message. */
bool err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ERR_MEMORY with a fixed message. */
bool err_memory(struct err *err);
/* Add the remedy line to an error that is already set; returns false. */
bool err_remedy(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Put where it happened in front of the message, with ": " between; all else stays. Returns false. */
bool err_within(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print "error: SUBJECT: offset 0x..: message" and the remedy, one line each, to stderr; what could drive a terminal is
 * escaped (base/text.h). */
void err_print(const struct err *err, const char *subject);

#endif
