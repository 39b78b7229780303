/*
** Where a call is put to the test: a database with the scene in it, kept as files in memory, so that
** every fault meets the same one.
*/
#include "fault.h"

#include "portal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

enum { VALUES_MAX = 8 };

static const char path[] = "practice.db";

/* The first thing that went wrong in a sweep. */
static char first_problem[1024];

void problem_note(const char *format, ...)
{
    va_list arguments;

    if (first_problem[0] != '\0') return;
    va_start(arguments, format);
    (void)vsnprintf(first_problem, sizeof first_problem, format, arguments);
    va_end(arguments);
}

void problem_forget(void)
{
    first_problem[0] = '\0';
}

const char *problem_first(void)
{
    return first_problem[0] == '\0' ? NULL : first_problem;
}

/* Connections */

/* In the place of the one in portal.d, which makes some ten thousand allocations for a sheet. */
static int print_little(void *data, const portal_sheet *sheet, portal_print *print)
{
    (void)data;
    (void)sheet;
    print->pdf = sqlite3_mprintf("%%PDF");
    print->size = 5;         /* with its end, for answer_row() */
    return print->pdf == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int printer_register(sqlite3 *db)
{
    static const portal_printer printer = {.version = PORTAL_API_VERSION, .name = "poster", .print = print_little};
    portal_api *api = portal_api_from_db(db);

    return api == NULL ? SQLITE_NOMEM : api->register_printer(api, &printer, NULL, NULL);
}

sqlite3 *stage_open(void)
{
    sqlite3 *db = NULL;
    char *error = NULL;
    int code = sqlite3_open(path, &db);

    if (code == SQLITE_OK) code = sqlite3_portal_init(db, &error, NULL);
    if (code == SQLITE_OK) code = printer_register(db);
    /* A checkpoint after every commit, so that it too meets the faults. */
    if (code == SQLITE_OK) code = sqlite3_wal_autocheckpoint(db, 1);
    sqlite3_free(error);
    if (code == SQLITE_OK) return db;
    (void)sqlite3_close(db);
    return NULL;
}

static void advance(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    memory_clock += sqlite3_value_int64(argv[0]);
    sqlite3_result_int64(context, memory_clock);
}

/* A database as the scene and the case leave it, made once for all forms of the case. */
static struct {
    const struct fault_case *fault_case;
    enum fault_journal journal;
    sqlite3_int64 clock;
    struct files *files;
    int count;
    struct {
        char name[16];
        sqlite3_value *value;
    } value[VALUES_MAX];
} prepared;

/* The slot of a name, the first free one when there is none yet. */
static int value_slot(const char *name)
{
    int at = 0;

    while (at < prepared.count && strcmp(prepared.value[at].name, name) != 0) at++;
    return at;
}

/* A value that the scene gives a name: for the calls, and for what the scene says next. */
static int value_keep(sqlite3 *db, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    int at = value_slot(name);
    sqlite3_stmt *statement = NULL;
    int code;

    if (at == VALUES_MAX) return SQLITE_FULL;
    if (at == prepared.count) prepared.count++;
    (void)snprintf(prepared.value[at].name, sizeof prepared.value[at].name, "%s", name);
    sqlite3_value_free(prepared.value[at].value);
    prepared.value[at].value = sqlite3_value_dup(sqlite3_column_value(row, 1));
    (void)sqlite3_reset(row);
    code = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO scene VALUES (?1, ?2)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 1, prepared.value[at].name, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) code = sqlite3_bind_value(statement, 2, prepared.value[at].value);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return code;
}

/* Runs the statements of a scene.  SQLITE_OK or the first error. */
static int play(sqlite3 *db, const char *sql)
{
    int code = sqlite3_create_function(db, "advance", 1, SQLITE_UTF8, NULL, advance, NULL, NULL);

    while (code == SQLITE_OK && *sql != '\0') {
        sqlite3_stmt *statement = NULL;
        code = sqlite3_prepare_v2(db, sql, -1, &statement, &sql);
        if (code == SQLITE_OK && statement != NULL) code = sqlite3_step(statement);
        if (code == SQLITE_ROW && sqlite3_column_count(statement) == 2) {
            code = value_keep(db, statement);
        }
        while (code == SQLITE_ROW) code = sqlite3_step(statement);
        if (code == SQLITE_DONE) code = SQLITE_OK;
        (void)sqlite3_finalize(statement);
    }
    return code;
}

