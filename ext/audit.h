/*
** The audit (45 CFR 164.312(b)): append-only, every event chained to the one before by a keyed hash
** over itself and its predecessor, count and head sealed in portal_state, so that an event that was
** edited, deleted, inserted, moved or replaced shows, and so does a tail that was cut off.
*/
#ifndef PORTAL_AUDIT_H
#define PORTAL_AUDIT_H

#include "portal.h"

#include "token.h"

#include <stdbool.h>

struct patient_id;
struct portal;

/* Where the chain has got to: every event of an insert form moves it, portal_state follows later. */
struct audit_head {
    bool known;
    sqlite3_int64 count;
    uint8_t hash[TOKEN_HASH_SIZE];
    sqlite3_int64 stored_count;      /* what portal_state has */
    uint8_t stored_hash[TOKEN_HASH_SIZE];
};

/*
** Appends an event for who the connection acts for.  To be called within a scope, with the write
** lock held.  `patient`, `subject` and `detail` may be NULL; never a token, PIN, password, session.
** SQLITE_OK or an error code.
*/
int audit_write(struct portal *portal, const char *action, const struct patient_id *patient,
                const char *subject, const char *detail);

/*
** Takes over the head from columns audit_count and audit_head of portal_state, read with the write lock
** held; a damaged one stays unknown, for the next event to complain of.
*/
void audit_head_take(struct audit_head *head, sqlite3_stmt *statement, int column);

/* Writes the head to portal_state, if it is ahead.  Fails when somebody else moved it: the chain forked. */
int audit_settle(struct portal *portal);

/* audit_write() with the id of a message, request, ... as the subject: "message 42". */
int audit_write_about(struct portal *portal, const char *action, const struct patient_id *patient,
                      const char *what, sqlite3_int64 id, const char *detail);

/*
** Walks the whole chain.  *broken is NULL when it is whole, else sqlite3_mprintf() text that names
** the first broken event.  SQLITE_OK, REFUSED (key) or an error code.
*/
int audit_verify(struct portal *portal, char **broken);

/*
** Deletes the events before a time and leaves a sealed checkpoint.  *count gets their number.
** Within a scope.
*/
int audit_purge(struct portal *portal, sqlite3_int64 before, sqlite3_int64 *count);

/* The hash columns of portal_state for a new key; portal_init() stores them. */
struct audit_start {
    unsigned char head[32];
    unsigned char seal[32];
    unsigned char checkpoint_seal[32];
};
void audit_start(const unsigned char *key, struct audit_start *start);

#endif
