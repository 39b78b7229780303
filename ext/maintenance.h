/* What a nightly run does. */
#ifndef PORTAL_MAINTENANCE_H
#define PORTAL_MAINTENANCE_H

#include "connection.h"

/*
** expire_links(): marks expired links, ends sessions, PINs and resets that are over.  No check
** depends on it: each compares the clock.  *count gets the number of links.  Within a scope.
*/
int maintenance_expire(struct portal *portal, sqlite3_int64 *count);

/*
** portal_purge(): removes what ended more than `days` ago; of every patient the newest registration
** stays.  Audit events stay six years (45 CFR 164.316(b)(2)(i)).  Within a scope.
*/
int maintenance_purge(struct portal *portal, sqlite3_int64 days, sqlite3_int64 *rows,
                      sqlite3_int64 *events);

#endif
