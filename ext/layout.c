#include "layout.h"

#include "connection.h"
#include "field.h"

#include <string.h>

static const char read_mapping[] =
    "SELECT field, source, format, requests FROM main.portal_mapping ORDER BY field";

static const struct { const char *name; enum format_kind kind; } own[FIELD_COUNT] = {
#define LAYOUT_ROW(name, kind) {#name, kind},
    LAYOUT_LIST(LAYOUT_ROW)
#undef LAYOUT_ROW
};

/* What stands in SQL for the practice's own table and what hangs on it. */
static const char chart[] = "main.patient";
static const char born[] = "date_of_birth = ?";
static const char own_fields[] = "/* own fields of p */";

/* What the subquery calls the date of birth as the practice writes it: no field has such a name. */
static const char as_written[] = "date of birth";

const char *layout_own_name(int index)
{
    return own[index].name;
}

int layout_own(const char *name)
{
    int index = 0;

    while (index < FIELD_COUNT && strcmp(own[index].name, name) != 0) index++;
    return index < FIELD_COUNT ? index : -1;
}

static void field_clear(struct layout_field *field)
{
    sqlite3_free(field->column);
    sqlite3_free(field->read);
    sqlite3_free(field->write);
}

void layout_free(struct layout *layout)
{
    if (layout == NULL) return;
    for (int i = 0; i < layout->count; i++) field_clear(&layout->field[i]);
    for (int i = 0; i < LAYOUT_INSERTS; i++) sqlite3_free(layout->insert[i]);
    sqlite3_free(layout->table);
    sqlite3_free(layout->from);
    sqlite3_free(layout->problem);
    sqlite3_free(layout);
}

struct layout *layout_new(void)
{
    struct layout *layout = sqlite3_malloc(sizeof *layout);

    if (layout == NULL) return NULL;
    memset(layout, 0, sizeof *layout);
    layout->count = FIELD_COUNT;
    for (int i = 0; i < FIELD_COUNT; i++) {
        (void)sqlite3_snprintf(LAYOUT_NAME_SIZE, layout->field[i].name, "%s", own[i].name);
        layout->field[i].format = format_find(own[i].kind, NULL);
    }
    return layout;
}

/* A name that can be a member of JSON and of a form. */
static bool is_name(const char *name)
{
    return *name != '\0' && strlen(name) < LAYOUT_NAME_SIZE &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

struct layout_field *layout_place(struct layout *layout, const char *name)
{
    struct layout_field *field;

    for (int i = 0; i < layout->count; i++) {
        if (strcmp(layout->field[i].name, name) == 0) return &layout->field[i];
    }
    if (layout->count == FIELD_COUNT + LAYOUT_OWN_MAX || !is_name(name)) return NULL;
    field = &layout->field[layout->count++];
    (void)sqlite3_snprintf(LAYOUT_NAME_SIZE, field->name, "%s", name);
    field->format = format_find(FORMAT_TEXT, NULL);
    return field;
}

enum format_kind layout_kind(const struct layout_field *field)
{
    int index = layout_own(field->name);

    return index < 0 ? FORMAT_TEXT : own[index].kind;
}

/* Making its SQL */

/* As t."DOB", which can be nothing but a column: "DOB" alone would be a text where there is none. */
static void member_append(sqlite3_str *out, const struct layout_field *field, const char *between)
{
    sqlite3_str_appendall(out, between);
    if (field->column == NULL) sqlite3_str_appendall(out, "NULL");
    else format_append(out, field->format->read, "t.", field->column, "");
    sqlite3_str_appendf(out, " AS \"%w\"", field->name);
}

static char *from_make(const struct layout *layout)
{
    sqlite3_str *out = sqlite3_str_new(NULL);

    for (int i = 0; i < layout->count; i++) {
        if (i < FIELD_COUNT || layout->field[i].column != NULL) {
            member_append(out, &layout->field[i], i == 0 ? "(SELECT " : ", ");
        }
    }
    sqlite3_str_appendf(out, ", t.\"%w\" AS \"%w\" FROM main.\"%w\" AS t)",
                        layout->field[FIELD_date_of_birth].column, as_written, layout->table);
    return sqlite3_str_finish(out);
}

/* What Quick Add writes, by what it was given.  A consent goes with the contact of a channel. */
static bool is_written(const struct layout_field *field, enum layout_field_id id, enum layout_insert insert)
{
    static const enum layout_field_id always[] = {FIELD_first_name, FIELD_last_name, FIELD_date_of_birth, FIELD_phr_active};

    if (field->column == NULL || field->generated) return false;
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        if (always[i] == id) return true;
    }
    if (id == FIELD_patient_id) return field->format->write != NULL;
    if (id == FIELD_email || id == FIELD_email_consent) return insert == LAYOUT_INSERT_EMAIL;
    return insert == LAYOUT_INSERT_TEXT && (id == FIELD_cell_phone || id == FIELD_text_consent);
}

