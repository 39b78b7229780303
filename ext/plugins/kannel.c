/*
** The channel kannel: hands text messages to the sendsms service of a Kannel gateway.
**
** The message is the body of a POST and all else stands in its head, because addresses of requests, as
** the better known GET would have them, are written into logs.
*/
#include "http.h"
#include "received.h"

#include <nettle/memops.h>
#include <stdio.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

enum { KANNEL_REPLY_PASSWORD = HTTP_CA_FILE + 1 };

static const portal_option options[] = {
    [HTTP_URL] = {"kannel_url", PORTAL_OPTION_URL, "", 0, 200,
                  "The gateway's sendsms service: https://host:port/cgi-bin/sendsms."},
    [HTTP_USER] = {"kannel_user", PORTAL_OPTION_LINE, "", 0, 200, "User of sendsms."},
    [HTTP_SECRET] = {"kannel_password", PORTAL_OPTION_SECRET, NULL, 1, 400, "Password of kannel_user."},
    [HTTP_FROM] = {"kannel_from", PORTAL_OPTION_LINE, "", 0, 20,
                   "Sender of text messages. Empty: the gateway's own."},
    HTTP_OPTIONS("kannel", "10"),
    [KANNEL_REPLY_PASSWORD] = {"kannel_reply_password", PORTAL_OPTION_SECRET, NULL, 1, 400,
                               "Password that the gateway brings replies with: STOP, START."},
    HTTP_OPTIONS_END,
};

/* What the gateway answers, by how its words begin. */
static const struct {
    int status;
    const char *begins;
    portal_result result;
    enum http_next next;
    const char *remedy;
} answers[] = {
    {202, "0:", PORTAL_SENT, HTTP_GO_ON, ""},
    {202, "3:", PORTAL_SENT, HTTP_GO_ON, ""},
    {400, "Number(s) has/have been denied", PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},
    {400, "Sender missing", PORTAL_RETRY, HTTP_STOP, "; set kannel_from"},
    {403, "Not routable", PORTAL_UNDELIVERABLE, HTTP_GO_ON, ""},
    {403, "", PORTAL_RETRY, HTTP_STOP, "; check kannel_user and kannel_password"},
    {404, "", PORTAL_RETRY, HTTP_STOP, "; check kannel_url"},
};

static struct http_verdict kannel_judge(int status, const char *body, const portal_outgoing *message)
{
    struct http_verdict verdict = http_judge_status(status);
    const char *remedy = "";
    size_t end = strcspn(body, "\r\n");
    int line = end < 200 ? (int)end : 200;

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        size_t length = strlen(answers[i].begins);
        if (answers[i].status != status || strncmp(body, answers[i].begins, length) != 0) {
            continue;
        }
        verdict.result = answers[i].result;
        verdict.next = answers[i].next;
        remedy = answers[i].remedy;
        break;
    }
    if (verdict.result == PORTAL_SENT) {
        (void)snprintf(verdict.words, sizeof verdict.words, "%.*s, as %d segment%s", line, body,
                       message->segments, message->segments == 1 ? "" : "s");
    } else {
        (void)snprintf(verdict.words, sizeof verdict.words, "Kannel says %d %.*s%s", status, line, body,
                       remedy);
    }
    return verdict;
}

static char *kannel_address(const struct account *account)
{
    return sqlite3_mprintf("%s", account->value[HTTP_URL]);
}

/* Reports are wanted of delivered (1), not delivered (2) and refused by the network (16). */
static bool kannel_compose(const struct account *account, const char *portal_url,
                           const portal_outgoing *message, struct http_post *post)
{
    char *callback = http_callback(portal_url, "kannel", message, "&status=%d");
    const struct http_field fields[] = {
        {"Content-Type", "text/plain; charset=UTF-8"},
        {"X-Kannel-Username", account->value[HTTP_USER]},
        {"X-Kannel-Password", account->value[HTTP_SECRET]},
        {"X-Kannel-From", account->value[HTTP_FROM]},
        {"X-Kannel-To", message->recipient},
        {"X-Kannel-Coding", message->is_gsm ? "0" : "2"},
        {"X-Kannel-DLR-Mask", "19"},
        {"X-Kannel-DLR-URL", callback},
        {NULL, NULL},
    };

    if (callback != NULL) post->headers = http_headers(fields);
    post->body = sqlite3_mprintf("%s", message->text);
    sqlite3_free(callback);
    return post->headers != NULL && post->body != NULL;
}

/* Kannel looks at user and password first, and sends nothing to nobody. */
static bool kannel_knock(const struct account *account, struct http_post *post, char **address)
{
    const struct http_field fields[] = {
        {"Content-Type", "text/plain; charset=UTF-8"},
        {"X-Kannel-Username", account->value[HTTP_USER]},
        {"X-Kannel-Password", account->value[HTTP_SECRET]},
        {NULL, NULL},
    };

    *address = kannel_address(account);
    post->headers = http_headers(fields);
    post->body = sqlite3_mprintf("");
    return post->headers != NULL && post->body != NULL;
}

static bool kannel_welcomes(int status, const char *body)
{
    return status == 400 && strstr(body, "receiver") != NULL;
}

/* "type" of a delivery report; the others (4 and 8) say that it is on its way. */
static const struct received_meaning meanings[] = {
    {"1", PORTAL_SAYS_DELIVERED},
    {"2", PORTAL_SAYS_UNDELIVERED},
    {"16", PORTAL_SAYS_UNDELIVERED},
    {NULL, PORTAL_SAYS_UNDER_WAY},
};

/* Without a password nobody has it. */
static bool kannel_knows(const struct account *account, const char *password)
{
    const char *own = account->value[KANNEL_REPLY_PASSWORD];
    size_t length = strlen(own);

    return length > 0 && strlen(password) == length && memeql_sec(own, password, length) != 0;
}

/*
** Kannel signs nothing.  A report brings along the claim of its message, which was in the address that Kannel
** was given; a reply the password in the address of its sms-service.
*/
static int kannel_receive(const struct account *account, const portal_request *request, portal_news *news)
{
    struct received query;
    int code = received_read(&query, request->query);

    if (code == SQLITE_OK && received_is_report(&query)) {
        code = received_report(&query, "Kannel", received_field(&query, "status"), "", meanings, news);
    } else if (code == SQLITE_OK) {
        code = kannel_knows(account, received_field(&query, "password")) ? SQLITE_OK : SQLITE_AUTH;
        received_reply(received_field(&query, "from"), received_field(&query, "text"), news);
    }
    received_clear(&query);
    return code;
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

__attribute__((visibility("default"))) int portal_plugin_init(sqlite3 *db, char **error,
                                                              const sqlite3_api_routines *routines)
{
    static const struct http_service kannel = {
        {PORTAL_API_VERSION, "kannel", PORTAL_TEXT, "1", http_deliver, http_problem, options, http_probe, http_receive},
        1U << HTTP_URL | 1U << HTTP_USER | 1U << HTTP_SECRET, false,
        kannel_address, kannel_compose, kannel_judge, kannel_knock, kannel_welcomes, kannel_receive,
    };

    SQLITE_EXTENSION_INIT2(routines);
    return http_register(&kannel, db, error);
}
