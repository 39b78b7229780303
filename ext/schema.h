/* The portal's own tables: made, checked, upgraded. */
#ifndef PORTAL_SCHEMA_H
#define PORTAL_SCHEMA_H

#include "connection.h"

/*
** portal_init(): makes key file, tables, triggers and views, and a patient table in a database that
** has no table at all.  Idempotent.  *created is false when all was there.
*/
int schema_init(struct portal *portal, bool *created);

#endif
