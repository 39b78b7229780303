#include "reset.h"

#include "account.h"
#include "audit.h"
#include "normalize.h"
#include "session.h"
#include "throttle.h"

#include <sodium.h>
#include <string.h>

enum { DAY = 86400, MINUTE = 60 };

static const char may_reset[] =
    "SELECT a.account_id, a.channel, a.contact FROM main.portal_account AS a"
    " WHERE a.username_key = ?1 AND a.contact <> ''"
    "   AND EXISTS (SELECT 1 FROM main.portal_access AS x"
    "                WHERE x.account_id = a.account_id AND x.status = 'active')"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_reset AS r"
    "                    WHERE r.account_id = a.account_id AND r.created_at > ?2"
    "                      AND r.status NOT IN ('failed', 'revoked'))"
    "   AND (SELECT count(*) FROM main.portal_reset AS r"
    "         WHERE r.account_id = a.account_id AND r.created_at > ?3) < ?4";
static const char begin_reset[] = "SAVEPOINT portal_reset";
static const char undo_reset[] = "ROLLBACK TO portal_reset";
static const char end_reset[] = "RELEASE portal_reset";
static const char supersede_resets[] =
    "UPDATE main.portal_reset SET status = 'superseded' WHERE account_id = ?1 AND status = 'live'";
static const char insert_reset[] =
    "INSERT INTO main.portal_reset (reset_id, account_id, nonce, status, created_at, expires_at)"
    " VALUES (?1, ?2, ?3, 'live', ?4, ?5)";
static const char read_reset[] =
    "SELECT r.account_id, r.nonce, a.username, a.name FROM main.portal_reset AS r"
    "  JOIN main.portal_account AS a USING (account_id)"
    " WHERE r.reset_id = ?1 AND r.status = 'live' AND r.expires_at > ?2";
static const char read_patients[] =
    "SELECT patient_id FROM main.portal_access WHERE account_id = ?1";
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

static int reset_queue(struct portal *portal, sqlite3_int64 account_id, enum medium medium,
                       const char *contact)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_int64 message_id = 0;
    uint8_t kept[TOKEN_KEPT_SIZE];
    int code = outbox_queue(portal, "password_reset", medium, NULL, contact, &message_id);

    if (code == SQLITE_OK) code = connection_token(portal, kept);
    if (code == SQLITE_OK) code = outbox_account(portal, message_id, account_id);
    if (code == SQLITE_OK) code = statement_run(portal, supersede_resets, "i", account_id);
    if (code == SQLITE_OK) {
        code = statement_run(portal, insert_reset, "iibii", message_id, account_id, kept,
                             TOKEN_KEPT_SIZE, now,
                             now + setting_number(portal, SETTING_reset_minutes) * MINUTE);
    }
    if (code == SQLITE_OK) {
        code = audit_write_about(portal, "password_reset.queued", NULL, "message", message_id, NULL);
    }
    return code;
}

