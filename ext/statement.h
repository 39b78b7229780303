/*
** Nested SQL: prepared once per connection, bound by a short type string, always reset.
**
** A SQL text is a static array at the top of the file that uses it; its address is its name in the
** cache.  The cache lives only while one of our eponymous tables is connected, because sqlite3_close()
** disconnects those first, and a statement that is still there makes it fail.  So no SQL here may
** name one of our eponymous tables: a kept statement would keep it connected.
*/
#ifndef PORTAL_STATEMENT_H
#define PORTAL_STATEMENT_H

#include "portal.h"
#include "token.h"

#include <stdbool.h>

struct portal;

enum { STATEMENT_SLOTS = 256 };

struct statement_cache {
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } slot[STATEMENT_SLOTS];
    int count;
    int loose;   /* in use, but not kept */
};

/*
** Binding types, a letter per parameter from ?1 on:
**   i  sqlite3_int64
**   s  const char *, NULL for NULL; must stay until the call returns
**   b  const void *, int size
**   v  sqlite3_value *
**   p  const struct patient_id *, NULL for NULL
*/

/* Runs a statement to its end.  SQLITE_OK, or an error code with the fault set. */
int statement_run(struct portal *portal, const char *sql, const char *types, ...);

/* The same, and *changes gets the number of rows it changed, triggers apart. */
int statement_change(struct portal *portal, int *changes, const char *sql, const char *types, ...);

/*
** Steps to the first row.  SQLITE_ROW: read *out's columns, step on if there may be more, then
** statement_done().  SQLITE_DONE or an error code (fault set): nothing to release, *out is NULL.
*/
int statement_row(struct portal *portal, sqlite3_stmt **out, const char *sql, const char *types,
                  ...);

/*
** Prepares a statement without parameters that is to be stepped later, when there may be no memory
** left to prepare it; statement_done() releases it.  SQLITE_OK, or an error code with the fault set.
*/
int statement_hold(struct portal *portal, sqlite3_stmt **out, const char *sql);

/* The next row: SQLITE_ROW, SQLITE_DONE or an error code with the fault set. */
int statement_next(struct portal *portal, sqlite3_stmt *statement);

/* Releases what statement_row() gave; NULL is allowed. */
void statement_done(struct portal *portal, sqlite3_stmt *statement);

/* One integer: SQLITE_OK and *value (0 when there is no row, or NULL), or an error code. */
int statement_integer(struct portal *portal, sqlite3_int64 *value, const char *sql,
                      const char *types, ...);

/* Forgets the statements whose SQL is stale; what is being used is finalised when it is done. */
void statement_forget(struct statement_cache *cache, bool (*stale)(const void *data, const char *sql), const void *data);

/* Empties the cache; what is being used is finalised when it is done. */
void statement_clear(struct statement_cache *cache);

/* Copies a text column; "" for NULL, "\001" for text with a NUL in it or too long. */
void statement_text(sqlite3_stmt *statement, int column, char *out, size_t size);

/* A text column until the next step; "" for NULL, and when there is no memory to convert it. */
const char *statement_string(sqlite3_stmt *statement, int column);

/* True when a text column is this text. */
bool statement_is(sqlite3_stmt *statement, int column, const char *text);

/* True when a blob column is what the row of this token keeps of it. */
bool statement_keeps(sqlite3_stmt *statement, int column, const struct token *token);

/* True when a blob column holds exactly these bytes; compares in constant time. */
bool statement_same(sqlite3_stmt *statement, int column, const void *bytes, int size);

#endif
