/* Which faults there are to try, how one is told, and what an error under it must say. */
#include "fault.h"

#include <errno.h>
#include <string.h>

/* About how many faults of a kind are tried when not all are; the sanitizers take three times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { SOME = 1 };
#else
enum { SOME = 4 };
#endif

/* What an error must say, by its code. */
const char *plan_problem(const struct plan *plan, const struct outcome *outcome)
{
    static const struct { int code; const char *words; } rows[] = {
        {SQLITE_NOMEM, "out of memory"},
        {SQLITE_IOERR, "reading or writing the database failed"},
        {SQLITE_IOERR, "disk I/O error"},
        {SQLITE_FULL, "disk is full"},
        {SQLITE_CANTOPEN, "unable to open database file"},
        {SQLITE_ERROR, "the key file practice.key "},
    };
    bool system = plan->kind == FAULT_SYSTEM || plan->kind == FAULT_SHORT;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((outcome->code & 0xff) == rows[i].code && strstr(outcome->message, rows[i].words) != NULL) {
            return system == (rows[i].code == SQLITE_ERROR) ? NULL : "something else is said to fail";
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

/* The next n: all of them, or the first two and then a few of the rest, others in every form. */
static long next_n(long n, long stride)
{
    static unsigned seed = 20261122;

    if (n < 2 || stride <= 1) return n + 1;
    seed = seed * 1103515245u + 12345u;
    return n + 1 + (long)(seed >> 16) % (2 * stride - 1);
}

void each_plan(bool all, long (*operations)(enum fault_kind kind, void *data),
               bool (*fail)(const struct plan *plan, void *data), void *data)
{
    enum { ERRORS = 5 };
    static const int errors[ERRORS] = {EIO, ENOSPC, EACCES, EMFILE, EINTR};

    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        long count = operations((enum fault_kind)kind, data);
        long stride = all ? 1 : count / (kind == FAULT_ALLOCATION ? 3 * SOME : SOME);
        for (int way = 0; way < (kind == FAULT_SYSTEM ? 2 * ERRORS : 2); way++) {
            struct plan plan = {(enum fault_kind)kind, way % 2 != 0, 1, errors[way / 2]};
            /* What a signal interrupted is done again, until no signal comes. */
            if (kind == FAULT_SYSTEM && plan.error == EINTR && plan.lasts) continue;
            while (count > 0 && fail(&plan, data)) plan.n = next_n(plan.n, stride);
        }
    }
}
