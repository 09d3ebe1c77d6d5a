/* See match.h. */
#include "runtime/match.h"

#include <string.h>

static uint64_t hash_of(const struct image *image, uint32_t row)
{
    return image_types(image)[row].hash;
}

/* The abstract type right above a defined one. */
static wasm_heaptype abstract_of(const struct image *image, wasm_heaptype heap)
{
    if (!wasm_heap_is_index(heap))
        return heap;
    switch (image_types(image)[heap].kind) {
    case WASM_COMP_FUNC: return HEAP_FUNC;
    case WASM_COMP_STRUCT: return HEAP_STRUCT;
    default: return HEAP_ARRAY;
    }
}

static bool abstract_below(wasm_heaptype sub, wasm_heaptype super)
{
    return wasm_subtype(NULL, WASM_REF | sub, WASM_REF | super);
}

static bool heap_below(const struct image *sub_image, wasm_heaptype sub, const struct image *super_image,
                       wasm_heaptype super)
{
    if (!wasm_heap_is_index(super))
        return abstract_below(abstract_of(sub_image, sub), super);
    if (wasm_heap_is_index(sub))
        return image_subtype(sub_image, hash_of(sub_image, sub), hash_of(super_image, super));
    wasm_heaptype bottom = image_types(super_image)[super].kind == WASM_COMP_FUNC ? HEAP_NOFUNC : HEAP_NONE;
    return sub == bottom;
}

static bool value_below(const struct image *sub_image, wasm_valtype sub, const struct image *super_image,
                        wasm_valtype super)
{
    if (!wasm_is_ref(sub) || !wasm_is_ref(super))
        return sub == super;
    if ((sub & WASM_NULLABLE) && !(super & WASM_NULLABLE))
        return false;
    return heap_below(sub_image, wasm_heap(sub), super_image, wasm_heap(super));
}

static bool value_same(const struct image *a_image, wasm_valtype a, const struct image *b_image, wasm_valtype b)
{
    return value_below(a_image, a, b_image, b) && value_below(b_image, b, a_image, a);
}

static bool limits_match(const struct image_extern *have, uint64_t size, const struct image_extern *want)
{
    const uint32_t same = EXTERN_64 | EXTERN_SHARED;
    if ((have->flags & same) != (want->flags & same) || have->page_log2 != want->page_log2 || size < want->min)
        return false;
    return !(want->flags & EXTERN_HAS_MAX) || ((have->flags & EXTERN_HAS_MAX) && have->max <= want->max);
}

static bool global_matches(const struct image *have_image, const struct image_extern *have,
                           const struct image *want_image, const struct image_extern *want)
{
    if (have->flags != want->flags)
        return false;
    return have->flags & EXTERN_MUTABLE ? value_same(have_image, have->type, want_image, want->type)
                                        : value_below(have_image, have->type, want_image, want->type);
}

bool match_extern(const struct image *have_image, const struct image_extern *have, uint64_t size,
                  const struct image *want_image, const struct image_extern *want)
{
    if (have->kind != want->kind)
        return false;
    switch ((enum wasm_extern_kind)have->kind) {
    case WASM_FUNC: return image_subtype(have_image, hash_of(have_image, have->type), hash_of(want_image, want->type));
    case WASM_TABLE:
        return limits_match(have, size, want) && value_same(have_image, have->type, want_image, want->type);
    case WASM_MEMORY: return limits_match(have, size, want);
    case WASM_GLOBAL: return global_matches(have_image, have, want_image, want);
    case WASM_TAG: return hash_of(have_image, have->type) == hash_of(want_image, want->type);
    }
    return false;
}

/* Encodings name types of other groups by hash; those are rows of both images too and are compared in their turn. */
static bool same_type(const struct image *a_image, const struct image_type *a, const struct image *b_image,
                      const struct image_type *b)
{
    return a->member == b->member && a->encoding_size == b->encoding_size &&
           memcmp(image_bytes(a_image) + a->encoding_first, image_bytes(b_image) + b->encoding_first,
                  a->encoding_size) == 0;
}

bool match_types(const struct image *a, const struct image *b)
{
    for (uint64_t i = 0; i < image_types_count(a); i++) {
        const struct image_type *type = &image_types(a)[i];
        uint32_t other = image_find_type(b, type->hash);
        if (other != WASM_NO_INDEX && !same_type(a, type, b, &image_types(b)[other]))
            return false;
    }
    return true;
}
