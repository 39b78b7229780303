/* portal import: patients from a file of comma-separated values. */
#include "ask.h"
#include "command.h"
#include "mapping.h"
#include "people.h"
#include "progress.h"
#include "tell.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { WHY_SIZE = 500, TOLD_MOST = 100 };

struct import {
    struct practice *practice;
    struct csv csv;
    struct mapping mapping;
    struct chart_rules rules;
    struct people people;
    bool namesakes;                /* are taken like anybody else */
    sqlite3_stmt *insert;
    struct progress progress;
    sqlite3_int64 added, bad;
};

static const char read_rules[] = "SELECT date('now', '+1 day'), portal_setting('country_code')";
/* Our own table is mapped to itself where patients may not ask to change all of it. */
static const char mapped_table[] =
    "SELECT source FROM portal_mapping WHERE field = 'table' AND EXISTS (SELECT 1 FROM portal_mapping"
    "   WHERE source <> iif(field = 'table', 'patient', field) OR format IS NOT NULL)";
static const char read_people[] = "SELECT first_name, last_name, date_of_birth FROM patient";
static const char born_on[] = "SELECT first_name, last_name, patient_id FROM patient WHERE date_of_birth = :date";

static const char *column_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text == NULL ? "" : text;
}

/* Records */

/* The patient on file who is this person, "patient 12". */
static void person_name(struct import *import, uint64_t hash, const char *date, char out[WHY_SIZE])
{
    sqlite3_stmt *statement = practice_prepare(import->practice, born_on);

    (void)snprintf(out, WHY_SIZE, "the person is on file already");
    practice_bind(statement, 1, date);
    while (statement != NULL && practice_step(import->practice, statement) == SQLITE_ROW) {
        if (people_hash(&import->people, column_text(statement, 0), column_text(statement, 1), date) != hash) continue;
        (void)snprintf(out, WHY_SIZE, "the person is on file already as patient %s; --namesakes adds another",
                       column_text(statement, 2));
        break;
    }
    (void)sqlite3_finalize(statement);
}

/* Nobody of this name and date of birth is there yet. */
static bool person_is_new(struct import *import, uint64_t hash, const char *date, char why[WHY_SIZE])
{
    const struct person *person = import->namesakes ? NULL : people_find(&import->people, hash);

    if (person == NULL) return true;
    if (person->line == 0) person_name(import, hash, date, why);
    else (void)snprintf(why, WHY_SIZE, "the person is the one of line %ld again; --namesakes adds another", person->line);
    return false;
}

/* The values of a record; false: `why` says what is wrong with them. */
static bool values_read(struct import *import, const char *value[CHART_COUNT], char room[CHART_COUNT][CONTACT_SIZE],
                        char why[WHY_SIZE])
{
    for (int i = 0; i < CHART_COUNT; i++) {
        const char *problem = NULL;
        int from = import->mapping.from[i];
        value[i] = NULL;
        if (from >= 0) problem = chart_read(&chart_columns[i], &import->rules, import->csv.field[from], &value[i], room[i]);
        if (problem == NULL) continue;
        if (value[i] == NULL) (void)snprintf(why, WHY_SIZE, "%s %s", chart_columns[i].name, problem);
        else (void)snprintf(why, WHY_SIZE, "%s '%.60s' %s", chart_columns[i].name, value[i], problem);
        return false;
    }
    if (value[CHART_DECEASED_ON] == NULL || strcmp(value[CHART_DECEASED_ON], value[CHART_DATE_OF_BIRTH]) >= 0) {
        return true;
    }
    (void)snprintf(why, WHY_SIZE, "deceased_on is before date_of_birth");
    return false;
}

/* What the practice's own schema refuses is a bad line; anything else, such as a full disk, ends the import. */
static int row_insert(struct import *import, const char *value[CHART_COUNT], char why[WHY_SIZE])
{
    sqlite3 *db = import->practice->db;
    int parameter = 0;
    int code;

    for (int i = 0; i < CHART_COUNT; i++) {
        if (import->mapping.from[i] < 0) continue;
        (void)sqlite3_bind_text(import->insert, ++parameter, value[i], -1, SQLITE_STATIC);
    }
    code = practice_step(import->practice, import->insert);
    (void)sqlite3_reset(import->insert);
    if (code == SQLITE_DONE) return EXIT_DONE;
    if (((code & 0xff) != SQLITE_CONSTRAINT && code != SQLITE_MISMATCH) || sqlite3_get_autocommit(db) != 0) {
        return practice_failed(import->practice);
    }
    (void)snprintf(why, WHY_SIZE, "the patient table refuses it: %s", sqlite3_errmsg(db));
    return EXIT_PARTLY;
}

