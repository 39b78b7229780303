#include "account.h"

#include "access.h"
#include "audit.h"
#include "normalize.h"
#include "session.h"

#include <sodium.h>
#include <string.h>

enum { DAY = 86400, MINUTE = 60, DELAY_MAX = 900 };

/* Wrong passwords that cost nothing yet: of one client at one account, at an account, of a client. */
enum { FREE_PAIR = 3, FREE_ACCOUNT = 20, FREE_CLIENT = 50 };

static const char find_account[] =
    "SELECT account_id, password FROM main.portal_account WHERE username_key = ?1";
static const char insert_account[] =
    "INSERT INTO main.portal_account"
    " (username, username_key, password, name, channel, contact, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (username_key) DO NOTHING";
static const char read_failures[] =
    "SELECT failures, last_failed_at FROM main.portal_throttle WHERE account = ?1 AND client = ?2";
static const char count_failure[] =
    "INSERT INTO main.portal_throttle (account, client, failures, last_failed_at)"
    " VALUES (?1, ?2, 1, ?3) ON CONFLICT (account, client) DO UPDATE SET"
    "   failures = iif(last_failed_at < ?3 - 86400, 1, failures + 1), last_failed_at = ?3";
static const char forget_account[] =
    "DELETE FROM main.portal_throttle WHERE account = ?1 AND (client = ?2 OR client = 0)";
static const char forget_client[] =
    "UPDATE main.portal_throttle SET failures = failures - 1"
    " WHERE account = 0 AND client = ?1 AND failures > 0";
static const char unlock[] = "DELETE FROM main.portal_throttle WHERE account = ?1";
static const char worst_of_account[] =
    "SELECT client, failures, last_failed_at FROM main.portal_throttle WHERE account = ?1";
static const char expire_throttle[] =
    "DELETE FROM main.portal_throttle WHERE last_failed_at < ?1";
/* A write that changes nothing, so that a refusal takes the time of a commit as well. */
static const char same_time[] =
    "UPDATE main.portal_state SET settings_stamp = settings_stamp";
static const char signed_in[] =
    "UPDATE main.portal_account SET last_login_at = ?2, password = coalesce(?3, password)"
    " WHERE account_id = ?1";
static const char may_reset[] =
    "SELECT a.account_id, a.channel, a.contact FROM main.portal_account AS a"
    " WHERE a.username_key = ?1"
    "   AND EXISTS (SELECT 1 FROM main.portal_access AS x"
    "                WHERE x.account_id = a.account_id AND x.status = 'active')"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_reset AS r"
    "                    WHERE r.account_id = a.account_id AND r.created_at > ?2"
    "                      AND r.status <> 'failed')"
    "   AND (SELECT count(*) FROM main.portal_reset AS r"
    "         WHERE r.account_id = a.account_id AND r.created_at > ?3) < ?4";
static const char supersede_resets[] =
    "UPDATE main.portal_reset SET status = 'superseded' WHERE account_id = ?1 AND status = 'live'";
static const char insert_reset[] =
    "INSERT INTO main.portal_reset (reset_id, account_id, nonce, status, created_at, expires_at)"
    " VALUES (?1, ?2, ?3, 'live', ?4, ?5)";
static const char read_reset[] =
    "SELECT r.account_id, r.nonce, a.username, a.name FROM main.portal_reset AS r"
    "  JOIN main.portal_account AS a USING (account_id)"
    " WHERE r.reset_id = ?1 AND r.status = 'live' AND r.expires_at > ?2";
static const char reset_alive[] =
    "SELECT count(*) FROM main.portal_reset"
    " WHERE reset_id = ?1 AND status = 'live' AND expires_at > ?2";
static const char renew_reset[] =
    "UPDATE main.portal_reset SET expires_at = ?2 WHERE reset_id = ?1 AND status = 'live'";
static const char fail_reset[] =
    "UPDATE main.portal_reset SET status = 'failed' WHERE reset_id = ?1 AND status = 'live'";
