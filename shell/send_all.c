/* portal send-all: who can be sent a registration and who not, and why; then sends. */
#include "command.h"

#include "ask.h"
#include "handover.h"
#include "progress.h"
#include "tell.h"

#include <string.h>

static const char chosen_table[] =
    "CREATE TEMP TABLE portal_chosen (patient_id, patient_name TEXT, problem TEXT)";
/* The condition may end in a comment. */
static const char chosen_form[] =
    "INSERT INTO temp.portal_chosen SELECT \"%w\", \"%w\" || ' ' || \"%w\", send_problem(\"%w\", :by)"
    " FROM main.\"%w\" WHERE (%s\n) ORDER BY 1";
/* Where patients are; of a practice's own table who is not active is left to send_problem(). */
static const char where_patients_are[] =
    "SELECT max(source) FILTER (WHERE field = 'table'), max(source) FILTER (WHERE field = 'patient_id'),"
    " max(source) FILTER (WHERE field = 'first_name'), max(source) FILTER (WHERE field = 'last_name') FROM portal_mapping";
static const char problems[] =
    "SELECT patient_id, patient_name, problem FROM temp.portal_chosen WHERE problem IS NOT NULL ORDER BY patient_id";
static const char sendable[] = "SELECT count(*) FROM temp.portal_chosen WHERE problem IS NULL";
static const char send[] =
    "INSERT OR IGNORE INTO send_registration (patient_id, channel)"
    " SELECT patient_id, :by FROM temp.portal_chosen WHERE problem IS NULL";

/* A statement that adds rows to a table, and how many it did. */
struct adding {
    const char *table;
    sqlite3_int64 added;
    struct progress progress;
};

static void row_added(void *data, int operation, char const *database, char const *table, sqlite3_int64 row)
{
    struct adding *adding = data;

    (void)database;
    (void)row;
    if (operation == SQLITE_INSERT && strcmp(table, adding->table) == 0) progress_show(&adding->progress, ++adding->added);
}

/* Runs a statement whose one parameter is the channel.  An exit code. */
static int rows_add(struct invocation *invocation, const char *sql, struct adding *adding)
{
    struct practice *practice = &invocation->practice;
    sqlite3_stmt *statement = practice_prepare(practice, sql);
    int code;

    if (statement == NULL) return EXIT_REFUSED;
    practice_bind(statement, 1, command_value(invocation, "by"));
    (void)sqlite3_update_hook(practice->db, row_added, adding);
    code = practice_step(practice, statement);
    (void)sqlite3_update_hook(practice->db, NULL, NULL);
    progress_end(&adding->progress);
    code = code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

static int chosen_sql(struct invocation *invocation, char **sql)
{
    enum { TABLE, KEY, FIRST, LAST, NAMES };
    const char *names[NAMES] = {"patient", "patient_id", "first_name", "last_name"};
    const char *where = command_value(invocation, "where");
    sqlite3_stmt *row = practice_prepare(&invocation->practice, where_patients_are);
    bool mapped = false;

    *sql = NULL;
    if (row == NULL || practice_step(&invocation->practice, row) != SQLITE_ROW) return practice_failed(&invocation->practice);
    for (int i = 0; i < NAMES; i++) {
        if (sqlite3_column_type(row, i) == SQLITE_NULL) continue;
        names[i] = (const char *)sqlite3_column_text(row, i);
        mapped = true;
    }
    if (where == NULL) where = mapped ? "1" : "active";
    *sql = sqlite3_mprintf(chosen_form, names[KEY], names[FIRST], names[LAST], names[KEY], names[TABLE], where);
    (void)sqlite3_finalize(row);
    return *sql == NULL ? tell(EXIT_REFUSED, "out of memory") : EXIT_DONE;
}

static int choose(struct invocation *invocation)
{
    struct adding adding = {.table = "portal_chosen"};
    char *sql = NULL;
    int code = chosen_sql(invocation, &sql);

    if (code == EXIT_DONE) code = practice_run(&invocation->practice, chosen_table);
    progress_begin(&adding.progress, "looking at", "patients", 0);
    if (code == EXIT_DONE) code = rows_add(invocation, sql, &adding);
    sqlite3_free(sql);
    return code;
}

/* Shows whom it leaves out, and counts the others. */
static int chosen_show(struct invocation *invocation, long *left_out, sqlite3_int64 *found)
{
    struct practice *practice = &invocation->practice;
    sqlite3_stmt *statement = practice_prepare(practice, problems);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    code = output_rows(practice, statement, stdout, invocation->form, NULL, left_out);
    (void)sqlite3_finalize(statement);
    if (code != EXIT_DONE) return code;
    statement = practice_prepare(practice, sendable);
    if (statement == NULL) return EXIT_DATABASE;
    if (practice_step(practice, statement) == SQLITE_ROW) *found = sqlite3_column_int64(statement, 0);
    else code = practice_failed(practice);
    (void)sqlite3_finalize(statement);
    if (code == EXIT_DONE) (void)fprintf(stderr, "%lld can be sent to, %ld not.\n", *found, *left_out);
    return code;
}

/* True for an answer that begins with y. */
static bool confirmed(const struct invocation *invocation, sqlite3_int64 found)
{
    char question[80], answer[20];

    if (command_value(invocation, "yes") != NULL) return true;
    (void)snprintf(question, sizeof question, "Send to %lld by %.20s? [y/N] ", found, command_value(invocation, "by"));
    return ask_line(question, answer, sizeof answer) && (*answer == 'y' || *answer == 'Y');
}

/* In one write, which Ctrl-C undoes; then they are handed over. */
static int send_chosen(struct invocation *invocation, sqlite3_int64 found)
{
    struct practice *practice = &invocation->practice;
    struct adding adding = {.table = "portal_registration"};
    int code;

    progress_begin(&adding.progress, "queueing", "messages", found);
    code = rows_add(invocation, send, &adding);
    if (code != EXIT_DONE) return tell(code, "nothing was sent");
    if (adding.added < found) {
        (void)tell(EXIT_PARTLY, "%lld more were refused; --dry-run shows why", found - adding.added);
    }
    code = handover_run(practice, 0, stderr, OUTPUT_TABLE);
    return code == EXIT_DONE && adding.added < found ? EXIT_PARTLY : code;
}

int send_all_run(struct invocation *invocation)
{
    sqlite3_int64 found = 0;
    long left_out = 0;
    int code = choose(invocation);

    if (code == EXIT_DONE) code = chosen_show(invocation, &left_out, &found);
    if (code != EXIT_DONE || command_value(invocation, "dry-run") != NULL) return code;
    if (found == 0) return left_out == 0 ? EXIT_DONE : tell(EXIT_REFUSED, "nothing was sent");
    if (!confirmed(invocation, found)) {
        return tell(practice_is_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED, "nothing was sent");
    }
    code = send_chosen(invocation, found);
    return code == EXIT_DONE && left_out > 0 ? EXIT_PARTLY : code;
}
