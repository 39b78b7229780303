/*
** The calls whose cost is held to a budget, each counted by callgrind alone and with everything warm.
** tests/bench/costs.py runs this under valgrind and tells what it counted; tests/sql/test_budgets.py
** holds it to tests/bench/budgets.txt.  Prints a line for each call: how many, and its name.
*/
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

/*
** In this order: each works on what those before it left.  `sql` runs `runs` times, with ?1 from
** `first` on, and each run does `each` of what is named.  A row without a name is a step between, not
** counted, whose answer is ?2 from then on.
*/
static const struct call {
    const char *name;
    const char *sql;
    int first, runs, each;
} calls[] = {
    {NULL, "SELECT portal_init()", 0, 1, 0},
    {NULL, "SELECT portal_setting('resend_seconds', 0)", 0, 1, 0},
    {NULL, "SELECT portal_setting('sends_per_day', 1000)", 0, 1, 0},
    {NULL, "WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < 600)"
           " INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone)"
           " SELECT 'Ada', 'Number' || i, '1985-12-10', 'ada' || i || '@example.com',"
           " '+1' || (2125550000 + i) FROM number", 0, 1, 0},
    {"send_problem", "SELECT send_problem(?1, 'email')", 1, 200, 1},
    {"send_registration, one row inserted",
     "INSERT INTO send_registration VALUES (?1, 'email')", 1, 100, 1},
    {"send_registration, a row of a set",
     "INSERT INTO send_registration SELECT patient_id, 'email' FROM patient WHERE patient_id > ?1",
     200, 1, 400},
    {"send_registration, a row of a set again",
     "INSERT INTO send_registration SELECT patient_id, 'email' FROM patient WHERE patient_id > ?1",
     200, 1, 400},
    {"send_registration, written to the Maildir", "SELECT send_registration(?1, 'email')", 101, 100, 1},
    {"claim_messages, a message", "SELECT claim_messages(?1)", 500, 1, 500},
    {NULL, "SELECT claim FROM portal_message WHERE status = 'claimed'", 0, 1, 0},
    {"portal_claimed, a message", "SELECT * FROM portal_claimed(?2)", 0, 1, 500},
    {NULL, "CREATE TEMP TABLE link AS SELECT message_id, m.claim, patient_id,"
           " substr(text, instr(text, '/r/') + 3, 32) AS token"
           " FROM portal_claimed(?2) JOIN portal_message AS m USING (message_id)", 0, 1, 0},
    {NULL, "CREATE INDEX temp.link_patient ON link (patient_id)", 0, 1, 0},
    {NULL, "BEGIN", 0, 1, 0},
    {"report_delivery", "SELECT report_delivery(claim, message_id, 'sent') FROM link WHERE rowid = ?1",
     1, 500, 1},
    {NULL, "COMMIT", 0, 1, 0},
    {"token_valid, good", "SELECT sum(token_valid(token)) FROM link WHERE rowid > ?1", 0, 1, 500},
    {"token_valid, forged", "SELECT sum(token_valid(substr(token, 1, 31) || 'A')) FROM link WHERE rowid > ?1",
     0, 1, 500},
    {"token_status", "SELECT token_status(token) FROM link WHERE rowid = ?1", 1, 200, 1},
    {"portal_status of a patient", "SELECT * FROM portal_status WHERE patient_id = ?1", 201, 200, 1},
    {"portal_status, a row", "SELECT * FROM portal_status LIMIT ?1", 600, 1, 600},
    {"expire_links, none due", "SELECT expire_links() WHERE ?1", 1, 20, 1},
    {NULL, "UPDATE portal_registration SET expires_at = 1 WHERE status = 'live' AND patient_id > 400",
     0, 1, 0},
    {"expire_links, a link", "SELECT expire_links() WHERE ?1", 1, 1, 200},
    {"quick_add", "SELECT quick_add('Ada', 'Quick' || ?1, '1985-12-11')", 1, 50, 1},
    {"revoke_access", "INSERT INTO revoke_access (patient_id) VALUES (?1)", 301, 50, 1},
    {NULL, "SELECT portal_setting('text_channel', 'none')", 0, 1, 0},
    {"request_pin", "SELECT request_pin(token, 'Number' || ?1, '1985-12-10') FROM link WHERE patient_id = ?1",
     201, 50, 1},
    {NULL, "SELECT substr(text, instr(text, 'PIN is ') + 7, 6) FROM portal_claimed(claim_messages(100))"
           " WHERE kind = 'pin' ORDER BY message_id LIMIT 1", 0, 1, 0},
    {NULL, "SELECT register_patient(token, ?2, 'ada', 'analytical engine') FROM link WHERE patient_id = 201",
     0, 1, 0},
    {NULL, "SELECT json_extract(portal_login('ada', 'analytical engine'), '$.session')", 0, 1, 0},
    {"portal_session", "SELECT portal_session(?2)", 1, 50, 1},
    {"portal_practice", "SELECT portal_practice() WHERE ?1", 1, 50, 1},
    {"portal_demographics", "SELECT portal_demographics(?2, 201) WHERE ?1", 1, 50, 1},
    {"submit_demographics, two fields",
     "SELECT submit_demographics(?2, 201, json_object('city', 'City' || ?1, 'state', 'S' || ?1))",
     1, 50, 1},
    {"pending_requests of a patient", "SELECT * FROM pending_requests WHERE ?1 AND patient_id = 201",
     1, 50, 1},
    {"portal_audit_verify, an event", "SELECT count(*), portal_audit_verify() FROM portal_audit WHERE ?1",
     1, 1, 1207},
};

