#include "account.h"

#include "access.h"
#include "audit.h"
#include "normalize.h"
#include "optout.h"
#include "session.h"
#include "throttle.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char find_account[] =
    "SELECT account_id, password, username FROM main.portal_account WHERE username_key = ?1";
static const char insert_account[] =
    "INSERT INTO main.portal_account"
    " (username, username_key, password, name, channel, contact, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (username_key) DO NOTHING";
/* Counts every try there is: SQLite writes nothing for an UPDATE that leaves a row as it was. */
static const char same_time[] =
    "INSERT INTO main.portal_throttle (account, client, failures, last_failed_at)"
    " VALUES (0, 0, 1, ?1) ON CONFLICT (account, client) DO UPDATE SET"
    "   failures = failures + 1, last_failed_at = ?1";
static const char signed_in[] =
    "UPDATE main.portal_account SET last_login_at = ?2, password = coalesce(?3, password)"
    " WHERE account_id = ?1";
static const char read_contact[] =
    "SELECT account_id, channel, contact, username FROM main.portal_account WHERE username_key = ?1";
static const char read_own_contact[] =
    "SELECT channel, contact FROM main.portal_account WHERE account_id = ?1";
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
    statement_text(statement, 2, account->username, sizeof account->username);
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

int account_same_time(struct portal *portal)
{
    return statement_run(portal, same_time, "i", connection_now(portal));
}

/* Counts a try, or says that it comes too early; durable before anything is compared. */
static int try_begin(struct portal *portal, const struct throttle *throttle, const char *key,
                     struct account *account, bool *known, bool *early)
{
    struct scope scope;
    bool begins = false;
    int code = scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = throttle_try(portal, throttle, early, &begins);
    if (code == SQLITE_OK) code = account_same_time(portal);
    if (code == SQLITE_OK) {
        code = account_find(portal, key, account);
        *known = code == SQLITE_ROW;
        if (code == SQLITE_ROW || code == SQLITE_DONE) code = SQLITE_OK;
    }
    /* One event when the delays of a known account begin; an unknown name might be a password. */
    if (code == SQLITE_OK && begins && *known) {
        code = audit_write(portal, "account.delayed", NULL, key, "wrong passwords");
    }
    return scope_end(portal, &scope, code);
}

/* Gives the try back when it was right; a wrong one takes the same time. */
struct try_end {
    const struct throttle *throttle;
    bool right;
};

static int try_end(struct portal *portal, void *data)
{
    const struct try_end *end = data;
    int code = account_same_time(portal);

    return code == SQLITE_OK && end->right ? throttle_right(portal, end->throttle) : code;
}

int account_authenticate(struct portal *portal, const char *key, const char *password,
                         struct account *account, bool *right)
{
    struct throttle throttle = {0, 0};
    bool known = false;
    bool early = false;
    struct try_end end = {&throttle, false};
    int code = throttle_of(portal, key, &throttle);

    *right = false;
    if (code == SQLITE_OK) code = try_begin(portal, &throttle, key, account, &known, &early);
    if (code != SQLITE_OK) return code;
    *right = password_verify(password, known ? account->password : NULL) && known && !early;
    /* The try stays counted: who is out of memory may have guessed. */
    if (!*right && errno == ENOMEM) return fault(portal, SQLITE_NOMEM);
    end.right = *right;
    return scope_insist(portal, try_end, &end);
}

int account_signed_in(struct portal *portal, const struct account *account, const char *password)
{
    char hash[PASSWORD_HASH_SIZE];
    bool renewed = password_needs_rehash(account->password) &&
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
    if (code == SQLITE_OK && count > 0) {
        code = audit_write(portal, "account.signed_in", NULL, key, NULL);
    }
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

/* SQLITE_OK and the key of an account there is; REFUSED when there is none. */
static int known_key(struct portal *portal, const char *username, char *key, size_t size)
{
    struct account account;
    int code = SQLITE_DONE;

    if (normalize_username(username, key, size) == 0) code = account_find(portal, key, &account);
    sodium_memzero(&account, sizeof account);
    if (code == SQLITE_ROW) return SQLITE_OK;
    if (code != SQLITE_DONE) return code;
    return refuse(portal, "there is no account '%.80s'; SELECT username FROM portal_account lists them",
                  username);
}

int account_unlock(struct portal *portal, const char *username)
{
    char key[NORMALIZE_SIZE];
    int code = known_key(portal, username, key, sizeof key);

    if (code == SQLITE_OK) code = throttle_unlock(portal, key);
    if (code == SQLITE_OK) code = audit_write(portal, "account.unlocked", NULL, key, NULL);
    return code;
}

static int contact_tell(struct portal *portal, const char *kind, sqlite3_int64 account_id, enum medium medium,
                        const char *contact)
{
    sqlite3_int64 message_id = 0;
    int code;

    if (*contact == '\0') return SQLITE_OK;         /* whoever came with a letter had none */
    code = outbox_queue(portal, kind, medium, NULL, contact, &message_id);
    return code == SQLITE_OK ? outbox_account(portal, message_id, account_id) : code;
}

int account_tell(struct portal *portal, sqlite3_int64 account_id, const char *kind, bool *told)
{
    char contact[CONTACT_SIZE];
    enum medium medium;
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_own_contact, "i", account_id);

    *told = false;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    medium = medium_from_name((const char *)sqlite3_column_text(statement, 0));
    statement_text(statement, 1, contact, sizeof contact);
    statement_done(portal, statement);
    code = optout_check(portal, contact);
    if (code == REFUSED) return SQLITE_OK;
    if (code == SQLITE_OK) code = contact_tell(portal, kind, account_id, medium, contact);
    *told = code == SQLITE_OK;
    return code;
}

int account_set_contact(struct portal *portal, const char *username, const char *contact)
{
    static const char changed[] = "account_contact_changed";
    char key[NORMALIZE_SIZE];
    char next[CONTACT_SIZE];
    char before[CONTACT_SIZE];
    char masked[CONTACT_SIZE];
    enum medium medium = medium_of_contact(contact);
    enum medium medium_before;
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 account_id;
    int code = patient_contact_given(portal, medium, contact, next);

    if (code == SQLITE_OK) code = optout_check(portal, next);
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
    if (code == SQLITE_OK) code = contact_tell(portal, changed, account_id, medium_before, before);
    if (code == SQLITE_OK) code = contact_tell(portal, changed, account_id, medium, next);
    if (code == SQLITE_OK) code = audit_write(portal, "account.contact_changed", NULL, key, masked);
    return code;
}
