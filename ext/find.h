/*
** Finding a patient by what somebody at the desk knows: portal_find(text).
** A key or a date of birth is looked up; for a name or a contact everybody on file is looked at, a second
** or three for each million.
*/
#ifndef PORTAL_FIND_H
#define PORTAL_FIND_H

#include "table.h"

int find_open(struct cursor *cursor, sqlite3_value *key[2]);
int find_column(struct cursor *cursor, sqlite3_context *context, int column);
int find_arrive(struct cursor *cursor, bool row);

#endif
