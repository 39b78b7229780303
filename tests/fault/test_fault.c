/*
** Every call of the extension, in every form that it has, while memory runs out, the disk fails or
** is full.
**
**   test_fault [--all] [NAME...]   some of the faults, or all; of these calls, or of every one
**   test_fault --list              the names
*/
#include "fault.h"

#include "../unit/unit.h"

#include "call.h"
#include "table.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { SQL_SIZE = 1024 };

static const char the_table[] = "table";
static const char the_loading[] = "loading";
static const char the_deliveries[] = "deliveries";
static const char the_findings[] = "findings";
static const char *const journals[] = {"rollback journal", "WAL"};

/* Errors of memory do not depend on the journal: the sanitizers, which take three times as long, see the one
   whose texts are UTF-16, of which there are more copies. */
#ifdef __SANITIZE_ADDRESS__
enum { FIRST_JOURNAL = JOURNAL_WAL };
#else
enum { FIRST_JOURNAL = JOURNAL_ROLLBACK };
#endif

/* How a call is written down.  %n: its name, %a: its arguments, %m: more of them, %c: columns. */
struct form {
    const char *sentence;
    const char *sql;
    unsigned needs;             /* flags of the function, all of them */
    unsigned excludes;          /* none of them */
    bool in_transaction;
};

static const struct form function_forms[] = {
    {"as a function", "SELECT %n(%a)", 0, 0, false},
    {"as a function in a transaction", "SELECT %n(%a)", 0, CALL_GUESSES | CALL_UNLOCKED | CALL_ALONE, true},
    {"as a function in a writing statement", "UPDATE note SET text = %n(%a) WHERE note_id = 1",
     CALL_WRITES, CALL_QUEUES | CALL_ALONE /* which refuse there */, false},
    {"as an insert", "INSERT INTO %n (%c) VALUES (%a)", CALL_ACTION, 0, false},
    {"as an insert in a transaction", "INSERT INTO %n (%c) VALUES (%a)", CALL_ACTION, 0, true},
    {"as an insert that ignores refusals", "INSERT OR IGNORE INTO %n (%c) VALUES (%a)", CALL_ACTION,
     0, true},
    {"as an insert of two rows", "INSERT INTO %n (%c) VALUES (%a), (%m)", CALL_ACTION, 0, false},
    {"as an insert of two rows in a transaction", "INSERT INTO %n (%c) VALUES (%a), (%m)",
     CALL_ACTION, 0, true},
    {.sentence = NULL},
};

static const struct form reading_forms[] = {
    {"read", "SELECT * FROM %n", 0, 0, false},
    {.sentence = NULL},
};

static const struct form calling_forms[] = {
    {"read", "SELECT * FROM %n(%a)", 0, 0, false},
    {.sentence = NULL},
};

static const struct form updating_forms[] = {
    {"read", "SELECT * FROM %n", 0, 0, false},
    {"as an update", "UPDATE %n SET decision = %a WHERE patient_id = 1", 0, 0, false},
    {"as an update in a transaction", "UPDATE %n SET decision = %a", 0, 0, true},
    {.sentence = NULL},
};

static const struct form editing_forms[] = {
    {"read", "SELECT * FROM %n", 0, 0, false},
    {"as an update", "UPDATE %n SET text = %a WHERE kind = 'pin' AND channel = 'text'", 0, 0, false},
    {"as an insert", "INSERT INTO %n (kind, channel, language, text) VALUES ('pin', 'text', 'fr', %a)", 0, 0, false},
    {"as a deletion in a transaction", "DELETE FROM %n", 0, 0, true},
    {.sentence = NULL},
};

static const struct function *function_find(const char *name)
{
    const struct function *function = NULL;

    for (int i = 0; (function = call_function(i)) != NULL; i++) {
        if (strcmp(function->name, name) == 0) break;
    }
    return function;
}

static const struct table *table_find(const char *name)
{
    const struct table *table = NULL;

    for (int i = 0; (table = table_row(i)) != NULL; i++) {
        if (strcmp(table->name, name) == 0) break;
    }
    return table;
}

