/*
** One call under every fault.  First it is done without any, to learn what it answers and through
** which committed states it takes the database; then, for every kind of fault, with the n-th
** operation failing.  Whatever fails then: the database is in one of those states, the last when the
** call says so and no later one than it says; it is whole; the error says what failed; and the same
** call works when it is made again.
*/
#include "fault.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

static const char path[] = "practice.db";
static const char key_path[] = "practice.key";      /* PORTAL_KEY_FILE: a file on the disk */

enum { STATES_MAX = 12, VALUES_MAX = 8, ANSWER_SIZE = 2048 };

/* What is to fail, from when on. */
struct plan {
    enum fault_kind kind;
    bool lasts;
    long n;
};

/* What a call did. */
struct outcome {
    int code;
    char message[256];
    char answer[ANSWER_SIZE];   /* all rows; as much as there is room for */
    sqlite3_uint64 hash;        /* of all of it */
};

/* What one without faults does. */
struct expected {
    struct outcome outcome;
    struct state before;              /* in a transaction: with the application's own row */
    struct state untouched;           /* without that row: the transaction was rolled back */
    struct state state[STATES_MAX];   /* after each commit; the last is the end */
    int count;
};

/* The first thing that went wrong in a sweep. */
static char first_problem[1024];

static void note(const char *format, ...)
{
    va_list arguments;

    if (first_problem[0] != '\0' && getenv("V") == NULL) return;
    va_start(arguments, format);
    (void)vsnprintf(first_problem, sizeof first_problem, format, arguments);
    va_end(arguments);
    if (getenv("V")) fprintf(stderr, "  %s\n", first_problem);
}

static struct files *committed[STATES_MAX];
static int committed_count;

static void keep_committed(void)
{
    if (committed_count < STATES_MAX) committed[committed_count++] = files_copy();
}

/* Connections */

static sqlite3 *opened(void)
{
    sqlite3 *db = NULL;
    char *error = NULL;
    int code = sqlite3_open(path, &db);

    if (code == SQLITE_OK) code = sqlite3_portal_init(db, &error, NULL);
    /* A checkpoint after every commit, so that it too meets the faults. */
    if (code == SQLITE_OK) code = sqlite3_wal_autocheckpoint(db, 1);
    sqlite3_free(error);
    if (code == SQLITE_OK) return db;
    (void)sqlite3_close(db);
    return NULL;
}

static void advance(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    memory_clock += sqlite3_value_int64(argv[0]);
    sqlite3_result_int64(context, memory_clock);
}

/* A database as the scene and the case leave it, made once for all forms of the case. */
static struct {
    const struct fault_case *fault_case;
    enum fault_journal journal;
    sqlite3_int64 clock;
    struct files *files;
    int count;
    struct {
        char name[16];
        sqlite3_value *value;
    } value[VALUES_MAX];
} prepared;

/* The slot of a name, the first free one when there is none yet. */
static int value_slot(const char *name)
{
    int at = 0;

    while (at < prepared.count && strcmp(prepared.value[at].name, name) != 0) at++;
    return at;
}

/* A value that the scene gives a name: for the calls, and for what the scene says next. */
static int value_keep(sqlite3 *db, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    int at = value_slot(name);
    sqlite3_stmt *statement = NULL;
    int code;

    if (at == VALUES_MAX) return SQLITE_FULL;
    if (at == prepared.count) prepared.count++;
    (void)snprintf(prepared.value[at].name, sizeof prepared.value[at].name, "%s", name);
    sqlite3_value_free(prepared.value[at].value);
    prepared.value[at].value = sqlite3_value_dup(sqlite3_column_value(row, 1));
    (void)sqlite3_reset(row);
    code = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO scene VALUES (?1, ?2)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 1, prepared.value[at].name, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) code = sqlite3_bind_value(statement, 2, prepared.value[at].value);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return code;
}

/* Runs the statements of a scene.  SQLITE_OK or the first error. */
static int play(sqlite3 *db, const char *sql)
{
    int code = sqlite3_create_function(db, "advance", 1, SQLITE_UTF8, NULL, advance, NULL, NULL);

    while (code == SQLITE_OK && *sql != '\0') {
        sqlite3_stmt *statement = NULL;
        code = sqlite3_prepare_v2(db, sql, -1, &statement, &sql);
        if (code == SQLITE_OK && statement != NULL) code = sqlite3_step(statement);
        if (code == SQLITE_ROW && sqlite3_column_count(statement) == 2) {
            code = value_keep(db, statement);
        }
        while (code == SQLITE_ROW) code = sqlite3_step(statement);
        if (code == SQLITE_DONE) code = SQLITE_OK;
        (void)sqlite3_finalize(statement);
    }
    return code;
}

