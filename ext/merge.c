#include "merge.h"

#include "access.h"
#include "account.h"

#include <string.h>

/* The parameters are the patient_id merged from, the one merged into, the time now: those that a statement needs. */
static const char is_known[] =
    "SELECT EXISTS (SELECT 1 FROM main.portal_registration WHERE patient_id = ?1)"
    "    OR EXISTS (SELECT 1 FROM main.portal_access WHERE patient_id = ?1)";
static const char losing_access[] =
    "SELECT a.account_id FROM main.portal_access AS a"
    " WHERE a.patient_id = ?1 AND a.status = 'active' AND NOT EXISTS"
    "   (SELECT 1 FROM main.portal_access AS kept"
    "     WHERE kept.account_id = a.account_id AND kept.patient_id = ?2 AND kept.status = 'active')";
static const char supersede_requests[] =
    "UPDATE main.portal_request AS r SET status = 'superseded', decided_at = ?3"
    " WHERE r.status = 'pending' AND r.patient_id IN (?1, ?2) AND EXISTS"
    "   (SELECT 1 FROM main.portal_request AS newer"
    "     WHERE newer.status = 'pending' AND newer.patient_id IN (?1, ?2) AND newer.field = r.field"
    "       AND (newer.submitted_at, newer.request_id) > (r.submitted_at, r.request_id))";
/* Nobody asks for a change without access, by which they are found. */
static const char move_requests[] =
    "UPDATE main.portal_request SET patient_id = ?2 WHERE patient_id = ?1"
    "   AND account_id IN (SELECT account_id FROM main.portal_access WHERE patient_id = ?1)";
static const char remove_access[] =
    "UPDATE main.portal_access SET status = 'removed', ended_at = ?2"
    " WHERE patient_id = ?1 AND status <> 'removed'";
/* The row of somebody with access to both stays behind: there is one already. */
static const char move_access[] =
    "UPDATE OR IGNORE main.portal_access SET patient_id = ?2 WHERE patient_id = ?1";
static const char move_messages[] =
    "UPDATE main.portal_message SET patient_id = ?2 WHERE message_id IN"
    " (SELECT registration_id FROM main.portal_registration WHERE patient_id = ?1)";
static const char move_other_messages[] =
    "UPDATE main.portal_message SET patient_id = ?2 WHERE patient_id = ?1 AND kind <> 'registration'";
/* A revoke outlives the merge where nothing was ever sent to the other. */
static const char move_revocation[] =
    "UPDATE OR IGNORE main.portal_revocation SET patient_id = ?2 WHERE patient_id = ?1 AND NOT EXISTS"
    " (SELECT 1 FROM main.portal_registration WHERE patient_id = ?2)";
static const char drop_revocation[] = "DELETE FROM main.portal_revocation WHERE patient_id = ?1";
static const char move_registrations[] =
    "UPDATE main.portal_registration SET patient_id = ?2, merged_from = coalesce(merged_from, ?1)"
    " WHERE patient_id = ?1";

static int from_check(struct portal *portal, const struct patient_id *from)
{
    char id[PATIENT_ID_TEXT_SIZE];
    struct patient patient;
    sqlite3_int64 known = 0;
    int code = patient_find(portal, from, &patient);

    if (code != SQLITE_DONE) return code == SQLITE_ROW ? SQLITE_OK : code;
    code = statement_integer(portal, &known, is_known, "p", from);
    if (code != SQLITE_OK || known != 0) return code;
    return refuse(portal, "patient %s is neither on file nor known to the portal; there is nothing to merge",
                  patient_id_text(from, id));
}

/* The target as the chart has it: "42" for 42. */
static int into_check(struct portal *portal, const struct patient_id *from, struct patient *into)
{
    char id[PATIENT_ID_TEXT_SIZE];
    const char *closed = patient_closed(into);

    (void)patient_id_text(&into->id, id);
    if (patient_id_same(from, &into->id)) {
        return refuse(portal, "patient %s can not be merged into itself; name the record that stays second", id);
    }
    if (closed == NULL) return SQLITE_OK;
    return refuse(portal, "patient %s, who would stay, %s; correct the chart if that is wrong, then merge again", id,
                  closed);
}

static int people_tell(struct portal *portal, const struct patient_id *from, const struct patient_id *into,
                       int *people)
{
    sqlite3_stmt *person = NULL;
    int code = statement_row(portal, &person, losing_access, "pp", from, into);

    while (code == SQLITE_ROW) {
        bool told = false;
        ++*people;
        code = account_tell(portal, sqlite3_column_int64(person, 0), "deactivated", &told);
        if (code == SQLITE_OK) code = statement_next(portal, person);
    }
    statement_done(portal, person);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* What is found by what comes later is moved before it. */
static int history_move(struct portal *portal, const struct patient_id *from, const struct patient_id *into,
                        struct merged *merged)
{
    sqlite3_int64 now = connection_now(portal);
    int others = 0;
    int code = statement_run(portal, supersede_requests, "ppi", from, into, now);

    if (code == SQLITE_OK) code = statement_change(portal, &merged->requests, move_requests, "pp", from, into);
    if (code == SQLITE_OK) code = statement_run(portal, remove_access, "pi", from, now);
    if (code == SQLITE_OK) code = statement_run(portal, move_access, "pp", from, into);
    if (code == SQLITE_OK) code = statement_change(portal, &merged->messages, move_messages, "pp", from, into);
    if (code == SQLITE_OK) code = statement_change(portal, &others, move_other_messages, "pp", from, into);
    if (code == SQLITE_OK) code = statement_run(portal, move_revocation, "pp", from, into);
    if (code == SQLITE_OK) code = statement_run(portal, drop_revocation, "p", from);
    if (code == SQLITE_OK) {
        code = statement_change(portal, &merged->registrations, move_registrations, "pp", from, into);
    }
    merged->messages += others;
    return code;
}

int merge_patients(struct portal *portal, const struct patient_id *from, const struct patient_id *into,
                   const char *reason, struct merged *merged)
{
    char from_text[PATIENT_ID_TEXT_SIZE];
    char into_text[PATIENT_ID_TEXT_SIZE];
    struct patient target;
    int code = patient_read(portal, into, &target);

    memset(merged, 0, sizeof *merged);
    if (code == SQLITE_OK) code = into_check(portal, from, &target);
    if (code == SQLITE_OK) code = from_check(portal, from);
    if (code == SQLITE_OK) code = access_cut(portal, from);
    if (code == SQLITE_OK) code = people_tell(portal, from, &target.id, &merged->people);
    if (code == SQLITE_OK) code = history_move(portal, from, &target.id, merged);
    if (code != SQLITE_OK) return code;
    (void)patient_id_text(from, from_text);
    (void)patient_id_text(&target.id, into_text);
    code = audit_write(portal, "patient.merged_into", from, into_text, reason);
    return code == SQLITE_OK ? audit_write(portal, "patient.merged_from", &target.id, from_text, reason) : code;
}
