#include "remap.h"

#include "audit.h"
#include "field.h"
#include "json.h"

#include <string.h>

static const char find_table[] =
    "SELECT type, name FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
static const char delete_mapping[] = "DELETE FROM main.portal_mapping";
static const char insert_mapping[] =
    "INSERT INTO main.portal_mapping (field, source, format, requests) VALUES (?1, ?2, ?3, ?4)";
static const char active_access[] =
    "SELECT patient_id, identity FROM main.portal_access WHERE status = 'active'";
static const char strange_key[] =
    "SELECT typeof(patient_id) FROM main.patient WHERE typeof(patient_id) NOT IN ('integer', 'text', 'null') LIMIT 1";
static const char unread_births[] =
    "SELECT count(*), min(patient_id) FROM main.patient"
    " WHERE date_of_birth <> '' AND date(date_of_birth, '+0 days') IS NOT date_of_birth";
static const char unread_deaths[] =
    "SELECT count(*), min(patient_id) FROM main.patient"
    " WHERE deceased_on <> '' AND date(deceased_on, '+0 days') IS NOT deceased_on";
static const char twice[] =
    "SELECT count(*), min(patient_id) FROM"
    " (SELECT patient_id FROM main.patient GROUP BY 1 HAVING count(*) > 1)";

/* A layout that is being read, and what the JSON says that patients may ask for. */
struct draft {
    struct layout *layout;
    char *requests;          /* NULL: whatever can be */
    bool is_view;
    bool own;                /* {}: back to our own table */
    bool chosen;             /* how a key is made was said */
};

/* Reading JSON */

static int known_refuse(struct portal *portal, const char *name)
{
    sqlite3_str *out = sqlite3_str_new(NULL);
    char *known;
    int code;

    for (int i = 0; i < FIELD_COUNT; i++) sqlite3_str_appendf(out, "%s%s", i == 0 ? "" : ", ", layout_own_name(i));
    known = sqlite3_str_finish(out);
    code = refuse(portal, "'%.40s' is no field of the portal (%s); one of your own has a name of small letters, digits "
                  "and _, and is listed in requests", name, known);
    sqlite3_free(known);
    return code;
}

static int format_take(struct portal *portal, struct layout_field *field, const char *name)
{
    enum format_kind kind = layout_kind(field);
    sqlite3_str *out;
    char *known;
    int code;

    field->format = format_find(kind, name);
    if (field->format != NULL) return SQLITE_OK;
    out = sqlite3_str_new(NULL);
    format_list(out, kind);
    known = sqlite3_str_finish(out);
    code = refuse(portal, "%s: format '%.40s' is none of %s", field->name, name, known);
    sqlite3_free(known);
    return code;
}

static int text_take(struct portal *portal, char **out, const char *name, const char *text)
{
    if (text == NULL || *text == '\0') return refuse(portal, "%s must be the name of a column or table", name);
    sqlite3_free(*out);
    *out = sqlite3_mprintf("%s", text);
    return *out == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* {"column": "DOB", "format": "M/D/YYYY"} */
static int column_take(struct portal *portal, struct draft *draft, struct layout_field *field, char *json)
{
    struct json_reader reader = {json, false};
    struct json_member member;
    enum json_step step = JSON_MALFORMED;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && json != NULL && (step = json_next(&reader, &member)) == JSON_MEMBER) {
        bool is_format = strcmp(member.name, "format") == 0;
        if (member.type != JSON_STRING || (!is_format && strcmp(member.name, "column") != 0)) {
            code = refuse(portal, "%s: a column is its name, or {\"column\": ..., \"format\": ...}", field->name);
        } else if (is_format) {
            code = format_take(portal, field, member.text);
            if (layout_kind(field) == FORMAT_KEY) draft->chosen = true;
        } else {
            code = text_take(portal, &field->column, field->name, member.text);
        }
    }
    if (code == SQLITE_OK && (step != JSON_END || field->column == NULL)) {
        code = refuse(portal, "%s: a column is its name, or {\"column\": ..., \"format\": ...}", field->name);
    }
    return code;
}

