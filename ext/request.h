/*
** Requests: what people entered about themselves on the portal, a field each, for staff to decide.
*/
#ifndef PORTAL_REQUEST_H
#define PORTAL_REQUEST_H

#include "patient.h"

enum { REQUEST_REASON_SIZE = 160 };

/*
** submit_demographics(), within a scope.  *count gets the number of new requests; *refused is true
** with `reason` filled when nothing was taken.
*/
int request_submit(struct portal *portal, const char *session, const struct patient_id *patient,
                   const char *json, int *count, bool *refused, char reason[REQUEST_REASON_SIZE]);

/*
** Accepts: writes the field of the chart, tells an old address, and whoever asked.  REFUSED when it is not pending,
** when the chart moved since and `force` is not set, or by the practice's own schema.  In a scope.
*/
int request_accept(struct portal *portal, sqlite3_int64 request_id, bool force);

/* Declines, with a reason or NULL, and tells whoever asked.  In a scope. */
int request_decline(struct portal *portal, sqlite3_int64 request_id, const char *reason);

#endif
