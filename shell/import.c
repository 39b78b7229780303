/* portal import: patients from a file of comma-separated values. */
#include "command.h"
#include "csv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Headers that a column of the chart may have elsewhere; letters and digits are compared alone. */
static const struct {
    const char *column;
    const char *headers;           /* each with a space before and after */
} known[] = {
    {"first_name", " firstname first givenname given "},
    {"last_name", " lastname last familyname family surname "},
    {"date_of_birth", " dateofbirth birthdate birthday dob born "},
    {"sex", " sex gender "},
    {"email", " email emailaddress mail "},
    {"cell_phone", " cellphone cell mobile mobilephone phonecell "},
    {"home_phone", " homephone phone telephone phonehome "},
    {"address_line1", " addressline1 address street address1 "},
    {"address_line2", " addressline2 address2 "},
    {"city", " city town "},
    {"state", " state province "},
    {"postal_code", " postalcode zip zipcode postcode "},
    {"preferred_language", " preferredlanguage language "},
    {"deceased_on", " deceasedon deathdate dateofdeath "},
};
enum { KNOWN = sizeof known / sizeof known[0], FIRST_NAME = 0, LAST_NAME, DATE_OF_BIRTH, DECEASED_ON = KNOWN - 1 };

struct import {
    struct practice *practice;
    struct csv csv;
    int from[KNOWN];               /* the field of each column; -1: the file has none */
    sqlite3_stmt *insert;
    long added, bad;
};

static bool header_is(const char *header, const char *names)
{
    char word[64] = " ";
    size_t length = 1;

    for (; *header != '\0' && length < sizeof word - 2; header++) {
        if (isalnum((unsigned char)*header)) word[length++] = (char)tolower((unsigned char)*header);
    }
    word[length++] = ' ';
    word[length] = '\0';
    return length > 2 && strstr(names, word) != NULL;
}

static void headers_map(struct import *import)
{
    for (int column = 0; column < KNOWN; column++) {
        import->from[column] = -1;
        for (int field = 0; field < import->csv.count && import->from[column] < 0; field++) {
            if (header_is(import->csv.field[field], known[column].headers)) import->from[column] = field;
        }
        if (import->from[column] < 0) continue;
        (void)fprintf(stderr, "%-20s from %s\n", known[column].column, import->csv.field[import->from[column]]);
    }
}

/* 1985-12-10 stays; 12/10/1985 becomes it. */
static const char *date_read(const char *text, char out[16])
{
    int month, day, year;
    char end;

    if (sscanf(text, "%2d/%2d/%4d%c", &month, &day, &year, &end) != 3) return text;
    (void)snprintf(out, 16, "%04d-%02d-%02d", year, month, day);
    return out;
}

/* What is wrong with the record; NULL: it was added. */
static const char *record_add(struct import *import)
{
    char date[2][16];
    int code;

    (void)sqlite3_clear_bindings(import->insert);
    for (int column = 0; column < KNOWN; column++) {
        int field = import->from[column];
        const char *text = field < 0 || field >= import->csv.count ? "" : import->csv.field[field];
        if (column == DATE_OF_BIRTH || column == DECEASED_ON) text = date_read(text, date[column == DECEASED_ON]);
        if (*text != '\0') (void)sqlite3_bind_text(import->insert, column + 1, text, -1, SQLITE_TRANSIENT);
        else if (column <= DATE_OF_BIRTH) return "first name, last name or date of birth is missing";
    }
    code = sqlite3_step(import->insert);
    (void)sqlite3_reset(import->insert);
    return code == SQLITE_DONE ? NULL : sqlite3_errmsg(import->practice->db);
}

static int records_add(struct import *import)
{
    const char *problem = NULL;
    enum csv_result result;

    while ((result = csv_next(&import->csv, &problem)) != CSV_END && !practice_is_interrupted()) {
        if (result == CSV_RECORD) problem = record_add(import);
        if (problem == NULL) {
            import->added++;
            continue;
        }
        import->bad++;
        (void)fprintf(stderr, "line %ld: %s\n", import->csv.line, problem);
        if (result == CSV_BAD) break;
    }
    return practice_is_interrupted() ? EXIT_INTERRUPTED : import->bad > 0 ? EXIT_PARTLY : EXIT_DONE;
}

static sqlite3_stmt *insert_prepare(struct practice *practice)
{
    sqlite3_str *sql = sqlite3_str_new(practice->db);
    sqlite3_stmt *statement = NULL;
    char *text;

    for (int i = 0; i < KNOWN; i++) sqlite3_str_appendf(sql, "%s%s", i == 0 ? "INSERT INTO patient (" : ", ", known[i].column);
    for (int i = 0; i < KNOWN; i++) sqlite3_str_appendf(sql, "%s?%d", i == 0 ? ") VALUES (" : ", ", i + 1);
    sqlite3_str_appendall(sql, ")");
    text = sqlite3_str_finish(sql);
    if (text != NULL) statement = practice_prepare(practice, text);
    sqlite3_free(text);
    return statement;
}

static int import_all(struct import *import, bool skips)
{
    const char *problem = NULL;
    int code;

    if (csv_next(&import->csv, &problem) != CSV_RECORD) {
        (void)fprintf(stderr, "portal: the file has no line of headers\n");
        return EXIT_REFUSED;
    }
    headers_map(import);
    if (import->from[FIRST_NAME] < 0 || import->from[LAST_NAME] < 0 || import->from[DATE_OF_BIRTH] < 0) {
        (void)fprintf(stderr, "portal: the file lacks a first name, a last name or a date of birth\n");
        return EXIT_REFUSED;
    }
    code = practice_run(import->practice, "BEGIN IMMEDIATE");
    if (code != EXIT_DONE) return code;
    import->insert = insert_prepare(import->practice);
    code = import->insert == NULL ? EXIT_DATABASE : records_add(import);
    (void)sqlite3_finalize(import->insert);
    if (code == EXIT_DONE || (code == EXIT_PARTLY && skips)) {
        int committed = practice_run(import->practice, "COMMIT");
        (void)printf("%ld patients were added, %ld lines were left out.\n", import->added, import->bad);
        return committed != EXIT_DONE ? committed : code;
    }
    (void)practice_run(import->practice, "ROLLBACK");
    (void)fprintf(stderr, "portal: nothing was added; --skip-bad adds the others\n");
    return code == EXIT_PARTLY ? EXIT_REFUSED : code;
}

int import_run(struct invocation *invocation)
{
    const char *path = command_value(invocation, "file");
    FILE *file = fopen(path, "r");
    struct import import = {.practice = &invocation->practice};
    int code = EXIT_REFUSED;

    if (file == NULL) {
        (void)fprintf(stderr, "portal: %s: %s\n", path, strerror(errno));
        return EXIT_REFUSED;
    }
    if (csv_open(&import.csv, file)) code = import_all(&import, command_value(invocation, "skip-bad") != NULL);
    csv_close(&import.csv);
    (void)fclose(file);
    return code;
}
