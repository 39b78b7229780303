#include "statement.h"

#include "connection.h"
#include "patient.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

/* Any of our tables does; `main.` keeps a TEMP table of the name away. */
static const char connect_tables[] = "SELECT 1 FROM main.portal_settings";

static int slot_of(const struct statement_cache *cache, const char *sql)
{
    unsigned at = (unsigned)(((uintptr_t)sql >> 3) * 2654435761u) % STATEMENT_SLOTS;

    while (cache->slot[at].sql != NULL && cache->slot[at].sql != sql) {
        at = (at + 1) % STATEMENT_SLOTS;
    }
    return (int)at;
}

static int prepare(struct portal *portal, const char *sql, unsigned flags, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(portal->db, sql, -1, flags, out, NULL);
}

/* SQL of a module, over the practice's own table where one is mapped.  SQLITE_OK, or an error code with the fault set. */
static int prepare_own(struct portal *portal, const char *sql, sqlite3_stmt **out)
{
    const struct layout *layout = portal->layout;
    char *expanded = NULL;
    int code;

    if (layout != NULL && layout_concerns(sql)) {
        if (layout->problem != NULL) return fail(portal, "%s; %s", layout->problem, layout_remedy);
        expanded = layout_expand(layout, sql);
        if (expanded == NULL) return fault(portal, SQLITE_NOMEM);
    }
    code = prepare(portal, expanded == NULL ? sql : expanded, SQLITE_PREPARE_PERSISTENT, out);
    sqlite3_free(expanded);
    return code == SQLITE_OK ? SQLITE_OK : fault(portal, code);
}

/*
** Makes sure that closing the connection will tell us.  A main table of that name, or no memory,
** leaves it unconnected; then nothing is kept, and all works, slower.
*/
static void connect(struct portal *portal)
{
    sqlite3_stmt *statement = NULL;

    if (portal->connected > 0) return;
    (void)prepare(portal, connect_tables, 0, &statement);
    (void)sqlite3_finalize(statement);
}

/* A statement that nobody is using: the kept one, or a new one, kept if possible. */
static int acquire(struct portal *portal, const char *sql, sqlite3_stmt **out)
{
    struct statement_cache *cache = &portal->statements;
    int at = slot_of(cache, sql);
    int code;

    if (cache->slot[at].sql == sql && !sqlite3_stmt_busy(cache->slot[at].statement)) {
        *out = cache->slot[at].statement;
        return SQLITE_OK;
    }
    connect(portal);
    code = prepare_own(portal, sql, out);
    if (code != SQLITE_OK) return code;
    if (portal->connected > 0 && cache->slot[at].sql == NULL && cache->count < STATEMENT_SLOTS / 2) {
        cache->slot[at].sql = sql;
        cache->slot[at].statement = *out;
        cache->count++;
    } else {
        cache->loose++;
    }
    return SQLITE_OK;
}

static bool is_kept(const struct statement_cache *cache, const sqlite3_stmt *statement)
{
    for (int i = 0; i < STATEMENT_SLOTS; i++) {
        if (cache->slot[i].statement == statement) return true;
    }
    return false;
}

void statement_done(struct portal *portal, sqlite3_stmt *statement)
{
    struct statement_cache *cache = &portal->statements;

    if (statement == NULL) return;
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    if (cache->loose > 0 && !is_kept(cache, statement)) {
        (void)sqlite3_finalize(statement);
        cache->loose--;
    }
}

static int bind_patient(sqlite3_stmt *statement, int at, const struct patient_id *id)
{
    if (id == NULL) return sqlite3_bind_null(statement, at);
    if (id->type == SQLITE_INTEGER) return sqlite3_bind_int64(statement, at, id->integer);
    return sqlite3_bind_text(statement, at, id->text, -1, SQLITE_STATIC);
}

static int bind(sqlite3_stmt *statement, const char *types, va_list arguments)
{
    int code = SQLITE_OK;

    for (int at = 1; types[at - 1] != '\0' && code == SQLITE_OK; at++) {
        const void *blob;
        switch (types[at - 1]) {
        case 'i':
            code = sqlite3_bind_int64(statement, at, va_arg(arguments, sqlite3_int64));
            break;
        case 's':
            code = sqlite3_bind_text(statement, at, va_arg(arguments, const char *), -1,
                                     SQLITE_STATIC);
            break;
        case 'b':
            blob = va_arg(arguments, const void *);
            code = sqlite3_bind_blob(statement, at, blob, va_arg(arguments, int), SQLITE_STATIC);
            break;
        case 'v':
            code = sqlite3_bind_value(statement, at, va_arg(arguments, sqlite3_value *));
            break;
        case 'p':
            code = bind_patient(statement, at, va_arg(arguments, const struct patient_id *));
            break;
        default:
            code = SQLITE_MISUSE;
        }
    }
    return code;
}

