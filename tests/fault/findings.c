/*
** What refuses or finds something: its words are told whole, or that memory ran out for them.
*/
#include "fault.h"

#include <limits.h>
#include <string.h>

/* Each name is a statement; see cases.c for the scene. */
const struct fault_case finding_cases[] = {
    {.name = "SELECT send_registration(1, 'email')", .empty = true},
    {.name = "SELECT send_registration(5, 'fax')"},
    {.name = "SELECT send_registration(5, 'text')",
     .set_up = "UPDATE patient SET cell_phone = NULL WHERE patient_id = 5"},
    {.name = "SELECT send_registration(5, 'text')",
     .set_up = "UPDATE patient SET cell_phone = 'none' WHERE patient_id = 5"},
    {.name = "SELECT send_registration(5, 'text')",
     .set_up = "UPDATE patient SET text_consent = 0 WHERE patient_id = 5"},
    {.name = "SELECT send_registration(2, 'email')",
     .set_up = "SELECT portal_setting('resend_seconds', 3600)"},
    {.name = "SELECT send_registration(5, 'email')",
     .set_up = "SELECT portal_setting('ehr_requires', 'email, cell_phone');"
               "UPDATE patient SET cell_phone = 'none' WHERE patient_id = 5"},
    {.name = "SELECT send_registration('no such patient', 'email')"},
    {.name = "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')"},
    {.name = "SELECT portal_init()", .set_up = "ALTER TABLE patient RENAME city TO town"},
    /* An older version's tables, of which one is not as this version makes it. */
    {.name = "SELECT portal_init()",
     .set_up = "ALTER TABLE portal_opt_out ADD COLUMN older TEXT; UPDATE portal_state SET schema_version = 2"},
    {.name = "SELECT portal_map_patient('{\"table\": \"p\", \"patient_id\": \"k\", \"first_name\": \"f\","
             " \"last_name\": \"l\", \"date_of_birth\": \"d\"}')",
     .set_up = "CREATE TABLE p (k TEXT NOT NULL UNIQUE, f, l, d)"},
    {.name = "SELECT portal_audit_verify()",
     .set_up = "UPDATE portal_state SET audit_seal = zeroblob(32)"},
    {.name = "SELECT portal_audit_verify()",
     .set_up = "DROP TRIGGER portal_audit_no_update; UPDATE portal_audit SET action = 'x' WHERE event_id = 2"},
    {.name = "SELECT * FROM portal_channels"},
    {.name = "SELECT portal_setting('broken_url', 'https://x')"},
    {.name = "INSERT INTO note SELECT 3, portal_init()"},
    {.name = "SELECT preview_message('birthday', 1, 'email')"},
    {.name = "UPDATE portal_template SET text = '{{link}} STOP \xC3\xAD' WHERE kind = 'registration' AND channel = 'text'"},
    {.name = "UPDATE portal_template SET html = '<b>{{practice}}' WHERE kind = 'deactivated'"},
    {.name = "INSERT INTO portal_template (kind, channel, language, text) VALUES ('pin', 'text', 'en', '{{pin}}')"},
    {.name = "SELECT * FROM portal_check",
     .set_up = "SELECT portal_setting('representative_age', 41); SELECT advance(17 * 86400)"},
    {.name = "SELECT * FROM portal_check",
     .set_up = "INSERT INTO portal_wording VALUES ('pin', 'text', 'en', NULL, 'x', NULL, 1);"
               "SELECT portal_setting('practice_name', '\xD0\x9A')"},
    {.name = "SELECT * FROM portal_check",
     .set_up = "DROP TRIGGER portal_setting_inserted; INSERT INTO portal_setting (key, value) VALUES"
               " ('nonsense', '1'), ('link_hours', 'many'); ALTER TABLE patient RENAME city TO town;"
               "UPDATE patient SET first_name = 'Zoe' WHERE patient_id = 1;"
               "UPDATE patient SET email = 'new@example.com' WHERE patient_id = 2;"
               "CREATE TABLE send_registration (patient_id, channel);"
               "CREATE TRIGGER foreign_one AFTER INSERT ON portal_message BEGIN SELECT 1; END;"
               "CREATE TRIGGER foreign_two AFTER INSERT ON portal_message BEGIN SELECT 2; END;"
               "SELECT advance(7200)"},
    /* A patient in each of the states that a next step is told of. */
    {.name = "SELECT * FROM portal_status",
     .set_up = "UPDATE patient SET email = 'new@example.com', cell_phone = '202 555 0199'"},
    {.name = "SELECT * FROM portal_status", .set_up = "UPDATE patient SET first_name = 'Zoe'"},
    {.name = "SELECT * FROM portal_status", .set_up = "UPDATE patient SET deceased_on = '2026-01-01'"},
    {.name = "SELECT * FROM portal_status", .set_up = "UPDATE portal_registration SET guesses = 3"},
    {.name = "SELECT * FROM portal_status", .set_up = "UPDATE portal_registration SET pins = 99"},
    {.name = "SELECT * FROM portal_status",
     .set_up = "UPDATE portal_throttle SET failures = 20"},
    {.name = NULL},
};

struct finding {
    const struct fault_case *row;
    struct outcome outcome;     /* with all the memory it wants */
};

/* SQLite does without its last copy of an error's words when there is no memory for it. */
static bool tells_all(const struct outcome *outcome, const struct outcome *expected)
{
    return outcome->code == expected->code && outcome->hash == expected->hash &&
           (strcmp(outcome->message, expected->message) == 0 ||
            strcmp(outcome->message, sqlite3_errstr(outcome->code)) == 0);
}

/* How many allocations there are, of which the n-th fails. */
static long run(const struct fault_case *row, long n, struct outcome *outcome)
{
    sqlite3 *db;
    long count;

    stage_restore();
    db = stage_open();
    fault_arm(FAULT_ALLOCATION, n, false);
    stage_run(db, row->name, outcome);
    count = fault_disarm();
    if (sqlite3_close(db) != SQLITE_OK || files_open() != 0) problem_note("it does not close");
    return count;
}

static long operations(enum fault_kind kind, void *data)
{
    struct finding *finding = data;

    return kind == FAULT_ALLOCATION ? run(finding->row, LONG_MAX, &finding->outcome) : 0;
}

static bool fail_once(const struct plan *plan, void *data)
{
    const struct finding *finding = data;
    struct outcome outcome;
    bool struck = run(finding->row, plan->n, &outcome) >= plan->n;

    if (outcome.code != SQLITE_NOMEM && !tells_all(&outcome, &finding->outcome)) {
        plan_note(plan, "it tells less", &outcome, "");
    }
    return struck;
}

const char *sweep_finding(const struct fault_case *row, enum fault_journal journal, bool all)
{
    struct finding finding = {.row = row};

    problem_forget();
    if (stage_set(row, journal)) each_plan(all, operations, fail_once, &finding);
    return problem_first();
}
