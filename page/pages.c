/* The pages: what each asks of the database, and what it shows or where it leads. */
#include "exchange.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEE_OTHER = 303, BAD_REQUEST = 400, FORBIDDEN = 403, NOT_FOUND = 404, GONE = 410, UNPROCESSABLE = 422,
       UNAVAILABLE = 503, FORM_BYTES = 16 };

/* Takes `item`, also when there is no memory to add it. */
static void item_add(cJSON *values, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObject(values, name, item)) cJSON_Delete(item);
}

/* What every page shows; to be freed. */
static cJSON *values_new(struct exchange *exchange, struct desk *desk)
{
    cJSON *values = cJSON_CreateObject();
    char text[2 * FORM_BYTES + 1];

    (void)cJSON_AddItemReferenceToObject(values, "practice", (cJSON *)desk_practice(desk));
    if (strlen(exchange->cookie[COOKIE_FORM]) + 1 != sizeof text) {
        unsigned char bytes[FORM_BYTES];
        randombytes_buf(bytes, sizeof bytes);
        exchange_set(exchange, COOKIE_FORM, sodium_bin2hex(text, sizeof text, bytes, sizeof bytes));
    }
    (void)cJSON_AddStringToObject(values, "base", exchange->base);
    (void)cJSON_AddStringToObject(values, "form", exchange->cookie[COOKIE_FORM]);
    return values;
}

static void page_show(struct exchange *exchange, const char *page, int status, cJSON *values)
{
    (void)cJSON_AddStringToObject(values, "page", page);
    exchange->status = status;
    exchange->type = "text/html; charset=utf-8";
    exchange->body = view_render("layout.html", exchange->texts, values);
    cJSON_Delete(values);
}

void page_problem(struct exchange *exchange, struct desk *desk, int status)
{
    cJSON *values = values_new(exchange, desk);
    char problem[8];

    (void)sqlite3_snprintf(sizeof problem, problem, "%d", status);
    (void)cJSON_AddStringToObject(values, "problem", problem);
    page_show(exchange, "problem", status, values);
}

/* What the database did not do: misuse is refused, the rest is not the reader's fault. */
static void page_failed(struct exchange *exchange, struct desk *desk, int code)
{
    int kind = code & 0xff;

    if (kind != SQLITE_BUSY && kind != SQLITE_CONSTRAINT) (void)fprintf(stderr, "portal: %s\n", sqlite3_errmsg(desk->db));
    page_problem(exchange, desk, kind == SQLITE_BUSY ? UNAVAILABLE : kind == SQLITE_CONSTRAINT ? BAD_REQUEST : 500);
}

/*
** What is wrong, and where: a reason's first word names the field, as in "username taken".  Of "city is too long" field
** and phrase are each told in the reader's language; other reasons are texts.
*/
static void reason_add(const struct exchange *exchange, cJSON *values, const char *reason)
{
    char key[80];
    const char *space = strchr(reason, ' ');
    int length = (int)strcspn(reason, " ");

    (void)cJSON_AddStringToObject(values, "reason", reason);
    (void)sqlite3_snprintf(sizeof key, key, "%.*s", length, reason);
    (void)cJSON_AddTrueToObject(cJSON_AddObjectToObject(values, "wrong"), key);
    (void)sqlite3_snprintf(sizeof key, key, "reason.%s", reason);
    if (space == NULL || texts_get(exchange->texts, key) != NULL) return;
    (void)sqlite3_snprintf(sizeof key, key, "%.*s", length, reason);
    (void)cJSON_AddStringToObject(values, "reason_field", key);
    (void)cJSON_AddStringToObject(values, "reason_phrase", space + 1);
}

/* A form comes back with what was entered, but for secrets, and with what is wrong. */
static void form_again(struct exchange *exchange, struct desk *desk, const char *page, const char *reason)
{
    cJSON *values = values_new(exchange, desk);
    cJSON *entered = cJSON_AddObjectToObject(values, "entered");

    for (int i = 0; i < exchange->fields; i++) {
        const struct form_field *field = &exchange->field[i];
        if (strcmp(field->name, "password") == 0 || strcmp(field->name, "pin") == 0) continue;
        (void)cJSON_AddStringToObject(entered, field->name, field->value);
    }
    if (strcmp(exchange_field(exchange, "as"), "representative") == 0) cJSON_AddTrueToObject(values, "representative");
    reason_add(exchange, values, reason);
    page_show(exchange, page, UNPROCESSABLE, values);
}

