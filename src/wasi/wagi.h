/* The executor "wagi" of Spin: a command answers a request as a CGI program does (RFC 3875). The request is in its
 * variables and arguments, its body is standard input, and standard output is the answer: a head, an empty line, the
 * body. The command is a component, or a core module of WASI 0.1 (wagi_module.c). */
#ifndef MAYFLY_WASI_WAGI_H
#define MAYFLY_WASI_WAGI_H

#include "wasi/gen/wasi_cli.h"
#include "wasi/object.h"

/* What the command was given and what the request says. False: trap. */
bool wagi_environment(struct host *h, struct list_tuple_str_str *ret);
bool wagi_arguments(struct host *h, struct list_str *ret);

extern const struct output_kind output_wagi;

/* Start functions are over, and others begin behind them (freeze.c): what WASI 0.1 has of descriptors is given back if
 * it is what every activity has from the beginning. */
void wagi_module_settle(struct host *h);

/* The command came to its end, well or not: what it wrote is all. */
void wagi_end(struct host *h, bool well);

#endif
