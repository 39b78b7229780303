#include "throttle.h"

#include <string.h>

enum { DAY = 86400, DELAY_MAX = 900 };

/* Tries that cost nothing yet: of one client at one account, at an account, of a client. */
enum { FREE_PAIR = 3, FREE_ACCOUNT = 20, FREE_CLIENT = 50 };

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

int throttle_of(struct portal *portal, const char *username_key, struct throttle *throttle)
{
    const struct keyring *keyring = NULL;
    /* Only a web page names its clients; staff and scripts are one. */
    const char *client = portal->application == PORTAL ? portal->user : "";
    int code = connection_key(portal, &keyring);

    if (code != SQLITE_OK) return code;
    throttle->account =
        keyring_fingerprint(keyring, FINGERPRINT_THROTTLE, username_key, strlen(username_key));
    throttle->client = keyring_fingerprint(keyring, FINGERPRINT_THROTTLE, client, strlen(client));
    return SQLITE_OK;
}

/*
** When the next try is taken: the delay after the last failure doubles with every one past the free ones, to a quarter of
** an hour.  0: at once, also when the clock was set back since.
*/
static sqlite3_int64 delay_end(sqlite3_int64 failures, sqlite3_int64 last_failed_at, int free_ones)
{
    sqlite3_int64 delay = 1;

    if (failures <= free_ones) return 0;
    for (sqlite3_int64 i = free_ones; i < failures && delay < DELAY_MAX; i++) delay *= 2;
    return last_failed_at + (delay < DELAY_MAX ? delay : DELAY_MAX);
}

static int delay_read(struct portal *portal, sqlite3_int64 account, sqlite3_int64 client,
                      int free_ones, sqlite3_int64 *until)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 end;
    int code = statement_row(portal, &statement, read_failures, "ii", account, client);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    end = delay_end(sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), free_ones);
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

int throttle_try(struct portal *portal, const struct throttle *throttle, bool *early, bool *begins)
{
    sqlite3_int64 failures = 0;
    int code = delayed(portal, throttle, early);

    *begins = false;
    if (code != SQLITE_OK || *early) return code;
    code = failure_count(portal, throttle);
    if (code == SQLITE_OK) {
        code = statement_integer(portal, &failures, read_failures, "ii", throttle->account,
                                 throttle->client);
    }
    *begins = failures == FREE_PAIR + 1;
    return code;
}

int throttle_right(struct portal *portal, const struct throttle *throttle)
{
    int code = statement_run(portal, forget_account, "ii", throttle->account, throttle->client);

    return code == SQLITE_OK ? statement_run(portal, forget_client, "i", throttle->client) : code;
}

int throttle_unlock(struct portal *portal, const char *username_key)
{
    struct throttle throttle = {0, 0};
    int code = throttle_of(portal, username_key, &throttle);

    return code == SQLITE_OK ? statement_run(portal, unlock, "i", throttle.account) : code;
}

int throttle_until(struct portal *portal, const char *username_key, sqlite3_int64 *until)
{
    struct throttle throttle = {0, 0};
    sqlite3_stmt *statement = NULL;
    int code = throttle_of(portal, username_key, &throttle);

    *until = 0;
    if (code == SQLITE_OK) {
        code = statement_row(portal, &statement, worst_of_account, "i", throttle.account);
    }
    while (code == SQLITE_ROW) {
        int free_ones = sqlite3_column_int64(statement, 0) == 0 ? FREE_ACCOUNT : FREE_PAIR;
        sqlite3_int64 end = delay_end(sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2), free_ones);
        if (end > *until) *until = end;
        code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    if (*until <= connection_now(portal)) *until = 0;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int throttle_expire(struct portal *portal)
{
    return statement_run(portal, expire_throttle, "i", connection_now(portal) - DAY);
}