static int member_take(struct portal *portal, struct draft *draft, struct json_reader *reader, const struct json_member *member)
{
    char *nested = member->type == JSON_NESTED ? json_nested(reader) : NULL;
    const char *text = member->type == JSON_STRING ? member->text : NULL;
    struct layout_field *field;

    if (strcmp(member->name, "table") == 0) return text_take(portal, &draft->layout->table, "table", text);
    if (strcmp(member->name, "requests") == 0) {
        draft->requests = nested;
        return nested != NULL ? SQLITE_OK : refuse(portal, "requests is an array of fields");
    }
    if (strcmp(member->name, "name") == 0) {
        return refuse(portal, "a column with the whole name can not be mapped: patients prove who they are by the last "
                      "name alone; add columns for first and last name, or a view that has them");
    }
    field = layout_place(draft->layout, member->name);
    if (field == NULL) return known_refuse(portal, member->name);
    if (member->type == JSON_NESTED) return column_take(portal, draft, field, nested);
    return text_take(portal, &field->column, field->name, text);
}

static int request_take(struct portal *portal, struct draft *draft, const char *name)
{
    struct layout_field *field = layout_place(draft->layout, name);

    if (field == NULL || (layout_own(name) < 0 && field->column == NULL)) return known_refuse(portal, name);
    if (field->column == NULL) return refuse(portal, "requests: %s has no column", name);
    if (layout_own(name) >= 0 && field_find(name) == NULL) {
        return refuse(portal, "requests: %s is nothing that a patient may ask to change", name);
    }
    field->requests = true;
    return SQLITE_OK;
}

static int requests_take(struct portal *portal, struct draft *draft)
{
    struct json_reader reader = {draft->requests, false};
    struct json_member member;
    enum json_step step;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && (step = json_item(&reader, &member)) != JSON_END) {
        code = step == JSON_MEMBER && member.type == JSON_STRING ? request_take(portal, draft, member.text)
                                                                 : refuse(portal, "requests is an array of fields");
    }
    return code;
}

static int json_take(struct portal *portal, struct draft *draft, char *json)
{
    struct json_reader reader = {json, false};
    struct json_member member;
    enum json_step step = JSON_MEMBER;
    int members = 0;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && (step = json_next(&reader, &member)) == JSON_MEMBER) {
        code = member_take(portal, draft, &reader, &member);
        members++;
    }
    if (code == SQLITE_OK && step != JSON_END) code = refuse(portal, "the mapping is no JSON object");
    draft->own = members == 0;
    return code == SQLITE_OK && draft->requests != NULL ? requests_take(portal, draft) : code;
}

/* Checking it against the database */

static int fields_check(struct portal *portal, const struct layout *layout)
{
    const struct layout_field *field = layout->field;

    if (layout->table == NULL) return refuse(portal, "the mapping names no table");
    for (int i = 0; i < FIELD_REQUIRED; i++) {
        if (field[i].column == NULL) return refuse(portal, "the mapping has no %s", field[i].name);
    }
    if (sqlite3_stricmp(field[FIELD_first_name].column, field[FIELD_last_name].column) == 0) {
        return refuse(portal, "%s can not be first and last name: patients prove who they are by the last name alone; "
                      "add columns for both, or a view that has them", field[FIELD_first_name].column);
    }
    for (int i = FIELD_COUNT; i < layout->count; i++) {
        if (!field[i].requests) return known_refuse(portal, field[i].name);
    }
    return SQLITE_OK;
}

static int table_find(struct portal *portal, struct draft *draft)
{
    const char *table = draft->layout->table;
    sqlite3_stmt *row = NULL;
    char *problem;
    int code;

    if (sqlite3_strlike("portal\\_%", table, '\\') == 0 || sqlite3_strlike("sqlite\\_%", table, '\\') == 0) {
        return refuse(portal, "%s is no table of the practice's", table);
    }
    code = statement_row(portal, &row, find_table, "s", table);
    if (code == SQLITE_DONE) return refuse(portal, "there is no table or view %s in this database", table);
    if (code != SQLITE_ROW) return code;
    draft->is_view = statement_is(row, 0, "view");
    statement_done(portal, row);
    problem = layout_problem(portal, draft->layout);
    code = problem == NULL ? SQLITE_OK : refuse(portal, "%s", problem);
    sqlite3_free(problem);
    return code;
}

/* What a key is, as far as the table tells. */
struct key {
    const char *column;
    int keys;                /* columns of the primary key */
    bool primary;            /* it is one of them */
    bool unique;
    bool text;               /* without a default */
};

