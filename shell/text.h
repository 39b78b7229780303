/*
** Text of people as a terminal shows it: how many columns it takes, where a line of it may end, and
** nothing in it that would move the cursor, change colours or turn the rest of the line around.
*/
#ifndef SHELL_TEXT_H
#define SHELL_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Columns of the whole; a combining mark takes none, an ideograph two. */
int text_width(const char *text);

/*
** How many bytes of a text make a line of `width` columns at most, which is taken: `*columns` gets how many they
** are.  It ends before a space if it can, else where the width does, never between a letter and its marks.
*/
size_t text_line(const char *text, int width, int *columns);

/* What comes after a line: past the spaces that it ended at. */
const char *text_after(const char *text, size_t line);

/* Writes so many bytes of it.  White space is a space; any other character of no text is "?". */
void text_write(FILE *out, const char *text, size_t size);

/* The same of the whole, and in a cell of its own where it runs from right to left (UAX #9). */
void text_write_isolated(FILE *out, const char *text, size_t size);

#endif
