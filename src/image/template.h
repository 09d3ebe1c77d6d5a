/* The initial contents of a slot, as sparse pages: globals, tables, memory sizes and data.
 *
 * Everything that instantiation does before start functions run is done here once, at compile time
 * (core specification, section 4.7.2 "Instantiation"): constant expressions are evaluated, active
 * segments copied, but for what is late (late.h). What would trap there is reported in `trap`; nothing after
 * it is applied.
 */
#ifndef MAYFLY_IMAGE_TEMPLATE_H
#define MAYFLY_IMAGE_TEMPLATE_H

#include "image/plan.h"

#define TEMPLATE_PAGE 4096u

struct template_chunk;

struct template
{
    struct template_chunk **chunks;
    uint64_t chunk_count, size; /* size: of the slot, bytes */
    uint64_t pages;             /* written so far */
    enum trap trap;
};

/* Where the code of function `func` of unit `unit` lies: offset from the image base. kind as code_func. */
struct template_code {
    uint64_t (*code_off)(void *arg, uint32_t unit, uint32_t func, uint32_t kind);
    void *arg;
};

bool template_build(struct template *template, const struct plan *plan, const struct geometry *geometry,
                    const struct template_code *code, struct err *err);
void template_free(struct template *template);

/* The page at `slot_off` (a multiple of the page size), or NULL when it is all zero. */
const uint8_t *template_page(const struct template *template, uint64_t slot_off);
/* The first page with contents at or after `slot_off`, or UINT64_MAX. */
uint64_t template_next(const struct template *template, uint64_t slot_off);

/* The reference to function `func` of `unit`, seen from outside; 0 for functions linked at run time. */
uint64_t template_funcref(const struct plan *plan, const struct template_code *code, uint32_t unit, uint32_t func);

/* The table entries of an element segment (module->elems[elem].count of them) whose items are not late. */
void template_entries(struct template *template, const struct plan *plan, const struct template_code *code,
                      uint32_t unit, uint32_t elem, struct table_entry *ret_entries);

#endif