static bool prepare(const struct fault_call *call)
{
    const struct fault_case *wanted = call->fault_case;
    bool wal = call->journal == JOURNAL_WAL;
    sqlite3 *db;
    int code;

    if (prepared.fault_case == wanted && prepared.journal == call->journal) return true;
    sweep_end();
    (void)unlink(key_path);
    db = opened();
    /* Another encoding has SQLite make a copy of every text that is read: more that can fail. */
    code = sqlite3_exec(db, wal ? "PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = WAL"
                                : "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    for (int i = 0; scene[i] != NULL && code == SQLITE_OK && !wanted->empty; i++) {
        code = play(db, scene[i]);
    }
    if (code == SQLITE_OK && wanted->set_up != NULL) code = play(db, wanted->set_up);
    if (code != SQLITE_OK) note("the scene can not be set: %s", sqlite3_errmsg(db));
    if (wal) prepared.files = files_copy();     /* with a WAL in use */
    if (sqlite3_close(db) != SQLITE_OK) code = SQLITE_BUSY;
    if (!wal) prepared.files = files_copy();
    if (files_open() != 0) note("the scene leaves a file open");
    prepared.fault_case = wanted;
    prepared.journal = call->journal;
    prepared.clock = memory_clock;
    return code == SQLITE_OK;
}

void sweep_end(void)
{
    for (int i = 0; i < prepared.count; i++) sqlite3_value_free(prepared.value[i].value);
    files_free(prepared.files);
    memset(&prepared, 0, sizeof prepared);
    memory_clock = MEMORY_START;
    files_restore(NULL);
}

static void restore(void)
{
    files_restore(prepared.files);
    memory_clock = prepared.clock;
    if (prepared.fault_case->empty) (void)unlink(key_path);
}

/* The call */

static int bind(sqlite3_stmt *statement)
{
    int code = SQLITE_OK;

    for (int i = 1; i <= sqlite3_bind_parameter_count(statement) && code == SQLITE_OK; i++) {
        int at = value_slot(sqlite3_bind_parameter_name(statement, i) + 1);
        code = at == prepared.count ? SQLITE_MISUSE
                                    : sqlite3_bind_value(statement, i, prepared.value[at].value);
    }
    return code;
}

static void answer_add(struct outcome *outcome, const char *text)
{
    size_t used = strlen(outcome->answer);

    for (const char *at = text; *at != '\0'; at++) {
        outcome->hash = (outcome->hash ^ (unsigned char)*at) * 1099511628211u;
    }
    (void)snprintf(outcome->answer + used, sizeof outcome->answer - used, "%s", text);
}

static void answer_row(struct outcome *outcome, sqlite3_stmt *statement)
{
    fault_pause(true);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        answer_add(outcome, text == NULL ? "NULL" : text);
        answer_add(outcome, "|");
    }
    fault_pause(false);
}

static void run(sqlite3 *db, const char *sql, struct outcome *outcome)
{
    sqlite3_stmt *statement = NULL;

    memset(outcome, 0, sizeof *outcome);
    sqlite3_randomness(0, NULL);    /* starts anew, from what the VFS has for random */
    outcome->code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (outcome->code == SQLITE_OK) outcome->code = bind(statement);
    if (outcome->code == SQLITE_OK) {
        while ((outcome->code = sqlite3_step(statement)) == SQLITE_ROW) {
            answer_row(outcome, statement);
        }
    }
    if (outcome->code == SQLITE_DONE) outcome->code = SQLITE_OK;
    (void)snprintf(outcome->message, sizeof outcome->message, "%s",
                   outcome->code == SQLITE_NOMEM ? sqlite3_errstr(SQLITE_NOMEM) : sqlite3_errmsg(db));
    (void)sqlite3_finalize(statement);
}

static int begin(sqlite3 *db, const struct fault_call *call)
{
    const char *sql = call->fault_case->empty
                      ? "BEGIN" : "BEGIN; INSERT INTO note (text) VALUES ('the application''s own')";

    return call->in_transaction ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_OK;
}

