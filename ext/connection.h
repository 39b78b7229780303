/*
** What the extension keeps for one database connection, and how a call begins and ends there.
*/
#ifndef PORTAL_CONNECTION_H
#define PORTAL_CONNECTION_H

#include "audit.h"
#include "keyring.h"
#include "layout.h"
#include "portal.h"
#include "setting.h"
#include "statement.h"

#include <stdbool.h>

/* 45 CFR 164.312(a): who a connection acts for.  Bits, so that a row can allow several. */
enum application { EHR = 1, SCHEDULING = 2, PORTAL = 4 };
enum { STAFF = EHR | SCHEDULING, ANYBODY = STAFF | PORTAL };

enum {
    SCHEMA_VERSION = 3,
    USER_SIZE = 129,
    ACTOR_SIZE = USER_SIZE + 16,
    FRESH_MAX = 4,
    TEXT_MAX = 12,
    /* A view that patients are kept in may read a table of ours that reads them: deeper goes what never ends. */
    READING_MOST = 4,
    /* A refusal: nothing was written, the message says what and the remedy. */
    REFUSED = SQLITE_CONSTRAINT
};

struct channel;
struct wording;

struct portal {
    portal_api api;                  /* first: what plugins are handed is this connection */
    sqlite3 *db;
    const sqlite3_api_routines *routines;   /* SQLite's, for plugins; NULL when nobody gave them */
    sqlite3_vfs *vfs;                /* of the main database, for its clock */
    int references;                  /* registered functions and modules, connected tables */
    int connected;                   /* eponymous tables; statements are kept only while > 0 */
    struct statement_cache statements;
    struct keyring keyring;
    sqlite3_int64 keyring_checked_at;
    struct settings settings;
    struct {                         /* templates, as read when the settings had the stamp; see wording_list() */
        sqlite3_int64 stamp;
        struct wording *first;
    } wordings;
    struct layout *layout;           /* where patients are; NULL: in our own table */
    struct channel *channels;
    enum application application;
    char user[USER_SIZE];
    char actor[ACTOR_SIZE];          /* both, as "ehr:anna", "portal:203.0.113.7" */
    struct {                         /* statements of files in sql/, with a clause; see table_sql() */
        const char *file;
        const char *clause;
        char *sql;
    } text[TEXT_MAX];
    char *error;                     /* of the last refusal or fault; sqlite3_free() */
    bool busy;                       /* within one of our calls */
    int reading;                     /* our tables, within each other: see READING_MOST */
    bool inserting;                  /* which is an insert form */
    bool entered;                    /* by an insert form of this transaction, which has the write lock */
    sqlite3_int64 entered_at;        /* changes of the connection by then */
    bool opt_outs;                   /* somebody has opted out of messages */
    struct audit_head head;          /* of the audit, while it may be ahead of portal_state */
    struct {                         /* messages that the running call queued */
        sqlite3_int64 message_id;
        int medium;
    } fresh[FRESH_MAX];
    int fresh_count;
};

struct portal *connection_open(sqlite3 *db);

/*
** From now on every connection that this process opens, through the same SQLite, has the extension.  Once is
** enough; it lasts as long as the process.  SQLITE_OK or SQLITE_NOMEM.
*/
int connection_load_everywhere(void);

/* A destructor for each registration; the last one frees. */
void connection_release(void *pointer);

/* Seconds UTC, as the VFS of the database has it. */
sqlite3_int64 connection_now(struct portal *portal);

/* Takes over who the connection acts for; `user` NULL leaves that as it is. */
void connection_act_as(struct portal *portal, enum application application, const char *user);

const char *connection_application(const struct portal *portal);

/*
** Checks that the portal's tables are there and of this version, and takes over changed settings and
** whether there are opt-outs.
** Every call on the database starts with it.  SQLITE_OK, REFUSED or an error code.
*/
int connection_enter(struct portal *portal);

/* After a row of an insert form: until something is written, the next one need not enter again. */
void connection_inserted(struct portal *portal);

/* Forgets what held for a transaction that insert forms wrote in. */
void connection_forget(struct portal *portal);

