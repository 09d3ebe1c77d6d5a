/* The log: one line per event on standard error, written with one write call.
 *
 * Line: `2026-11-24T10:11:12.345Z LEVEL [SCOPE] message`. Bytes of guests are escaped: control
 * characters become \xNN, so that a guest cannot forge a line or drive a terminal.
 */
#ifndef MAYFLY_BASE_LOG_H
#define MAYFLY_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_level_set(enum log_level level);
bool log_enabled(enum log_level level);
/* `scope`: who speaks (a function's name), or NULL. */
void log_line(enum log_level level, const char *scope, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A guest's own output: one log line per line of text, at LOG_INFO. */
void log_guest(const char *scope, const char *stream, struct str text);

#endif
