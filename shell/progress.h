/*
** How far something is that takes longer than a second, on standard error: on a terminal a bar with the
** rate and the time left, elsewhere a plain line every ten seconds.
*/
#ifndef SHELL_PROGRESS_H
#define SHELL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *doing;             /* "sending" */
    const char *unit;              /* "messages"; NULL: bytes */
    int64_t total;                 /* 0: not known */
    bool terminal;
    bool drawn;                    /* there is a bar to be taken away */
    int64_t begun_at, due_at;      /* milliseconds of a clock that nobody sets */
};

/* The texts are kept, not copied. */
void progress_begin(struct progress *progress, const char *doing, const char *unit, int64_t total);

/* Is it time to say something?  For those whose count costs more than a look at the clock. */
bool progress_is_due(const struct progress *progress);

/* Says how much is done, if it is time to: to be called as often as one likes. */
void progress_show(struct progress *progress, int64_t done);

/* Takes the bar away. */
void progress_end(struct progress *progress);

#endif
