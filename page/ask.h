/*
** What the pages ask of the database: calls of the patient side alone, a row each, on a connection that
** acts for the application portal from its first statement on.
*/
#ifndef PAGE_ASK_H
#define PAGE_ASK_H

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <time.h>

enum question {
    ASK_SERVE, ASK_PRACTICE, ASK_TOKEN_STATUS, ASK_PIN, ASK_REGISTER_PATIENT, ASK_REGISTER_REPRESENTATIVE, ASK_LOGIN, ASK_SESSION,
    ASK_LOGOUT, ASK_DEMOGRAPHICS, ASK_SUBMIT, ASK_FORGOT, ASK_RESET, ASK_CALLBACK, ASK_COUNT
};

/* A connection with its statements; one thread at a time. */
struct desk {
    const char *database;
    int patience;                  /* milliseconds, when another process writes */
    bool reads;                    /* and never writes */
    bool open;
    time_t looked_at;              /* whether another file took the database's place: a second of a steady clock */
    sqlite3 *db;
    sqlite3_stmt *statement[ASK_COUNT];
    char client[64];               /* who the connection was told that it acts for */
    cJSON *practice;               /* as it is in `version` of the database */
    unsigned version;
    bool looked;                   /* at the database, since a client was served last */
    bool busy;                     /* since then: another was writing for longer than the patience */
};

/* The path stays the caller's.  Nothing is opened yet. */
void desk_begin(struct desk *desk, const char *database, int patience);
void desk_close(struct desk *desk);

/*
** From now on wrong passwords are this client's ("203.0.113.7").  Opens the database, and again when another
** file took its place.  SQLITE_OK or an error code; what it means is sqlite3_errmsg(desk->db).
*/
int desk_serve(struct desk *desk, const char *client);

/*
** Asks with as many texts as the question has places; NULL is NULL.  SQLITE_OK and the answer, to be
** freed with cJSON_Delete(): an object, a string, or NULL for NULL.  Or an error code.
*/
int desk_ask(struct desk *desk, enum question question, cJSON **answer, const char *const *texts);

/*
** What ASK_PRACTICE answers, the desk's own until the next call, or NULL.  It is asked again when the database has
** changed, which an answer before it to the same client tells without another look.
*/
const cJSON *desk_practice(struct desk *desk);

#endif
