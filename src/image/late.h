/* What instantiation does too late for the template: constant expressions whose value the compiler does not know,
 * because it depends on an import that is linked at run time or is an object of the guest's heap.
 *
 * Everything else is in the template. A generator makes one function per unit that does the rest, in the order of
 * the core specification, section 4.7.2: globals, tables, segments; it runs before the unit's start function. In a
 * joinable unit everything that holds a function reference is late.
 */
#ifndef MAYFLY_IMAGE_LATE_H
#define MAYFLY_IMAGE_LATE_H

#include "wasm/module.h"

/* By index in the unit's module; imported globals and tables are false. */
struct late {
    bool any;
    bool writes;   /* this unit or one before it writes to a table or memory late */
    bool start;    /* the start function, an import that is linked at run time, is called there */
    bool *globals; /* its initial value */
    bool *tables;  /* its initial entries */
    bool *items;   /* an element segment's entries, which then lie in the mutable part */
    bool *elems;   /* the copying of an active element segment */
    bool *datas;   /* the copying of an active data segment */
};

struct unit;
/* Fill in unit->late of `unit`; units before it are done. */
bool late_find(struct unit *units, struct unit *unit, struct arena *arena, struct err *err);

#endif
