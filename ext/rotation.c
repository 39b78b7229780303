#include "rotation.h"

#include "secret.h"

enum { SUBJECT_SIZE = 32 };

/* Generations, as blobs of a byte: what rows keep of their tokens begins with it (see token_recall()), and seals do. */
static const char read_needed[] =
    "WITH live (kept) AS ("
    "  SELECT nonce FROM main.portal_registration WHERE status IN ('queued', 'live')"
    "  UNION ALL SELECT nonce FROM main.portal_pin WHERE status = 'live'"
    "  UNION ALL SELECT nonce FROM main.portal_reset WHERE status = 'live'"
    "  UNION ALL SELECT nonce FROM main.portal_session WHERE ended_at IS NULL)"
    " SELECT iif(length(kept) = 3, x'01', substr(kept, 1, 1)) FROM live"
    " UNION SELECT substr(sealed, 1, 1) FROM main.portal_secret";
/* Events of long ago may have been purged: then it is as old. */
static const char read_in_force[] =
    "SELECT coalesce((SELECT subject = ?1 FROM main.portal_audit WHERE action = 'key.rotated'"
    "                  ORDER BY event_id DESC LIMIT 1), checkpoint_id > 0) FROM main.portal_state";
/* Other connections look at the key file when they see it, with the write lock held if they write. */
static const char stamp[] = "UPDATE main.portal_state SET settings_stamp = random()";

static int needed_read(struct portal *portal, bool needed[UINT8_MAX + 1])
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_needed, "");

    for (; code == SQLITE_ROW; code = statement_next(portal, statement)) {
        const uint8_t *generation = sqlite3_column_blob(statement, 0);
        if (generation != NULL) needed[*generation] = true;
    }
    statement_done(portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int generation_make(struct portal *portal)
{
    bool needed[UINT8_MAX + 1] = {false};
    char *path = NULL;
    const char *problem;
    int code = needed_read(portal, needed);

    if (code == SQLITE_OK) code = connection_key_path(portal, &path);
    if (code != SQLITE_OK) return code;
    problem = keyring_rotate(&portal->keyring, path, needed);
    if (problem != NULL) code = fail(portal, "the key file %s %s", path == NULL ? "in memory" : path, problem);
    sqlite3_free(path);
    return code;
}

static const char *subject_of(const struct keyring *keyring, char subject[SUBJECT_SIZE])
{
    return sqlite3_snprintf(SUBJECT_SIZE, subject, "generation %d", keyring_newest_generation(keyring));
}

/* The key file may have a generation already that a rotation which was cut short did not bring into force. */
static int begun(struct portal *portal, bool *is_begun)
{
    const struct keyring *keyring = NULL;
    sqlite3_int64 in_force = 0;
    char subject[SUBJECT_SIZE];
    int code = connection_key_now(portal, &keyring);

    *is_begun = false;
    if (code != SQLITE_OK || keyring_newest(keyring) == keyring_oldest(keyring)) return code;
    code = statement_integer(portal, &in_force, read_in_force, "s", subject_of(keyring, subject));
    *is_begun = in_force == 0;
    return code;
}

static int rotate(struct portal *portal, void *data)
{
    struct rotation *rotation = data;
    const struct keyring *keyring = &portal->keyring;
    char subject[SUBJECT_SIZE];
    char detail[64];
    bool is_begun = false;
    int code = begun(portal, &is_begun);

    if (code == SQLITE_OK && !is_begun) code = generation_make(portal);
    if (code == SQLITE_OK) code = secret_reseal(portal, &rotation->secrets);
    if (code == SQLITE_OK) code = statement_run(portal, stamp, "");
    if (code != SQLITE_OK) return code;
    rotation->generation = keyring_newest_generation(keyring);
    (void)sqlite3_snprintf((int)sizeof detail, detail, "%d secrets sealed anew", rotation->secrets);
    return audit_write(portal, "key.rotated", NULL, subject_of(keyring, subject), detail);
}

int rotation_run(struct portal *portal, struct rotation *rotation)
{
    return scope_insist(portal, rotate, rotation);
}
