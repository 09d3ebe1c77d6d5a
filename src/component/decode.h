/* Component binary -> struct component (Binary.md).
 *
 * Everything is checked: bytes, indices, types. What the specification gates behind a feature that this
 * build lacks (values, 64-bit memories in canonical options) is ERR_UNSUPPORTED. Errors carry the byte
 * offset. Function bodies of core modules are validated when code is generated, as everywhere.
 */
#ifndef MAYFLY_COMPONENT_DECODE_H
#define MAYFLY_COMPONENT_DECODE_H

#include "base/arena.h"
#include "component/component.h"

/* Whether the preamble is a component's (a core module's differs in the layer field). */
bool component_is(const uint8_t *bytes, size_t size);

/* Decode and validate. `bytes` must outlive the result, which lives in the arena. */
bool component_decode(const uint8_t *bytes, size_t size, struct arena *arena, struct component **ret_component,
                      struct err *err);

#endif