static int commit(sqlite3 *db)
{
    return sqlite3_get_autocommit(db) ? SQLITE_OK : sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
}

/* What it does when nothing fails */

/* The state of the files as they are, read by somebody else. */
static bool look(struct state *state)
{
    sqlite3 *db = opened();
    bool read = db != NULL && state_read(db, state);

    return sqlite3_close(db) == SQLITE_OK && read;
}

static void state_append(struct expected *expected, const struct state *state)
{
    if (expected->count > 0 && state_same(state, &expected->state[expected->count - 1])) return;
    if (expected->count < STATES_MAX) expected->state[expected->count++] = *state;
}

static bool learn(const struct fault_call *call, struct expected *expected)
{
    struct state end;
    struct state state;
    sqlite3 *db;
    bool well;

    memset(expected, 0, sizeof *expected);
    restore();
    well = look(&expected->untouched);
    restore();
    db = opened();
    well = well && begin(db, call) == SQLITE_OK && commit(db) == SQLITE_OK &&
           state_read(db, &expected->before);
    well = sqlite3_close(db) == SQLITE_OK && well;
    state_append(expected, &expected->before);
    restore();
    db = opened();
    well = well && begin(db, call) == SQLITE_OK;
    files_committed = keep_committed;
    run(db, call->sql, &expected->outcome);
    well = well && commit(db) == SQLITE_OK;
    files_committed = NULL;
    well = sqlite3_close(db) == SQLITE_OK && look(&end) && well;
    for (int i = 0; i < committed_count; i++) {
        files_restore(committed[i]);
        well = look(&state) && well;
        state_append(expected, &state);
        files_free(committed[i]);
    }
    committed_count = 0;
    state_append(expected, &end);
    if (expected->outcome.code == SQLITE_OK && well) return true;
    note("it does not work without any fault: %s", expected->outcome.message);
    return false;
}

/* What it does when something fails */

static const char *clear_problem(const struct outcome *outcome)
{
    static const int codes[] = {SQLITE_NOMEM, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN};
    static const char *const words[] = {"memory", "disk", "reading or writing", "unable to open",
                                        "can not be read"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if ((outcome->code & 0xff) != codes[i]) continue;
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
            if (strstr(outcome->message, words[k]) != NULL) return NULL;
        }
        return "the message does not say what failed";
    }
    return "the code does not say what failed";
}

static const char *answer_problem(const struct fault_call *call, const struct outcome *expected,
                                  const struct outcome *outcome)
{
    const char *alternative = call->fault_case->alternative;

    if (outcome->code != SQLITE_OK) return clear_problem(outcome);
    if (outcome->hash == expected->hash) return NULL;
    if (alternative != NULL && strncmp(outcome->answer, alternative, strlen(alternative)) == 0) {
        return NULL;
    }
    return "another answer";
}

/* One integer or text of a statement without rows to come; true when it is `expected`. */
static bool tells(sqlite3 *db, const char *sql, const char *expected)
{
    struct outcome outcome;

    run(db, sql, &outcome);
    return outcome.code == SQLITE_OK && strcmp(outcome.answer, expected) == 0;
}

/* Somebody else looks at what is there while the first connection is still open. */
static const char *database_problem(const struct fault_call *call, struct state *state)
{
    sqlite3 *db = opened();
    const char *problem = NULL;

    if (db == NULL || !state_read(db, state)) problem = "another connection can not read";
    else if (!tells(db, "PRAGMA integrity_check", "ok|")) problem = "the database is damaged";
    else if (!(call->fault_case->empty && state->count == 1) &&
             !tells(db, "SELECT portal_audit_verify()", "NULL|")) problem = "the audit is broken";
    if (sqlite3_close(db) != SQLITE_OK) problem = "another connection does not close";
    return problem;
}

static const char *state_problem(const struct fault_call *call, const struct expected *expected,
                                 const struct outcome *outcome, bool alive, const struct state *state)
{
    const struct state *end = &expected->state[expected->count - 1];

    if (outcome->code == SQLITE_OK) {
        return state_same(state, end) ? NULL : "it says that it is done and it is not";
    }
    if (call->in_transaction) {
        if (state_same(state, alive ? &expected->before : &expected->untouched)) return NULL;
        return alive ? "the failed call left something in the transaction"
                     : "the transaction was not rolled back whole";
    }
    for (int i = 0; i < expected->count; i++) {
        if (state_same(state, &expected->state[i])) return NULL;
    }
    return "it is half done";
}

