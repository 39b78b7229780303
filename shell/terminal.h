/*
** What standard output and standard error are: a terminal, how wide, in colour.
*/
#ifndef SHELL_TERMINAL_H
#define SHELL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/*
** Opens what a caller closed of standard input, output and error, so that no file of ours takes its place: to
** read from them or to write to them fails.
*/
void terminal_begin(void);

/* A person reads it. */
bool terminal_is(FILE *file);

/* A terminal that can erase a line: not the "dumb" one of editors and logs. */
bool terminal_moves(FILE *file);

/* A terminal that shows colours, where nobody said NO_COLOR (no-color.org). */
bool terminal_colours(FILE *file);

/* Its columns now, or as COLUMNS says; 80 where nothing does. */
int terminal_width(FILE *file);

#endif