static void check(sqlite3 *db, const char *what, int code)
{
    if (code == SQLITE_OK) return;
    (void)fprintf(stderr, "calls: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

/* Runs a statement once; returns how many rows came. */
static int execute(sqlite3_stmt *statement, int number, char kept[64], bool keep)
{
    sqlite3 *db = sqlite3_db_handle(statement);
    int parameters = sqlite3_bind_parameter_count(statement);
    int code = parameters > 0 ? sqlite3_bind_int(statement, 1, number) : SQLITE_OK;
    int rows = 0;

    if (code == SQLITE_OK && parameters > 1) {
        code = sqlite3_bind_text(statement, 2, kept, -1, SQLITE_TRANSIENT);
    }
    check(db, sqlite3_sql(statement), code);
    for (; sqlite3_step(statement) == SQLITE_ROW; rows++) {
        if (keep) (void)sqlite3_snprintf(64, kept, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    check(db, sqlite3_sql(statement), sqlite3_reset(statement));
    return rows;
}

/* What runs between the two is counted, and told under the name. */
static void count_start(void)
{
    CALLGRIND_START_INSTRUMENTATION;
}

static void count_stop(const char *name)
{
    CALLGRIND_STOP_INSTRUMENTATION;
    CALLGRIND_DUMP_STATS_AT(name);
}

/* Runs a call or a step; returns how many rows and changes came of it. */
static sqlite3_int64 run(sqlite3 *db, const struct call *call, char kept[64])
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 done = -sqlite3_total_changes64(db);

    check(db, call->sql, sqlite3_prepare_v2(db, call->sql, -1, &statement, NULL));
    if (call->name != NULL) count_start();
    for (int i = 0; i < call->runs; i++) {
        done += execute(statement, call->first + i, kept, call->name == NULL);
    }
    if (call->name != NULL) count_stop(call->name);
    check(db, call->sql, sqlite3_finalize(statement));
    return done + sqlite3_total_changes64(db);
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    char kept[64] = "";

    check(db, "open", sqlite3_open(argc > 1 ? argv[1] : "calls.db", &db));
    check(db, "load", sqlite3_portal_init(db, NULL, NULL));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const struct call *call = &calls[i];
        sqlite3_int64 done = run(db, call, kept);
        if (call->name == NULL) continue;
        (void)printf("%d %s\n", call->runs * call->each, call->name);
        if (done < call->runs) check(db, call->name, SQLITE_EMPTY);
    }
    return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
