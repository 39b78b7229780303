#include "access.h"

#include "ageing.h"
#include "audit.h"
#include "calendar.h"
#include "json.h"
#include "optout.h"
#include "session.h"

#include "normalize.h"

#include <string.h>

static const char give[] =
    "INSERT INTO main.portal_access"
    " (account_id, patient_id, role, relationship, identity, status, granted_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, 'active', ?6)"
    " ON CONFLICT (account_id, patient_id) DO UPDATE SET role = excluded.role,"
    "   relationship = excluded.relationship, identity = excluded.identity, status = 'active',"
    "   granted_at = excluded.granted_at, ended_at = NULL, confirmed_at = NULL";
static const char is_revoked[] =
    "SELECT revoked_at FROM main.portal_revocation WHERE patient_id = ?1";
static const char forget_revocation[] = "DELETE FROM main.portal_revocation WHERE patient_id = ?1";
static const char restore[] =
    "UPDATE main.portal_access SET status = 'active', ended_at = NULL"
    " WHERE patient_id = ?1 AND status = 'suspended'";
static const char suspend[] =
    "UPDATE main.portal_access SET status = 'suspended', ended_at = ?2"
    " WHERE patient_id = ?1 AND status = 'active'";
static const char was_sent[] =
    "SELECT count(*) FROM main.portal_registration WHERE patient_id = ?1";
static const char store_revocation[] =
    "INSERT INTO main.portal_revocation (patient_id, revoked_at, revoked_by, reason)"
    " VALUES (?1, ?2, ?3, ?4)";
static const char revoke_pins[] =
    "UPDATE main.portal_pin SET status = 'revoked' WHERE status = 'live' AND registration_id IN"
    " (SELECT registration_id FROM main.portal_registration WHERE patient_id = ?1)";
/* A reset of somebody who acts for other patients too would still open those: it ends as well. */
static const char revoke_resets[] =
    "UPDATE main.portal_reset SET status = 'revoked' WHERE status = 'live' AND account_id IN"
    " (SELECT account_id FROM main.portal_access WHERE patient_id = ?1)";
static const char find_access[] =
    "SELECT a.access_id, a.account_id, a.role, a.status, p.username"
    "  FROM main.portal_access AS a JOIN main.portal_account AS p USING (account_id)"
    " WHERE a.patient_id = ?1 AND p.username_key = ?2";
static const char remove_access[] =
    "UPDATE main.portal_access SET status = 'removed', ended_at = ?2 WHERE access_id = ?1";
static const char read_access[] =
    "SELECT a.identity, a.role, a.relationship, a.status, " AGEING_SINCE " FROM main.portal_access AS a"
    " WHERE account_id = ?1 AND patient_id = ?2";
static const char list_access[] =
    "SELECT patient_id FROM main.portal_access"
    " WHERE account_id = ?1 AND status = 'active' ORDER BY access_id";

int access_give(struct portal *portal, sqlite3_int64 account_id,
                const struct registration *registration, const char *relationship)
{
    const char *role = relationship == NULL ? "patient" : "representative";

    return statement_run(portal, give, "ipssii", account_id, &registration->patient, role,
                         relationship, registration->identity, connection_now(portal));
}

int access_is_revoked(struct portal *portal, const struct patient_id *patient, bool *revoked)
{
    sqlite3_int64 since = 0;
    int code = statement_integer(portal, &since, is_revoked, "p", patient);

    *revoked = since != 0;
    return code;
}

int access_grant_again(struct portal *portal, const struct patient_id *patient)
{
    int changes = 0;
    int code = statement_change(portal, &changes, forget_revocation, "p", patient);

    if (code != SQLITE_OK || changes == 0) return code;
    code = statement_change(portal, &changes, restore, "p", patient);
    return code == SQLITE_OK ? audit_write(portal, "access.granted_again", patient, NULL, NULL)
                             : code;
}

