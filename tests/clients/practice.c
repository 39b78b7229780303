/*
** A practice's portal from C, with the extension linked in: staff send, decide and revoke, a patient signs in.
** Usage: practice DATABASE.  cc practice.c build/libportal.a -lsqlite3 -lutf8proc -lsodium -ldl -lm -lpthread
*/
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

static const char *database;

static sqlite3 *connected(void)
{
    sqlite3 *db = NULL;

    if (sqlite3_open(database, &db) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", database, sqlite3_errmsg(db));
        exit(1);
    }
    (void)sqlite3_busy_timeout(db, 10000);
    return db;
}

/* The first value that SQL gives, or why it is refused; %Q quotes what a text brings.  sqlite3_free() it. */
static char *ask(sqlite3 *db, const char *sql, ...)
{
    sqlite3_stmt *statement = NULL;
    char *answer = NULL;
    char *text;
    va_list values;

    va_start(values, sql);
    text = sqlite3_vmprintf(sql, values);
    va_end(values);
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
        answer = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    } else if (sqlite3_step(statement) == SQLITE_ROW) {
        answer = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    }
    if (sqlite3_finalize(statement) != SQLITE_OK) answer = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    sqlite3_free(text);
    return answer;
}

/* Prints an answer after a word, and frees it. */
static void tell(const char *word, char *answer)
{
    (void)printf("%s%s\n", word, answer == NULL ? "" : answer);
    sqlite3_free(answer);
}

static void run(sqlite3 *db, const char *sql)
{
    sqlite3_free(ask(db, "%s", sql));
}

/* In a thread: a connection for each. */
static void *send(void *patient)
{
    sqlite3 *db = connected();

    sqlite3_free(ask(db, "SELECT send_registration(%d, 'email')", *(const int *)patient));
    (void)sqlite3_close(db);
    return NULL;
}

static void send_both(sqlite3 *db)
{
    static int patients[] = {3, 4};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, send, &patients[i]) != 0) exit(1);
    }
    for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
    tell("", ask(db, "SELECT group_concat(status, ' ') FROM portal_status WHERE patient_id IN (3, 4)"));
}

static void decide(sqlite3 *db)
{
    run(db, "BEGIN");
    tell("city ", ask(db, "SELECT accept_request(request_id) FROM pending_requests"
                          " WHERE patient_id = 1 AND field = 'city'"));
    tell("state ", ask(db, "SELECT decline_request(request_id) FROM pending_requests"
                           " WHERE patient_id = 1 AND field = 'state'"));
    run(db, "COMMIT");
}

static char *sign_in(sqlite3 *web)
{
    return ask(web, "SELECT portal_login(%Q, %Q)", "ada", "analytical engine");
}

int main(int argc, char **argv)
{
    sqlite3 *db, *web;
    char *login, *session;

    if (argc != 2) return 2;
    database = argv[1];
    /* Every connection that is opened from now on has the portal, those of a pool too. */
    if (sqlite3_auto_extension((void (*)(void))sqlite3_portal_init) != SQLITE_OK) return 1;
    db = connected();
    run(db, "BEGIN");
    run(db, "SELECT send_registration(2, 'email')");
    run(db, "ROLLBACK");
    tell("", ask(db, "SELECT status FROM portal_status WHERE patient_id = 2"));
    tell("", ask(db, "SELECT send_registration(2, 'email')"));
    tell("", ask(db, "SELECT send_registration(99, 'email')"));
    decide(db);

    web = connected();
    run(web, "SELECT portal_as('portal', '203.0.113.7')");
    run(web, "BEGIN");
    tell("", sign_in(web));
    run(web, "ROLLBACK");
    login = sign_in(web);
    session = ask(web, "SELECT %Q ->> 'session'", login);
    tell("", ask(web, "SELECT %Q ->> 'result' || ' ' || (portal_session(%Q) -> '$.patients[0].patient_id')", login, session));
    tell("", ask(db, "SELECT revoke_access(1, 'asked for by phone')"));
    tell("", ask(web, "SELECT coalesce(portal_session(%Q), 'signed out')", session));
    send_both(db);
    sqlite3_free(session);
    sqlite3_free(login);
    return sqlite3_close(web) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
