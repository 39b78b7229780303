#include "registration.h"

#include "access.h"
#include "audit.h"
#include "calendar.h"
#include "optout.h"
#include "wording.h"

#include <string.h>

enum { DAY = 86400, HOUR = 3600 };

static const char newest_registration[] =
    "SELECT registration_id, created_at FROM main.portal_registration"
    " WHERE patient_id = ?1 AND merged_from IS NULL ORDER BY registration_id DESC LIMIT 1";
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
static const char insert_registration[] =
    "INSERT INTO main.portal_registration (registration_id, patient_id, destination, identity, nonce,"
    " status, created_at, sent_by, language) VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, nullif(?8, ''))";
/* Those before it were superseded when it was made. */
static const char supersede[] =
    "UPDATE main.portal_registration SET status = 'superseded', ended_at = ?2"
    " WHERE registration_id = ?1 AND status IN ('queued', 'live', 'expired')";
static const char supersede_pins[] =
    "UPDATE main.portal_pin SET status = 'superseded'"
    " WHERE registration_id = ?1 AND status = 'live'";
static const char read_for_claim[] =
    "SELECT patient_id, destination, identity, status FROM main.portal_registration"
    " WHERE registration_id = ?1";
static const char make_live[] =
    "UPDATE main.portal_registration SET status = 'live', expires_at = ?2 WHERE registration_id = ?1";
static const char end_registration[] =
    "UPDATE main.portal_registration SET status = ?2, ended_at = ?3"
    " WHERE registration_id = ?1 AND status IN ('queued', 'live', 'expired')";
static const char fix_expiry[] =
    "UPDATE main.portal_registration SET expires_at = ?2"
    " WHERE registration_id = ?1 AND status = 'live' AND expires_at IS NOT ?2";
static const char read_link[] =
    "SELECT nonce, status, expires_at FROM main.portal_registration WHERE registration_id = ?1";
static const char read_registration[] =
    "SELECT r.registration_id, r.patient_id, r.destination, r.identity, r.guesses, r.pins, m.channel"
    "  FROM main.portal_registration AS r"
    "  LEFT JOIN main.portal_message AS m ON m.message_id = r.registration_id"
    " WHERE r.registration_id = ?1";
static const char count_guess[] =
    "UPDATE main.portal_registration SET guesses = guesses + 1"
    " WHERE registration_id = ?1 AND guesses < ?2 AND status = 'live'";
static const char uncount_guess[] =
    "UPDATE main.portal_registration SET guesses = guesses - 1"
    " WHERE registration_id = ?1 AND guesses > 0";
static const char spend[] =
    "UPDATE main.portal_registration SET status = 'spent', ended_at = ?3"
    " WHERE registration_id = ?1 AND guesses >= ?2 AND status = 'live'";
static const char use[] =
    "UPDATE main.portal_registration SET status = 'used', ended_at = ?2"
    " WHERE registration_id = ?1 AND status = 'live' AND expires_at > ?2";
static const char revoke[] =
    "UPDATE main.portal_registration SET status = 'revoked', ended_at = ?2"
    " WHERE patient_id = ?1 AND status IN ('queued', 'live', 'superseded', 'expired')";
/* Those of older links were cancelled when these were superseded, those of merged ones by the merge. */
static const char revoke_message[] =
    "UPDATE main.portal_message SET status = 'cancelled', due_at = NULL, detail = 'access was "
    "revoked'"
    " WHERE due_at IS NOT NULL AND message_id ="
    " (SELECT max(registration_id) FROM main.portal_registration"
    "   WHERE patient_id = ?1 AND merged_from IS NULL)";
/* OR FAIL, for the scope undoes it all: SQLite would copy every page before it changes it, to a file. */
static const char expire[] =
    "UPDATE OR FAIL main.portal_registration SET status = 'expired', ended_at = expires_at"
    " WHERE status = 'live' AND expires_at <= ?1";

int registration_requires(const struct portal *portal, enum medium medium)
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
static int unreachable_check(struct portal *portal, struct registration_draft *draft)
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

static int contacts_check(struct portal *portal, struct registration_draft *draft, int required)
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
static int cooldown_read(struct portal *portal, const struct registration_draft *draft,
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

int registration_previous(struct portal *portal, struct registration_draft *draft)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, newest_registration, "p", &draft->patient.id);

    draft->previous = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    draft->previous_at = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Else no registration of the patient was made since, by any channel: none has to be looked up. */
static bool sent_since(const struct registration_draft *draft, sqlite3_int64 time)
{
    return draft->previous != 0 && draft->previous_at > time;
}

static int cooldown_check(struct portal *portal, const struct registration_draft *draft,
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

int registration_limits(struct portal *portal, const struct registration_draft *draft)
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

int registration_check_draft(struct portal *portal, enum medium medium, int required,
                             struct registration_draft *draft)
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
    return code == SQLITE_OK ? registration_limits(portal, draft) : code;
}

