/* Component binary -> plan: everything a component instantiates, flattened (image/plan.h).
 *
 * Nested components are instantiated in place, aliases are followed, and each core import ends at
 * another core instance's export or at one row of what the host is asked for; a function of another component instance
 * is an export of an adapter (fuse.h). Correct components that need what is not built yet (imported modules, threads
 * that run in parallel) are ERR_UNSUPPORTED, with a message that names the item.
 */
#ifndef MAYFLY_COMPONENT_PLAN_H
#define MAYFLY_COMPONENT_PLAN_H

#include "base/arena.h"
#include "image/plan.h"

/* Decode and validate, function bodies included. The arena is for scratch and what is decoded. */
bool component_validate(const uint8_t *bytes, size_t size, struct arena *arena, struct err *err);

/* `bytes` must outlive the plan, which lives in the arena with everything it points to. */
bool component_plan(const uint8_t *bytes, size_t size, struct arena *arena, struct plan **ret_plan, struct err *err);

#endif
