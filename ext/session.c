#include "session.h"

#include "access.h"
#include "json.h"

#include <sodium.h>
#include <string.h>

enum { MINUTE = 60, HOUR = 3600 };

static const char insert_session[] =
    "INSERT INTO main.portal_session (account_id, nonce, created_at, last_used_at)"
    " VALUES (?1, ?2, ?3, ?3)";
static const char read_session[] =
    "SELECT nonce, account_id, last_used_at FROM main.portal_session"
    " WHERE session_id = ?1 AND ended_at IS NULL AND created_at > ?2 AND last_used_at > ?3";
static const char touch_session[] =
    "UPDATE main.portal_session SET last_used_at = ?2 WHERE session_id = ?1";
static const char end_session[] =
    "UPDATE main.portal_session SET ended_at = ?2 WHERE session_id = ?1 AND ended_at IS NULL";
static const char end_account[] =
    "UPDATE main.portal_session SET ended_at = ?2 WHERE account_id = ?1 AND ended_at IS NULL";
static const char end_patient[] =
    "UPDATE main.portal_session SET ended_at = ?2 WHERE ended_at IS NULL AND account_id IN"
    " (SELECT account_id FROM main.portal_access WHERE patient_id = ?1)";
static const char end_expired[] =
    "UPDATE main.portal_session SET ended_at = ?1"
    " WHERE ended_at IS NULL AND (created_at <= ?2 OR last_used_at <= ?3)";
static const char read_account[] =
    "SELECT username, name FROM main.portal_account WHERE account_id = ?1";

int session_begin(struct portal *portal, sqlite3_int64 account_id, char token[TOKEN_SIZE])
{
    const struct keyring *keyring = NULL;
    struct token made = {.id = 0};
    uint8_t kept[TOKEN_KEPT_SIZE];
    int code = connection_key_now(portal, &keyring);

    if (code != SQLITE_OK) return code;
    keyring_token(keyring, &made);
    token_keep(&made, kept);
    code = statement_run(portal, insert_session, "ibi", account_id, kept, TOKEN_KEPT_SIZE,
                         connection_now(portal));
    if (code != SQLITE_OK) return code;
    made.id = (uint32_t)sqlite3_last_insert_rowid(portal->db);
    token_derive(keyring_newest(keyring), TOKEN_SESSION, &made, token);
    return SQLITE_OK;
}

int session_genuine(struct portal *portal, const char *token, bool *genuine)
{
    struct token claimed;

    return connection_prove(portal, TOKEN_SESSION, token, strlen(token), &claimed, genuine);
}

/* SQLITE_ROW and the row's id, account and last use; SQLITE_DONE; or an error code. */
static int find(struct portal *portal, const char *token, sqlite3_int64 *session_id,
                sqlite3_int64 *account_id, sqlite3_int64 *last_used_at)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    struct token claimed;
    bool same = false;
    int code = connection_prove(portal, TOKEN_SESSION, token, strlen(token), &claimed, &same);

    if (code != SQLITE_OK || !same) return code == SQLITE_OK ? SQLITE_DONE : code;
    code = statement_row(portal, &statement, read_session, "iii", (sqlite3_int64)claimed.id,
                         now - setting_number(portal, SETTING_session_hours) * HOUR,
                         now - setting_number(portal, SETTING_session_idle_minutes) * MINUTE);
    if (code != SQLITE_ROW) return code;
    same = statement_keeps(statement, 0, &claimed);
    *session_id = (sqlite3_int64)claimed.id;
    *account_id = sqlite3_column_int64(statement, 1);
    *last_used_at = sqlite3_column_int64(statement, 2);
    statement_done(portal, statement);
    return same ? SQLITE_ROW : SQLITE_DONE;
}

int session_open(struct portal *portal, const char *token, sqlite3_int64 *account_id)
{
    sqlite3_int64 session_id = 0;
    sqlite3_int64 last_used_at = 0;
    sqlite3_int64 now = connection_now(portal);
    int code = find(portal, token, &session_id, account_id, &last_used_at);

    if (code != SQLITE_ROW || last_used_at == now) return code;
    code = statement_run(portal, touch_session, "ii", session_id, now);
    return code == SQLITE_OK ? SQLITE_ROW : code;
}

int session_end(struct portal *portal, const char *token, bool *ended)
{
    sqlite3_int64 session_id = 0;
    sqlite3_int64 account_id = 0;
    sqlite3_int64 last_used_at = 0;
    int code = find(portal, token, &session_id, &account_id, &last_used_at);

    *ended = code == SQLITE_ROW;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    return statement_run(portal, end_session, "ii", session_id, connection_now(portal));
}

int session_end_account(struct portal *portal, sqlite3_int64 account_id)
{
    return statement_run(portal, end_account, "ii", account_id, connection_now(portal));
}

int session_end_patient(struct portal *portal, const struct patient_id *patient)
{
    return statement_run(portal, end_patient, "pi", patient, connection_now(portal));
}

int session_expire(struct portal *portal, sqlite3_int64 *count)
{
    sqlite3_int64 now = connection_now(portal);
    int changes = 0;
    int code = statement_change(portal, &changes, end_expired, "iii", now,
                                now - setting_number(portal, SETTING_session_hours) * HOUR,
                                now - setting_number(portal, SETTING_session_idle_minutes) * MINUTE);

    *count = changes;
    return code;
}

static int describe(struct portal *portal, sqlite3_int64 account_id, const char *patients,
                    char **json)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_str *out;
    int code = statement_row(portal, &statement, read_account, "i", account_id);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    out = sqlite3_str_new(portal->db);
    sqlite3_str_appendall(out, "{\"username\":");
    json_append(out, statement_string(statement, 0));
    sqlite3_str_appendall(out, ",\"name\":");
    json_append(out, statement_string(statement, 1));
    sqlite3_str_appendf(out, ",\"patients\":%s}", patients);
    statement_done(portal, statement);
    *json = sqlite3_str_finish(out);
    return *json == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

int session_describe(struct portal *portal, const char *token, char **json)
{
    sqlite3_int64 account_id = 0;
    char *patients = NULL;
    int count = 0;
    int code = session_open(portal, token, &account_id);

    *json = NULL;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = access_list(portal, account_id, &patients, &count);
    if (code == SQLITE_OK && count > 0) code = describe(portal, account_id, patients, json);
    sqlite3_free(patients);
    return code;
}