/* A member of an answer as text; "" when there is none. */
static const char *answered(const cJSON *answer, const char *member)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(answer, member);

    return cJSON_IsString(value) ? value->valuestring : "";
}

/* Links */

/* The link leaves the address bar before anything is shown; what is none adds nothing else to the cookie. */
static void link_keep(struct exchange *exchange, enum cookie cookie, const char *location)
{
    bool is_token = exchange->rest[strcspn(exchange->rest, " \t\r\n\",;\\")] == '\0';

    exchange_set(exchange, cookie, is_token ? exchange->rest : "");
    exchange_redirect(exchange, location);
}

static void open_link(struct exchange *exchange, struct desk *desk)
{
    (void)desk;
    link_keep(exchange, COOKIE_LINK, "/register");
}

static void open_reset(struct exchange *exchange, struct desk *desk)
{
    (void)desk;
    link_keep(exchange, COOKIE_RESET, "/reset");
}

/* Shows a page of the registration, if the link is good; else what it is. */
static void link_page(struct exchange *exchange, struct desk *desk, const char *page, const char *reason)
{
    const char *token[] = {exchange->cookie[COOKIE_LINK]};
    cJSON *status = NULL;
    int code = desk_ask(desk, ASK_TOKEN_STATUS, &status, token);
    const char *word = cJSON_IsString(status) ? status->valuestring : "unknown";
    cJSON *values;

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(word, "valid") != 0) {
        values = values_new(exchange, desk);
        (void)cJSON_AddStringToObject(values, "link", word);
        page_show(exchange, "link", strcmp(word, "unknown") == 0 ? NOT_FOUND : GONE, values);
    } else if (*reason != '\0') {
        form_again(exchange, desk, page, reason);
    } else {
        page_show(exchange, page, 200, values_new(exchange, desk));
    }
    cJSON_Delete(status);
}

static void landing(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "landing", "");
}

static void who(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "who", "");
}

static void account(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "account", "");
}

static void account_representative(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "account_representative", "");
}

/* One was sent a moment ago: it can be entered, and when another can be had is told. */
static void pin_waits(struct exchange *exchange, struct desk *desk, const char *page, cJSON *answer)
{
    cJSON *values = values_new(exchange, desk);

    (void)cJSON_AddItemToObject(values, "wait", cJSON_DetachItemFromObjectCaseSensitive(answer, "seconds"));
    page_show(exchange, page, 200, values);
}

static void prove(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange->cookie[COOKIE_LINK], exchange_field(exchange, "last_name"),
                           exchange_field(exchange, "date_of_birth")};
    bool representative = strcmp(exchange_field(exchange, "as"), "representative") == 0;
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_PIN, &answer, texts);
    const char *result = answered(answer, "result");

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(result, "pin_sent") == 0) {
        exchange_redirect(exchange, representative ? "/register/representative" : "/register/account");
    } else if (strcmp(result, "wait") == 0) {
        pin_waits(exchange, desk, representative ? "account_representative" : "account", answer);
    } else {
        link_page(exchange, desk, "who", *answered(answer, "reason") == '\0' ? "proof" : answered(answer, "reason"));
    }
    cJSON_Delete(answer);
}

static void enroll(struct exchange *exchange, struct desk *desk, enum question question, const char *page)
{
    const char *texts[] = {exchange->cookie[COOKIE_LINK], exchange_field(exchange, "pin"),
                           exchange_field(exchange, "username"), exchange_field(exchange, "password"),
                           exchange_field(exchange, "name"), exchange_field(exchange, "relationship")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, question, &answer, texts);

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(answered(answer, "result"), "registered") == 0) {
        exchange_set(exchange, COOKIE_LINK, "");
        exchange_redirect(exchange, "/register/done");
    } else {
        link_page(exchange, desk, page, answered(answer, "reason"));
    }
    cJSON_Delete(answer);
}

static void enroll_patient(struct exchange *exchange, struct desk *desk)
{
    enroll(exchange, desk, ASK_REGISTER_PATIENT, "account");
}

static void enroll_representative(struct exchange *exchange, struct desk *desk)
{
    enroll(exchange, desk, ASK_REGISTER_REPRESENTATIVE, "account_representative");
}

static void done(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "done", 200, values_new(exchange, desk));
}

/* Signing in */

static void sign_in_form(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "sign_in", 200, values_new(exchange, desk));
}