static const char use_reset[] =
    "UPDATE main.portal_reset SET status = 'used'"
    " WHERE reset_id = ?1 AND status = 'live' AND expires_at > ?2";
static const char expire_resets[] =
    "UPDATE main.portal_reset SET status = 'expired' WHERE status = 'live' AND expires_at <= ?1";
static const char store_password[] =
    "UPDATE main.portal_account SET password = ?2 WHERE account_id = ?1";
static const char read_contact[] =
    "SELECT account_id, channel, contact, username FROM main.portal_account WHERE username_key = ?1";
static const char store_contact[] =
    "UPDATE main.portal_account SET channel = ?2, contact = ?3 WHERE account_id = ?1";
static const char revoke_resets[] =
    "UPDATE main.portal_reset SET status = 'revoked' WHERE account_id = ?1 AND status = 'live'";

const char *account_username_problem(const char *username, char *key, size_t size)
{
    long points = normalize_code_points(username);

    key[0] = '\0';
    if (points < 0 || normalize_has_hidden(username)) return "username not valid text";
    if (points > USERNAME_MAX) return "username too long";
    if (normalize_username(username, key, size) != 0) return "username not valid text";
    if (normalize_code_points(key) < USERNAME_MIN) return "username too short";
    return NULL;
}

int account_find(struct portal *portal, const char *username_key, struct account *account)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, find_account, "s", username_key);

    if (code != SQLITE_ROW) return code;
    account->account_id = sqlite3_column_int64(statement, 0);
    statement_text(statement, 1, account->password, sizeof account->password);
    statement_done(portal, statement);
    return SQLITE_ROW;
}

int account_insert(struct portal *portal, const struct account_entry *entry,
                   sqlite3_int64 *account_id, bool *taken)
{
    int changes = 0;
    int code = statement_change(portal, &changes, insert_account, "ssssssi", entry->username,
                                entry->username_key, entry->password_hash, entry->name,
                                medium_name(entry->medium), entry->contact, connection_now(portal));

    *taken = code == SQLITE_OK && changes == 0;
    *account_id = sqlite3_last_insert_rowid(portal->db);
    return code;
}

/* The rows that a try counts in: client at account, account, client. */
struct throttle {
    sqlite3_int64 account;
    sqlite3_int64 client;
};

static int throttle_of(struct portal *portal, const char *key, struct throttle *throttle)
{
    const struct keyring *keyring = NULL;
    /* Only a web page names its clients; staff and scripts are one. */
    const char *client = portal->application == PORTAL ? portal->user : "";
    int code = connection_key(portal, &keyring);

    if (code != SQLITE_OK) return code;
    throttle->account = token_hash_integer(keyring_oldest(keyring), TOKEN_THROTTLE, key, strlen(key));
    throttle->client = token_hash_integer(keyring_oldest(keyring), TOKEN_THROTTLE, client, strlen(client));
    return SQLITE_OK;
}

/* Doubles with every failure past the free ones, to a quarter of an hour; ends by itself. */
static sqlite3_int64 delay_of(sqlite3_int64 failures, int free_ones)
{
    sqlite3_int64 delay = 1;

    if (failures <= free_ones) return 0;
    for (sqlite3_int64 i = free_ones; i < failures && delay < DELAY_MAX; i++) delay *= 2;
    return delay < DELAY_MAX ? delay : DELAY_MAX;
}

static int delay_read(struct portal *portal, sqlite3_int64 account, sqlite3_int64 client,
                      int free_ones, sqlite3_int64 *until)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 end;
    int code = statement_row(portal, &statement, read_failures, "ii", account, client);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    end = sqlite3_column_int64(statement, 1) + delay_of(sqlite3_column_int64(statement, 0), free_ones);
    if (end > *until) *until = end;
    statement_done(portal, statement);
    return SQLITE_OK;
}