static int key_take(void *data, sqlite3_stmt *row)
{
    enum { NAME = 1, TYPE = 2, DEFAULT = 4, PRIMARY = 5 };
    static const char *const texts[] = {"%CHAR%", "%TEXT%", "%CLOB%", "%UUID%"};
    struct key *key = data;
    bool primary = sqlite3_column_int(row, PRIMARY) > 0;

    if (primary) key->keys++;
    if (sqlite3_stricmp(statement_string(row, NAME), key->column) != 0) return SQLITE_OK;
    key->primary = primary;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (sqlite3_strlike(texts[i], statement_string(row, TYPE), 0) == 0) key->text = true;
    }
    if (sqlite3_column_type(row, DEFAULT) != SQLITE_NULL) key->text = false;
    return SQLITE_OK;
}

static int pragma_prepare(struct portal *portal, const char *pragma, const char *name, sqlite3_stmt **out)
{
    char *sql = sqlite3_mprintf("PRAGMA main.%s(\"%w\")", pragma, name);
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(portal->db, sql, -1, out, NULL);

    sqlite3_free(sql);
    return code;
}

/* An index of this column alone. */
static int index_look(struct portal *portal, const char *index, struct key *key)
{
    sqlite3_stmt *row = NULL;
    bool same = false;
    int columns = 0;
    int code = pragma_prepare(portal, "index_info", index, &row);

    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        columns++;
        same = sqlite3_stricmp(statement_string(row, 2), key->column) == 0;
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(row);
    if (columns == 1 && same) key->unique = true;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int indexes_look(struct portal *portal, const char *table, struct key *key)
{
    enum { NAME = 1, UNIQUE = 2, PARTIAL = 4 };
    sqlite3_stmt *row = NULL;
    int code = pragma_prepare(portal, "index_list", table, &row);

    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        bool usable = sqlite3_column_int(row, UNIQUE) != 0 && sqlite3_column_int(row, PARTIAL) == 0;
        code = usable ? index_look(portal, statement_string(row, NAME), key) : SQLITE_OK;
    }
    (void)sqlite3_finalize(row);
    return code == SQLITE_DONE ? SQLITE_OK : fault(portal, code);
}

/* The key of a view can not be proved: remap_check() looks at it. */
static int key_check(struct portal *portal, const struct draft *draft)
{
    struct layout *layout = draft->layout;
    struct layout_field *field = &layout->field[FIELD_patient_id];
    struct key key = {.column = field->column};
    int code = draft->is_view ? SQLITE_OK : layout_columns(portal, layout, key_take, &key);

    if (code != SQLITE_OK || draft->is_view) return code;
    key.unique = key.primary && key.keys == 1;
    if (!key.unique) code = indexes_look(portal, layout->table, &key);
    if (code == SQLITE_OK && !key.unique) {
        code = refuse(portal, "patient_id: %s of %s may be the same of two patients; choose the primary key, or add a "
                      "unique index", field->column, layout->table);
    }
    if (key.text && !draft->chosen) field->format = format_find(FORMAT_KEY, "uuid");
    return code;
}

/* Whatever a patient may ask for, as far as the practice's table can be written. */
static int requests_check(struct portal *portal, const struct draft *draft)
{
    struct layout *layout = draft->layout;

    for (int i = 0; i < layout->count; i++) {
        struct layout_field *field = &layout->field[i];
        if (draft->requests == NULL) {
            field->requests = field->column != NULL && !field->generated && field_find(field->name) != NULL;
        } else if (field->requests && field->generated) {
            return refuse(portal, "requests: %s is computed by %s, and can not be written", field->column, layout->table);
        }
    }
    return SQLITE_OK;
}

