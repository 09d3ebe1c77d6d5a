/* Reads JSON (RFC 8259) of strangers: one walk over the text, which calls for each value; nothing is allocated.
 *
 * Where a value stands is said by its path: member names with dots between them, [] for an element of an array
 * ("functions[].latency.count"), as src/cli/json.def writes it. At most JSON_READ_DEPTH levels. */
#ifndef MAYFLY_BASE_JSON_READ_H
#define MAYFLY_BASE_JSON_READ_H

#include "base/str.h"

#define JSON_READ_DEPTH 16u
#define JSON_READ_PATH 256u /* bytes of a path; a longer one is an error */
#define JSON_READ_TEXT 256u /* bytes of a string that are handed over; the rest is left out */

enum json_read_kind { JSON_READ_NULL, JSON_READ_BOOL, JSON_READ_NUMBER, JSON_READ_STRING, JSON_READ_ELEMENT };

struct json_read_value {
    struct str path;
    enum json_read_kind kind; /* ELEMENT: of an array, whatever it is; its value follows */
    bool truth;
    uint64_t number; /* 0 when it is negative, a fraction, has an exponent or is too large */
    struct str text; /* of a string, without escapes, as UTF-8 if the text was that */
};

/* False: `text` is no JSON text; `found` may have been called for what stands before the mistake. */
bool json_read(struct str text, void (*found)(void *arg, const struct json_read_value *value), void *arg);
/* The same with room of the caller's for strings: as much as `text` is long holds any of them whole. */
bool json_read_whole(struct str text, char *room, size_t size,
                     void (*found)(void *arg, const struct json_read_value *value), void *arg);

#endif
