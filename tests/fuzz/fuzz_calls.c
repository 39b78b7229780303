/*
** Every SQL function and table with values of every type: an input is a handful of statements on one
** connection, in and out of transactions, while the clock goes on.
*/
#include "value.h"

#include "../../ext/normalize.h"

#include <stdarg.h>

const char fuzz_claim[] = "calls with values of every type leave a whole database and a chain that verifies";

enum { STATEMENTS_MAX = 8, SQL_SIZE = 1024 };

struct run {
    sqlite3 *db;
    struct input input;
    sqlite3_stmt *open;          /* a scan that is left in its midst */
};

static const struct callable *choose(struct input *input, bool (*fits)(const struct callable *))
{
    const struct callable *list;
    int count = practice_callables(&list);
    int at = input_byte(input) % count;

    while (!fits(&list[at])) at = (at + 1) % count;
    return &list[at];
}

static bool is_function(const struct callable *callable)
{
    return callable->function;
}

static bool is_table(const struct callable *callable)
{
    return callable->inserts || !callable->function;
}

static const char *column(const struct callable *callable, struct input *input)
{
    return callable->column[input_byte(input) % callable->count];
}

static const char *comparison(struct input *input)
{
    static const char *const operators[] = {
        "=", "=", "IS", "<>", "<", ">=", "LIKE", "GLOB", "IS NOT", "MATCH", "REGEXP",
    };

    return operators[input_byte(input) % (sizeof operators / sizeof operators[0])];
}

static const char *conflict(struct input *input)
{
    static const char *const resolutions[] = {
        "", "", "OR IGNORE", "OR REPLACE", "OR FAIL", "OR ROLLBACK", "OR ABORT",
    };

    return resolutions[input_byte(input) % (sizeof resolutions / sizeof resolutions[0])];
}

static void append(char *sql, const char *format, ...)
{
    size_t length = strlen(sql);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sql + length, SQL_SIZE - length, format, arguments);
    va_end(arguments);
}

static void append_marks(char *sql, int count)
{
    for (int i = 0; i < count; i++) append(sql, "%s?", i == 0 ? "" : ", ");
}

/* Forms of a statement.  Each writes SQL with a mark for every value; the callable is told. */

static const struct callable *scalar(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_function);

    append(sql, "SELECT %s(", callable->name);
    append_marks(sql, input_byte(input) % 4 == 0 ? input_byte(input) % 7 : callable->count);
    append(sql, ")");
    return callable;
}

static const struct callable *within_a_write(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_function);

    append(sql, "UPDATE patient SET address_line2 = %s(", callable->name);
    append_marks(sql, callable->count);
    append(sql, ") WHERE patient_id = 2");
    return NULL;
}

static const struct callable *within_a_read(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_function);

    append(sql, "SELECT %s(", callable->name);
    append_marks(sql, callable->count);
    append(sql, ") FROM patient");
    return callable;
}

static const struct callable *insert(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_table);
    int count = callable->count - callable->hidden;

    append(sql, "INSERT %s INTO %s VALUES (", conflict(input), callable->name);
    append_marks(sql, count);
    if (input_byte(input) % 2 == 0) {
        append(sql, "), (");
        append_marks(sql, count);
    }
    append(sql, ")");
    return NULL;
}

static const struct callable *insert_by_name(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_table);

    append(sql, "INSERT %s INTO %s(%s) ", conflict(input), callable->name, column(callable, input));
    append(sql, "SELECT ? FROM patient");
    return NULL;
}

static const struct callable *read(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_table);

    append(sql, "SELECT * FROM %s", callable->name);
    if (callable->hidden > 0 && input_byte(input) % 2 == 0) append(sql, "(?)");
    append(sql, " WHERE %s %s ?", column(callable, input), comparison(input));
    append(sql, " %s %s %s ?", input_byte(input) % 2 == 0 ? "AND" : "OR", column(callable, input),
           comparison(input));
    if (input_byte(input) % 4 == 0) append(sql, " ORDER BY %s LIMIT ?", column(callable, input));
    return NULL;
}

static const struct callable *join(char *sql, struct input *input)
{
    const struct callable *left = choose(input, is_table);
    const struct callable *right = choose(input, is_table);

    append(sql, "SELECT * FROM %s a %s JOIN %s b", left->name, input_byte(input) % 2 == 0 ? "LEFT" : "", right->name);
    append(sql, " ON a.%s = b.%s", column(left, input), column(right, input));
    append(sql, " WHERE a.%s %s ?", column(left, input), comparison(input));
    return NULL;
}

static const struct callable *update(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_table);

    append(sql, "UPDATE %s %s SET %s = ?", conflict(input), callable->name, column(callable, input));
    if (input_byte(input) % 2 == 0) append(sql, ", %s = ?", column(callable, input));
    append(sql, " WHERE %s %s ?", column(callable, input), comparison(input));
    return NULL;
}

