/* From the link to an account: what it is about, who the patient is, the PIN, a user name and a password. */
#include "pages.h"

#include <string.h>

void page_open_link(struct exchange *exchange, struct desk *desk)
{
    (void)desk;
    page_link_keep(exchange, COOKIE_LINK, "/register");
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
        values = page_values(exchange, desk);
        (void)cJSON_AddStringToObject(values, "link", word);
        page_show(exchange, "link", strcmp(word, "unknown") == 0 ? NOT_FOUND : GONE, values);
    } else if (*reason != '\0') {
        page_form_again(exchange, desk, page, reason);
    } else {
        page_show(exchange, page, 200, page_values(exchange, desk));
    }
    cJSON_Delete(status);
}

void page_landing(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "landing", "");
}

void page_who(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "who", "");
}

void page_account(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "account", "");
}

void page_account_representative(struct exchange *exchange, struct desk *desk)
{
    link_page(exchange, desk, "account_representative", "");
}

/* One was sent a moment ago: it can be entered, and when another can be had is told. */
static void pin_waits(struct exchange *exchange, struct desk *desk, const char *page, cJSON *answer)
{
    cJSON *values = page_values(exchange, desk);

    (void)cJSON_AddItemToObject(values, "wait", cJSON_DetachItemFromObjectCaseSensitive(answer, "seconds"));
    page_show(exchange, page, 200, values);
}

void page_prove(struct exchange *exchange, struct desk *desk)
{
    const char *texts[] = {exchange->cookie[COOKIE_LINK], exchange_field(exchange, "last_name"),
                           exchange_field(exchange, "date_of_birth")};
    bool representative = strcmp(exchange_field(exchange, "as"), "representative") == 0;
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_PIN, &answer, texts);
    const char *result = page_answered(answer, "result");
    const char *letter = strcmp(page_answered(answer, "channel"), "print") == 0 ? "1" : "";

    if (strcmp(exchange->cookie[COOKIE_LETTER], letter) != 0) exchange_set(exchange, COOKIE_LETTER, letter);
    if (code != SQLITE_OK) {
        page_failed(exchange, desk, code);
    } else if (strcmp(result, "pin_sent") == 0) {
        exchange_redirect(exchange, representative ? "/register/representative" : "/register/account");
    } else if (strcmp(result, "wait") == 0) {
        pin_waits(exchange, desk, representative ? "account_representative" : "account", answer);
    } else {
        link_page(exchange, desk, "who", *page_answered(answer, "reason") == '\0' ? "proof" : page_answered(answer, "reason"));
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
    } else if (strcmp(page_answered(answer, "result"), "registered") == 0) {
        exchange_set(exchange, COOKIE_LINK, "");
        exchange_redirect(exchange, "/register/done");
    } else {
        link_page(exchange, desk, page, page_answered(answer, "reason"));
    }
    cJSON_Delete(answer);
}

void page_enroll_patient(struct exchange *exchange, struct desk *desk)
{
    enroll(exchange, desk, ASK_REGISTER_PATIENT, "account");
}

void page_enroll_representative(struct exchange *exchange, struct desk *desk)
{
    enroll(exchange, desk, ASK_REGISTER_REPRESENTATIVE, "account_representative");
}

void page_done(struct exchange *exchange, struct desk *desk)
{
    page_show(exchange, "done", 200, page_values(exchange, desk));
}
