#include "audit.h"

#include "connection.h"
#include "patient.h"

#include <sodium.h>
#include <string.h>

static const char read_head[] =
    "SELECT audit_count, audit_head FROM main.portal_state";
static const char insert_event[] =
    "INSERT INTO main.portal_audit"
    " (event_id, at, application, actor, action, patient_id, subject, detail, hash)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
/* Guarded: another event in between would fork the chain. */
static const char move_head[] =
    "UPDATE main.portal_state SET audit_count = ?1, audit_head = ?2, audit_seal = ?3"
    " WHERE state_id = 1 AND audit_count = ?4 AND audit_head = ?5";
static const char read_seals[] =
    "SELECT audit_count, audit_head, audit_seal, checkpoint_id, checkpoint_hash, checkpoint_seal"
    " FROM main.portal_state";
static const char read_events[] =
    "SELECT event_id, at, application, actor, action, patient_id, subject, detail, hash"
    " FROM main.portal_audit WHERE event_id > ?1 ORDER BY event_id";
static const char first_left_over[] =
    "SELECT event_id FROM main.portal_audit WHERE event_id <= ?1 ORDER BY event_id LIMIT 1";
static const char last_before[] =
    "SELECT event_id, hash FROM main.portal_audit"
    " WHERE event_id < coalesce((SELECT min(event_id) FROM main.portal_audit WHERE at >= ?1),"
    "                           (SELECT audit_count FROM main.portal_state) + 1)"
    " ORDER BY event_id DESC LIMIT 1";
static const char store_checkpoint[] =
    "UPDATE main.portal_state SET checkpoint_id = ?1, checkpoint_hash = ?2, checkpoint_seal = ?3";
static const char delete_events[] =
    "DELETE FROM main.portal_audit WHERE event_id <= ?1";

/* One event as it is hashed; a text is NULL for SQL NULL. */
struct event {
    sqlite3_int64 id;
    sqlite3_int64 at;
    const char *application;
    const char *actor;
    const char *action;
    const struct patient_id *patient;
    const char *subject;
    const char *detail;
};

static void add_integer(crypto_generichash_state *state, sqlite3_int64 value)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    (void)crypto_generichash_update(state, bytes, sizeof bytes);
}

/* Length first, -1 for NULL: no two events have the same bytes. */
static void add_text(crypto_generichash_state *state, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);

    add_integer(state, text == NULL ? -1 : (sqlite3_int64)length);
    if (length > 0) (void)crypto_generichash_update(state, (const uint8_t *)text, length);
}

static void add_patient(crypto_generichash_state *state, const struct patient_id *id)
{
    add_integer(state, id == NULL ? SQLITE_NULL : id->type);
    if (id == NULL) return;
    if (id->type == SQLITE_INTEGER) {
        add_integer(state, id->integer);
    } else {
        add_text(state, id->text);
    }
}

static void event_hash(const uint8_t *key, const uint8_t *before, const struct event *event,
                       uint8_t out[TOKEN_HASH_SIZE])
{
    crypto_generichash_state state;
    uint8_t label = TOKEN_AUDIT;

    (void)crypto_generichash_init(&state, key, TOKEN_KEY_SIZE, TOKEN_HASH_SIZE);
    (void)crypto_generichash_update(&state, &label, 1);
    (void)crypto_generichash_update(&state, before, TOKEN_HASH_SIZE);
    add_integer(&state, event->id);
    add_integer(&state, event->at);
    add_text(&state, event->application);
    add_text(&state, event->actor);
    add_text(&state, event->action);
    add_patient(&state, event->patient);
    add_text(&state, event->subject);
    add_text(&state, event->detail);
    (void)crypto_generichash_final(&state, out, TOKEN_HASH_SIZE);
    sodium_memzero(&state, sizeof state);
}

/* The seal of a place in the chain: its event's id and hash, under the key. */
static void seal(const uint8_t *key, enum token_purpose purpose, sqlite3_int64 id,
                 const uint8_t hash[TOKEN_HASH_SIZE], uint8_t out[TOKEN_HASH_SIZE])
{
    uint8_t bytes[8 + TOKEN_HASH_SIZE];

    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)id >> (8 * i));
    memcpy(bytes + 8, hash, TOKEN_HASH_SIZE);
    token_hash(key, purpose, bytes, sizeof bytes, out);
}

