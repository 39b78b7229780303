/*
** Rows for people and for scripts: an aligned table that fits the terminal, JSON (RFC 8259), or CSV
** (RFC 4180).  Data alone goes to standard output.
*/
#ifndef SHELL_OUTPUT_H
#define SHELL_OUTPUT_H

#include "practice.h"

#include <stdio.h>

enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

/*
** Runs a statement to its end and writes its rows.  A table of one value is the value alone; of no rows,
** `empty` instead (NULL: nothing).  An exit code; `*rows` gets their number unless it is NULL.
*/
int output_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, enum output_form form,
                const char *empty, long *rows);

/*
** Writes what stdio still holds.  A reader who has seen enough (a closed pipe) is no error to tell of.  An exit
** code.
*/
int output_end(FILE *out);

#endif
