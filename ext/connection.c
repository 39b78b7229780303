#include "connection.h"

#include "audit.h"
#include "channel.h"
#include "normalize.h"
#include "wording.h"

#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 10 /* seconds */, PAUSE = 20 /* milliseconds */ };
enum { NEVER = -1 };

static const char read_state[] =
    "SELECT schema_version, settings_stamp, opt_outs FROM main.portal_state";
static const char read_state_and_head[] =
    "SELECT schema_version, settings_stamp, opt_outs, audit_count, audit_head FROM main.portal_state";
static const char read_version[] = "SELECT schema_version FROM main.portal_state";
static const char read_key_check[] =
    "SELECT key_check, schema_version FROM main.portal_state";
/* Changes nothing, and takes the write lock of the main database alone, as BEGIN IMMEDIATE would not. */
static const char take_write_lock[] =
    "UPDATE main.portal_state SET state_id = state_id WHERE 0";

/* Julian day of 1970-01-01, in milliseconds. */
static const sqlite3_int64 unix_epoch = 210866760000000;

static void login_name(char out[USER_SIZE])
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];

    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0) found = NULL;
    if (found != NULL) {
        (void)sqlite3_snprintf(USER_SIZE, out, "%s", found->pw_name);
    } else {
        (void)sqlite3_snprintf(USER_SIZE, out, "uid %lld", (long long)geteuid());
    }
}

struct portal *connection_open(sqlite3 *db)
{
    struct portal *portal = sqlite3_malloc(sizeof *portal);
    char user[USER_SIZE];

    if (portal == NULL) return NULL;
    memset(portal, 0, sizeof *portal);
    portal->db = db;
    portal->references = 1;
    login_name(user);
    connection_act_as(portal, EHR, user);
    channel_api(portal);
    return portal;
}

void connection_release(void *pointer)
{
    struct portal *portal = pointer;

    if (--portal->references > 0) return;
    statement_clear(&portal->statements);
    channel_clear(portal);
    setting_clear(&portal->settings);
    wording_clear(portal);
    keyring_clear(&portal->keyring);
    layout_free(portal->layout);
    for (int i = 0; i < TEXT_MAX; i++) sqlite3_free(portal->text[i].sql);
    sqlite3_free(portal->error);
    sqlite3_free(portal);
}

sqlite3_int64 connection_now(struct portal *portal)
{
    sqlite3_vfs *vfs = portal->vfs;
    sqlite3_int64 milliseconds = 0;
    double days = 0;

    if (vfs == NULL &&
        sqlite3_file_control(portal->db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) != SQLITE_OK) {
        return 0;
    }
    portal->vfs = vfs;
    if (vfs->iVersion >= 2 && vfs->xCurrentTimeInt64 != NULL) {
        if (vfs->xCurrentTimeInt64(vfs, &milliseconds) != SQLITE_OK) return 0;
    } else {
        if (vfs->xCurrentTime(vfs, &days) != SQLITE_OK) return 0;
        milliseconds = (sqlite3_int64)(days * 86400000.0);
    }
    return (milliseconds - unix_epoch) / 1000;
}

const char *connection_application(const struct portal *portal)
{
    switch (portal->application) {
    case SCHEDULING: return "scheduling";
    case PORTAL: return "portal";
    case EHR: break;
    }
    return "ehr";
}

void connection_act_as(struct portal *portal, enum application application, const char *user)
{
    portal->application = application;
    if (user != NULL) (void)sqlite3_snprintf(USER_SIZE, portal->user, "%s", user);
    (void)sqlite3_snprintf(ACTOR_SIZE, portal->actor, "%s:%s", connection_application(portal),
                           portal->user);
}

static void error_set(struct portal *portal, char *text)
{
    if (text != NULL) normalize_show(text);
    sqlite3_free(portal->error);
    portal->error = text;
}

static bool is_token(struct portal *portal, const char *text)
{
    static const enum token_purpose purposes[] = {TOKEN_LINK, TOKEN_RESET, TOKEN_SESSION};
    struct token token;
    bool genuine = false;

    for (size_t i = 0; i < sizeof purposes / sizeof purposes[0] && !genuine; i++) {
        int code = connection_prove(portal, purposes[i], text, TOKEN_LENGTH, &token, &genuine);
        if (code != SQLITE_OK) return true;    /* who knows */
    }
    return genuine;
}

void connection_hide(struct portal *portal, char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    while (*text != '\0') {
        size_t length = strspn(text, alphabet);
        if (length == TOKEN_LENGTH && is_token(portal, text)) memset(text, '*', length);
        text += length;
        text += strcspn(text, alphabet);
    }
}

int refuse(struct portal *portal, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (text != NULL) connection_hide(portal, text);
    error_set(portal, text);
    return text == NULL ? SQLITE_NOMEM : REFUSED;
}

