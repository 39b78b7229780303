/* Whom the argument `patient` means: one, or a choice that is the user's, never a guess. */
#include "command.h"

#include "ask.h"
#include "tell.h"

#include <stdio.h>
#include <string.h>

/* So many are shown. */
enum { MOST = 20 };

static const char everybody[] = "SELECT patient_id, exact FROM portal_find(:text)";
static const char shown[] =
    "SELECT patient_id, patient_name, date_of_birth, email, cell_phone FROM portal_find(:text) LIMIT :most";

struct candidates {
    sqlite3_value *id[MOST];       /* of the first */
    sqlite3_value *exact;          /* of the first that is exactly what was said */
    long count, exact_count;       /* of all */
};

static void candidates_free(struct candidates *candidates)
{
    for (int i = 0; i < MOST; i++) sqlite3_value_free(candidates->id[i]);
    sqlite3_value_free(candidates->exact);
}

static int candidates_find(struct practice *practice, const char *text, struct candidates *candidates)
{
    sqlite3_stmt *statement = practice_prepare(practice, everybody);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, text);
    while ((code = practice_step(practice, statement)) == SQLITE_ROW) {
        const sqlite3_value *id = sqlite3_column_value(statement, 0);
        if (candidates->count < MOST) candidates->id[candidates->count] = sqlite3_value_dup(id);
        candidates->count++;
        if (sqlite3_column_int(statement, 1) == 0) continue;
        if (candidates->exact_count++ == 0) candidates->exact = sqlite3_value_dup(id);
    }
    code = code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

/* On standard error: they are no answer to the command. */
static int candidates_show(struct practice *practice, const char *text, long count)
{
    sqlite3_stmt *statement = practice_prepare(practice, shown);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    (void)tell(EXIT_REFUSED, "'%s' may mean %s:", text, count == 1 ? "this patient" : "several patients");
    practice_bind(statement, 1, text);
    (void)sqlite3_bind_int(statement, 2, MOST);
    code = output_rows(practice, statement, stderr, OUTPUT_TABLE, NULL, NULL);
    (void)sqlite3_finalize(statement);
    if (count > MOST) (void)fprintf(stderr, "... and %ld more\n", count - MOST);
    return code;
}

/* Which of those shown has this patient_id; -1: none. */
static int candidate_of(const struct candidates *candidates, const char *answer)
{
    for (int i = 0; i < MOST && candidates->id[i] != NULL; i++) {
        const char *id = (const char *)sqlite3_value_text(candidates->id[i]);
        if (id != NULL && strcmp(id, answer) == 0) return i;
    }
    return -1;
}

/* Asks until the answer is one of them; an empty one is nobody.  The place of it, or -1. */
static int candidate_ask(const struct candidates *candidates)
{
    char answer[200];

    while (ask_line("Which patient_id? (Enter: none) ", answer, sizeof answer) && *answer != '\0') {
        int place = candidate_of(candidates, answer);
        if (place >= 0) return place;
        (void)tell(EXIT_REFUSED, "%s is none of those shown", answer);
    }
    return -1;
}

/* The one who is meant becomes the invocation's patient: the only one that is exactly what was said, or who is chosen. */
static int candidate_take(struct invocation *invocation, const char *text, struct candidates *candidates)
{
    sqlite3_value **meant = &candidates->exact;

    if (candidates->count == 0) return tell(EXIT_REFUSED, "nobody on file is meant by '%s'", text);
    if (candidates->exact_count != 1) {
        int place;
        int code = candidates_show(&invocation->practice, text, candidates->count);
        if (code != EXIT_DONE) return code;
        if (!ask_can()) return tell(EXIT_REFUSED, "name one by the patient_id");
        place = candidate_ask(candidates);
        if (place < 0) return tell(practice_is_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED, "nobody was chosen");
        meant = &candidates->id[place];
    }
    invocation->patient = *meant;
    *meant = NULL;
    return invocation->patient == NULL ? tell(EXIT_REFUSED, "out of memory") : EXIT_DONE;
}

static int value_take(struct invocation *invocation, const struct parameter *parameters, const char *const *values)
{
    int code = EXIT_DONE;

    for (int i = 0; parameters[i].name != NULL && code == EXIT_DONE; i++) {
        struct candidates candidates = {.count = 0};
        if (parameters[i].kind != PATIENT || values[i] == NULL) continue;
        code = candidates_find(&invocation->practice, values[i], &candidates);
        if (code == EXIT_DONE) code = candidate_take(invocation, values[i], &candidates);
        candidates_free(&candidates);
    }
    return code;
}

int patient_choose(struct invocation *invocation)
{
    int code = value_take(invocation, invocation->command->arguments, invocation->argument);

    return code == EXIT_DONE ? value_take(invocation, invocation->command->options, invocation->option) : code;
}
