#include "remap.h"

#include "audit.h"
#include "field.h"
#include "fitting.h"
#include "json.h"

#include <string.h>

static const char delete_mapping[] = "DELETE FROM main.portal_mapping";
static const char insert_mapping[] =
    "INSERT INTO main.portal_mapping (field, source, format, requests) VALUES (?1, ?2, ?3, ?4)";

/* A layout that is being read, and what the JSON says that patients may ask for. */
struct draft {
    struct layout *layout;
    char *requests;          /* NULL: whatever can be */
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
static int column_take(struct portal *portal, struct draft *draft, struct layout_field *field, struct json_reader *reader)
{
    struct json_member member;
    enum json_step step = JSON_MALFORMED;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && reader->at != NULL && (step = json_next(reader, &member)) == JSON_MEMBER) {
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
    struct json_reader nested = {member->type == JSON_NESTED ? json_nested(reader) : NULL, false};
    const char *text = member->type == JSON_STRING ? member->text : NULL;
    struct layout_field *field;

    if (strcmp(member->name, "table") == 0) return text_take(portal, &draft->layout->table, "table", text);
    if (strcmp(member->name, "requests") == 0) {
        draft->requests = nested.at;
        return nested.at != NULL ? SQLITE_OK : refuse(portal, "requests is an array of fields");
    }
    if (strcmp(member->name, "name") == 0) {
        return refuse(portal, "a column with the whole name can not be mapped: patients prove who they are by the last "
                      "name alone; add columns for first and last name, or a view that has them");
    }
    field = layout_place(draft->layout, member->name);
    if (field == NULL) return known_refuse(portal, member->name);
    if (member->type == JSON_NESTED) return column_take(portal, draft, field, &nested);
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

static int json_take(struct portal *portal, struct draft *draft, struct json_reader *reader)
{
    struct json_member member;
    enum json_step step = JSON_MEMBER;
    int members = 0;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && (step = json_next(reader, &member)) == JSON_MEMBER) {
        code = member_take(portal, draft, reader, &member);
        members++;
    }
    if (code == SQLITE_OK && step != JSON_END) code = refuse(portal, "the mapping is no JSON object");
    draft->own = members == 0;
    return code == SQLITE_OK && draft->requests != NULL ? requests_take(portal, draft) : code;
}

/* Checking it */

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
        code = statement_run(portal, insert_mapping, "sssi", "table", layout->table, (const char *)NULL, (sqlite3_int64)0);
    }
    for (int i = 0; layout != NULL && i < layout->count && code == SQLITE_OK; i++) {
        code = field_store(portal, &layout->field[i]);
    }
    return code == SQLITE_OK ? audit_write(portal, "mapping.changed", NULL, layout_table(portal), NULL) : code;
}

/* Takes over what the draft has, and lets the charts be looked at with it. */
static int draft_use(struct portal *portal, struct draft *draft)
{
    sqlite3_int64 known = 0;
    char *problem = NULL;
    int code = layout_problem(portal, portal->layout, &problem);

    if (code != SQLITE_OK) return fault(portal, code);
    /* Under one that is broken nobody is known. */
    if (problem == NULL) code = fitting_known(portal, &known);
    sqlite3_free(problem);
    if (code == SQLITE_OK) {
        layout_use(portal, draft->own ? NULL : draft->layout);
        if (!draft->own) draft->layout = NULL;
        code = fitting_charts(portal, known);
    }
    if (code == SQLITE_OK) code = rows_store(portal, portal->layout);
    return code;
}

static int draft_check(struct portal *portal, struct draft *draft)
{
    struct layout *layout = draft->layout;
    int code;

    if (draft->own) return fitting_there(portal, NULL);
    code = fields_check(portal, layout);
    if (code == SQLITE_OK) code = fitting_check(portal, layout, draft->chosen);
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
    code = fitting_tell(portal, finding_append, out);
    *said = sqlite3_str_finish(out);
    return code == SQLITE_OK && *said == NULL ? fault(portal, SQLITE_NOMEM) : code;
}

int remap_store(struct portal *portal, const char *json, char **said)
{
    struct draft draft = {.layout = layout_new()};
    char *copy = sqlite3_mprintf("%s", json);
    struct json_reader reader = {copy, false};
    int code = SQLITE_NOMEM;

    *said = NULL;
    if (draft.layout == NULL || copy == NULL) {
        code = fault(portal, code);
        goto done;
    }
    code = json_take(portal, &draft, &reader);
    if (code == SQLITE_OK) code = draft_check(portal, &draft);
    if (code == SQLITE_OK) code = draft_use(portal, &draft);
    if (code == SQLITE_OK) code = answer_make(portal, said);
    /* What is in force may be rolled back: the next call reads it anew. */
    portal->settings.loaded = 0;
done:
    layout_free(draft.layout);
    sqlite3_free(copy);
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
