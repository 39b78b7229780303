/*
** The channel twilio: hands text messages to Twilio's Messages API, version 2010-04-01.
*/
#include "http.h"
#include "received.h"

#include <cjson/cJSON.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

static const portal_option options[] = {
    [HTTP_URL] = {"twilio_url", PORTAL_OPTION_URL, "https://api.twilio.com", 0, 200,
                  "Where Twilio's API is."},
    [HTTP_USER] = {"twilio_account", PORTAL_OPTION_LINE, "", 0, 40, "Account SID: AC and 32 digits."},
    [HTTP_SECRET] = {"twilio_token", PORTAL_OPTION_SECRET, NULL, 1, 400, "Auth token of the account."},
    [HTTP_FROM] = {"twilio_from", PORTAL_OPTION_LINE, "", 0, 40,
                   "Sender: a number of the account, or the SID of a messaging service (MG...)."},
    HTTP_OPTIONS("twilio", "10"),
    HTTP_OPTIONS_END,
};

/* Twilio's error codes that say more than the status; the others are tried again. */
static const struct {
    int code;
    portal_result result;
    enum http_next next;
    const char *remedy;
} errors[] = {
    {20003, PORTAL_RETRY, HTTP_STOP, "; check twilio_account and twilio_token"},
    {20404, PORTAL_RETRY, HTTP_STOP, "; check twilio_url and twilio_account"},
    {21211, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* invalid To */
    {21212, PORTAL_RETRY, HTTP_STOP, "; check twilio_from"},
    {21214, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To can not be reached */
    {21217, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To seems to be no number */
    {21219, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To is not verified: a trial account */
    {21265, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To is a short code */
    {21266, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To and From are the same */
    {21408, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* its country is not enabled */
    {21603, PORTAL_RETRY, HTTP_STOP, "; set twilio_from"},
    {21606, PORTAL_RETRY, HTTP_STOP, "; check twilio_from"},
    {21608, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To is not verified: a trial account */
    {21609, PORTAL_RETRY, HTTP_STOP, "; check portal_url"},
    {21610, PORTAL_OPTED_OUT, HTTP_GO_ON, ""},       /* To answered STOP */
    {21611, PORTAL_RETRY, HTTP_WAIT, ""},            /* too many of From are queued */
    {21612, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* no way from From to To */
    {21614, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To is no mobile number */
    {21617, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* longer than 1600 characters */
    {21619, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* no text */
    {21635, PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},   /* To is a landline */
    {21659, PORTAL_RETRY, HTTP_STOP, "; check twilio_from"},
    {21660, PORTAL_RETRY, HTTP_STOP, "; check twilio_from and twilio_account"},
    {21703, PORTAL_RETRY, HTTP_STOP, "; check twilio_from"},
};

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text == NULL ? "" : text;
}

static int number_of(const cJSON *object, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(number) ? number->valueint : 0;
}

static void refused(const cJSON *json, int status, struct http_verdict *verdict)
{
    const char *remedy = status == 401 || status == 403 ? "; check twilio_account and twilio_token" : "";
    /* An error in an answer that is none may be about anything: the message may be on its way. */
    int code = status < 400 ? 0 : number_of(json, "code");

    /* The message may be the reason: it alone waits, unless others fail alike. */
    if (status == 400) verdict->next = HTTP_DOUBT;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].code != code) continue;
        verdict->result = errors[i].result;
        verdict->next = errors[i].next;
        remedy = errors[i].remedy;
    }
    (void)snprintf(verdict->words, sizeof verdict->words, "Twilio says %d%s%.0d %.200s%s", status,
                   code == 0 ? "" : ", error ", code, text_of(json, "message"), remedy);
}

static struct http_verdict twilio_judge(int status, const char *body, const portal_outgoing *message)
{
    struct http_verdict verdict = http_judge_status(status);
    cJSON *json = cJSON_Parse(body);

    if (status == 201 && *text_of(json, "sid") != '\0') {
        verdict.result = PORTAL_SENT;
        verdict.next = HTTP_GO_ON;
        (void)snprintf(verdict.words, sizeof verdict.words, "%.40s %.20s, as %d segment%s",
                       text_of(json, "sid"), text_of(json, "status"), message->segments,
                       message->segments == 1 ? "" : "s");
    } else {
        refused(json, status, &verdict);
    }
    cJSON_Delete(json);
    return verdict;
}

/* Whatever was set as the account stays one piece of the path. */
static char *address_of(const struct account *account, const char *what)
{
    char *name = curl_easy_escape(NULL, account->value[HTTP_USER], 0);
    char *address = name == NULL ? NULL : sqlite3_mprintf("%s/2010-04-01/Accounts/%s%s", account->value[HTTP_URL],
                                                          name, what);

    curl_free(name);
    return address;
}

static char *twilio_address(const struct account *account)
{
    return address_of(account, "/Messages.json");
}

/* What the account is, which it may always ask. */
static bool twilio_knock(const struct account *account, __attribute__((unused)) struct http_post *post, char **address)
{
    *address = address_of(account, ".json");
    return *address != NULL;
}

static bool twilio_welcomes(int status, const char *body)
{
    cJSON *json = cJSON_Parse(body);
    bool welcome = status == 200 && strcmp(text_of(json, "status"), "active") == 0;

    cJSON_Delete(json);
    return welcome;
}

/* Twilio reports to what it can reach: another machine, over https. */
static bool twilio_compose(const struct account *account, const char *portal_url,
                           const portal_outgoing *message, struct http_post *post)
{
    bool reports = strncmp(portal_url, "https://", 8) == 0;
    char *callback = reports ? http_callback(portal_url, "twilio", message, "") : NULL;
    const char *from = account->value[HTTP_FROM];
    const struct http_field fields[] = {
        {"To", message->recipient},
        {"StatusCallback", callback},
        {strncmp(from, "MG", 2) == 0 ? "MessagingServiceSid" : "From", from},
        {"Body", message->text},
        {NULL, NULL},
    };

    if (!reports || callback != NULL) post->body = http_form(fields);
    sqlite3_free(callback);
    return post->body != NULL;
}

/* What comes in */

enum { SIGNATURE_SIZE = BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1 };

/* MessageStatus; the others (queued, sent, ...) say that it is on its way. */
static const struct received_meaning meanings[] = {
    {"delivered", PORTAL_SAYS_DELIVERED},
    {"undelivered", PORTAL_SAYS_UNDELIVERED},
    {"failed", PORTAL_SAYS_UNDELIVERED},
    {NULL, PORTAL_SAYS_UNDER_WAY},
};

static void signed_text(struct hmac_sha1_ctx *hmac, const char *text, size_t length)
{
    hmac_sha1_update(hmac, length, (const uint8_t *)text);
}

/* The URL and then the fields in order, names and values without anything between them; twice the same counts once. */
static void signature_make(const char *token, const char *url, const struct received *form,
                           char out[SIGNATURE_SIZE])
{
    struct hmac_sha1_ctx hmac;
    uint8_t digest[SHA1_DIGEST_SIZE];

    hmac_sha1_set_key(&hmac, strlen(token), (const uint8_t *)token);
    signed_text(&hmac, url, strlen(url));
    for (int i = 0; i < form->count; i++) {
        const struct received_field *field = &form->field[i];
        if (i > 0 && received_order(field - 1, field) == 0) continue;
        signed_text(&hmac, field->name, strlen(field->name));
        signed_text(&hmac, field->value, strlen(field->value));
    }
    hmac_sha1_digest(&hmac, sizeof digest, digest);
    base64_encode_raw(out, sizeof digest, digest);
    out[SIGNATURE_SIZE - 1] = '\0';
    explicit_bzero(&hmac, sizeof hmac);
}

static bool is_signed(const char *token, const char *url, const struct received *form, const char *signature)
{
    char own[SIGNATURE_SIZE];

    signature_make(token, url, form, own);
    return strlen(signature) == sizeof own - 1 && memeql_sec(own, signature, sizeof own - 1) != 0;
}

/* The URL without its port, or with that of https when it names none: Twilio may sign either.  NULL without memory. */
static char *other_port(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host == NULL ? url : host + 3 + strcspn(host + 3, "/?");
    const char *port = path;

    while (port > url && port[-1] >= '0' && port[-1] <= '9') port--;
    if (port < path && port[-1] == ':') return sqlite3_mprintf("%.*s%s", (int)(port - 1 - url), url, path);
    return sqlite3_mprintf("%.*s:443%s", (int)(path - url), url, path);
}

/* X-Twilio-Signature: HMAC-SHA1 under the auth token; without a token nobody can sign. */
static int twilio_verify(const struct account *account, const portal_request *request, struct received *form)
{
    const char *signature = request->header(request, "X-Twilio-Signature");
    const char *token = account->value[HTTP_SECRET];
    char *other;
    bool genuine;

    if (*token == '\0') return SQLITE_AUTH;
    received_sort(form);
    if (is_signed(token, request->url, form, signature)) return SQLITE_OK;
    other = other_port(request->url);
    if (other == NULL) return SQLITE_NOMEM;
    genuine = is_signed(token, other, form, signature);
    sqlite3_free(other);
    return genuine ? SQLITE_OK : SQLITE_AUTH;
}

/* Fields are in the form of a POST; where a GET was wanted, in the query. */
static const char *field_of(const struct received *query, const struct received *form, const char *name)
{
    return received_field(form->count > 0 ? form : query, name);
}

/* A messaging service with opt-out words of its own says itself which it was. */
static int twilio_read(const struct received *query, const struct received *form, portal_news *news)
{
    const char *code = field_of(query, form, "ErrorCode");
    const char *said = field_of(query, form, "OptOutType");
    int result = SQLITE_OK;

    if (received_is_report(query)) {
        result = received_report(query, "Twilio", field_of(query, form, "MessageStatus"), code, meanings, news);
        if (strcmp(code, "21610") == 0) news->word = PORTAL_SAYS_OPTED_OUT;
    } else {
        received_reply(field_of(query, form, "From"), *said != '\0' ? said : field_of(query, form, "Body"), news);
    }
    return result;
}

static int twilio_receive(const struct account *account, const portal_request *request, portal_news *news)
{
    struct received query, form;
    int code = received_read(&query, request->query);
    int read = received_read(&form, request->body);

    if (code == SQLITE_OK) code = read;
    if (code == SQLITE_OK) code = twilio_verify(account, request, &form);
    if (code == SQLITE_OK) code = twilio_read(&query, &form, news);
    received_clear(&query);
    received_clear(&form);
    return code;
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

__attribute__((visibility("default"))) int portal_plugin_init(sqlite3 *db, char **error,
                                                              const sqlite3_api_routines *routines)
{
    static const struct http_service twilio = {
        {PORTAL_API_VERSION, "twilio", PORTAL_TEXT, "1", http_deliver, http_problem, options, http_probe, http_receive},
        1U << HTTP_URL | 1U << HTTP_USER | 1U << HTTP_SECRET | 1U << HTTP_FROM, true,
        twilio_address, twilio_compose, twilio_judge, twilio_knock, twilio_welcomes, twilio_receive,
    };

    SQLITE_EXTENSION_INIT2(routines);
    return http_register(&twilio, db, error);
}
