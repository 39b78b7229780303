#include "table.h"

#include "call.h"
#include "embedded.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What a module was registered for; `function` for the insert form of a staff action, else NULL. */
struct registered {
    struct portal *portal;
    const struct table *table;
    const struct function *function;
};

struct readable {
    sqlite3_vtab base;           /* first */
    struct portal *portal;
    const struct table *table;
    const struct function *function;
};

static void registered_free(void *pointer)
{
    struct registered *registered = pointer;

    connection_release(registered->portal);
    sqlite3_free(registered);
}

const char *table_sql(struct portal *portal, const char *file, const char *clause)
{
    for (int i = 0; i < TEXT_MAX; i++) {
        if (portal->text[i].sql == NULL) {
            portal->text[i].file = file;
            portal->text[i].clause = clause;
            portal->text[i].sql = sqlite3_mprintf("%s%s", embedded_find(file), clause);
            return portal->text[i].sql;
        }
        if (strcmp(portal->text[i].file, file) == 0 && strcmp(portal->text[i].clause, clause) == 0) {
            return portal->text[i].sql;
        }
    }
    return NULL;
}

/* Columns: the table's own, or an action's arguments without their brackets. */
static char *declaration(const struct registered *registered)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    sqlite3_str_appendall(text, "CREATE TABLE x(");
    if (registered->function == NULL) {
        sqlite3_str_appendall(text, registered->table->columns);
    } else {
        for (const char *at = registered->function->arguments; *at != '\0'; at++) {
            if (strchr("[]", *at) == NULL) sqlite3_str_appendchar(text, 1, *at);
        }
    }
    sqlite3_str_appendchar(text, 1, ')');
    return sqlite3_str_finish(text);
}

static int table_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **error)
{
    const struct registered *registered = aux;
    const struct table *table = registered->table;
    struct readable *readable = sqlite3_malloc(sizeof *readable);
    char *columns = declaration(registered);
    int code = readable == NULL || columns == NULL ? SQLITE_NOMEM : SQLITE_OK;

    (void)argc;
    (void)argv;
    (void)error;
    if (code == SQLITE_OK) code = sqlite3_declare_vtab(db, columns);
    if (code == SQLITE_OK && table->direct) code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    sqlite3_free(columns);
    if (code != SQLITE_OK) {
        sqlite3_free(readable);
        return code;
    }
    memset(readable, 0, sizeof *readable);
    readable->portal = registered->portal;
    readable->table = table;
    readable->function = registered->function;
    readable->portal->connected++;
    /* SQLite destroys a module before it disconnects the last table of it. */
    readable->portal->references++;
    *out = &readable->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
    struct readable *readable = (struct readable *)base;

    /* A refused sqlite3_close() goes on with its transaction, but will not tell us of its end. */
    (void)audit_settle(readable->portal);
    connection_forget(readable->portal);
    /* Closing the connection must find no statement of ours. */
    statement_clear(&readable->portal->statements);
    readable->portal->connected--;
    connection_release(readable->portal);
    sqlite3_free(readable);
    return SQLITE_OK;
}

static int table_error(sqlite3_vtab *base, const struct portal *portal, int code)
{
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = portal->error == NULL ? NULL : sqlite3_mprintf("%s", portal->error);
    return code == REFUSED ? SQLITE_ERROR : code;
}

/* No column is asked for.  The rowid may be: it is no column to SQLite. */
enum { PLAN_BARE = 4 };