int fail(struct portal *portal, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    error_set(portal, text);
    return text == NULL ? SQLITE_NOMEM : SQLITE_ERROR;
}

int connection_version(struct portal *portal, sqlite3_int64 *version)
{
    return statement_integer(portal, version, read_version, "");
}

static int version_check(struct portal *portal, sqlite3_int64 version)
{
    if (version == SCHEMA_VERSION) return SQLITE_OK;
    if (version < SCHEMA_VERSION) {
        return fail(portal, "the portal tables are of schema version %lld; run SELECT portal_init() to upgrade them",
                    version);
    }
    return fail(portal,
                "the portal tables are of schema version %lld and this extension knows up to %d; "
                "load the newer extension",
                version, (int)SCHEMA_VERSION);
}

int connection_state(struct portal *portal, sqlite3_stmt **out, const char *sql)
{
    sqlite3_int64 version = SCHEMA_VERSION;
    int code = statement_row(portal, out, sql, "");

    /* Tables of another version may lack a column. */
    if (code == SQLITE_ERROR && connection_version(portal, &version) == SQLITE_OK && version != SCHEMA_VERSION) {
        return version_check(portal, version);
    }
    if (code != SQLITE_DONE) return code;
    return fail(portal, "table portal_state is empty; restore the database from a backup");
}

static const char *remedy(int code)
{
    static const struct { int code; const char *text; } rows[] = {
        {SQLITE_BUSY, "another connection is writing to the database; try again"},
        {SQLITE_LOCKED, "another statement is using the table; try again"},
        {SQLITE_READONLY, "the database can only be read here"},
        {SQLITE_FULL, "the disk is full; nothing was changed"},
        {SQLITE_NOMEM, "out of memory; nothing was changed"},
        {SQLITE_IOERR, "reading or writing the database failed; nothing was changed"},
        {SQLITE_CORRUPT, "the database is damaged; restore it from a backup"},
        {SQLITE_INTERRUPT, "interrupted; try again"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == (code & 0xff)) return rows[i].text;
    }
    return NULL;
}

int fault(struct portal *portal, int code)
{
    const char *own = sqlite3_errmsg(portal->db);
    const char *known = remedy(code);
    char *problem = NULL;

    if (strncmp(own, "no such table: main.portal_", 27) == 0) {
        return fail(portal, "this database has no portal tables; run SELECT portal_init()");
    }
    if ((code & 0xff) == SQLITE_ERROR && strncmp(own, "no such ", 8) == 0) {
        error_set(portal, sqlite3_mprintf("%s", own));
        (void)layout_problem(portal, portal->layout, &problem);
        if (problem != NULL) error_set(portal, sqlite3_mprintf("%s; %s", problem, layout_remedy));
        sqlite3_free(problem);
        return code;
    }
    if (known != NULL) {
        error_set(portal, sqlite3_mprintf("%s (%s)", known, own));
    } else {
        error_set(portal, sqlite3_mprintf("%s", own));
    }
    return code;
}

int connection_enter(struct portal *portal)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 version;
    sqlite3_int64 stamp;
    bool with_head = portal->inserting && !portal->head.known;
    int code;

    /* The write lock is ours, and nothing has been written since: nothing can have changed. */
    if (portal->entered && sqlite3_total_changes64(portal->db) == portal->entered_at) {
        return SQLITE_OK;
    }
    /* An insert form has the write lock and is about to write an event: the head needs no look of its own. */
    code = connection_state(portal, &statement, with_head ? read_state_and_head : read_state);
    if (code != SQLITE_ROW) return code;
    version = sqlite3_column_int64(statement, 0);
    stamp = sqlite3_column_int64(statement, 1);
    portal->opt_outs = sqlite3_column_int(statement, 2) != 0;
    if (with_head) audit_head_take(&portal->head, statement, 3);
    statement_done(portal, statement);
    code = version_check(portal, version);
    if (code != SQLITE_OK) return code;
    if (stamp == portal->settings.stamp && portal->settings.loaded) return SQLITE_OK;
    /* Perhaps it was the key that changed. */
    portal->keyring_checked_at = NEVER;
    code = layout_load(portal);
    return code == SQLITE_OK ? setting_load(portal, stamp) : code;
}

void connection_inserted(struct portal *portal)
{
    portal->entered = true;
    portal->entered_at = sqlite3_total_changes64(portal->db);
}

void connection_forget(struct portal *portal)
{
    portal->entered = false;
    portal->head.known = false;
}

const char *connection_path(const struct portal *portal)
{
    const char *path = sqlite3_db_filename(portal->db, "main");

    return path == NULL ? "" : path;
}

