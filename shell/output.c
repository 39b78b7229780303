#include "output.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

/* So many rows decide how wide the columns are; what comes after them is written as it comes. */
enum { SAMPLE = 1000, NARROWEST = 8, GAP = 2, TERMINAL_MOST = 10000 };

/* U+2068 and U+2069 keep a name that runs from right to left in its own cell (UAX #9). */
#define ISOLATE "\xe2\x81\xa8"
#define ISOLATE_END "\xe2\x81\xa9"
#define ELLIPSIS "\xe2\x80\xa6"

struct table {
    FILE *out;
    bool terminal;
    int columns;
    int *width;
    char **cells;              /* of the sample, row by row */
    long rows;
};

/* Characters */

/* The next one, its bytes and the columns it takes; what is no text, or would move the cursor, takes one as "?". */
static size_t character(const char *text, int *columns, bool *shown)
{
    utf8proc_int32_t point = -1;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);
    utf8proc_category_t category = size > 0 ? utf8proc_category(point) : UTF8PROC_CATEGORY_CC;

    *shown = category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP;
    *columns = *shown ? utf8proc_charwidth(point) : 1;
    return size > 0 ? (size_t)size : 1;
}

static int text_width(const char *text)
{
    int width = 0;

    while (*text != '\0') {
        int columns;
        bool shown;
        text += character(text, &columns, &shown);
        width += columns;
    }
    return width;
}

static bool is_right_to_left(const char *text)
{
    while (*text != '\0') {
        utf8proc_int32_t point = -1;
        utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);
        utf8proc_bidi_class_t class = size > 0 ? (utf8proc_bidi_class_t)utf8proc_get_property(point)->bidi_class : 0;
        if (class == UTF8PROC_BIDI_CLASS_R || class == UTF8PROC_BIDI_CLASS_AL) return true;
        text += size > 0 ? size : 1;
    }
    return false;
}

/* Tables */

static int terminal_width(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long width = columns == NULL ? 0 : strtol(columns, NULL, 10);

    if (width <= 0 && ioctl(fileno(out), TIOCGWINSZ, &size) == 0) width = size.ws_col;
    return width > 0 && width < TERMINAL_MOST ? (int)width : 80;
}

/* Writes a cell of so many columns: cut with an ellipsis when it is longer, filled but for the last. */
static void cell_write(const struct table *table, const char *text, int column)
{
    int left = table->width[column];
    bool whole = text_width(text) <= left;
    bool marked = table->terminal && is_right_to_left(text);

    if (marked) (void)fputs(ISOLATE, table->out);
    while (*text != '\0') {
        int columns;
        bool shown;
        size_t size = character(text, &columns, &shown);
        if (columns > left - (whole ? 0 : 1)) break;
        if (shown) (void)fwrite(text, 1, size, table->out);
        else (void)fputc('?', table->out);
        text += size;
        left -= columns;
    }
    if (!whole && left > 0) {
        (void)fputs(ELLIPSIS, table->out);
        left--;
    }
    if (marked) (void)fputs(ISOLATE_END, table->out);
    if (column + 1 < table->columns) (void)fprintf(table->out, "%*s", left + GAP, "");
}

static void row_write(const struct table *table, char *const *cells)
{
    for (int i = 0; i < table->columns; i++) cell_write(table, cells[i], i);
    (void)fputc('\n', table->out);
}

/* The widest columns give way until all fit. */
static void table_fit(struct table *table, int width)
{
    for (;;) {
        int total = GAP * (table->columns - 1);
        int widest = 0;
        for (int i = 0; i < table->columns; i++) {
            total += table->width[i];
            if (table->width[i] > table->width[widest]) widest = i;
        }
        if (total <= width || table->width[widest] <= NARROWEST) return;
        table->width[widest]--;
    }
}

static const char *cell_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text == NULL ? "" : text;
}