/* Accesses whose patient the chart has, as the same person. */
static int known_count(struct portal *portal, sqlite3_int64 *count)
{
    const struct keyring *keyring = NULL;
    sqlite3_stmt *row = NULL;
    int code = connection_key(portal, &keyring);

    *count = 0;
    if (code == SQLITE_OK) code = statement_row(portal, &row, active_access, "");
    while (code == SQLITE_ROW) {
        struct patient_id id;
        struct patient patient;
        patient_id_from_column(row, 0, &id);
        code = patient_find(portal, &id, &patient);
        if (code == SQLITE_ROW && patient_identity(keyring, &patient) == sqlite3_column_int64(row, 1)) ++*count;
        if (code == SQLITE_ROW || code == SQLITE_DONE) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* What the new layout, which is in force, says of the charts there are. */
static int charts_check(struct portal *portal, sqlite3_int64 known)
{
    sqlite3_stmt *row = NULL;
    sqlite3_int64 still = 0;
    int code = statement_row(portal, &row, strange_key, "");

    if (code == SQLITE_ROW) {
        code = refuse(portal, "patient_id: %s has a value that is neither a whole number nor text (%s)",
                      layout_column(portal, FIELD_patient_id), statement_string(row, 0));
        statement_done(portal, row);
        return code;
    }
    if (code == SQLITE_DONE) code = known_count(portal, &still);
    if (code != SQLITE_OK || still >= known) return code;
    return refuse(portal, "%lld of %lld logins would lose their patient, whose key, first name or date of birth is "
                  "another one so; correct the mapping, or end their access with revoke_access() first",
                  known - still, known);
}

/* Storing it */

static int field_store(struct portal *portal, const struct layout_field *field)
{
    const char *format = field->format == format_find(layout_kind(field), NULL) ? NULL : field->format->name;

    if (field->column == NULL) return SQLITE_OK;
    return statement_run(portal, insert_mapping, "sssi", field->name, field->column, format, (sqlite3_int64)field->requests);
}

static int rows_store(struct portal *portal, const struct layout *layout)
{
    int code = statement_run(portal, delete_mapping, "");

    if (code == SQLITE_OK && layout != NULL) {
        code = statement_run(portal, insert_mapping, "sssi", "table", layout->table, NULL, (sqlite3_int64)0);
    }
    for (int i = 0; layout != NULL && i < layout->count && code == SQLITE_OK; i++) {
        code = field_store(portal, &layout->field[i]);
    }
    return code == SQLITE_OK ? audit_write(portal, "mapping.changed", NULL, layout_table(portal), NULL) : code;
}

/* Takes over what the draft has, and lets the charts be looked at with it. */
static int draft_use(struct portal *portal, struct draft *draft)
{
    bool was_broken;
    sqlite3_int64 known = 0;
    char *problem = layout_problem(portal, portal->layout);
    int code = SQLITE_OK;

    was_broken = problem != NULL;
    sqlite3_free(problem);
    if (!was_broken) code = known_count(portal, &known);
    if (code == SQLITE_OK) {
        layout_use(portal, draft->own ? NULL : draft->layout);
        if (!draft->own) draft->layout = NULL;
        code = charts_check(portal, known);
    }
    if (code == SQLITE_OK) code = rows_store(portal, portal->layout);
    return code;
}

static int draft_check(struct portal *portal, struct draft *draft)
{
    struct layout *layout = draft->layout;
    char *problem = NULL;
    int code;

    if (draft->own) {
        problem = layout_problem(portal, NULL);
        code = problem == NULL ? SQLITE_OK : refuse(portal, "%s", problem);
        sqlite3_free(problem);
        return code;
    }
    code = fields_check(portal, layout);
    if (code == SQLITE_OK) code = table_find(portal, draft);
    if (code == SQLITE_OK) code = key_check(portal, draft);
    if (code == SQLITE_OK) code = layout_look(portal, layout);
    if (code == SQLITE_OK) code = requests_check(portal, draft);
    return code == SQLITE_OK ? layout_make(portal, layout) : code;
}

/* Telling */

static int finding_append(void *data, const char *problem, const char *subject, const char *remedy)
{
    (void)remedy;
    sqlite3_str_appendf(data, " Look at %s: %s.", subject, problem);
    return SQLITE_OK;
}

static int answer_make(struct portal *portal, char **said)
{
    sqlite3_str *out = sqlite3_str_new(NULL);
    int requests = 0;
    int code = SQLITE_OK;

    while (field_name(portal, requests) != NULL) requests++;
    sqlite3_str_appendf(out, "Patients are kept in %s; they may ask to change %d of their fields.", layout_table(portal),
                        requests);
    code = remap_check(portal, finding_append, out);
    *said = sqlite3_str_finish(out);
    return code == SQLITE_OK && *said == NULL ? fault(portal, SQLITE_NOMEM) : code;
}

int remap_store(struct portal *portal, char *json, char **said)
{
    struct draft draft = {.layout = layout_new()};
    int code = draft.layout == NULL ? fault(portal, SQLITE_NOMEM) : json_take(portal, &draft, json);

    *said = NULL;
    if (code == SQLITE_OK) code = draft_check(portal, &draft);
    if (code == SQLITE_OK) code = draft_use(portal, &draft);
    if (code == SQLITE_OK) code = answer_make(portal, said);
    layout_free(draft.layout);
    /* What is in force may be rolled back: the next call reads it anew. */
    portal->settings.loaded = 0;
    return code;
}

static void member_append(sqlite3_str *out, const char *name, const char *column, const struct layout_field *field)
{
    sqlite3_str_appendf(out, ",\"%s\":", name);
    if (field == NULL || field->format == format_find(layout_kind(field), NULL)) {
        json_append(out, column);
        return;
    }
    sqlite3_str_appendall(out, "{\"column\":");
    json_append(out, column);
    sqlite3_str_appendf(out, ",\"format\":\"%s\"}", field->format->name);
}

int remap_tell(struct portal *portal, char **json)
{
    const struct layout *layout = portal->layout;
    sqlite3_str *out = sqlite3_str_new(NULL);
    const char *name;

    sqlite3_str_appendall(out, "{\"table\":");
    json_append(out, layout_table(portal));
    for (int i = 0; i < (layout == NULL ? FIELD_COUNT : layout->count); i++) {
        const struct layout_field *field = layout == NULL ? NULL : &layout->field[i];
        if (field == NULL) member_append(out, layout_own_name(i), layout_own_name(i), NULL);
        else if (field->column != NULL) member_append(out, field->name, field->column, field);
    }
    sqlite3_str_appendall(out, ",\"requests\":[");
    for (int i = 0; (name = field_name(portal, i)) != NULL; i++) sqlite3_str_appendf(out, "%s\"%s\"", i == 0 ? "" : ",", name);
    sqlite3_str_appendall(out, "]}");
    *json = sqlite3_str_finish(out);
    return *json == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* What is to be told. */
struct telling {
    struct portal *portal;
    remap_found *found;
    void *data;
};

/* What a query counts, and the first patient of it. */
static int counted_tell(const struct telling *telling, const char *sql, const char *of, const char *what, const char *remedy)
{
    struct portal *portal = telling->portal;
    char name[PATIENT_ID_TEXT_SIZE];
    struct patient_id first;
    char *problem, *subject;
    sqlite3_int64 count;
    sqlite3_stmt *row = NULL;
    int code = statement_row(portal, &row, sql, "");

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    count = sqlite3_column_int64(row, 0);
    patient_id_from_column(row, 1, &first);
    statement_done(portal, row);
    if (count == 0) return SQLITE_OK;
    problem = sqlite3_mprintf("%lld of %s %s", count, of, what);
    subject = sqlite3_mprintf("patient %s", patient_id_text(&first, name));
    code = problem == NULL || subject == NULL ? fault(portal, SQLITE_NOMEM)
                                              : telling->found(telling->data, problem, subject, remedy);
    sqlite3_free(problem);
    sqlite3_free(subject);
    return code;
}

static int dates_tell(const struct telling *telling, enum layout_field_id id, const char *sql)
{
    const struct layout_field *field = &telling->portal->layout->field[id];
    char what[80];

    if (field->column == NULL) return SQLITE_OK;
    (void)sqlite3_snprintf(sizeof what, what, "can not be read as %s", field->format->name);
    return counted_tell(telling, sql, field->column, what, "correct them, or their format with portal_map_patient()");
}

int remap_check(struct portal *portal, remap_found *found, void *data)
{
    static const enum layout_field_id contacts[] = {FIELD_email, FIELD_cell_phone};
    struct telling telling = {portal, found, data};
    int code;

    if (portal->layout == NULL) return SQLITE_OK;
    code = dates_tell(&telling, FIELD_date_of_birth, unread_births);
    if (code == SQLITE_OK) code = dates_tell(&telling, FIELD_deceased_on, unread_deaths);
    if (code == SQLITE_OK) {
        code = counted_tell(&telling, twice, layout_column(portal, FIELD_patient_id), "are of several rows",
                            "have the view give each patient once");
    }
    for (size_t i = 0; i < sizeof contacts / sizeof contacts[0] && code == SQLITE_OK; i++) {
        if (layout_has(portal, contacts[i])) continue;
        code = found(data, "no column is mapped, so that nothing can be sent there", layout_own_name((int)contacts[i]),
                     "add a column to the practice's table, and tell it with portal_map_patient()");
    }
    return code;
}