static int delayed(struct portal *portal, const struct throttle *throttle, bool *answer)
{
    sqlite3_int64 until = 0;
    int code = delay_read(portal, throttle->account, throttle->client, FREE_PAIR, &until);

    if (code == SQLITE_OK) code = delay_read(portal, throttle->account, 0, FREE_ACCOUNT, &until);
    if (code == SQLITE_OK) code = delay_read(portal, 0, throttle->client, FREE_CLIENT, &until);
    *answer = until > connection_now(portal);
    return code;
}

static int failure_count(struct portal *portal, const struct throttle *throttle)
{
    sqlite3_int64 now = connection_now(portal);
    int code = statement_run(portal, count_failure, "iii", throttle->account, throttle->client, now);

    if (code == SQLITE_OK) {
        code = statement_run(portal, count_failure, "iii", throttle->account, (sqlite3_int64)0, now);
    }
    if (code == SQLITE_OK) {
        code = statement_run(portal, count_failure, "iii", (sqlite3_int64)0, throttle->client, now);
    }
    return code;
}

/* One event when the delays of a known account begin to hurt. */
static int delay_audit(struct portal *portal, const struct throttle *throttle, const char *key)
{
    sqlite3_stmt *statement = NULL;
    struct account account;
    sqlite3_int64 failures = 0;
    int code = statement_row(portal, &statement, read_failures, "ii", throttle->account,
                             throttle->client);

    if (code == SQLITE_ROW) failures = sqlite3_column_int64(statement, 0);
    statement_done(portal, statement);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    if (failures != FREE_PAIR + 1) return SQLITE_OK;
    code = account_find(portal, key, &account);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    sodium_memzero(&account, sizeof account);
    return audit_write(portal, "account.delayed", NULL, key, "wrong passwords");
}

/* Counts a try, or says that it comes too early; durable before anything is compared. */
static int try_begin(struct portal *portal, const struct throttle *throttle, const char *key,
                     struct account *account, bool *known, bool *early)
{
    struct scope scope;
    int code = scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = delayed(portal, throttle, early);
    if (code == SQLITE_OK && !*early) code = failure_count(portal, throttle);
    if (code == SQLITE_OK && !*early) code = delay_audit(portal, throttle, key);
    if (code == SQLITE_OK) code = statement_run(portal, same_time, "");
    if (code == SQLITE_OK) {
        code = account_find(portal, key, account);
        *known = code == SQLITE_ROW;
        if (code == SQLITE_ROW || code == SQLITE_DONE) code = SQLITE_OK;
    }
    return scope_end(portal, &scope, code);
}

/* Gives the try back when it was right; a wrong one takes the same time. */
static int try_end(struct portal *portal, const struct throttle *throttle, bool right)
{
    struct scope scope;
    int code = scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = statement_run(portal, same_time, "");
    if (code == SQLITE_OK && right) {
        code = statement_run(portal, forget_account, "ii", throttle->account, throttle->client);
    }
    if (code == SQLITE_OK && right) code = statement_run(portal, forget_client, "i", throttle->client);
    return scope_end(portal, &scope, code);
}

int account_authenticate(struct portal *portal, const char *key, const char *password,
                         struct account *account, bool *right)
{
    struct throttle throttle = {0, 0};
    bool known = false;
    bool early = false;
    int code = throttle_of(portal, key, &throttle);

    *right = false;
    if (code == SQLITE_OK) code = try_begin(portal, &throttle, key, account, &known, &early);
    if (code != SQLITE_OK) return code;
    *right = password_verify(password, known ? account->password : NULL) && known && !early;
    return try_end(portal, &throttle, *right);
}

int account_signed_in(struct portal *portal, const struct account *account, const char *password)
{
    char hash[PASSWORD_HASH_SIZE];
    bool renewed = password != NULL && password_needs_rehash(account->password) &&
                   password_hash(password, hash) == 0;

    return statement_run(portal, signed_in, "iis", account->account_id, connection_now(portal),
                         renewed ? hash : NULL);
}

