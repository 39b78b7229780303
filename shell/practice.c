#include "practice.h"

#include "tell.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ten seconds for a locked database, at a time as long as another's write may take. */
enum { PATIENCE_TRIES = 400, PATIENCE_PAUSE = 25 /* milliseconds */ };

int sqlite3_portal_init(sqlite3 *db, char **error, const void *routines);

/* What Ctrl-C is to stop. */
static sqlite3 *interruptible;
static volatile sig_atomic_t interrupted;

bool practice_is_interrupted(void)
{
    return interrupted != 0;
}

/* Again after a second: a statement that was about to begin has not seen it. */
static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
    if (interruptible != NULL) sqlite3_interrupt(interruptible);
    (void)alarm(1);
}

/* SQLite's own busy handler would not end when we are to. */
static int be_patient(void *nothing, int tries)
{
    (void)nothing;
    if (interrupted != 0 || tries >= PATIENCE_TRIES) return 0;
    (void)sqlite3_sleep(tries < PATIENCE_PAUSE ? tries + 1 : PATIENCE_PAUSE);
    return 1;
}

/* A new file needs a folder; SQLite would not say why it can not be made. */
static int folder_check(const char *path)
{
    char *copy = strdup(path);
    const char *folder = copy == NULL ? "." : dirname(copy);
    int code = access(folder, W_OK | X_OK) == 0 ? EXIT_DONE
                                                : tell(EXIT_DATABASE, "%s: %s: %s", path, folder, strerror(errno));

    free(copy);
    return code;
}

static int file_check(const char *path, enum practice_needs needs)
{
    struct stat status;

    if (needs == NEEDS_NOTHING) return EXIT_DONE;
    if (stat(path, &status) == 0) {
        return S_ISREG(status.st_mode) ? EXIT_DONE : tell(EXIT_DATABASE, "%s: is no file", path);
    }
    if (errno != ENOENT) return tell(EXIT_DATABASE, "%s: %s", path, strerror(errno));
    if (needs != NEEDS_ROOM) return tell(EXIT_DATABASE, "%s: there is no such file; portal init makes a database", path);
    /* What a practice keeps is not for everybody on the machine to read. */
    (void)umask(umask(0) | S_IRWXO);
    return folder_check(path);
}

/* A server that hangs up, or a pager that is left, must not end a hand-over: writing fails, and says so. */
static void signals_take(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* Acts for another application; and without the portal's tables only what needs none goes on. */
static int practice_begin(struct practice *practice, const char *application, enum practice_needs needs)
{
    static const char tables[] = "SELECT 1 FROM main.sqlite_schema WHERE name = 'portal_state'";
    sqlite3_stmt *statement = NULL;
    int code;

    if (sqlite3_prepare_v2(practice->db, tables, -1, &statement, NULL) != SQLITE_OK) {
        if (sqlite3_errcode(practice->db) == SQLITE_BUSY) return practice_failed(practice);
        return tell(EXIT_DATABASE, "%s: %s", practice->path, sqlite3_errmsg(practice->db));
    }
    code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) return practice_failed(practice);
    if (code == SQLITE_DONE && needs == NEEDS_PORTAL) {
        return tell(EXIT_DATABASE, "%s: has no tables of the portal; portal init makes them", practice->path);
    }
    if (application == NULL || strcmp(application, "ehr") == 0) return EXIT_DONE;
    statement = practice_prepare(practice, "SELECT portal_as(:application)");
    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, application);
    code = practice_step(practice, statement) == SQLITE_ROW ? EXIT_DONE : practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

int practice_open(struct practice *practice, const char *path, const char *application, enum practice_needs needs)
{
    int flags = SQLITE_OPEN_READWRITE | (needs == NEEDS_ROOM ? SQLITE_OPEN_CREATE : 0);
    int code = file_check(path, needs);

    practice->path = path;
    if (code != EXIT_DONE) return code;
    /* Not called by ourselves: SQLite hands over what plugins call it by. */
    if (sqlite3_auto_extension((void (*)(void))sqlite3_portal_init) != SQLITE_OK) {
        return tell(EXIT_DATABASE, "%s: out of memory", path);
    }
    if (sqlite3_open_v2(path, &practice->db, flags, NULL) != SQLITE_OK) {
        return tell(EXIT_DATABASE, "%s: %s", path, practice->db == NULL ? "out of memory" : sqlite3_errmsg(practice->db));
    }
    (void)sqlite3_busy_handler(practice->db, be_patient, NULL);
    interruptible = practice->db;
    signals_take();
    return practice_begin(practice, application, needs);
}

void practice_close(struct practice *practice)
{
    interruptible = NULL;
    (void)sqlite3_close_v2(practice->db);
    practice->db = NULL;
}

sqlite3_stmt *practice_prepare(struct practice *practice, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(practice->db, sql, -1, &statement, NULL) == SQLITE_OK) return statement;
    (void)practice_failed(practice);
    return NULL;
}

void practice_bind(sqlite3_stmt *statement, int parameter, const char *text)
{
    /* Without memory it stays NULL, and the call says what is missing. */
    if (text != NULL) (void)sqlite3_bind_text(statement, parameter, text, -1, SQLITE_TRANSIENT);
}

int practice_step(struct practice *practice, sqlite3_stmt *statement)
{
    char *sql = practice->shows_sql && !sqlite3_stmt_busy(statement) ? sqlite3_expanded_sql(statement) : NULL;

    if (sql != NULL) (void)fprintf(stderr, "%s;\n", sql);
    sqlite3_free(sql);
    return sqlite3_step(statement);
}

int practice_failed(struct practice *practice)
{
    static const struct { int code; int exit; } rows[] = {
        {SQLITE_BUSY, EXIT_BUSY},         {SQLITE_LOCKED, EXIT_BUSY},
        {SQLITE_NOTADB, EXIT_DATABASE},   {SQLITE_CORRUPT, EXIT_DATABASE},
        {SQLITE_CANTOPEN, EXIT_DATABASE}, {SQLITE_READONLY, EXIT_DATABASE},
        {SQLITE_FULL, EXIT_DATABASE},     {SQLITE_IOERR, EXIT_DATABASE},
    };
    /* Told by the extension, and no refusal: it is missing, unreadable or another's. */
    static const char about_key[] = "the key file ";
    int code = sqlite3_errcode(practice->db) & 0xff;

    if (practice_is_interrupted()) return tell(EXIT_INTERRUPTED, "interrupted");
    (void)tell(EXIT_REFUSED, "%s", sqlite3_errmsg(practice->db));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) return rows[i].exit;
    }
    return strncmp(sqlite3_errmsg(practice->db), about_key, strlen(about_key)) == 0 ? EXIT_DATABASE : EXIT_REFUSED;
}

int practice_run(struct practice *practice, const char *sql)
{
    sqlite3_stmt *statement = practice_prepare(practice, sql);
    int code = SQLITE_ROW;
    int result = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    while (code == SQLITE_ROW) code = practice_step(practice, statement);
    if (code != SQLITE_DONE) result = practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return result;
}
