/* Signing in and out, whom one may act for, and forgotten passwords. */
#include "pages.h"

#include <string.h>

void page_sign_in_form(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "sign_in", 200, page_values(exchange, desk));
}

void page_sign_in(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange_field(exchange, "username"), exchange_field(exchange, "password")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_LOGIN, &answer, texts);

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(page_answered(answer, "result"), "ok") == 0) {
        exchange_set(exchange, COOKIE_SESSION, page_answered(answer, "session"));
        exchange_set(exchange, COOKIE_FORM, "");
        exchange_redirect(exchange, "/patients");
    } else {
        page_form_again(exchange, desk, "sign_in", "credentials");
    }
    cJSON_Delete(answer);
}

void page_sign_out(struct exchange *exchange, struct desk *desk)
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

void page_signed_out(struct exchange *exchange, struct desk *desk)
{
    cJSON *values = page_values(exchange, desk);

    exchange_set(exchange, COOKIE_SESSION, "");
    page_reason_add(exchange, values, "session");
    page_show(exchange, "sign_in", FORBIDDEN, values);
}

/* The patients of a session, each with its key for a query. */
static void keys_add(cJSON *session)
{
    cJSON *patient;

    cJSON_ArrayForEach(patient, cJSON_GetObjectItemCaseSensitive(session, "patients")) {
        char *json = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(patient, "patient_id"));
        char key[KEY_SIZE] = "";
        if (json != NULL) page_query_encode(json, key);
        cJSON_free(json);
        (void)cJSON_AddStringToObject(patient, "key", key);
    }
}

void page_patients(struct exchange *exchange, struct desk *desk, const char *reason)
{
    const char *texts[] = {exchange->cookie[COOKIE_SESSION]};
    cJSON *session = NULL;
    int code = desk_ask(desk, ASK_SESSION, &session, texts);
    cJSON *values;

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (session == NULL) {
        page_signed_out(exchange, desk);
    } else {
        keys_add(session);
        values = page_values(exchange, desk);
        page_item_add(values, "session", session);
        if (*reason != '\0') page_reason_add(exchange, values, reason);
        page_show(exchange, "patients", *reason == '\0' ? 200 : UNPROCESSABLE, values);
    }
}

void page_list_patients(struct exchange *exchange, struct desk *desk)
{
    page_patients(exchange, desk, "");
}

void page_home(struct exchange *exchange, struct desk *desk)
{
    if (*exchange->cookie[COOKIE_SESSION] == '\0') page_sign_in_form(exchange, desk);
    else exchange_redirect(exchange, "/patients");
}

/* Forgotten passwords */

void page_open_reset(struct exchange *exchange, struct desk *desk)
{
    (void)desk;
    page_link_keep(exchange, COOKIE_RESET, "/reset");
}

void page_forgot_form(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "forgot", 200, page_values(exchange, desk));
}

void page_forgot(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange_field(exchange, "username")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_FORGOT, &answer, texts);

    cJSON_Delete(answer);
    if (code == SQLITE_OK) page_show(exchange, "forgot_done", 200, page_values(exchange, desk));
    else page_failed(exchange, desk, code);
}

/* Whether a link for a new password is good shows when it is used: only then is it looked at. */
static void reset_page(struct exchange *exchange, struct desk *desk, const char *reason)
{
    if (*exchange->cookie[COOKIE_RESET] == '\0' || strcmp(reason, "link") == 0) {
        exchange_set(exchange, COOKIE_RESET, "");
        page_show(exchange, "reset_link", GONE, page_values(exchange, desk));
    } else if (*reason != '\0') {
        page_form_again(exchange, desk, "reset", reason);
    } else {
        page_show(exchange, "reset", 200, page_values(exchange, desk));
    }
}

void page_reset_form(struct exchange *exchange, struct desk *desk)
{
    reset_page(exchange, desk, "");
}

void page_reset(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange->cookie[COOKIE_RESET], exchange_field(exchange, "password")};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_RESET, &answer, texts);

    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(page_answered(answer, "result"), "reset") == 0) {
        exchange_set(exchange, COOKIE_RESET, "");
        exchange_set(exchange, COOKIE_SESSION, "");
        page_show(exchange, "reset_done", 200, page_values(exchange, desk));
    } else {
        reset_page(exchange, desk, page_answered(answer, "reason"));
    }
    cJSON_Delete(answer);
}
