/*
** portal doctor: looks at all that the portal needs, and says of each whether it is well, else what to do.
** The checks are rows of a table: statements of SQL, whose rows are findings, or functions.
*/
#include "command.h"

#include "tell.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct doctor {
    struct practice *practice;
    bool offline;                  /* no connection is tried */
    uid_t owner;                   /* of the database */
    int code;                      /* exit code, of what was found so far */
};

struct check {
    const char *name;
    const char *sql;               /* level, finding, remedy; no row: `well` */
    const char *well;
    void (*run)(struct doctor *doctor, const char *name);
};

static const char make_table[] =
    "CREATE TEMP TABLE finding (level TEXT, checked TEXT, finding TEXT, remedy TEXT)";
static const char add_finding[] = "INSERT INTO temp.finding VALUES (:level, :checked, :finding, :remedy)";
static const char show_findings[] = "SELECT level, checked, finding, remedy FROM temp.finding ORDER BY rowid";
static const char read_setting[] = "SELECT portal_setting(:key)";
static const char try_channel[] = "SELECT portal_try_channel(:name)";

/* Findings */

__attribute__((format(printf, 5, 6))) static void found(struct doctor *doctor, const char *level, const char *name,
                                                        const char *remedy, const char *format, ...)
{
    sqlite3_stmt *statement = NULL;
    char finding[1000];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(finding, sizeof finding, format, arguments);
    va_end(arguments);
    if (strcmp(level, "problem") == 0) doctor->code = EXIT_REFUSED;
    if (strcmp(level, "warning") == 0 && doctor->code == EXIT_DONE) doctor->code = EXIT_PARTLY;
    /* What is done with the findings is no statement that anybody needs to type. */
    if (sqlite3_prepare_v2(doctor->practice->db, add_finding, -1, &statement, NULL) == SQLITE_OK) {
        practice_bind(statement, 1, level);
        practice_bind(statement, 2, name);
        practice_bind(statement, 3, finding);
        practice_bind(statement, 4, remedy);
        (void)sqlite3_step(statement);
    }
    if (sqlite3_finalize(statement) != SQLITE_OK) (void)tell(0, "%s: %s", name, finding);
}

static const char *column(sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index);
}

static void statement_check(struct doctor *doctor, const struct check *check)
{
    sqlite3 *db = doctor->practice->db;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, check->sql, -1, &statement, NULL);
    int rows = 0;

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = practice_step(doctor->practice, statement);
        if (code != SQLITE_ROW) break;
        rows++;
        found(doctor, column(statement, 0), check->name, column(statement, 2), "%s", column(statement, 1));
    }
    if (code != SQLITE_DONE) found(doctor, "problem", check->name, NULL, "%s", sqlite3_errmsg(db));
    else if (rows == 0) found(doctor, "well", check->name, NULL, "%s", check->well);
    (void)sqlite3_finalize(statement);
}

/* Files */

/* Nobody else has any business there: patients' data, or the key to them. */
static void place_check(struct doctor *doctor, const char *name, const char *path, mode_t forbidden)
{
    struct stat status;
    char remedy[PATH_MAX + 100];

    if (stat(path, &status) != 0) {
        found(doctor, "problem", name, "put it back from its backup", "%s: %s", path, strerror(errno));
    } else if ((status.st_mode & forbidden) != 0 && (status.st_mode & S_ISVTX) == 0) {
        (void)snprintf(remedy, sizeof remedy, "chmod %s '%s'", S_ISDIR(status.st_mode) ? "o-w" : "go-w,o-rwx", path);
        found(doctor, "problem", name, remedy, "other users can %s it (mode %03o)",
              S_ISDIR(status.st_mode) ? "replace what is in" : "read or change", (unsigned)(status.st_mode & 0777));
    } else if (access(path, W_OK) != 0) {
        found(doctor, "problem", name, "run portal as the user that it belongs to", "%s: %s", path, strerror(errno));
    } else if (!S_ISDIR(status.st_mode) && status.st_uid != doctor->owner) {
        (void)snprintf(remedy, sizeof remedy, "chown %lu '%s'", (unsigned long)doctor->owner, path);
        found(doctor, "warning", name, remedy, "%s belongs to another user than the database", path);
    } else {
        found(doctor, "well", name, NULL, "%s (mode %03o)", path, (unsigned)(status.st_mode & 0777));
    }
}

