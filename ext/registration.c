#include "registration.h"

#include "access.h"
#include "audit.h"
#include "wording.h"

#include <string.h>

enum { HOUR = 3600 };

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

static int older_end(struct portal *portal, sqlite3_int64 registration_id, sqlite3_int64 now)
{
    int code = statement_run(portal, supersede, "ii", registration_id, now);

    if (code == SQLITE_OK) code = statement_run(portal, supersede_pins, "i", registration_id);
    if (code == SQLITE_OK) code = outbox_cancel(portal, registration_id, "a newer link was sent");
    return code;
}

int registration_queue(struct portal *portal, const struct sending *draft,
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
    if (code == SQLITE_OK && draft->again) code = access_grant_again(portal, id);
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
    int code = patient_find_kept(portal, id, patient);

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
