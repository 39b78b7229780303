#include "columns.h"

#include "calendar.h"
#include "terminal.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So many rows decide how wide the columns are; what comes after them is written as it comes. */
enum { SAMPLE = 1000 };

/* No column of longer texts is narrower: where there is no room for that, there are no columns. */
enum { NARROWEST = 16, VALUE_NARROWEST = 8, GAP = 2 };

/* More columns than any statement of ours has. */
enum { COLUMNS_MOST = 64 };

enum column_kind { PLAIN, TIME, STATUS, BAR };

struct column {
    const char *name;
    enum column_kind kind;
    int width;
};

struct table {
    FILE *out;
    bool terminal, colours;
    bool stacked;              /* a line for each value */
    int room;                  /* columns of the terminal */
    int count;
    struct column column[COLUMNS_MOST];
    char **cells;              /* of the sample, row by row */
    long rows;
};

/* Values */

static enum column_kind kind_of(const char *name)
{
    size_t length = strlen(name);

    if (strcmp(name, "status") == 0) return STATUS;
    if (strncmp(name, "\u2588", strlen("\u2588")) == 0) return BAR;
    return strcmp(name, "at") == 0 || (length > 3 && strcmp(name + length - 3, "_at") == 0) ? TIME : PLAIN;
}

/* "2026-11-22 14:20:00" of UTC as local time with its zone; any other text as it is. */
static const char *time_local(const char *text, char out[CALENDAR_TIME_SIZE])
{
    struct tm utc;
    const char *end;

    memset(&utc, 0, sizeof utc);
    end = strptime(text, "%Y-%m-%d %H:%M:%S", &utc);
    if (end == NULL || *end != '\0') return text;
    calendar_local(timegm(&utc), out);
    return out;
}

/* What a column shows of the row; NULL is nothing.  `buffer` may hold it. */
static const char *cell_text(const struct table *table, sqlite3_stmt *statement, int i,
                             char buffer[CALENDAR_TIME_SIZE])
{
    const char *text = (const char *)sqlite3_column_text(statement, i);

    if (text == NULL) return "";
    return table->column[i].kind == TIME ? time_local(text, buffer) : text;
}

static const char *colour_of(const char *status)
{
    static const struct { const char *status; const char *colour; } rows[] = {
        {"registered", "\x1b[32m"}, {"delivered", "\x1b[32m"}, {"ok", "\x1b[32m"},
        {"queued", "\x1b[33m"},     {"claimed", "\x1b[33m"},   {"warning", "\x1b[33m"},
        {"failed", "\x1b[31m"},     {"bounced", "\x1b[31m"},   {"problem", "\x1b[31m"},
        {"revoked", "\x1b[31m"},    {"expired", "\x1b[31m"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].status, status) == 0) return rows[i].colour;
    }
    return NULL;
}

/* Writing */

/* `size` bytes of a value, in its colour. */
static void value_write(const struct table *table, int i, const char *value, const char *text, size_t size)
{
    static const char green[] = "\x1b[32m";
    const char *colour = NULL;

    if (table->colours && table->column[i].kind == STATUS) colour = colour_of(value);
    if (table->colours && table->column[i].kind == BAR) colour = green;
    if (colour != NULL) (void)fputs(colour, table->out);
    if (table->terminal) text_write_isolated(table->out, text, size);
    else text_write(table->out, text, size);
    if (colour != NULL) (void)fputs("\x1b[0m", table->out);
}

/* The next line of a value, and what is left of it: nothing wraps that no terminal shows. */
static const char *line_write(const struct table *table, int i, const char *value, const char *text, int width,
                              int *columns)
{
    size_t size = strlen(text);

    if (table->terminal) size = text_line(text, width, columns);
    else *columns = text_width(text);
    value_write(table, i, value, text, size);
    return text_after(text, size);
}

/* A line on the terminal, or several: each has the next line of every cell. */
static void row_columns(const struct table *table, const char *const *cells)
{
    const char *left[COLUMNS_MOST];
    bool more = true;

    memcpy(left, cells, (size_t)table->count * sizeof *left);
    while (more) {
        int blank = 0;             /* that stand before the next text: none end a line */
        more = false;
        for (int i = 0; i < table->count; i++) {
            int columns = 0;
            if (*left[i] != '\0') {
                (void)fprintf(table->out, "%*s", blank, "");
                left[i] = line_write(table, i, cells[i], left[i], table->column[i].width, &columns);
                blank = 0;
            }
            more = more || *left[i] != '\0';
            blank += (columns < table->column[i].width ? table->column[i].width - columns : 0) + GAP;
        }
        (void)fputc('\n', table->out);
    }
}

static void name_write(const struct table *table, const char *name)
{
    if (table->colours) (void)fputs("\x1b[1m", table->out);
    text_write(table->out, name, strlen(name));
    if (table->colours) (void)fputs("\x1b[0m", table->out);
}

