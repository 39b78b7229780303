#include "field.h"

#include "normalize.h"

#include <string.h>

enum { LINE_MAX_POINTS = 200, LANGUAGE_MAX = 35, CODE_MAX_POINTS = 20 };

/* How a value of a field is checked. */
enum check {
    CHECK_NAME,
    CHECK_LINE,
    CHECK_EMAIL,
    CHECK_PHONE,
    CHECK_LANGUAGE,
    CHECK_FLAG,
    CHECK_CODE
};

/* What a patient may ask to change.  A date of birth is proved, not changed, on the portal. */
static const struct field {
    const char *name;
    enum check check;
    bool required;
    const char *read;
    const char *write;
} fields[] = {
#define FIELD(name, check, required) \
    {#name, check, required, "SELECT " #name " FROM main.patient WHERE patient_id = ?1", \
     "UPDATE main.patient SET " #name " = ?2 WHERE patient_id = ?1"}
    FIELD(first_name, CHECK_NAME, true),
    FIELD(last_name, CHECK_NAME, true),
    FIELD(sex, CHECK_CODE, false),
    FIELD(email, CHECK_EMAIL, false),
    FIELD(cell_phone, CHECK_PHONE, false),
    FIELD(home_phone, CHECK_PHONE, false),
    FIELD(address_line1, CHECK_LINE, false),
    FIELD(address_line2, CHECK_LINE, false),
    FIELD(city, CHECK_LINE, false),
    FIELD(state, CHECK_LINE, false),
    FIELD(postal_code, CHECK_CODE, false),
    FIELD(preferred_language, CHECK_LANGUAGE, false),
    FIELD(email_consent, CHECK_FLAG, true),
    FIELD(text_consent, CHECK_FLAG, true),
#undef FIELD
};

/* Of what a practice lets its patients ask for besides. */
static const struct field own_field = {.name = "", .check = CHECK_LINE};

const struct field *field_find(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    }
    return NULL;
}

/* The rule of a field that a patient may ask to change; NULL for another. */
static const struct field *rule_of(const struct portal *portal, const char *name)
{
    const struct field *row = field_find(name);
    const struct layout_field *mapped = layout_field(portal, name);

    if (portal->layout == NULL) return row;
    if (mapped == NULL || !mapped->requests) return NULL;
    return row != NULL ? row : &own_field;
}

/* SQL that reads a field of the patient ?1, or writes ?2 there; NULL for one that patients may not ask to change. */
static const char *sql_of(const struct portal *portal, const char *name, bool writes)
{
    const struct layout_field *mapped = layout_field(portal, name);
    const struct field *rule = rule_of(portal, name);

    if (rule == NULL) return NULL;
    if (mapped != NULL) return writes ? mapped->write : mapped->read;
    return writes ? rule->write : rule->read;
}

bool field_known(const struct portal *portal, const char *field)
{
    return rule_of(portal, field) != NULL;
}

const char *field_name(const struct portal *portal, int index)
{
    const struct layout *layout = portal->layout;

    if (layout == NULL) return index < (int)(sizeof fields / sizeof fields[0]) ? fields[index].name : NULL;
    for (int i = 0; i < layout->count; i++) {
        if (layout->field[i].requests && index-- == 0) return layout->field[i].name;
    }
    return NULL;
}

static const char *line_problem(const char *value, long most)
{
    long points = normalize_code_points(value);

    if (points < 0) return "is not valid text";
    if (points > most) return "is too long";
    return normalize_has_hidden(value) ? "has a control or invisible character" : NULL;
}

bool field_is_flag(const char *field)
{
    const struct field *row = field_find(field);

    return row != NULL && row->check == CHECK_FLAG;
}

/* BCP 47 in outline: letters and digits in groups of up to eight. */
static const char *language_problem(const char *value)
{
    size_t group = 0;

    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '-') {
            if (group == 0) return "is no language tag, such as en or es";
            group = 0;
        } else if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *at) ==
                   NULL || ++group > 8) {
            return "is no language tag, such as en or es";
        }
    }
    return group == 0 || strlen(value) > LANGUAGE_MAX ? "is no language tag, such as en or es" : NULL;
}

