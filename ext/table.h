/*
** Eponymous tables to read: each is a row of the list in tables.c.  A table is a statement whose
** columns it may compute further, or rows that it makes at once.
*/
#ifndef PORTAL_TABLE_H
#define PORTAL_TABLE_H

#include "connection.h"

struct cursor;

enum { TABLE_SKIP = SQLITE_NOTFOUND };

struct table {
    const char *name;
    const char *columns;          /* of its declaration; hidden ones last */
    const char *description;
    unsigned allowed;             /* applications, as bits */
    bool direct;                  /* acts, loads code or shows secrets: not for views and triggers */
    bool bare;                    /* works without the portal's own tables */
    bool grows;                   /* update() takes INSERT and DELETE, too */
    bool required;                /* key[0] must be given: an argument */
    const char *usage;            /* then with it: "portal_claimed(claim)" */
    int key[2];                   /* columns whose "=" is used, -1 for none */
    unsigned integers;            /* made rows: columns that are integers, as bits */
    int id;                       /* made rows: the column that is the rowid; 0: they are counted */

    /* Starts a scan; `key` has NULL for a key that is not given. */
    int (*open)(struct cursor *cursor, sqlite3_value *key[2]);
    /* A column of a statement's row; NULL for made rows. */
    int (*column)(struct cursor *cursor, sqlite3_context *context, int column);
    /*
    ** Called when a row was stepped to and when the scan ends (with `row` false); may be NULL.
    ** TABLE_SKIP: this row is none of the table's.
    */
    int (*arrive)(struct cursor *cursor, bool row);
    /* UPDATE, called as xUpdate is; may be NULL. */
    int (*update)(struct portal *portal, int argc, sqlite3_value **argv);
};

struct cursor {
    sqlite3_vtab_cursor base;     /* first */
    struct portal *portal;
    const struct table *table;
    sqlite3_stmt *statement;      /* a scan of a statement, on its row */
    bool bare;                    /* no column is asked for: count(*), say */
    sqlite3_int64 rowid;
    sqlite3_int64 now;
    char **cells;                 /* made rows: count * width texts, NULL for NULL */
    int width;
    int count;
    int at;
    const char *status;           /* of a row of portal_status, once it was asked for */
    void *own;                    /* the table's, freed by its arrive() */
};

/* Adds a made row: `width` texts, copied. */
int table_add(struct cursor *cursor, ...);

/* Starts a scan of a statement: the code of statement_row() becomes the cursor's state. */
int table_scan(struct cursor *cursor, int code);

/* sqlite3_result_value(), which takes new memory for every text, where this takes that of the last row. */
void table_result(sqlite3_context *context, sqlite3_stmt *row, int column);

/* The statement of a file in sql/, with a clause after it; kept by the connection. */
const char *table_sql(struct portal *portal, const char *file, const char *clause);

/* Registers all.  SQLITE_OK or an error code. */
int table_register(struct portal *portal);

/*
** Registers the insert form of a staff action: a table of its name whose columns are the arguments,
** INSERT INTO send_registration(patient_id, channel) SELECT ...
*/
struct function;
int table_register_action(struct portal *portal, const struct function *function);

/* A row of the list; NULL past its end. */
const struct table *table_row(int index);

#endif