/* The session of somebody who gave the right password, if anybody is left to act for. */
static int login_end(struct portal *portal, const struct account *account, const char *key,
                     const char *password, char session[TOKEN_SIZE])
{
    struct scope scope;
    int count = 0;
    int code = scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = access_list(portal, account->account_id, NULL, &count);
    if (code == SQLITE_OK && count > 0) code = account_signed_in(portal, account, password);
    if (code == SQLITE_OK && count > 0) code = session_begin(portal, account->account_id, session);
    if (code == SQLITE_OK && count > 0) code = audit_write(portal, "account.signed_in", NULL, key, NULL);
    code = scope_end(portal, &scope, code);
    if (code != SQLITE_OK) session[0] = '\0';
    return code;
}

int account_login(struct portal *portal, const char *username, const char *password,
                  char session[TOKEN_SIZE])
{
    char key[NORMALIZE_SIZE];
    struct account account;
    bool right = false;
    int code;

    session[0] = '\0';
    (void)account_username_problem(username, key, sizeof key);
    code = account_authenticate(portal, key, password, &account, &right);
    if (code == SQLITE_OK && right) code = login_end(portal, &account, key, password, session);
    sodium_memzero(&account, sizeof account);
    return code;
}

static int reset_queue(struct portal *portal, sqlite3_int64 account_id, enum medium medium,
                       const char *contact)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 message_id = 0;
    uint8_t nonce[TOKEN_NONCE_SIZE];
    int code = outbox_queue(portal, "password_reset", medium, NULL, contact, &message_id);

    randombytes_buf(nonce, sizeof nonce);
    if (code == SQLITE_OK) code = statement_run(portal, supersede_resets, "i", account_id);
    if (code == SQLITE_OK) {
        code = statement_run(portal, insert_reset, "iibii", message_id, account_id, nonce,
                             TOKEN_NONCE_SIZE, now,
                             now + setting_number(portal, SETTING_reset_minutes) * MINUTE);
    }
    if (code == SQLITE_OK) {
        code = audit_write_about(portal, "password_reset.queued", NULL, "message", message_id, NULL);
    }
    return code;
}

int account_forgot(struct portal *portal, const char *username)
{
    char key[NORMALIZE_SIZE];
    char contact[CONTACT_SIZE];
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 account_id;
    enum medium medium;
    int code;

    (void)account_username_problem(username, key, sizeof key);
    code = statement_run(portal, same_time, "");
    if (code == SQLITE_OK) {
        code = statement_row(portal, &statement, may_reset, "siii", key,
                             now - setting_number(portal, SETTING_resend_seconds), now - DAY,
                             setting_number(portal, SETTING_sends_per_day));
    }
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    account_id = sqlite3_column_int64(statement, 0);
    medium = medium_from_name((const char *)sqlite3_column_text(statement, 1));
    statement_text(statement, 2, contact, sizeof contact);
    statement_done(portal, statement);
    return reset_queue(portal, account_id, medium, contact);
}

int account_reset_claim(struct portal *portal, const struct outbox_message *message,
                        const char **dead)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 alive = 0;
    int code = statement_integer(portal, &alive, reset_alive, "ii", message->message_id, now);

    *dead = alive == 0 ? "the link is not good any more" : NULL;
    if (code != SQLITE_OK || alive == 0) return code;
    return statement_run(portal, renew_reset, "ii", message->message_id,
                         now + setting_number(portal, SETTING_reset_minutes) * MINUTE);
}

int account_reset_fate(struct portal *portal, const struct outbox_message *message,
                       enum outbox_fate fate)
{
    return fate == FATE_SENT ? SQLITE_OK : statement_run(portal, fail_reset, "i", message->message_id);
}

/* What a genuine, live reset link opens. */
struct reset {
    sqlite3_int64 reset_id;
    sqlite3_int64 account_id;
    char username[4 * USERNAME_MAX + 1];
    char name[PATIENT_NAME_SIZE * 2];
};

