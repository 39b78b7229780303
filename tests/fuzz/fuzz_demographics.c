/* Any text as the JSON that a patient submits. */
#include "practice.h"

const char fuzz_claim[] = "what a patient submits as JSON is refused, or becomes requests that staff can decide";

static const char charts[] =
    "SELECT group_concat(patient_id || quote(first_name) || quote(last_name) || quote(date_of_birth) ||"
    " quote(email) || quote(cell_phone) || quote(city) || quote(text_consent)) FROM patient";
static const char requests[] =
    "SELECT group_concat(field || quote(proposed_value), ' ') FROM (SELECT field, proposed_value"
    " FROM portal_request WHERE status = 'pending' ORDER BY field)";
static const char last_request[] = "SELECT max(request_id) FROM portal_request";

static int number(sqlite3 *db, const char *sql)
{
    char *answer = practice_ask(db, sql);
    int value = atoi(answer);

    free(answer);
    return value;
}

static void same(sqlite3 *db, const char *sql, const char *before)
{
    char *after = practice_ask(db, sql);

    REQUIRE_TELL(strcmp(before, after) == 0, "%s\nwas %s\nis  %s", sql, before, after);
    free(after);
}

/* The number of requests, or -1 when it is refused. */
static int submit(sqlite3 *db, const char *json)
{
    static const char submitted[] = "{\"result\":\"submitted\",\"requests\":";
    static const char refused[] = "{\"result\":\"refused\",\"reason\":\"";
    sqlite3_stmt *statement = NULL;
    const char *answer;
    int count = -1;

    REQUIRE(sqlite3_prepare_v2(db, "SELECT submit_demographics(:session, :patient_id, :json)", -1, &statement,
                               NULL) == SQLITE_OK);
    practice_bind_named(statement);
    REQUIRE(sqlite3_bind_text(statement, 3, json, -1, SQLITE_STATIC) == SQLITE_OK);
    REQUIRE_TELL(sqlite3_step(statement) == SQLITE_ROW, "%s", sqlite3_errmsg(db));
    answer = (const char *)sqlite3_column_text(statement, 0);
    if (strncmp(answer, submitted, sizeof submitted - 1) == 0) {
        count = atoi(answer + sizeof submitted - 1);
    } else {
        REQUIRE_TELL(strncmp(answer, refused, sizeof refused - 1) == 0, "%s", answer);
    }
    REQUIRE(practice_run(db, statement, true) == SQLITE_OK);
    (void)sqlite3_finalize(statement);
    return count;
}

/* Every request can be accepted, and is then what the chart says. */
static void accept_all(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    char *wanted = practice_ask(db,
                                "SELECT group_concat('SELECT count(*) = 1 FROM patient WHERE patient_id = 1 AND '"
                                " || field || ' IS ' || quote(proposed_value), ' UNION ')"
                                "  FROM portal_request WHERE status = 'pending'");

    REQUIRE(sqlite3_prepare_v2(db, "SELECT accept_request(request_id, 'force') FROM"
                                   " (SELECT request_id FROM portal_request WHERE status = 'pending' LIMIT 1)",
                               -1, &statement, NULL) == SQLITE_OK);
    while (number(db, "SELECT count(*) FROM pending_requests") > 0) {
        REQUIRE_TELL(practice_run(db, statement, false) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    }
    (void)sqlite3_finalize(statement);
    if (*wanted != '\0') {
        char *chart = practice_ask(db, wanted);
        REQUIRE_TELL(strcmp(chart, "1") == 0, "%s", wanted);
        free(chart);
    }
    free(wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    char *json = input_text(&input);
    sqlite3 *db = practice_open();
    char *chart = practice_ask(db, charts);
    char *pending = practice_ask(db, requests);
    int last = number(db, last_request);
    int count = submit(db, json);

    same(db, charts, chart);
    if (count < 0) {
        REQUIRE(number(db, last_request) == last);
        same(db, requests, pending);
    } else {
        char *first = practice_ask(db, requests);
        REQUIRE(number(db, last_request) == last + count);
        REQUIRE(submit(db, json) == count);
        same(db, requests, first);
        free(first);
        accept_all(db);
    }
    (void)practice_try(db, "SELECT * FROM pending_requests");
    (void)practice_try(db, "SELECT * FROM portal_status");
    practice_close(db);
    free(pending);
    free(chart);
    free(json);
    return 0;
}
