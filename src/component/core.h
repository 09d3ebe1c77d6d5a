/* Core modules and instances as components see them: exports by name, and import matching (core
 * specification, section 4.5.2 "external typing" and 3.3 "matching").
 */
#ifndef MAYFLY_COMPONENT_CORE_H
#define MAYFLY_COMPONENT_CORE_H

#include "component/check.h"

extern const char *const core_kind_words[]; /* by enum wasm_extern_kind */

/* A validated module as something to instantiate. Two imports of one name are refused: at component
 * level they would be one. */
bool core_module_make(struct checker *c, const struct wasm_module *module, const struct core_module **ret_module);
/* A module type: `module` imports `imports` things and then, as declarations, `names` of its exports. */
bool core_module_type(struct checker *c, const struct wasm_module *module, uint32_t imports,
                      const struct core_module **ret_module);

/* The instance of these exports (names must differ). */
bool core_instance_make(struct checker *c, const struct core_export *exports, uint32_t count,
                        const struct core_instance **ret_instance);
/* The instance of a module. */
bool core_instance_of(struct checker *c, const struct core_module *module, const struct core_instance **ret_instance);
const struct core_export *core_instance_find(const struct core_instance *instance, struct str name);

struct core_extern core_import_type(const struct wasm_module *module, uint32_t import);

/* The signature of a function. */
const struct wasm_functype *core_func_type(const struct core_extern *func);
/* Does the function have exactly this type, with no supertype in play? */
bool core_func_is(const struct core_extern *func, const struct wasm_functype *type);

/* May `sub` be supplied where `super` is imported? The error names neither. */
bool core_match(struct checker *c, const struct core_extern *sub, const struct core_extern *super);
bool core_match_modules(struct checker *c, const struct core_module *sub, const struct core_module *super);

#endif
