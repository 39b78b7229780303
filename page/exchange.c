#include "exchange.h"

#include <sodium.h>
#include <string.h>

/*
** __Host-: of this host alone, over TLS or to this very machine (RFC 6265bis section 4.1.3.2).  A link comes from a mail
** reader's page, and browsers keep Strict cookies back on such a way, also after a redirect.
*/
const struct cookie_kind cookie_kinds[COOKIES] = {
    [COOKIE_SESSION] = {"__Host-session", "; Path=/; Secure; HttpOnly; SameSite=Strict"},
    [COOKIE_LINK] = {"__Host-link", "; Path=/; Secure; HttpOnly; SameSite=Lax"},
    /* The PIN is on a letter, "1": what was told once the proof was right. */
    [COOKIE_LETTER] = {"__Host-letter", "; Path=/; Secure; HttpOnly; SameSite=Strict"},
    [COOKIE_RESET] = {"__Host-reset", "; Path=/; Secure; HttpOnly; SameSite=Lax"},
    [COOKIE_FORM] = {"__Host-form", "; Path=/; Secure; HttpOnly; SameSite=Strict"},
    [COOKIE_LANGUAGE] = {"language", "; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"},
};

const char *exchange_field(const struct exchange *exchange, const char *name)
{
    for (int i = 0; i < exchange->fields; i++) {
        if (strcmp(exchange->field[i].name, name) == 0) return exchange->field[i].value;
    }
    return "";
}

void exchange_set(struct exchange *exchange, enum cookie cookie, const char *value)
{
    (void)sqlite3_snprintf(COOKIE_SIZE, exchange->cookie[cookie], "%s", value);
    exchange->sets[cookie] = true;
}

void exchange_redirect(struct exchange *exchange, const char *location)
{
    exchange->status = SEE_OTHER;
    exchange->type = "text/plain; charset=utf-8";
    (void)sqlite3_snprintf(sizeof exchange->location, exchange->location, "%s", location);
}

void exchange_free(void *text)
{
    if (text != NULL) sodium_memzero(text, strlen(text));
    sqlite3_free(text);
}

void exchange_take_back(struct exchange *exchange)
{
    exchange_free(exchange->body);
    exchange->body = NULL;
    exchange->type = NULL;
    exchange->status = 0;
    exchange->cached = false;
    *exchange->location = '\0';
}

void exchange_clear(struct exchange *exchange)
{
    for (int i = 0; i < exchange->fields; i++) {
        exchange_free(exchange->field[i].name);
        exchange_free(exchange->field[i].value);
    }
    exchange_free(exchange->callback.query);
    exchange_free(exchange->callback.headers);
    exchange_free(exchange->callback.body);
    exchange_free(exchange->body);
    sodium_memzero(exchange, sizeof *exchange);
}
