#include "request.h"

#include "access.h"
#include "audit.h"
#include "field.h"
#include "json.h"
#include "normalize.h"
#include "optout.h"
#include "outbox.h"
#include "session.h"

#include <string.h>

enum { ENTRIES_MAX = 32, FIELD_SIZE = 40, DAY = 86400 };

static const char count_requests[] =
    "SELECT count(*) FROM main.portal_request WHERE account_id = ?1 AND submitted_at > ?2";
static const char supersede[] =
    "UPDATE main.portal_request SET status = 'superseded', decided_at = ?3"
    " WHERE patient_id = ?1 AND field = ?2 AND status = 'pending'";
static const char insert_request[] =
    "INSERT INTO main.portal_request (patient_id, field, base_value, proposed_value, account_id,"
    " submitted_as, submitted_at, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending')";
static const char pending_request[] =
    "SELECT request_id FROM main.portal_request"
    " WHERE patient_id = ?1 AND field = ?2 AND status = 'pending'";
static const char read_request[] =
    "SELECT patient_id, field, base_value, proposed_value, status,"
    "       (SELECT identity FROM main.portal_access AS a"
    "         WHERE a.account_id = r.account_id AND a.patient_id = r.patient_id)"
    "  FROM main.portal_request AS r WHERE request_id = ?1";
static const char decide[] =
    "UPDATE main.portal_request SET status = ?2, decided_at = ?3, decided_by = ?4, reason = ?5"
    " WHERE request_id = ?1 AND status = 'pending'";
/* A first name that staff accepted does not make another person of the patient. */
static const char identity_of_access[] =
    "UPDATE main.portal_access SET identity = ?3 WHERE patient_id = ?1 AND identity = ?2";
static const char identity_of_links[] =
    "UPDATE main.portal_registration SET identity = ?3 WHERE patient_id = ?1 AND identity = ?2"
    " AND status IN ('queued', 'live')";

/*
** Where the one who asked is told that it was decided: still with access, to a patient who lives.  Once
** for what is decided at a time, as far as it is not sent yet.
*/
static const char read_requester[] =
    "SELECT u.channel, u.contact"
    "  FROM main.portal_request AS r JOIN main.portal_account AS u ON u.account_id = r.account_id"
    "  JOIN main.portal_access AS a ON a.account_id = r.account_id AND a.patient_id = r.patient_id"
    "  JOIN main.patient AS p ON p.patient_id = r.patient_id"
    " WHERE r.request_id = ?1 AND u.contact <> '' AND a.status = 'active' AND coalesce(p.deceased_on, '') = ''"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_message AS m"
    "     WHERE m.patient_id = r.patient_id AND m.due_at IS NOT NULL AND m.kind <> 'registration'"
    "       AND m.kind = 'request_decided' AND m.status = 'queued' AND m.recipient = u.contact)";

/* One field of a submission. */
struct entry {
    char field[FIELD_SIZE];
    char *value;       /* as the chart would keep it; NULL for NULL */
    char *base;        /* on the chart now */
};

struct submission {
    int count;
    struct entry entry[ENTRIES_MAX];
};

static void submission_clear(struct submission *submission)
{
    for (int i = 0; i < submission->count; i++) {
        sqlite3_free(submission->entry[i].value);
        sqlite3_free(submission->entry[i].base);
    }
    submission->count = 0;
}

static void say(char reason[REQUEST_REASON_SIZE], const char *field, const char *problem)
{
    (void)sqlite3_snprintf(REQUEST_REASON_SIZE, reason, "%.40s %s", field, problem);
    normalize_show(reason);
}

/* The text of a value; *problem when it can be none of the field. */
static const char *entry_text(const struct json_member *member, const char **problem)
{
    if (member->type == JSON_NESTED) *problem = "must be text, a number, true, false or null";
    if ((member->type == JSON_TRUE || member->type == JSON_FALSE) && !field_is_flag(member->name)) {
        *problem = "is neither true nor false";
    }
    return member->text;
}

static bool field_given(const struct submission *submission, const char *field)
{
    for (int i = 0; i < submission->count; i++) {
        if (strcmp(submission->entry[i].field, field) == 0) return true;
    }
    return false;
}

