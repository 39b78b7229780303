#include "schema.h"

#include "audit.h"
#include "embedded.h"
#include "patient.h"
#include "remap.h"
#include "upgrade.h"

#include <string.h>

static const char has_state[] =
    "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = 'portal_state'";
static const char count_tables[] =
    "SELECT count(*) FROM main.sqlite_schema"
    " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
static const char has_patient[] =
    "SELECT count(*) FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = 'patient'";
static const char insert_state[] =
    "INSERT INTO main.portal_state (state_id, schema_version, settings_stamp, opt_outs, key_check,"
    " audit_count, audit_head, audit_seal, checkpoint_id, checkpoint_hash, checkpoint_seal)"
    " VALUES (1, ?1, random(), 0, ?2, 0, ?3, ?4, 0, ?3, ?5)";

static int execute(struct portal *portal, const char *sql)
{
    int code = sqlite3_exec(portal->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? SQLITE_OK : fault(portal, code);
}

static int patient_table_make(struct portal *portal)
{
    static const char remedy[] = "tell where patients are kept: portal_init(mapping), with one as in sql/mappings; or "
                                 "add what is missing, as in sql/patient.sql, and run portal_init() again";
    sqlite3_int64 tables = 0;
    sqlite3_int64 there = 0;
    char *problem = NULL;
    int code = statement_integer(portal, &tables, count_tables, "");

    if (code == SQLITE_OK && tables == 0) return execute(portal, embedded_find("patient.sql"));
    if (code == SQLITE_OK) code = statement_integer(portal, &there, has_patient, "");
    if (code != SQLITE_OK) return code;
    if (there == 0) return fail(portal, "this database has tables, but none named patient; %s", remedy);
    code = layout_problem(portal, NULL, &problem);
    if (code != SQLITE_OK) return fault(portal, code);
    if (problem != NULL) code = fail(portal, "%s; %s", problem, remedy);
    sqlite3_free(problem);
    return code;
}

/* The key file, made if need be; nothing in the database depends on it yet. */
static int key_make(struct portal *portal)
{
    char *path = NULL;
    const char *problem = NULL;
    int code = connection_key_path(portal, &path);

    if (code != SQLITE_OK) return code;
    if (path == NULL) {
        keyring_throw_away(&portal->keyring);
        return SQLITE_OK;
    }
    problem = keyring_create(path);
    if (problem == NULL) problem = keyring_read(&portal->keyring, path);
    if (problem != NULL) code = fail(portal, "the key file %s %s", path, problem);
    sqlite3_free(path);
    return code;
}

static int state_make(struct portal *portal)
{
    const uint8_t *key = keyring_oldest(&portal->keyring);
    uint8_t check[TOKEN_HASH_SIZE];
    struct audit_start start;

    token_hash(key, TOKEN_KEY_CHECK, "", 0, check);
    audit_start(key, &start);
    return statement_run(portal, insert_state, "ibbbb", (sqlite3_int64)SCHEMA_VERSION, check,
                         TOKEN_HASH_SIZE, start.head, TOKEN_HASH_SIZE, start.seal, TOKEN_HASH_SIZE,
                         start.checkpoint_seal, TOKEN_HASH_SIZE);
}

char *schema_text(void)
{
    return sqlite3_mprintf("%s%s", embedded_find("schema.sql"), embedded_find("views.sql"));
}

static int all_make(struct portal *portal)
{
    char *text = schema_text();
    int code = text == NULL ? fault(portal, SQLITE_NOMEM) : execute(portal, text);

    sqlite3_free(text);
    return code;
}

static int tables_make(struct portal *portal, bool mapped)
{
    int code = mapped ? SQLITE_OK : patient_table_make(portal);

    if (code == SQLITE_OK) code = key_make(portal);
    if (code == SQLITE_OK) code = all_make(portal);
    if (code == SQLITE_OK) code = state_make(portal);
    if (code == SQLITE_OK) code = connection_enter(portal);
    if (code == SQLITE_OK) code = audit_write(portal, "portal.initialised", NULL, NULL, NULL);
    return code;
}

static int check_or_upgrade(struct portal *portal, enum schema_was *was, sqlite3_stmt *guard)
{
    const struct keyring *keyring = NULL;
    sqlite3_int64 version = 0;
    char from[40];
    int code = connection_version(portal, &version);

    *was = version < SCHEMA_VERSION ? SCHEMA_OLDER : SCHEMA_THERE;
    if (code == SQLITE_OK && *was == SCHEMA_OLDER) {
        /* Nothing can be dropped while it is read. */
        (void)sqlite3_reset(guard);
        code = upgrade_run(portal);
    }
    if (code == SQLITE_OK) code = connection_enter(portal);
    if (code == SQLITE_OK) code = connection_key(portal, &keyring);
    if (code != SQLITE_OK || *was == SCHEMA_THERE) return code;
    (void)sqlite3_snprintf(sizeof from, from, "from schema version %lld", version);
    return audit_write(portal, "portal.upgraded", NULL, NULL, from);
}

static int make_or_check(struct portal *portal, bool mapped, enum schema_was *was, sqlite3_stmt *guard)
{
    sqlite3_int64 there = 0;
    int code = statement_integer(portal, &there, has_state, "");

    if (code != SQLITE_OK) return code;
    if (there != 0) return check_or_upgrade(portal, was, guard);
    *was = SCHEMA_MISSING;
    return tables_make(portal, mapped);
}

/*
** A scan that is under way.  Once memory has run out SQLite prepares nothing more, and CREATE INDEX has
** made it forget what was prepared: then this one is stepped on, fails, and SQLite rolls all back.
*/
static const char guard_scan[] =
    "SELECT count(*) FROM main.sqlite_schema UNION ALL SELECT count(*) FROM main.sqlite_schema";

static void undo(struct portal *portal, bool outermost, sqlite3_stmt *guard)
{
    const char *sql = outermost ? "ROLLBACK" : "ROLLBACK TO portal; RELEASE portal";

    if (sqlite3_exec(portal->db, sql, NULL, NULL, NULL) != SQLITE_OK &&
        !sqlite3_get_autocommit(portal->db)) {
        (void)sqlite3_step(guard);
    }
}

int schema_init(struct portal *portal, struct schema_init *init)
{
    bool outermost = sqlite3_get_autocommit(portal->db) != 0;
    sqlite3_stmt *guard = NULL;
    int code;

    if (sqlite3_txn_state(portal->db, NULL) == SQLITE_TXN_WRITE && outermost) {
        return fail(portal,
                    "portal_init() does not run inside a writing statement; call it by itself");
    }
    code = statement_hold(portal, &guard, guard_scan);
    if (code == SQLITE_OK) {
        code = execute(portal, outermost ? "BEGIN IMMEDIATE" : "SAVEPOINT portal");
    }
    if (code == SQLITE_OK) {
        code = statement_next(portal, guard);
        if (code == SQLITE_ROW) code = make_or_check(portal, init->mapping != NULL, &init->was, guard);
        if (code == SQLITE_OK && init->mapping != NULL) code = remap_store(portal, init->mapping, &init->mapped);
        if (code == SQLITE_OK) code = init->say(init);
        if (code == SQLITE_OK) code = execute(portal, outermost ? "COMMIT" : "RELEASE portal");
        if (code != SQLITE_OK) undo(portal, outermost, guard);
    }
    statement_done(portal, guard);
    return code;
}