/* The plan has bit k for key k, and PLAN_BARE.  A required key that can not be used here makes another plan win. */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    struct readable *readable = (struct readable *)base;
    const struct table *table = readable->table;
    int found[2] = {-1, -1};
    bool unusable = false;
    int arguments = 0;

    for (int i = 0; i < info->nConstraint; i++) {
        for (int k = 0; k < 2; k++) {
            if (table->key[k] < 0 || info->aConstraint[i].iColumn != table->key[k] ||
                info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
                continue;
            }
            if (info->aConstraint[i].usable) found[k] = i;
            if (!info->aConstraint[i].usable && k == 0) unusable = true;
        }
    }
    if (table->required && found[0] < 0) {
        if (unusable) return SQLITE_CONSTRAINT;
        (void)refuse(readable->portal, "%s needs its argument: SELECT * FROM %s(...)", table->name,
                     table->name);
        return table_error(base, readable->portal, SQLITE_ERROR);
    }
    info->idxNum = info->colUsed == 0 ? PLAN_BARE : 0;
    info->estimatedCost = 1e6;
    info->estimatedRows = 1000000;
    for (int k = 0; k < 2; k++) {
        if (found[k] < 0) continue;
        info->idxNum |= 1 << k;
        info->aConstraintUsage[found[k]].argvIndex = ++arguments;
        /* The statement compares with the affinity of the chart's key: '42' finds 42. */
        info->aConstraintUsage[found[k]].omit = 1;
        info->estimatedCost = 10;
        info->estimatedRows = 5;
    }
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct readable *readable = (struct readable *)base;
    struct cursor *cursor = sqlite3_malloc(sizeof *cursor);

    if (cursor == NULL) return SQLITE_NOMEM;
    memset(cursor, 0, sizeof *cursor);
    cursor->portal = readable->portal;
    cursor->table = readable->table;
    *out = &cursor->base;
    return SQLITE_OK;
}

static void cursor_clear(struct cursor *cursor)
{
    if (cursor->table->arrive != NULL) (void)cursor->table->arrive(cursor, false);
    statement_done(cursor->portal, cursor->statement);
    cursor->statement = NULL;
    for (int i = 0; i < cursor->count * cursor->width; i++) sqlite3_free(cursor->cells[i]);
    sqlite3_free(cursor->cells);
    cursor->cells = NULL;
    cursor->count = 0;
    cursor->at = 0;
    cursor->rowid = 0;
}

static int table_close(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;

    cursor_clear(cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

int table_add(struct cursor *cursor, ...)
{
    va_list arguments;
    size_t size = (size_t)(cursor->count + 1) * (size_t)cursor->width * sizeof *cursor->cells;
    char **cells = sqlite3_realloc64(cursor->cells, size);
    int code = SQLITE_OK;

    if (cells == NULL) return fault(cursor->portal, SQLITE_NOMEM);
    cursor->cells = cells;
    va_start(arguments, cursor);
    for (int i = 0; i < cursor->width; i++) {
        const char *text = va_arg(arguments, const char *);
        char *copy = text == NULL ? NULL : sqlite3_mprintf("%s", text);
        if (text != NULL && copy == NULL) code = fault(cursor->portal, SQLITE_NOMEM);
        cells[cursor->count * cursor->width + i] = copy;
    }
    va_end(arguments);
    cursor->count++;
    return code;
}

int table_scan(struct cursor *cursor, int code)
{
    while (code == SQLITE_ROW) {
        int arrived = SQLITE_OK;
        cursor->rowid++;
        if (cursor->table->arrive != NULL) arrived = cursor->table->arrive(cursor, true);
        if (arrived != TABLE_SKIP) return arrived;
        code = statement_next(cursor->portal, cursor->statement);
    }
    statement_done(cursor->portal, cursor->statement);
    cursor->statement = NULL;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

void table_result(sqlite3_context *context, sqlite3_stmt *row, int column)
{
    sqlite3_value *value = sqlite3_column_value(row, column);

    if (sqlite3_value_type(value) == SQLITE_TEXT) {
        const char *text = (const char *)sqlite3_value_text(value);
        sqlite3_result_text(context, text, sqlite3_value_bytes(value), SQLITE_TRANSIENT);
    } else {
        sqlite3_result_value(context, value);
    }
}

static int table_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
                        sqlite3_value **argv)
{
    struct cursor *cursor = (struct cursor *)base;
    struct portal *portal = cursor->portal;
    const struct table *table = cursor->table;
    sqlite3_value *key[2] = {NULL, NULL};
    int used = 0;
    int code;

    (void)text;
    for (int k = 0; k < 2 && used < argc; k++) {
        if ((plan & (1 << k)) != 0) key[k] = argv[used++];
    }
    cursor_clear(cursor);
    cursor->bare = (plan & PLAN_BARE) != 0;
    cursor->now = connection_now(portal);
    code = portal->reading++ < READING_MOST ? call_permit(portal, table->name, table->allowed)
                                            : fail(portal, "%s is read by the patient table that it reads", table->name);
    if (code == SQLITE_OK && !table->bare) code = connection_enter(portal);
    if (code == SQLITE_OK) code = table->open(cursor, key);
    portal->reading--;
    return code == SQLITE_OK ? SQLITE_OK : table_error(base->pVtab, portal, code);
}

static int table_next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    int code;

    if (cursor->statement == NULL) {
        cursor->at++;
        return SQLITE_OK;
    }
    cursor->portal->reading++;
    code = table_scan(cursor, statement_next(cursor->portal, cursor->statement));
    cursor->portal->reading--;
    return code == SQLITE_OK ? SQLITE_OK : table_error(base->pVtab, cursor->portal, code);
}

static int table_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *cursor = (const struct cursor *)base;

    return cursor->statement == NULL && cursor->at >= cursor->count;
}

