#include "proof.h"

#include "audit.h"
#include "normalize.h"
#include "optout.h"
#include "registration.h"

#include <sodium.h>
#include <string.h>

enum { MINUTE = 60 };

static const char newest_pin[] =
    "SELECT p.created_at, p.status = 'failed' OR (m.status = 'queued' AND m.attempts > 0)"
    "  FROM main.portal_pin AS p JOIN main.portal_message AS m ON m.message_id = p.pin_id"
    " WHERE p.registration_id = ?1 ORDER BY p.pin_id DESC LIMIT 1";
static const char supersede_pins[] =
    "UPDATE main.portal_pin SET status = 'superseded' WHERE registration_id = ?1 AND status = 'live'";
static const char cancel_pins[] =
    "UPDATE main.portal_message SET status = 'cancelled', due_at = NULL, detail = 'a newer PIN was "
    "sent'"
    " WHERE status = 'queued' AND message_id IN"
    " (SELECT pin_id FROM main.portal_pin WHERE registration_id = ?1 AND status = 'live')";
static const char insert_pin[] =
    "INSERT INTO main.portal_pin (pin_id, registration_id, nonce, status, created_at, expires_at)"
    " VALUES (?1, ?2, ?3, 'live', ?4, ?5)";
static const char count_pin[] =
    "UPDATE main.portal_registration SET pins = pins + 1"
    " WHERE registration_id = ?1 AND pins < ?2 AND status = 'live'";
static const char open_letter[] =
    "UPDATE main.portal_registration SET pins = 1 WHERE registration_id = ?1";
static const char read_pins[] =
    "SELECT pins FROM main.portal_registration WHERE registration_id = ?1";
static const char uncount_try[] =
    "UPDATE main.portal_pin SET tries = tries - 1 WHERE pin_id = ?1 AND tries > 0";
static const char spend_pin[] = "UPDATE main.portal_pin SET status = 'spent' WHERE pin_id = ?1 AND "
                                "status = 'live' AND tries >= ?2";
static const char pin_alive[] =
    "SELECT r.identity FROM main.portal_pin AS p"
    "  JOIN main.portal_registration AS r USING (registration_id)"
    " WHERE p.pin_id = ?1 AND p.status = 'live' AND p.expires_at > ?2 AND r.status = 'live'"
    "   AND r.expires_at > ?2";
static const char renew_pin[] =
    "UPDATE main.portal_pin SET expires_at = ?2 WHERE pin_id = ?1 AND status = 'live'";
static const char fail_pin[] =
    "UPDATE main.portal_pin SET status = 'failed' WHERE pin_id = ?1 AND status = 'live'";
static const char expire_pins[] =
    "UPDATE main.portal_pin SET status = 'expired' WHERE status = 'live' AND expires_at <= ?1";

/* Compares all of both, however early they differ. */
static bool same_text(const char *a, const char *b)
{
    uint8_t left[crypto_generichash_BYTES];
    uint8_t right[crypto_generichash_BYTES];

    (void)crypto_generichash(left, sizeof left, (const uint8_t *)a, strlen(a), NULL, 0);
    (void)crypto_generichash(right, sizeof right, (const uint8_t *)b, strlen(b), NULL, 0);
    return sodium_memcmp(left, right, sizeof left) == 0;
}

int proof_begin(struct portal *portal, void *data)
{
    struct proof_attempt *attempt = data;
    int code = registration_open(portal, attempt->token, &attempt->registration, &attempt->patient);

    attempt->open = code == SQLITE_ROW;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = registration_guess(portal, &attempt->registration, &attempt->allowed);
    attempt->counted = attempt->allowed;
    return code;
}

int proof_wrong(struct portal *portal, void *data)
{
    struct proof_attempt *attempt = data;
    int code = registration_guess_wrong(portal, &attempt->registration);
    int changes = 0;

    if (code == SQLITE_OK && attempt->pin_id != 0) {
        code = statement_change(portal, &changes, spend_pin, "ii", attempt->pin_id, (sqlite3_int64)PROOF_PIN_TRIES);
    }
    if (code != SQLITE_OK || changes == 0 || attempt->registration.medium != MEDIUM_PRINT) return code;
    return registration_spend(portal, &attempt->registration, "5 wrong codes of a letter, which has no other");
}

