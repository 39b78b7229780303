#include "output.h"

#include "columns.h"
#include "json.h"
#include "tell.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static const char *cell_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text == NULL ? "" : text;
}

static int json_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows)
{
    int code;

    while ((code = practice_step(practice, statement)) == SQLITE_ROW && ferror(out) == 0) {
        sqlite3_str *row = sqlite3_str_new(practice->db);
        char *text;
        sqlite3_str_appendall(row, (*rows)++ == 0 ? "[{" : ",\n {");
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            int type = sqlite3_column_type(statement, i);
            if (i > 0) sqlite3_str_appendall(row, ", ");
            json_append(row, sqlite3_column_name(statement, i));
            sqlite3_str_appendall(row, ": ");
            if (type == SQLITE_NULL) sqlite3_str_appendall(row, "null");
            else if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) sqlite3_str_appendall(row, cell_text(statement, i));
            else json_append(row, cell_text(statement, i));
        }
        sqlite3_str_appendall(row, "}");
        text = sqlite3_str_finish(row);
        if (text == NULL) return SQLITE_NOMEM;
        (void)fputs(text, out);
        sqlite3_free(text);
    }
    if (*rows > 0 || code == SQLITE_DONE) (void)fputs(*rows == 0 ? "[]\n" : "]\n", out);
    return code;
}

static void csv_write(FILE *out, const char *text, bool last)
{
    if (text[strcspn(text, "\",\r\n")] == '\0') {
        (void)fputs(text, out);
    } else {
        (void)fputc('"', out);
        for (; *text != '\0'; text++) (void)(*text == '"' ? fputs("\"\"", out) : fputc(*text, out));
        (void)fputc('"', out);
    }
    (void)fputs(last ? "\r\n" : ",", out);
}

static int csv_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows)
{
    int columns = sqlite3_column_count(statement);
    int code = practice_step(practice, statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
    for (int i = 0; i < columns; i++) csv_write(out, sqlite3_column_name(statement, i), i + 1 == columns);
    for (; code == SQLITE_ROW && ferror(out) == 0; code = practice_step(practice, statement)) {
        for (int i = 0; i < columns; i++) csv_write(out, cell_text(statement, i), i + 1 == columns);
        ++*rows;
    }
    return code;
}

/* A pipe whose reader is gone; errno is no witness, because an earlier write may have met it. */
static bool is_unread(FILE *out)
{
    struct pollfd file = {.fd = fileno(out)};

    return poll(&file, 1, 0) == 1 && (file.revents & POLLERR) != 0;
}

int output_end(FILE *out)
{
    int failed;

    errno = 0;
    if (fflush(out) == 0 && ferror(out) == 0) return EXIT_DONE;
    failed = errno;
    if (is_unread(out)) return EXIT_PIPE;
    return tell(EXIT_REFUSED, "the output is not whole%s%s", failed == 0 ? "" : ": ", failed == 0 ? "" : strerror(failed));
}

int output_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, enum output_form form,
                const char *empty, long *rows)
{
    static int (*const forms[])(struct practice *, sqlite3_stmt *, FILE *, long *) = {
        [OUTPUT_TABLE] = columns_rows, [OUTPUT_JSON] = json_rows, [OUTPUT_CSV] = csv_rows,
    };
    long counted = 0;
    int code = forms[form](practice, statement, out, &counted);
    int ended;

    if (rows != NULL) *rows = counted;
    if (code == SQLITE_DONE && counted == 0 && form == OUTPUT_TABLE && empty != NULL) (void)fprintf(out, "%s\n", empty);
    ended = output_end(out);
    if (ended != EXIT_DONE) return ended;
    return code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
}
