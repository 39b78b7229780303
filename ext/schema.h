/* The portal's own tables: made, checked, upgraded. */
#ifndef PORTAL_SCHEMA_H
#define PORTAL_SCHEMA_H

#include "connection.h"

enum schema_was { SCHEMA_MISSING, SCHEMA_OLDER, SCHEMA_THERE };

/*
** portal_init(): makes key file, tables, triggers and views, and a patient table in a database that
** has no table at all; upgrades tables of an older version.  Idempotent.  With a mapping (JSON, or NULL)
** that is stored as well, as remap_store() does, and *mapped gets its answer.
*/
int schema_init(struct portal *portal, const char *mapping, enum schema_was *was, char **mapped);

/* All that makes the tables and views, sqlite3_free(); NULL without memory.  Makes what is missing alone. */
char *schema_text(void);

#endif
