/* Which proposals a module needs: features.def lists them. Sets are bits by enum wasm_feature. */
#ifndef MAYFLY_WASM_FEATURE_H
#define MAYFLY_WASM_FEATURE_H

#include "wasm/body.h"

enum wasm_feature {
#define FEATURE(name, text) FEATURE_##name,
#include "wasm/features.def"
#undef FEATURE
    FEATURE_COUNT
};

extern const char *const wasm_feature_names[FEATURE_COUNT];

/* Where the instruction came from. */
enum wasm_feature wasm_op_feature(enum wasm_opcode code);

/* The features that a loaded module uses, by its sections, instructions and types. Validates its function bodies on
 * the way; errors carry the offset. */
bool wasm_features(const struct wasm_module *module, uint32_t *ret_set, struct err *err);

#endif
