/* Linking at run time: instances of independently compiled modules in one store (core specification, section 4.7.2).
 *
 * Images compiled with open imports are joinable. Their instances stand side by side in the reservation of the
 * store's first slot (slot_open), live as long as it, and are never restored: this is for commands and tests, not for
 * what answers requests, where all modules of a component become one image.
 *
 * Types are the same in two images when their hashes are; before an image joins a store, the encodings behind
 * hashes that it shares with others are compared, so that a forged collision is refused.
 */
#ifndef MAYFLY_RUNTIME_LINK_H
#define MAYFLY_RUNTIME_LINK_H

#include "runtime/slot.h"
#include "runtime/trap.h"

/* An export, found: a row of the offers of the instance that owns it. */
struct link_extern {
    struct slot *slot;
    const struct image_extern *row; /* never one that repeats an import */
};

/* What satisfies an import: an export of an instance in the same store. False: there is none. */
typedef bool link_resolver(void *arg, struct str module, struct str name, struct link_extern *ret_extern);

/* Instantiate `program`, which is joinable: match all imports, join the store of `first` (NULL: begin a store with this
 * instance), run what the template does not hold, in the order of the specification, and the start function.
 *
 * `host` is what host functions find in the store meanwhile; *ret_slot is there for them already. `ret_report` (may be
 * NULL) is filled where the start function or another part of the start traps. Called outside of tasks. ERR_LINK
 * (unknown import, incompatible import type), ERR_LIMIT and others: nothing in the store has changed. ERR_TRAP: what
 * was written before the trap stays, and functions that were put into tables of other instances work; the instance
 * itself cannot be reached. The program must outlive the store. */
bool instance_link(struct slot *first, struct program *program, link_resolver *resolve, void *arg, void *host,
                   struct slot **ret_slot, struct trap_report *ret_report, struct err *err);

/* The export `name` of an instance; false: it has none. */
bool instance_export(struct slot *slot, struct str name, struct link_extern *ret_extern);

/* The reference to an exported function, for guest_call with the store of `first`, and its type codes. */
uint64_t link_funcref(const struct link_extern *func, const struct slot *first);
const uint8_t *link_signature(const struct link_extern *func, uint32_t *ret_params, uint32_t *ret_results);

/* Where an exported global's cell, memory's first byte or table's first entry lies, or the address that is a tag. */
void *link_address(const struct link_extern *object);
/* Where a memory's size in bytes or a table's length in entries lies. */
const uint64_t *link_size(const struct link_extern *object);

#endif