/* EXIT_PARTLY: `why` says what is wrong with it. */
static int record_add(struct import *import, char why[WHY_SIZE])
{
    const char *value[CHART_COUNT];
    char room[CHART_COUNT][CONTACT_SIZE];
    uint64_t hash;
    int code;

    if (import->csv.count != import->mapping.headers) {
        (void)snprintf(why, WHY_SIZE, "has %d fields, and the line of headers %d", import->csv.count,
                       import->mapping.headers);
        return EXIT_PARTLY;
    }
    if (!values_read(import, value, room, why)) return EXIT_PARTLY;
    hash = people_hash(&import->people, value[CHART_FIRST_NAME], value[CHART_LAST_NAME], value[CHART_DATE_OF_BIRTH]);
    if (!person_is_new(import, hash, value[CHART_DATE_OF_BIRTH], why)) return EXIT_PARTLY;
    code = row_insert(import, value, why);
    if (code != EXIT_DONE) return code;
    import->added++;
    return people_add(&import->people, hash, import->csv.line) ? EXIT_DONE : tell(EXIT_REFUSED, "out of memory");
}

static void bad_tell(struct import *import, const char *why)
{
    if (++import->bad > TOLD_MOST) return;
    progress_end(&import->progress);
    (void)tell(EXIT_PARTLY, "line %ld: %s", import->csv.line, why);
}

static bool is_blank(const struct csv *csv)
{
    return csv->count == 1 && csv->field[0][strspn(csv->field[0], " \t")] == '\0';
}

static int records_add(struct import *import)
{
    const char *problem = NULL;
    char why[WHY_SIZE];
    int code = EXIT_DONE;

    while (code == EXIT_DONE || code == EXIT_PARTLY) {
        enum csv_result result = csv_next(&import->csv, &problem);
        if (result == CSV_END || practice_is_interrupted()) break;
        progress_show(&import->progress, import->csv.read);
        if (result == CSV_BAD) code = tell(EXIT_REFUSED, "line %ld %s", import->csv.line, problem);
        else if (!is_blank(&import->csv)) code = record_add(import, why);
        if (code == EXIT_PARTLY) bad_tell(import, why);
    }
    progress_end(&import->progress);
    if (import->bad > TOLD_MOST) (void)tell(0, "and %lld lines more are bad", import->bad - TOLD_MOST);
    if (practice_is_interrupted()) return EXIT_INTERRUPTED;
    return code == EXIT_DONE && import->bad > 0 ? EXIT_PARTLY : code;
}

/* Before and after them */