/* One notice, by email where there is an address, else by text; never more than what it is about. */
static int notice_queue(struct portal *portal, const struct patient_id *id, bool *noticed)
{
    enum medium medium = MEDIUM_EMAIL;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    struct patient patient;
    sqlite3_int64 message_id = 0;
    int code = patient_find(portal, id, &patient);

    *noticed = false;
    if (code == SQLITE_DONE || (code == SQLITE_ROW && patient.deceased_on[0] != '\0')) {
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) return code;
    code = optout_reach_either(portal, &patient, &medium, contact, &problem);
    if (code == SQLITE_OK && problem == NULL) {
        code = outbox_queue(portal, "deactivated", medium, id, contact, &message_id);
        *noticed = code == SQLITE_OK;
    }
    sqlite3_free(problem);
    return code;
}

static int revoke_check(struct portal *portal, const struct patient_id *patient)
{
    char id[PATIENT_ID_TEXT_SIZE];
    char since[CALENDAR_TIME_SIZE];
    sqlite3_int64 value = 0;
    int code = statement_integer(portal, &value, is_revoked, "p", patient);

    (void)patient_id_text(patient, id);
    if (code != SQLITE_OK) return code;
    if (value != 0) {
        calendar_local(value, since);
        return refuse(portal,
                      "access of patient %s is revoked since %s; send a registration to grant it "
                      "again",
                      id, since);
    }
    code = statement_integer(portal, &value, was_sent, "p", patient);
    if (code != SQLITE_OK || value > 0) return code;
    return refuse(portal, "patient %s was never sent a registration; there is nothing to revoke", id);
}

int access_cut(struct portal *portal, const struct patient_id *patient)
{
    int code = registration_revoke(portal, patient);

    if (code == SQLITE_OK) code = statement_run(portal, revoke_pins, "p", patient);
    if (code == SQLITE_OK) code = statement_run(portal, revoke_resets, "p", patient);
    if (code == SQLITE_OK) code = outbox_cancel_patient(portal, patient, "access was revoked");
    if (code == SQLITE_OK) code = session_end_patient(portal, patient);
    return code;
}

int access_revoke(struct portal *portal, const struct patient_id *patient, const char *reason,
                  bool *noticed)
{
    sqlite3_int64 now = connection_now(portal);
    int code = revoke_check(portal, patient);

    if (code == SQLITE_OK) {
        code = statement_run(portal, store_revocation, "piss", patient, now, portal->actor, reason);
    }
    if (code == SQLITE_OK) code = access_cut(portal, patient);
    if (code == SQLITE_OK) code = statement_run(portal, suspend, "pi", patient, now);
    if (code == SQLITE_OK) code = notice_queue(portal, patient, noticed);
    if (code == SQLITE_OK) code = audit_write(portal, "access.revoked", patient, NULL, reason);
    return code;
}

int access_representative(struct portal *portal, const struct patient_id *patient, const char *username,
                          struct representative *found)
{
    char id[PATIENT_ID_TEXT_SIZE];
    char key[NORMALIZE_SIZE];
    sqlite3_stmt *statement = NULL;
    bool own = false;
    bool removed = true;
    int code = SQLITE_DONE;

    *found = (struct representative){0, 0, false};
    (void)patient_id_text(patient, id);
    if (normalize_username(username, key, sizeof key) == 0) {
        code = statement_row(portal, &statement, find_access, "ps", patient, key);
    }
    if (code == SQLITE_ROW) {
        found->access_id = sqlite3_column_int64(statement, 0);
        found->account_id = sqlite3_column_int64(statement, 1);
        own = statement_is(statement, 2, "patient");
        removed = statement_is(statement, 3, "removed");
        found->outgrown = statement_is(statement, 3, "outgrown");
        statement_done(portal, statement);
    } else if (code != SQLITE_DONE) {
        return code;
    }
    if (removed) {
        return refuse(portal, "'%.80s' is no representative of patient %s; portal_access lists who is",
                      username, id);
    }
    if (!own) return SQLITE_OK;
    return refuse(portal,
                  "'%s' is the login of patient %s, not of a representative; revoke_access "
                  "ends all access",
                  username, id);
}

int access_remove(struct portal *portal, const struct patient_id *patient, const char *username,
                  const char *reason)
{
    struct representative found;
    int code = access_representative(portal, patient, username, &found);

    if (code == SQLITE_OK) {
        code = statement_run(portal, remove_access, "ii", found.access_id, connection_now(portal));
    }
    if (code == SQLITE_OK) code = session_end_account(portal, found.account_id);
    if (code != SQLITE_OK) return code;
    return audit_write(portal, "representative.removed", patient, username, reason);
}

