/*
** Ageing: who represents a minor has access until the patient is of the age that the practice sets, unless
** staff confirmed it.  No check waits for the nightly run: what is over does not work.
*/
#ifndef PORTAL_AGEING_H
#define PORTAL_AGEING_H

#include "patient.h"

#define AGEING_NEVER INT64_MAX

/* When a row of portal_access named `a` was given, of one that may end with the patient's age; else never. */
#define AGEING_SINCE \
    "iif(a.role = 'representative' AND a.confirmed_at IS NULL, a.granted_at, 9223372036854775807)"

/*
** When an access that was given at AGEING_SINCE ends: the beginning of a birthday, or AGEING_NEVER: for a patient
** who was of age by then, and for one whose date of birth can not be read.
*/
sqlite3_int64 ageing_end(const struct portal *portal, sqlite3_int64 since, const char *date_of_birth);

/* "loses access on 2026-12-01", in the 30 days before; then "lost access on ...", until it is marked; else "". */
enum { AGEING_TEXT_SIZE = 96 };
void ageing_tell(sqlite3_int64 end, sqlite3_int64 now, char out[AGEING_TEXT_SIZE]);

/*
** end_representatives(): marks what is over, ends the sessions and tells the people.  In scopes of its own, so
** that no other writer waits long.  *count gets how many lost their access.
*/
int ageing_run(struct portal *portal, sqlite3_int64 *count);

/*
** confirm_representative(): the access goes on, or is given back.  *restored tells which.  Within a scope.
*/
int ageing_confirm(struct portal *portal, const struct patient_id *patient, const char *username,
                   bool *restored);

#endif