static const struct form *forms_of(const struct fault_case *row)
{
    const struct table *table;

    if (function_find(row->name) != NULL) return function_forms;
    table = table_find(row->name);
    if (table == NULL) return NULL;
    if (table->grows) return editing_forms;
    return table->update != NULL ? updating_forms : table->required ? calling_forms : reading_forms;
}

/* The first columns of an insert form: as many as there are arguments. */
static void columns_write(const struct function *function, const char *arguments, char *out, size_t size)
{
    int commas = 0;
    size_t used = 0;
    bool quoted = false;

    for (const char *at = arguments; *at != '\0'; at++) {
        if (*at == '\'') quoted = !quoted;
        if (*at == ',' && !quoted) commas++;
    }
    for (const char *at = function->arguments; *at != '\0' && used + 1 < size; at++) {
        if (*at == ',' && commas-- == 0) break;
        if (strchr("[]", *at) == NULL) out[used++] = *at;
    }
    out[used] = '\0';
}

static void sql_write(const struct fault_case *row, const char *form, char *out, size_t size)
{
    const struct function *function = function_find(row->name);
    char columns[256] = "";
    size_t used = 0;

    if (function != NULL) columns_write(function, row->arguments, columns, sizeof columns);
    for (const char *at = form; *at != '\0' && used < size; at++) {
        const char *part = at[1] == 'n' ? row->name : at[1] == 'a' ? row->arguments
                           : at[1] == 'm' ? row->more : columns;
        if (*at != '%') {
            out[used++] = *at;
            continue;
        }
        used += (size_t)snprintf(out + used, size - used, "%s", part);
        at++;
    }
    out[used < size ? used : size - 1] = '\0';
}

static void test_form(const struct fault_case *row, const struct form *form, bool all)
{
    char sql[SQL_SIZE];
    char sentence[SQL_SIZE + 200];

    sql_write(row, form->sql, sql, sizeof sql);
    for (int journal = FIRST_JOURNAL; journal <= JOURNAL_WAL; journal++) {
        struct fault_call call = {row, sql, form->in_transaction, (enum fault_journal)journal};
        (void)snprintf(sentence, sizeof sentence,
                       "%s(%s) %s is done whole or not at all whatever fails (%s%s)", row->name,
                       row->arguments == NULL ? "" : row->arguments, form->sentence,
                       journals[journal], row->empty ? ", no tables yet" : "");
        TEST(sentence) CHECK_TEXT(sweep(&call, all), NULL);
    }
}

static bool form_fits(const struct fault_case *row, const struct form *form)
{
    const struct function *function = function_find(row->name);

    if (function == NULL) return true;
    return (function->flags & form->needs) == form->needs && (function->flags & form->excludes) == 0 &&
           (strstr(form->sql, "%m") == NULL || row->more != NULL);
}

static void test_deliveries(bool all)
{
    for (const struct fault_case *row = delivery_cases; row->name != NULL; row++) {
        for (int journal = FIRST_JOURNAL; journal <= JOURNAL_WAL; journal++) {
            char sentence[SQL_SIZE];
            (void)snprintf(sentence, sizeof sentence, "what %s(%s) sends arrives whole and once, or its row "
                           "says so, whatever fails (%s)", row->name, row->arguments, journals[journal]);
            TEST(sentence) CHECK_TEXT(sweep_delivery(row, (enum fault_journal)journal, all), NULL);
        }
    }
}

static void test_findings(bool all)
{
    for (const struct fault_case *row = finding_cases; row->name != NULL; row++) {
        for (int journal = FIRST_JOURNAL; journal <= JOURNAL_WAL; journal++) {
            char sentence[SQL_SIZE];
            (void)snprintf(sentence, sizeof sentence, "%s after %s tells all, or that memory ran out (%s)",
                           row->name, row->set_up == NULL ? "nothing" : row->set_up, journals[journal]);
            TEST(sentence) CHECK_TEXT(sweep_finding(row, (enum fault_journal)journal, all), NULL);
        }
    }
}