static const char *database_path(const struct doctor *doctor)
{
    return sqlite3_db_filename(doctor->practice->db, "main");
}

static void database_check(struct doctor *doctor, const char *name)
{
    place_check(doctor, name, database_path(doctor), S_IRWXO | S_IWGRP);
}

static void key_check(struct doctor *doctor, const char *name)
{
    const char *named = getenv("PORTAL_KEY_FILE");
    char path[PATH_MAX];

    if (named != NULL && *named != '\0') (void)snprintf(path, sizeof path, "%s", named);
    else (void)snprintf(path, sizeof path, "%s.portal-key", database_path(doctor));
    place_check(doctor, name, path, S_IRWXO | S_IWGRP);
}

static void folder_of(const struct doctor *doctor, char folder[PATH_MAX])
{
    const char *path = database_path(doctor);

    (void)snprintf(folder, PATH_MAX, "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
}

static void folder_check(struct doctor *doctor, const char *name)
{
    char folder[PATH_MAX];

    folder_of(doctor, folder);
    place_check(doctor, name, folder, S_IWOTH);
}

/* As much again as the database takes is what a backup beside it, or VACUUM, wants. */
static void room_check(struct doctor *doctor, const char *name)
{
    enum { MEGABYTE = 1 << 20, LEAST = 100 };
    char folder[PATH_MAX];
    struct statvfs disk;
    struct stat status;
    unsigned long long room;

    folder_of(doctor, folder);
    if (statvfs(folder, &disk) != 0 || stat(database_path(doctor), &status) != 0) {
        found(doctor, "problem", name, NULL, "%s: %s", folder, strerror(errno));
        return;
    }
    room = (unsigned long long)disk.f_bavail * disk.f_frsize / MEGABYTE;
    if (room < LEAST) found(doctor, "problem", name, "make room on the disk", "%llu MB are free", room);
    else if (room < (unsigned long long)status.st_size / MEGABYTE) {
        found(doctor, "warning", name, "make room on the disk", "%llu MB are free: less than the database takes", room);
    } else {
        found(doctor, "well", name, NULL, "%llu MB are free", room);
    }
}

/* Channels */

/* The first value of a statement with one text bound, to be freed; *failed: there is none. */
static char *answer(struct doctor *doctor, const char *sql, const char *text, bool *failed)
{
    sqlite3_stmt *statement = practice_prepare(doctor->practice, sql);
    char *value = NULL;

    *failed = true;
    if (statement == NULL) return NULL;
    practice_bind(statement, 1, text);
    if (practice_step(doctor->practice, statement) == SQLITE_ROW) {
        const char *own = column(statement, 0);
        value = own == NULL ? NULL : strdup(own);
        *failed = own != NULL && value == NULL;
    }
    (void)sqlite3_finalize(statement);
    return value;
}

static void channel_check(struct doctor *doctor, const char *name, const char *channel)
{
    bool failed = false;
    char *wrong;

    if (doctor->offline) {
        found(doctor, "not tried", name, NULL, "%s: --offline", channel);
        return;
    }
    wrong = answer(doctor, try_channel, channel, &failed);
    if (failed) found(doctor, "problem", name, NULL, "%s", sqlite3_errmsg(doctor->practice->db));
    else if (wrong == NULL) found(doctor, "well", name, NULL, "%s: it lets us in", channel);
    else if (strncmp(wrong, "can not be tried", 16) == 0) found(doctor, "not tried", name, NULL, "%s: %s", channel, wrong);
    else found(doctor, "problem", name, NULL, "%s: %s", channel, wrong);
    free(wrong);
}

/* Often one channel carries both. */
static void channels_check(struct doctor *doctor, const char *name)
{
    bool failed = false;
    bool failed_too = false;
    char *mail = answer(doctor, read_setting, "email_channel", &failed);
    char *text = answer(doctor, read_setting, "text_channel", &failed_too);

    if (failed || failed_too || mail == NULL || text == NULL) {
        found(doctor, "problem", name, NULL, "%s", sqlite3_errmsg(doctor->practice->db));
    } else {
        channel_check(doctor, name, mail);
        if (strcmp(mail, text) != 0) channel_check(doctor, name, text);
    }
    free(mail);
    free(text);
}

static const struct check checks[] = {
    {"version", "SELECT 'well', portal_version(), NULL", NULL, NULL},
    {"database file", NULL, NULL, database_check},
    {"key file", NULL, NULL, key_check},
    {"folder", NULL, NULL, folder_check},
    {"free space", NULL, NULL, room_check},
    {"integrity",
     "SELECT 'problem', quick_check, 'restore the database from a backup' FROM pragma_quick_check(5)"
     " WHERE quick_check <> 'ok'", "the database is whole", NULL},
    {"journal",
     "SELECT iif(safe, 'well', 'problem'), 'journal mode ' || journal_mode, iif(safe, NULL, 'PRAGMA journal_mode = wal')"
     "  FROM (SELECT *, journal_mode IN ('wal', 'delete', 'truncate', 'persist') AS safe FROM pragma_journal_mode)",
     NULL, NULL},
    {"schema", "SELECT 'well', 'schema version ' || schema_version, NULL FROM portal_state", NULL, NULL},
    {"audit and key",
     "WITH verified (broken) AS MATERIALIZED (SELECT portal_audit_verify())"
     " SELECT 'problem', broken, 'find out who changed it; restore the database from a backup' FROM verified"
     "  WHERE broken IS NOT NULL", "the audit is whole, and the key is the database's", NULL},
    {"settings",
     "SELECT 'problem', key || ' is not set', format('portal setting %s ...', key) FROM portal_settings"
     " WHERE value = default_value AND key IN ('practice_name', 'practice_phone', 'portal_url', 'mail_from')",
     "practice, phone, addresses are set", NULL},
    {"plugins",
     "SELECT 'problem', format('the plugin %s %s', name, detail), 'install it anew, or remove it from portal.d'"
     "  FROM portal_channels WHERE version IS NULL", "all in portal.d load", NULL},
    {"self-check", "SELECT 'problem', format('%s: %s', subject, problem), remedy FROM portal_check",
     "portal_check finds nothing", NULL},
    {"delivery",
     "SELECT 'problem', format('%d messages have waited for more than ten minutes', count(*)),"
     "       'run portal deliver --watch as a service: portal-deliver@.service' FROM portal_message"
     " WHERE due_at < unixepoch() - 600 HAVING count(*) > 0", "nothing waits for long", NULL},
    /* What it would have done shows whether it ran. */
    {"nightly run",
     "SELECT 'warning', format('%d links expired more than a day ago, and are not marked', count(*)),"
     "       'run portal nightly every night: portal-nightly@.timer' FROM portal_registration"
     " WHERE status = 'live' AND expires_at < unixepoch() - 90000 HAVING count(*) > 0", "nothing is left undone", NULL},
    {"channel", NULL, NULL, channels_check},
};

int doctor_run(struct invocation *invocation)
{
    struct doctor doctor = {.practice = &invocation->practice, .offline = command_value(invocation, "offline") != NULL};
    struct stat status;
    int code;

    if (sqlite3_exec(doctor.practice->db, make_table, NULL, NULL, NULL) != SQLITE_OK) return practice_failed(doctor.practice);
    if (stat(database_path(&doctor), &status) == 0) doctor.owner = status.st_uid;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && !practice_is_interrupted(); i++) {
        if (checks[i].run != NULL) checks[i].run(&doctor, checks[i].name);
        else statement_check(&doctor, &checks[i]);
    }
    if (practice_is_interrupted()) return tell(EXIT_INTERRUPTED, "interrupted: not all was looked at");
    code = command_query(invocation, show_findings);
    return code == EXIT_DONE ? doctor.code : code;
}