/* SQLITE_ROW, SQLITE_DONE for a link that does not work, or an error code. */
static int reset_open(struct portal *portal, const char *token, struct reset *reset)
{
    const struct keyring *keyring = NULL;
    const uint8_t *key;
    sqlite3_stmt *statement = NULL;
    struct token claimed;
    bool same;
    int code = connection_key(portal, &keyring);

    if (code != SQLITE_OK) return code;
    if (!token_parse(token, strlen(token), &claimed)) return SQLITE_DONE;
    key = keyring_find(keyring, claimed.generation);
    if (key == NULL || !token_genuine(key, TOKEN_RESET, &claimed, token)) return SQLITE_DONE;
    code = statement_row(portal, &statement, read_reset, "ii", (sqlite3_int64)claimed.id,
                         connection_now(portal));
    if (code != SQLITE_ROW) return code;
    same = sqlite3_column_bytes(statement, 1) == TOKEN_NONCE_SIZE &&
           sodium_memcmp(sqlite3_column_blob(statement, 1), claimed.nonce, TOKEN_NONCE_SIZE) == 0;
    reset->reset_id = (sqlite3_int64)claimed.id;
    reset->account_id = sqlite3_column_int64(statement, 0);
    statement_text(statement, 2, reset->username, sizeof reset->username);
    statement_text(statement, 3, reset->name, sizeof reset->name);
    statement_done(portal, statement);
    return same ? SQLITE_ROW : SQLITE_DONE;
}

/* Uses the link up and stores the password, or does neither. */
static int reset_finish(struct portal *portal, const struct reset *reset, const char *hash,
                        bool *done)
{
    const struct keyring *keyring = NULL;
    char key[NORMALIZE_SIZE];
    int changes = 0;
    int code = statement_change(portal, &changes, use_reset, "ii", reset->reset_id,
                                connection_now(portal));

    *done = changes == 1;
    if (code != SQLITE_OK || changes == 0) return code;
    (void)normalize_username(reset->username, key, sizeof key);
    code = connection_key(portal, &keyring);
    if (code == SQLITE_OK) code = statement_run(portal, store_password, "is", reset->account_id, hash);
    if (code == SQLITE_OK) code = session_end_account(portal, reset->account_id);
    if (code == SQLITE_OK) {
        code = statement_run(portal, unlock, "i",
                             token_hash_integer(keyring_oldest(keyring), TOKEN_THROTTLE, key, strlen(key)));
    }
    if (code == SQLITE_OK) code = audit_write(portal, "account.password_reset", NULL, key, NULL);
    return code;
}

int account_reset(struct portal *portal, const char *token, const char *password,
                  const char **reason)
{
    struct password_context context = {NULL, NULL, NULL, NULL,
                                       setting_text(portal, SETTING_practice_name)};
    char hash[PASSWORD_HASH_SIZE];
    struct reset reset;
    struct scope scope;
    bool done = false;
    int code = reset_open(portal, token, &reset);

    *reason = "link";
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    context.username = reset.username;
    context.first_name = reset.name;
    *reason = password_problem(password, &context);
    if (*reason != NULL) return SQLITE_OK;
    if (password_hash(password, hash) != 0) return fault(portal, SQLITE_NOMEM);
    code = scope_begin(portal, &scope);
    if (code != SQLITE_OK) return code;
    code = reset_finish(portal, &reset, hash, &done);
    code = scope_end(portal, &scope, code);
    if (code == SQLITE_OK && !done) *reason = "link";
    return code;
}

/* SQLITE_OK and the key of an account there is; REFUSED when there is none. */
static int known_key(struct portal *portal, const char *username, char *key, size_t size)
{
    struct account account;
    int code = SQLITE_DONE;

    if (normalize_username(username, key, size) == 0) code = account_find(portal, key, &account);
    sodium_memzero(&account, sizeof account);
    if (code == SQLITE_ROW) return SQLITE_OK;
    if (code != SQLITE_DONE) return code;
    return refuse(portal, "there is no account '%s'; SELECT username FROM portal_account lists them",
                  username);
}