static void sign_in(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange_field(exchange, "username"), exchange_field(exchange, "password")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_LOGIN, &answer, texts);

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(answered(answer, "result"), "ok") == 0) {
        exchange_set(exchange, COOKIE_SESSION, answered(answer, "session"));
        exchange_set(exchange, COOKIE_FORM, "");
        exchange_redirect(exchange, "/patients");
    } else {
        form_again(exchange, desk, "sign_in", "credentials");
    }
    cJSON_Delete(answer);
}

static void sign_out(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange->cookie[COOKIE_SESSION]};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_LOGOUT, &answer, texts);

    cJSON_Delete(answer);
    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
        return;
    }
    exchange_set(exchange, COOKIE_SESSION, "");
    exchange_set(exchange, COOKIE_FORM, "");
    exchange_redirect(exchange, "/");
}

/* The session has ended, here or by a revoke. */
static void signed_out(struct exchange *exchange, struct desk *desk)
{
    cJSON *values = values_new(exchange, desk);

    exchange_set(exchange, COOKIE_SESSION, "");
    reason_add(exchange, values, "session");
    page_show(exchange, "sign_in", FORBIDDEN, values);
}

/* As a query has it (RFC 3986 section 2.1). */
static void query_encode(const char *text, char out[KEY_SIZE])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t length = 0;

    for (; *text != '\0' && length < KEY_SIZE - 4; text++) {
        if (strchr(plain, *text) != NULL) out[length++] = *text;
        else length += (size_t)snprintf(out + length, 4, "%%%02X", (unsigned)(unsigned char)*text);
    }
    out[length] = '\0';
}

/* The patients of a session, each with its key for a query. */
static void keys_add(cJSON *session)
{
    cJSON *patient;

    cJSON_ArrayForEach(patient, cJSON_GetObjectItemCaseSensitive(session, "patients")) {
        char *json = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(patient, "patient_id"));
        char key[KEY_SIZE] = "";
        if (json != NULL) query_encode(json, key);
        cJSON_free(json);
        (void)cJSON_AddStringToObject(patient, "key", key);
    }
}

static void patients_show(struct exchange *exchange, struct desk *desk, const char *reason)
{
    const char *texts[] = {exchange->cookie[COOKIE_SESSION]};
    cJSON *session = NULL;
    int code = desk_ask(desk, ASK_SESSION, &session, texts);
    cJSON *values;

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (session == NULL) {
        signed_out(exchange, desk);
    } else {
        keys_add(session);
        values = values_new(exchange, desk);
        item_add(values, "session", session);
        if (*reason != '\0') reason_add(exchange, values, reason);
        page_show(exchange, "patients", *reason == '\0' ? 200 : UNPROCESSABLE, values);
    }
}

static void patients(struct exchange *exchange, struct desk *desk)
{
    patients_show(exchange, desk, "");
}

static void home(struct exchange *exchange, struct desk *desk)
{
    if (*exchange->cookie[COOKIE_SESSION] == '\0') sign_in_form(exchange, desk);
    else exchange_redirect(exchange, "/patients");
}

/* Demographics */

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

/*
** What was entered stays in the form while something in it is wrong.  What waits stands in its field: the
** chart's own value there would take the request back.  A browser fills in what its owner is called, and no other patient.
*/
static void field_prepare(const struct exchange *exchange, cJSON *field, bool own, const char *reason)
{
    const char *name = answered(field, "field");
    size_t length = strlen(name);
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(field, "request");
    bool waits = strcmp(answered(request, "status"), "pending") == 0;
    const char *before = answered(waits ? request : field, "value");
    const char *shown = *reason == '\0' ? before : exchange_field(exchange, name);
    bool invalid = strncmp(reason, name, length) == 0 && reason[length] == ' ';
    char describedby[80];

    (void)cJSON_AddStringToObject(field, "before", before);
    (void)cJSON_AddStringToObject(field, "shown", shown);
    (void)cJSON_AddBoolToObject(field, "invalid", invalid);
    (void)sqlite3_snprintf(sizeof describedby, describedby, "%s%s%s%s", invalid ? "problem" : "",
                           invalid && request != NULL ? " " : "", request == NULL ? "" : name,
                           request == NULL ? "" : "_request");
    (void)cJSON_AddStringToObject(field, "describedby", describedby);
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (strcmp(inputs[i].field, name) != 0) continue;
        if (inputs[i].type == NULL) options_add(field, inputs[i].options, shown);
        (void)cJSON_AddStringToObject(field, "type", inputs[i].type == NULL ? "" : inputs[i].type);
        (void)cJSON_AddStringToObject(field, "autocomplete", own ? inputs[i].autocomplete : "off");
    }
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
    values = values_new(exchange, desk);
    cJSON_ArrayForEach(field, cJSON_GetObjectItemCaseSensitive(chart, "fields")) {
        const cJSON *request = cJSON_GetObjectItemCaseSensitive(field, "request");
        waiting += strcmp(answered(request, "status"), "pending") == 0;
        field_prepare(exchange, field, strcmp(answered(chart, "role"), "patient") == 0, reason);
    }
    if (waiting > 0) (void)cJSON_AddNumberToObject(values, "waiting", waiting);
    item_add(values, "chart", chart);
    query_encode(exchange->patient, key);
    (void)cJSON_AddStringToObject(values, "patient", key);
    if (*reason != '\0') reason_add(exchange, values, reason);
    page_show(exchange, "demographics", *reason == '\0' ? 200 : UNPROCESSABLE, values);
}