bool stage_set(const struct fault_case *wanted, enum fault_journal journal)
{
    bool wal = journal == JOURNAL_WAL;
    sqlite3 *db;
    int code;

    if (prepared.fault_case == wanted && prepared.journal == journal) return true;
    stage_clear();
    (void)unlink(STAGE_KEY);
    db = stage_open();
    /* Another encoding has SQLite make a copy of every text that is read: more that can fail. */
    code = sqlite3_exec(db, wal ? "PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = WAL"
                                : "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    for (int i = 0; scene[i] != NULL && code == SQLITE_OK && !wanted->empty; i++) {
        code = play(db, scene[i]);
    }
    if (code == SQLITE_OK && wanted->set_up != NULL) code = play(db, wanted->set_up);
    if (code != SQLITE_OK) problem_note("the scene can not be set: %s", sqlite3_errmsg(db));
    if (wal) prepared.files = files_copy();     /* with a WAL in use */
    if (sqlite3_close(db) != SQLITE_OK) code = SQLITE_BUSY;
    if (!wal) prepared.files = files_copy();
    if (files_open() != 0) problem_note("the scene leaves a file open");
    (void)unlink(KEPT_KEY);
    (void)link(STAGE_KEY, KEPT_KEY);
    prepared.fault_case = wanted;
    prepared.journal = journal;
    prepared.clock = memory_clock;
    return code == SQLITE_OK;
}

void stage_clear(void)
{
    for (int i = 0; i < prepared.count; i++) sqlite3_value_free(prepared.value[i].value);
    files_free(prepared.files);
    memset(&prepared, 0, sizeof prepared);
    memory_clock = MEMORY_START;
    files_restore(NULL);
}

/* A call may have put another file in its place. */
static void key_restore(void)
{
    (void)unlink(KEPT_KEY ".new");
    (void)link(KEPT_KEY, KEPT_KEY ".new");
    (void)rename(KEPT_KEY ".new", STAGE_KEY);
}

void stage_restore(void)
{
    files_restore(prepared.files);
    memory_clock = prepared.clock;
    fault_spared_draft = false;
    folder_synced = false;
    if (prepared.fault_case->empty) (void)unlink(STAGE_KEY);
    else key_restore();
}

/* The call */

static int bind(sqlite3_stmt *statement)
{
    int code = SQLITE_OK;

    for (int i = 1; i <= sqlite3_bind_parameter_count(statement) && code == SQLITE_OK; i++) {
        int at = value_slot(sqlite3_bind_parameter_name(statement, i) + 1);
        code = at == prepared.count ? SQLITE_MISUSE
                                    : sqlite3_bind_value(statement, i, prepared.value[at].value);
    }
    return code;
}

static void answer_add(struct outcome *outcome, const char *text)
{
    size_t used = strlen(outcome->answer);

    for (const char *at = text; *at != '\0'; at++) {
        outcome->hash = (outcome->hash ^ (unsigned char)*at) * 1099511628211u;
    }
    (void)snprintf(outcome->answer + used, sizeof outcome->answer - used, "%s", text);
}

static void answer_row(struct outcome *outcome, sqlite3_stmt *statement)
{
    fault_pause(true);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        /* As text a blob would be of the database's encoding, where SQLite knows that already. */
        const char *text = sqlite3_column_type(statement, i) == SQLITE_BLOB ? sqlite3_column_blob(statement, i)
                                                                             : (const char *)sqlite3_column_text(statement, i);
        answer_add(outcome, text == NULL ? "NULL" : text);
        answer_add(outcome, "|");
    }
    fault_pause(false);
}

void stage_run(sqlite3 *db, const char *sql, struct outcome *outcome)
{
    sqlite3_stmt *statement = NULL;

    memset(outcome, 0, sizeof *outcome);
    outcome->code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (outcome->code == SQLITE_OK) outcome->code = bind(statement);
    if (outcome->code == SQLITE_OK) {
        while ((outcome->code = sqlite3_step(statement)) == SQLITE_ROW) {
            answer_row(outcome, statement);
        }
    }
    if (outcome->code == SQLITE_DONE) outcome->code = SQLITE_OK;
    (void)snprintf(outcome->message, sizeof outcome->message, "%s",
                   outcome->code == SQLITE_NOMEM ? sqlite3_errstr(SQLITE_NOMEM) : sqlite3_errmsg(db));
    (void)sqlite3_finalize(statement);
}

bool stage_tells(sqlite3 *db, const char *sql, const char *expected)
{
    struct outcome outcome;

    stage_run(db, sql, &outcome);
    return outcome.code == SQLITE_OK && strcmp(outcome.answer, expected) == 0;
}

bool stage_look(struct state *state)
{
    sqlite3 *db = stage_open();
    bool read = db != NULL && state_read(db, state);

    return sqlite3_close(db) == SQLITE_OK && read;
}
