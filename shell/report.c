/* portal report: questions of analysts, as sql/reports has them; their first line is the question. */
#include "command.h"

#include "calendar.h"
#include "embedded.h"
#include "tell.h"

#include <string.h>

static const char folder[] = "reports/";

/* The funnel as bars, the longest as wide as there is room beside the other columns in 80. */
static const char drawn_form[] =
    "WITH report AS (%.*s),\n"
    "width AS (SELECT *, 22.0 / max(1, max(sent) OVER ()) AS one FROM report),\n"
    "bar AS (SELECT *, CAST(one * registered + 0.5 AS INTEGER) AS inner, CAST(one * proved + 0.5 AS INTEGER) AS middle,\n"
    "               CAST(one * sent + 0.5 AS INTEGER) AS outer FROM width)\n"
    "SELECT month, channel, language, sent, registered, percent,\n"
    "       replace(hex(zeroblob(inner)), '00', '\u2588') || replace(hex(zeroblob(middle - inner)), '00', '\u2592') ||\n"
    "       replace(hex(zeroblob(outer - middle)), '00', '\u2591') AS '\u2588 registered, \u2592 proved'\n"
    "  FROM bar";

/* The name of a report, without ".sql"; NULL for another file. */
static const char *report_name(const struct embedded *file, int *length)
{
    const char *name = file->name + strlen(folder);

    if (strncmp(file->name, folder, strlen(folder)) != 0) return NULL;
    *length = (int)strcspn(name, ".");
    return name;
}

static const char *report_find(const char *wanted)
{
    for (const struct embedded *file = embedded_files; file->name != NULL; file++) {
        int length = 0;
        const char *name = report_name(file, &length);
        if (name != NULL && strlen(wanted) == (size_t)length && strncmp(name, wanted, (size_t)length) == 0) return file->text;
    }
    return NULL;
}

/* Runs statements that were put together, NULL for want of memory. */
static int query(struct invocation *invocation, char *sql)
{
    int code = sql == NULL ? tell(EXIT_REFUSED, "out of memory") : command_query(invocation, sql);

    sqlite3_free(sql);
    return code;
}

static int reports_list(struct invocation *invocation)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);

    for (const struct embedded *file = embedded_files; file->name != NULL; file++) {
        int length = 0;
        const char *name = report_name(file, &length);
        const char *question = file->text + strlen("-- ");
        if (name == NULL) continue;
        sqlite3_str_appendf(sql, "%sSELECT '%.*q' AS report, '%.*q' AS question", sqlite3_str_length(sql) == 0 ? "" : " UNION ALL ",
                            length, name, (int)strcspn(question, "\n"), question);
    }
    return query(invocation, sqlite3_str_finish(sql));
}

/* True for "2026-01"; without one, all counts. */
static bool is_month(const char *since)
{
    char first[CALENDAR_TIME_SIZE];

    (void)sqlite3_snprintf(CALENDAR_TIME_SIZE, first, "%s-01", since == NULL ? "2026-01" : since);
    return calendar_is_date(first);
}

int report_run(struct invocation *invocation)
{
    const char *name = command_value(invocation, "name");
    const char *since = command_value(invocation, "since");
    const char *sql;

    if (!is_month(since)) return tell(EXIT_USAGE, "%s is no month, such as 2026-01", since);
    if (name == NULL) return reports_list(invocation);
    sql = report_find(name);
    if (sql == NULL) return tell(EXIT_USAGE, "there is no report %s; portal report lists them", name);
    if (invocation->form != OUTPUT_TABLE || strcmp(name, "funnel") != 0) return command_query(invocation, sql);
    return query(invocation, sqlite3_mprintf(drawn_form, (int)(strrchr(sql, ';') - sql), sql));
}