static void head_write(const struct table *table, sqlite3_stmt *statement)
{
    bool bold = table->terminal && getenv("NO_COLOR") == NULL;

    if (bold) (void)fputs("\x1b[1m", table->out);
    for (int i = 0; i < table->columns; i++) cell_write(table, sqlite3_column_name(statement, i), i);
    (void)fputs(bold ? "\x1b[0m\n" : "\n", table->out);
}

/* Head and sample, once it is known how wide they are. */
static void sample_write(struct table *table, sqlite3_stmt *statement)
{
    if (table->terminal) table_fit(table, terminal_width(table->out));
    head_write(table, statement);
    for (long row = 0; row < table->rows; row++) row_write(table, table->cells + row * table->columns);
}

static bool sample_take(struct table *table, sqlite3_stmt *statement)
{
    for (int i = 0; i < table->columns; i++) {
        char *cell = strdup(cell_text(statement, i));
        int width = cell == NULL ? 0 : text_width(cell);
        if (cell == NULL) return false;
        table->cells[table->rows * table->columns + i] = cell;
        if (width > table->width[i]) table->width[i] = width;
    }
    table->rows++;
    return true;
}

static bool table_begin(struct table *table, sqlite3_stmt *statement, FILE *out)
{
    table->out = out;
    table->terminal = isatty(fileno(out)) != 0;
    table->columns = sqlite3_column_count(statement);
    table->rows = 0;
    table->width = calloc((size_t)table->columns + 1, sizeof *table->width);
    table->cells = calloc((size_t)table->columns * SAMPLE + 1, sizeof *table->cells);
    if (table->width == NULL || table->cells == NULL) return false;
    for (int i = 0; i < table->columns; i++) table->width[i] = text_width(sqlite3_column_name(statement, i));
    return true;
}

static void table_end(struct table *table)
{
    for (long i = 0; table->cells != NULL && i < SAMPLE * (long)table->columns; i++) free(table->cells[i]);
    free(table->cells);
    free(table->width);
}

static int row_rest(struct table *table, sqlite3_stmt *statement)
{
    const char *cells[table->columns];

    for (int i = 0; i < table->columns; i++) cells[i] = cell_text(statement, i);
    row_write(table, (char *const *)cells);
    return SQLITE_OK;
}

/* SQLITE_DONE, or what went wrong. */
static int table_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows)
{
    struct table table;
    int code = table_begin(&table, statement, out) ? practice_step(practice, statement) : SQLITE_NOMEM;

    for (; code == SQLITE_ROW; code = practice_step(practice, statement)) {
        if (*rows == SAMPLE) sample_write(&table, statement);
        if (++*rows > SAMPLE) (void)row_rest(&table, statement);
        else if (!sample_take(&table, statement)) break;
    }
    if (code == SQLITE_ROW) code = SQLITE_NOMEM;
    if (*rows == 1 && table.columns == 1 && table.rows == 1) (void)fprintf(out, "%s\n", table.cells[0]);
    else if (*rows > 0 && *rows <= SAMPLE) sample_write(&table, statement);
    table_end(&table);
    return code;
}

/* For scripts */

static int json_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows)
{
    int code;

    while ((code = practice_step(practice, statement)) == SQLITE_ROW) {
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
    for (; code == SQLITE_ROW; code = practice_step(practice, statement)) {
        for (int i = 0; i < columns; i++) csv_write(out, cell_text(statement, i), i + 1 == columns);
        ++*rows;
    }
    return code;
}

int output_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, enum output_form form,
                const char *empty, long *rows)
{
    static int (*const forms[])(struct practice *, sqlite3_stmt *, FILE *, long *) = {
        [OUTPUT_TABLE] = table_rows, [OUTPUT_JSON] = json_rows, [OUTPUT_CSV] = csv_rows,
    };
    long counted = 0;
    int code = forms[form](practice, statement, out, &counted);

    if (rows != NULL) *rows = counted;
    if (code != SQLITE_DONE) return practice_failed(practice);
    if (counted == 0 && form == OUTPUT_TABLE && empty != NULL) (void)fprintf(out, "%s\n", empty);
    return fflush(out) == 0 ? EXIT_DONE : EXIT_REFUSED;
}