/* A function or table that nobody thought of here is a gap. */
static void test_all_are_here(void)
{
    TEST("every function and every table has its row among the fault tests") {
        const struct function *function;
        const struct table *table;
        for (int i = 0; (function = call_function(i)) != NULL; i++) {
            const struct fault_case *row = fault_cases;
            while (row->name != NULL && strcmp(row->name, function->name) != 0) row++;
            CHECK_FOR(function->name, row->name != NULL);
            CHECK_FOR(function->name, (function->flags & CALL_ACTION) == 0 || row->more != NULL);
        }
        for (int i = 0; (table = table_row(i)) != NULL; i++) {
            const struct fault_case *row = fault_cases;
            while (row->name != NULL && strcmp(row->name, table->name) != 0) row++;
            CHECK_FOR(table->name, row->name != NULL);
        }
    }
}

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

/* The n-th allocation of loading fails.  False when there are not so many. */
static bool load_fails(sqlite3 *db, long n)
{
    char *error = NULL;
    int code;
    bool failed;

    fault_arm(FAULT_ALLOCATION, n, false);
    code = sqlite3_portal_init(db, &error, NULL);
    failed = fault_disarm() >= n;
    CHECK(code == SQLITE_OK || (failed && code == SQLITE_NOMEM));
    sqlite3_free(error);
    return failed;
}

static void test_loading(void)
{
    TEST("loading fails for want of memory or leaves every call in its place, and frees what it had") {
        sqlite3 *db = NULL;
        bool failed = true;
        CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
        CHECK(sqlite3_close(db) == SQLITE_OK);
        sqlite3_int64 before = sqlite3_memory_used();
        for (long n = 1; failed; n++) {
            CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
            failed = load_fails(db, n);
            CHECK(load_fails(db, LONG_MAX) == false);
            CHECK(sqlite3_exec(db, "SELECT * FROM portal_help", NULL, NULL, NULL) == SQLITE_OK);
            CHECK(sqlite3_close(db) == SQLITE_OK);
            CHECK(sqlite3_memory_used() == before);
        }
    }
    TEST("loading again gives back no right that portal_as() took, whatever memory there is") {
        sqlite3 *db = NULL;
        struct outcome outcome;
        CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
        CHECK(!load_fails(db, LONG_MAX));
        stage_run(db, "SELECT portal_as('scheduling')", &outcome);
        for (long n = 1; load_fails(db, n);) n++;
        stage_run(db, "SELECT portal_as('ehr')", &outcome);
        CHECK_FOR(outcome.answer, outcome.code != SQLITE_OK);
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
}

static void test_secret(void)
{
    static const struct fault_case plain = {.name = "portal_secret"};

    TEST("a plugin is given a secret whole, or none") {
        const enum fault_kind kinds[] = {FAULT_ALLOCATION, FAULT_SYSTEM};
        CHECK(stage_set(&plain, JOURNAL_WAL));
        for (int i = 0; i < 4; i++) {
            bool struck = true;
            fault_error = EIO;
            for (long n = 1; struck; n++) {
                stage_restore();
                sqlite3 *db = stage_open();
                portal_api *api = portal_api_from_db(db);
                fault_arm(kinds[i / 2], n, i % 2 != 0);
                char *secret = api->secret(api, "gateway");
                struck = fault_disarm() >= n;
                CHECK(secret == NULL ? struck : strcmp(secret, "hush") == 0);
                sqlite3_free(secret);
                CHECK(sqlite3_close(db) == SQLITE_OK);
            }
        }
    }
}

static int deliver_nothing(void *data, portal_batch *batch)
{
    (void)data;
    (void)batch;
    return SQLITE_OK;
}

/* Ben wants no messages. */
static int hear_stop(void *data, const portal_request *request, portal_news *news)
{
    (void)data;
    (void)request;
    news->word = PORTAL_SAYS_STOP;
    (void)sqlite3_snprintf(sizeof news->contact, news->contact, "+12025550102");
    return SQLITE_OK;
}

/* A channel of the program's own, with a setting that is stored. */
static sqlite3 *open_with_options(void)
{
    static const portal_option options[] = {
        {"own_url", PORTAL_OPTION_URL, "", 0, 100, "Where it is."},
        {"own_limit", PORTAL_OPTION_NUMBER, "10", 1, 50, "How many."},
        {NULL, PORTAL_OPTION_LINE, NULL, 0, 0, NULL},
    };
    static const portal_channel channel = {
        PORTAL_API_VERSION, "own", PORTAL_EMAIL, "1", deliver_nothing, NULL, options, NULL, hear_stop,
    };
    sqlite3 *db = stage_open();
    portal_api *api = portal_api_from_db(db);

    CHECK(api->register_channel(api, &channel, NULL, NULL) == SQLITE_OK);
    return db;
}

static void test_options(void)
{
    static const struct fault_case stored = {
        .name = "portal_settings", .set_up = "INSERT INTO portal_setting VALUES ('own_limit', '7')",
    };
    static const char *const statements[] = {
        "SELECT key, value FROM portal_settings", "SELECT portal_setting('own_limit')",
        "SELECT portal_setting('own_url', 'https://x')", "SELECT portal_setting('other_url', 'https://x')",
        "SELECT portal_callback('own', 'a=b', '{\"X-Word\":\"stop\"}', 'STOP')",
    };

    TEST("the settings of a channel are told and stored whole, and what it heard is taken, or memory ran out") {
        CHECK(stage_set(&stored, JOURNAL_WAL));
        for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
            struct outcome whole, outcome;
            bool struck = true;
            for (long n = 0; struck; n++) {
                stage_restore();
                sqlite3 *db = open_with_options();
                fault_arm(FAULT_ALLOCATION, n == 0 ? LONG_MAX : n, false);
                stage_run(db, statements[i], n == 0 ? &whole : &outcome);
                struck = fault_disarm() >= n;
                if (n > 0 && outcome.code != SQLITE_NOMEM) CHECK_TEXT(outcome.answer, whole.answer);
                CHECK(sqlite3_close(db) == SQLITE_OK);
            }
        }
    }
    TEST("a channel is given its setting whole, or none") {
        bool struck = true;
        for (long n = 1; struck; n++) {
            stage_restore();
            sqlite3 *db = open_with_options();
            portal_api *api = portal_api_from_db(db);
            fault_arm(FAULT_ALLOCATION, n, false);
            char *limit = api->setting(api, "own_limit");
            struck = fault_disarm() >= n;
            CHECK(limit == NULL ? struck : strcmp(limit, "7") == 0);
            sqlite3_free(limit);
            CHECK(sqlite3_close(db) == SQLITE_OK);
        }
    }
}

