/* portal audit: what happened, and whether it is still what was written. */
#include "command.h"

#include "tell.h"

#include <stdlib.h>
#include <string.h>

static const char verify[] = "SELECT portal_audit_verify()";
/* As the nightly report prints them: an older database put back shows only against those. */
static const char verdict[] =
    "SELECT coalesce(:broken, 'whole') AS audit, audit_count AS events, lower(hex(audit_head)) AS head FROM portal_state";

/* An exit code; *broken is NULL when it is whole, else to be freed. */
static int verify_run(struct practice *practice, char **broken)
{
    sqlite3_stmt *statement = practice_prepare(practice, verify);
    const char *text;
    int code = EXIT_DONE;

    *broken = NULL;
    if (statement == NULL) return EXIT_DATABASE;
    if (practice_step(practice, statement) != SQLITE_ROW) code = practice_failed(practice);
    text = code == EXIT_DONE ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (text != NULL && (*broken = strdup(text)) == NULL) code = tell(EXIT_REFUSED, "out of memory");
    (void)sqlite3_finalize(statement);
    return code;
}

static int verdict_show(struct invocation *invocation, const char *broken)
{
    sqlite3_stmt *statement = practice_prepare(&invocation->practice, verdict);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, broken);
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, NULL, NULL);
    (void)sqlite3_finalize(statement);
    return code == EXIT_DONE && broken != NULL ? tell(EXIT_REFUSED, "the audit is broken: %s", broken) : code;
}

int audit_run(struct invocation *invocation)
{
    char *broken = NULL;
    int code;

    if (command_value(invocation, "verify") == NULL) {
        return command_query(invocation,
                             invocation->patient == NULL
                                 ? "SELECT * FROM portal_events ORDER BY event_id"
                                 : "SELECT * FROM portal_events WHERE patient_id = :patient ORDER BY event_id");
    }
    if (invocation->patient != NULL) return tell(EXIT_USAGE, "the audit is verified as a whole: leave out the patient");
    code = verify_run(&invocation->practice, &broken);
    if (code == EXIT_DONE) code = verdict_show(invocation, broken);
    free(broken);
    return code;
}
