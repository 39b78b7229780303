/*
** JSON (RFC 8259): writing strings, and reading objects and arrays member by member.  Not with SQLite's
** json_each(), because a table of the practice's may have that name.
*/
#ifndef PORTAL_JSON_H
#define PORTAL_JSON_H

#include "portal.h"

#include <stdbool.h>

/* Appends a text as a JSON string, quoted and escaped. */
void json_append(sqlite3_str *out, const char *text);

enum json_type { JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_NESTED };

/* A member of an object.  Its texts lie in the JSON that is read. */
struct json_member {
    const char *name;
    enum json_type type;
    const char *text;         /* "1" for true, "0" for false; NULL for null and what is nested */
};

/* Where the reading is: start with {json, false}.  The JSON, valid UTF-8, is unescaped in its place. */
struct json_reader {
    char *at;
    bool begun;
};

enum json_step { JSON_MEMBER, JSON_END, JSON_MALFORMED };

/*
** The next member.  An escaped NUL and half of a surrogate pair, which are no characters, are
** malformed.  What is nested is not read: after it comes JSON_MALFORMED, unless json_nested() is called.
*/
enum json_step json_next(struct json_reader *reader, struct json_member *member);

/* The same of an array, whose members have no names. */
enum json_step json_item(struct json_reader *reader, struct json_member *member);

/* After JSON_NESTED: the text of it, to be read by a reader of its own.  NULL: malformed. */
char *json_nested(struct json_reader *reader);

#endif
