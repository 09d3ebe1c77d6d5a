/* Parking: an instance that waits is put aside, as small as what it changed, and its slot serves others meanwhile.
 *
 * Generated code keeps absolute addresses in registers and on its stack, so an instance goes on in its own slot and on
 * that slot's own stack only. Whoever is there then must make room, which is possible for all that slot_can_park says.
 *
 * What is put aside: of every page that is not as in a fresh instance, the lines of 64 bytes that differ; what
 * memory.grow added; the used part of the stack; and what the runtime keeps of the instance (heap, exceptions,
 * account).
 */
#ifndef MAYFLY_RUNTIME_PARK_H
#define MAYFLY_RUNTIME_PARK_H

#include "runtime/task.h"

struct parked;

/* Bytes of grown memory beyond which putting an instance aside takes longer than it is worth, unless it must be. */
#define PARK_GROWN_CHEAP ((uint64_t)256 << 10)

/* Can the instance in the slot be put aside? It has one task, on the slot's own stack, which does not run; its written
 * pages are all known, and nothing of the runtime is in the middle of a work on it. */
bool slot_can_park(const struct slot *slot);
/* Bytes that it added to its memories and heap. */
uint64_t slot_grown_bytes(const struct slot *slot);

/* Put the instance aside; the slot is free then. NULL: out of memory, and nothing has changed. */
struct parked *slot_park(struct slot *slot);
/* Back into its slot, which must be free. False: it is not, or the kernel refuses; the instance stays where it is. */
bool slot_unpark(struct parked *parked);
/* It will not go on. What the host has of it is the caller's to end. */
void parked_drop(struct parked *parked);

size_t parked_bytes(const struct parked *parked);

#endif
