/* A first look at every function before code is made: it is valid, what it refers to, and the key under which its
 * compiled piece is kept from one compile to the next (pack.h).
 *
 * A key covers everything that the code of the function depends on: the engine, the generator and its level, the body,
 * and of whatever the body names (functions, types, globals, tables, memories, tags) all that a generator may read. A
 * generator that reads more of a unit than `survey.c` hashes must add it there, or stale code would be used. Functions
 * are named by what they are and by the order in which the body names them first, not by number: a function stays what
 * it is when others come or go before it. Lengths stay part of the key, and so do offsets within the body.
 */
#ifndef MAYFLY_CODEGEN_SURVEY_H
#define MAYFLY_CODEGEN_SURVEY_H

#include "codegen/piece.h"

#define SURVEY_KEY_BYTES 32u

struct survey_func {
    uint32_t unit, func;
    bool tail_calls;               /* it makes some */
    bool catches;                  /* exceptions */
    bool dispatches;               /* by a br_table with many targets */
    uint32_t targets;              /* of all its br_tables */
    uint32_t longest;              /* instructions one after the other between two that branch or are branched to */
    struct piece_symbol *symbols;  /* functions that its code may refer to, in order of first mention; owned */
    uint32_t symbol_count;
    uint8_t key[SURVEY_KEY_BYTES];
};

struct survey {
    struct survey_func *funcs; /* every defined function, by unit and number */
    uint32_t func_count;
    /* Per unit and table: does it hold only functions of this unit, or null, for ever? Nobody else can reach it,
     * nothing writes it after instantiation, and what instantiation writes are functions of this unit. A call through
     * such a table needs no context but the caller's own. */
    bool **closed_tables;
    bool **known_tables; /* those of them whose every entry is known (targets.h) */
    /* Per unit: its functions return with the context that they were called with in the context's register. That is so
     * unless there are tail calls: then a function of another instance may be the one that returns. */
    bool *keeps_context;
    uint32_t unit_count;
};

/* `engine`: what keys cover besides; SURVEY_KEY_BYTES. Uses up to `threads` threads. The error is that of the first
 * function that has one. Freed with survey_free, also after a failure. */
bool survey_make(const struct unit *units, uint32_t count, const uint8_t *engine, unsigned threads,
                 struct survey *ret_survey, struct err *err);
void survey_free(struct survey *survey);

#endif
