/*
** Wrong passwords and what they cost: a delay that grows per account and client, at most a quarter of
** an hour, and ends by itself (NIST SP 800-63B section 5.2.2).
*/
#ifndef PORTAL_THROTTLE_H
#define PORTAL_THROTTLE_H

#include "connection.h"

/* Where a try counts: keyed hashes of the user name tried and of the client. */
struct throttle {
    sqlite3_int64 account;
    sqlite3_int64 client;
};

/* For a user name as compared, whether there is such an account or not, and the running client. */
int throttle_of(struct portal *portal, const char *username_key, struct throttle *throttle);

/*
** Counts a try before it is compared.  *early when it comes within a delay: then it is not counted,
** and no password is right.  *begins when this try is the one after which delays begin.  In a scope.
*/
int throttle_try(struct portal *portal, const struct throttle *throttle, bool *early, bool *begins);

/* Gives a try back that was right.  Within a scope. */
int throttle_right(struct portal *portal, const struct throttle *throttle);

/* Forgets the wrong passwords of an account.  Within a scope. */
int throttle_unlock(struct portal *portal, const char *username_key);

/* When the longest delay of an account ends, or 0. */
int throttle_until(struct portal *portal, const char *username_key, sqlite3_int64 *until);

/* Forgets what costs nothing any more.  Within a scope. */
int throttle_expire(struct portal *portal);

#endif
