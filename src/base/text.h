/* Text of strangers for a terminal: names in modules, file names, messages that quote them.
 *
 * What could move the cursor, hide, or reorder what stands beside it is written as an escape: control characters and
 * bytes that are not UTF-8 as \xNN, format characters (bidirectional marks, zero-width ones, tags) as \u{HEX}.
 */
#ifndef MAYFLY_BASE_TEXT_H
#define MAYFLY_BASE_TEXT_H

#include "base/buf.h"
#include "base/str.h"

/* Room for one character as it is shown, terminator included. */
#define TEXT_SHOWN 16u
/* Bytes of a name that are shown to people; the rest is said to be there. */
#define TEXT_NAME_MAX 240u

/* The character at `at` (< text.len) as it is shown. Returns how many bytes of `text` it takes. Allocates nothing. */
size_t text_next(struct str text, size_t at, char ret_shown[TEXT_SHOWN]);

/* All of `text` as it is shown. */
bool text_show(struct buf *out, struct str text);
/* At most `max` bytes of it, and then how many there are. */
bool text_show_some(struct buf *out, struct str text, size_t max);
/* "text" in quotes, which also escapes quotes and backslashes; behind TEXT_NAME_MAX bytes, how many there are. */
bool text_quote(struct buf *out, struct str text);

#endif
