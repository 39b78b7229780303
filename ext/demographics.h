/*
** Demographics as a person sees them on the portal: what the chart says, and what became of the
** changes that were asked for.
*/
#ifndef PORTAL_DEMOGRAPHICS_H
#define PORTAL_DEMOGRAPHICS_H

#include "patient.h"

/*
** portal_demographics(), within a scope: JSON with the patient and every field that may be changed,
** sqlite3_malloc'd.  NULL when the session is not alive or may not act for the patient.
*/
int demographics_describe(struct portal *portal, const char *session, const struct patient_id *patient,
                          char **json);

#endif