static int row(struct portal *portal, sqlite3_stmt **out, const char *sql, const char *types,
               va_list arguments)
{
    sqlite3_stmt *statement = NULL;
    int code;

    *out = NULL;
    code = acquire(portal, sql, &statement);
    if (code != SQLITE_OK) return code;
    code = bind(statement, types, arguments);
    if (code == SQLITE_OK) {
        code = statement_next(portal, statement);
    } else {
        code = fault(portal, code);
    }
    if (code == SQLITE_ROW) {
        *out = statement;
    } else {
        statement_done(portal, statement);
    }
    return code;
}

/* PRAGMA count_changes makes a write return a row: step on to the end. */
static int run(struct portal *portal, const char *sql, const char *types, va_list arguments)
{
    sqlite3_stmt *statement = NULL;
    int code = row(portal, &statement, sql, types, arguments);

    while (code == SQLITE_ROW) code = statement_next(portal, statement);
    statement_done(portal, statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int statement_run(struct portal *portal, const char *sql, const char *types, ...)
{
    va_list arguments;
    int code;

    va_start(arguments, types);
    code = run(portal, sql, types, arguments);
    va_end(arguments);
    return code;
}

int statement_change(struct portal *portal, int *changes, const char *sql, const char *types, ...)
{
    va_list arguments;
    int code;

    va_start(arguments, types);
    code = run(portal, sql, types, arguments);
    va_end(arguments);
    *changes = code == SQLITE_OK ? sqlite3_changes(portal->db) : 0;
    return code;
}

int statement_row(struct portal *portal, sqlite3_stmt **out, const char *sql, const char *types,
                  ...)
{
    va_list arguments;
    int code;

    va_start(arguments, types);
    code = row(portal, out, sql, types, arguments);
    va_end(arguments);
    return code;
}

int statement_hold(struct portal *portal, sqlite3_stmt **out, const char *sql)
{
    *out = NULL;
    return acquire(portal, sql, out);
}

int statement_next(struct portal *portal, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    return code == SQLITE_ROW || code == SQLITE_DONE ? code : fault(portal, code);
}

int statement_integer(struct portal *portal, sqlite3_int64 *value, const char *sql,
                      const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list arguments;
    int code;

    va_start(arguments, types);
    code = row(portal, &statement, sql, types, arguments);
    va_end(arguments);
    *value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* A refused sqlite3_close() empties the cache, too, with a scan of ours still going on. */
static void drop(struct statement_cache *cache, sqlite3_stmt *statement)
{
    if (sqlite3_stmt_busy(statement)) {
        cache->loose++;
    } else {
        (void)sqlite3_finalize(statement);
    }
}

void statement_forget(struct statement_cache *cache, bool (*stale)(const void *data, const char *sql), const void *data)
{
    struct statement_cache before = *cache;

    memset(cache->slot, 0, sizeof cache->slot);
    cache->count = 0;
    for (int i = 0; i < STATEMENT_SLOTS; i++) {
        const char *sql = before.slot[i].sql;
        if (sql == NULL) continue;
        if (stale(data, sql)) {
            drop(cache, before.slot[i].statement);
        } else {
            cache->slot[slot_of(cache, sql)] = before.slot[i];
            cache->count++;
        }
    }
}

static bool any(const void *data, const char *sql)
{
    (void)data;
    (void)sql;
    return true;
}

void statement_clear(struct statement_cache *cache)
{
    statement_forget(cache, any, NULL);
}

void statement_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
    /* Each sqlite3_column_...() locks the connection anew, which is ours already. */
    sqlite3_value *value = sqlite3_column_value(statement, column);
    const char *text = (const char *)sqlite3_value_text(value);
    size_t length = (size_t)sqlite3_value_bytes(value);

    if (text == NULL) {
        text = "";
        length = 0;
    } else if (length >= size || strlen(text) != length) {
        text = "\001";
        length = 1;
    }
    memcpy(out, text, length + 1);
}

const char *statement_string(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text == NULL ? "" : text;
}

bool statement_is(sqlite3_stmt *statement, int column, const char *text)
{
    return strcmp(statement_string(statement, column), text) == 0;
}

bool statement_same(sqlite3_stmt *statement, int column, const void *bytes, int size)
{
    return sqlite3_column_bytes(statement, column) == size &&
           sodium_memcmp(sqlite3_column_blob(statement, column), bytes, (size_t)size) == 0;
}

bool statement_keeps(sqlite3_stmt *statement, int column, const struct token *token)
{
    return token_is_kept(token, sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column));
}
