/* Values of component-level types as text, so that what is printed can be passed again (the notation of the WebAssembly
 * Value Encoding, WAVE):
 *
 *     true, -7, 2.5, nan, inf, 'x', "text", [1, 2], (1, "a"), {name: 1}, case(1), case, some(1), none, ok(1), err,
 *     {flag-a, flag-b}
 *
 * In quotes: \\ \' \" \n \r \t \u{1f600}. A field whose type is an option may be left out of a record. Maps are lists
 * of pairs.
 */
#ifndef MAYFLY_COMPONENT_DATUM_TEXT_H
#define MAYFLY_COMPONENT_DATUM_TEXT_H

#include "component/datum.h"

/* The value, in the arena. ERR_USAGE says where the text goes wrong. */
bool datum_parse(struct str text, const struct type *type, struct arena *arena, struct datum *ret, struct err *err);
void datum_write(struct buf *out, const struct type *type, const struct datum *datum);

#endif