static void value_append(sqlite3_str *out, const struct layout *layout, const struct layout_field *field)
{
    char given[LAYOUT_NAME_SIZE + 2];

    (void)sqlite3_snprintf((int)sizeof given, given, "o.%s", field->name);
    format_append(out, field->format->write, "", field->column,
                  field->format->kind == FORMAT_KEY ? layout->table : given);
}

static char *insert_make(const struct layout *layout, enum layout_insert insert)
{
    sqlite3_str *columns = sqlite3_str_new(NULL);
    sqlite3_str *values = sqlite3_str_new(NULL);
    char *texts[2];
    char *sql = NULL;

    for (int i = 0; i < FIELD_COUNT; i++) {
        const struct layout_field *field = &layout->field[i];
        const char *comma = sqlite3_str_length(columns) == 0 ? "" : ", ";
        if (!is_written(field, (enum layout_field_id)i, insert)) continue;
        sqlite3_str_appendf(columns, "%s\"%w\"", comma, field->column);
        sqlite3_str_appendall(values, comma);
        value_append(values, layout, field);
    }
    texts[0] = sqlite3_str_finish(columns);
    texts[1] = sqlite3_str_finish(values);
    if (texts[0] != NULL && texts[1] != NULL) {
        sql = sqlite3_mprintf("INSERT INTO main.\"%w\" (%s) SELECT %s"
                              " FROM (SELECT ?1 AS first_name, ?2 AS last_name, ?3 AS date_of_birth, ?4 AS email,"
                              " ?5 AS cell_phone, CAST(?6 AS TEXT) AS phr_active, '1' AS email_consent,"
                              " '1' AS text_consent) AS o RETURNING \"%w\".\"%w\"",
                              layout->table, texts[0], texts[1], layout->table, layout->field[FIELD_patient_id].column);
    }
    sqlite3_free(texts[0]);
    sqlite3_free(texts[1]);
    return sql;
}

/* An empty text where the practice's column takes no NULL. */
static char *write_make(const struct layout *layout, const struct layout_field *field)
{
    enum format_kind kind = layout_kind(field);
    bool emptied = field->not_null && (kind == FORMAT_TEXT || kind == FORMAT_LANGUAGE);
    sqlite3_str *out = sqlite3_str_new(NULL);

    sqlite3_str_appendf(out, "UPDATE main.\"%w\" SET \"%w\" = ", layout->table, field->column);
    format_append(out, field->format->write, "", field->column, emptied ? "coalesce(?2, '')" : "?2");
    /* Not by another name: that of a view SQLite does not find here. */
    sqlite3_str_appendf(out, " WHERE \"%w\".\"%w\" = ?1", layout->table, layout->field[FIELD_patient_id].column);
    return sqlite3_str_finish(out);
}