void audit_start(const unsigned char *key, struct audit_start *start)
{
    memset(start->head, 0, sizeof start->head);
    seal(key, TOKEN_SEAL, 0, start->head, start->seal);
    seal(key, TOKEN_CHECKPOINT, 0, start->head, start->checkpoint_seal);
}

static int column_hash(sqlite3_stmt *statement, int column, uint8_t out[TOKEN_HASH_SIZE])
{
    if (sqlite3_column_type(statement, column) != SQLITE_BLOB ||
        sqlite3_column_bytes(statement, column) != TOKEN_HASH_SIZE) {
        return -1;
    }
    memcpy(out, sqlite3_column_blob(statement, column), TOKEN_HASH_SIZE);
    return 0;
}

void audit_head_take(struct audit_head *head, sqlite3_stmt *statement, int column)
{
    head->count = sqlite3_column_int64(statement, column);
    head->stored_count = head->count;
    head->known = column_hash(statement, column + 1, head->hash) == 0;
    memcpy(head->stored_hash, head->hash, TOKEN_HASH_SIZE);
}

static int head_read(struct portal *portal, struct audit_head *head)
{
    sqlite3_stmt *statement = NULL;
    int code = connection_state(portal, &statement, read_head);

    if (code != SQLITE_ROW) return code;
    audit_head_take(head, statement, 0);
    statement_done(portal, statement);
    if (head->known) return SQLITE_OK;
    return fail(portal,
                "the audit head in portal_state is damaged; run SELECT portal_audit_verify()");
}

int audit_settle(struct portal *portal)
{
    struct audit_head *head = &portal->head;
    const struct keyring *keyring = &portal->keyring;
    uint8_t sealed[TOKEN_HASH_SIZE];
    int changes = 0;
    int code;

    if (!head->known || head->count == head->stored_count) return SQLITE_OK;
    /* The key that the events were written with: where this is called, SQLite would tell no error of ours. */
    code = keyring->count > 0 ? SQLITE_OK : connection_key(portal, &keyring);
    if (code != SQLITE_OK) return code;
    seal(keyring_oldest(keyring), TOKEN_SEAL, head->count, head->hash, sealed);
    code = statement_change(portal, &changes, move_head, "ibbib", head->count, head->hash,
                            TOKEN_HASH_SIZE, sealed, TOKEN_HASH_SIZE, head->stored_count,
                            head->stored_hash, TOKEN_HASH_SIZE);
    if (code == SQLITE_OK && changes != 1) {
        code = fail(portal, "the audit head has moved; try again");
    }
    if (code != SQLITE_OK) return code;
    head->stored_count = head->count;
    memcpy(head->stored_hash, head->hash, TOKEN_HASH_SIZE);
    return SQLITE_OK;
}

/* Inserts the event that follows the head, and moves the head on to it. */
static int event_append(struct portal *portal, const uint8_t *key, struct event *event)
{
    struct audit_head *head = &portal->head;
    uint8_t hash[TOKEN_HASH_SIZE];
    int code;

    event->id = head->count + 1;
    event_hash(key, head->hash, event, hash);
    code = statement_run(portal, insert_event, "iissspssb", event->id, event->at, event->application,
                         event->actor, event->action, event->patient, event->subject, event->detail,
                         hash, TOKEN_HASH_SIZE);
    if (code != SQLITE_OK) return code;
    head->count = event->id;
    memcpy(head->hash, hash, TOKEN_HASH_SIZE);
    return SQLITE_OK;
}

int audit_write(struct portal *portal, const char *action, const struct patient_id *patient,
                const char *subject, const char *detail)
{
    const struct keyring *keyring = NULL;
    struct event event = {0, connection_now(portal), connection_application(portal), portal->user,
                          action, patient, subject, detail};
    int code = connection_key(portal, &keyring);

    if (code == SQLITE_OK && !portal->head.known) code = head_read(portal, &portal->head);
    if (code == SQLITE_OK) code = event_append(portal, keyring_oldest(keyring), &event);
    if (portal->inserting) return code;
    if (code == SQLITE_OK) code = audit_settle(portal);
    portal->head.known = false;
    return code;
}

