#include "proof.h"

#include "access.h"
#include "account.h"
#include "audit.h"
#include "calendar.h"
#include "normalize.h"
#include "registration.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = 60 };

static const char newest_pin[] =
    "SELECT p.created_at, m.status = 'failed' OR (m.status = 'queued' AND m.attempts > 0)"
    "  FROM main.portal_pin AS p JOIN main.portal_message AS m ON m.message_id = p.pin_id"
    " WHERE p.registration_id = ?1 AND p.status = 'live' ORDER BY p.pin_id DESC LIMIT 1";
static const char supersede_pins[] =
    "UPDATE main.portal_pin SET status = 'superseded' WHERE registration_id = ?1 AND status = 'live'";
static const char cancel_pins[] =
    "UPDATE main.portal_message SET status = 'cancelled', due_at = NULL, detail = 'a newer PIN was sent'"
    " WHERE status = 'queued' AND message_id IN"
    " (SELECT pin_id FROM main.portal_pin WHERE registration_id = ?1 AND status = 'live')";
static const char insert_pin[] =
    "INSERT INTO main.portal_pin (pin_id, registration_id, nonce, status, created_at, expires_at)"
    " VALUES (?1, ?2, ?3, 'live', ?4, ?5)";
static const char count_pin[] =
    "UPDATE main.portal_registration SET pins = pins + 1 WHERE registration_id = ?1 AND pins < ?2";
static const char read_pin[] =
    "SELECT p.pin_id, p.nonce, m.channel, m.recipient"
    "  FROM main.portal_pin AS p JOIN main.portal_message AS m ON m.message_id = p.pin_id"
    " WHERE p.registration_id = ?1 AND p.status = 'live' AND p.expires_at > ?2";
static const char count_try[] =
    "UPDATE main.portal_pin SET tries = tries + 1"
    " WHERE pin_id = ?1 AND status = 'live' AND tries < ?2 AND expires_at > ?3";
static const char uncount_try[] =
    "UPDATE main.portal_pin SET tries = tries - 1 WHERE pin_id = ?1 AND tries > 0";
static const char spend_pin[] =
    "UPDATE main.portal_pin SET status = 'spent' WHERE pin_id = ?1 AND status = 'live' AND tries >= ?2";
static const char use_pin[] =
    "UPDATE main.portal_pin SET status = 'used'"
    " WHERE pin_id = ?1 AND status = 'live' AND expires_at > ?2";
static const char pin_alive[] =
    "SELECT count(*) FROM main.portal_pin AS p"
    "  JOIN main.portal_registration AS r USING (registration_id)"
    " WHERE p.pin_id = ?1 AND p.status = 'live' AND p.expires_at > ?2 AND r.status = 'live'"
    "   AND r.expires_at > ?2";
static const char renew_pin[] =
    "UPDATE main.portal_pin SET expires_at = ?2 WHERE pin_id = ?1 AND status = 'live'";
static const char fail_pin[] =
    "UPDATE main.portal_pin SET status = 'failed' WHERE pin_id = ?1 AND status = 'live'";
static const char expire_pins[] =
    "UPDATE main.portal_pin SET status = 'expired' WHERE status = 'live' AND expires_at <= ?1";

/* A step that must stand by itself, in a write of its own. */
static int in_scope(struct portal *portal, int (*step)(struct portal *, void *), void *data)
{
    struct scope scope;
    int code = scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = step(portal, data);
    return scope_end(portal, &scope, code);
}

/* Compares all of both, however early they differ. */
static bool same_text(const char *a, const char *b)
{
    uint8_t left[crypto_generichash_BYTES];
    uint8_t right[crypto_generichash_BYTES];

    (void)crypto_generichash(left, sizeof left, (const uint8_t *)a, strlen(a), NULL, 0);
    (void)crypto_generichash(right, sizeof right, (const uint8_t *)b, strlen(b), NULL, 0);
    return sodium_memcmp(left, right, sizeof left) == 0;
}

