/* Values of WebAssembly as text, so that what is printed can be passed again.
 *
 *     i32, i64    decimal or 0x..., signed or not; printed signed
 *     f32, f64    decimal or hexadecimal, inf, nan, nan:0x... (the fraction's bits); printed with as few digits as say
 * it v128        0x and up to 32 hexadecimal digits: one number of 128 bits, lane 0 lowest references  null; of others
 * only the kind is printed
 */
#ifndef MAYFLY_CLI_VALUE_H
#define MAYFLY_CLI_VALUE_H

#include "base/buf.h"
#include "image/format.h"

#define VALUE_TYPE_BYTES 24u

/* Types are the codes of a signature (image/format.h). */
bool value_parse(uint8_t code, const char *text, union cell *ret_value);
void value_write(struct buf *out, uint8_t code, const union cell *value);

/* "i32", "funcref", "(ref func)". */
void value_type_name(uint8_t code, char text[VALUE_TYPE_BYTES]);
/* "(i32, externref) -> (f64)", cut where it would be longer than `size`, which is 16 or more. */
void value_signature(const uint8_t *codes, uint32_t params, uint32_t results, char *text, size_t size);

#endif
