#include "pages.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { FORM_BYTES = 16 };

void page_item_add(cJSON *values, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObject(values, name, item)) cJSON_Delete(item);
}

cJSON *page_values(struct exchange *exchange, struct desk *desk)
{
    cJSON *values = cJSON_CreateObject();
    char text[2 * FORM_BYTES + 1];

    (void)cJSON_AddItemReferenceToObject(values, "practice", (cJSON *)desk_practice(desk));
    if (strlen(exchange->cookie[COOKIE_FORM]) + 1 != sizeof text) {
        unsigned char bytes[FORM_BYTES];
        randombytes_buf(bytes, sizeof bytes);
        exchange_set(exchange, COOKIE_FORM, sodium_bin2hex(text, sizeof text, bytes, sizeof bytes));
    }
    if (*exchange->cookie[COOKIE_LETTER] != '\0') cJSON_AddTrueToObject(values, "letter");
    (void)cJSON_AddStringToObject(values, "base", exchange->base);
    (void)cJSON_AddStringToObject(values, "form", exchange->cookie[COOKIE_FORM]);
    return values;
}

void page_show(struct exchange *exchange, const char *page, int status, cJSON *values)
{
    (void)cJSON_AddStringToObject(values, "page", page);
    exchange->status = status;
    exchange->type = "text/html; charset=utf-8";
    exchange->body = view_render("layout.html", exchange->texts, values);
    cJSON_Delete(values);
}

void page_problem(struct exchange *exchange, struct desk *desk, int status)
{
    cJSON *values = page_values(exchange, desk);
    char problem[8];

    (void)sqlite3_snprintf(sizeof problem, problem, "%d", status);
    (void)cJSON_AddStringToObject(values, "problem", problem);
    page_show(exchange, "problem", status, values);
}

void page_failed(struct exchange *exchange, struct desk *desk, int code)
{
    int kind = code & 0xff;

    if (kind != SQLITE_BUSY && kind != SQLITE_CONSTRAINT) (void)fprintf(stderr, "portal: %s\n", sqlite3_errmsg(desk->db));
    page_problem(exchange, desk, kind == SQLITE_BUSY ? UNAVAILABLE : kind == SQLITE_CONSTRAINT ? BAD_REQUEST : 500);
}

void page_label_add(cJSON *values, const char *member, const char *name)
{
    char label[80];

    (void)sqlite3_snprintf(sizeof label, label, "%s", name);
    for (char *at = label; *at != '\0'; at++) {
        if (*at == '_') *at = ' ';
    }
    label[0] = (char)toupper((unsigned char)label[0]);
    (void)cJSON_AddStringToObject(values, member, label);
}

/*
** What is wrong, and where: a reason's first word names the field, as in "username taken".  Of "city is too long" field
** and phrase are each told in the reader's language; other reasons are texts.
*/
void page_reason_add(const struct exchange *exchange, cJSON *values, const char *reason)
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
    (void)sqlite3_snprintf(sizeof key, key, "field.%.*s", length, reason);
    if (texts_get(exchange->texts, key) == NULL) page_label_add(values, "reason_label", key + strlen("field."));
    (void)cJSON_AddStringToObject(values, "reason_phrase", space + 1);
}

void page_form_again(struct exchange *exchange, struct desk *desk, const char *page, const char *reason)
{
    cJSON *values = page_values(exchange, desk);
    cJSON *entered = cJSON_AddObjectToObject(values, "entered");

    for (int i = 0; i < exchange->fields; i++) {
        const struct form_field *field = &exchange->field[i];
        if (strcmp(field->name, "password") == 0 || strcmp(field->name, "pin") == 0) continue;
        (void)cJSON_AddStringToObject(entered, field->name, field->value);
    }
    if (strcmp(exchange_field(exchange, "as"), "representative") == 0) cJSON_AddTrueToObject(values, "representative");
    page_reason_add(exchange, values, reason);
    page_show(exchange, page, UNPROCESSABLE, values);
}

const char *page_answered(const cJSON *answer, const char *member)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(answer, member);

    return cJSON_IsString(value) ? value->valuestring : "";
}

void page_query_encode(const char *text, char out[KEY_SIZE])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t length = 0;

    for (; *text != '\0' && length < KEY_SIZE - 4; text++) {
        if (strchr(plain, *text) != NULL) out[length++] = *text;
        else length += (size_t)snprintf(out + length, 4, "%%%02X", (unsigned)(unsigned char)*text);
    }
    out[length] = '\0';
}

/* The link leaves the address bar before anything is shown; what is none adds nothing else to the cookie. */
void page_link_keep(struct exchange *exchange, enum cookie cookie, const char *location)
{
    bool is_token = exchange->rest[strcspn(exchange->rest, " \t\r\n\",;\\")] == '\0';

    exchange_set(exchange, cookie, is_token ? exchange->rest : "");
    exchange_redirect(exchange, location);
}