int account_unlock(struct portal *portal, const char *username)
{
    char key[NORMALIZE_SIZE];
    struct throttle throttle = {0, 0};
    int code = known_key(portal, username, key, sizeof key);

    if (code == SQLITE_OK) code = throttle_of(portal, key, &throttle);
    if (code == SQLITE_OK) code = statement_run(portal, unlock, "i", throttle.account);
    if (code == SQLITE_OK) code = audit_write(portal, "account.unlocked", NULL, key, NULL);
    return code;
}

/* Email when there is an "@" in it, else a telephone number. */
static int contact_read(struct portal *portal, const char *contact, enum medium *medium,
                        char out[CONTACT_SIZE])
{
    const char *problem;

    *medium = strchr(contact, '@') != NULL ? MEDIUM_EMAIL : MEDIUM_TEXT;
    if (*medium == MEDIUM_EMAIL) {
        problem = contact_normalize_email(contact, out);
        return problem == NULL ? SQLITE_OK : refuse(portal, "contact: the email address %s", problem);
    }
    problem = contact_normalize_phone(contact, setting_text(portal, SETTING_country_code), out);
    return problem == NULL ? SQLITE_OK : refuse(portal, "contact: the phone number %s", problem);
}

static int contact_tell(struct portal *portal, enum medium medium, const char *contact)
{
    sqlite3_int64 message_id = 0;

    return outbox_queue(portal, "account_contact_changed", medium, NULL, contact, &message_id);
}

int account_set_contact(struct portal *portal, const char *username, const char *contact)
{
    char key[NORMALIZE_SIZE];
    char next[CONTACT_SIZE];
    char before[CONTACT_SIZE];
    char masked[CONTACT_SIZE];
    enum medium medium;
    enum medium medium_before;
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 account_id;
    int code = contact_read(portal, contact, &medium, next);

    if (code == SQLITE_OK) code = known_key(portal, username, key, sizeof key);
    if (code == SQLITE_OK) code = statement_row(portal, &statement, read_contact, "s", key);
    if (code != SQLITE_ROW) return code;
    account_id = sqlite3_column_int64(statement, 0);
    medium_before = medium_from_name((const char *)sqlite3_column_text(statement, 1));
    statement_text(statement, 2, before, sizeof before);
    statement_done(portal, statement);
    if (medium == medium_before && strcmp(next, before) == 0) {
        return refuse(portal, "'%s' has that contact already", username);
    }
    contact_mask(next, masked, sizeof masked);
    code = statement_run(portal, store_contact, "iss", account_id, medium_name(medium), next);
    if (code == SQLITE_OK) code = statement_run(portal, revoke_resets, "i", account_id);
    if (code == SQLITE_OK) code = contact_tell(portal, medium_before, before);
    if (code == SQLITE_OK) code = contact_tell(portal, medium, next);
    if (code == SQLITE_OK) code = audit_write(portal, "account.contact_changed", NULL, key, masked);
    return code;
}

int account_delayed_until(struct portal *portal, const char *username_key, sqlite3_int64 *until)
{
    struct throttle throttle = {0, 0};
    sqlite3_stmt *statement = NULL;
    int code = throttle_of(portal, username_key, &throttle);

    *until = 0;
    if (code == SQLITE_OK) code = statement_row(portal, &statement, worst_of_account, "i", throttle.account);
    while (code == SQLITE_ROW) {
        int free_ones = sqlite3_column_int64(statement, 0) == 0 ? FREE_ACCOUNT : FREE_PAIR;
        sqlite3_int64 end = sqlite3_column_int64(statement, 2) +
                            delay_of(sqlite3_column_int64(statement, 1), free_ones);
        if (end > *until) *until = end;
        code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    if (*until <= connection_now(portal)) *until = 0;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int account_expire(struct portal *portal)
{
    sqlite3_int64 now = connection_now(portal);
    int code = statement_run(portal, expire_throttle, "i", now - DAY);

    return code == SQLITE_OK ? statement_run(portal, expire_resets, "i", now) : code;
}