int connection_key_path(struct portal *portal, char **path)
{
    const char *named = getenv("PORTAL_KEY_FILE");
    const char *database = connection_path(portal);
    bool is_named = named != NULL && *named != '\0';

    *path = NULL;
    if (!is_named && *database == '\0') return SQLITE_OK;
    *path = is_named ? sqlite3_mprintf("%s", named) : sqlite3_mprintf("%s.portal-key", database);
    return *path == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* What portal_state says of the key; first, because without our tables no key is looked for. */
static int key_check_read(struct portal *portal, uint8_t check[TOKEN_HASH_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int code = connection_state(portal, &statement, read_key_check);

    if (code != SQLITE_ROW) return code;
    memset(check, 0, TOKEN_HASH_SIZE);
    if (sqlite3_column_bytes(statement, 0) == TOKEN_HASH_SIZE) {
        memcpy(check, sqlite3_column_blob(statement, 0), TOKEN_HASH_SIZE);
    }
    code = version_check(portal, sqlite3_column_int64(statement, 1));
    statement_done(portal, statement);
    return code;
}

/* A key file of another database would prove nothing and seal everything wrong. */
static int key_read(struct portal *portal, const char *path)
{
    uint8_t stored[TOKEN_HASH_SIZE];
    uint8_t check[TOKEN_HASH_SIZE];
    const char *problem;
    int code = key_check_read(portal, stored);

    if (code != SQLITE_OK) return code;
    problem = keyring_read(&portal->keyring, path);
    if (problem != NULL) return fail(portal, "the key file %s %s", path, problem);
    token_hash(keyring_oldest(&portal->keyring), TOKEN_KEY_CHECK, "", 0, check);
    if (sodium_memcmp(check, stored, TOKEN_HASH_SIZE) == 0) return SQLITE_OK;
    keyring_clear(&portal->keyring);
    return fail(portal, "the key file %s belongs to another database; put the right one back", path);
}

static sqlite3_int64 uptime(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

int connection_key(struct portal *portal, const struct keyring **keyring)
{
    sqlite3_int64 now = uptime();
    char *path = NULL;
    int code;

    *keyring = &portal->keyring;
    /* The file is looked at once a second at most: a token check must not cost a system call. */
    if (portal->keyring.count > 0 && portal->keyring_checked_at == now) return SQLITE_OK;
    code = connection_key_path(portal, &path);
    if (code != SQLITE_OK) return code;
    if (path == NULL) {
        if (portal->keyring.count > 0) return SQLITE_OK;
        return fail(portal,
                    "the key of this in-memory database is not here; run SELECT portal_init()");
    }
    if (portal->keyring.count == 0 || keyring_changed(&portal->keyring, path)) {
        code = key_read(portal, path);
    }
    if (code == SQLITE_OK) portal->keyring_checked_at = now;
    sqlite3_free(path);
    return code;
}

int connection_key_now(struct portal *portal, const struct keyring **keyring)
{
    portal->keyring_checked_at = NEVER;
    return connection_key(portal, keyring);
}

int connection_token(struct portal *portal, uint8_t kept[TOKEN_KEPT_SIZE])
{
    const struct keyring *keyring = NULL;
    struct token token;
    int code = connection_key_now(portal, &keyring);

    if (code != SQLITE_OK) return code;
    keyring_token(keyring, &token);
    token_keep(&token, kept);
    return SQLITE_OK;
}

int connection_key_of(struct portal *portal, uint8_t generation, const uint8_t **key)
{
    const struct keyring *keyring = NULL;
    int code = connection_key(portal, &keyring);

    *key = NULL;
    if (code == SQLITE_OK && keyring_find(keyring, generation) == NULL) {
        code = connection_key_now(portal, &keyring);
    }
    if (code == SQLITE_OK) *key = keyring_find(keyring, generation);
    return code;
}

int connection_prove(struct portal *portal, enum token_purpose purpose, const char *text, size_t length,
                     struct token *token, bool *genuine)
{
    const struct keyring *keyring = NULL;
    const uint8_t *key = NULL;
    int code = connection_key(portal, &keyring);

    *genuine = false;
    if (code != SQLITE_OK || !token_parse(text, length, token)) return code;
    code = connection_key_of(portal, token->generation, &key);
    *genuine = key != NULL && token_genuine(key, purpose, token);
    /* What is left of it can not be turned back into the token. */
    sodium_memzero(token->mac, sizeof token->mac);
    return code;
}

int connection_take(struct portal *portal, const char *name)
{
    if (portal->busy) {
        return fail(portal, "%s was called from a trigger or function within another portal call", name);
    }
    portal->busy = true;
    return SQLITE_OK;
}

bool connection_unlocked(const struct portal *portal)
{
    return sqlite3_txn_state(portal->db, NULL) == SQLITE_TXN_NONE &&
           sqlite3_get_autocommit(portal->db);
}

/*
** When memory runs out within a call, SQLite prepares nothing until the statement that called us has
** ended: what ends a scope, either way, is prepared before it begins.
*/
static int ends_hold(struct portal *portal, struct scope *scope)
{
    static const char release[] = "RELEASE portal";
    static const char rollback_to[] = "ROLLBACK TO portal";
    static const char rollback[] = "ROLLBACK";
    static const char write[] = "UPDATE main.portal_state SET state_id = 1 WHERE 0";
    static const char *const sql[SCOPE_ENDS] = {
        [SCOPE_RELEASE] = release, [SCOPE_ROLLBACK_TO] = rollback_to, [SCOPE_ROLLBACK] = rollback,
        [SCOPE_ABANDON] = write,
    };
    int code = SQLITE_OK;

    memset(scope->end, 0, sizeof scope->end);
    for (int i = 0; i < SCOPE_ENDS && code == SQLITE_OK; i++) {
        code = statement_hold(portal, &scope->end[i], sql[i]);
    }
    return code;
}

static void ends_done(struct portal *portal, const struct scope *scope)
{
    for (int i = 0; i < SCOPE_ENDS; i++) statement_done(portal, scope->end[i]);
}

static bool ended(const struct scope *scope, int how)
{
    return sqlite3_step(scope->end[how]) == SQLITE_DONE;
}

/*
** The message of the failure stays, whatever undoing it says.  After an interrupt no statement is run until the
** one that called us has ended, ROLLBACK neither: but one that would write, and may not, takes its transaction
** along.
*/
static void undo(struct portal *portal, const struct scope *scope)
{
    if (sqlite3_get_autocommit(portal->db)) return;
    if (!scope->outermost && ended(scope, SCOPE_ROLLBACK_TO) && ended(scope, SCOPE_RELEASE)) return;
    if (!ended(scope, SCOPE_ROLLBACK)) (void)ended(scope, SCOPE_ABANDON);
}

static int finish(struct portal *portal, const struct scope *scope, int code)
{
    if (code == SQLITE_OK) {
        /* A commit waits for all readers in rollback-journal mode; without a change there is no need. */
        bool wrote = sqlite3_total_changes64(portal->db) != scope->changes;
        int how = wrote || !scope->outermost ? SCOPE_RELEASE : SCOPE_ROLLBACK;
        code = statement_next(portal, scope->end[how]);
        if (code == SQLITE_DONE) return SQLITE_OK;
    }
    undo(portal, scope);
    return code;
}

int scope_begin_reading(struct portal *portal, struct scope *scope)
{
    static const char savepoint[] = "SAVEPOINT portal";
    int code = ends_hold(portal, scope);

    scope->outermost = sqlite3_get_autocommit(portal->db) != 0;
    scope->changes = sqlite3_total_changes64(portal->db);
    scope->within = false;
    if (code == SQLITE_OK) code = statement_run(portal, savepoint, "");
    if (code == SQLITE_OK) return SQLITE_OK;
    ends_done(portal, scope);
    scope->within = code == SQLITE_BUSY;
    return scope->within ? SQLITE_OK : code;
}

int scope_begin(struct portal *portal, struct scope *scope)
{
    int code = scope_begin_reading(portal, scope);

    if (code != SQLITE_OK || scope->within) return code;
    if (sqlite3_txn_state(portal->db, "main") == SQLITE_TXN_WRITE) return SQLITE_OK;
    code = statement_run(portal, take_write_lock, "");
    return code == SQLITE_OK ? SQLITE_OK : scope_end(portal, scope, code);
}

int scope_end(struct portal *portal, const struct scope *scope, int code)
{
    if (scope->within) {
        bool wrote = sqlite3_total_changes64(portal->db) != scope->changes;
        bool rolls_back =
            code == SQLITE_NOMEM || code == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR;
        return code != SQLITE_OK && wrote && !rolls_back ? SQLITE_IOERR : code;
    }
    code = finish(portal, scope, code);
    ends_done(portal, scope);
    return code;
}

int scope_run(struct portal *portal, int (*step)(struct portal *portal, void *data), void *data)
{
    struct scope scope;
    int code = scope_begin(portal, &scope);

    return code == SQLITE_OK ? scope_end(portal, &scope, step(portal, data)) : code;
}

int scope_insist(struct portal *portal, int (*step)(struct portal *portal, void *data), void *data)
{
    int fresh_count = portal->fresh_count;
    sqlite3_int64 start = uptime();
    int code = scope_run(portal, step, data);

    /* Who still reads would wait for himself. */
    while ((code & 0xff) == SQLITE_BUSY && uptime() - start <= PATIENCE && connection_unlocked(portal)) {
        portal->fresh_count = fresh_count;
        (void)sqlite3_sleep(PAUSE);
        code = scope_run(portal, step, data);
    }
    return code;
}
