/*
** One call under every fault.  First it is done without any, to learn what it answers and through
** which committed states it takes the database; then, for every kind of fault, with the n-th
** operation failing.  Whatever fails then: the database is in one of those states, the last when the
** call says so and no later one than it says; it is whole; the error says what failed; and the same
** call works when it is made again.
*/
#include "fault.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

enum { STATES_MAX = 12 };

/* What one without faults does. */
struct expected {
    struct outcome outcome;
    struct state before;              /* in a transaction: with the application's own row */
    struct state untouched;           /* without that row: the transaction was rolled back */
    struct state state[STATES_MAX];   /* after each commit; the last is the end */
    int count;
};

static struct files *committed[STATES_MAX];
static int committed_count;

static void keep_committed(void)
{
    if (committed_count < STATES_MAX) committed[committed_count++] = files_copy();
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
    stage_restore();
    well = stage_look(&expected->untouched);
    stage_restore();
    db = stage_open();
    well = well && begin(db, call) == SQLITE_OK && commit(db) == SQLITE_OK &&
           state_read(db, &expected->before);
    well = sqlite3_close(db) == SQLITE_OK && well;
    state_append(expected, &expected->before);
    stage_restore();
    db = stage_open();
    well = well && begin(db, call) == SQLITE_OK;
    files_committed = keep_committed;
    stage_run(db, call->sql, &expected->outcome);
    well = well && commit(db) == SQLITE_OK;
    files_committed = NULL;
    well = sqlite3_close(db) == SQLITE_OK && stage_look(&end) && well;
    for (int i = 0; i < committed_count; i++) {
        files_restore(committed[i]);
        well = stage_look(&state) && well;
        state_append(expected, &state);
        files_free(committed[i]);
    }
    committed_count = 0;
    state_append(expected, &end);
    if (expected->outcome.code == SQLITE_OK && well) return true;
    problem_note("it does not work without any fault: %s", expected->outcome.message);
    return false;
}

/* What it does when something fails */

/* The folder holds the key file and nothing else, and is on the disk before a database counts on it. */
static const char *key_problem(const struct fault_call *call, const struct outcome *outcome)
{
    DIR *folder;
    const struct dirent *entry;
    int count = 0;

    if (!call->fault_case->empty) return NULL;
    folder = opendir(".");
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, STAGE_KEY, strlen(STAGE_KEY)) == 0) count++;
    }
    if (folder != NULL) (void)closedir(folder);
    if (outcome->code == SQLITE_OK && !folder_synced) return "the key file's name may be lost";
    return count <= 1 || fault_spared_draft ? NULL : "a draft of the key file is left over";
}

static const char *answer_problem(const struct fault_call *call, const struct plan *plan,
                                  const struct outcome *expected, const struct outcome *outcome)
{
    const char *alternative = call->fault_case->alternative;

    if (outcome->code != SQLITE_OK) return plan_problem(plan, outcome);
    if (outcome->hash == expected->hash) return NULL;
    if (alternative != NULL && strncmp(outcome->answer, alternative, strlen(alternative)) == 0) {
        return NULL;
    }
    return "another answer";
}

/* Somebody else looks at what is there while the first connection is still open. */
static const char *database_problem(const struct fault_call *call, struct state *state)
{
    sqlite3 *db = stage_open();
    const char *problem = NULL;

    if (db == NULL || !state_read(db, state)) problem = "another connection can not read";
    else if (!stage_tells(db, "PRAGMA integrity_check", "ok|")) problem = "the database is damaged";
    else if (!(call->fault_case->empty && state->count == 1) &&
             !stage_tells(db, "SELECT portal_audit_verify()", "NULL|")) problem = "the audit is broken";
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
    /*
    ** By design: SQLite converts the answer for a database in UTF-16 when the call has returned.  Without
    ** memory for that the statement fails, and what was done, all of it, is the application's to keep.
    */
    if (alive && call->journal == JOURNAL_WAL && outcome->code == SQLITE_NOMEM && state_same(state, end)) {
        return NULL;
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
        return stage_tells(db, "SELECT typeof(quick_add('Zoe', 'Zimmer', '1999-09-09'))", "integer|")
               ? NULL : "another call does not work";
    }
    if (begin(db, call) != SQLITE_OK) return "no transaction can be begun";
    stage_run(db, call->sql, &outcome);
    if (outcome.code != SQLITE_OK) return "the same call does not work";
    if (outcome.hash != expected->outcome.hash) return "the same call answers something else";
    if (key_problem(call, &outcome) != NULL) return key_problem(call, &outcome);
    if (commit(db) != SQLITE_OK) return "the same call can not be committed";
    if (!state_read(db, &end)) return "it can not be read";
    return state_same(&end, &expected->state[expected->count - 1])
           ? NULL : "the same call does something else";
}

/* What a call of each_plan() goes on. */
struct sweep {
    const struct fault_call *call;
    const struct expected *expected;
};

/* True when there was anything to fail. */
static bool fail_once(const struct plan *plan, void *data)
{
    const struct fault_call *call = ((struct sweep *)data)->call;
    const struct expected *expected = ((struct sweep *)data)->expected;
    sqlite3_int64 memory = sqlite3_memory_used();
    struct outcome outcome;
    struct state state;
    const char *problem;
    char difference[256] = "";
    bool alive;
    bool struck;
    sqlite3 *db;

    stage_restore();
    db = stage_open();
    (void)begin(db, call);
    plan_arm(plan);
    stage_run(db, call->sql, &outcome);
    struck = fault_disarm() >= plan->n;
    alive = !sqlite3_get_autocommit(db);
    problem = answer_problem(call, plan, &expected->outcome, &outcome);
    if (problem == NULL) problem = key_problem(call, &outcome);
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
        plan_note(plan, problem, &outcome, difference);
    }
    return struck;
}

/* How many operations of a kind there are when none fails. */
static long operations(enum fault_kind kind, void *data)
{
    const struct fault_call *call = ((struct sweep *)data)->call;
    struct outcome outcome;
    sqlite3 *db;
    long count;

    stage_restore();
    db = stage_open();
    (void)begin(db, call);
    fault_arm(kind, LONG_MAX, false);
    stage_run(db, call->sql, &outcome);
    count = fault_disarm();
    (void)commit(db);
    (void)sqlite3_close(db);
    return count;
}

const char *sweep(const struct fault_call *call, bool all)
{
    static struct expected expected;
    struct sweep data = {call, &expected};

    problem_forget();
    if (stage_set(call->fault_case, call->journal) && learn(call, &expected)) {
        each_plan(all, operations, fail_once, &data);
    }
    return problem_first();
}
