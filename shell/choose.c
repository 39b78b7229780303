#include "command.h"
#include "tell.h"

#include <stdio.h>
#include <string.h>

static const char find[] = "SELECT patient_id, patient_name, date_of_birth, email, cell_phone FROM portal_find(:text)";

/* Reads the first of them; more are shown, and the choice is the user's. */
static int found(struct invocation *invocation, sqlite3_stmt *statement, const char *text)
{
    struct practice *practice = &invocation->practice;
    int code = practice_step(practice, statement);

    if (code == SQLITE_DONE) {
        return tell(EXIT_REFUSED, "nobody on file is meant by '%s'", text);
    }
    if (code != SQLITE_ROW) return practice_failed(practice);
    invocation->patient = sqlite3_value_dup(sqlite3_column_value(statement, 0));
    if (invocation->patient == NULL) return EXIT_REFUSED;
    code = practice_step(practice, statement);
    if (code == SQLITE_DONE) return EXIT_DONE;
    if (code != SQLITE_ROW) return practice_failed(practice);
    (void)tell(EXIT_REFUSED, "'%s' may mean several patients; say which, by the number:", text);
    (void)sqlite3_reset(statement);
    (void)output_rows(practice, statement, stderr, OUTPUT_TABLE, NULL, NULL);
    return EXIT_REFUSED;
}

int patient_choose(struct invocation *invocation)
{
    const struct parameter *arguments = invocation->command->arguments;
    sqlite3_stmt *statement;
    int code;

    for (int i = 0; arguments[i].name != NULL; i++) {
        if (arguments[i].kind != PATIENT || invocation->argument[i] == NULL) continue;
        statement = practice_prepare(&invocation->practice, find);
        if (statement == NULL) return EXIT_DATABASE;
        practice_bind(statement, 1, invocation->argument[i]);
        code = found(invocation, statement, invocation->argument[i]);
        (void)sqlite3_finalize(statement);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}
