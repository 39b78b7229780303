#include "rotation.h"

#include "secret.h"

#include <string.h>

/* What rows kept of their tokens, see token_recall(), and what secrets begin with. */
static const char read_needed[] =
    "SELECT nonce FROM main.portal_registration WHERE status IN ('queued', 'live')"
    " UNION SELECT nonce FROM main.portal_pin WHERE status = 'live'"
    " UNION SELECT nonce FROM main.portal_reset WHERE status = 'live'"
    " UNION SELECT nonce FROM main.portal_session WHERE ended_at IS NULL";
static const char read_seals[] = "SELECT DISTINCT substr(sealed, 1, 1) FROM main.portal_secret";
/* Other connections look at the key file when they see it, with the write lock held if they write. */
static const char stamp[] = "UPDATE main.portal_state SET settings_stamp = random()";

static int needed_read(struct portal *portal, bool needed[UINT8_MAX + 1])
{
    sqlite3_stmt *statement = NULL;
    struct token token;
    int code = statement_row(portal, &statement, read_needed, "");

    for (; code == SQLITE_ROW; code = statement_next(portal, statement)) {
        if (token_recall(&token, sqlite3_column_blob(statement, 0), sqlite3_column_bytes(statement, 0))) {
            needed[token.generation] = true;
        }
    }
    statement_done(portal, statement);
    if (code == SQLITE_DONE) code = statement_row(portal, &statement, read_seals, "");
    for (; code == SQLITE_ROW; code = statement_next(portal, statement)) {
        const uint8_t *generation = sqlite3_column_blob(statement, 0);
        if (generation != NULL) needed[*generation] = true;
    }
    statement_done(portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int generation_make(struct portal *portal, struct rotation *rotation)
{
    const struct keyring *keyring = NULL;
    bool needed[UINT8_MAX + 1] = {false};
    char *path = NULL;
    const char *problem;
    int code = connection_key_now(portal, &keyring);

    if (code == SQLITE_OK) code = needed_read(portal, needed);
    if (code == SQLITE_OK) code = connection_key_path(portal, &path);
    if (code != SQLITE_OK) return code;
    problem = keyring_rotate(&portal->keyring, path, needed);
    if (problem != NULL) code = fail(portal, "the key file %s %s", path == NULL ? "in memory" : path, problem);
    sqlite3_free(path);
    rotation->made = problem == NULL;
    rotation->generation = keyring_newest_generation(keyring);
    return code;
}

static int rotate(struct portal *portal, void *data)
{
    struct rotation *rotation = data;
    char subject[32];
    char detail[64];
    /* Perhaps made already by a try that another connection kept from ending. */
    int code = rotation->made ? SQLITE_OK : generation_make(portal, rotation);

    if (code == SQLITE_OK) code = secret_reseal(portal, &rotation->secrets);
    if (code == SQLITE_OK) code = statement_run(portal, stamp, "");
    if (code != SQLITE_OK) return code;
    (void)sqlite3_snprintf((int)sizeof subject, subject, "generation %d", rotation->generation);
    (void)sqlite3_snprintf((int)sizeof detail, detail, "%d secrets sealed anew", rotation->secrets);
    return audit_write(portal, "key.rotated", NULL, subject, detail);
}

int rotation_run(struct portal *portal, struct rotation *rotation)
{
    memset(rotation, 0, sizeof *rotation);
    return scope_insist(portal, rotate, rotation);
}
