#include "action.h"

#include <string.h>

struct action {
    struct portal *portal;
    const struct function *function;
};

struct action_table {
    sqlite3_vtab base;           /* first */
    struct portal *portal;
    const struct function *function;
};

static void action_free(void *pointer)
{
    struct action *action = pointer;

    connection_release(action->portal);
    sqlite3_free(action);
}

/* "patient_id, channel [, reason]" without its brackets is a column list. */
static char *declaration(const struct function *function)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    sqlite3_str_appendall(text, "CREATE TABLE x(");
    for (const char *at = function->arguments; *at != '\0'; at++) {
        if (strchr("[]", *at) == NULL) sqlite3_str_appendchar(text, 1, *at);
    }
    sqlite3_str_appendchar(text, 1, ')');
    return sqlite3_str_finish(text);
}

static int action_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **out, char **error)
{
    const struct action *action = aux;
    struct action_table *table = sqlite3_malloc(sizeof *table);
    char *columns = declaration(action->function);
    int code = table == NULL || columns == NULL ? SQLITE_NOMEM : SQLITE_OK;

    (void)argc;
    (void)argv;
    (void)error;
    if (code == SQLITE_OK) code = sqlite3_declare_vtab(db, columns);
    if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code == SQLITE_OK) code = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    sqlite3_free(columns);
    if (code != SQLITE_OK) {
        sqlite3_free(table);
        return code;
    }
    memset(table, 0, sizeof *table);
    table->portal = action->portal;
    table->function = action->function;
    table->portal->connected++;
    *out = &table->base;
    return SQLITE_OK;
}

static int action_disconnect(sqlite3_vtab *base)
{
    struct action_table *table = (struct action_table *)base;

    /* Closing the connection must find no statement of ours. */
    statement_clear(&table->portal->statements);
    table->portal->connected--;
    sqlite3_free(table);
    return SQLITE_OK;
}

/* Reading one finds nothing: it is there to be inserted into. */
static int action_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = 1;
    info->estimatedRows = 1;
    return SQLITE_OK;
}

static int action_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    (void)base;
    *out = sqlite3_malloc(sizeof **out);
    if (*out == NULL) return SQLITE_NOMEM;
    memset(*out, 0, sizeof **out);
    return SQLITE_OK;
}

static int action_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int action_filter(sqlite3_vtab_cursor *cursor, int plan, const char *text, int argc,
                         sqlite3_value **argv)
{
    (void)cursor;
    (void)plan;
    (void)text;
    (void)argc;
    (void)argv;
    return SQLITE_OK;
}

static int action_next(sqlite3_vtab_cursor *cursor)
{
    (void)cursor;
    return SQLITE_OK;
}

static int action_eof(sqlite3_vtab_cursor *cursor)
{
    (void)cursor;
    return 1;
}

static int action_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    (void)cursor;
    (void)column;
    sqlite3_result_null(context);
    return SQLITE_OK;
}

static int action_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid)
{
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}

static int table_error(sqlite3_vtab *base, const struct portal *portal, int code)
{
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = portal->error == NULL ? NULL : sqlite3_mprintf("%s", portal->error);
    return code;
}

/* Columns left out at the end are arguments left out. */
static int given(const struct function *function, int argc, sqlite3_value **argv)
{
    while (argc > function->least && sqlite3_value_type(argv[argc - 1]) == SQLITE_NULL) argc--;
    return argc;
}

static int action_update(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid)
{
    struct action_table *table = (struct action_table *)base;
    struct portal *portal = table->portal;
    struct call call;
    int code;

    if (argc == 1 || sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        (void)refuse(portal, "%s takes INSERT alone", table->function->name);
        return table_error(base, portal, SQLITE_ERROR);
    }
    memset(&call, 0, sizeof call);
    call.portal = portal;
    call.argc = given(table->function, argc - 2, argv + 2);
    call.argv = argv + 2;
    code = call_run(table->function, &call, true);
    sqlite3_free(call.text);
    if (code != SQLITE_OK) return table_error(base, portal, code);
    *rowid = call.answer == ANSWER_PATIENT ? call.patient.integer : call.id;
    return SQLITE_OK;
}

int action_register(struct portal *portal, const struct function *function)
{
    static const sqlite3_module module = {
        /* iVersion      */ 2,
        /* xCreate       */ NULL,
        /* xConnect      */ action_connect,
        /* xBestIndex    */ action_best_index,
        /* xDisconnect   */ action_disconnect,
        /* xDestroy      */ NULL,
        /* xOpen         */ action_open,
        /* xClose        */ action_close,
        /* xFilter       */ action_filter,
        /* xNext         */ action_next,
        /* xEof          */ action_eof,
        /* xColumn       */ action_column,
        /* xRowid        */ action_rowid,
        /* xUpdate       */ action_update,
        /* xBegin        */ NULL,
        /* xSync         */ NULL,
        /* xCommit       */ NULL,
        /* xRollback     */ NULL,
        /* xFindFunction */ NULL,
        /* xRename       */ NULL,
        /* xSavepoint    */ NULL,
        /* xRelease      */ NULL,
        /* xRollbackTo   */ NULL,
        /* xShadowName   */ NULL,
    };
    struct action *action = sqlite3_malloc(sizeof *action);

    if (action == NULL) return SQLITE_NOMEM;
    portal->references++;
    action->portal = portal;
    action->function = function;
    return sqlite3_create_module_v2(portal->db, function->name, &module, action, action_free);
}
