/* Files named .env: NAME=VALUE, a line each, as shells and their like have them.
 *
 *     # a comment
 *     export NAME=value           export has no meaning
 *     NAME = "two words\n"        \n, \r, \t, \", \\, \$ and \' stand for themselves; may go over lines
 *     NAME='as it is'             likewise over lines
 *     NAME=a${OTHER}$B            the value of that name in the environment, else further up, else nothing; without
 *                                 braces a name is letters and digits
 */
#ifndef MAYFLY_DEPLOY_DOTENV_H
#define MAYFLY_DEPLOY_DOTENV_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define DOTENV_ENTRIES_MAX 4096u

struct dotenv_entry {
    struct str name, value;
};

struct dotenv {
    struct dotenv_entry *items; /* of the arena, and their texts */
    uint32_t count;
};

/* ERR_MALFORMED as "line N: ...", without a value in it; ERR_LIMIT. A $ without a name is an error in entries whose
 * names begin so; in the others, which nobody here reads, it is left out, as other readers do. */
bool dotenv_read(struct dotenv *ret, struct str text, struct str prefix, struct arena *arena, struct err *err);
/* The last one of that name, or NULL. */
const struct str *dotenv_find(const struct dotenv *dotenv, struct str name);

#endif
