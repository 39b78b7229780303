/* Writing JSON (RFC 8259).  Reading is left to SQLite's own json_each(). */
#ifndef PORTAL_JSON_H
#define PORTAL_JSON_H

#include "portal.h"

/* Appends a text as a JSON string, quoted and escaped. */
void json_append(sqlite3_str *out, const char *text);

#endif
