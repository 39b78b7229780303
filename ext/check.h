/* portal_check(): what is wrong in the database, and the remedy. */
#ifndef PORTAL_CHECK_H
#define PORTAL_CHECK_H

#include "table.h"

/* Adds a row (problem, subject, remedy) for every finding. */
int check_open(struct cursor *cursor, sqlite3_value *key[2]);

#endif