int proof_right(struct portal *portal, void *data)
{
    struct proof_attempt *attempt = data;
    int code = registration_guess_right(portal, attempt->registration.registration_id);

    if (code == SQLITE_OK && attempt->pin_id != 0) {
        code = statement_run(portal, uncount_try, "i", attempt->pin_id);
    }
    return code;
}

int proof_unknown(struct portal *portal, const char *token, bool *unknown)
{
    const char *status = NULL;
    int code = registration_status(portal, token, strlen(token), &status);

    *unknown = strcmp(status, "unknown") == 0;
    return code;
}

/* Does the same work whatever does not fit; what is no name becomes "", which fits none. */
static bool proof_fits(const struct patient *patient, const char *last_name,
                       const char *date_of_birth)
{
    char given[NORMALIZE_SIZE];
    char known[NORMALIZE_SIZE];
    bool name;
    bool birth;

    (void)normalize_name(last_name, given, sizeof given);
    (void)normalize_name(patient->last_name, known, sizeof known);
    name = same_text(given, known);
    birth = same_text(date_of_birth, patient->date_of_birth);
    return known[0] != '\0' && name && birth;
}

/* The channel of the PIN: the other one than the link's, if it can be used, else the same. */
static int pin_contact(struct portal *portal, struct proof_attempt *attempt, bool *found)
{
    char *problem = NULL;
    int code;

    attempt->medium = medium_other(attempt->registration.medium);
    code = optout_reach_either(portal, &attempt->patient, &attempt->medium, attempt->contact, &problem);
    *found = code == SQLITE_OK && problem == NULL;
    sqlite3_free(problem);
    return code;
}

/* Seconds to wait before another PIN; a hand-over that failed gives the cooldown back. */
static int cooldown(struct portal *portal, sqlite3_int64 registration_id, sqlite3_int64 *wait)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, newest_pin, "i", registration_id);

    *wait = 0;
    if (code == SQLITE_ROW && sqlite3_column_int(statement, 1) == 0) {
        *wait = sqlite3_column_int64(statement, 0) + setting_number(portal, SETTING_resend_seconds) -
                connection_now(portal);
    }
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int pin_queue(struct portal *portal, const struct proof_attempt *attempt)
{
    sqlite3_int64 registration_id = attempt->registration.registration_id;
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 message_id = 0;
    uint8_t kept[TOKEN_KEPT_SIZE];
    int code = statement_run(portal, cancel_pins, "i", registration_id);

    if (code == SQLITE_OK) code = connection_token(portal, kept);
    if (code == SQLITE_OK) code = statement_run(portal, supersede_pins, "i", registration_id);
    if (code == SQLITE_OK) {
        code = outbox_queue(portal, "pin", attempt->medium, &attempt->registration.patient,
                            attempt->contact, &message_id);
    }
    if (code == SQLITE_OK) {
        code = statement_run(portal, insert_pin, "iibii", message_id, registration_id, kept,
                             TOKEN_KEPT_SIZE, now,
                             now + setting_number(portal, SETTING_pin_minutes) * MINUTE);
    }
    return code;
}

/* One event when the last PIN message of a link is queued, however often another is asked for. */
static int last_pin_audit(struct portal *portal, const struct registration *registration)
{
    sqlite3_int64 pins = 0;
    int code = statement_integer(portal, &pins, read_pins, "i", registration->registration_id);

    if (code != SQLITE_OK || pins != REGISTRATION_PINS) return code;
    return audit_write_about(portal, "registration.pins_spent", &registration->patient, "message",
                             registration->registration_id, "5 PIN messages");
}

/* Right proof: gives the guess back and queues a PIN, unless it is too early or too many. */
struct pin_step {
    struct proof_attempt *attempt;
    struct proof_answer *answer;
};

/* Nothing is sent: the PIN is in the patient's hand, and counts from now on. */
static int letter_open(struct portal *portal, const struct proof_attempt *attempt, struct proof_answer *answer)
{
    answer->result = PROOF_SENT;
    answer->medium = MEDIUM_PRINT;
    return statement_run(portal, open_letter, "i", attempt->registration.registration_id);
}