/* A line for each value, or several; where names leave no room, the values stand below them. */
static void row_stacked(const struct table *table, const char *const *cells)
{
    int names = 0;
    int width;
    bool below;

    for (int i = 0; i < table->count; i++) {
        int own = text_width(table->column[i].name);
        if (own > names) names = own;
    }
    below = table->room - names - GAP < VALUE_NARROWEST;
    width = below ? table->room - GAP : table->room - names - GAP;
    for (int i = 0; i < table->count; i++) {
        const char *text = cells[i];
        int indent = below ? GAP : names - text_width(table->column[i].name) + GAP;
        if (*text == '\0') continue;
        name_write(table, table->column[i].name);
        if (below) (void)fputc('\n', table->out);
        while (*text != '\0') {
            int columns = 0;
            (void)fprintf(table->out, "%*s", indent, "");
            text = line_write(table, i, cells[i], text, width > 1 ? width : 1, &columns);
            (void)fputc('\n', table->out);
            indent = below ? GAP : names + GAP;
        }
    }
    (void)fputc('\n', table->out);
}

static void row_write(const struct table *table, const char *const *cells)
{
    if (table->stacked) row_stacked(table, cells);
    else row_columns(table, cells);
}

/* Layout */

/* The widest columns give way until all fit; stacked when that would make them too narrow. */
static void table_fit(struct table *table)
{
    for (;;) {
        int total = GAP * (table->count - 1);
        int widest = 0;
        for (int i = 0; i < table->count; i++) {
            total += table->column[i].width;
            if (table->column[i].width > table->column[widest].width) widest = i;
        }
        table->stacked = total > table->room && table->column[widest].width <= NARROWEST;
        if (total <= table->room || table->stacked) return;
        table->column[widest].width--;
    }
}

static void head_write(const struct table *table)
{
    int blank = 0;

    for (int i = 0; i < table->count; i++) {
        (void)fprintf(table->out, "%*s", blank, "");
        name_write(table, table->column[i].name);
        blank = table->column[i].width - text_width(table->column[i].name) + GAP;
    }
    (void)fputc('\n', table->out);
}

/* Head and sample, once it is known how wide they are. */
static void sample_write(struct table *table)
{
    if (table->terminal) table_fit(table);
    if (!table->stacked) head_write(table);
    for (long row = 0; row < table->rows; row++) {
        row_write(table, (const char *const *)table->cells + row * table->count);
    }
}

static bool sample_take(struct table *table, sqlite3_stmt *statement)
{
    for (int i = 0; i < table->count; i++) {
        char buffer[CALENDAR_TIME_SIZE];
        char *cell = strdup(cell_text(table, statement, i, buffer));
        int width = cell == NULL ? 0 : text_width(cell);
        if (cell == NULL) return false;
        table->cells[table->rows * table->count + i] = cell;
        if (width > table->column[i].width) table->column[i].width = width;
    }
    table->rows++;
    return true;
}

static void row_rest(const struct table *table, sqlite3_stmt *statement)
{
    const char *cells[COLUMNS_MOST];
    char buffer[COLUMNS_MOST][CALENDAR_TIME_SIZE];

    for (int i = 0; i < table->count; i++) cells[i] = cell_text(table, statement, i, buffer[i]);
    row_write(table, cells);
}

static bool table_begin(struct table *table, sqlite3_stmt *statement, FILE *out)
{
    memset(table, 0, sizeof *table);
    table->out = out;
    table->terminal = terminal_is(out);
    table->colours = terminal_colours(out);
    table->room = terminal_width(out);
    table->count = sqlite3_column_count(statement);
    if (table->count > COLUMNS_MOST) table->count = COLUMNS_MOST;
    table->cells = calloc((size_t)table->count * SAMPLE + 1, sizeof *table->cells);
    for (int i = 0; i < table->count; i++) {
        const char *name = sqlite3_column_name(statement, i);
        table->column[i] = (struct column){name, kind_of(name), text_width(name)};
    }
    return table->cells != NULL;
}

static void table_end(struct table *table)
{
    for (long i = 0; table->cells != NULL && i < table->rows * table->count; i++) free(table->cells[i]);
    free(table->cells);
}

int columns_rows(struct practice *practice, sqlite3_stmt *statement, FILE *out, long *rows)
{
    struct table table;
    int code = table_begin(&table, statement, out) ? practice_step(practice, statement) : SQLITE_NOMEM;

    for (; code == SQLITE_ROW && ferror(out) == 0; code = practice_step(practice, statement)) {
        if (*rows == SAMPLE) sample_write(&table);
        if (++*rows > SAMPLE) row_rest(&table, statement);
        else if (!sample_take(&table, statement)) break;
    }
    if (code == SQLITE_ROW && ferror(out) == 0) code = SQLITE_NOMEM;
    if (*rows == 1 && table.count == 1 && table.rows == 1) {
        text_write(out, table.cells[0], strlen(table.cells[0]));
        (void)fputc('\n', out);
    } else if (*rows > 0 && *rows <= SAMPLE) {
        sample_write(&table);
    }
    table_end(&table);
    return code;
}