const char *field_problem(const struct field *field, const char *country_code, const char *value,
                          char normal[CONTACT_SIZE])
{
    normal[0] = '\0';
    if (strlen(value) > NORMALIZE_INPUT_MAX) return "is too long";
    switch (field->check) {
    case CHECK_NAME: return patient_name_problem(value);
    case CHECK_EMAIL: return contact_normalize_email(value, normal);
    case CHECK_PHONE: return contact_normalize_phone(value, country_code, normal);
    case CHECK_LANGUAGE: return language_problem(value);
    case CHECK_FLAG:
        return strcmp(value, "0") == 0 || strcmp(value, "1") == 0 ? NULL : "must be 0 or 1";
    case CHECK_CODE: return line_problem(value, CODE_MAX_POINTS);
    case CHECK_LINE: break;
    }
    return line_problem(value, LINE_MAX_POINTS);
}

int field_check(struct portal *portal, const char *field, const char *value, char **out,
                        const char **problem)
{
    const struct field *row = rule_of(portal, field);
    char normal[CONTACT_SIZE];
    char *text = NULL;

    *out = NULL;
    *problem = row == NULL ? "can not be changed on the portal" : NULL;
    if (row == NULL) return SQLITE_OK;
    if (value != NULL) {
        text = patient_trim(value);
        if (text == NULL) return fault(portal, SQLITE_NOMEM);
    }
    if (text == NULL || *text == '\0') {
        sqlite3_free(text);
        if (row->required) *problem = "must not be empty";
        return SQLITE_OK;
    }
    *problem = field_problem(row, setting_text(portal, SETTING_country_code), text, normal);
    if (*problem == NULL) {
        *out = text;
    } else {
        sqlite3_free(text);
    }
    return SQLITE_OK;
}

int field_read(struct portal *portal, const struct patient_id *id, const char *field,
                       char **value)
{
    const char *sql = sql_of(portal, field, false);
    sqlite3_stmt *statement = NULL;
    const unsigned char *text;
    int code;

    *value = NULL;
    if (sql == NULL) return refuse(portal, "field '%s' can not be changed on the portal", field);
    code = statement_row(portal, &statement, sql, "p", id);
    if (code == SQLITE_DONE) return refuse(portal, "the patient is not on file");
    if (code != SQLITE_ROW) return code;
    code = SQLITE_OK;
    text = sqlite3_column_text(statement, 0);
    if (text != NULL) {
        *value = sqlite3_mprintf("%s", text);
        if (*value == NULL) code = fault(portal, SQLITE_NOMEM);
    }
    statement_done(portal, statement);
    return code;
}

bool field_same(struct portal *portal, const char *field, const char *a, const char *b)
{
    const struct field *row = field_find(field);
    const char *country_code = setting_text(portal, SETTING_country_code);
    char left[CONTACT_SIZE];
    char right[CONTACT_SIZE];

    if (a == NULL) a = "";
    if (b == NULL) b = "";
    if (strcmp(a, b) == 0) return true;
    if (row == NULL || (row->check != CHECK_EMAIL && row->check != CHECK_PHONE)) return false;
    return field_problem(row, country_code, a, left) == NULL && field_problem(row, country_code, b, right) == NULL &&
           strcmp(left, right) == 0;
}

/* Where a view's INSTEAD OF trigger writes, SQLite counts no change: the chart is looked at. */
static int taken_check(struct portal *portal, const struct patient_id *id, const char *field, const char *value)
{
    char *now = NULL;
    int code = field_read(portal, id, field, &now);

    if (code == SQLITE_OK && !field_same(portal, field, now, value)) {
        code = refuse(portal, "the chart did not take %s; look at the patient table's triggers", field);
    }
    sqlite3_free(now);
    return code;
}

int field_write(struct portal *portal, const struct patient_id *id, const char *field,
                        const char *value)
{
    const char *sql = sql_of(portal, field, true);
    int changes = 0;
    int code;

    if (sql == NULL) return refuse(portal, "field '%s' can not be changed on the portal", field);
    code = patient_refused(portal, statement_change(portal, &changes, sql, "ps", id, value));
    return code == SQLITE_OK && changes == 0 ? taken_check(portal, id, field, value) : code;
}
