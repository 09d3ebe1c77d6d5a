/* Writes JSON (RFC 8259) into a buffer, two blanks per level.
 *
 *     struct json json = {.out = &buf};
 *     json_object(&json, NULL);
 *     json_string(&json, "name", name);
 *     json_end(&json);
 *
 * `key` is NULL in arrays and for the outermost value. Strings of guests are safe: what is not well-formed UTF-8
 * becomes U+FFFD. Errors stay in buf->failed. At most JSON_DEPTH levels.
 */
#ifndef MAYFLY_BASE_JSON_H
#define MAYFLY_BASE_JSON_H

#include "base/buf.h"
#include "base/str.h"

#define JSON_DEPTH 16u

struct json {
    struct buf *out;
    uint32_t depth;
    char closing[JSON_DEPTH];
    bool filled[JSON_DEPTH]; /* has members already */
};

void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
/* Ends the innermost object or array. */
void json_end(struct json *json);
void json_string(struct json *json, const char *key, struct str value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
