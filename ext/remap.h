/*
** Mapping the patient table: portal_map_patient() takes and gives the layout of the chart as JSON,
**
**     {"table": "patient_data", "patient_id": "pid", "first_name": "fname", "last_name": "lname",
**      "date_of_birth": {"column": "DOB", "format": "M/D/YYYY"}, "email": "email",
**      "requests": ["email"]}
**
** A new one replaces the older as a whole, once all of it was checked against the database.
*/
#ifndef PORTAL_REMAP_H
#define PORTAL_REMAP_H

#include "patient.h"

/* The layout in force, sqlite3_free(). */
int remap_tell(struct portal *portal, char **json);

/*
** Checks a new layout, stores it and puts it in force; {} is our own table.  *said gets the answer, one
** sentence and what is to be looked at, sqlite3_free().  The JSON is unescaped in its place.  SQLITE_OK, REFUSED,
** or an error code.  In a scope.
*/
int remap_store(struct portal *portal, char *json, char **said);

/* What the layout in force can not read: the problem and its subject go to found(), which returns a code. */
typedef int remap_found(void *data, const char *problem, const char *subject, const char *remedy);
int remap_check(struct portal *portal, remap_found *found, void *data);

#endif