/*
** For a name that may have no reset one is queued too, and undone, so that the time tells nothing.
** Within a writing statement, where SQLite has no savepoint, it would tell.
*/
int reset_forgot(struct portal *portal, const char *username)
{
    char key[NORMALIZE_SIZE];
    char contact[CONTACT_SIZE] = "nobody@localhost.localdomain";
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 account_id = 0;
    enum medium medium = MEDIUM_EMAIL;
    int fresh = portal->fresh_count;
    bool known;
    int code = statement_run(portal, begin_reset, "");

    if (code == SQLITE_BUSY) {
        return refuse(portal, "forgot_password does not run inside a writing statement, because the "
                      "time it takes there would tell who is known; call it by itself");
    }
    (void)account_username_problem(username, key, sizeof key);
    if (code == SQLITE_OK) {
        code = statement_row(portal, &statement, may_reset, "siii", key,
                             now - setting_number(portal, SETTING_resend_seconds), now - DAY,
                             setting_number(portal, SETTING_sends_per_day));
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
    known = code == SQLITE_ROW;
    if (known) {
        account_id = sqlite3_column_int64(statement, 0);
        medium = medium_from_name((const char *)sqlite3_column_text(statement, 1));
        statement_text(statement, 2, contact, sizeof contact);
        statement_done(portal, statement);
    }
    code = reset_queue(portal, account_id, medium, contact);
    if (!known) portal->fresh_count = fresh;
    if (code == SQLITE_OK && !known) code = statement_run(portal, undo_reset, "");
    if (code == SQLITE_OK) code = statement_run(portal, end_reset, "");
    return code == SQLITE_OK ? account_same_time(portal) : code;
}

int reset_claim(struct portal *portal, const struct outbox_message *message,
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

int reset_fate(struct portal *portal, const struct outbox_message *message,
                       enum outbox_fate fate)
{
    return fate == FATE_SENT ? SQLITE_OK
                             : statement_run(portal, fail_reset, "i", message->message_id);
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
    sqlite3_stmt *statement = NULL;
    struct token claimed;
    bool same;
    int code = connection_prove(portal, TOKEN_RESET, token, strlen(token), &claimed, &same);

    if (code != SQLITE_OK || !same) return code == SQLITE_OK ? SQLITE_DONE : code;
    code = statement_row(portal, &statement, read_reset, "ii", (sqlite3_int64)claimed.id,
                         connection_now(portal));
    if (code != SQLITE_ROW) return code;
    same = statement_keeps(statement, 1, &claimed);
    reset->reset_id = (sqlite3_int64)claimed.id;
    reset->account_id = sqlite3_column_int64(statement, 0);
    statement_text(statement, 2, reset->username, sizeof reset->username);
    statement_text(statement, 3, reset->name, sizeof reset->name);
    statement_done(portal, statement);
    return same ? SQLITE_ROW : SQLITE_DONE;
}

/* As strict as registering: the names and dates of birth of the account's patients are no passwords. */
static int reset_judge(struct portal *portal, const struct reset *reset, const char *password,
                       const char **reason)
{
    struct password_context own = {reset->username, reset->name, NULL, NULL,
                                   setting_text(portal, SETTING_practice_name)};
    sqlite3_stmt *statement = NULL;
    int code;

    *reason = password_problem(password, &own);
    if (*reason != NULL) return SQLITE_OK;
    code = statement_row(portal, &statement, read_patients, "i", reset->account_id);
    while (code == SQLITE_ROW && *reason == NULL) {
        struct patient_id id;
        struct patient chart;
        patient_id_from_column(statement, 0, &id);
        code = patient_find(portal, &id, &chart);
        if (code == SQLITE_ROW) {
            struct password_context context = {NULL, chart.first_name, chart.last_name,
                                               chart.date_of_birth, NULL};
            *reason = password_problem(password, &context);
        }
        if (code == SQLITE_ROW || code == SQLITE_DONE) code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Uses the link up and stores the password, or does neither. */
static int reset_finish(struct portal *portal, const struct reset *reset, const char *hash,
                        bool *done)
{
    char key[NORMALIZE_SIZE];
    int changes = 0;
    int code = statement_change(portal, &changes, use_reset, "ii", reset->reset_id,
                                connection_now(portal));

    *done = changes == 1;
    if (code != SQLITE_OK || changes == 0) return code;
    (void)normalize_username(reset->username, key, sizeof key);
    code = statement_run(portal, store_password, "is", reset->account_id, hash);
    if (code == SQLITE_OK) code = session_end_account(portal, reset->account_id);
    if (code == SQLITE_OK) code = throttle_unlock(portal, key);
    if (code == SQLITE_OK) code = audit_write(portal, "account.password_reset", NULL, key, NULL);
    return code;
}

int reset_password(struct portal *portal, const char *token, const char *password,
                  const char **reason)
{
    char hash[PASSWORD_HASH_SIZE];
    struct reset reset = {0};
    struct scope scope;
    bool done = false;
    int code = reset_open(portal, token, &reset);

    *reason = "link";
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = reset_judge(portal, &reset, password, reason);
    if (code != SQLITE_OK || *reason != NULL) return code;
    if (password_hash(password, hash) != 0) return fault(portal, SQLITE_NOMEM);
    code = scope_begin(portal, &scope);
    if (code != SQLITE_OK) return code;
    code = reset_finish(portal, &reset, hash, &done);
    code = scope_end(portal, &scope, code);
    if (code == SQLITE_OK && !done) *reason = "link";
    return code;
}

int reset_expire(struct portal *portal)
{
    return statement_run(portal, expire_resets, "i", connection_now(portal));
}