int audit_write_about(struct portal *portal, const char *action, const struct patient_id *patient,
                      const char *what, sqlite3_int64 id, const char *detail)
{
    char subject[64];

    (void)sqlite3_snprintf((int)sizeof subject, subject, "%s %lld", what, id);
    return audit_write(portal, action, patient, subject, detail);
}

/* Where the chain must begin and end. */
struct bounds {
    sqlite3_int64 count;
    uint8_t head[TOKEN_HASH_SIZE];
    sqlite3_int64 checkpoint;
    uint8_t checkpoint_hash[TOKEN_HASH_SIZE];
};

static bool sealed_by(const uint8_t *key, enum token_purpose purpose, sqlite3_int64 id,
                      const uint8_t *hash, sqlite3_stmt *statement, int column)
{
    uint8_t expected[TOKEN_HASH_SIZE];

    seal(key, purpose, id, hash, expected);
    return statement_same(statement, column, expected, TOKEN_HASH_SIZE);
}

/* Reads the bounds and proves their seals.  A broken seal is named in *broken. */
static int bounds_read(struct portal *portal, const uint8_t *key, struct bounds *bounds,
                       char **broken)
{
    sqlite3_stmt *statement = NULL;
    int code = connection_state(portal, &statement, read_seals);
    const char *problem = NULL;

    if (code != SQLITE_ROW) return code;
    bounds->count = sqlite3_column_int64(statement, 0);
    bounds->checkpoint = sqlite3_column_int64(statement, 3);
    if (column_hash(statement, 1, bounds->head) != 0 ||
        !sealed_by(key, TOKEN_SEAL, bounds->count, bounds->head, statement, 2)) {
        problem = "the seal of the newest event in portal_state is broken";
    } else if (column_hash(statement, 4, bounds->checkpoint_hash) != 0 ||
               !sealed_by(key, TOKEN_CHECKPOINT, bounds->checkpoint, bounds->checkpoint_hash,
                          statement, 5)) {
        problem = "the seal of the checkpoint in portal_state is broken";
    }
    statement_done(portal, statement);
    if (problem == NULL) return SQLITE_OK;
    *broken = sqlite3_mprintf("%s", problem);
    return *broken == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* A text column, which must be text or NULL to hash as it was written. */
static bool event_text(sqlite3_stmt *statement, int column, const char **out)
{
    int type = sqlite3_column_type(statement, column);

    *out = NULL;
    if (type == SQLITE_NULL) return true;
    if (type != SQLITE_TEXT) return false;
    *out = (const char *)sqlite3_column_text(statement, column);
    return *out != NULL && strlen(*out) == (size_t)sqlite3_column_bytes(statement, column);
}

static bool event_patient(sqlite3_stmt *statement, int column, struct patient_id *id,
                          const struct patient_id **out)
{
    int type = sqlite3_column_type(statement, column);

    *out = type == SQLITE_NULL ? NULL : id;
    if (type == SQLITE_NULL) return true;
    if (type != SQLITE_INTEGER && type != SQLITE_TEXT) return false;
    patient_id_from_column(statement, column, id);
    return true;
}

/* True when the row is the event that follows `hash`, which then becomes its own. */
static bool event_follows(const uint8_t *key, sqlite3_stmt *statement, sqlite3_int64 id,
                          uint8_t hash[TOKEN_HASH_SIZE])
{
    struct patient_id patient;
    struct event event = {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                          NULL, NULL, NULL, NULL, NULL, NULL};
    uint8_t expected[TOKEN_HASH_SIZE];
    uint8_t stored[TOKEN_HASH_SIZE];

    if (event.id != id || sqlite3_column_type(statement, 1) != SQLITE_INTEGER ||
        !event_text(statement, 2, &event.application) || !event_text(statement, 3, &event.actor) ||
        !event_text(statement, 4, &event.action) ||
        !event_patient(statement, 5, &patient, &event.patient) ||
        !event_text(statement, 6, &event.subject) || !event_text(statement, 7, &event.detail) ||
        column_hash(statement, 8, stored) != 0) {
        return false;
    }
    event_hash(key, hash, &event, expected);
    memcpy(hash, stored, TOKEN_HASH_SIZE);
    return sodium_memcmp(expected, stored, TOKEN_HASH_SIZE) == 0;
}

/* An event at or below the checkpoint, where none may be left. */
static int left_over(struct portal *portal, const struct bounds *bounds, sqlite3_int64 *event,
                     bool *found)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, first_left_over, "i", bounds->checkpoint);

    *found = code == SQLITE_ROW;
    if (*found) *event = sqlite3_column_int64(statement, 0);
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The first event that does not follow, or 0. */
static int chain_walk(struct portal *portal, const uint8_t *key, const struct bounds *bounds,
                      sqlite3_int64 *broken)
{
    sqlite3_stmt *statement = NULL;
    uint8_t hash[TOKEN_HASH_SIZE];
    sqlite3_int64 id = bounds->checkpoint;
    int code = statement_row(portal, &statement, read_events, "i", bounds->checkpoint);

    *broken = 0;
    memcpy(hash, bounds->checkpoint_hash, TOKEN_HASH_SIZE);
    while (code == SQLITE_ROW && *broken == 0) {
        id++;
        if (!event_follows(key, statement, id, hash)) *broken = id;
        if (*broken == 0) code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    if (*broken != 0) return SQLITE_OK;
    if (code != SQLITE_DONE) return code;
    if (id != bounds->count) {
        *broken = id < bounds->count ? id + 1 : bounds->count + 1;
    } else if (sodium_memcmp(hash, bounds->head, TOKEN_HASH_SIZE) != 0) {
        *broken = id;
    }
    return SQLITE_OK;
}

static int verify(struct portal *portal, char **broken)
{
    const struct keyring *keyring = NULL;
    struct bounds bounds = {0};
    sqlite3_int64 event = 0;
    bool found = false;
    int code = connection_key(portal, &keyring);

    if (code == SQLITE_OK) code = bounds_read(portal, keyring_oldest(keyring), &bounds, broken);
    if (code != SQLITE_OK || *broken != NULL) return code;
    code = left_over(portal, &bounds, &event, &found);
    if (code == SQLITE_OK && !found) {
        code = chain_walk(portal, keyring_oldest(keyring), &bounds, &event);
        found = event != 0;
    }
    if (code != SQLITE_OK || !found) return code;
    *broken = sqlite3_mprintf(
        "event %lld is not what was written: edited, deleted, inserted or moved", event);
    return *broken == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* Of one moment: an event of another process in between would look inserted. */
int audit_verify(struct portal *portal, char **broken)
{
    struct scope scope;
    int code = audit_settle(portal);

    *broken = NULL;
    if (code == SQLITE_OK) code = scope_begin_reading(portal, &scope);
    if (code != SQLITE_OK) return code;
    code = scope_end(portal, &scope, verify(portal, broken));
    if (code != SQLITE_OK) {
        sqlite3_free(*broken);
        *broken = NULL;
    }
    return code;
}

static int checkpoint_find(struct portal *portal, sqlite3_int64 before, sqlite3_int64 *id,
                           uint8_t hash[TOKEN_HASH_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, last_before, "i", before);

    *id = 0;
    if (code == SQLITE_DONE) return SQLITE_OK;
    if (code != SQLITE_ROW) return code;
    *id = sqlite3_column_int64(statement, 0);
    code = column_hash(statement, 1, hash) == 0
               ? SQLITE_OK
               : fail(portal,
                      "event %lld of the audit is damaged; run SELECT portal_audit_verify()", *id);
    statement_done(portal, statement);
    return code;
}

int audit_purge(struct portal *portal, sqlite3_int64 before, sqlite3_int64 *count)
{
    const struct keyring *keyring = NULL;
    uint8_t hash[TOKEN_HASH_SIZE];
    uint8_t sealed[TOKEN_HASH_SIZE];
    sqlite3_int64 id = 0;
    int changes = 0;
    int code = connection_key(portal, &keyring);

    *count = 0;
    if (code == SQLITE_OK) code = audit_settle(portal);
    if (code == SQLITE_OK) code = checkpoint_find(portal, before, &id, hash);
    if (code != SQLITE_OK || id == 0) return code;
    seal(keyring_oldest(keyring), TOKEN_CHECKPOINT, id, hash, sealed);
    code = statement_run(portal, store_checkpoint, "ibb", id, hash, TOKEN_HASH_SIZE, sealed,
                         TOKEN_HASH_SIZE);
    if (code == SQLITE_OK) code = statement_change(portal, &changes, delete_events, "i", id);
    *count = changes;
    return code;
}
