#include "watch.h"

#include "notify.h"
#include "tell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/*
** In milliseconds.  A look costs one page of the database, from the cache of the system; what is due and could
** not be handed over, or a database that does not open, is tried again after a while.
*/
enum { LOOK = 250, TRY_AGAIN = 10000, OPEN_AGAIN = 5000, UNLOCK_AGAIN = 1000 };

static const char version[] = "PRAGMA data_version";
/* By the index, which has the channel first. */
static const char next_due[] =
    "SELECT min(due_at) - unixepoch() FROM ("
    " SELECT min(due_at) AS due_at FROM portal_message WHERE channel = 'email' AND due_at IS NOT NULL"
    " UNION ALL"
    " SELECT min(due_at) FROM portal_message WHERE channel = 'text' AND due_at IS NOT NULL)";
static const char deliver[] =
    "WITH delivered (answer) AS MATERIALIZED (SELECT deliver())"
    " SELECT answer ->> 'stopped', answer ->> 'sent' + answer ->> 'failed' + answer ->> 'retrying',"
    "        format('%d sent, %d failed, %d to be tried again, %d waiting', answer ->> 'sent',"
    "               answer ->> 'failed', answer ->> 'retrying', answer ->> 'waiting'),"
    "        datetime('now', 'localtime')"
    "  FROM delivered";

struct watch {
    struct practice *practice;
    const char *application;
    sqlite3_stmt *version;         /* of the database: another one when another connection has written */
    sqlite3_int64 seen;
    int64_t wake_at;               /* something is due then, in milliseconds of uptime() */
    int64_t open_at;               /* a database that did not open is tried again then */
    struct stat file;              /* the one that is open, or did not open */
    char told[400];                /* the newest trouble: told once */
    bool of_database;              /* what that is about */
};

/* It goes on while the machine sleeps, and nobody sets it. */
static int64_t uptime(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void trouble(struct watch *watch, const char *words)
{
    char status[sizeof watch->told + 10];

    watch->of_database = false;
    if (strcmp(watch->told, words) == 0) return;
    (void)snprintf(watch->told, sizeof watch->told, "%s", words);
    (void)snprintf(status, sizeof status, "STATUS=%s", watch->told);
    /* To the manager another line is another message. */
    status[strcspn(status, "\n")] = '\0';
    notify(*words == '\0' ? "STATUS=waiting for messages" : status);
    if (*words != '\0') (void)tell(EXIT_REFUSED, "%s", words);
}

static void trouble_of_database(struct watch *watch)
{
    if (practice_is_interrupted()) return;
    trouble(watch, sqlite3_errmsg(watch->practice->db));
    watch->of_database = true;
}

/* Looking */

/* Has another connection written since the last look?  One that can not be looked at is tried again. */
static bool is_written(struct watch *watch)
{
    sqlite3_int64 now = watch->seen;
    int code = sqlite3_step(watch->version);

    if (code == SQLITE_ROW) now = sqlite3_column_int64(watch->version, 0);
    else trouble_of_database(watch);
    (void)sqlite3_reset(watch->version);
    if (code == SQLITE_ROW && watch->of_database) trouble(watch, "");
    if (now == watch->seen) return false;
    watch->seen = now;
    return true;
}

/* When something is due: now, later or never. */
static void due_find(struct watch *watch)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(watch->practice->db, next_due, -1, &statement, NULL);

    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        trouble_of_database(watch);
        watch->wake_at = uptime() + UNLOCK_AGAIN;
    } else if (sqlite3_column_type(statement, 0) == SQLITE_NULL) {
        watch->wake_at = INT64_MAX;
    } else {
        int64_t left = sqlite3_column_int64(statement, 0);
        watch->wake_at = uptime() + (left > 0 ? left * 1000 : 0);
    }
    (void)sqlite3_finalize(statement);
}

/* Handing over */

static void batch_tell(struct watch *watch, sqlite3_stmt *row)
{
    const char *stopped = (const char *)sqlite3_column_text(row, 0);
    const char *done = (const char *)sqlite3_column_text(row, 2);
    char status[200];

    trouble(watch, stopped == NULL ? "" : stopped);
    if (sqlite3_column_int64(row, 1) == 0 || done == NULL) return;
    (void)printf("%s %s\n", (const char *)sqlite3_column_text(row, 3), done);
    (void)fflush(stdout);
    if (stopped != NULL) return;
    (void)snprintf(status, sizeof status, "STATUS=%s", done);
    notify(status);
}

static void hand_over(struct watch *watch)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(watch->practice->db, deliver, -1, &statement, NULL);

    if (code == SQLITE_OK) code = practice_step(watch->practice, statement);
    if (code == SQLITE_ROW) batch_tell(watch, statement);
    else trouble_of_database(watch);
    (void)sqlite3_finalize(statement);
    due_find(watch);
    /* What is still due waits for its channel; or for the database, which is sooner free. */
    if (watch->wake_at <= uptime()) watch->wake_at = uptime() + (code == SQLITE_ROW ? TRY_AGAIN : UNLOCK_AGAIN);
}

/* The database, which may be replaced: a backup is put back */

static void database_close(struct watch *watch)
{
    (void)sqlite3_finalize(watch->version);
    watch->version = NULL;
    practice_close(watch->practice);
}

/* What is due in an open one is handed over at once.  An exit code. */
static int database_attend(struct watch *watch, const struct stat *file)
{
    watch->file = *file;
    watch->seen = -1;
    watch->version = practice_prepare(watch->practice, version);
    return watch->version == NULL ? EXIT_DATABASE : EXIT_DONE;
}

static void database_reopen(struct watch *watch, const struct stat *file)
{
    int code;

    database_close(watch);
    code = practice_open(watch->practice, watch->practice->path, watch->application, NEEDS_PORTAL);
    if (code == EXIT_DONE) code = database_attend(watch, file);
    if (code == EXIT_DONE) {
        trouble(watch, "");
        return;
    }
    database_close(watch);
    watch->file = *file;
    watch->open_at = uptime() + OPEN_AGAIN;
}

/* The database of this path is open.  False: there is none, or none that opens. */
static bool database_is_there(struct watch *watch)
{
    char words[sizeof watch->told];
    struct stat file;

    if (stat(watch->practice->path, &file) != 0) {
        (void)snprintf(words, sizeof words, "%.300s: %s; waiting for it", watch->practice->path, strerror(errno));
        trouble(watch, words);
        return false;
    }
    if (file.st_dev != watch->file.st_dev || file.st_ino != watch->file.st_ino ||
        (watch->version == NULL && uptime() >= watch->open_at)) {
        database_reopen(watch, &file);
    }
    return watch->version != NULL;
}

int watch_run(struct practice *practice, const char *application)
{
    static const struct timespec pause = {0, LOOK * 1000000L};
    struct watch watch = {.practice = practice, .application = application};
    struct stat file;
    int code = stat(practice->path, &file) == 0 ? database_attend(&watch, &file)
                                                : tell(EXIT_DATABASE, "%s: %s", practice->path, strerror(errno));

    if (code != EXIT_DONE) return code;
    notify("READY=1\nSTATUS=waiting for messages");
    while (!practice_is_interrupted()) {
        bool there = database_is_there(&watch);
        if (there && is_written(&watch)) due_find(&watch);
        if (there && uptime() >= watch.wake_at) hand_over(&watch);
        else (void)nanosleep(&pause, NULL);
    }
    notify("STOPPING=1");
    (void)sqlite3_finalize(watch.version);
    return EXIT_DONE;
}
