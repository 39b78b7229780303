/*
** Sessions of people who have signed in.  The token is derived, not stored; idle and absolute
** lifetimes are settings (NIST SP 800-63B section 7.2).
*/
#ifndef PORTAL_SESSION_H
#define PORTAL_SESSION_H

#include "patient.h"

/* Begins one within a scope; `token` gets what the browser keeps. */
int session_begin(struct portal *portal, sqlite3_int64 account_id, char token[TOKEN_SIZE]);

/* True when a session token is one that we gave out; costs a hash, and no look at the database. */
int session_genuine(struct portal *portal, const char *token, bool *genuine);

/*
** The account of a live session, whose idle time begins anew.  Within a scope.  SQLITE_ROW and
** *account_id, SQLITE_DONE when it is not alive, or an error code.
*/
int session_open(struct portal *portal, const char *token, sqlite3_int64 *account_id);

/* Ends one; *ended is false when it was not alive. */
int session_end(struct portal *portal, const char *token, bool *ended);

/* Ends every session of an account, or of everybody who has access to a patient. */
int session_end_account(struct portal *portal, sqlite3_int64 account_id);
int session_end_patient(struct portal *portal, const struct patient_id *patient);

/* Ends what is over; *count gets the number. */
int session_expire(struct portal *portal, sqlite3_int64 *count);

/*
** portal_session(): JSON with username, name and patients, sqlite3_malloc'd, NULL when the session
** is not alive or nobody is left to act for.  Within a scope.
*/
int session_describe(struct portal *portal, const char *token, char **json);

#endif