static void demographics(struct exchange *exchange, struct desk *desk)
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

    query_encode(exchange->patient, key);
    (void)sqlite3_snprintf(sizeof location, location, "/demographics?patient=%s", key);
    exchange_redirect(exchange, location);
}

static void submit(struct exchange *exchange, struct desk *desk)
{
    cJSON *changes = changes_read(exchange);
    char *json = cJSON_PrintUnformatted(changes);
    const char *texts[] = {exchange->cookie[COOKIE_SESSION], exchange->patient, json};
    cJSON *answer = NULL;
    bool unchanged = cJSON_GetArraySize(changes) == 0;
    int code = json == NULL ? SQLITE_NOMEM : unchanged ? SQLITE_OK : desk_ask(desk, ASK_SUBMIT, &answer, texts);
    const char *reason = unchanged ? "unchanged" : answered(answer, "reason");

    cJSON_Delete(changes);
    cJSON_free(json);
    if (code != SQLITE_OK) page_failed(exchange, desk, code);
    else if (strcmp(answered(answer, "result"), "submitted") == 0) submitted(exchange);
    else if (strcmp(reason, "session") == 0) signed_out(exchange, desk);
    else if (strcmp(reason, "patient") == 0) patients_show(exchange, desk, reason);
    else demographics_show(exchange, desk, reason);
    cJSON_Delete(answer);
}

/* Forgotten passwords */

static void forgot_form(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "forgot", 200, values_new(exchange, desk));
}

static void forgot(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange_field(exchange, "username")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_FORGOT, &answer, texts);

    cJSON_Delete(answer);
    if (code == SQLITE_OK) page_show(exchange, "forgot_done", 200, values_new(exchange, desk));
    else page_failed(exchange, desk, code);
}

/* Whether a link for a new password is good shows when it is used: only then is it looked at. */
static void reset_page(struct exchange *exchange, struct desk *desk, const char *reason)
{
    if (*exchange->cookie[COOKIE_RESET] == '\0' || strcmp(reason, "link") == 0) {
        exchange_set(exchange, COOKIE_RESET, "");
        page_show(exchange, "reset_link", GONE, values_new(exchange, desk));
    } else if (*reason != '\0') {
        form_again(exchange, desk, "reset", reason);
    } else {
        page_show(exchange, "reset", 200, values_new(exchange, desk));
    }
}

static void reset_form(struct exchange *exchange, struct desk *desk)
{
    reset_page(exchange, desk, "");
}

static void reset(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange->cookie[COOKIE_RESET], exchange_field(exchange, "password")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_RESET, &answer, texts);

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(answered(answer, "result"), "reset") == 0) {
        exchange_set(exchange, COOKIE_RESET, "");
        exchange_set(exchange, COOKIE_SESSION, "");
        page_show(exchange, "reset_done", 200, values_new(exchange, desk));
    } else {
        reset_page(exchange, desk, answered(answer, "reason"));
    }
    cJSON_Delete(answer);
}

/* What is no page */

/* Black or white, whichever can be read better on a colour: never less than 4.5 to 1 (WCAG 2.2, 1.4.3). */
static const char *ink_on(const char *color)
{
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    double luminance = 0;

    for (int i = 0; i < 3 && strlen(color) == 7; i++) {
        const char digits[] = {color[1 + 2 * i], color[2 + 2 * i], '\0'};
        double part = (double)strtol(digits, NULL, 16) / 255;
        luminance += weights[i] * (part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4));
    }
    return luminance > 0.179 ? "#000000" : "#ffffff";
}