int registration_check(struct portal *portal, const struct patient_id *id, enum medium medium,
                       int required, struct registration_draft *draft)
{
    int code = patient_read(portal, id, &draft->patient);

    if (code == SQLITE_OK) code = registration_previous(portal, draft);
    return code == SQLITE_OK ? registration_check_draft(portal, medium, required, draft) : code;
}

static int older_end(struct portal *portal, sqlite3_int64 registration_id, sqlite3_int64 now)
{
    int code = statement_run(portal, supersede, "ii", registration_id, now);

    if (code == SQLITE_OK) code = statement_run(portal, supersede_pins, "i", registration_id);
    if (code == SQLITE_OK) code = outbox_cancel(portal, registration_id, "a newer link was sent");
    return code;
}

int registration_queue(struct portal *portal, const struct registration_draft *draft,
                       sqlite3_int64 *message_id)
{
    const struct patient_id *id = &draft->patient.id;
    sqlite3_int64 now = connection_now(portal);
    const struct keyring *keyring = NULL;
    struct token token;
    uint8_t kept[TOKEN_KEPT_SIZE];
    char language[LANGUAGE_SIZE];
    bool printed = draft->medium == MEDIUM_PRINT;
    int code = connection_key(portal, &keyring);

    wording_language(draft->patient.preferred_language, language);
    if (code == SQLITE_OK) {
        code = printed ? outbox_record(portal, "registration", id, message_id)
                       : outbox_queue(portal, "registration", draft->medium, id, draft->contact, message_id);
    }
    if (code == SQLITE_OK && *message_id > UINT32_MAX) {
        return refuse(portal, "the outbox is full: 4294967295 messages; run portal_purge");
    }
    if (code == SQLITE_OK) {
        token.generation = keyring_newest_generation(keyring);
        /* It only has to differ from what the same id had before a restore: no system call for that. */
        sqlite3_randomness(sizeof token.nonce, token.nonce);
        token_keep(&token, kept);
        code = statement_run(portal, insert_registration, "ipiibiss", *message_id, id,
                             draft->destination, patient_identity(keyring, &draft->patient), kept, TOKEN_KEPT_SIZE, now,
                             portal->actor, language);
    }
    /* Whoever was never sent one has none that works, and nothing that was revoked. */
    if (code == SQLITE_OK && draft->previous != 0) code = older_end(portal, draft->previous, now);
    if (code == SQLITE_OK && draft->previous != 0) code = access_grant_again(portal, id);
    if (code == SQLITE_OK) {
        code = audit_write_about(portal, printed ? "registration.printed" : "registration.queued", id, "message",
                                 *message_id, medium_name(draft->medium));
    }
    return code;
}

int registration_begin(struct portal *portal, sqlite3_int64 registration_id, sqlite3_int64 *expires_at)
{
    *expires_at = connection_now(portal) + setting_number(portal, SETTING_link_hours) * HOUR;
    return statement_run(portal, make_live, "ii", registration_id, *expires_at);
}

int registration_chart(struct portal *portal, const struct patient_id *id, enum medium medium,
                       sqlite3_int64 destination, sqlite3_int64 identity, struct patient *patient,
                       const char **changed)
{
    int code = patient_find(portal, id, patient);

    if (code == SQLITE_ROW) {
        return patient_changed(portal, patient, medium, destination, identity, changed);
    }
    *changed = "the patient is not on file any more";
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int end(struct portal *portal, sqlite3_int64 id, const struct patient_id *patient,
               const char *status, const char *why)
{
    char action[40];
    int code = statement_run(portal, end_registration, "isi", id, status, connection_now(portal));

    (void)sqlite3_snprintf((int)sizeof action, action, "registration.%s", status);
    if (code == SQLITE_OK) code = audit_write_about(portal, action, patient, "message", id, why);
    return code;
}

int registration_claim(struct portal *portal, const struct outbox_message *message,
                       const char **dead)
{
    sqlite3_stmt *statement = NULL;
    struct patient_id id;
    struct patient patient;
    sqlite3_int64 destination;
    sqlite3_int64 identity;
    sqlite3_int64 expires_at;
    char status[32];
    int code = statement_row(portal, &statement, read_for_claim, "i", message->message_id);

    *dead = "its registration is gone";
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    patient_id_from_column(statement, 0, &id);
    destination = sqlite3_column_int64(statement, 1);
    identity = sqlite3_column_int64(statement, 2);
    statement_text(statement, 3, status, sizeof status);
    statement_done(portal, statement);
    *dead = "the link is not good any more";
    if (strcmp(status, "queued") != 0 && strcmp(status, "live") != 0) return SQLITE_OK;
    code = registration_chart(portal, &id, message->medium, destination, identity, &patient, dead);
    if (code != SQLITE_OK) return code;
    if (*dead != NULL) return end(portal, message->message_id, &id, "changed", *dead);
    /* From here on somebody may have the link: provisional, until the hand-over is reported. */
    return registration_begin(portal, message->message_id, &expires_at);
}

int registration_fate(struct portal *portal, const struct outbox_message *message,
                      enum outbox_fate fate)
{
    sqlite3_int64 now = connection_now(portal);

    if (fate == FATE_FAILED) {
        return statement_run(portal, end_registration, "isi", message->message_id, "failed", now);
    }
    /* Handed over within the second of its claim, which gave it this expiry. */
    if (message->claimed_at == now) return SQLITE_OK;
    return statement_run(portal, fix_expiry, "ii", message->message_id,
                         now + setting_number(portal, SETTING_link_hours) * HOUR);
}

/* How a link's status is told, by the status of its row. */
static const char *status_told(const char *status, sqlite3_int64 expires_at, sqlite3_int64 now)
{
    static const struct { const char *status, *told; } rows[] = {
        {"used", "used"}, {"superseded", "superseded"}, {"expired", "expired"}, {"queued", "unknown"},
    };

    if (strcmp(status, "live") == 0) return now < expires_at ? "valid" : "expired";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(status, rows[i].status) == 0) return rows[i].told;
    }
    return "revoked";     /* revoked, failed, changed, spent */
}

