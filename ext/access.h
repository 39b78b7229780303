/*
** Access: who may act for which patient, and how it is suspended, granted again and removed.
*/
#ifndef PORTAL_ACCESS_H
#define PORTAL_ACCESS_H

#include "registration.h"

/*
** Gives an account access to a patient, or renews what it had; `relationship` is NULL for the
** patient.  Within a scope.
*/
int access_give(struct portal *portal, sqlite3_int64 account_id,
                const struct registration *registration, const char *relationship);

/* True between a revoke and the next send. */
int access_is_revoked(struct portal *portal, const struct patient_id *patient, bool *revoked);

/*
** Grants again what a revoke suspended, if there was one: same accounts, same passwords.  Removed
** representatives stay out, old links, PINs and sessions stay dead.  Within a scope.
*/
int access_grant_again(struct portal *portal, const struct patient_id *patient);

/*
** revoke_access(): ends links, PINs, resets, sessions and unsent messages, suspends every access,
** queues one notice.  Within a scope.  *noticed is false when no contact was there for the notice.
*/
int access_revoke(struct portal *portal, const struct patient_id *patient, const char *reason,
                  bool *noticed);

/*
** Ends what is under way for a patient: links, PINs, resets and sessions of whoever has access, unsent
** messages.  Within a scope.
*/
int access_cut(struct portal *portal, const struct patient_id *patient);

/* Somebody who represents a patient, or did until the patient was of age. */
struct representative {
    sqlite3_int64 access_id;
    sqlite3_int64 account_id;
    bool outgrown;
};

/* Finds one by user name; nobody, somebody removed and the patient's own login are REFUSED. */
int access_representative(struct portal *portal, const struct patient_id *patient, const char *username,
                          struct representative *found);

/* remove_representative().  Within a scope. */
int access_remove(struct portal *portal, const struct patient_id *patient, const char *username,
                  const char *reason);

/*
** True when the access of an account to a patient works: active, not outgrown, and the chart still
** about the same person, alive and active.  *role gets "patient" or the relationship when it is not NULL.
*/
enum { ACCESS_ROLE_SIZE = 128 };
int access_works(struct portal *portal, sqlite3_int64 account_id, const struct patient_id *patient,
                 bool *works, char role[ACCESS_ROLE_SIZE]);

/*
** The patients that an account may act for, as a JSON array; *count gets their number.
** *json is sqlite3_malloc'd; NULL is allowed for it when only the number matters.
*/
int access_list(struct portal *portal, sqlite3_int64 account_id, char **json, int *count);

#endif
