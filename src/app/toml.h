/* Text in TOML (1.0) to a tree, by toml++ in a library of its own (mayfly-toml.so), which is loaded at the first need.
 *
 * The text is of strangers: its size, depth, keys and count are bounded, and so is what the parser may take of memory.
 */
#ifndef MAYFLY_APP_TOML_H
#define MAYFLY_APP_TOML_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include "app/toml_tree.h"

#define TOML_SIZE_MAX ((size_t)1 << 20)
#define TOML_KEY_PARTS_MAX 32u /* a.b.c has three */

/* Load the library now; later the process may no longer be able to. ERR_UNSUPPORTED: it is not there. */
bool toml_prepare(struct err *err);

/* The tree lives in `arena`, and keeps nothing of the text. ERR_MALFORMED or ERR_LIMIT with the place in
 * `*ret_mistake` (line 0: none), and without it in the message. */
bool toml_read(struct arena *arena, struct str text, struct toml_node *ret_root, struct toml_mistake *ret_mistake,
               struct err *err);

/* The member of a table, or NULL. */
const struct toml_node *toml_member(const struct toml_node *table, struct str key);
/* "a string", "an integer", ... */
const char *toml_kind_name(enum toml_kind kind);

#endif