/* A table of the practice's own is written by its own programs; its rules are not in our columns. */
static int own_table_check(struct import *import)
{
    sqlite3_stmt *statement = practice_prepare(import->practice, mapped_table);
    int code = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    if (practice_step(import->practice, statement) == SQLITE_ROW) {
        code = tell(EXIT_REFUSED, "patients are kept in %s, as portal_map_patient() tells, and import fills the portal's own "
                    "table alone; add them with the practice's program, or to that table with .import of sqlite3",
                    column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    return code;
}

static int rules_read(struct import *import)
{
    sqlite3_stmt *statement = practice_prepare(import->practice, read_rules);
    int code = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    if (practice_step(import->practice, statement) == SQLITE_ROW) {
        (void)snprintf(import->rules.latest, sizeof import->rules.latest, "%s", column_text(statement, 0));
        (void)snprintf(import->rules.country_code, sizeof import->rules.country_code, "%s", column_text(statement, 1));
    } else {
        code = practice_failed(import->practice);
    }
    (void)sqlite3_finalize(statement);
    return code;
}

static int people_read(struct import *import)
{
    sqlite3_stmt *statement = practice_prepare(import->practice, read_people);
    int code = SQLITE_ROW;

    if (statement == NULL) return EXIT_DATABASE;
    while ((code = practice_step(import->practice, statement)) == SQLITE_ROW) {
        uint64_t hash = people_hash(&import->people, column_text(statement, 0), column_text(statement, 1),
                                    column_text(statement, 2));
        if (!people_add(&import->people, hash, 0)) break;
    }
    if (code == SQLITE_ROW) code = tell(EXIT_REFUSED, "out of memory");
    else code = code == SQLITE_DONE ? EXIT_DONE : practice_failed(import->practice);
    (void)sqlite3_finalize(statement);
    return code;
}

/* Fills the columns that the file has; the others get their defaults. */
static int insert_prepare(struct import *import)
{
    sqlite3_str *sql = sqlite3_str_new(import->practice->db);
    const char *before = "INSERT INTO patient (";
    int count = 0;
    char *text;

    for (int i = 0; i < CHART_COUNT; i++) {
        if (import->mapping.from[i] < 0) continue;
        sqlite3_str_appendf(sql, "%s%s", before, chart_columns[i].name);
        before = ", ";
        count++;
    }
    sqlite3_str_appendall(sql, ") VALUES (?");
    while (--count > 0) sqlite3_str_appendall(sql, ", ?");
    sqlite3_str_appendall(sql, ")");
    text = sqlite3_str_finish(sql);
    if (text != NULL) import->insert = practice_prepare(import->practice, text);
    sqlite3_free(text);
    return import->insert == NULL ? EXIT_DATABASE : EXIT_DONE;
}

static int summary(struct invocation *invocation, const struct import *import, bool dry)
{
    sqlite3_stmt *statement = practice_prepare(&invocation->practice,
        invocation->form == OUTPUT_TABLE
            ? "SELECT format('%,d %s %s added, %,d %s left out.', ?1, iif(?1 = 1, 'patient', 'patients'),"
              " iif(?3, 'would be', iif(?1 = 1, 'was', 'were')), ?2, iif(?2 = 1, 'line', 'lines'))"
            : "SELECT ?1 AS added, ?2 AS left_out");
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    (void)sqlite3_bind_int64(statement, 1, import->added);
    (void)sqlite3_bind_int64(statement, 2, import->bad);
    if (invocation->form == OUTPUT_TABLE) (void)sqlite3_bind_int(statement, 3, dry);
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, NULL, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}

/* Ends the transaction: all, or none, or with --skip-bad those that are good. */
static int settle(struct invocation *invocation, struct import *import, int code)
{
    bool dry = command_value(invocation, "dry-run") != NULL;
    bool takes = code == EXIT_DONE || (code == EXIT_PARTLY && command_value(invocation, "skip-bad") != NULL);
    int ended = takes && !dry ? practice_run(import->practice, "COMMIT") : EXIT_DONE;

    if (sqlite3_get_autocommit(import->practice->db) == 0) (void)practice_run(import->practice, "ROLLBACK");
    if (ended != EXIT_DONE || (!takes && code != EXIT_PARTLY)) {
        return tell(ended != EXIT_DONE ? ended : code, "nothing was added");
    }
    if (!takes) {
        return tell(EXIT_REFUSED, "nothing was added; correct the bad lines (%lld), or leave them out with --skip-bad",
                    import->bad);
    }
    ended = summary(invocation, import, dry);
    return ended != EXIT_DONE ? ended : import->added == 0 && import->bad > 0 ? EXIT_REFUSED : code;
}

/* A person is asked whether the headers are understood, unless the file itself is what they type. */
static bool is_confirmed(const struct invocation *invocation, const struct import *import)
{
    char answer[20];

    if (command_value(invocation, "yes") != NULL || command_value(invocation, "dry-run") != NULL ||
        import->csv.file == stdin || !ask_can()) {
        return true;
    }
    return ask_line("Add the patients of this file so? [y/N] ", answer, sizeof answer) &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

static int import_all(struct invocation *invocation, struct import *import)
{
    int code = own_table_check(import);

    if (code == EXIT_DONE) code = mapping_read(&import->mapping, &import->csv, command_value(invocation, "map"));

    if (code == EXIT_DONE && !is_confirmed(invocation, import)) {
        code = tell(practice_is_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED, "nothing was added");
    }
    /* 64 MiB: a page that the index comes back to is not written twice, and readers are kept out for less long. */
    if (code == EXIT_DONE) code = practice_run(import->practice, "PRAGMA cache_size = -65536");
    if (code == EXIT_DONE) code = practice_run(import->practice, "BEGIN IMMEDIATE");
    if (code != EXIT_DONE) return code;
    code = rules_read(import);
    if (code == EXIT_DONE) code = people_read(import);
    if (code == EXIT_DONE) code = insert_prepare(import);
    if (code == EXIT_DONE) code = records_add(import);
    (void)sqlite3_finalize(import->insert);
    return settle(invocation, import, code);
}

/* 0 of what is no file, such as a pipe. */
static int64_t file_size(FILE *file)
{
    struct stat status;

    return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : 0;
}

int import_run(struct invocation *invocation)
{
    const char *path = command_value(invocation, "file");
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    struct import import = {.practice = &invocation->practice,
                            .namesakes = command_value(invocation, "namesakes") != NULL};
    int code;

    if (file == NULL) return tell(EXIT_REFUSED, "%s: %s", path, strerror(errno));
    import.rules.day_first = command_value(invocation, "day-first") != NULL;
    progress_begin(&import.progress, "importing", NULL, file_size(file));
    if (csv_open(&import.csv, file) && people_open(&import.people)) code = import_all(invocation, &import);
    else code = tell(EXIT_REFUSED, "out of memory");
    people_close(&import.people);
    csv_close(&import.csv);
    if (file != stdin) (void)fclose(file);
    return code;
}
