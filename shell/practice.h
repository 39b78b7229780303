/*
** The practice's database as the command `portal` uses it: opened with the extension linked in, and
** asked in SQL alone.  --sql shows each statement as one could type it.
*/
#ifndef SHELL_PRACTICE_H
#define SHELL_PRACTICE_H

#include <sqlite3.h>
#include <stdbool.h>

/* Exit codes, for scripts. */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,          /* the reason is on standard error */
    EXIT_USAGE = 2,
    EXIT_PARTLY = 3,           /* some of a set were refused */
    EXIT_DATABASE = 4,         /* there is none, it is none of ours, or its key file is missing */
    EXIT_BUSY = 5,
    EXIT_INTERRUPTED = 130,
    EXIT_PIPE = 141            /* nobody reads the output any more: as a shell tells of SIGPIPE */
};

/* What a command wants of its database. */
enum practice_needs {
    NEEDS_PORTAL,              /* it has the portal's tables */
    NEEDS_DATABASE,            /* it is there */
    NEEDS_ROOM,                /* it may be new */
    NEEDS_NOTHING              /* none is opened */
};

struct practice {
    sqlite3 *db;
    const char *path;
    bool shows_sql;
};

/* Opens a database and acts for an application (NULL: "ehr").  An exit code; the reason is told. */
int practice_open(struct practice *practice, const char *path, const char *application, enum practice_needs needs);

void practice_close(struct practice *practice);

/* SIGINT or SIGTERM came: what runs was interrupted, and no more is to be begun. */
bool practice_is_interrupted(void);

/* A statement to be bound and stepped; NULL when it can not be prepared, which is told. */
sqlite3_stmt *practice_prepare(struct practice *practice, const char *sql);

/* Steps it, having shown it the first time.  SQLITE_ROW, SQLITE_DONE or an error code. */
int practice_step(struct practice *practice, sqlite3_stmt *statement);

/* Tells what went wrong last.  The exit code that it means. */
int practice_failed(struct practice *practice);

/* Runs what gives nothing, or nothing that is wanted.  An exit code. */
int practice_run(struct practice *practice, const char *sql);

/* NULL binds NULL. */
void practice_bind(sqlite3_stmt *statement, int parameter, const char *text);

#endif