/* The row of an access; where '42' is given for 42, by the key as the chart has it, which *patient is then. */
static int access_row(struct portal *portal, sqlite3_int64 account_id, struct patient_id *patient, sqlite3_stmt **row)
{
    struct patient chart;
    int code = statement_row(portal, row, read_access, "ip", account_id, patient);

    if (code != SQLITE_DONE) return code;
    code = patient_find(portal, patient, &chart);
    if (code != SQLITE_ROW) return code;
    if (patient_id_same(patient, &chart.id)) return SQLITE_DONE;
    *patient = chart.id;
    return statement_row(portal, row, read_access, "ip", account_id, patient);
}

int access_works(struct portal *portal, sqlite3_int64 account_id, const struct patient_id *patient,
                 bool *works, char role[ACCESS_ROLE_SIZE])
{
    const struct keyring *keyring = NULL;
    struct patient_id kept = *patient;
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 identity, since;
    struct patient chart;
    bool active;
    int code = connection_key(portal, &keyring);

    *works = false;
    if (code == SQLITE_OK) code = access_row(portal, account_id, &kept, &statement);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    identity = sqlite3_column_int64(statement, 0);
    active = statement_is(statement, 3, "active");
    since = sqlite3_column_int64(statement, 4);
    statement_text(statement, sqlite3_column_type(statement, 2) == SQLITE_NULL ? 1 : 2, role,
                   ACCESS_ROLE_SIZE);
    statement_done(portal, statement);
    if (!active) return SQLITE_OK;
    code = patient_find_kept(portal, &kept, &chart);
    *works = code == SQLITE_ROW && patient_is(keyring, &chart, identity) &&
             connection_now(portal) < ageing_end(portal, since, chart.date_of_birth);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void patient_append(sqlite3_str *out, const struct patient *patient, const char *role,
                           bool first)
{
    if (!first) sqlite3_str_appendchar(out, 1, ',');
    sqlite3_str_appendall(out, "{\"patient_id\":");
    if (patient->id.type == SQLITE_INTEGER) {
        sqlite3_str_appendf(out, "%lld", patient->id.integer);
    } else {
        json_append(out, patient->id.text);
    }
    sqlite3_str_appendall(out, ",\"first_name\":");
    json_append(out, patient->first_name);
    sqlite3_str_appendall(out, ",\"last_name\":");
    json_append(out, patient->last_name);
    sqlite3_str_appendall(out, ",\"as\":");
    json_append(out, role);
    sqlite3_str_appendchar(out, 1, '}');
}

/* Adds the patient when the access to it works. */
static int patient_list(struct portal *portal, sqlite3_int64 account_id, const struct patient_id *id,
                        sqlite3_str *out, int *count)
{
    char role[ACCESS_ROLE_SIZE];
    struct patient patient;
    bool works = false;
    int code = access_works(portal, account_id, id, &works, role);

    if (code != SQLITE_OK || !works) return code;
    code = patient_find(portal, id, &patient);
    if (code == SQLITE_ROW && out != NULL) patient_append(out, &patient, role, *count == 0);
    if (code == SQLITE_ROW) (*count)++;
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int access_list(struct portal *portal, sqlite3_int64 account_id, char **json, int *count)
{
    sqlite3_str *out = json == NULL ? NULL : sqlite3_str_new(portal->db);
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, list_access, "i", account_id);

    *count = 0;
    if (out != NULL) sqlite3_str_appendchar(out, 1, '[');
    while (code == SQLITE_ROW) {
        struct patient_id id;
        patient_id_from_column(statement, 0, &id);
        code = patient_list(portal, account_id, &id, out, count);
        if (code == SQLITE_OK) code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    if (out == NULL) return code == SQLITE_DONE ? SQLITE_OK : code;
    sqlite3_str_appendchar(out, 1, ']');
    *json = sqlite3_str_finish(out);
    if (code != SQLITE_DONE) {
        sqlite3_free(*json);
        *json = NULL;
        return code;
    }
    return *json == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}
