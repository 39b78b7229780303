#include "handover.h"

#include "progress.h"
#include "tell.h"

/* While servers are waited for, a statement of few steps runs four times a second. */
enum { STEPS = 20 };

static const char deliver[] = "SELECT deliver()";
static const char deliver_some[] = "SELECT deliver(:limit)";
static const char answer_shown[] =
    "SELECT :answer ->> 'sent' AS sent, :answer ->> 'failed' AS failed, :answer ->> 'retrying' AS retrying,"
    "       :answer ->> 'waiting' AS waiting, :answer ->> 'stopped' AS stopped";
static const char answer_judged[] =
    "SELECT :answer ->> 'sent', :answer ->> 'failed', :answer ->> 'stopped' IS NOT NULL,"
    "       (SELECT count(*) FROM main.portal_message WHERE due_at IS NOT NULL)";

/* What is due, or under way. */
static const char left_sql[] =
    "SELECT (SELECT count(*) FROM main.portal_message WHERE channel IN ('email', 'text') AND due_at <= unixepoch())"
    "     + (SELECT count(*) FROM main.portal_message"
    "         WHERE channel IN ('email', 'text') AND due_at > unixepoch() AND status = 'claimed')";

/* deliver() is one statement: another connection sees how far it is. */
struct look {
    sqlite3 *other;
    sqlite3_stmt *left;
    sqlite3_int64 due;             /* messages when it began */
    struct progress progress;
};

/* -1: another process is writing just now. */
static sqlite3_int64 left_count(const struct look *look)
{
    sqlite3_int64 left = sqlite3_step(look->left) == SQLITE_ROW ? sqlite3_column_int64(look->left, 0) : -1;

    (void)sqlite3_reset(look->left);
    return left;
}

/* Called among the steps of deliver(). */
static int look_again(void *data)
{
    struct look *look = data;
    sqlite3_int64 left = progress_is_due(&look->progress) ? left_count(look) : -1;

    if (left >= 0) progress_show(&look->progress, look->due - left);
    return 0;
}

/* Without the other connection nothing is shown, and all goes on. */
static void look_begin(struct look *look, const struct practice *practice, sqlite3_int64 limit)
{
    *look = (struct look){.other = NULL};
    if (sqlite3_open_v2(practice->path, &look->other, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(look->other, left_sql, -1, &look->left, NULL) != SQLITE_OK) {
        return;
    }
    look->due = left_count(look);
    progress_begin(&look->progress, "sending", "messages", limit > 0 && limit < look->due ? limit : look->due);
    sqlite3_progress_handler(practice->db, STEPS, look_again, look);
}

static void look_end(struct look *look, struct practice *practice)
{
    sqlite3_progress_handler(practice->db, 0, NULL, NULL);
    progress_end(&look->progress);
    (void)sqlite3_finalize(look->left);
    (void)sqlite3_close(look->other);
}

/* Runs deliver(); *answer gets a copy of what it says, if it says anything.  An exit code. */
static int deliver_once(struct practice *practice, sqlite3_int64 limit, char **answer)
{
    sqlite3_stmt *statement = practice_prepare(practice, limit == 0 ? deliver : deliver_some);
    struct look look;
    int code = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    if (limit != 0) (void)sqlite3_bind_int64(statement, 1, limit);
    look_begin(&look, practice, limit);
    if (practice_step(practice, statement) == SQLITE_ROW) {
        *answer = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    } else if (!practice_is_interrupted()) {
        code = practice_failed(practice);
    }
    look_end(&look, practice);
    (void)sqlite3_finalize(statement);
    return practice_is_interrupted() ? EXIT_INTERRUPTED : code;
}

/* What the answer means; after Ctrl-C in words.  An exit code. */
static int answer_judge(struct practice *practice, const char *answer)
{
    sqlite3_stmt *statement = NULL;
    int code = EXIT_DONE;

    if (sqlite3_prepare_v2(practice->db, answer_judged, -1, &statement, NULL) != SQLITE_OK) return practice_failed(practice);
    practice_bind(statement, 1, answer);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        code = practice_failed(practice);
    } else if (practice_is_interrupted()) {
        code = tell(EXIT_INTERRUPTED, "interrupted: %lld were sent, the other %lld wait", sqlite3_column_int64(statement, 0),
                    sqlite3_column_int64(statement, 3));
    } else if (sqlite3_column_int(statement, 2) != 0 || sqlite3_column_int(statement, 1) > 0) {
        code = sqlite3_column_int(statement, 0) > 0 ? EXIT_PARTLY : EXIT_REFUSED;
    }
    (void)sqlite3_finalize(statement);
    return code;
}

/* Not shown by --sql: deliver() did all that was done. */
static int answer_write(struct practice *practice, const char *answer, FILE *out, enum output_form form)
{
    bool shows_sql = practice->shows_sql;
    sqlite3_stmt *statement = practice_prepare(practice, answer_shown);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, answer);
    practice->shows_sql = false;
    code = output_rows(practice, statement, out, form, NULL, NULL);
    practice->shows_sql = shows_sql;
    (void)sqlite3_finalize(statement);
    return code;
}

int handover_run(struct practice *practice, sqlite3_int64 limit, FILE *out, enum output_form form)
{
    char *answer = NULL;
    int code = deliver_once(practice, limit, &answer);

    if (code == EXIT_DONE) code = answer_write(practice, answer, out, form);
    if (code == EXIT_DONE || code == EXIT_INTERRUPTED) code = answer_judge(practice, answer);
    sqlite3_free(answer);
    return code;
}
