/*
** The table portal_template: every template in force, to be read and edited.  What is written is checked,
** an INSERT adds another language, a DELETE goes back to what was shipped.
*/
#ifndef PORTAL_WORDING_TABLE_H
#define PORTAL_WORDING_TABLE_H

#include "table.h"

int wording_table_open(struct cursor *cursor, sqlite3_value *key[2]);

int wording_table_update(struct portal *portal, int argc, sqlite3_value **argv);

/* What portal_check() finds: rows that were stored past the table, texts that take too many segments by now. */
int wording_table_check(struct cursor *cursor);

#endif