/* A link that was opened, with the guess counted. */
struct attempt {
    const char *token;
    struct registration registration;
    struct patient patient;
    bool open;
    bool allowed;
    sqlite3_int64 pin_id;          /* of the live PIN, or 0 */
    uint8_t nonce[TOKEN_NONCE_SIZE];
    enum medium medium;            /* where the PIN went */
    char contact[CONTACT_SIZE];
};

static int attempt_begin(struct portal *portal, void *data)
{
    struct attempt *attempt = data;
    int code = registration_open(portal, attempt->token, &attempt->registration, &attempt->patient);

    attempt->open = code == SQLITE_ROW;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    return registration_guess(portal, &attempt->registration, &attempt->allowed);
}

static int attempt_wrong(struct portal *portal, void *data)
{
    struct attempt *attempt = data;
    int code = registration_guess_wrong(portal, &attempt->registration);

    if (code == SQLITE_OK && attempt->pin_id != 0) {
        code = statement_run(portal, spend_pin, "ii", attempt->pin_id, (sqlite3_int64)PROOF_PIN_TRIES);
    }
    return code;
}

static int attempt_right(struct portal *portal, void *data)
{
    struct attempt *attempt = data;
    int code = registration_guess_right(portal, attempt->registration.registration_id);

    if (code == SQLITE_OK && attempt->pin_id != 0) {
        code = statement_run(portal, uncount_try, "i", attempt->pin_id);
    }
    return code;
}

/* A link that can not work is refused for the price of a hash, before the write lock is taken. */
static int link_unknown(struct portal *portal, const char *token, bool *unknown)
{
    const char *status = NULL;
    int code = registration_status(portal, token, strlen(token), &status);

    *unknown = status != NULL && strcmp(status, "unknown") == 0;
    return code;
}

static bool proof_fits(const struct patient *patient, const char *last_name,
                       const char *date_of_birth)
{
    char given[NORMALIZE_SIZE];
    char known[NORMALIZE_SIZE];
    bool valid = normalize_name(last_name, given, sizeof given) == 0 &&
                 normalize_name(patient->last_name, known, sizeof known) == 0 && known[0] != '\0';
    bool name = same_text(given, known);
    bool birth = same_text(date_of_birth, patient->date_of_birth);

    return valid && name && birth;
}

