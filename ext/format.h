/*
** Formats: how a practice's own tables write dates, yes and no, and what else is not as we do.  Each is
** a row of a table: SQL that reads a column as we write it, and back.
*/
#ifndef PORTAL_FORMAT_H
#define PORTAL_FORMAT_H

#include "portal.h"

/* What a value is, which tells the formats that it can have. */
enum format_kind { FORMAT_TEXT, FORMAT_DATE, FORMAT_FLAG, FORMAT_LANGUAGE, FORMAT_KEY, FORMAT_KINDS };

struct format {
    const char *name;
    enum format_kind kind;
    const char *read;      /* from a column, "$", to what we write: a date as YYYY-MM-DD, a flag as 0 or 1 */
    const char *write;     /* from a value of ours, "@"; of a key: what makes a new one for the table "#", NULL when that does */
    const char *match;     /* of dates: is the column this date, as an index on it can tell? */
    const char *no;        /* of flags: how 0 is written */
};

/* The format of a kind by its name; NULL names the first, which is our own.  NULL when there is none. */
const struct format *format_find(enum format_kind kind, const char *name);

/* Appends the names of a kind's formats, "a, b". */
void format_list(sqlite3_str *out, enum format_kind kind);

/* Appends SQL of a format; "$" is the column, quoted, after its qualifier ("t."); of a key the value is the table. */
void format_append(sqlite3_str *out, const char *sql, const char *qualifier, const char *column, const char *value);

#endif
