/*
** A practice to try things on: a database with patients, accounts, links, PINs, sessions, requests
** and messages in every state, made once and copied into memory for every input, with the extension
** linked in.  Clock, random numbers and key are the same for every input; the built-in channel
** is replaced by one that checks each message and carries nothing (carrier.c).
*/
#ifndef PRACTICE_H
#define PRACTICE_H

#include <sqlite3.h>

#include "fuzz.h"

#include <stdbool.h>

/* A copy, and its end, which must find nothing of ours left open. */
sqlite3 *practice_open(void);
void practice_close(sqlite3 *db);

/* The bytes of the database file; and a connection to others.  They are copied. */
const uint8_t *practice_image(size_t *size);
sqlite3 *practice_open_image(const uint8_t *bytes, size_t size);

/* Moves the clock. */
void practice_wait(sqlite3_int64 seconds);

/*
** Right values, by the names that portal_help has for arguments, and some more ("reset", "link", ...):
** the index-th one, and all parameters of a statement that are named so.
*/
int practice_right_count(void);
void practice_bind_right(sqlite3_stmt *statement, int parameter, int index);
void practice_bind_named(sqlite3_stmt *statement);

/* What can be called or read, as the extension itself tells. */
enum { CALLABLE_COLUMNS = 12 };
struct callable {
    char name[40];
    bool function;                  /* SELECT name(...) */
    bool inserts;                   /* INSERT INTO name ... */
    bool json;                      /* answers with JSON */
    int count;                      /* of arguments or columns */
    int hidden;                     /* columns of these that are hidden; they are the last ones */
    char column[CALLABLE_COLUMNS][32];
};
int practice_callables(const struct callable **list);

/*
** Runs one statement to its end, with right values for named parameters.  An answer must be well
** formed, and an error be clear.  The result code.
*/
int practice_try(sqlite3 *db, const char *sql);

/* The same with a prepared statement, which is reset: what `format` says of it is told on failure. */
int practice_run(sqlite3 *db, sqlite3_stmt *statement, bool json);

/* What must work: the first column of the first row, "" for NULL; free() it. */
char *practice_ask(sqlite3 *db, const char *sql);

/* Every call with right values, every table read in every way. */
void practice_try_all(sqlite3 *db);

/* What the channel does with messages, and the last secrets that it was given to carry. */
struct carrier {
    int outcome;                    /* enum portal_result, or beyond: says nothing */
    int count;                      /* of messages */
    char link[33];
    char reset[33];
    char pin[7];
};
extern struct carrier carrier;

#endif
