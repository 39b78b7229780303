/*
** Does a layout fit the database: the practice's schema, before it is put in force, and then the charts.
*/
#ifndef PORTAL_FITTING_H
#define PORTAL_FITTING_H

#include "patient.h"

/*
** Is the table there, all its columns, and is its key unique?  A text key that nothing makes gets the format
** that does, unless one was chosen.  SQLITE_OK, REFUSED or an error code.
*/
int fitting_check(struct portal *portal, struct layout *layout, bool key_chosen);

/* REFUSED when the table of a layout (or NULL) or one of its columns is not there; or SQLITE_OK, or an error code. */
int fitting_there(struct portal *portal, const struct layout *layout);

/* How many logins the layout in force knows the patient of, as the same person. */
int fitting_known(struct portal *portal, sqlite3_int64 *count);

/* REFUSED when the layout in force has keys that can be none, or loses some of the logins known before. */
int fitting_charts(struct portal *portal, sqlite3_int64 known);

/* What the layout in force can not read or reach: each goes to found(), which returns a code. */
typedef int fitting_found(void *data, const char *problem, const char *subject, const char *remedy);
int fitting_tell(struct portal *portal, fitting_found *found, void *data);

#endif
