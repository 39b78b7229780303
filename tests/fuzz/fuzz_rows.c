/* Rows that somebody changed by plain SQL, past every trigger: any value in any column. */
#include "value.h"

const char fuzz_claim[] = "rows changed past the portal get answers and clear errors, whatever is in them";

enum { COLUMNS_MAX = 256, CHANGES_MAX = 8 };

/* UPDATE statements, one for each column of the portal's tables and the patient table. */
static char *updates[COLUMNS_MAX];
static int update_count;
static char *drop_triggers;

static void learn_schema(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    const char *sql =
        "SELECT printf('UPDATE OR IGNORE main.%s SET %s = ?1%s', t.name, c.name,"
        "              iif(t.wr, '', printf(' WHERE rowid = (SELECT rowid FROM main.%s LIMIT 1 OFFSET ?2)', t.name)))"
        "  FROM pragma_table_list t, pragma_table_xinfo(t.name) c"
        " WHERE t.schema = 'main' AND t.type = 'table' AND (t.name LIKE 'portal%' OR t.name = 'patient')"
        " ORDER BY 1";

    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        REQUIRE(update_count < COLUMNS_MAX);
        updates[update_count++] = strdup((const char *)sqlite3_column_text(statement, 0));
    }
    REQUIRE(sqlite3_finalize(statement) == SQLITE_OK && update_count > 100);
    drop_triggers = practice_ask(db, "SELECT group_concat('DROP TRIGGER main.' || name, ';')"
                                     "  FROM sqlite_master WHERE type = 'trigger'");
}

/* A column, a row, a value; a statement that the schema refuses changes nothing. */
static void change(sqlite3 *db, struct input *input)
{
    sqlite3_stmt *statement = NULL;
    const char *sql = updates[input_byte(input) % update_count];

    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        REQUIRE(sqlite3_bind_int(statement, 2, input_byte(input) % 16) == SQLITE_OK);
    }
    value_bind(statement, 1, input);
    (void)sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    sqlite3 *db = practice_open();

    if (update_count == 0) learn_schema(db);
    REQUIRE(sqlite3_exec(db, drop_triggers, NULL, NULL, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "PRAGMA ignore_check_constraints = 1", NULL, NULL, NULL) == SQLITE_OK);
    for (int i = 0; i < CHANGES_MAX && input.left > 0; i++) change(db, &input);
    practice_try_all(db);
    practice_close(db);
    return 0;
}