static int field_make(struct portal *portal, const struct layout *layout, struct layout_field *field)
{
    if (!field->requests || field->column == NULL) return SQLITE_OK;
    field->read = sqlite3_mprintf("SELECT \"%w\" FROM main.patient WHERE patient_id = ?1", field->name);
    field->write = write_make(layout, field);
    return field->read == NULL || field->write == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

int layout_columns(struct portal *portal, const struct layout *layout, int (*take)(void *data, sqlite3_stmt *row), void *data)
{
    char *sql = sqlite3_mprintf("PRAGMA main.table_xinfo(\"%w\")", layout->table);
    sqlite3_stmt *row = NULL;
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(portal->db, sql, -1, &row, NULL);

    sqlite3_free(sql);
    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) code = take(data, row);
    (void)sqlite3_finalize(row);
    return code == SQLITE_DONE ? SQLITE_OK : fault(portal, code);
}

static int column_look(void *data, sqlite3_stmt *row)
{
    enum { NAME = 1, NOT_NULL = 3, HIDDEN = 6, GENERATED = 2 };
    struct layout *layout = data;
    const char *name = statement_string(row, NAME);

    for (int i = 0; i < layout->count; i++) {
        struct layout_field *field = &layout->field[i];
        if (field->column == NULL || sqlite3_stricmp(field->column, name) != 0) continue;
        field->generated = sqlite3_column_int(row, HIDDEN) >= GENERATED;
        field->not_null = sqlite3_column_int(row, NOT_NULL) != 0;
    }
    return SQLITE_OK;
}

int layout_look(struct portal *portal, struct layout *layout)
{
    return layout_columns(portal, layout, column_look, layout);
}

int layout_make(struct portal *portal, struct layout *layout)
{
    int code = SQLITE_OK;

    for (int i = 0; i < layout->count && code == SQLITE_OK; i++) {
        code = field_make(portal, layout, &layout->field[i]);
    }
    if (code != SQLITE_OK) return code;
    layout->from = from_make(layout);
    if (layout->from == NULL) return fault(portal, SQLITE_NOMEM);
    for (int i = 0; i < LAYOUT_INSERTS; i++) {
        layout->insert[i] = insert_make(layout, (enum layout_insert)i);
        if (layout->insert[i] == NULL) return fault(portal, SQLITE_NOMEM);
    }
    return SQLITE_OK;
}

/* Reading it */

