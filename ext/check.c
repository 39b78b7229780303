#include "check.h"

#include "ageing.h"
#include "call.h"
#include "channel.h"
#include "fitting.h"
#include "patient.h"
#include "schema.h"
#include "wording_table.h"

#include <string.h>

/* Of the patient's own: what a merge brought along was ended by it. */
#define AND_NEWEST \
    " AND r.merged_from IS NULL AND NOT EXISTS (SELECT 1 FROM main.portal_registration AS n" \
    "   WHERE n.patient_id = r.patient_id AND n.registration_id > r.registration_id" \
    "     AND n.merged_from IS NULL) LIMIT 100"

/* A check is a query whose rows are the subjects of one problem.  ?1 is the time now. */
static const struct check {
    const char *problem;
    const char *remedy;
    const char *sql;
} checks[] = {
    {"a message has waited for more than an hour",
     "run SELECT deliver(), and have it run every minute",
     "SELECT 'message ' || message_id FROM main.portal_message"
     " WHERE status = 'queued' AND due_at < ?1 - 3600 ORDER BY due_at LIMIT 100"},
    {"a sender claimed a message and did not report",
     "run SELECT deliver(): it takes the message over",
     "SELECT 'message ' || message_id FROM main.portal_message"
     " WHERE status = 'claimed' AND due_at < ?1 LIMIT 100"},
    {"a message could not be delivered",
     "correct the contact, then send again",
     "SELECT 'message ' || m.message_id || coalesce(', patient ' || m.patient_id, '')"
     "       || coalesce(': ' || m.detail, '')"
     "  FROM main.portal_registration AS r JOIN main.portal_message AS m"
     "    ON m.message_id = r.registration_id"
     " WHERE r.status = 'failed'" AND_NEWEST},
    {"a link was spent by wrong answers",
     "ask the patient whether it was them, then send again",
     "SELECT 'patient ' || r.patient_id FROM main.portal_registration AS r"
     " WHERE r.status = 'spent'" AND_NEWEST},
    {"the chart has changed since a link was sent, which does not work any more",
     "send again",
     "SELECT 'patient ' || r.patient_id FROM main.portal_registration AS r"
     " WHERE r.status = 'changed'" AND_NEWEST},
    {"a registration has lost its message",
     "restore the database from a backup",
     "SELECT 'registration ' || registration_id FROM main.portal_registration AS r"
     " WHERE NOT EXISTS (SELECT 1 FROM main.portal_message WHERE message_id = r.registration_id)"
     " LIMIT 100"},
    {"a patient has two links that work",
     "send again: the newest supersedes the others",
     "SELECT 'patient ' || patient_id FROM main.portal_registration"
     " WHERE status IN ('queued', 'live') GROUP BY patient_id HAVING count(*) > 1 LIMIT 100"},
    {"a session is alive for an account without any access",
     "run SELECT expire_links(); if it stays, end the session in portal_session",
     "SELECT 'session ' || session_id FROM main.portal_session AS s WHERE ended_at IS NULL"
     "   AND NOT EXISTS (SELECT 1 FROM main.portal_access AS a"
     "     WHERE a.account_id = s.account_id AND a.status = 'active') LIMIT 100"},
    {"a trigger that protects the audit, the settings, the mapping, the templates or the opt-outs is missing",
     "restore the database from a backup",
     "WITH needed (name) AS (VALUES ('portal_audit_no_replace'), ('portal_audit_no_update'),"
     "   ('portal_audit_no_delete'), ('portal_setting_inserted'), ('portal_setting_updated'),"
     "   ('portal_setting_deleted'), ('portal_mapping_inserted'), ('portal_mapping_updated'),"
     "   ('portal_mapping_deleted'), ('portal_wording_inserted'), ('portal_wording_updated'),"
     "   ('portal_wording_deleted'), ('portal_opt_out_inserted'), ('portal_opt_out_deleted'))"
     " SELECT name FROM needed"
     " WHERE name NOT IN (SELECT name FROM main.sqlite_schema WHERE type = 'trigger')"},
};