int registration_status(struct portal *portal, const char *token, size_t length,
                        const char **status)
{
    struct token claimed;
    sqlite3_stmt *statement = NULL;
    bool genuine = false;
    int code = connection_prove(portal, TOKEN_LINK, token, length, &claimed, &genuine);

    *status = "unknown";
    if (code != SQLITE_OK || !genuine) return code;
    code = statement_row(portal, &statement, read_link, "i", (sqlite3_int64)claimed.id);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    if (statement_keeps(statement, 0, &claimed)) {
        *status = status_told(statement_string(statement, 1), sqlite3_column_int64(statement, 2),
                              connection_now(portal));
    }
    statement_done(portal, statement);
    return SQLITE_OK;
}

int registration_open(struct portal *portal, const char *token, struct registration *registration,
                      struct patient *patient)
{
    sqlite3_stmt *statement = NULL;
    const char *status = NULL;
    const char *changed = NULL;
    struct token claimed;
    int code = registration_status(portal, token, strlen(token), &status);

    if (code != SQLITE_OK) return code;
    if (strcmp(status, "valid") != 0) return SQLITE_DONE;
    (void)token_parse(token, strlen(token), &claimed);
    code = statement_row(portal, &statement, read_registration, "i", (sqlite3_int64)claimed.id);
    if (code != SQLITE_ROW) return code;
    registration->registration_id = sqlite3_column_int64(statement, 0);
    patient_id_from_column(statement, 1, &registration->patient);
    registration->destination = sqlite3_column_int64(statement, 2);
    registration->identity = sqlite3_column_int64(statement, 3);
    registration->guesses = sqlite3_column_int(statement, 4);
    registration->pins = sqlite3_column_int(statement, 5);
    registration->medium = medium_from_name((const char *)sqlite3_column_text(statement, 6));
    statement_done(portal, statement);
    code = registration_chart(portal, &registration->patient, registration->medium,
                         registration->destination, registration->identity, patient, &changed);
    if (code != SQLITE_OK) return code;
    if (changed == NULL) return SQLITE_ROW;
    code = end(portal, registration->registration_id, &registration->patient, "changed", changed);
    return code == SQLITE_OK ? SQLITE_DONE : code;
}

int registration_guess(struct portal *portal, const struct registration *registration,
                       bool *allowed)
{
    int changes = 0;
    int code = statement_change(portal, &changes, count_guess, "ii", registration->registration_id,
                                (sqlite3_int64)REGISTRATION_GUESSES);

    *allowed = changes == 1;
    return code;
}

int registration_guess_right(struct portal *portal, sqlite3_int64 registration_id)
{
    return statement_run(portal, uncount_guess, "i", registration_id);
}

/* With so many guesses. */
static int spend_at(struct portal *portal, const struct registration *registration, sqlite3_int64 guesses, const char *why)
{
    int changes = 0;
    int code = statement_change(portal, &changes, spend, "iii", registration->registration_id, guesses,
                                connection_now(portal));

    if (code != SQLITE_OK || changes == 0) return code;
    return audit_write_about(portal, "registration.spent", &registration->patient, "message",
                             registration->registration_id, why);
}

int registration_guess_wrong(struct portal *portal, const struct registration *registration)
{
    return spend_at(portal, registration, REGISTRATION_GUESSES, "10 wrong proofs or PINs");
}

int registration_spend(struct portal *portal, const struct registration *registration, const char *why)
{
    return spend_at(portal, registration, 0, why);
}

int registration_use(struct portal *portal, sqlite3_int64 registration_id, bool *used)
{
    int changes = 0;
    int code = statement_change(portal, &changes, use, "ii", registration_id, connection_now(portal));

    *used = changes == 1;
    return code;
}

int registration_revoke(struct portal *portal, const struct patient_id *patient)
{
    int code = statement_run(portal, revoke, "pi", patient, connection_now(portal));

    return code == SQLITE_OK ? statement_run(portal, revoke_message, "p", patient) : code;
}

int registration_expire(struct portal *portal, sqlite3_int64 *count)
{
    int changes = 0;
    int code = statement_change(portal, &changes, expire, "i", connection_now(portal));

    *count = changes;
    return code;
}
