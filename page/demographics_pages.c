/* What the chart says of a patient, and the changes that are asked for. */
#include "pages.h"

#include <stdio.h>
#include <string.h>

/* How a field is entered: as browsers know it (HTML, autofill detail tokens), or chosen from a list. */
static const struct input { const char *field; const char *type; const char *autocomplete; const char *options[3]; } inputs[] = {
    {"first_name", "text", "given-name", {NULL}}, {"last_name", "text", "family-name", {NULL}},
    {"sex", "text", "sex", {NULL}}, {"email", "email", "email", {NULL}},
    {"cell_phone", "tel", "mobile tel", {NULL}}, {"home_phone", "tel", "home tel", {NULL}},
    {"address_line1", "text", "address-line1", {NULL}}, {"address_line2", "text", "address-line2", {NULL}},
    {"city", "text", "address-level2", {NULL}}, {"state", "text", "address-level1", {NULL}},
    {"postal_code", "text", "postal-code", {NULL}}, {"preferred_language", NULL, NULL, {"en", "es", NULL}},
    {"email_consent", NULL, NULL, {"1", "0", NULL}}, {"text_consent", NULL, NULL, {"1", "0", NULL}},
};

enum { INPUTS = sizeof inputs / sizeof inputs[0] };

static void option_add(cJSON *options, const char *value, bool selected)
{
    cJSON *option = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(option, "value", value);
    (void)cJSON_AddBoolToObject(option, "selected", selected);
    (void)cJSON_AddItemToArray(options, option);
}

/* What the chart has stays to be chosen, also when it is another one. */
static void options_add(cJSON *field, const char *const *values, const char *shown)
{
    cJSON *options = cJSON_AddArrayToObject(field, "options");
    bool found = false;

    for (; *values != NULL; values++) {
        bool selected = strcmp(*values, shown) == 0;
        option_add(options, *values, selected);
        found = found || selected;
    }
    if (!found) option_add(options, shown, true);
}

/* Browsers take the ends of lines out of an input's value (HTML, value sanitization): that would look like a change. */
static const char *line_add(cJSON *field, const char *member, const char *text)
{
    char *line = cJSON_GetStringValue(cJSON_AddStringToObject(field, member, text));

    for (; line != NULL && *line != '\0'; line++) {
        if (*line == '\r' || *line == '\n') *line = ' ';
    }
    return page_answered(field, member);
}

/*
** What was entered stays in the form while something in it is wrong.  What waits stands in its field: the
** chart's own value there would take the request back.  A browser fills in what its owner is called, and no other patient.
*/
static void field_prepare(const struct exchange *exchange, cJSON *field, bool own, const char *reason)
{
    const char *name = page_answered(field, "field");
    size_t length = strlen(name);
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(field, "request");
    bool waits = strcmp(page_answered(request, "status"), "pending") == 0;
    const char *before = page_answered(waits ? request : field, "value");
    const char *shown = line_add(field, "shown", *reason == '\0' ? before : exchange_field(exchange, name));
    bool invalid = strncmp(reason, name, length) == 0 && reason[length] == ' ';
    char describedby[80];
    int input;

    (void)line_add(field, "before", before);
    (void)cJSON_AddBoolToObject(field, "invalid", invalid);
    (void)sqlite3_snprintf(sizeof describedby, describedby, "%s%s%s%s", invalid ? "problem" : "",
                           invalid && request != NULL ? " " : "", request == NULL ? "" : name,
                           request == NULL ? "" : "_request");
    (void)cJSON_AddStringToObject(field, "describedby", describedby);
    for (input = 0; input < INPUTS && strcmp(inputs[input].field, name) != 0;) input++;
    if (input == INPUTS) page_label_add(field, "label", name);
    else if (inputs[input].type == NULL) options_add(field, inputs[input].options, shown);
    (void)cJSON_AddStringToObject(field, "type", input == INPUTS ? "text" : inputs[input].type == NULL ? "" : inputs[input].type);
    (void)cJSON_AddStringToObject(field, "autocomplete", own && input < INPUTS ? inputs[input].autocomplete : "off");
}