static const char stored_settings[] = "SELECT key, value FROM main.portal_setting";
/*
** The statement, not pragma_table_list: a table of the practice's may have that name.  Columns: schema,
** name.  Tables that are there without CREATE, as ours, are not among them.
*/
static const char every_table[] = "PRAGMA table_list";
/* What stands in sqlite_schema is the text from the name on; ?1 is all that portal_init() ran. */
static const char altered_objects[] =
    "SELECT type || ' ' || name FROM main.sqlite_schema"
    " WHERE (type = 'trigger' AND instr(?1, ' main.' || tbl_name || ' (') > 0"
    "     OR type IN ('table', 'view') AND instr(?1, ' main.' || name || ' ') > 0)"
    "   AND instr(?1, substr(sql, instr(sql, name)) || ';') = 0 LIMIT 100";
static const char active_access[] =
    "SELECT a.patient_id, a.identity, u.username, " AGEING_SINCE " FROM main.portal_access AS a"
    "  JOIN main.portal_account AS u USING (account_id) WHERE a.status = 'active'";
static const char live_links[] =
    "SELECT r.patient_id, r.identity, r.destination, m.channel"
    "  FROM main.portal_registration AS r JOIN main.portal_message AS m"
    "    ON m.message_id = r.registration_id"
    " WHERE r.status = 'live' AND r.expires_at > ?1";