static void test_call(const char *name, bool all)
{
    if (strcmp(name, the_loading) == 0) {
        test_loading();
        test_secret();
        test_options();
    }
    if (strcmp(name, the_table) == 0) test_all_are_here();
    if (strcmp(name, the_deliveries) == 0) test_deliveries(all);
    if (strcmp(name, the_findings) == 0) test_findings(all);
    for (const struct fault_case *row = fault_cases; row->name != NULL; row++) {
        if (strcmp(row->name, name) != 0) continue;
        for (const struct form *form = forms_of(row); form != NULL && form->sentence != NULL; form++) {
            if (form_fits(row, form)) test_form(row, form, all);
        }
    }
}

/* Calls `one` for every name once; before them the table itself, loading, deliveries and findings. */
static void each_name(void (*one)(const char *name, bool all), bool all)
{
    one(the_table, all);
    one(the_loading, all);
    one(the_deliveries, all);
    one(the_findings, all);
    for (const struct fault_case *row = fault_cases; row->name != NULL; row++) {
        if (row == fault_cases || strcmp(row->name, row[-1].name) != 0) one(row->name, all);
    }
}

static void name_print(const char *name, bool all)
{
    (void)all;
    puts(name);
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    int first = all ? 2 : 1;

    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        each_name(name_print, false);
        return 0;
    }
    if (fault_prepare() != SQLITE_OK || setenv("PORTAL_KEY_FILE", "practice.key", 1) != 0) return 2;
    for (int i = first; i < argc; i++) test_call(argv[i], all);
    if (argc == first) each_name(test_call, all);
    stage_clear();
    return unit_result();
}