static void demographics_show(struct exchange *exchange, struct desk *desk, const char *reason)
{
    const char *texts[] = {exchange->cookie[COOKIE_SESSION], exchange->patient};
    cJSON *chart = NULL;
    int code = desk_ask(desk, ASK_DEMOGRAPHICS, &chart, texts);
    cJSON *values;
    cJSON *field;
    char key[KEY_SIZE];
    int waiting = 0;

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
        return;
    }
    if (chart == NULL) {
        exchange_redirect(exchange, "/patients");
        return;
    }
    values = page_values(exchange, desk);
    cJSON_ArrayForEach(field, cJSON_GetObjectItemCaseSensitive(chart, "fields")) {
        const cJSON *request = cJSON_GetObjectItemCaseSensitive(field, "request");
        waiting += strcmp(page_answered(request, "status"), "pending") == 0;
        field_prepare(exchange, field, strcmp(page_answered(chart, "role"), "patient") == 0, reason);
    }
    if (waiting > 0) (void)cJSON_AddNumberToObject(values, "waiting", waiting);
    page_item_add(values, "chart", chart);
    page_query_encode(exchange->patient, key);
    (void)cJSON_AddStringToObject(values, "patient", key);
    if (*reason != '\0') page_reason_add(exchange, values, reason);
    page_show(exchange, "demographics", *reason == '\0' ? 200 : UNPROCESSABLE, values);
}

void page_demographics(struct exchange *exchange, struct desk *desk)
{
    demographics_show(exchange, desk, "");
}

/* What differs from what the page showed: what stayed is not asked for, not even once more. */
static cJSON *changes_read(const struct exchange *exchange)
{
    cJSON *changes = cJSON_CreateObject();

    for (int i = 0; i < exchange->fields; i++) {
        const struct form_field *field = &exchange->field[i];
        char before[80];
        if (strcmp(field->name, "form") == 0 || strncmp(field->name, "before.", 7) == 0) continue;
        (void)sqlite3_snprintf(sizeof before, before, "before.%s", field->name);
        if (strcmp(exchange_field(exchange, before), field->value) == 0) continue;
        (void)cJSON_AddStringToObject(changes, field->name, field->value);
    }
    return changes;
}

/* 303 to the chart, where what was asked for is seen to wait. */
static void submitted(struct exchange *exchange)
{
    char location[sizeof exchange->location];
    char key[KEY_SIZE];

    page_query_encode(exchange->patient, key);
    (void)sqlite3_snprintf(sizeof location, location, "/demographics?patient=%s", key);
    exchange_redirect(exchange, location);
}

void page_submit(struct exchange *exchange, struct desk *desk)
{
    cJSON *changes = changes_read(exchange);
    char *json = cJSON_PrintUnformatted(changes);
    const char *texts[] = {exchange->cookie[COOKIE_SESSION], exchange->patient, json};
    cJSON *answer = NULL;
    bool unchanged = cJSON_GetArraySize(changes) == 0;
    int code = json == NULL ? SQLITE_NOMEM : unchanged ? SQLITE_OK : desk_ask(desk, ASK_SUBMIT, &answer, texts);
    const char *reason = unchanged ? "unchanged" : page_answered(answer, "reason");

    cJSON_Delete(changes);
    cJSON_free(json);
    if (code != SQLITE_OK) page_failed(exchange, desk, code);
    else if (strcmp(page_answered(answer, "result"), "submitted") == 0) submitted(exchange);
    else if (strcmp(reason, "session") == 0) page_signed_out(exchange, desk);
    else if (strcmp(reason, "patient") == 0) page_patients(exchange, desk, reason);
    else demographics_show(exchange, desk, reason);
    cJSON_Delete(answer);
}