/* The keyring, read and checked against the database.  SQLITE_OK, REFUSED or an error code. */
int connection_key(struct portal *portal, const struct keyring **keyring);

/* The same, as the file has it this moment: for what a writer makes with the newest key. */
int connection_key_now(struct portal *portal, const struct keyring **keyring);

/* Begins the token of a row that is about to be written: what it is to keep.  SQLITE_OK, REFUSED or an error code. */
int connection_token(struct portal *portal, uint8_t kept[TOKEN_KEPT_SIZE]);

/*
** The key of a generation, which another process may have made just now; *key is NULL when there is
** none.  SQLITE_OK, REFUSED or an error code.
*/
int connection_key_of(struct portal *portal, uint8_t generation, const uint8_t **key);

/*
** *genuine: a text is a token that one of the keys made for this purpose; then *token is what it says.
** Costs a hash, or nothing when the text has not a token's form.
*/
int connection_prove(struct portal *portal, enum token_purpose purpose, const char *text, size_t length,
                     struct token *token, bool *genuine);

/* Path of the key file, sqlite3_free(); NULL for a database without a file. */
int connection_key_path(struct portal *portal, char **path);

/* File name of the main database, "" when it has none. */
const char *connection_path(const struct portal *portal);

/*
** REFUSED, with a message for whoever called: what is refused and the remedy, in lower case, no full
** stop at the end.  %q and %Q as in sqlite3_mprintf().
*/
int refuse(struct portal *portal, const char *format, ...);

/*
** Stars out every genuine link, reset and session in a text: one that was passed as the wrong argument
** must get into no log and no audit.  refuse() does.
*/
void connection_hide(struct portal *portal, char *text);

/* SQLITE_ERROR, said the same way: not about one row, so that OR IGNORE does not skip it. */
int fail(struct portal *portal, const char *format, ...);

/* Of which version the portal's tables say they are.  SQLITE_OK, or an error code with the fault set. */
int connection_version(struct portal *portal, sqlite3_int64 *version);

/* SQLITE_ROW and columns of portal_state, whose one row is always there, or an error code. */
int connection_state(struct portal *portal, sqlite3_stmt **out, const char *sql);

/* The error code it is given, with SQLite's own message and the remedy where we know one. */
int fault(struct portal *portal, int code);

/*
** A write: everything between begin and end happens, or nothing.
**
** Outside a writing statement it is a savepoint that first takes the write lock.  Within one (a
** scalar in an UPDATE, the insert forms) SQLite allows no savepoint: checks come first, and a
** failure after the first write is returned as SQLITE_IOERR, upon which SQLite rolls the whole
** transaction back.  So does a scope whose savepoint can not be undone, for want of memory say.
*/
enum { SCOPE_RELEASE, SCOPE_ROLLBACK_TO, SCOPE_ROLLBACK, SCOPE_ABANDON, SCOPE_ENDS };

struct scope {
    bool within;                     /* a writing statement of the caller's */
    bool outermost;                  /* the savepoint is the transaction */
    sqlite3_stmt *end[SCOPE_ENDS];   /* prepared before anything is written */
    sqlite3_int64 changes;           /* at the beginning */
};

int scope_begin(struct portal *portal, struct scope *scope);

/* The same without the write lock, so that what is read within is of one moment. */
int scope_begin_reading(struct portal *portal, struct scope *scope);

int scope_end(struct portal *portal, const struct scope *scope, int code);

/* A step in a scope of its own: begin, step, end. */
int scope_run(struct portal *portal, int (*step)(struct portal *portal, void *data), void *data);

/*
** Takes the connection for a call; portal->busy = false gives it back.  SQLITE_ERROR when `name` was
** called within another call, by a trigger or function of the application's.
*/
int connection_take(struct portal *portal, const char *name);

/*
** scope_run() for what must not be left undone because another connection writes: waits for that up to
** 10 seconds, whatever the busy timeout is.  The step may be run several times, from the start:
** what it wrote before was rolled back.
*/
int scope_insist(struct portal *portal, int (*step)(struct portal *portal, void *data), void *data);

/* True when the connection holds no lock at all, so that the network may be used. */
bool connection_unlocked(const struct portal *portal);

#endif
