/*
** portal backup: a copy of the database while others go on working with it.  Private from its first byte,
** and under its name only when it is whole and on the disk.
*/
#include "command.h"

#include "progress.h"
#include "tell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGES = 2000 };

/* A backup that is being made. */
struct backup {
    struct practice *practice;
    const char *path;
    char draft[PATH_MAX];
    char why[512];                 /* what went wrong; "": nothing */
};

static bool failed(struct backup *backup, const char *why)
{
    (void)snprintf(backup->why, sizeof backup->why, "%s", why);
    return false;
}

static bool pages_copy(struct backup *backup, sqlite3 *to)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", backup->practice->db, "main");
    struct progress progress;
    int code = SQLITE_OK;

    if (copy == NULL) return failed(backup, sqlite3_errmsg(to));
    progress_begin(&progress, "copying", "pages", 0);
    while (code == SQLITE_OK) {
        code = practice_is_interrupted() ? SQLITE_INTERRUPT : sqlite3_backup_step(copy, PAGES);
        progress.total = sqlite3_backup_pagecount(copy);
        progress_show(&progress, progress.total - sqlite3_backup_remaining(copy));
    }
    progress_end(&progress);
    (void)sqlite3_backup_finish(copy);
    return code == SQLITE_DONE || failed(backup, sqlite3_errstr(code));
}

/* The draft is of no use until it is whole: no journal, and one sync at the end. */
static bool draft_fill(struct backup *backup)
{
    sqlite3 *to = NULL;
    bool done = sqlite3_open_v2(backup->draft, &to, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK ||
                failed(backup, sqlite3_errmsg(to));

    done = done && sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL) == SQLITE_OK;
    done = done && pages_copy(backup, to);
    (void)sqlite3_close(to);
    return done;
}

/*
** All in one read transaction: what others write meanwhile has no copy begin anew, so it ends however much
** they write; in WAL mode nobody waits for it.
*/
static bool snapshot_copy(struct backup *backup)
{
    sqlite3 *db = backup->practice->db;
    bool done = sqlite3_exec(db, "BEGIN; SELECT count(*) FROM main.sqlite_schema", NULL, NULL, NULL) == SQLITE_OK ||
                failed(backup, sqlite3_errmsg(db));

    done = done && draft_fill(backup);
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

/* The first value of a statement's only row, to be freed; NULL: it is NULL, or `why` says what went wrong. */
static char *value_of(struct backup *backup, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    char *value = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        value = text == NULL ? NULL : strdup(text);
    } else {
        (void)failed(backup, sqlite3_errmsg(db));
    }
    (void)sqlite3_finalize(statement);
    return value;
}

/* What was copied is what is checked.  Its audit may be broken as that of the database is: it is a backup all the same. */
static bool copy_check(struct backup *backup)
{
    struct practice copy = {.db = NULL};
    bool opened = practice_open(&copy, backup->draft, NULL, NEEDS_DATABASE) == EXIT_DONE;
    char *checked = opened ? value_of(backup, copy.db, "PRAGMA main.quick_check(1)") : NULL;
    bool whole = checked != NULL && strcmp(checked, "ok") == 0;

    if (!whole && *backup->why == '\0') (void)failed(backup, checked == NULL ? "can not be read back" : checked);
    if (whole) {
        char *broken = value_of(backup, copy.db, "SELECT portal_audit_verify()");
        if (broken != NULL) (void)failed(backup, broken);
        free(broken);
    }
    free(checked);
    practice_close(&copy);
    return whole;
}

static bool synced(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool is_synced = file >= 0 && fsync(file) == 0;

    if (file >= 0) (void)close(file);
    return is_synced;
}

static bool folder_synced(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1, slash == NULL ? "." : path);
    return synced(folder);
}

/* Under its name, where nothing may have come to be meanwhile; not every file system can promise that. */
static bool draft_publish(struct backup *backup)
{
    struct stat status;
    bool done;

    if (!synced(backup->draft)) return failed(backup, strerror(errno));
    done = renameat2(AT_FDCWD, backup->draft, AT_FDCWD, backup->path, RENAME_NOREPLACE) == 0;
    if (!done && errno == EINVAL && lstat(backup->path, &status) != 0) done = rename(backup->draft, backup->path) == 0;
    return (done && folder_synced(backup->path)) || failed(backup, strerror(errno));
}

static int made(struct backup *backup)
{
    int file = mkstemp(backup->draft);      /* of mode 0600 */

    if (file < 0) return tell(EXIT_REFUSED, "%s: %s; there is no backup", backup->path, strerror(errno));
    (void)close(file);
    if (snapshot_copy(backup) && copy_check(backup) && draft_publish(backup)) return EXIT_DONE;
    (void)unlink(backup->draft);
    (void)tell(0, "%s: %s; there is no backup", backup->path, backup->why);
    return practice_is_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED;
}

int backup_run(struct invocation *invocation)
{
    struct backup backup = {.practice = &invocation->practice, .path = command_value(invocation, "file")};
    const char *named = getenv("PORTAL_KEY_FILE");
    struct stat status;
    char key[PATH_MAX];
    char *sentence;
    int code;

    if (strcmp(backup.path, "-") == 0) return tell(EXIT_USAGE, "a backup needs a file: it can not go to standard output");
    if (lstat(backup.path, &status) == 0) return tell(EXIT_REFUSED, "%s is there already; name another file", backup.path);
    if (snprintf(backup.draft, sizeof backup.draft, "%s.XXXXXX", backup.path) >= (int)sizeof backup.draft) {
        return tell(EXIT_REFUSED, "%s: %s; there is no backup", backup.path, strerror(ENAMETOOLONG));
    }
    /* The copy is read with the key of the database. */
    if (named == NULL || *named == '\0') (void)snprintf(key, sizeof key, "%s.portal-key", invocation->practice.path);
    else (void)snprintf(key, sizeof key, "%s", named);
    (void)setenv("PORTAL_KEY_FILE", key, 1);
    code = made(&backup);
    if (code != EXIT_DONE) return code;
    sentence = sqlite3_mprintf("%s holds all but the key: keep %s as well, in another place.", backup.path, key);
    code = command_say(invocation, sentence);
    sqlite3_free(sentence);
    return *backup.why == '\0' ? code : tell(EXIT_PARTLY, "it is what the database is, but: %s", backup.why);
}
