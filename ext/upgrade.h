/* Tables of an older version, made those of this one. */
#ifndef PORTAL_UPGRADE_H
#define PORTAL_UPGRADE_H

#include "connection.h"

/*
** Makes anew, with all they hold, the portal's tables, indexes, triggers and views that are not as
** sql/schema.sql and sql/views.sql have them.  Within a transaction that holds the write lock, and
** while nothing is being read.
*/
int upgrade_run(struct portal *portal);

#endif
