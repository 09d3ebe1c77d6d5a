/* Where the time until the first answer goes: a line of the log at the debugging level at the end of each part.
 *
 * A fork goes on where its parent was, so that the lines of all processes count from the same beginning. Costs a
 * comparison where nobody debugs.
 */
#ifndef MAYFLY_BASE_PHASE_H
#define MAYFLY_BASE_PHASE_H

/* What is counted from. Without it phase_end says nothing. */
void phase_begin(void);
/* `what` is done in this process: so long it took since the last call, and since phase_begin. */
void phase_end(const char *what);
/* There is nothing more to tell: what is done from here on is not on the way to a first answer. */
void phase_over(void);

#endif
