#include "sending.h"

#include "access.h"
#include "calendar.h"
#include "optout.h"

#include <string.h>

enum { DAY = 86400 };

/* Or that there was none, but a revoke that came with what was merged. */
static const char newest_registration[] =
    "SELECT registration_id, created_at FROM (SELECT registration_id, created_at FROM main.portal_registration"
    "   WHERE patient_id = ?1 AND merged_from IS NULL ORDER BY registration_id DESC LIMIT 1)"
    " UNION ALL SELECT 0, 0 FROM main.portal_revocation WHERE patient_id = ?1";
/* By the same channel: another contact there is a changed one, which needs no cooldown. */
static const char newest_by_channel[] =
    "SELECT r.destination, r.created_at, r.status FROM main.portal_registration AS r"
    "  JOIN main.portal_message AS m ON m.message_id = r.registration_id"
    " WHERE r.patient_id = ?1 AND m.channel = ?2 ORDER BY r.registration_id DESC LIMIT 1";
/* When the newest but ?2 was sent: as many as there are, no more are read. */
static const char sent_to_patient[] =
    "SELECT created_at FROM main.portal_registration WHERE patient_id = ?1"
    " ORDER BY registration_id DESC LIMIT 1 OFFSET ?2";
static const char sent_to_destination[] =
    "SELECT created_at FROM main.portal_registration WHERE destination = ?1"
    " ORDER BY registration_id DESC LIMIT 1 OFFSET ?2";

int sending_requires(const struct portal *portal, enum medium medium)
{
    bool scheduling = portal->application == SCHEDULING;
    const char *list = setting_text(portal, scheduling ? SETTING_scheduling_requires
                                                       : SETTING_ehr_requires);
    int required = (int)medium;

    if (medium == MEDIUM_PRINT) return 0;
    if (strstr(list, "email") != NULL) required |= PORTAL_EMAIL;
    if (strstr(list, "cell_phone") != NULL) required |= PORTAL_TEXT;
    return required;
}

/* Takes over patient_contact()'s sentence as the refusal. */
static int contact_refuse(struct portal *portal, char *problem)
{
    int code;

    if (problem == NULL) return SQLITE_OK;
    code = refuse(portal, "%s", problem);
    sqlite3_free(problem);
    return code;
}

/* What is required but not sent to must be there and well formed; declining it does no harm. */
static int required_check(struct portal *portal, const struct patient *patient, enum medium medium)
{
    struct patient consenting = *patient;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    int code;

    consenting.email_consent = true;
    consenting.text_consent = true;
    code = patient_contact(portal, &consenting, medium, contact, &problem);
    return code == SQLITE_OK ? contact_refuse(portal, problem) : code;
}

/* Whoever lacks both contacts is to hear so at once, not one after the other. */
static int missing_check(struct portal *portal, const struct patient *patient, int required)
{
    char id[PATIENT_ID_TEXT_SIZE];

    if (required != (PORTAL_EMAIL | PORTAL_TEXT) || patient->email[0] != '\0' ||
        patient->cell_phone[0] != '\0') {
        return SQLITE_OK;
    }
    return refuse(portal,
                  "patient %s has no email address on file and no cell phone number; add both, "
                  "then send again",
                  patient_id_text(&patient->id, id));
}

/* A letter is for whom no message can reach. */
static int unreachable_check(struct portal *portal, struct sending *draft)
{
    enum medium medium = MEDIUM_EMAIL;
    char id[PATIENT_ID_TEXT_SIZE];
    char *problem = NULL;
    int code = optout_reach_either(portal, &draft->patient, &medium, draft->contact, &problem);

    draft->contact[0] = '\0';
    if (code == SQLITE_OK && problem == NULL) {
        (void)patient_id_text(&draft->patient.id, id);
        code = refuse(portal, "patient %s can be reached by %s, and a letter is for whom no message reaches; "
                      "send_registration(%s, '%s')", id, medium_name(medium), id, medium_name(medium));
    }
    sqlite3_free(problem);
    return code;
}

static int contacts_check(struct portal *portal, struct sending *draft, int required)
{
    enum medium other = medium_other(draft->medium);
    char *problem = NULL;
    int code;

    if (draft->medium == MEDIUM_PRINT) return unreachable_check(portal, draft);
    code = missing_check(portal, &draft->patient, required);
    if (code != SQLITE_OK) return code;
    code = optout_reach(portal, &draft->patient, draft->medium, draft->contact, &problem);
    if (code == SQLITE_OK) code = contact_refuse(portal, problem);
    if (code == SQLITE_OK && (required & (int)other) != 0) {
        code = required_check(portal, &draft->patient, other);
    }
    return code;
}

static bool counts_for_cooldown(const char *status)
{
    static const char *const free_again[] = {"failed", "changed", "revoked"};

    for (size_t i = 0; i < sizeof free_again / sizeof free_again[0]; i++) {
        if (strcmp(status, free_again[i]) == 0) return false;
    }
    return true;
}

