/* Which faults there are to try, how one is told, and what an error under it must say. */
#include "fault.h"

#include <errno.h>
#include <string.h>

/* About how many faults of a kind are tried when not all are; the sanitizers take three times as long;
   tests/coverage wants to see what follows from each, and has allocations fail in every place. */
#if defined MANY_FAULTS
enum { SOME = 6 };
#elif defined __SANITIZE_ADDRESS__
enum { SOME = 1 };
#else
enum { SOME = 3 };
#endif

static bool is_system(enum fault_kind kind)
{
    return kind == FAULT_SYSTEM || kind == FAULT_SHORT;
}

/* What an error must say, by its code. */
const char *plan_problem(const struct plan *plan, const struct outcome *outcome)
{
    static const struct { bool system; int code; const char *words; } rows[] = {
        {false, SQLITE_NOMEM, "out of memory"},
        {false, SQLITE_IOERR, "reading or writing the database failed"},
        {false, SQLITE_IOERR, "disk I/O error"},
        {false, SQLITE_FULL, "disk is full"},
        {false, SQLITE_CANTOPEN, "unable to open database file"},
        /* The same after a first write within a writing statement. */
        {false, SQLITE_IOERR, "unable to open database file"},
        {true, SQLITE_NOMEM, "out of memory"},
        {true, SQLITE_ERROR, "the key file practice.key "},
        /* Within a writing statement, which SQLite then rolls back with its transaction. */
        {false, SQLITE_IOERR, "unable to open database file"},
        {true, SQLITE_IOERR, "the key file practice.key "},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (is_system(plan->kind) == rows[i].system && (outcome->code & 0xff) == rows[i].code &&
            strstr(outcome->message, rows[i].words) != NULL) {
            return NULL;
        }
    }
    return "the error does not say what failed";
}

void plan_arm(const struct plan *plan)
{
    fault_error = plan->error;
    fault_arm(plan->kind, plan->n, plan->lasts);
}

void plan_note(const struct plan *plan, const char *problem, const struct outcome *outcome,
               const char *changed)
{
    problem_note("%s %ld%s: %s (code %d, %s, answer %s; changed:%s)", fault_names[plan->kind], plan->n,
                 plan->lasts ? " and all after it" : "", problem, outcome->code, outcome->message,
                 outcome->answer, changed);
}

/* A number that another form of a call does not get. */
static long drawn(long below)
{
    static unsigned seed = 20261122;

    seed = seed * 1103515245u + 12345u;
    return (long)(seed >> 16) % below;
}

/* The next n: all of them, or the first two, a few of the rest, others in every form, and the last. */
static long next_n(enum fault_kind kind, long n, long stride, long count)
{
    long next = n < 2 || stride <= 1 ? n + 1 : n + 1 + drawn(2 * stride - 1);

    for (long at = n + 1; at < next && kind == FAULT_ALLOCATION; at++) {
        if (fault_is_fresh(at)) return at;
    }
    return n < count && next > count ? count : next;
}

void each_plan(bool all, long (*operations)(enum fault_kind kind, void *data),
               bool (*fail)(const struct plan *plan, void *data), void *data)
{
    enum { ERRORS = 5 };
    static const int errors[ERRORS] = {EINTR, EIO, ENOSPC, EACCES, EMFILE};

    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        long count = operations((enum fault_kind)kind, data);
        /* There are few system calls, and each matters. */
        long stride = all || is_system((enum fault_kind)kind) ? 1
                      : count / (kind == FAULT_ALLOCATION ? 3 * SOME : SOME);
        for (int way = 0; way < (all && kind == FAULT_SYSTEM ? 2 * ERRORS : 2); way++) {
            bool lasts = way % 2 != 0;
            struct plan plan = {(enum fault_kind)kind, lasts, 1, errors[way / 2]};
            while (count > 0) {
                /* What a signal interrupted is done again, until no signal comes: it can not last. */
                if (!all) plan.error = errors[lasts ? 1 + drawn(ERRORS - 1) : drawn(ERRORS)];
                if (all && lasts && plan.error == EINTR) break;
                if (!fail(&plan, data)) break;
                plan.n = next_n(plan.kind, plan.n, stride, count);
            }
        }
    }
}
