/* portal send-all: who can be sent a registration and who not, and why; then sends. */
#include "command.h"

#include <string.h>
#include <unistd.h>

static const char chosen_form[] =
    "CREATE TEMP TABLE portal_chosen AS SELECT patient_id, first_name || ' ' || last_name AS patient_name,"
    " send_problem(patient_id, %Q) AS problem FROM patient WHERE %s ORDER BY patient_id";
static const char problems[] = "SELECT patient_id, patient_name, problem FROM temp.portal_chosen WHERE problem IS NOT NULL";
static const char sendable[] = "SELECT count(*) FROM temp.portal_chosen WHERE problem IS NULL";
static const char send[] =
    "INSERT OR IGNORE INTO send_registration (patient_id, channel)"
    " SELECT patient_id, :by FROM temp.portal_chosen WHERE problem IS NULL";
static const char deliver[] = "SELECT deliver()";

static int choose(struct invocation *invocation)
{
    const char *where = command_value(invocation, "where");
    char *sql = sqlite3_mprintf(chosen_form, command_value(invocation, "by"), where == NULL ? "active" : where);
    int code = sql == NULL ? EXIT_REFUSED : practice_run(&invocation->practice, sql);

    sqlite3_free(sql);
    return code;
}

static int count(struct practice *practice, long *found)
{
    sqlite3_stmt *statement = practice_prepare(practice, sendable);
    int code = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    if (practice_step(practice, statement) == SQLITE_ROW) *found = (long)sqlite3_column_int64(statement, 0);
    else code = practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

/* True for an answer that begins with y. */
static bool confirmed(const struct invocation *invocation, long found)
{
    char answer[20];

    if (command_value(invocation, "yes") != NULL) return true;
    (void)fprintf(stderr, "Send to %ld patients by %s? [y/N] ", found, command_value(invocation, "by"));
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

int send_all_run(struct invocation *invocation)
{
    long found = 0;
    long left_out = 0;
    sqlite3_stmt *statement;
    int code = choose(invocation);

    if (code == EXIT_DONE) code = count(&invocation->practice, &found);
    statement = code == EXIT_DONE ? practice_prepare(&invocation->practice, problems) : NULL;
    if (statement == NULL) return code == EXIT_DONE ? EXIT_DATABASE : code;
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, NULL, &left_out);
    (void)sqlite3_finalize(statement);
    (void)fprintf(stderr, "%ld can be sent to, %ld not.\n", found, left_out);
    if (code != EXIT_DONE || command_value(invocation, "dry-run") != NULL || found == 0) return code;
    if (!confirmed(invocation, found)) {
        (void)fprintf(stderr, "Nothing was sent.\n");
        return EXIT_REFUSED;
    }
    statement = practice_prepare(&invocation->practice, send);
    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, command_value(invocation, "by"));
    code = practice_step(&invocation->practice, statement) == SQLITE_DONE ? EXIT_DONE
                                                                          : practice_failed(&invocation->practice);
    (void)sqlite3_finalize(statement);
    if (code == EXIT_DONE) code = practice_run(&invocation->practice, deliver);
    return code == EXIT_DONE && left_out > 0 ? EXIT_PARTLY : code;
}