/* Seconds until the patient may be sent another link at this contact; 0 or less is now. */
static int cooldown_read(struct portal *portal, const struct sending *draft,
                         sqlite3_int64 now, sqlite3_int64 *wait)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, newest_by_channel, "ps", &draft->patient.id,
                             medium_name(draft->medium));

    *wait = 0;
    if (code == SQLITE_ROW && sqlite3_column_int64(statement, 0) == draft->destination &&
        counts_for_cooldown(statement_string(statement, 2))) {
        *wait = sqlite3_column_int64(statement, 1) +
                setting_number(portal, SETTING_resend_seconds) - now;
    }
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int sending_previous(struct portal *portal, struct sending *draft)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, newest_registration, "p", &draft->patient.id);

    draft->previous = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    draft->previous_at = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    draft->again = code == SQLITE_ROW;
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Else no registration of the patient was made since, by any channel: none has to be looked up. */
static bool sent_since(const struct sending *draft, sqlite3_int64 time)
{
    return draft->previous != 0 && draft->previous_at > time;
}

static int cooldown_check(struct portal *portal, const struct sending *draft,
                          sqlite3_int64 now)
{
    char id[PATIENT_ID_TEXT_SIZE];
    sqlite3_int64 wait = 0;
    bool revoked = false;
    int code;

    if (!sent_since(draft, now - setting_number(portal, SETTING_resend_seconds))) return SQLITE_OK;
    code = cooldown_read(portal, draft, now, &wait);
    if (code != SQLITE_OK || wait <= 0) return code;
    /* A revoke counts whatever became of the link before it. */
    code = access_is_revoked(portal, &draft->patient.id, &revoked);
    if (code != SQLITE_OK || revoked) return code;
    return refuse(portal,
                  "patient %s was sent a registration a moment ago; wait %lld second%s, then send "
                  "again",
                  patient_id_text(&draft->patient.id, id), wait, wait == 1 ? "" : "s");
}

int sending_limits(struct portal *portal, const struct sending *draft)
{
    static const char *const nouns[] = {
        [MEDIUM_EMAIL] = "email address", [MEDIUM_TEXT] = "cell phone", [MEDIUM_PRINT] = "person",
    };
    sqlite3_int64 yesterday = connection_now(portal) - DAY;
    sqlite3_int64 most = setting_number(portal, SETTING_sends_per_day);
    sqlite3_int64 sent_at = 0;
    int code = SQLITE_OK;

    if (sent_since(draft, yesterday)) {
        code = statement_integer(portal, &sent_at, sent_to_patient, "pi", &draft->patient.id, most - 1);
    }
    if (code == SQLITE_OK && sent_at <= yesterday) {
        code = statement_integer(portal, &sent_at, sent_to_destination, "ii", draft->destination,
                                 most - 1);
    }
    if (code != SQLITE_OK || sent_at <= yesterday) return code;
    return refuse(portal,
                  "this patient or this %s has been sent %lld registrations in 24 hours, which is "
                  "the limit (sends_per_day); send again tomorrow",
                  nouns[draft->medium], most);
}

int sending_check_patient(struct portal *portal, enum medium medium, int required,
                             struct sending *draft)
{
    const struct keyring *keyring = NULL;
    char text[PATIENT_ID_TEXT_SIZE];
    const char *closed;
    int code = connection_key(portal, &keyring);

    draft->medium = medium;
    if (code != SQLITE_OK) return code;
    closed = patient_closed(&draft->patient);
    if (closed != NULL) {
        return refuse(portal, "patient %s %s; correct the chart if that is wrong, then send again",
                      patient_id_text(&draft->patient.id, text), closed);
    }
    if (!calendar_is_date(draft->patient.date_of_birth)) {
        return refuse(portal,
                      "patient %s has no date of birth as %s on file, which the patient "
                      "will be asked for; correct %s, then send again",
                      patient_id_text(&draft->patient.id, text), layout_format(portal, FIELD_date_of_birth)->name,
                      layout_column(portal, FIELD_date_of_birth));
    }
    code = contacts_check(portal, draft, required);
    if (code != SQLITE_OK) return code;
    /* A letter has none: it goes into the patient's own hand. */
    draft->destination = patient_destination(keyring, medium == MEDIUM_PRINT ? patient_id_text(&draft->patient.id, text)
                                                                             : draft->contact);
    code = cooldown_check(portal, draft, connection_now(portal));
    return code == SQLITE_OK ? sending_limits(portal, draft) : code;
}

int sending_check(struct portal *portal, const struct patient_id *id, enum medium medium,
                       int required, struct sending *draft)
{
    int code = patient_read(portal, id, &draft->patient);

    if (code == SQLITE_OK) code = sending_previous(portal, draft);
    return code == SQLITE_OK ? sending_check_patient(portal, medium, required, draft) : code;
}
