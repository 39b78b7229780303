/*
** webhook.c: a channel for the patient portal, made of nothing but the installed portal.h and libcurl.
** It posts each message as JSON to webhook_url, which answers 2xx when it has taken the message.
**
**     cc -std=c11 -fPIC -shared -o portal.d/webhook.so webhook.c -lcurl
**     SELECT portal_setting('webhook_url', 'https://example.com/messages');
**     SELECT portal_setting('text_channel', 'webhook');
*/
#include <portal.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

SQLITE_EXTENSION_INIT1

struct webhook {
    portal_api *api;
    sqlite3 *db;
    CURL *easy;
};

static const portal_option options[] = {
    {"webhook_url", PORTAL_OPTION_URL, "", 0, 200, "Where messages are posted to."},
    {NULL, PORTAL_OPTION_LINE, NULL, 0, 0, NULL},
};

/* SQLite writes the JSON.  Ready to be stepped; NULL without memory. */
static sqlite3_stmt *json_of(sqlite3 *db, const portal_outgoing *message)
{
    static const char sql[] = "SELECT json_object('id', ?1, 'kind', ?2, 'to', ?3, 'subject', ?4, 'text', ?5)";
    const char *texts[] = {message->message_id_header, message->kind, message->recipient, message->subject,
                           message->text};
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) return NULL;
    for (int i = 0; i < 5; i++) (void)sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC);
    return statement;
}

static size_t ignore(const char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

/* Less than a minute, because the message is another sender's after its deadline. */
static CURLcode post(CURL *easy, const char *url, const char *json, long *status)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURLcode code = headers == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;

    curl_easy_reset(easy);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, json);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_TIMEOUT, 20L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    if (code == CURLE_OK) code = curl_easy_perform(easy);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all(headers);
    return code;
}

static portal_result result_of(CURLcode code, long status)
{
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) return PORTAL_RETRY;
    if (code != CURLE_OK) return PORTAL_UNCERTAIN;   /* it may have arrived */
    if (status >= 200 && status < 300) return PORTAL_SENT;
    return status == 400 || status == 410 || status == 422 ? PORTAL_UNDELIVERABLE : PORTAL_RETRY;
}

static int hand_over(const struct webhook *webhook, portal_batch *batch, const char *url,
                     const portal_outgoing *message)
{
    sqlite3_stmt *json = json_of(webhook->db, message);
    portal_report report = {PORTAL_RETRY, "no JSON could be written", 0};
    char detail[300];

    if (json != NULL && sqlite3_step(json) == SQLITE_ROW) {
        long status = 0;
        CURLcode code = post(webhook->easy, url, (const char *)sqlite3_column_text(json, 0), &status);
        (void)snprintf(detail, sizeof detail, code == CURLE_OK ? "the webhook answers %ld" : "%.0ld%s",
                       status, curl_easy_strerror(code));
        report.result = result_of(code, status);
        report.detail = detail;
    }
    (void)sqlite3_finalize(json);
    return batch->report(batch, message, &report);
}

static int webhook_deliver(void *data, portal_batch *batch)
{
    struct webhook *webhook = data;
    char *url = webhook->api->setting(webhook->api, "webhook_url");
    const portal_outgoing *message;
    int code = url == NULL ? SQLITE_NOMEM : SQLITE_OK;

    while (code == SQLITE_OK && (message = batch->next(batch)) != NULL) {
        code = hand_over(webhook, batch, url, message);
        if (code == SQLITE_OK) code = batch->settle(batch);
    }
    sqlite3_free(url);
    return code;
}

static char *webhook_problem(void *data)
{
    struct webhook *webhook = data;
    char *url = webhook->api->setting(webhook->api, "webhook_url");
    char *problem = url == NULL || *url == '\0' ? sqlite3_mprintf("set webhook_url") : NULL;

    sqlite3_free(url);
    return problem;
}

static void webhook_free(void *data)
{
    struct webhook *webhook = data;

    curl_easy_cleanup(webhook->easy);
    free(webhook);
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    static const portal_channel channel = {
        PORTAL_API_VERSION, "webhook", PORTAL_EMAIL | PORTAL_TEXT, "1", webhook_deliver, webhook_problem,
        options, NULL, NULL,
    };
    struct webhook *webhook;
    portal_api *api;

    SQLITE_EXTENSION_INIT2(routines);
    api = portal_api_from_db(db);
    if (api == NULL || api->version < 1) {
        *error = sqlite3_mprintf("needs another portal");
        return SQLITE_ERROR;
    }
    webhook = calloc(1, sizeof *webhook);
    if (webhook == NULL) return SQLITE_NOMEM;
    *webhook = (struct webhook){api, db, curl_easy_init()};
    return api->register_channel(api, &channel, webhook, webhook_free);
}