/* Takes one member of the object; `reason` is filled when it is refused. */
static int entry_take(struct portal *portal, const struct patient_id *patient,
                      const struct json_member *member, struct submission *submission,
                      char reason[REQUEST_REASON_SIZE])
{
    struct entry *entry = &submission->entry[submission->count];
    const char *field = member->name;
    const char *problem = NULL;
    const char *text;
    int code;

    if (strlen(field) >= FIELD_SIZE || !field_known(portal, field)) {
        say(reason, field, "can not be changed on the portal");
        return SQLITE_OK;
    }
    if (submission->count == ENTRIES_MAX || field_given(submission, field)) {
        say(reason, field, "is given twice");
        return SQLITE_OK;
    }
    text = entry_text(member, &problem);
    memset(entry, 0, sizeof *entry);
    (void)sqlite3_snprintf(FIELD_SIZE, entry->field, "%s", field);
    submission->count++;
    if (problem == NULL) {
        code = field_check(portal, entry->field, text, &entry->value, &problem);
        if (code != SQLITE_OK) return code;
    }
    if (problem != NULL) {
        say(reason, entry->field, problem);
        return SQLITE_OK;
    }
    return field_read(portal, patient, entry->field, &entry->base);
}

static int submission_read(struct portal *portal, const struct patient_id *patient, const char *json,
                           struct submission *submission, char reason[REQUEST_REASON_SIZE])
{
    char *copy = sqlite3_mprintf("%s", json);
    struct json_reader reader = {copy, false};
    struct json_member member;
    enum json_step step = JSON_MEMBER;
    int code = copy == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;

    while (code == SQLITE_OK && reason[0] == '\0' && step == JSON_MEMBER) {
        step = json_next(&reader, &member);
        if (step == JSON_MEMBER) code = entry_take(portal, patient, &member, submission, reason);
    }
    if (step == JSON_MALFORMED) {
        (void)sqlite3_snprintf(REQUEST_REASON_SIZE, reason, "not a JSON object");
    }
    sqlite3_free(copy);
    return code;
}

/* A value that is the chart's own withdraws what was asked before. */
static int entry_store(struct portal *portal, const struct patient_id *patient,
                       const struct entry *entry, sqlite3_int64 account_id, const char *role,
                       int *count)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 older = 0;
    int code = statement_integer(portal, &older, pending_request, "ps", patient, entry->field);

    if (code == SQLITE_OK) code = statement_run(portal, supersede, "psi", patient, entry->field, now);
    if (code != SQLITE_OK) return code;
    if (field_same(portal, entry->field, entry->value, entry->base)) {
        return older == 0 ? SQLITE_OK
                          : audit_write_about(portal, "request.withdrawn", patient, "request", older,
                                              entry->field);
    }
    code = statement_run(portal, insert_request, "psssisi", patient, entry->field, entry->base,
                         entry->value, account_id, role, now);
    if (code != SQLITE_OK) return code;
    (*count)++;
    return audit_write_about(portal, "request.submitted", patient, "request",
                             sqlite3_last_insert_rowid(portal->db), entry->field);
}

/* The account of the session, if it may act for the patient. */
static int submitter_find(struct portal *portal, const char *session,
                          const struct patient_id *patient, sqlite3_int64 *account_id,
                          char role[ACCESS_ROLE_SIZE], char reason[REQUEST_REASON_SIZE])
{
    bool works = false;
    int code = session_open(portal, session, account_id);

    if (code == SQLITE_DONE) {
        (void)sqlite3_snprintf(REQUEST_REASON_SIZE, reason, "session");
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) return code;
    code = access_works(portal, *account_id, patient, &works, role);
    if (code == SQLITE_OK && !works) (void)sqlite3_snprintf(REQUEST_REASON_SIZE, reason, "patient");
    return code;
}

/* How much more an account may ask for today, so that nobody who can sign in fills the database. */
static int budget_read(struct portal *portal, sqlite3_int64 account_id, sqlite3_int64 *left,
                       char reason[REQUEST_REASON_SIZE])
{
    sqlite3_int64 count = 0;
    int code = statement_integer(portal, &count, count_requests, "ii", account_id,
                                 connection_now(portal) - DAY);

    *left = setting_number(portal, SETTING_requests_per_day) - count;
    if (code == SQLITE_OK && *left <= 0) {
        (void)sqlite3_snprintf(REQUEST_REASON_SIZE, reason, "too many changes in 24 hours; try again tomorrow");
    }
    return code;
}