/* What pages look like: in the practice's colour, and the same for everybody. */
static void look(struct exchange *exchange, struct desk *desk, const char *file, const char *type)
{
    cJSON *values = cJSON_CreateObject();
    const cJSON *practice = desk_practice(desk);

    (void)cJSON_AddStringToObject(values, "ink", ink_on(answered(practice, "color")));
    (void)cJSON_AddItemReferenceToObject(values, "practice", (cJSON *)practice);
    exchange->status = 200;
    exchange->type = type;
    exchange->cached = true;
    exchange->body = view_render(file, exchange->texts, values);
    cJSON_Delete(values);
}

static void style(struct exchange *exchange, struct desk *desk)
{
    look(exchange, desk, "style.css", "text/css; charset=utf-8");
}

static void icon(struct exchange *exchange, struct desk *desk)
{
    look(exchange, desk, "icon.svg", "image/svg+xml");
}

static void health(struct exchange *exchange, struct desk *desk)
{
    cJSON *practice = NULL;
    int code = desk_ask(desk, ASK_PRACTICE, &practice, NULL);

    cJSON_Delete(practice);
    exchange->status = code == SQLITE_OK ? 200 : UNAVAILABLE;
    exchange->type = "text/plain; charset=utf-8";
    exchange->body = sqlite3_mprintf("%s\n", code == SQLITE_OK ? "ok" : sqlite3_errmsg(desk->db));
}

/* A provider's report, or a patient's reply.  It looks at the status alone; what it may repeat, it repeats after 503. */
static void callback(struct exchange *exchange, struct desk *desk)
{
    static const struct { const char *result; int status; } results[] = {
        {"taken", 200}, {"refused", FORBIDDEN}, {"unknown", NOT_FOUND},
    };
    const char *texts[] = {exchange->rest, exchange->callback.query, exchange->callback.headers, exchange->callback.body};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_CALLBACK, &answer, texts);

    if (code == SQLITE_OK) {
        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
            if (strcmp(answered(answer, "result"), results[i].result) == 0) exchange->status = results[i].status;
        }
        exchange->body = sqlite3_mprintf("");
    } else {
        page_failed(exchange, desk, code);
    }
    cJSON_Delete(answer);
}

static const struct route routes[] = {
    {"GET", "/", 0, home},
    {"GET", "/r/", 0, open_link},
    {"GET", "/register", 0, landing},
    {"GET", "/register/who", 0, who},
    {"POST", "/register/who", ROUTE_WAITS, prove},
    {"GET", "/register/account", 0, account},
    {"POST", "/register/account", ROUTE_WAITS, enroll_patient},
    {"GET", "/register/representative", 0, account_representative},
    {"POST", "/register/representative", ROUTE_WAITS, enroll_representative},
    {"GET", "/register/done", 0, done},
    {"GET", "/sign-in", 0, sign_in_form},
    {"POST", "/sign-in", ROUTE_WAITS, sign_in},
    {"POST", "/sign-out", ROUTE_WAITS, sign_out},
    {"GET", "/patients", ROUTE_WAITS, patients},
    {"GET", "/demographics", ROUTE_WAITS, demographics},
    {"POST", "/demographics", ROUTE_WAITS, submit},
    {"GET", "/forgot", 0, forgot_form},
    {"POST", "/forgot", ROUTE_WAITS, forgot},
    {"GET", "/p/", 0, open_reset},
    {"GET", "/reset", 0, reset_form},
    {"POST", "/reset", ROUTE_WAITS, reset},
    {"GET", "/style.css", 0, style},
    {"GET", "/icon.svg", 0, icon},
    {"GET", "/healthz", 0, health},
    {"GET", "/callback/", ROUTE_WAITS | ROUTE_PROGRAM, callback},
    {"POST", "/callback/", ROUTE_WAITS | ROUTE_PROGRAM, callback},
};

/* HEAD is GET without the body, which the web server leaves out. */
const struct route *route_find(const char *method, const char *path, bool *other)
{
    *other = false;
    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t length = strlen(routes[i].path);
        bool more = length > 1 && routes[i].path[length - 1] == '/';
        if (more ? strncmp(path, routes[i].path, length) != 0 : strcmp(path, routes[i].path) != 0) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        *other = true;
    }
    return NULL;
}
