#include "enrollment.h"

#include "access.h"
#include "audit.h"
#include "calendar.h"
#include "normalize.h"
#include "proof.h"

#include <sodium.h>
#include <string.h>

static const char read_pin[] =
    "SELECT p.pin_id, p.nonce, m.channel, m.recipient"
    "  FROM main.portal_pin AS p JOIN main.portal_message AS m ON m.message_id = p.pin_id"
    " WHERE p.registration_id = ?1 AND p.status = 'live' AND p.expires_at > ?2";
static const char count_try[] =
    "UPDATE main.portal_pin SET tries = tries + 1"
    " WHERE pin_id = ?1 AND status = 'live' AND tries < ?2 AND expires_at > ?3";
static const char use_pin[] =
    "UPDATE main.portal_pin SET status = 'used'"
    " WHERE pin_id = ?1 AND status = 'live' AND expires_at > ?2";

/* Opens the link, counts the guess at the link and at its live PIN. */
static int pin_begin(struct portal *portal, void *data)
{
    struct proof_attempt *attempt = data;
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    int changes = 0;
    int code = proof_begin(portal, attempt);

    if (code != SQLITE_OK || !attempt->open || !attempt->allowed) return code;
    attempt->allowed = false;
    /* Whoever finds a letter has its link and its PIN: these are of no use before the proof. */
    if (attempt->registration.medium == MEDIUM_PRINT && attempt->registration.pins == 0) return SQLITE_OK;
    code = statement_row(portal, &statement, read_pin, "ii", attempt->registration.registration_id,
                         now);
    if (code == SQLITE_DONE) return SQLITE_OK;     /* no PIN: a wrong guess like any other */
    if (code != SQLITE_ROW) return code;
    attempt->pin_id = sqlite3_column_int64(statement, 0);
    /* A damaged one is of no generation, and no guess is right. */
    if (!token_recall(&attempt->pin, sqlite3_column_blob(statement, 1), sqlite3_column_bytes(statement, 1))) {
        attempt->pin.generation = 0;
    }
    attempt->pin.id = (uint32_t)attempt->pin_id;
    attempt->medium = medium_from_name((const char *)sqlite3_column_text(statement, 2));
    statement_text(statement, 3, attempt->contact, sizeof attempt->contact);
    statement_done(portal, statement);
    code = statement_change(portal, &changes, count_try, "iii", attempt->pin_id,
                            (sqlite3_int64)PROOF_PIN_TRIES, now);
    attempt->allowed = changes == 1;
    if (code != SQLITE_OK || attempt->allowed) return code;
    /* Calls that came at once hold all tries: this one is not compared, so it must not cost the link. */
    attempt->counted = false;
    return registration_guess_right(portal, attempt->registration.registration_id);
}

/* Under the key that it was sent with alone: with every generation, each guess would have as many chances. */
static bool pin_fits(const uint8_t *key, const struct token *token, const char *pin)
{
    char expected[TOKEN_PIN_SIZE];
    bool fits;

    if (key == NULL || strlen(pin) != TOKEN_PIN_LENGTH) return false;
    token_pin(key, token, expected);
    fits = sodium_memcmp(expected, pin, TOKEN_PIN_LENGTH) == 0;
    sodium_memzero(expected, sizeof expected);
    return fits;
}

/* Opens the link and proves the PIN.  *reason is "link" or "pin" when that fails. */
static int pin_prove(struct portal *portal, const char *pin, struct proof_attempt *attempt,
                     const char **reason)
{
    const uint8_t *key = NULL;
    bool unknown = true;
    int code = proof_unknown(portal, attempt->token, &unknown);

    *reason = "link";
    if (code == SQLITE_OK && !unknown) code = scope_run(portal, pin_begin, attempt);
    if (code != SQLITE_OK || !attempt->open) return code;
    *reason = "pin";
    code = connection_key_of(portal, attempt->pin.generation, &key);
    if (code != SQLITE_OK) return code;
    if (!attempt->allowed || !pin_fits(key, &attempt->pin, pin)) {
        return attempt->counted ? scope_insist(portal, proof_wrong, attempt) : SQLITE_OK;
    }
    *reason = NULL;
    return scope_insist(portal, proof_right, attempt);
}

/* What can be said against the entry, but for its password. */
static const char *entry_problem(struct portal *portal, const struct enrollment *entry,
                                 const struct patient *patient, char *key, size_t size)
{
    int age = (int)setting_number(portal, SETTING_self_registration_age);

    if (entry->relationship == NULL && connection_now(portal) < calendar_birthday(patient->date_of_birth, age)) {
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
    const struct enrollment *entry;
    struct proof_attempt *attempt;
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
        code = access_give(portal, finish->account.account_id, registration,
                           finish->entry->relationship);
    }
    if (code == SQLITE_OK) {
        code = audit_write(
            portal, "account.registered", &registration->patient, finish->username_key,
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
    struct password_context own = {NULL, finish->entry->name, NULL, NULL, NULL};
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
    if (finish->reason == NULL) finish->reason = password_problem(finish->entry->password, &own);
    if (finish->reason != NULL) return SQLITE_OK;
    if (password_hash(finish->entry->password, hash) != 0) return fault(portal, SQLITE_NOMEM);
    finish->hash = hash;
    return SQLITE_OK;
}

int enrollment_register(struct portal *portal, const struct enrollment *entry,
                        char username[USERNAME_SIZE], const char **reason)
{
    char key[NORMALIZE_SIZE];
    char hash[PASSWORD_HASH_SIZE];
    struct proof_attempt attempt;
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
    if (code == SQLITE_OK && finish.reason == NULL) code = scope_run(portal, finish_step, &finish);
    if (code == REFUSED && finish.reason != NULL) code = SQLITE_OK;
    *reason = finish.reason;
    (void)sqlite3_snprintf(USERNAME_SIZE, username, "%s",
                           finish.hash != NULL ? entry->username : finish.account.username);
    sodium_memzero(&finish.account, sizeof finish.account);
    return code;
}