int request_submit(struct portal *portal, const char *session, const struct patient_id *patient,
                   const char *json, int *count, bool *refused, char reason[REQUEST_REASON_SIZE])
{
    struct submission submission;
    struct patient chart;
    char role[ACCESS_ROLE_SIZE];
    sqlite3_int64 account_id = 0;
    sqlite3_int64 left = 0;
    int code;

    submission.count = 0;
    *count = 0;
    reason[0] = '\0';
    code = submitter_find(portal, session, patient, &account_id, role, reason);
    if (code == SQLITE_OK && reason[0] == '\0') code = patient_read(portal, patient, &chart);
    if (code == SQLITE_OK && reason[0] == '\0') {
        code = submission_read(portal, &chart.id, json, &submission, reason);
    }
    if (code == SQLITE_OK && reason[0] == '\0') code = budget_read(portal, account_id, &left, reason);
    for (int i = 0; i < submission.count && code == SQLITE_OK && reason[0] == '\0'; i++) {
        code = entry_store(portal, &chart.id, &submission.entry[i], account_id, role, count);
    }
    if (code == SQLITE_OK && reason[0] == '\0' && *count >= left) {
        code = audit_write_about(portal, "account.requests_spent", &chart.id, "account", account_id, NULL);
    }
    submission_clear(&submission);
    *refused = reason[0] != '\0';
    return code;
}

/* A request as it is decided. */
struct request {
    sqlite3_int64 request_id;
    struct patient_id patient;
    char field[FIELD_SIZE];
    char *base;
    char *proposed;
    bool has_identity;
    sqlite3_int64 identity;    /* who the patient is to the account that asked */
};

static void request_clear(struct request *request)
{
    sqlite3_free(request->base);
    sqlite3_free(request->proposed);
}

static int column_copy(struct portal *portal, sqlite3_stmt *statement, int column, char **out)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    *out = NULL;
    if (text == NULL) return SQLITE_OK;
    *out = sqlite3_mprintf("%s", text);
    return *out == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int request_read(struct portal *portal, sqlite3_int64 request_id, struct request *request)
{
    char status[32];
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_request, "i", request_id);

    memset(request, 0, sizeof *request);
    request->request_id = request_id;
    if (code == SQLITE_DONE) return refuse(portal, "there is no request %lld", request_id);
    if (code != SQLITE_ROW) return code;
    patient_id_from_column(statement, 0, &request->patient);
    statement_text(statement, 1, request->field, sizeof request->field);
    statement_text(statement, 4, status, sizeof status);
    request->has_identity = sqlite3_column_type(statement, 5) != SQLITE_NULL;
    request->identity = sqlite3_column_int64(statement, 5);
    code = column_copy(portal, statement, 2, &request->base);
    if (code == SQLITE_OK) code = column_copy(portal, statement, 3, &request->proposed);
    statement_done(portal, statement);
    if (code == SQLITE_OK && strcmp(status, "pending") != 0) {
        code = refuse(portal, "request %lld is %s already", request_id, status);
    }
    return code;
}

static int requester_tell(struct portal *portal, const struct request *request)
{
    char contact[CONTACT_SIZE];
    enum medium medium;
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 message_id = 0;
    int fresh = portal->fresh_count;
    int code = statement_row(portal, &statement, read_requester, "i", request->request_id);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    medium = medium_from_name(statement_string(statement, 0));
    statement_text(statement, 1, contact, sizeof contact);
    statement_done(portal, statement);
    code = outbox_queue(portal, "request_decided", medium, &request->patient, contact, &message_id);
    /* It waits for the next delivery: what is decided until then needs no notice of its own. */
    portal->fresh_count = fresh;
    return code;
}

static int request_decide(struct portal *portal, const struct request *request, const char *status,
                          const char *reason)
{
    char action[40];
    int code;

    (void)sqlite3_snprintf((int)sizeof action, action, "request.%s", status);
    code = statement_run(portal, decide, "isiss", request->request_id, status, connection_now(portal),
                         portal->actor, reason);
    if (code == SQLITE_OK) code = requester_tell(portal, request);
    if (code != SQLITE_OK) return code;
    return audit_write_about(portal, action, &request->patient, "request", request->request_id,
                             reason != NULL ? reason : request->field);
}