static void cell_result(const struct cursor *cursor, sqlite3_context *context, int column)
{
    const char *text =
        column < cursor->width ? cursor->cells[cursor->at * cursor->width + column] : NULL;

    if (text == NULL) {
        sqlite3_result_null(context);
    } else if ((cursor->table->integers & (1u << column)) != 0) {
        sqlite3_result_int64(context, strtoll(text, NULL, 10));
    } else {
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    }
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct cursor *cursor = (struct cursor *)base;
    int code = SQLITE_OK;

    /* An UPDATE that leaves the column alone: xUpdate sees that it did. */
    if (sqlite3_vtab_nochange(context)) return SQLITE_OK;
    if (cursor->statement == NULL) {
        cell_result(cursor, context, column);
    } else {
        cursor->portal->reading++;
        code = cursor->table->column(cursor, context, column);
        cursor->portal->reading--;
    }
    return code == SQLITE_OK ? SQLITE_OK : table_error(base->pVtab, cursor->portal, code);
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
    const struct cursor *cursor = (const struct cursor *)base;
    int id = cursor->table->id;

    if (id != 0) {
        *rowid = strtoll(cursor->cells[cursor->at * cursor->width + id], NULL, 10);
    } else {
        *rowid = cursor->statement != NULL ? cursor->rowid : cursor->at + 1;
    }
    return SQLITE_OK;
}

/* Columns left out at the end of an INSERT are arguments left out of the call. */
static int arguments_given(const struct function *function, int argc, sqlite3_value **argv)
{
    while (argc > function->least && sqlite3_value_type(argv[argc - 1]) == SQLITE_NULL) argc--;
    return argc;
}

static int action_insert(struct portal *portal, const struct function *function, int argc,
                         sqlite3_value **argv, sqlite3_int64 *rowid)
{
    struct call call;
    int code;

    memset(&call, 0, sizeof call);
    call.portal = portal;
    call.argc = arguments_given(function, argc, argv);
    call.argv = argv;
    code = call_run(function, &call, true);
    if (code == SQLITE_OK) connection_inserted(portal);
    sqlite3_free(call.text);
    *rowid = call.id;
    return code;
}

static int row_update(struct portal *portal, const struct table *table, int argc,
                      sqlite3_value **argv)
{
    sqlite3_int64 last = sqlite3_last_insert_rowid(portal->db);
    int code = connection_take(portal, table->name);

    if (code != SQLITE_OK) return code;
    code = call_permit(portal, table->name, table->allowed);
    if (code == SQLITE_OK) code = table->update(portal, argc, argv);
    portal->busy = false;
    sqlite3_set_last_insert_rowid(portal->db, last);
    return code;
}