static int check_one(struct cursor *cursor, const struct check *check)
{
    sqlite3_stmt *statement = NULL;
    bool takes_time = strstr(check->sql, "?1") != NULL;
    int code =
        statement_row(cursor->portal, &statement, check->sql, takes_time ? "i" : "", cursor->now);

    while (code == SQLITE_ROW) {
        code = table_add(cursor, check->problem, (const char *)sqlite3_column_text(statement, 0),
                         check->remedy);
        if (code == SQLITE_OK) code = statement_next(cursor->portal, statement);
    }
    statement_done(cursor->portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool is_ours(const char *name)
{
    const struct function *function;
    const struct table *table;

    for (int i = 0; (function = call_function(i)) != NULL; i++) {
        if ((function->flags & CALL_ACTION) != 0 && sqlite3_stricmp(function->name, name) == 0) return true;
    }
    for (int i = 0; (table = table_row(i)) != NULL; i++) {
        if (sqlite3_stricmp(table->name, name) == 0) return true;
    }
    return false;
}

/* A table of the name takes rows that were meant as calls. */
static int shadow_add(struct cursor *cursor, const char *schema, const char *name)
{
    char *subject = sqlite3_mprintf("%s.%s", schema, name);
    int code = subject == NULL ? fault(cursor->portal, SQLITE_NOMEM)
                               : table_add(cursor, "a table hides one of the portal's own", subject,
                                           "rename or drop that table");

    sqlite3_free(subject);
    return code;
}

static int shadows_check(struct cursor *cursor)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(cursor->portal, &statement, every_table, "");

    while (code == SQLITE_ROW) {
        const char *name = statement_string(statement, 1);
        code = SQLITE_OK;
        if (is_ours(name)) {
            code = shadow_add(cursor, statement_string(statement, 0), name);
        }
        if (code == SQLITE_OK) code = statement_next(cursor->portal, statement);
    }
    statement_done(cursor->portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Why the chart of a patient is not the one that something was given for, or NULL. */
static int chart_problem(struct portal *portal, const struct patient_id *id, sqlite3_int64 identity,
                         struct patient *patient, const char **problem)
{
    const struct keyring *keyring = NULL;
    int code = connection_key(portal, &keyring);

    *problem = NULL;
    if (code == SQLITE_OK) code = patient_find_kept(portal, id, patient);
    if (code == SQLITE_DONE) {
        *problem = "the patient is not on file any more";
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) return code;
    if (patient_closed(patient) != NULL) {
        *problem = "the patient is deceased or not active";
    } else if (patient_identity(keyring, patient) != identity) {
        *problem = "first name or date of birth on the chart have changed: perhaps another person";
    }
    return SQLITE_OK;
}

static int subject_add(struct cursor *cursor, const char *problem, const struct patient_id *id,
                       const char *what, const char *remedy)
{
    char text[PATIENT_ID_TEXT_SIZE];
    char *subject = sqlite3_mprintf("patient %s, %s", patient_id_text(id, text), what);
    int code = subject == NULL ? fault(cursor->portal, SQLITE_NOMEM)
                               : table_add(cursor, problem, subject, remedy);

    sqlite3_free(subject);
    return code;
}

/* A representative of somebody who is of age soon, or is since today. */
static int ageing_check(struct cursor *cursor, const struct patient *patient, const char *username,
                        sqlite3_int64 since)
{
    char id[PATIENT_ID_TEXT_SIZE];
    char becomes[AGEING_TEXT_SIZE];
    char problem[AGEING_TEXT_SIZE + 20];
    char *remedy;
    int code;

    ageing_tell(ageing_end(cursor->portal, since, patient->date_of_birth), cursor->now, becomes);
    if (becomes[0] == '\0') return SQLITE_OK;
    (void)sqlite3_snprintf((int)sizeof problem, problem, "a representative %s", becomes);
    remedy = sqlite3_mprintf("nothing, or confirm_representative(%s, '%q') where they are to keep it",
                             patient_id_text(&patient->id, id), username);
    code = remedy == NULL ? fault(cursor->portal, SQLITE_NOMEM)
                          : subject_add(cursor, problem, &patient->id, username, remedy);
    sqlite3_free(remedy);
    return code;
}

static int access_check(struct cursor *cursor)
{
    struct portal *portal = cursor->portal;
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, active_access, "");

    while (code == SQLITE_ROW) {
        const char *username = (const char *)sqlite3_column_text(statement, 2);
        const char *problem = NULL;
        struct patient_id id;
        struct patient patient;
        patient_id_from_column(statement, 0, &id);
        code = chart_problem(portal, &id, sqlite3_column_int64(statement, 1), &patient, &problem);
        if (code == SQLITE_OK && problem != NULL) {
            code = subject_add(
                cursor, problem, &id, username,
                "access does not work; correct the chart, or revoke it, or send again so that "
                "the login is linked anew");
        } else if (code == SQLITE_OK) {
            code = ageing_check(cursor, &patient, username, sqlite3_column_int64(statement, 3));
        }
        if (code == SQLITE_OK) code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The contact that a link went to is the chart's still. */
static int destination_problem(struct portal *portal, const struct patient *patient,
                               enum medium medium, sqlite3_int64 destination, const char **problem)
{
    const struct keyring *keyring = NULL;
    char contact[CONTACT_SIZE];
    char *why = NULL;
    int code = connection_key(portal, &keyring);

    if (code == SQLITE_OK) code = patient_contact(portal, patient, medium, contact, &why);
    if (code == SQLITE_OK && (why != NULL || patient_destination(keyring, contact) != destination)) {
        *problem = "the contact on the chart has changed since a link was sent, which will not work";
    }
    sqlite3_free(why);
    return code;
}

static int links_check(struct cursor *cursor)
{
    struct portal *portal = cursor->portal;
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, live_links, "i", cursor->now);

    while (code == SQLITE_ROW) {
        const char *problem = NULL;
        struct patient_id id;
        struct patient patient;
        enum medium medium = medium_from_name((const char *)sqlite3_column_text(statement, 3));
        patient_id_from_column(statement, 0, &id);
        code = chart_problem(portal, &id, sqlite3_column_int64(statement, 1), &patient, &problem);
        if (code == SQLITE_OK && problem == NULL && medium != MEDIUM_PRINT) {
            code = destination_problem(portal, &patient, medium, sqlite3_column_int64(statement, 2), &problem);
        }
        if (code == SQLITE_OK && problem != NULL) {
            code = subject_add(cursor, problem, &id, "live link", "send again");
        }
        if (code == SQLITE_OK) code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int channel_check(struct cursor *cursor, int serves, const char *setting)
{
    struct channel *channel = NULL;
    int code = channel_for(cursor->portal, serves, &channel);

    if (code != REFUSED) return code;
    return table_add(cursor, cursor->portal->error, setting, "see portal_channels");
}

/* Whether a stored value is in force. */
static int setting_holds(struct portal *portal, const char *key, const char *value, bool *holds)
{
    char *told = NULL;
    int code = key == NULL ? REFUSED : setting_tell(portal, key, &told);

    *holds = code == SQLITE_OK && value != NULL && strcmp(told, value) == 0;
    sqlite3_free(told);
    return code == REFUSED ? SQLITE_OK : code;
}

static int settings_check(struct cursor *cursor)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(cursor->portal, &statement, stored_settings, "");

    while (code == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(statement, 0);
        const char *value = (const char *)sqlite3_column_text(statement, 1);
        bool holds = false;
        code = setting_holds(cursor->portal, key, value, &holds);
        if (code == SQLITE_OK && !holds) {
            code = table_add(cursor,
                             "a setting is unknown or has a value that does not fit, and counts as "
                             "not set",
                             key, "set it with portal_setting(key, value), or delete its row");
        }
        if (code == SQLITE_OK) code = statement_next(cursor->portal, statement);
    }
    statement_done(cursor->portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* *broken: the chart can not be read as it is. */
static int patient_check(struct cursor *cursor, bool *broken)
{
    struct portal *portal = cursor->portal;
    char *problem = NULL;
    int code = layout_problem(portal, portal->layout, &problem);

    *broken = problem != NULL;
    if (code != SQLITE_OK) return fault(portal, code);
    if (problem != NULL) code = table_add(cursor, problem, layout_table(portal), layout_remedy);
    sqlite3_free(problem);
    return code;
}

static int mapping_found(void *data, const char *problem, const char *subject, const char *remedy)
{
    return table_add(data, problem, subject, remedy);
}

/* Its triggers run within our own writes: a foreign one may undo a count or redirect a message. */
static int objects_check(struct cursor *cursor)
{
    char *made = schema_text();
    sqlite3_stmt *statement = NULL;
    int code = made == NULL ? fault(cursor->portal, SQLITE_NOMEM)
                            : statement_row(cursor->portal, &statement, altered_objects, "s", made);

    while (code == SQLITE_ROW) {
        code = table_add(cursor, "a table, view or trigger of the portal is not as it was made",
                         (const char *)sqlite3_column_text(statement, 0),
                         "drop the trigger if you did not add it, or restore the database from a backup");
        if (code == SQLITE_OK) code = statement_next(cursor->portal, statement);
    }
    statement_done(cursor->portal, statement);
    sqlite3_free(made);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int check_open(struct cursor *cursor, sqlite3_value *key[2])
{
    bool broken = false;
    int code;

    (void)key;
    cursor->width = 3;
    code = shadows_check(cursor);
    if (code == SQLITE_OK) code = objects_check(cursor);
    if (code == SQLITE_OK) code = patient_check(cursor, &broken);
    if (code == SQLITE_OK) code = settings_check(cursor);
    if (code == SQLITE_OK) code = wording_table_check(cursor);
    if (code == SQLITE_OK) code = channel_check(cursor, PORTAL_EMAIL, "email_channel");
    if (code == SQLITE_OK) code = channel_check(cursor, PORTAL_TEXT, "text_channel");
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && code == SQLITE_OK; i++) {
        code = check_one(cursor, &checks[i]);
    }
    if (code != SQLITE_OK || broken) return code;
    code = fitting_tell(cursor->portal, mapping_found, cursor);
    if (code == SQLITE_OK) code = access_check(cursor);
    if (code == SQLITE_OK) code = links_check(cursor);
    return code;
}
