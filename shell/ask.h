/* Questions to the person at the terminal: on standard error, answered on standard input. */
#ifndef SHELL_ASK_H
#define SHELL_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* Somebody is there to be asked. */
bool ask_can(void);

/* Asks, and reads a line, without its end.  False at the end of the input, and after Ctrl-C. */
bool ask_line(const char *question, char *answer, size_t size);

#endif
