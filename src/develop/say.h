/* What the tools of developers tell meanwhile: lines on standard error, so that standard output is the application's.
 * Names and commands of a manifest are strangers' text and are shown escaped (base/text.h). */
#ifndef MAYFLY_DEVELOP_SAY_H
#define MAYFLY_DEVELOP_SAY_H

/* One line; what is longer than 2 KiB is cut. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