/* Tells the address that is no longer used, so that a hijacked account shows. */
static int old_contact_tell(struct portal *portal, const struct request *request,
                            const struct patient *before)
{
    enum medium medium = strcmp(request->field, "email") == 0 ? MEDIUM_EMAIL : MEDIUM_TEXT;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    sqlite3_int64 message_id = 0;
    int code;

    if (strcmp(request->field, "email") != 0 && strcmp(request->field, "cell_phone") != 0) {
        return SQLITE_OK;
    }
    code = optout_reach(portal, before, medium, contact, &problem);
    if (code == SQLITE_OK && problem == NULL) {
        code = outbox_queue(portal, "contact_changed", medium, &request->patient, contact,
                            &message_id);
    }
    sqlite3_free(problem);
    return code;
}

static int identity_follow(struct portal *portal, const struct request *request,
                           const struct patient *before)
{
    const struct keyring *keyring = NULL;
    struct patient after;
    sqlite3_int64 old_identity;
    sqlite3_int64 identity;
    int code;

    if (strcmp(request->field, "first_name") != 0) return SQLITE_OK;
    code = connection_key(portal, &keyring);
    if (code == SQLITE_OK) code = patient_read(portal, &request->patient, &after);
    if (code != SQLITE_OK) return code;
    old_identity = patient_identity(keyring, before);
    identity = patient_identity(keyring, &after);
    code =
        statement_run(portal, identity_of_access, "pii", &request->patient, old_identity, identity);
    if (code != SQLITE_OK) return code;
    return statement_run(portal, identity_of_links, "pii", &request->patient, old_identity, identity);
}

/* Another person under the same patient_id must not be given what was entered for the first. */
static int person_check(struct portal *portal, const struct request *request,
                        const struct patient *chart)
{
    const struct keyring *keyring = NULL;
    int code = connection_key(portal, &keyring);

    if (code != SQLITE_OK) return code;
    if (!request->has_identity || request->identity == patient_identity(keyring, chart)) {
        return SQLITE_OK;
    }
    return refuse(portal,
                  "request %lld is in conflict: first name or date of birth on the chart have "
                  "changed, perhaps it is another person's; look at both, then decline it or "
                  "accept_request(%lld, 'force')",
                  request->request_id, request->request_id);
}

static int conflict_check(struct portal *portal, const struct request *request)
{
    char *current = NULL;
    bool same;
    int code = field_read(portal, &request->patient, request->field, &current);

    if (code != SQLITE_OK) return code;
    same = current == NULL || request->base == NULL ? current == request->base
                                                    : strcmp(current, request->base) == 0;
    sqlite3_free(current);
    if (same) return SQLITE_OK;
    return refuse(portal, "request %lld is in conflict: %s on the chart has changed since it was "
                  "submitted; look at both, then accept_request(%lld, 'force') or decline it",
                  request->request_id, request->field, request->request_id);
}

int request_accept(struct portal *portal, sqlite3_int64 request_id, bool force)
{
    struct request request;
    struct patient before;
    int code = request_read(portal, request_id, &request);

    if (code == SQLITE_OK) code = patient_read(portal, &request.patient, &before);
    if (code == SQLITE_OK && !force) code = person_check(portal, &request, &before);
    if (code == SQLITE_OK && !force) code = conflict_check(portal, &request);
    /* The practice's own schema may refuse this one: nothing is written before it. */
    if (code == SQLITE_OK) {
        code = field_write(portal, &request.patient, request.field, request.proposed);
    }
    if (code == SQLITE_OK) code = identity_follow(portal, &request, &before);
    if (code == SQLITE_OK) code = old_contact_tell(portal, &request, &before);
    if (code == SQLITE_OK) code = request_decide(portal, &request, "accepted", NULL);
    request_clear(&request);
    return code;
}

int request_decline(struct portal *portal, sqlite3_int64 request_id, const char *reason)
{
    struct request request;
    int code = request_read(portal, request_id, &request);

    if (code == SQLITE_OK) code = request_decide(portal, &request, "declined", reason);
    request_clear(&request);
    return code;
}