/* The channel of the PIN: the other one than the link's, if it can be used, else the same. */
static int pin_contact(struct portal *portal, struct attempt *attempt, bool *found)
{
    static const char sql[] = "SELECT channel FROM main.portal_message WHERE message_id = ?1";
    sqlite3_stmt *statement = NULL;
    enum medium link = MEDIUM_EMAIL;
    char *problem = NULL;
    int code = statement_row(portal, &statement, sql, "i", attempt->registration.registration_id);

    if (code == SQLITE_ROW) link = medium_from_name((const char *)sqlite3_column_text(statement, 0));
    statement_done(portal, statement);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    attempt->medium = link == MEDIUM_EMAIL ? MEDIUM_TEXT : MEDIUM_EMAIL;
    code = patient_contact(portal, &attempt->patient, attempt->medium, attempt->contact, &problem);
    if (code == SQLITE_OK && problem != NULL) {
        sqlite3_free(problem);
        attempt->medium = link;
        code = patient_contact(portal, &attempt->patient, link, attempt->contact, &problem);
    }
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

static int pin_queue(struct portal *portal, const struct attempt *attempt)
{
    sqlite3_int64 registration_id = attempt->registration.registration_id;
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 message_id = 0;
    uint8_t nonce[TOKEN_NONCE_SIZE];
    int code = statement_run(portal, cancel_pins, "i", registration_id);

    randombytes_buf(nonce, sizeof nonce);
    if (code == SQLITE_OK) code = statement_run(portal, supersede_pins, "i", registration_id);
    if (code == SQLITE_OK) {
        code = outbox_queue(portal, "pin", attempt->medium, &attempt->registration.patient,
                            attempt->contact, &message_id);
    }
    if (code == SQLITE_OK) {
        code = statement_run(portal, insert_pin, "iibii", message_id, registration_id, nonce,
                             TOKEN_NONCE_SIZE, now,
                             now + setting_number(portal, SETTING_pin_minutes) * MINUTE);
    }
    return code;
}

/* Right proof: gives the guess back and queues a PIN, unless it is too early or too many. */
struct pin_step {
    struct attempt *attempt;
    struct proof_answer *answer;
};

static int pin_step(struct portal *portal, void *data)
{
    struct pin_step *step = data;
    struct attempt *attempt = step->attempt;
    bool found = false;
    int changes = 0;
    int code = attempt_right(portal, attempt);

    if (code == SQLITE_OK) {
        code = cooldown(portal, attempt->registration.registration_id, &step->answer->seconds);
    }
    if (code == SQLITE_OK && step->answer->seconds > 0) {
        step->answer->result = PROOF_WAIT;
        return SQLITE_OK;
    }
    if (code == SQLITE_OK) code = pin_contact(portal, attempt, &found);
    if (code != SQLITE_OK || !found) return code;
    code = statement_change(portal, &changes, count_pin, "ii", attempt->registration.registration_id,
                            (sqlite3_int64)REGISTRATION_PINS);
    if (code != SQLITE_OK) return code;
    if (changes == 0) {
        return audit_write_about(portal, "registration.pins_spent", &attempt->registration.patient,
                                 "message", attempt->registration.registration_id, "5 PIN messages");
    }
    code = pin_queue(portal, attempt);
    if (code == SQLITE_OK) {
        step->answer->result = PROOF_SENT;
        step->answer->medium = attempt->medium;
    }
    return code;
}

int proof_request(struct portal *portal, const char *token, const char *last_name,
                  const char *date_of_birth, struct proof_answer *answer)
{
    struct attempt attempt;
    struct pin_step step = {&attempt, answer};
    bool unknown = true;
    int code = link_unknown(portal, token, &unknown);

    memset(&attempt, 0, sizeof attempt);
    memset(answer, 0, sizeof *answer);
    attempt.token = token;
    if (code == SQLITE_OK && unknown) return SQLITE_OK;
    if (code == SQLITE_OK) code = in_scope(portal, attempt_begin, &attempt);
    if (code != SQLITE_OK || !attempt.open || !attempt.allowed) return code;
    if (!proof_fits(&attempt.patient, last_name, date_of_birth)) {
        return in_scope(portal, attempt_wrong, &attempt);
    }
    return in_scope(portal, pin_step, &step);
}

int proof_claim(struct portal *portal, const struct outbox_message *message, const char **dead)
{
    sqlite3_int64 now = connection_now(portal);
    struct patient patient;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    sqlite3_int64 alive = 0;
    int code = statement_integer(portal, &alive, pin_alive, "ii", message->message_id, now);

    *dead = "the PIN is not good any more";
    if (code != SQLITE_OK || alive == 0) return code;
    code = patient_find(portal, &message->patient, &patient);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = patient_contact(portal, &patient, message->medium, contact, &problem);
    if (code != SQLITE_OK) return code;
    if (problem == NULL && strcmp(contact, message->recipient) == 0) *dead = NULL;
    sqlite3_free(problem);
    if (*dead != NULL) {
        *dead = "the contact on the chart has changed";
        return statement_run(portal, fail_pin, "i", message->message_id);
    }
    return statement_run(portal, renew_pin, "ii", message->message_id,
                         now + setting_number(portal, SETTING_pin_minutes) * MINUTE);
}

int proof_fate(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate)
{
    return fate == FATE_SENT ? SQLITE_OK : statement_run(portal, fail_pin, "i", message->message_id);
}

/* Opens the link, counts the guess at the link and at its live PIN. */
static int pin_begin(struct portal *portal, void *data)
{
    struct attempt *attempt = data;
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    int changes = 0;
    int code = attempt_begin(portal, attempt);

    if (code != SQLITE_OK || !attempt->open || !attempt->allowed) return code;
    attempt->allowed = false;
    code = statement_row(portal, &statement, read_pin, "ii", attempt->registration.registration_id, now);
    if (code == SQLITE_DONE) return SQLITE_OK;     /* no PIN: a wrong guess like any other */
    if (code != SQLITE_ROW) return code;
    attempt->pin_id = sqlite3_column_int64(statement, 0);
    if (sqlite3_column_bytes(statement, 1) == TOKEN_NONCE_SIZE) {
        memcpy(attempt->nonce, sqlite3_column_blob(statement, 1), TOKEN_NONCE_SIZE);
    }
    attempt->medium = medium_from_name((const char *)sqlite3_column_text(statement, 2));
    statement_text(statement, 3, attempt->contact, sizeof attempt->contact);
    statement_done(portal, statement);
    code = statement_change(portal, &changes, count_try, "iii", attempt->pin_id,
                            (sqlite3_int64)PROOF_PIN_TRIES, now);
    attempt->allowed = changes == 1;
    return code;
}

/* A PIN is derived with the key that was newest when it was sent: any of ours may be it. */
static bool pin_fits(const struct keyring *keyring, const struct attempt *attempt, const char *pin)
{
    struct token token = {0, (uint32_t)attempt->pin_id, {0}};
    bool fits = false;

    if (strlen(pin) != TOKEN_PIN_LENGTH) return false;
    memcpy(token.nonce, attempt->nonce, TOKEN_NONCE_SIZE);
    for (int i = 0; i < keyring->count; i++) {
        char expected[TOKEN_PIN_SIZE];
        token.generation = keyring->generation[i];
        token_pin(keyring->key[i], &token, expected);
        fits |= sodium_memcmp(expected, pin, TOKEN_PIN_LENGTH) == 0;
        sodium_memzero(expected, sizeof expected);
    }
    return fits;
}

/* Opens the link and proves the PIN.  *reason is "link" or "pin" when that fails. */
static int pin_prove(struct portal *portal, const char *pin, struct attempt *attempt,
                     const char **reason)
{
    const struct keyring *keyring = NULL;
    bool unknown = true;
    int code = link_unknown(portal, attempt->token, &unknown);

    *reason = "link";
    if (code == SQLITE_OK && !unknown) code = in_scope(portal, pin_begin, attempt);
    if (code != SQLITE_OK || !attempt->open) return code;
    *reason = "pin";
    code = connection_key(portal, &keyring);
    if (code != SQLITE_OK) return code;
    if (!attempt->allowed || !pin_fits(keyring, attempt, pin)) {
        return in_scope(portal, attempt_wrong, attempt);
    }
    *reason = NULL;
    return in_scope(portal, attempt_right, attempt);
}

/* What can be said against the entry, but for its password. */
static const char *entry_problem(struct portal *portal, const struct proof_entry *entry,
                                 const struct patient *patient, char *key, size_t size)
{
    char today[CALENDAR_TIME_SIZE];

    calendar_date(connection_now(portal), today);
    if (entry->relationship == NULL &&
        calendar_age(patient->date_of_birth, today) < setting_number(portal, SETTING_self_registration_age)) {
        return "representative required";
    }
    if (entry->relationship != NULL) {
        if (*entry->name == '\0') return "name missing";
        if (normalize_has_hidden(entry->name)) return "name not valid text";
        if (normalize_code_points(entry->name) > ACCOUNT_NAME_MAX) return "name too long";
        if (*entry->relationship == '\0') return "relationship missing";
        if (normalize_has_hidden(entry->relationship)) return "relationship not valid text";
        if (strlen(entry->relationship) >= ACCESS_ROLE_SIZE) return "relationship too long";
    }
    return account_username_problem(entry->username, key, size);
}

/* What the last write of a registration needs. */
struct finish {
    const struct proof_entry *entry;
    struct attempt *attempt;
    const char *username_key;
    const char *hash;              /* of a new account, or NULL */
    struct account account;        /* of an existing one */
    const char *reason;
};

static int account_make(struct portal *portal, struct finish *finish)
{
    const struct patient *patient = &finish->attempt->patient;
    struct account_entry entry = {finish->entry->username, finish->username_key, finish->hash,
                                  finish->entry->name, finish->attempt->medium,
                                  finish->attempt->contact};
    char *name = NULL;
    bool taken = false;
    int code;

    if (entry.name == NULL) {
        name = sqlite3_mprintf("%s %s", patient->first_name, patient->last_name);
        if (name == NULL) return fault(portal, SQLITE_NOMEM);
        entry.name = name;
    }
    code = account_insert(portal, &entry, &finish->account.account_id, &taken);
    sqlite3_free(name);
    if (taken) finish->reason = "username taken";
    return code;
}

/*
** The write that registers: the account first, so that a name that was taken meanwhile spends
** nothing; then the guarded updates that only one of many racing calls passes.
*/
static int finish_step(struct portal *portal, void *data)
{
    struct finish *finish = data;
    const struct registration *registration = &finish->attempt->registration;
    struct registration now;
    struct patient patient;
    int changes = 0;
    bool used = false;
    int code = registration_open(portal, finish->entry->token, &now, &patient);

    finish->reason = "link";
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    finish->reason = NULL;
    code = SQLITE_OK;
    if (finish->hash != NULL) code = account_make(portal, finish);
    if (code != SQLITE_OK || finish->reason != NULL) return code;
    code = statement_change(portal, &changes, use_pin, "ii", finish->attempt->pin_id,
                            connection_now(portal));
    if (code == SQLITE_OK && changes == 1) {
        code = registration_use(portal, registration->registration_id, &used);
    }
    if (code == SQLITE_OK && !used) {
        finish->reason = "pin";
        return REFUSED;            /* undoes the account; told as data */
    }
    if (code == SQLITE_OK) {
        code = access_give(portal, finish->account.account_id, registration, finish->entry->relationship);
    }
    if (code == SQLITE_OK) code = account_signed_in(portal, &finish->account, NULL);
    if (code == SQLITE_OK) {
        code = audit_write(portal, "account.registered", &registration->patient, finish->username_key,
                           finish->entry->relationship == NULL ? "patient" : finish->entry->relationship);
    }
    return code;
}

/* A known name with its right password is linked; the attempt counts as a login of that account. */
static int password_settle(struct portal *portal, struct finish *finish,
                           char hash[PASSWORD_HASH_SIZE])
{
    const struct patient *patient = &finish->attempt->patient;
    struct password_context context = {finish->entry->username, patient->first_name,
                                       patient->last_name, patient->date_of_birth,
                                       setting_text(portal, SETTING_practice_name)};
    bool right = false;
    int code = account_find(portal, finish->username_key, &finish->account);

    if (code == SQLITE_ROW) {
        code = account_authenticate(portal, finish->username_key, finish->entry->password,
                                    &finish->account, &right);
        if (code == SQLITE_OK && !right) finish->reason = "username taken";
        return code;
    }
    if (code != SQLITE_DONE) return code;
    finish->reason = password_problem(finish->entry->password, &context);
    if (finish->reason != NULL) return SQLITE_OK;
    if (password_hash(finish->entry->password, hash) != 0) return fault(portal, SQLITE_NOMEM);
    finish->hash = hash;
    return SQLITE_OK;
}

int proof_register(struct portal *portal, const struct proof_entry *entry, const char **reason)
{
    char key[NORMALIZE_SIZE];
    char hash[PASSWORD_HASH_SIZE];
    struct attempt attempt;
    struct finish finish;
    int code;

    memset(&attempt, 0, sizeof attempt);
    memset(&finish, 0, sizeof finish);
    attempt.token = entry->token;
    finish.entry = entry;
    finish.attempt = &attempt;
    finish.username_key = key;
    code = pin_prove(portal, entry->pin, &attempt, reason);
    if (code != SQLITE_OK || *reason != NULL) return code;
    *reason = entry_problem(portal, entry, &attempt.patient, key, sizeof key);
    if (*reason != NULL) return SQLITE_OK;
    code = password_settle(portal, &finish, hash);
    if (code == SQLITE_OK && finish.reason == NULL) code = in_scope(portal, finish_step, &finish);
    if (code == REFUSED && finish.reason != NULL) code = SQLITE_OK;
    *reason = finish.reason;
    sodium_memzero(&finish.account, sizeof finish.account);
    return code;
}

int proof_expire(struct portal *portal)
{
    return statement_run(portal, expire_pins, "i", connection_now(portal));
}
