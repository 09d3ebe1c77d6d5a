/* A core module that says what it is as a component.
 *
 * Bindings generators leave the world that they were made for in custom sections `component-type...`, one for each time
 * that they ran, and tools make a component of the module by it. So does this, without making the file: what the module
 * imports by the names of the world's interfaces are functions of the host, lowered; what it exports by such names are
 * lifted functions. The rest of its imports (WASI 0.1) are left to linking. As such tools do, `cabi_realloc` allocates,
 * `cabi_post_NAME` follows NAME, and `_initialize` is called at the start.
 *
 * What is asynchronous, and resources that the module itself defines, are refused by name.
 */
#ifndef MAYFLY_COMPONENT_EMBED_H
#define MAYFLY_COMPONENT_EMBED_H

#include "base/arena.h"
#include "image/plan.h"

/* Does the module have such a section, and is it more than a command of WASI 0.1? */
bool component_is_embedded(const struct wasm_module *module);

/* The plan of such a module, as component_plan. Its start function becomes `_initialize`, where it has that. */
bool component_plan_embedded(struct wasm_module *module, struct arena *arena, struct plan **ret_plan, struct err *err);

#endif
