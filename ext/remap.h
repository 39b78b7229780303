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
** sentence and what is to be looked at, sqlite3_free().  SQLITE_OK, REFUSED or an error code.
** In a scope.
*/
int remap_store(struct portal *portal, const char *json, char **said);

#endif