static int text_copy(struct portal *portal, char **out, const char *text)
{
    sqlite3_free(*out);
    *out = sqlite3_mprintf("%s", text);
    return *out == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int problem_set(struct portal *portal, struct layout *layout, const char *field, const char *what)
{
    if (layout->problem != NULL) return SQLITE_OK;
    layout->problem = sqlite3_mprintf("portal_mapping: %s %s", field, what);
    return layout->problem == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* A row: anybody may have written it. */
static int row_take(struct portal *portal, struct layout *layout, sqlite3_stmt *row)
{
    const char *name = statement_string(row, 0);
    const char *source = statement_string(row, 1);
    const char *format = (const char *)sqlite3_column_text(row, 2);
    struct layout_field *field;

    if (strcmp(name, "table") == 0) return text_copy(portal, &layout->table, source);
    field = layout_place(layout, name);
    if (field == NULL) return problem_set(portal, layout, name, "is no name of a field");
    field->format = format_find(layout_kind(field), format);
    if (field->format == NULL) return problem_set(portal, layout, name, "has an unknown format");
    field->requests = sqlite3_column_int(row, 3) != 0;
    if (field->requests && layout_own(name) >= 0 && field_find(name) == NULL) {
        return problem_set(portal, layout, name, "is nothing that a patient may ask to change");
    }
    return text_copy(portal, &field->column, source);
}

static int rows_take(struct portal *portal, struct layout *layout, bool *any)
{
    sqlite3_stmt *row = NULL;
    int code = statement_row(portal, &row, read_mapping, "");

    *any = code == SQLITE_ROW;
    while (code == SQLITE_ROW) {
        code = row_take(portal, layout, row);
        if (code == SQLITE_OK) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    if (code != SQLITE_DONE || !*any) return code == SQLITE_DONE ? SQLITE_OK : code;
    for (int i = 0; i < FIELD_REQUIRED; i++) {
        if (layout->field[i].column == NULL) return problem_set(portal, layout, own[i].name, "is missing");
    }
    return layout->table == NULL ? problem_set(portal, layout, "table", "is missing") : SQLITE_OK;
}

static bool is_of(const void *data, const char *sql)
{
    const struct layout *layout = data;

    if (layout_concerns(sql)) return true;
    for (int i = 0; layout != NULL && i < LAYOUT_INSERTS; i++) {
        if (layout->insert[i] == sql) return true;
    }
    for (int i = 0; layout != NULL && i < layout->count; i++) {
        if (layout->field[i].write == sql) return true;
    }
    return false;
}

void layout_use(struct portal *portal, struct layout *layout)
{
    statement_forget(&portal->statements, is_of, portal->layout);
    layout_free(portal->layout);
    portal->layout = layout;
}

int layout_load(struct portal *portal)
{
    struct layout *layout = layout_new();
    bool any = false;
    int code = layout == NULL ? fault(portal, SQLITE_NOMEM) : rows_take(portal, layout, &any);

    if (code == SQLITE_OK && any && layout->problem == NULL) code = layout_look(portal, layout);
    if (code == SQLITE_OK && any && layout->problem == NULL) code = layout_make(portal, layout);
    if (code != SQLITE_OK || !any) layout_free(layout);
    if (code == SQLITE_OK && (any || portal->layout != NULL)) layout_use(portal, any ? layout : NULL);
    return code;
}

/* Expanding SQL */

bool layout_concerns(const char *sql)
{
    return strstr(sql, chart) != NULL;
}

static void own_fields_append(sqlite3_str *out, const struct layout *layout)
{
    for (int i = FIELD_COUNT; i < layout->count; i++) {
        if (layout->field[i].column == NULL) continue;
        sqlite3_str_appendf(out, "WHEN '%q' THEN CAST(p.\"%w\" AS TEXT) ", layout->field[i].name, layout->field[i].name);
    }
}

/* The parameter's number is all that follows. */
static const char *born_append(sqlite3_str *out, const struct layout *layout, const char *sql)
{
    const struct format *format = layout->field[FIELD_date_of_birth].format;
    char parameter[8];
    size_t length = strspn(sql, "0123456789");

    (void)sqlite3_snprintf((int)sizeof parameter, parameter, "?%.*s", (int)length, sql);
    sqlite3_str_appendchar(out, 1, '(');
    format_append(out, format->match, "", as_written, parameter);
    sqlite3_str_appendchar(out, 1, ')');
    return sql + length;
}

/* How much stays as it is: a name in quotes, which is the practice's, or what is before anything of ours. */
static size_t plain_length(const char *sql)
{
    size_t length = 1 + strcspn(sql + 1, *sql == '"' ? "\"" : "md/\"");

    return *sql == '"' && sql[length] == '"' ? length + 1 : length;
}

char *layout_expand(const struct layout *layout, const char *sql)
{
    sqlite3_str *out = sqlite3_str_new(NULL);

    while (*sql != '\0') {
        if (strncmp(sql, chart, sizeof chart - 1) == 0) {
            sqlite3_str_appendall(out, layout->from);
            sql += sizeof chart - 1;
        } else if (strncmp(sql, born, sizeof born - 1) == 0) {
            sql = born_append(out, layout, sql + sizeof born - 1);
        } else if (strncmp(sql, own_fields, sizeof own_fields - 1) == 0) {
            own_fields_append(out, layout);
            sql += sizeof own_fields - 1;
        } else {
            size_t length = plain_length(sql);
            sqlite3_str_append(out, sql, (int)length);
            sql += length;
        }
    }
    return sqlite3_str_finish(out);
}

/* What it is, and whether it is there */

const char layout_remedy[] = "add what is missing, or tell where it is with portal_map_patient()";

static int look(struct portal *portal, const char *table, const char *column, bool *there)
{
    char *sql = column == NULL ? sqlite3_mprintf("SELECT 1 FROM main.\"%w\"", table)
                               : sqlite3_mprintf("SELECT t.\"%w\" FROM main.\"%w\" AS t", column, table);
    sqlite3_stmt *statement = NULL;
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(portal->db, sql, -1, &statement, NULL);

    sqlite3_free(sql);
    (void)sqlite3_finalize(statement);
    *there = code != SQLITE_ERROR;
    return code == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_OK;
}

/* Of the columns those that are gone, "DOB (date_of_birth), ..."; the field is left out where it is the column. */
static int missing_list(struct portal *portal, const struct layout *layout, const char *table, sqlite3_str *out)
{
    int code = SQLITE_OK;

    for (int i = 0; i < (layout == NULL ? FIELD_COUNT : layout->count) && code == SQLITE_OK; i++) {
        const char *name = layout == NULL ? own[i].name : layout->field[i].name;
        const char *column = layout == NULL ? name : layout->field[i].column;
        bool there = true;
        if (column != NULL) code = look(portal, table, column, &there);
        if (there) continue;
        sqlite3_str_appendf(out, "%s%s", sqlite3_str_length(out) == 0 ? "" : ", ", column);
        if (strcmp(column, name) != 0) sqlite3_str_appendf(out, " (%s)", name);
    }
    return code == SQLITE_OK ? sqlite3_str_errcode(out) : code;
}

static int columns_problem(struct portal *portal, const struct layout *layout, const char *table, char **problem)
{
    sqlite3_str *out = sqlite3_str_new(NULL);
    int code = missing_list(portal, layout, table, out);
    char *missing = sqlite3_str_finish(out);

    if (code == SQLITE_OK && missing != NULL) {
        *problem = sqlite3_mprintf("the patient table %s has no column %s", table, missing);
        if (*problem == NULL) code = SQLITE_NOMEM;
    }
    sqlite3_free(missing);
    return code;
}

int layout_problem(struct portal *portal, const struct layout *layout, char **problem)
{
    const char *table = layout == NULL ? "patient" : layout->table;
    bool there = false;
    int code;

    *problem = NULL;
    if (layout != NULL && layout->problem != NULL) {
        *problem = sqlite3_mprintf("%s", layout->problem);
        return *problem == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    code = look(portal, table, NULL, &there);
    if (code != SQLITE_OK) return code;
    if (there) return columns_problem(portal, layout, table, problem);
    *problem = sqlite3_mprintf("the patient table %s can not be read (%s)", table, sqlite3_errmsg(portal->db));
    return *problem == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

const struct layout_field *layout_field(const struct portal *portal, const char *name)
{
    const struct layout *layout = portal->layout;

    for (int i = 0; layout != NULL && i < layout->count; i++) {
        if (strcmp(layout->field[i].name, name) == 0 && layout->field[i].column != NULL) return &layout->field[i];
    }
    return NULL;
}

bool layout_has(const struct portal *portal, enum layout_field_id field)
{
    return portal->layout == NULL || portal->layout->field[field].column != NULL;
}

const char *layout_table(const struct portal *portal)
{
    return portal->layout == NULL || portal->layout->table == NULL ? "patient" : portal->layout->table;
}

const char *layout_column(const struct portal *portal, enum layout_field_id field)
{
    return portal->layout == NULL || !layout_has(portal, field) ? own[field].name : portal->layout->field[field].column;
}

const struct format *layout_format(const struct portal *portal, enum layout_field_id field)
{
    return portal->layout == NULL ? format_find(own[field].kind, NULL) : portal->layout->field[field].format;
}
