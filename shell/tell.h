/* What is told to the person at the terminal, or to the log: on standard error, never among the data. */
#ifndef SHELL_TELL_H
#define SHELL_TELL_H

/*
** Writes "portal: ", the text and a line break.  What a name or a file brought along that would move the
** cursor or colour the terminal is shown as "?".  Gives `code` back: return tell(EXIT_REFUSED, ...).
*/
__attribute__((format(printf, 2, 3))) int tell(int code, const char *format, ...);

#endif
