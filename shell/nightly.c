/* portal nightly: the night's work and its report, as sql/nightly.sql has them. */
#include "command.h"

#include "embedded.h"

#include <string.h>

/* Past comments, and the lines that are for the sqlite3 shell alone. */
static const char *dots_skip(const char *sql)
{
    for (;;) {
        sql += strspn(sql, " \t\r\n");
        if (*sql != '.' && strncmp(sql, "--", 2) != 0) return sql;
        sql += strcspn(sql, "\n");
    }
}

static int statement_report(struct practice *practice, sqlite3_stmt *statement)
{
    int code;

    while ((code = practice_step(practice, statement)) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(statement, 0);
        (void)puts(line == NULL ? "" : line);
    }
    return code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
}

/* What the report named is for somebody to look at, says the exit code too. */
static int attention(struct practice *practice)
{
    sqlite3_stmt *statement = practice_prepare(practice, "SELECT EXISTS (SELECT 1 FROM temp.finding)");
    int code = EXIT_DATABASE;

    if (statement == NULL) return code;
    if (practice_step(practice, statement) == SQLITE_ROW) {
        code = sqlite3_column_int(statement, 0) != 0 ? EXIT_PARTLY : EXIT_DONE;
    } else {
        code = practice_failed(practice);
    }
    (void)sqlite3_finalize(statement);
    return code;
}

int nightly_run(struct invocation *invocation)
{
    struct practice *practice = &invocation->practice;
    const char *sql = embedded_find("nightly.sql");
    int code = EXIT_DONE;

    while (code == EXIT_DONE && sql != NULL && *(sql = dots_skip(sql)) != '\0') {
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v2(practice->db, sql, -1, &statement, &sql) != SQLITE_OK) return practice_failed(practice);
        if (statement != NULL) code = statement_report(practice, statement);
        (void)sqlite3_finalize(statement);
    }
    if (code == EXIT_DONE) code = output_end(stdout);
    return code == EXIT_DONE ? attention(practice) : code;
}