static const struct callable *delete(char *sql, struct input *input)
{
    const struct callable *callable = choose(input, is_table);

    append(sql, "DELETE FROM %s WHERE %s %s ?", callable->name, column(callable, input), comparison(input));
    return NULL;
}

static const struct callable *transaction(char *sql, struct input *input)
{
    static const char *const texts[] = {
        "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "SAVEPOINT portal", "RELEASE portal",
        "ROLLBACK TO portal", "PRAGMA count_changes = 1", "PRAGMA recursive_triggers = 1", "VACUUM",
        "PRAGMA foreign_keys = 1", "PRAGMA trusted_schema = 0", "PRAGMA query_only = 1",
        "SELECT send_registration(2, 'email')", "SELECT deliver()",
    };

    append(sql, "%s", texts[input_byte(input) % (sizeof texts / sizeof texts[0])]);
    return NULL;
}

static void step_and_leave(struct run *run, sqlite3_stmt *statement)
{
    (void)sqlite3_finalize(run->open);
    run->open = statement;
    (void)sqlite3_step(statement);
}

static void one_statement(struct run *run)
{
    static const struct callable *(*const forms[])(char *sql, struct input *input) = {
        scalar, scalar, scalar, scalar, insert, insert, insert_by_name, read, read, join, update, delete,
        transaction, within_a_write, within_a_read,
    };
    enum { FORMS = sizeof forms / sizeof forms[0], LEFT_OPEN = 128 };
    uint8_t form = input_byte(&run->input);
    char sql[SQL_SIZE] = "";
    const struct callable *callable = forms[(form & ~LEFT_OPEN) % FORMS](sql, &run->input);
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(run->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        REQUIRE_TELL(*sqlite3_errmsg(run->db) != '\0', "%s", sql);
        return;
    }
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) value_bind(statement, i, &run->input);
    if ((form & LEFT_OPEN) != 0) {
        step_and_leave(run, statement);
    } else {
        (void)practice_run(run->db, statement, callable != NULL && callable->json);
        (void)sqlite3_finalize(statement);
    }
}

/* A column that holds text holds it so that any program can read it. */
static void check_text(sqlite3_stmt *statement, int column)
{
    const char *text;
    size_t length;

    if (sqlite3_column_type(statement, column) != SQLITE_TEXT) return;
    text = (const char *)sqlite3_column_text(statement, column);
    length = (size_t)sqlite3_column_bytes(statement, column);
    REQUIRE_TELL(strlen(text) == length && normalize_is_utf8(text, length), "%s: %s", sqlite3_sql(statement), text);
}

static void is_readable(sqlite3 *db)
{
    static const char *const tables[] = {
        "SELECT * FROM portal_setting", "SELECT * FROM portal_message", "SELECT * FROM portal_registration",
        "SELECT * FROM portal_account", "SELECT * FROM portal_access", "SELECT * FROM portal_revocation",
        "SELECT * FROM portal_request", "SELECT * FROM portal_audit",
    };

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        sqlite3_stmt *statement = NULL;
        REQUIRE(sqlite3_prepare_v2(db, tables[i], -1, &statement, NULL) == SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            for (int k = 0; k < sqlite3_column_count(statement); k++) check_text(statement, k);
        }
        REQUIRE(sqlite3_finalize(statement) == SQLITE_OK);
    }
}

/* What the calls left must be whole, to a connection that knows nothing of them. */
static void is_whole(sqlite3 *db)
{
    sqlite3_int64 size = 0;
    unsigned char *image = sqlite3_serialize(db, "main", &size, 0);
    sqlite3 *another;
    char *answer;

    REQUIRE(image != NULL);
    another = practice_open_image(image, (size_t)size);
    answer = practice_ask(another, "PRAGMA integrity_check");
    REQUIRE_TELL(strcmp(answer, "ok") == 0, "%s", answer);
    free(answer);
    answer = practice_ask(another, "SELECT portal_audit_verify()");
    REQUIRE_TELL(*answer == '\0', "%s", answer);
    free(answer);
    is_readable(another);
    practice_close(another);
    sqlite3_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {practice_open(), {data, size}, NULL};

    for (int i = 0; i < STATEMENTS_MAX && run.input.left > 0; i++) {
        uint8_t world = input_byte(&run.input);
        carrier.outcome = world % 6;
        practice_wait((world >> 4) * 600LL);
        one_statement(&run);
    }
    (void)sqlite3_finalize(run.open);
    if (!sqlite3_get_autocommit(run.db)) REQUIRE(sqlite3_exec(run.db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
    is_whole(run.db);
    practice_close(run.db);
    return 0;
}
