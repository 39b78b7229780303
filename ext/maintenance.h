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

/* What portal_restored() ended. */
enum { RESTORED_MESSAGES, RESTORED_LINKS, RESTORED_PINS, RESTORED_RESETS, RESTORED_SESSIONS,
       RESTORED_COUNT };

/*
** portal_restored(): ends what a database put back from a backup would let work again: links, PINs,
** resets and sessions that may have been used or revoked since, and messages that may have been sent
** since.  What staff decided since, and passwords, can not be known.  Within a scope.
*/
int maintenance_restored(struct portal *portal, int count[RESTORED_COUNT]);

#endif