static int pin_step(struct portal *portal, void *data)
{
    struct pin_step *step = data;
    struct proof_attempt *attempt = step->attempt;
    bool found = false;
    int changes = 0;
    int code = proof_right(portal, attempt);

    memset(step->answer, 0, sizeof *step->answer);
    if (code == SQLITE_OK && attempt->registration.medium == MEDIUM_PRINT) return letter_open(portal, attempt, step->answer);
    if (code == SQLITE_OK) {
        code = cooldown(portal, attempt->registration.registration_id, &step->answer->seconds);
    }
    if (code == SQLITE_OK && step->answer->seconds > 0) {
        step->answer->result = PROOF_WAIT;
        return SQLITE_OK;
    }
    if (code == SQLITE_OK) code = pin_contact(portal, attempt, &found);
    /* The contact that the link went to is on the chart still: nothing else can be in the way. */
    if (code == SQLITE_OK && !found) step->answer->result = PROOF_OPTED_OUT;
    if (code != SQLITE_OK || !found) return code;
    code = statement_change(portal, &changes, count_pin, "ii", attempt->registration.registration_id,
                            (sqlite3_int64)REGISTRATION_PINS);
    if (code != SQLITE_OK || changes == 0) return code;
    code = pin_queue(portal, attempt);
    if (code == SQLITE_OK) code = last_pin_audit(portal, &attempt->registration);
    if (code == SQLITE_OK) {
        step->answer->result = PROOF_SENT;
        step->answer->medium = attempt->medium;
    }
    return code;
}

int proof_request(struct portal *portal, const char *token, const char *last_name,
                  const char *date_of_birth, struct proof_answer *answer)
{
    struct proof_attempt attempt;
    struct pin_step step = {&attempt, answer};
    bool unknown = true;
    int code = proof_unknown(portal, token, &unknown);

    memset(&attempt, 0, sizeof attempt);
    memset(answer, 0, sizeof *answer);
    attempt.token = token;
    if (code == SQLITE_OK && unknown) return SQLITE_OK;
    if (code == SQLITE_OK) code = scope_run(portal, proof_begin, &attempt);
    if (code != SQLITE_OK || !attempt.open || !attempt.allowed) return code;
    if (!proof_fits(&attempt.patient, last_name, date_of_birth)) {
        return scope_insist(portal, proof_wrong, &attempt);
    }
    return scope_insist(portal, pin_step, &step);
}

int proof_print(struct portal *portal, const struct patient_id *patient, sqlite3_int64 registration_id,
                sqlite3_int64 expires_at, sqlite3_int64 *pin_id)
{
    uint8_t kept[TOKEN_KEPT_SIZE];
    int code = connection_token(portal, kept);

    if (code == SQLITE_OK) code = outbox_record(portal, "pin", patient, pin_id);
    if (code != SQLITE_OK) return code;
    return statement_run(portal, insert_pin, "iibii", *pin_id, registration_id, kept, TOKEN_KEPT_SIZE, connection_now(portal),
                         expires_at);
}

int proof_claim(struct portal *portal, const struct outbox_message *message, const char **dead)
{
    const struct keyring *keyring = NULL;
    struct patient patient;
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 identity = 0;     /* which no hash is */
    int code = statement_integer(portal, &identity, pin_alive, "ii", message->message_id, now);

    *dead = "the PIN is not good any more";
    if (code != SQLITE_OK || identity == 0) return code;
    code = connection_key(portal, &keyring);
    if (code == SQLITE_OK) {
        code = registration_chart(portal, &message->patient, message->medium,
                                  patient_destination(keyring, message->recipient), identity, &patient,
                                  dead);
    }
    if (code != SQLITE_OK) return code;
    if (*dead != NULL) return statement_run(portal, fail_pin, "i", message->message_id);
    return statement_run(portal, renew_pin, "ii", message->message_id,
                         now + setting_number(portal, SETTING_pin_minutes) * MINUTE);
}

int proof_fate(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate)
{
    return fate == FATE_SENT ? SQLITE_OK : statement_run(portal, fail_pin, "i", message->message_id);
}

int proof_expire(struct portal *portal)
{
    return statement_run(portal, expire_pins, "i", connection_now(portal));
}
