#include "upgrade.h"

#include "schema.h"

#include <string.h>

/*
** What rows that older versions wrote have in a column that these had not, where NULL or the column's
** default will not do.  A new column that needs more raises SCHEMA_VERSION and has its row here.
*/
static const struct { const char *table, *column, *value; } fillings[] = {
    {"portal_state", "opt_outs", "0"},      /* version 2 */
};

/* As ALTER TABLE leaves them, the texts of tables would differ from those of new ones: they are made anew. */
static const char set_aside[] =
    "WITH ours (type, name, tbl_name, altered) AS ("
    "  SELECT type, name, tbl_name, instr(?1, substr(sql, instr(sql, name)) || ';') = 0"
    "    FROM main.sqlite_schema"
    "   WHERE type IN ('table', 'view') AND instr(?1, ' main.' || name || ' ') > 0"
    "      OR type IN ('index', 'trigger') AND name LIKE 'portal\\_%' ESCAPE '\\'"
    "         AND instr(?1, ' main.' || tbl_name || ' (') > 0)"
    " SELECT group_concat(iif(type = 'table', format('ALTER TABLE main.\"%w\" RENAME TO \"older_%w\"', name, name),"
    "                         format('DROP %s main.\"%w\"', type, name)), ';')"
    "  FROM (SELECT type, name FROM ours"
    "         WHERE altered OR tbl_name IN (SELECT name FROM ours WHERE altered AND type = 'table')"
    "         ORDER BY type = 'table')";
static const char next_aside[] =
    "SELECT new.name FROM main.sqlite_schema AS new JOIN main.sqlite_schema AS older"
    "    ON older.type = 'table' AND older.name = 'older_' || new.name"
    " WHERE new.type = 'table' AND instr(?1, ' main.' || new.name || ' (') > 0 LIMIT 1";
static const char write_version[] = "UPDATE main.portal_state SET schema_version = ?1";

/* Runs statements, NULL for want of memory. */
static int script(struct portal *portal, const char *sql)
{
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_exec(portal->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? SQLITE_OK : fault(portal, code);
}

/* An expression for a new column over the older table; NULL when the column is left to itself. */
static const char *source_of(struct portal *portal, const char *table, const char *older, const char *column)
{
    if (sqlite3_table_column_metadata(portal->db, "main", older, column, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK) {
        return column;
    }
    for (size_t i = 0; i < sizeof fillings / sizeof fillings[0]; i++) {
        if (strcmp(fillings[i].table, table) == 0 && strcmp(fillings[i].column, column) == 0) return fillings[i].value;
    }
    return NULL;
}

/* Columns of the new table, and what they get, as two lists. */
static int columns_list(struct portal *portal, const char *table, const char *older, sqlite3_str *columns,
                        sqlite3_str *sources)
{
    char *pragma = sqlite3_mprintf("PRAGMA main.table_info(\"%w\")", table);
    sqlite3_stmt *statement = NULL;
    int code = pragma == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(portal->db, pragma, -1, &statement, NULL);

    sqlite3_free(pragma);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(statement, 1);
        const char *source = column == NULL ? NULL : source_of(portal, table, older, column);
        const char *comma = sqlite3_str_length(columns) == 0 ? "" : ", ";
        code = column == NULL ? SQLITE_NOMEM : SQLITE_OK;
        if (source == NULL) continue;
        sqlite3_str_appendf(columns, "%s%s", comma, column);
        sqlite3_str_appendf(sources, "%s%s", comma, source);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? SQLITE_OK : fault(portal, code);
}

/* Rows go to the new table, and the older one goes. */
static int table_move(struct portal *portal, const char *table)
{
    char older[80];
    sqlite3_str *columns = sqlite3_str_new(portal->db);
    sqlite3_str *sources = sqlite3_str_new(portal->db);
    char *steps = NULL;
    char *into, *from;
    int code;

    (void)sqlite3_snprintf(sizeof older, older, "older_%s", table);
    code = columns_list(portal, table, older, columns, sources);
    into = sqlite3_str_finish(columns);
    from = sqlite3_str_finish(sources);
    if (code == SQLITE_OK && (into == NULL || from == NULL)) code = fault(portal, SQLITE_NOMEM);
    if (code == SQLITE_OK) {
        steps = sqlite3_mprintf("INSERT INTO main.\"%w\" (%s) SELECT %s FROM main.\"%w\";"
                                "DROP TABLE main.\"%w\"", table, into, from, older, older);
        code = script(portal, steps);
    }
    sqlite3_free(steps);
    sqlite3_free(into);
    sqlite3_free(from);
    return code;
}

static int tables_move(struct portal *portal, const char *made)
{
    sqlite3_stmt *statement = NULL;
    char table[70];
    int code;

    while ((code = statement_row(portal, &statement, next_aside, "s", made)) == SQLITE_ROW) {
        statement_text(statement, 0, table, sizeof table);
        statement_done(portal, statement);
        code = table_move(portal, table);
        if (code != SQLITE_OK) return code;
    }
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int altered_set_aside(struct portal *portal, const char *made)
{
    sqlite3_stmt *statement = NULL;
    char *steps = NULL;
    int code = statement_row(portal, &statement, set_aside, "s", made);

    if (code != SQLITE_ROW) return code;
    steps = sqlite3_mprintf("%s", statement_string(statement, 0));
    statement_done(portal, statement);
    code = script(portal, steps);
    sqlite3_free(steps);
    return code;
}

static int all_make_anew(struct portal *portal)
{
    char *made = schema_text();
    int code = made == NULL ? fault(portal, SQLITE_NOMEM) : altered_set_aside(portal, made);

    if (code == SQLITE_OK) code = script(portal, made);
    if (code == SQLITE_OK) code = tables_move(portal, made);
    sqlite3_free(made);
    if (code == SQLITE_OK) code = statement_run(portal, write_version, "i", (sqlite3_int64)SCHEMA_VERSION);
    return code;
}

int upgrade_run(struct portal *portal)
{
    /* So that views, triggers and references of others go on naming the new tables. */
    static const struct { int option, during; } switches[] = {
        {SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1}, {SQLITE_DBCONFIG_ENABLE_FKEY, 0},
    };
    enum { SWITCHES = sizeof switches / sizeof switches[0] };
    int before[SWITCHES] = {0};
    int code;

    for (int i = 0; i < SWITCHES; i++) {
        (void)sqlite3_db_config(portal->db, switches[i].option, -1, &before[i]);
        (void)sqlite3_db_config(portal->db, switches[i].option, switches[i].during, NULL);
    }
    code = all_make_anew(portal);
    for (int i = 0; i < SWITCHES; i++) (void)sqlite3_db_config(portal->db, switches[i].option, before[i], NULL);
    return code;
}
