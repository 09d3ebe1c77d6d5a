/* The compiler child's jail: what a hostile module that takes over the compiler still cannot do. */
#ifndef MAYFLY_COMPILE_JAIL_H
#define MAYFLY_COMPILE_JAIL_H

#include "base/err.h"

/* Give up what compiling does not need: new privileges, every path of the file system and TCP (Landlock), all system
 * calls but those of jail.def, as far as the kernel has them; core dumps. Descriptors that are open stay usable. */
bool jail_enter(struct err *err);

#endif
