/*
** Rows as people read them: columns that fit the terminal, long texts on several lines; where there is
** no room for columns, a line for each value.  Times (columns named "at" or "..._at", in UTC) are local.
*/
#ifndef SHELL_COLUMNS_H
#define SHELL_COLUMNS_H

#include "practice.h"

#include <stdio.h>

/* Steps a statement to its end.  SQLITE_DONE or an error code; *rows gets their number. */
int columns_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows);

#endif