/* The same connection goes on: the same call again when nothing was done, else another write. */
static const char *next_problem(sqlite3 *db, const struct fault_call *call,
                                const struct expected *expected, const struct state *state)
{
    struct outcome outcome;
    struct state end;

    if (!state_same(state, &expected->untouched)) {
        return tells(db, "SELECT typeof(quick_add('Zoe', 'Zimmer', '1999-09-09'))", "integer|")
               ? NULL : "another call does not work";
    }
    if (begin(db, call) != SQLITE_OK) return "no transaction can be begun";
    run(db, call->sql, &outcome);
    if (outcome.code != SQLITE_OK) return "the same call does not work";
    if (outcome.hash != expected->outcome.hash) return "the same call answers something else";
    if (commit(db) != SQLITE_OK) return "the same call can not be committed";
    if (!state_read(db, &end)) return "it can not be read";
    return state_same(&end, &expected->state[expected->count - 1])
           ? NULL : "the same call does something else";
}

/* True when there was anything to fail. */
static bool fail_once(const struct fault_call *call, const struct expected *expected,
                      const struct plan *plan)
{
    sqlite3_int64 memory = sqlite3_memory_used();
    struct outcome outcome;
    struct state state;
    const char *problem;
    char difference[256] = "";
    bool alive;
    bool struck;
    sqlite3 *db;

    restore();
    db = opened();
    (void)begin(db, call);
    fault_arm(plan->kind, plan->n, plan->lasts);
    run(db, call->sql, &outcome);
    struck = fault_disarm() >= plan->n;
    alive = !sqlite3_get_autocommit(db);
    problem = answer_problem(call, &expected->outcome, &outcome);
    if (problem == NULL && alive && !call->in_transaction) problem = "a transaction is left open";
    if (commit(db) != SQLITE_OK) problem = "the transaction can not be committed";
    if (problem == NULL) problem = database_problem(call, &state);
    if (problem == NULL) {
        problem = state_problem(call, expected, &outcome, alive, &state);
        if (problem != NULL) {
            state_difference(&expected->before, &state, difference, sizeof difference);
        }
    }
    if (problem == NULL) problem = next_problem(db, call, expected, &state);
    if (sqlite3_close(db) != SQLITE_OK) {
        problem = "it does not close";
        (void)sqlite3_close_v2(db);
    } else if (problem == NULL && (files_open() != 0 || sqlite3_memory_used() != memory)) {
        problem = "something is left over";
    }
    if (problem != NULL) {
        note("%s %ld%s: %s (code %d, %s, answer %s; changed:%s)", fault_names[plan->kind], plan->n,
             plan->lasts ? " and all after it" : "", problem, outcome.code, outcome.message,
             outcome.answer, difference);
    }
    return struck;
}

/* How many operations of a kind there are when none fails. */
static long operations(const struct fault_call *call, enum fault_kind kind)
{
    struct outcome outcome;
    sqlite3 *db;
    long count;

    restore();
    db = opened();
    (void)begin(db, call);
    fault_arm(kind, LONG_MAX, false);
    run(db, call->sql, &outcome);
    count = fault_disarm();
    (void)commit(db);
    (void)sqlite3_close(db);
    return count;
}

/* The next n: all of them, or the first few and then a few of the rest, others in every form. */
static long next_n(long n, long stride)
{
    static unsigned seed = 20261122;

    if (n < 3 || stride <= 1) return n + 1;
    seed = seed * 1103515245u + 12345u;
    return n + 1 + (long)(seed >> 16) % (2 * stride - 1);
}

const char *sweep(const struct fault_call *call, bool all)
{
    static struct expected expected;
    static const int some[FAULT_KINDS] = {[FAULT_ALLOCATION] = 12};

    first_problem[0] = '\0';
    if (!prepare(call) || !learn(call, &expected)) return first_problem;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        long count = operations(call, (enum fault_kind)kind);
        long stride = all ? 1 : count / (some[kind] != 0 ? some[kind] : 4);
        for (int lasts = 0; lasts < 2; lasts++) {
            struct plan plan = {(enum fault_kind)kind, lasts != 0, 1};
            while (count > 0 && fail_once(call, &expected, &plan)) plan.n = next_n(plan.n, stride);
        }
    }
    return first_problem[0] == '\0' ? NULL : first_problem;
}
