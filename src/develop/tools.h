/* The programs that build commands call: which are missing, and how they are had (tools.def). */
#ifndef MAYFLY_DEVELOP_TOOLS_H
#define MAYFLY_DEVELOP_TOOLS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The next program that a shell command calls: the first word of each simple command, without assignments before it.
 * What is the shell's own, quoted or made of variables is passed over. False: no more. */
bool tools_next(struct str *rest, struct str *ret_program);
/* Whether it is there: in PATH, or, with a slash in its name, from `folder`. */
bool tools_there(struct str program, const char *folder);
/* What to do about it, one line. */
const char *tools_remedy(struct str program);

/* The target of WebAssembly that a command of Cargo builds for, or an empty text. */
struct str tools_rust_target(struct str command);
/* Whether the Rust that `folder` uses has it; true also where there is none to be asked. */
bool tools_has_rust_target(struct str target, const char *folder);

/* Why `command` may have failed, as "remedy" of `err`: a program or a target that is missing. False: nothing is known.
 */
bool tools_explain(struct str command, const char *folder, struct err *err);

#endif