static int table_update(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid)
{
    struct readable *readable = (struct readable *)base;
    struct portal *portal = readable->portal;
    const struct table *table = readable->table;
    bool deletes = argc == 1;
    bool inserts = !deletes && sqlite3_value_type(argv[0]) == SQLITE_NULL;
    int code;

    if (inserts && readable->function != NULL) {
        code = action_insert(portal, readable->function, argc - 2, argv + 2, rowid);
    } else if (table->update != NULL && (table->grows || (!inserts && !deletes))) {
        code = row_update(portal, table, argc, argv);
    } else {
        /* An insert form has no rows, so that nothing else is ever asked of it. */
        (void)refuse(portal, table->update != NULL ? "%s takes UPDATE alone" : "%s can only be read",
                     table->name);
        code = SQLITE_ERROR;
    }
    /* A row that OR IGNORE skips leaves no message: a later failure would be told in its words. */
    if (code == REFUSED && sqlite3_vtab_on_conflict(portal->db) == SQLITE_IGNORE) return code;
    if (code != SQLITE_OK) (void)table_error(base, portal, code);
    return code;
}

/*
** A transaction that insert forms write in.  The head of the audit follows them once, before a commit
** or a savepoint, and when a statement of many rows ends.  A savepoint while a row is inserted is that
** of a nested statement, which the row itself answers for.
*/
static int table_begin(sqlite3_vtab *base)
{
    (void)base;
    return SQLITE_OK;
}

static int table_settle(sqlite3_vtab *base)
{
    struct portal *portal = ((struct readable *)base)->portal;
    int code = portal->inserting ? SQLITE_OK : audit_settle(portal);

    return code == SQLITE_OK ? SQLITE_OK : table_error(base, portal, code);
}

static int table_forget(sqlite3_vtab *base)
{
    connection_forget(((struct readable *)base)->portal);
    return SQLITE_OK;
}

static int table_savepoint(sqlite3_vtab *base, int savepoint)
{
    (void)savepoint;
    return table_settle(base);
}

static int table_rollback_to(sqlite3_vtab *base, int savepoint)
{
    (void)savepoint;
    return ((struct readable *)base)->portal->inserting ? SQLITE_OK : table_forget(base);
}

static int module_register(struct portal *portal, const char *name, const struct table *table,
                           const struct function *function)
{
    static const sqlite3_module module = {
        /* iVersion      */ 2,
        /* xCreate       */ NULL,
        /* xConnect      */ table_connect,
        /* xBestIndex    */ table_best_index,
        /* xDisconnect   */ table_disconnect,
        /* xDestroy      */ NULL,
        /* xOpen         */ table_open,
        /* xClose        */ table_close,
        /* xFilter       */ table_filter,
        /* xNext         */ table_next,
        /* xEof          */ table_eof,
        /* xColumn       */ table_column,
        /* xRowid        */ table_rowid,
        /* xUpdate       */ table_update,
        /* xBegin        */ table_begin,
        /* xSync         */ table_settle,
        /* xCommit       */ table_forget,
        /* xRollback     */ table_forget,
        /* xFindFunction */ NULL,
        /* xRename       */ NULL,
        /* xSavepoint    */ table_savepoint,
        /* xRelease      */ table_savepoint,
        /* xRollbackTo   */ table_rollback_to,
        /* xShadowName   */ NULL,
    };
    struct registered *registered = sqlite3_malloc(sizeof *registered);

    if (registered == NULL) return SQLITE_NOMEM;
    portal->references++;
    registered->portal = portal;
    registered->table = table;
    registered->function = function;
    return sqlite3_create_module_v2(portal->db, name, &module, registered, registered_free);
}

/* An action is there to be inserted into: reading it finds nothing. */
static int nothing_open(struct cursor *cursor, sqlite3_value *key[2])
{
    (void)cursor;
    (void)key;
    return SQLITE_OK;
}

int table_register_action(struct portal *portal, const struct function *function)
{
    static const struct table action = {
        .allowed = ANYBODY, .direct = true, .bare = true, .key = {-1, -1}, .open = nothing_open,
    };

    return module_register(portal, function->name, &action, function);
}

int table_register(struct portal *portal)
{
    int code = SQLITE_OK;
    const struct table *table;

    for (int i = 0; code == SQLITE_OK && (table = table_row(i)) != NULL; i++) {
        code = module_register(portal, table->name, table, NULL);
    }
    return code;
}
