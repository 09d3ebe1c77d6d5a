/* Imports and exports of a joinable unit in the words that linking compares: struct image_extern. */
#ifndef MAYFLY_IMAGE_EXTERN_H
#define MAYFLY_IMAGE_EXTERN_H

#include "image/format.h"

/* Index `index` of its kind, without names and place. *ret_import: which import of the module it is, or
 * WASM_NO_INDEX. */
struct image_extern extern_describe(const struct unit *unit, enum wasm_extern_kind kind, uint32_t index,
                                    uint32_t *ret_import);

/* Where the words of an open import lie, from the slot base. */
uint64_t extern_words(const struct unit *unit, enum wasm_extern_kind kind, uint32_t index);

#endif
