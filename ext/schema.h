/* The portal's own tables: made, checked, upgraded. */
#ifndef PORTAL_SCHEMA_H
#define PORTAL_SCHEMA_H

#include "connection.h"

enum schema_was { SCHEMA_MISSING, SCHEMA_OLDER, SCHEMA_THERE };

/*
** portal_init(): makes key file, tables, triggers and views, and a patient table in a database that
** has no table at all; upgrades tables of an older version.  Idempotent.  A mapping is stored as well.
** say() makes the answer while all can still be undone.
*/
struct schema_init {
    const char *mapping;        /* JSON, or NULL */
    enum schema_was was;
    char *mapped;               /* what remap_store() answered, sqlite3_free(); or NULL */
    int (*say)(const struct schema_init *init);
    void *data;                 /* say()'s */
};
int schema_init(struct portal *portal, struct schema_init *init);

/* All that makes the tables and views, sqlite3_free(); NULL without memory.  Makes what is missing alone. */
char *schema_text(void);

#endif
